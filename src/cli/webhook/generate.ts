// `sallyport webhook generate`: manifests for `kubectl apply -f -`, the same for the same input.
import type { Command } from 'commander'
import type { CommandIo, ExitCode } from '../command.ts'
import type { WebhookSubcommand } from '../webhook.ts'
import { gather } from '../repeatable.ts'

export type PlaceFlags = {
  readonly name: string
  readonly service: string
  readonly ledgerWriter?: readonly string[]
}

export type GenerateWebhookFlags = PlaceFlags & {
  readonly url?: string
  readonly caFile?: string
  readonly certManager?: string
  readonly failurePolicy: string
  readonly timeout: string
  readonly namespace?: readonly string[]
}

export type GenerateVapFlags = PlaceFlags & {
  readonly file?: readonly string[]
  readonly cluster?: boolean
  readonly kubeconfig?: string
  readonly context?: string
  readonly policies: boolean
  readonly guard: boolean
  readonly secret: string
  readonly keeper?: readonly string[]
}

export const webhookGenerate: WebhookSubcommand = {
  examples: [
    {
      says: 'have kube-apiserver ask the webhook, which writes its own CA in',
      line: 'sallyport webhook generate webhook | kubectl apply -f -',
    },
    {
      says: 'the same with the CA of a Certificate of cert-manager',
      line: 'sallyport webhook generate webhook --cert-manager sallyport-system/sallyport-webhook',
    },
    {
      says: 'what holds while the webhook is down, from the policies that the cluster has',
      line: 'sallyport webhook generate vap --cluster | kubectl apply --server-side -f -',
    },
    {
      says: 'the same from files, to be kept in git',
      line: 'sallyport webhook generate vap -f policies/ > vap.yaml',
    },
  ],
  add: (parent, io, end) => {
    const generate = parent
      .command('generate')
      .description('print what makes kube-apiserver ask the webhook, or judge by itself')
    addVap(generate, io, end)
    addWebhook(generate, io, end)
  },
}

function addVap(generate: Command, io: CommandIo, end: (code: ExitCode) => void): void {
  const vap = generate
    .command('vap')
    .description('print ValidatingAdmissionPolicies and bindings for the rules that need no ledger')
    .option('-f, --file <file>', 'ModulePolicies: a file, a folder, or - for stdin; repeatable', gather)
    .option('--cluster', 'the ModulePolicies of a cluster')
    .option('--kubeconfig <file>', 'with --cluster: how to reach it')
    .option('--context <name>', 'with --cluster: which context of the kubeconfig')
    .option('--no-policies', 'there are none: the rules that hold without one')
    .option('--no-guard', 'leave out what guards the webhook itself')
    .option(
      '--secret <name>',
      "with the guard: the Secret of the webhook's certificate",
      'sallyport-webhook-tls',
    )
    .option(
      '--keeper <user>',
      'with the guard: who renews the certificate beside the webhook; repeatable',
      gather,
    )
  addPlaceFlags(vap).action(async (flags: GenerateVapFlags) => {
    const { runGenerateVap } = await import('./generate_vap_run.ts')
    end(await runGenerateVap(flags, io))
  })
}

function addWebhook(generate: Command, io: CommandIo, end: (code: ExitCode) => void): void {
  const configuration = generate
    .command('webhook')
    .description('print the ValidatingWebhookConfiguration')
    .option('--url <url>', 'where kube-apiserver reaches it, in place of a Service')
    .option('--ca-file <file>', 'PEM of what signed its certificate (default: the webhook writes it in)')
    .option('--cert-manager <namespace/name>', 'the Certificate whose CA cert-manager writes in')
    .option('--failure-policy <policy>', 'Fail, or Ignore: admit everything while nobody answers', 'Fail')
    .option('--timeout <seconds>', 'how long kube-apiserver waits, 1 to 30', '5')
    .option(
      '-n, --namespace <name>',
      'the only namespaces whose Modules are guarded (default: every one); repeatable',
      gather,
    )
  addPlaceFlags(configuration).action(async (flags: GenerateWebhookFlags) => {
    const { runGenerateWebhook } = await import('./generate_webhook_run.ts')
    end(await runGenerateWebhook(flags, io))
  })
}

/** What both name. */
function addPlaceFlags(command: Command): Command {
  return command
    .option('--name <name>', 'of the ValidatingWebhookConfiguration', 'sallyport-webhook')
    .option(
      '--service <namespace/name>',
      'the Service of the webhook, with [:port][/path]',
      'sallyport-system/sallyport-webhook',
    )
    .option(
      '--ledger-writer <user>',
      "who writes PublishedVersions (default: the webhook's ServiceAccount); repeatable",
      gather,
    )
}
