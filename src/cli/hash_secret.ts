// `sallyport hash-secret`: the PHC string of a client secret for the configuration; the secret itself stays where it is.
import type { CommandIo, CommandModule, ExitCode } from './command.ts'

export type HashSecretOptions = {
  readonly generate?: boolean
  readonly secretFile?: string
  readonly json?: boolean
}

export const hashSecret: CommandModule = {
  name: 'hash-secret',
  summary: 'make the hash of a client secret that goes into the configuration',
  examples: [
    {
      says: 'a new secret of 256 bits into a private file, its hash on stdout',
      line: 'sallyport hash-secret --generate --secret-file ci.secret',
    },
    {
      says: 'a secret that exists, from standard input',
      line: 'vault kv get -field=secret ci | sallyport hash-secret -',
    },
  ],
  define: (command, io, end) => {
    command
      .argument('[file]', 'file with the secret, or - for stdin; never the secret itself')
      .option('--generate', 'make a new random secret')
      .option(
        '--secret-file <file>',
        'write the new secret to this new file of mode 0600; without it, it is printed once',
      )
      .option('--json', 'print {hash} or {secret, hash} as JSON')
      .action(async (file: string | undefined, options: HashSecretOptions) =>
        end(await run(file, options, io)),
      )
  },
}

async function run(file: string | undefined, options: HashSecretOptions, io: CommandIo): Promise<ExitCode> {
  const { runHashSecret } = await import('./hash_secret_run.ts')
  return runHashSecret(file, options, io)
}
