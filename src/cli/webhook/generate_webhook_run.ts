// Prints the ValidatingWebhookConfiguration, and says what an unusual one costs.
import { X509Certificate } from 'node:crypto'
import { webhookConfiguration } from '#core/module/generate/webhook_configuration.ts'
import type { ServiceTarget } from '#core/module/generate/webhook_configuration.ts'
import type { Result } from '#core/result.ts'
import { EXIT } from '../command.ts'
import type { CommandIo, ExitCode } from '../command.ts'
import { InputFailure } from '../input_failure.ts'
import { readInput } from '../secret_input.ts'
import { shownFile } from '../shown_input.ts'
import type { GenerateWebhookFlags } from './generate.ts'
import { printManifests } from './manifests.ts'
import { isObjectName, ledgerWriters, readService } from './service_flag.ts'

/** Exit codes: ok, denied for a file that is no good, usage. */
export async function runGenerateWebhook(flags: GenerateWebhookFlags, io: CommandIo): Promise<ExitCode> {
  const read = readFlags(flags)
  if (!read.ok) return refuse(read.denial, EXIT.usage, io)
  const ca = await readCa(flags.caFile, io)
  if (!ca.ok) return refuse(ca.denial, EXIT.denied, io)
  const { target, service, failurePolicy, timeoutSeconds } = read.value
  if (failurePolicy === 'Ignore') io.stderr.write(IGNORE_WARNING)
  if (flags.namespace !== undefined) io.stderr.write(NAMESPACES_WARNING)
  if (flags.url !== undefined && flags.ledgerWriter === undefined) io.stderr.write(WRITER_WARNING)
  const object = webhookConfiguration({
    name: flags.name,
    target,
    caPem: ca.value,
    certManager: flags.certManager,
    failurePolicy,
    timeoutSeconds,
    ledgerWriters: ledgerWriters(flags, service),
    namespaces: flags.namespace ?? [],
  })
  io.stdout.write(
    printManifests([`Made by \`sallyport webhook generate webhook\`. ${caComment(flags)}`], [object]),
  )
  return EXIT.ok
}

const IGNORE_WARNING = `warning: with failurePolicy Ignore everything is admitted while the webhook does not answer, and nobody is told
    -> for the first days alone; sallyport webhook generate vap keeps the rules that need no ledger meanwhile
`

const NAMESPACES_WARNING = `warning: in every other namespace anything goes, a Module of a name that a guarded one has, too, and OpenDepot finds it in any
    -> for the first days, or where nobody else may create Modules
`

const WRITER_WARNING = `warning: a webhook behind --url has no ServiceAccount that is called like its Service, so it would be asked about its own entries
of the ledger before it is ready to answer, and never be; the policies of generate vap refuse them always
    -> --ledger-writer USER here and for generate vap: kubectl auth whoami --kubeconfig FILE, with the kubeconfig of the webhook
`

function refuse(message: string, code: ExitCode, io: CommandIo): ExitCode {
  const help = code === EXIT.usage ? ' (see sallyport webhook generate webhook --help)' : ''
  io.stderr.write(`error: ${message}${help}\n`)
  return code
}

type Read = {
  readonly target: ServiceTarget | { readonly url: string }
  readonly service: ServiceTarget
  readonly failurePolicy: 'Fail' | 'Ignore'
  readonly timeoutSeconds: number
}

function readFlags(flags: GenerateWebhookFlags): Result<Read, string> {
  const { name, url, failurePolicy, timeout, caFile, certManager } = flags
  const service = readService(flags.service)
  if (!service.ok) return service
  if (!isObjectName(name)) return deny('--name is no name of an object: lower case letters, digits, - and .')
  if (url !== undefined && !isWebhookUrl(url)) {
    return deny(
      '--url is no https address without user, query and fragment, which is all that kube-apiserver takes',
    )
  }
  if (failurePolicy !== 'Fail' && failurePolicy !== 'Ignore')
    return deny('--failure-policy is Fail or Ignore')
  if (!/^([1-9]|[12][0-9]|30)$/.test(timeout)) return deny('--timeout is not 1 to 30 (seconds)')
  if (flags.namespace?.some((namespace) => !isNamespaceName(namespace)) === true) {
    return deny('--namespace is no name of a namespace: lower case letters, digits and -, 63 at most')
  }
  if (caFile !== undefined && certManager !== undefined) {
    return deny('--ca-file and --cert-manager are both given: one of them writes the CA')
  }
  const [namespace = '', certificate = '', ...rest] = (certManager ?? 'x/x').split('/')
  if (rest.length > 0 || !isObjectName(namespace) || !isObjectName(certificate)) {
    return deny('--cert-manager is no namespace/name of a Certificate')
  }
  const target = url === undefined ? service.value : { url }
  return {
    ok: true,
    value: { target, service: service.value, failurePolicy, timeoutSeconds: Number(timeout) },
  }
}

function deny(denial: string): Result<never, string> {
  return { ok: false, denial }
}

function isNamespaceName(text: string): boolean {
  return /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/.test(text)
}

/** As kube-apiserver validates it (Kubernetes 1.36). */
function isWebhookUrl(text: string): boolean {
  const url = URL.parse(text)
  if (url === null || url.protocol !== 'https:' || url.host === '') return false
  return url.username === '' && url.password === '' && !/[?#]/.test(text)
}

/** Every certificate of the file; kube-apiserver refuses the whole object for one that it cannot read. */
async function readCa(file: string | undefined, io: CommandIo): Promise<Result<string | undefined, string>> {
  if (file === undefined) return { ok: true, value: undefined }
  try {
    const text = await readInput(file, io)
    const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
    // One that is broken throws.
    const certificates = blocks.map((block) => new X509Certificate(block).toString())
    if (certificates.length > 0) return { ok: true, value: certificates.join('') }
  } catch (error) {
    if (error instanceof InputFailure) return deny(error.message)
  }
  return deny(`${shownFile(file) ?? 'the named file'} holds no certificate in PEM that can be read`)
}

function caComment({ caFile, certManager }: GenerateWebhookFlags): string {
  if (caFile !== undefined)
    return 'The CA is that of the file; a new one is applied before the certificate changes.'
  if (certManager !== undefined) return 'cert-manager writes the CA in.'
  return 'The webhook writes its CA in; until it has, nothing is admitted.'
}
