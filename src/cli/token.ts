// `sallyport token`: what stands in a token, in words. It reads and never verifies; nothing is sent anywhere.
import type { CommandIo, CommandModule, ExitCode } from './command.ts'

type TokenOptions = { readonly json?: boolean }

export const token: CommandModule = {
  name: 'token',
  summary: 'show what stands in a token, without verifying it',
  examples: [
    { says: 'a token in a file', line: 'sallyport token token.jwt' },
    {
      says: 'straight from an exchange',
      line: 'sallyport exchange --audience kubernetes | sallyport token -',
    },
    { says: 'for a program', line: 'sallyport token --json token.jwt | jq .claims.groups' },
  ],
  define: (command, io, end) => {
    command
      .argument('<file>', 'file with the token, or - for stdin; never the token itself')
      .option('--json', 'print {header, claims, expires_at, seconds_left} as JSON')
      .action(async (file: string, options: TokenOptions) => end(await run(file, options, io)))
  },
}

async function run(file: string, options: TokenOptions, io: CommandIo): Promise<ExitCode> {
  const { showToken } = await import('./token_show.ts')
  return showToken(file, options.json === true, io)
}
