// `sallyport kube explain`: what a kube-apiserver with a given file makes of a token, step by step, and the reason of a 401
// that it keeps from the client; with a cluster also its own words, and what RBAC says.
import type { CommandIo, ExitCode } from '../command.ts'
import type { KubeSubcommand } from '../kube.ts'

export type KubeExplainFlags = {
  readonly config: string
  readonly token?: string
  readonly claims?: string
  readonly jwks?: string
  readonly offline?: boolean
  readonly caFile?: string
  readonly now?: string
  readonly kubeconfig?: string
  readonly context?: string
  readonly can?: readonly string[]
  readonly namespace?: string
  readonly json?: boolean
  readonly brokerConfig?: string
  readonly brokerDexConfig?: string
  readonly clientId?: string
  readonly connector?: string
  readonly audience?: readonly string[]
  readonly scope: string
  readonly tokenType: string
  readonly clientSecretFile?: string
}

export const kubeExplain: KubeSubcommand = {
  examples: [
    {
      says: 'why the API says 401: the token that a job has, and the file of the apiserver',
      line: 'sallyport kube explain --config authentication.yaml --token - <token.jwt',
    },
    {
      says: "the same, and what the cluster itself says of it, and of the job's right to list namespaces (403)",
      line: 'sallyport kube explain --config authentication.yaml --token token.jwt --kubeconfig admin.kubeconfig --can get namespaces',
    },
    {
      says: "the whole way of a job's own token: exchange, apiserver, RBAC",
      line: 'sallyport kube explain --config authentication.yaml --token job.jwt --broker-config sallyport.yaml --client-id ci --connector gitlab --kubeconfig admin.kubeconfig --can list pods -n web',
    },
    {
      says: 'a claim set, before any job ran; missing times are filled in, no signature is asked for',
      line: 'sallyport kube explain --config authentication.yaml --claims claims.json --offline',
    },
  ],
  add: (command, io, end) => {
    command
      .command('explain')
      .description('show what a kube-apiserver makes of a token, and the reason of its 401 or 403')
      .requiredOption('--config <file>', "the apiserver's AuthenticationConfiguration")
      .option('--token <file>', 'the token; - reads standard input')
      .option('--claims <file>', 'its claims as JSON, unsigned; - reads standard input')
      .option('--jwks <file>', "the issuer's keys, instead of asking it")
      .option('--offline', 'ask nobody: the signature is not checked')
      .option('--ca-file <file>', 'a CA trusted here besides the one of the file, to reach the issuer')
      .option('--now <time>', "the apiserver's clock: seconds since 1970, or 2026-11-21T12:00:00Z")
      .option('--kubeconfig <file>', 'ask this cluster, too: best as one who may create TokenReviews')
      .option('--context <name>', 'which context of the kubeconfig')
      .option(
        '--can <words...>',
        'ask what RBAC says, as VERB RESOURCE[.GROUP][/NAME] or VERB /PATH; several times',
      )
      .option('-n, --namespace <name>', 'of what --can asks for; all namespaces when absent')
      .option(
        '--broker-config <file>',
        "--token (or --claims) is the job's own: first what a broker with this configuration makes of it",
      )
      .option('--broker-dex-config <file>', 'the same for an unmodified Dex configuration')
      .option(
        '--client-id <id>',
        'of that exchange: the client that asks; without its secret it is taken as authenticated',
      )
      .option('--client-secret-file <file>', 'of that exchange: what the client showed')
      .option('--connector <id>', 'of that exchange: connector_id')
      .option('--audience <id>', 'of that exchange, repeatable (default: the first of the file)', collect)
      .option('--scope <scopes>', 'of that exchange', 'openid profile email groups')
      .option(
        '--token-type <type>',
        'of that exchange: id_token, access_token, or as it was sent',
        'id_token',
      )
      .option('--json', 'print JSON')
      .action(async (flags: KubeExplainFlags) => end(await run(flags, io)))
  },
}

function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value]
}

async function run(flags: KubeExplainFlags, io: CommandIo): Promise<ExitCode> {
  const { runKubeExplain } = await import('./explain_run.ts')
  return runKubeExplain(flags, io)
}
