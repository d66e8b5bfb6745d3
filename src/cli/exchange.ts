// `sallyport exchange`: its flags and help. What it does stands in exchange_run.ts, loaded when it is really run.
import type { Command } from 'commander'
import type { CommandIo, CommandModule, ExitCode } from './command.ts'
import { EXCHANGE_FLAGS } from './exchange_flags.ts'
import { addFlag, addListFlag } from './run_command.ts'

export type ExchangeOptions = {
  readonly broker?: string | undefined
  readonly tokenEndpoint?: string | undefined
  readonly clientId?: string | undefined
  readonly clientSecretFile?: string | undefined
  readonly clientAuth?: string | undefined
  readonly connector?: string | undefined
  readonly audience?: readonly string[] | undefined
  readonly scope?: string | undefined
  readonly policy?: string | undefined
  readonly caFile?: string | undefined
  readonly insecureAllowHttp?: boolean | undefined
  readonly jobSource?: string | undefined
  readonly jobAudience?: string | undefined
  readonly subjectTokenFile?: string | undefined
  readonly subjectTokenEnv?: string | undefined
  readonly subjectTokenType?: string | undefined
  readonly requestedTokenType?: string | undefined
  readonly outputFile?: string | undefined
  readonly githubOutput?: string | undefined
  readonly dotenv?: string | undefined
  readonly dotenvName?: string | undefined
  readonly json?: boolean | undefined
}

export const exchange: CommandModule = {
  name: 'exchange',
  summary: "exchange the job's own token for a short-lived token for one place",
  examples: [
    {
      says: 'in any CI job, without a stored secret: the job token is the credential, too',
      line: 'sallyport exchange --broker https://broker.example.com --client-id ci --client-auth federated --audience kubernetes',
    },
    {
      says: 'a client with a secret; the token goes to a file that only this user can read',
      line: 'sallyport exchange --broker https://dex.example.com --client-id ci --client-secret-file secret --connector gitlab --audience kubernetes --output-file token',
    },
    {
      says: 'GitHub, Forgejo, Gitea: masked in the log, handed to later steps as steps.ID.outputs.token',
      line: 'sallyport exchange --audience registry --github-output token',
    },
    {
      says: 'a token from somewhere else, on standard input',
      line: 'get-keycloak-token | sallyport exchange --subject-token-file - --subject-token-type access_token --connector keycloak',
    },
  ],
  define: (command, io, end) => {
    defineRequest(command)
    defineOutput(command)
    command.action(async (options: ExchangeOptions) => end(await run(options, io)))
  },
}

async function run(options: ExchangeOptions, io: CommandIo): Promise<ExitCode> {
  const { runExchange } = await import('./exchange_run.ts')
  return runExchange(options, io)
}

function defineRequest(command: Command): void {
  for (const { flags, says, twin, list } of EXCHANGE_FLAGS) {
    if (twin === undefined) command.option(flags, says)
    else if (list === true) addListFlag(command, flags, says, twin)
    else addFlag(command, flags, says, twin)
  }
}

function defineOutput(command: Command): void {
  command
    .option('--output-file <file>', 'write the token to a file of mode 0600 instead of stdout')
    .option('--github-output <name>', 'mask the token in the log and append name=token to $GITHUB_OUTPUT')
    .option('--dotenv <file>', 'append NAME=token to a dotenv file of mode 0600')
    .option('--dotenv-name <NAME>', 'the NAME in the dotenv file; default SALLYPORT_TOKEN')
    .option('--json', 'print the whole answer with expires_at')
}
