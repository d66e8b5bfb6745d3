// What `sallyport` says when no command is named: the list of commands, the version, or the nearest name.
import { readFileSync } from 'node:fs'
import { CommanderError } from 'commander'
import { COMMANDS, EXIT } from './command.ts'
import type { CommandIo, ExitCode } from './command.ts'
import { baseCommand } from './run_command.ts'
import { withGuardedErrors } from './shown_input.ts'

/** Answers everything that is not a command of the table. An unknown name is exit code 2 with the nearest one. */
export async function runProgram(argv: readonly string[], world: CommandIo): Promise<ExitCode> {
  const io = withGuardedErrors(world)
  const program = baseCommand('sallyport', io)
    .description('The token a CI job already has in, a short-lived token for exactly one place out.')
    .usage('<command> [options]')
    .version(readVersion(), '-V, --version', 'print the version')
    .addHelpText('after', '\nEach command has its own help with examples: sallyport exchange --help\n')
  for (const entry of COMMANDS) program.command(entry.name).description(entry.summary)
  program
    .command('version')
    .description('print the version')
    .action(() => {
      io.stdout.write(`${readVersion()}\n`)
    })
  if (argv.length === 0) {
    program.outputHelp({ error: true })
    return EXIT.usage
  }
  try {
    await program.parseAsync([...argv], { from: 'user' })
    return EXIT.ok
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    return error.exitCode === 0 ? EXIT.ok : EXIT.usage
  }
}

/** The version of this package: beside `src/` in a checkout, beside `dist/` in a package. */
export function readVersion(): string {
  const root = import.meta.url.endsWith('.ts') ? '../../package.json' : '../package.json'
  const manifest: unknown = JSON.parse(readFileSync(new URL(root, import.meta.url), 'utf8'))
  if (typeof manifest !== 'object' || manifest === null || !('version' in manifest)) return 'unknown'
  return String(manifest.version)
}
