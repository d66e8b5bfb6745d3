// Runs one command: commander parses, environment twins fill what no flag gave, and every way out is an exit code.
import { Command, CommanderError, Option } from 'commander'
import { EXIT } from './command.ts'
import type { CommandIo, CommandModule, Example, ExitCode } from './command.ts'
import { withGuardedErrors, withoutExcess } from './shown_input.ts'

const HELP_COLUMNS = 100
/** What the variable of a flag without value may hold. */
const SWITCH: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['1', true],
  ['false', false],
  ['0', false],
])

/** Commander's own `env()` would read the process's environment, not `io.env`. */
const twins = new WeakMap<Option, string>()
const lists = new WeakSet<Option>()

/**
 * Adds an option that an environment variable stands in for when the flag is not given. An empty variable is unset; for
 * a flag without value it is `true`, `1`, `false` or `0`.
 */
export function addFlag(command: Command, flags: string, description: string, twin: string): Command {
  const option = new Option(flags, `${description} (env: ${twin})`)
  twins.set(option, twin)
  return command.addOption(option)
}

/** As `addFlag`; the flag may be given several times, the variable holds a list parted by white space. */
export function addListFlag(command: Command, flags: string, description: string, twin: string): Command {
  const option = new Option(flags, `${description}, repeatable (env: ${twin})`)
  option.argParser((value: string, before: readonly string[] | undefined) => [...(before ?? []), value])
  twins.set(option, twin)
  lists.add(option)
  return command.addOption(option)
}

/** Parses `argv` (without the command's name) and runs it. Usage errors are told on stderr and give exit code 2. */
export async function runCommand(
  module: CommandModule,
  argv: readonly string[],
  world: CommandIo,
): Promise<ExitCode> {
  const io = withGuardedErrors(world)
  let code: ExitCode = EXIT.ok
  const command = commandOf(module, io, (ended) => {
    code = ended
  })
  try {
    await command.parseAsync([...argv], { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    return error.exitCode === 0 ? EXIT.ok : EXIT.usage
  }
  return code
}

/** The commander command of one module, complete with help and examples. */
export function commandOf(module: CommandModule, io: CommandIo, end: (code: ExitCode) => void): Command {
  const command = baseCommand(`sallyport ${module.name}`, io).description(module.summary)
  command.hook('preAction', (_, action) => applyTwins(action, io.env))
  module.define(command, io, end)
  for (const sub of command.commands) helpBelow(sub, module.name, module.examples)
  return command.addHelpText('after', examplesText(module.examples))
}

/** Hint and examples of a subcommand and of all below it; each example stands below the subcommand that it calls, too. */
function helpBelow(command: Command, parent: string, examples: CommandModule['examples']): void {
  const name = `${parent} ${command.name()}`
  command.showHelpAfterError(helpHint(`sallyport ${name}`))
  const called = new RegExp(`\\b${name}\\b(?!-)`)
  const own = examples.filter(({ line }) => called.test(line))
  if (own.length > 0) command.addHelpText('after', examplesText(own))
  for (const sub of command.commands) helpBelow(sub, name, examples)
}

function helpHint(name: string): string {
  return `(see ${name} --help)`
}

/** A commander command that writes to `io` and throws instead of leaving the process. */
export function baseCommand(name: string, io: CommandIo): Command {
  return new Command(name)
    .exitOverride()
    .showHelpAfterError(helpHint(name))
    .configureHelp({ helpWidth: HELP_COLUMNS, showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      outputError: (text, write) => write(withoutExcess(text)),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
}

function applyTwins(command: Command, env: CommandIo['env']): void {
  for (const option of command.options) {
    const twin = twins.get(option)
    const value = twin === undefined ? undefined : env[twin]
    if (value === undefined || value === '') continue
    if (command.getOptionValueSource(option.attributeName()) !== undefined) continue
    command.setOptionValueWithSource(option.attributeName(), twinValue(command, option, value), 'env')
  }
}

function twinValue(command: Command, option: Option, value: string): string | boolean | readonly string[] {
  if (lists.has(option)) return value.split(/\s+/).filter((word) => word !== '')
  if (option.required || option.optional) return value
  // `false` must never turn on what it says to leave off (SALLYPORT_DEVELOPMENT).
  const isOn = SWITCH.get(value)
  if (isOn !== undefined) return isOn
  const name = twins.get(option) ?? option.flags
  return command.error(`error: ${name} is ${JSON.stringify(value)}: write true or false`)
}

function examplesText(examples: readonly Example[]): string {
  const lines = examples.flatMap((example) => [`  # ${example.says}`, `  ${example.line}`, ''])
  return `\nExamples:\n${lines.join('\n')}`
}
