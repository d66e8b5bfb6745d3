// The completion scripts. The vocabulary (commands, subcommands, flags) is read off the commander commands, so a new
// flag completes without anybody listing it here.
import type { Command } from 'commander'
import { COMMANDS, EXIT } from './command.ts'
import type { CommandIo, ExitCode } from './command.ts'
import { commandOf } from './run_command.ts'

/** One command or subcommand: `['keys', 'rotate']`. */
type Words = {
  readonly path: readonly string[]
  readonly summary: string
  readonly subcommands: readonly { readonly name: string; readonly summary: string }[]
  readonly flags: readonly Flag[]
}

type Flag = {
  readonly name: string
  readonly summary: string
  readonly takesFile: boolean
  readonly takesValue: boolean
}

export async function printCompletion(shell: string, io: CommandIo): Promise<ExitCode> {
  const render = SHELLS.get(shell)
  if (render === undefined) {
    io.stderr.write(
      `error: no completion for ${JSON.stringify(shell)}; there is ${[...SHELLS.keys()].join(', ')}\n`,
    )
    return EXIT.usage
  }
  io.stdout.write(render(await vocabulary(io)))
  return EXIT.ok
}

async function vocabulary(io: CommandIo): Promise<readonly Words[]> {
  const modules = await Promise.all(COMMANDS.map((entry) => entry.load()))
  const commands = modules.map((module) => ({ module, command: commandOf(module, io, () => undefined) }))
  const top: Words = {
    path: [],
    summary: '',
    subcommands: [
      ...COMMANDS.map(({ name, summary }) => ({ name, summary })),
      { name: 'help', summary: 'show the help of a command' },
      { name: 'version', summary: 'print the version' },
    ],
    flags: [],
  }
  return [top, ...commands.flatMap(({ module, command }) => wordsOf(command, [module.name]))]
}

function wordsOf(command: Command, path: readonly string[]): readonly Words[] {
  const subcommands = command.commands.map((sub) => ({ name: sub.name(), summary: sub.description() }))
  const flags = command.options.map((option) => ({
    name: option.long ?? option.short ?? '',
    summary: option.description,
    takesFile: /<file>/.test(option.flags),
    takesValue: option.required || option.optional,
  }))
  const help = { name: '--help', summary: 'display help for command', takesFile: false, takesValue: false }
  const own = { path, summary: command.description(), subcommands, flags: [...flags, help] }
  return [own, ...command.commands.flatMap((sub) => wordsOf(sub, [...path, sub.name()]))]
}

const SHELLS: ReadonlyMap<string, (words: readonly Words[]) => string> = new Map([
  ['bash', bash],
  ['zsh', zsh],
  ['fish', fish],
])

function bash(all: readonly Words[]): string {
  const cases = all.map((words) => {
    const choices = [...words.subcommands.map(({ name }) => name), ...words.flags.map(({ name }) => name)]
    return `    '${words.path.join(' ')}') words='${choices.join(' ')}' ;;`
  })
  const fileFlags = uniqueNames(all, (flag) => flag.takesFile)
  const valueFlags = uniqueNames(all, (flag) => flag.takesValue && !flag.takesFile)
  return `# bash completion for sallyport; source it or put it into bash_completion.d
_sallyport() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" command='' word words=''
  COMPREPLY=()
  case "$previous" in
    ${pattern(fileFlags)}) COMPREPLY=($(compgen -f -- "$current")); return ;;
    ${pattern(valueFlags)}) return ;;
  esac
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$command\${command:+ }$word" in
      ${pattern(all.filter(({ path }) => path.length > 0).map(({ path }) => `'${path.join(' ')}'`))}) command="$command\${command:+ }$word" ;;
    esac
  done
  case "$command" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  if [[ \${#COMPREPLY[@]} -eq 0 && -n "$command" ]]; then COMPREPLY=($(compgen -f -- "$current")); fi
}
complete -o filenames -F _sallyport sallyport
`
}

function zsh(all: readonly Words[]): string {
  const cases = all.map((words) => {
    const commands = words.subcommands.map(({ name, summary }) => quoted(`${name}:${summary}`))
    const flags = words.flags.map(({ name, summary }) => quoted(`${name}:${summary}`))
    return `    '${words.path.join(' ')}') choices=(${[...commands, ...flags].join(' ')}) ;;`
  })
  const paths = all.filter(({ path }) => path.length > 0).map(({ path }) => `'${path.join(' ')}'`)
  return `#compdef sallyport
# zsh completion for sallyport; put it into a folder of fpath
_sallyport() {
  local command='' word
  local -a choices
  case "\${words[CURRENT-1]}" in
    ${pattern(uniqueNames(all, (flag) => flag.takesFile))}) _files; return ;;
    ${pattern(uniqueNames(all, (flag) => flag.takesValue && !flag.takesFile))}) return ;;
  esac
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "$command\${command:+ }$word" in
      ${pattern(paths)}) command="$command\${command:+ }$word" ;;
    esac
  done
  case "$command" in
${cases.join('\n')}
  esac
  _describe 'sallyport' choices || _files
}
if [ "$funcstack[1]" = _sallyport ]; then _sallyport "$@"; else compdef _sallyport sallyport; fi
`
}

function fish(all: readonly Words[]): string {
  const lines = all.flatMap((words) => {
    const condition = fishCondition(words)
    const commands = words.subcommands.map(
      ({ name, summary }) =>
        `complete -c sallyport -f -n ${quoted(condition)} -a ${name} -d ${quoted(summary)}`,
    )
    const flags = words.flags.map(({ name, summary, takesFile, takesValue }) => {
      const argument = takesFile ? ' -r -F' : takesValue ? ' -x' : ''
      return `complete -c sallyport -n ${quoted(condition)} -l ${name.replace(/^-+/, '')}${argument} -d ${quoted(summary)}`
    })
    return [...commands, ...flags]
  })
  return `# fish completion for sallyport\n${lines.join('\n')}\n`
}

function fishCondition(words: Words): string {
  const [command, ...rest] = words.path
  if (command === undefined) return '__fish_use_subcommand'
  return [command, ...rest].map((word) => `__fish_seen_subcommand_from ${word}`).join('; and ')
}

function uniqueNames(all: readonly Words[], wanted: (flag: Flag) => boolean): readonly string[] {
  return [...new Set(all.flatMap((words) => words.flags.filter(wanted).map(({ name }) => name)))]
}

/** Alternatives of a shell `case`; an empty list must match nothing, and no word is empty-but-this. */
function pattern(words: readonly string[]): string {
  return words.length === 0 ? "'no such word'" : words.join('|')
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
