// `sallyport explain`: which connector, policy, claims and audiences follow from a token or a claim set, step by step, and
// the first step that says no.
import type { CommandIo, CommandModule, ExitCode } from './command.ts'
import { addConfigFlags } from './config_source.ts'
import type { ConfigFlags } from './config_source.ts'

export type ExplainFlags = ConfigFlags & {
  readonly token?: string
  readonly claims?: string
  readonly clientId: string
  readonly connector?: string
  readonly audience?: readonly string[] | undefined
  readonly scope: string
  readonly policy?: string
  readonly grant: 'token-exchange' | 'client_credentials'
  readonly tokenType: string
  readonly clientSecretFile?: string
  readonly json?: boolean
}

export const explain: CommandModule = {
  name: 'explain',
  summary: 'show step by step what a token would get, and the first step that says no',
  examples: [
    {
      says: 'a token that a job was denied with',
      line: 'sallyport explain --token job.jwt --client-id ci --audience kubernetes',
    },
    {
      says: 'a claim set, before any job ran; missing times are filled in',
      line: 'sallyport explain --claims claims.json --client-id ci --connector gitlab',
    },
    {
      says: 'on a Dex configuration',
      line: 'sallyport explain --dex-config dex.yaml --store memory --token - --client-id ci --connector gitlab < job.jwt',
    },
  ],
  define: (command, io, end) => {
    addConfigFlags(command)
      .option('--token <file>', 'the subject token; - reads standard input')
      .option('--claims <file>', 'its claims as JSON, unsigned; - reads standard input')
      .requiredOption(
        '--client-id <id>',
        'the client that asks; without its secret it is taken as authenticated',
      )
      .option('--client-secret-file <file>', 'what the client showed, to be judged as well')
      .option('--connector <id>', 'connector_id of the request')
      .option('--audience <id>', 'audience of the request, repeatable', collect)
      .option('--scope <scopes>', 'scope of the request', 'openid profile email groups')
      .option('--policy <name>', 'the one policy to be judged by')
      .option('--grant <grant>', 'token-exchange or client_credentials', 'token-exchange')
      .option(
        '--token-type <type>',
        'what the token is: id_token, access_token, or subject_token_type as it was sent',
        'id_token',
      )
      .option('--json', 'print JSON')
      .action(async (flags: ExplainFlags) => end(await run(flags, io)))
  },
}

function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value]
}

async function run(flags: ExplainFlags, io: CommandIo): Promise<ExitCode> {
  const { runExplain } = await import('./explain_run.ts')
  return runExplain(flags, io)
}
