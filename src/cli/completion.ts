// `sallyport completion`: the script that completes commands and flags in a shell, made from the table of commands.
import type { CommandIo, CommandModule, ExitCode } from './command.ts'

export const completion: CommandModule = {
  name: 'completion',
  summary: 'print the completion script for bash, zsh or fish',
  examples: [
    { says: 'bash, for this session', line: 'source <(sallyport completion bash)' },
    { says: 'zsh', line: 'sallyport completion zsh > "${fpath[1]}/_sallyport"' },
    { says: 'fish', line: 'sallyport completion fish > ~/.config/fish/completions/sallyport.fish' },
  ],
  define: (command, io, end) => {
    command
      .argument('<shell>', 'bash, zsh or fish')
      .action(async (shell: string) => end(await run(shell, io)))
  },
}

async function run(shell: string, io: CommandIo): Promise<ExitCode> {
  const { printCompletion } = await import('./completion_scripts.ts')
  return printCompletion(shell, io)
}
