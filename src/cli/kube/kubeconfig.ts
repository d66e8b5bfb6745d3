// `sallyport kube kubeconfig`: a kubeconfig without a credential in it, which makes kubectl call the plugin.
import type { Command } from 'commander'
import type { CommandIo, ExitCode } from '../command.ts'
import type { KubeSubcommand } from '../kube.ts'
import { addFlag } from '../run_command.ts'

export type KubeconfigFlags = {
  readonly server?: string
  readonly caFile?: string
  readonly broker?: string
  readonly brokerCaFile?: string
  readonly audience?: string
  readonly clientId?: string
  readonly clientAuth?: string
  readonly connector?: string
  readonly policy?: string
  readonly jobAudience?: string
  readonly namespace?: string
  readonly name?: string
  readonly command?: string
  readonly script?: boolean
}

export const kubeKubeconfig: KubeSubcommand = {
  examples: [
    {
      says: 'a kubeconfig for CI jobs: it may lie in the repository, no token stands in it',
      line: 'sallyport kube kubeconfig --server https://k8s.example.com:6443 --ca-file ca.pem --broker https://broker.example.com --client-id ci --client-auth federated --audience kubernetes > kubeconfig',
    },
    {
      says: 'the same for images without Node: the plugin is sallyport-credential.sh',
      line: 'sallyport kube kubeconfig --script --server https://k8s.example.com:6443 --ca-file ca.pem --broker https://broker.example.com --client-id ci --client-auth federated --audience kubernetes > kubeconfig',
    },
  ],
  add: (parent, io, end) => {
    const command = parent
      .command('kubeconfig')
      .description('print a kubeconfig that gets its tokens from the broker, by sallyport credential')
      .option('--server <url>', 'the API server')
      .option(
        '--ca-file <file>',
        "PEM file of the API server's CA, which is put in; default: the system's CAs",
      )
    defineExchange(command)
    command
      .option('--namespace <name>', 'of the context')
      .option('--name <name>', "of cluster, user and context; default: the server's host")
      .option(
        '--command <path>',
        'the plugin; default sallyport (with --script sallyport-credential.sh) on the PATH',
      )
      .option('--script', 'for sallyport-credential.sh, the plugin for images without Node')
      .action(async (flags: KubeconfigFlags) => end(await run(flags, io)))
  },
}

function defineExchange(command: Command): void {
  addFlag(command, '--broker <url>', "the broker's issuer URL", 'SALLYPORT_BROKER')
  command.option('--broker-ca-file <file>', "where the job finds the broker's CA; its path is put in")
  addFlag(command, '--audience <id>', 'the cluster, as its API server names it', 'SALLYPORT_AUDIENCE')
  addFlag(command, '--client-id <id>', 'default: SALLYPORT_CLIENT_ID of the job', 'SALLYPORT_CLIENT_ID')
  addFlag(command, '--client-auth <method>', 'basic (or secret), none or federated', 'SALLYPORT_CLIENT_AUTH')
  addFlag(command, '--connector <id>', 'connector of the job token', 'SALLYPORT_CONNECTOR')
  addFlag(command, '--policy <name>', 'ask for this policy and no other', 'SALLYPORT_POLICY')
  addFlag(command, '--job-audience <aud>', 'audience of the job token', 'SALLYPORT_JOB_AUDIENCE')
}

async function run(flags: KubeconfigFlags, io: CommandIo): Promise<ExitCode> {
  const { runKubeconfig } = await import('./kubeconfig_run.ts')
  return runKubeconfig(flags, io)
}
