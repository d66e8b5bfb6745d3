#!/usr/bin/env node
// The CLI's entry: argv -> cli/<command>.ts, nothing else.
import { findCommand } from './cli/command.ts'
import type { CommandIo } from './cli/command.ts'

/** `engines` of package.json. An older Node would load half of a command and then name something that it lacks. */
const OLDEST_NODE = 24
if (Number.parseInt(process.versions.node, 10) < OLDEST_NODE) {
  console.error(`sallyport: needs Node >= ${OLDEST_NODE}, this is ${process.versions.node}`)
  process.exit(1)
}

// From a checkout, types are stripped from every file at every start; the cache keeps the outcome. In a folder of the
// checkout, since whoever can write into the cache can run code here. The bundle has nothing to gain.
if (import.meta.filename.endsWith('.ts')) {
  const { enableCompileCache } = process.getBuiltinModule('node:module')
  enableCompileCache(`${import.meta.dirname}/../node_modules/.cache/sallyport`)
}

const io: CommandIo = {
  // Opened on use: a command that reads no input does not hold the terminal, and each stream takes time to make.
  get stdin() {
    return process.stdin
  },
  get stdout() {
    return process.stdout
  },
  get stderr() {
    return process.stderr
  },
  env: process.env,
  cwd: process.cwd(),
  clock: Date.now,
  // Loaded on use: a help text needs no cryptography, and it is a fifth of the time that one takes.
  randomBytes: (length) => process.getBuiltinModule('node:crypto').randomBytes(length),
  sleep: (milliseconds) =>
    new Promise((resolve) => {
      setTimeout(resolve, milliseconds)
    }),
}

const [name, ...rest] = process.argv.slice(2)
try {
  process.exitCode = await run(name, rest)
} catch (error) {
  const { withoutTokens } = await import('./cli/shown_input.ts')
  const { refusedByNode } = await import('./cli/node_permission.ts')
  const message = refusedByNode(error) ?? (error instanceof Error ? error.message : String(error))
  console.error(withoutTokens(`sallyport: failed: ${message}`))
  process.exitCode = 1
}

async function run(command: string | undefined, argv: readonly string[]): Promise<number> {
  // `sallyport help exchange` is `sallyport exchange --help`.
  if (command === 'help' && findCommand(argv[0]) !== undefined) return run(argv[0], ['--help'])
  const entry = findCommand(command)
  if (entry === undefined) {
    allowClosedOutput()
    const { runProgram } = await import('./cli/program.ts')
    return runProgram(process.argv.slice(2), io)
  }
  const quick = await entry.loadQuick?.()
  const done = await quick?.(argv, io)
  if (done !== undefined) return done
  allowClosedOutput()
  const [{ runCommand }, module] = await Promise.all([import('./cli/run_command.ts'), entry.load()])
  return runCommand(module, argv, io)
}

/** `sallyport ... | head`: whoever read has gone, which is no crash. */
function allowClosedOutput(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    process.exit(1)
  })
}
