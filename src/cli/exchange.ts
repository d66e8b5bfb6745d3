// `sallyport exchange`: its flags and help. What it does stands in exchange_run.ts, loaded when it is really run.
import type { Command } from 'commander'
import type { CommandIo, CommandModule, ExitCode } from './command.ts'
import { addFlag, addListFlag } from './run_command.ts'

export type ExchangeOptions = {
  readonly broker?: string
  readonly tokenEndpoint?: string
  readonly clientId?: string
  readonly clientSecretFile?: string
  readonly clientAuth?: string
  readonly connector?: string
  readonly audience?: readonly string[]
  readonly scope?: string
  readonly policy?: string
  readonly caFile?: string
  readonly insecureAllowHttp?: boolean
  readonly jobSource?: string
  readonly jobAudience?: string
  readonly subjectTokenFile?: string
  readonly subjectTokenEnv?: string
  readonly subjectTokenType?: string
  readonly requestedTokenType?: string
  readonly outputFile?: string
  readonly githubOutput?: string
  readonly dotenv?: string
  readonly dotenvName?: string
  readonly json?: boolean
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
    defineWhere(command)
    defineWhat(command)
    defineOutput(command)
    command.action(async (options: ExchangeOptions) => end(await run(options, io)))
  },
}

async function run(options: ExchangeOptions, io: CommandIo): Promise<ExitCode> {
  const { runExchange } = await import('./exchange_run.ts')
  return runExchange(options, io)
}

function defineWhere(command: Command): void {
  addFlag(command, '--broker <url>', "the broker's issuer URL", 'SALLYPORT_BROKER')
  addFlag(
    command,
    '--token-endpoint <url>',
    'where to send the request; default <broker>/token',
    'SALLYPORT_TOKEN_ENDPOINT',
  )
  addFlag(command, '--ca-file <file>', "PEM certificates to trust besides the system's", 'SALLYPORT_CA_FILE')
  command.option('--insecure-allow-http', 'allow a broker on plain HTTP that is not on this machine')
  addFlag(command, '--client-id <id>', 'the client that asks', 'SALLYPORT_CLIENT_ID')
  addFlag(
    command,
    '--client-secret-file <file>',
    'file with its secret, - for stdin; SALLYPORT_CLIENT_SECRET may hold the secret itself',
    'SALLYPORT_CLIENT_SECRET_FILE',
  )
  addFlag(
    command,
    '--client-auth <method>',
    'basic (with a secret), none (public), or federated (the job token is the credential); default: basic with a secret, else none',
    'SALLYPORT_CLIENT_AUTH',
  )
}

function defineWhat(command: Command): void {
  addFlag(
    command,
    '--connector <id>',
    'connector of the job token; may be left out when its issuer tells',
    'SALLYPORT_CONNECTOR',
  )
  addListFlag(command, '--audience <id>', 'the place the token is for', 'SALLYPORT_AUDIENCE')
  addFlag(command, '--scope <scopes>', 'default "openid profile email groups"', 'SALLYPORT_SCOPE')
  addFlag(command, '--policy <name>', 'ask for this policy and no other', 'SALLYPORT_POLICY')
  addFlag(
    command,
    '--job-source <name>',
    'gitlab, github, forgejo, gitea, azure-devops, buildkite, circleci or kubernetes; default: found out',
    'SALLYPORT_JOB_SOURCE',
  )
  addFlag(
    command,
    '--job-audience <aud>',
    'audience of the job token; default the broker',
    'SALLYPORT_JOB_AUDIENCE',
  )
  addFlag(
    command,
    '--subject-token-file <file>',
    'file with the token to exchange, - for stdin',
    'SALLYPORT_SUBJECT_TOKEN_FILE',
  )
  addFlag(
    command,
    '--subject-token-env <name>',
    'name of the variable that holds it',
    'SALLYPORT_SUBJECT_TOKEN_ENV',
  )
  addFlag(
    command,
    '--subject-token-type <type>',
    'id_token (default) or access_token',
    'SALLYPORT_SUBJECT_TOKEN_TYPE',
  )
  addFlag(
    command,
    '--requested-token-type <type>',
    'id_token or access_token; default: as the broker',
    'SALLYPORT_REQUESTED_TOKEN_TYPE',
  )
}

function defineOutput(command: Command): void {
  command
    .option('--output-file <file>', 'write the token to a file of mode 0600 instead of stdout')
    .option('--github-output <name>', 'mask the token in the log and append name=token to $GITHUB_OUTPUT')
    .option('--dotenv <file>', 'append NAME=token to a dotenv file of mode 0600')
    .option('--dotenv-name <NAME>', 'the NAME in the dotenv file; default SALLYPORT_TOKEN')
    .option('--json', 'print the whole answer with expires_at')
}
