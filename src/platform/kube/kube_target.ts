// Where a kube-apiserver is and with which credentials: a kubeconfig, or the ServiceAccount of the Pod, as
// @kubernetes/client-node reads them (it is loaded when the first is). And how a failure to ask it is told.
import type { Cluster, KubeConfig, User } from '@kubernetes/client-node'
import { clip } from '#core/audit_event.ts'
import { isJsonObject } from '#core/claims.ts'
import type { JsonValue } from '#core/claims.ts'
import type { Result } from '#core/result.ts'
import type { ProcessEnv } from './exec_credential.ts'

export type KubeClientOptions = {
  /** A file; absent: KUBECONFIG, ~/.kube/config or the ServiceAccount of the pod, as kubectl does. */
  readonly kubeconfig: string | undefined
  /** The ServiceAccount of this Pod, whatever kubeconfig there is besides. */
  readonly inCluster?: boolean
  /** Absent: its current-context. */
  readonly context: string | undefined
  /** Of this process: what an exec plugin of the kubeconfig inherits. */
  readonly env: ProcessEnv
  /** Milliseconds for an exec plugin of the kubeconfig; a minute unless said. */
  readonly execTimeoutMs?: number
}

/** Where a client asks: said in every failure. */
export type KubePlace = { readonly kubeconfig: string; readonly context: string; readonly server: string }

/** One line for a person, with the place. It holds no credential. */
export type KubeFailure = {
  /** `network`: also an answer that is larger than is read, which isTooLarge tells. */
  readonly kind: 'kubeconfig' | 'network' | 'status' | 'unreadable'
  readonly isTooLarge?: boolean
  /** Of an answer that came. */
  readonly status: number | undefined
  readonly message: string
}

export type Asked<T> = Promise<Result<T, KubeFailure>>

export type KubeTarget = {
  readonly cluster: Cluster
  readonly user: User
  /** The kubeconfig's name for people, and the context that was chosen. */
  readonly file: string
  readonly context: string
  /** Of the context, or of the Pod; '' where neither says one. */
  readonly namespace: string
  /** Reads files that the two name anew: a token or a certificate may have been renewed. */
  readonly make: (cluster: Cluster, user: User) => KubeConfig
}

/** The context that loadFromDefault makes up, with http://localhost:8080, where there is neither a kubeconfig nor a Pod. */
const NO_KUBECONFIG = 'loaded-context'

/** Reads the kubeconfig; asks nobody. */
export async function readKubeTarget(options: KubeClientOptions): Asked<KubeTarget> {
  const { KubeConfig: Config } = await import('@kubernetes/client-node')
  const config = new Config()
  const inCluster = options.inCluster === true
  const file = inCluster ? 'the ServiceAccount of the Pod' : (options.kubeconfig ?? 'the default kubeconfig')
  if (inCluster && (options.env['KUBERNETES_SERVICE_HOST'] ?? '') === '')
    return kubeconfigFailure('this is no Pod of a cluster: KUBERNETES_SERVICE_HOST is not set')
  try {
    if (inCluster) config.loadFromCluster()
    else if (options.kubeconfig === undefined) config.loadFromDefault()
    else config.loadFromFile(options.kubeconfig)
    if (config.getCurrentContext() === NO_KUBECONFIG && options.kubeconfig === undefined && !inCluster)
      return kubeconfigFailure(
        'no kubeconfig found: name one with --kubeconfig, or set KUBECONFIG (~/.kube/config is not there)',
      )
    if (options.context !== undefined) config.setCurrentContext(options.context)
  } catch (error) {
    return kubeconfigFailure(`${file} cannot be read: ${textOf(error)}`)
  }
  const context = config.getCurrentContext()
  const chosen = config.getContextObject(context)
  if (chosen === null) {
    const names = config.getContexts().map(({ name }) => name)
    return kubeconfigFailure(
      `${file} has no context "${context}"; it has ${names.length === 0 ? 'none' : names.join(', ')}`,
    )
  }
  const cluster = config.getCurrentCluster()
  if (cluster === null)
    return kubeconfigFailure(`${file}: context "${context}" names a cluster that is not there`)
  if (!URL.canParse(cluster.server))
    return kubeconfigFailure(`${file}: the server of cluster "${cluster.name}" is no URL`)
  const make = (on: Cluster, user: User): KubeConfig => {
    const made = new Config()
    made.loadFromClusterAndUser(on, user)
    return made
  }
  // A user must be there, or the CA of the cluster is not used.
  const user = config.getCurrentUser() ?? { name: 'nobody' }
  const namespace = chosen.namespace?.trim() ?? ''
  return { ok: true, value: { cluster, user, file, context, namespace, make } }
}

/** The message of a Status object, as far as one came. */
export function messageOf(text: string): string {
  try {
    const value: JsonValue = JSON.parse(text)
    const message = isJsonObject(value) ? value['message'] : undefined
    return typeof message === 'string' ? `: ${clip(message)}` : ''
  } catch {
    // Not a Status: the number says enough.
    return ''
  }
}

export function networkText(error: unknown, timeoutMs: number): string {
  if (error instanceof Error && (error.name === 'TimeoutError' || error.name === 'AbortError'))
    return `no answer within ${timeoutMs / 1000} s`
  const text = textOf(error)
  const isTrust = /certificate|self-signed|altnames/i.test(text)
  return `it cannot be reached: ${text}${isTrust ? '; certificate-authority of the kubeconfig must be the CA that signed' : ''}`
}

export function textOf(error: unknown): string {
  return clip(error instanceof Error ? error.message : String(error))
}

function kubeconfigFailure(message: string): Result<never, KubeFailure> {
  return { ok: false, denial: { kind: 'kubeconfig', status: undefined, message } }
}

export function kubeFailure(
  kind: KubeFailure['kind'],
  { kubeconfig, context, server }: KubePlace,
  message: string,
  status?: number,
): Result<never, KubeFailure> {
  const where = `${server} (context "${context}" of ${kubeconfig})`
  return { ok: false, denial: { kind, status, message: `${where}: ${message}` } }
}
