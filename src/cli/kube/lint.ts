// `sallyport kube lint`: what kube-apiserver would refuse in an AuthenticationConfiguration, and what it would load and
// you would regret.
import { DEFAULT_KUBE_VERSION } from '#core/kube/kube_version.ts'
import type { CommandIo, ExitCode } from '../command.ts'
import type { KubeSubcommand } from '../kube.ts'
import { gather } from '../repeatable.ts'

export type KubeLintFlags = {
  readonly json?: boolean
  readonly issuers?: boolean
  readonly cluster?: boolean
  readonly kubeconfig?: string
  readonly context?: string
  readonly apiserver?: readonly string[]
  readonly serviceAccountIssuer?: readonly string[]
  readonly kubernetesVersion: string
}

export const kubeLint: KubeSubcommand = {
  examples: [
    {
      says: 'what kube-apiserver would say of the file, and the traps that it does not see',
      line: 'sallyport kube lint authentication.yaml',
    },
    {
      says: 'the file where it is at home: a ConfigMap, a Talos patch, a kubeadm or k3d file',
      line: 'sallyport kube lint talos-patch.yaml --json',
    },
  ],
  add: (command, io, end) => {
    const lint = command
      .command('lint')
      .description('say what kube-apiserver would refuse, and what it would load and you would regret')
      .argument('[file]', 'AuthenticationConfiguration, or a file that holds one; - is stdin', '-')
      .option('--kubernetes-version <version>', 'of the apiserver that will read it', DEFAULT_KUBE_VERSION)
      .option(
        '--service-account-issuer <url>',
        "the apiserver's own, which no entry may name; repeatable",
        gather,
      )
      .option('--issuers', "fetch each issuer's discovery document and keys, as the apiserver would")
      .option('--cluster', 'compare with what a running cluster has loaded')
      .option('--kubeconfig <file>', 'with --cluster: how to reach it')
      .option('--context <name>', 'with --cluster: which context of the kubeconfig')
      .option('--apiserver <url>', 'with --cluster: ask this apiserver alone; repeatable', gather)
      .option('--json', 'print {loads, sources} as JSON')
    lint.action(async (file: string, flags: KubeLintFlags) => end(await run(file, flags, io)))
  },
}

async function run(file: string, flags: KubeLintFlags, io: CommandIo): Promise<ExitCode> {
  const { runKubeLint } = await import('./lint_run.ts')
  return runKubeLint(file, flags, io)
}
