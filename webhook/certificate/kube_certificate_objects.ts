// The Secret and the bundle in a real cluster. The bundle is written by server-side apply under a field manager of its own, and of
// the configuration nothing but the bundle: whoever keeps the rest in git owns the rest.
import { setTimeout as wait } from 'node:timers/promises'
import { isJsonObject } from '#core/claims.ts'
import type { JsonObject, JsonValue } from '#core/claims.ts'
import type { Result } from '#core/result.ts'
import type { KubeConnection } from '#platform/kube/kube_connection.ts'
import type { KubeFailure } from '#platform/kube/kube_target.ts'
import type { Log } from '#platform/log.ts'
import type { CertificateObjects, Written } from './certificate_objects.ts'

export type CertificateObjectNames = {
  readonly secret: string
  readonly namespace: string
  readonly webhookConfiguration: string
}

/** What Argo CD and others are told to leave alone (docs/webhook-install.md). */
const BUNDLE_FIELD_MANAGER = 'sallyport-webhook-certificate'

const ownLabels = { 'app.kubernetes.io/name': 'sallyport', 'app.kubernetes.io/component': 'webhook' }
/** The server ends a watch after this, so that one whose connection has died unnoticed ends, too. */
const watchSeconds = 290
const watchPauseMs = 5000

export function kubeCertificateObjects(
  connection: KubeConnection,
  names: CertificateObjectNames,
  log: Pick<Log, 'warn'>,
): CertificateObjects {
  const secrets = `/api/v1/namespaces/${encodeURIComponent(names.namespace)}/secrets`
  const secretPath = `${secrets}/${encodeURIComponent(names.secret)}`
  const configurations = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations'
  const configurationPath = `${configurations}/${encodeURIComponent(names.webhookConfiguration)}`
  /** Labels and type that somebody else gave it stay. */
  let lastSecret: JsonObject = {}
  return {
    async readSecret() {
      const answer = await connection.request({ method: 'GET', path: secretPath })
      if (!answer.ok) return absentOr(answer.denial)
      lastSecret = answer.value
      return { ok: true, value: { data: decoded(answer.value['data']), version: versionOf(answer.value) } }
    },
    async writeSecret(data, version) {
      const encoded = Object.fromEntries(Object.entries(data).map(([key, text]) => [key, base64(text)]))
      const metadata = { name: names.secret, namespace: names.namespace, labels: ownLabels }
      const fresh = { apiVersion: 'v1', kind: 'Secret', type: 'kubernetes.io/tls', metadata, data: encoded }
      const answer =
        version === undefined
          ? await connection.request({ method: 'POST', path: secrets, body: fresh })
          : await connection.request({
              method: 'PUT',
              path: secretPath,
              body: { ...lastSecret, data: encoded },
            })
      return writtenOr(answer)
    },
    async readBundles() {
      const answer = await connection.request({ method: 'GET', path: configurationPath })
      if (!answer.ok) return absentOr(answer.denial)
      return { ok: true, value: { bundles: bundlesIn(answer.value), version: versionOf(answer.value) } }
    },
    async writeBundle(bundle, { bundles, version }) {
      const caBundle = base64(bundle)
      const answer = await connection.request({
        method: 'PATCH',
        path: `${configurationPath}?fieldManager=${BUNDLE_FIELD_MANAGER}&force=true`,
        contentType: 'application/apply-patch+yaml',
        body: {
          apiVersion: 'admissionregistration.k8s.io/v1',
          kind: 'ValidatingWebhookConfiguration',
          // With the version nothing is created that was deleted meanwhile, and no webhook is invented.
          metadata: { name: names.webhookConfiguration, resourceVersion: version },
          webhooks: [...bundles.keys()].map((name) => ({ name, clientConfig: { caBundle } })),
        },
      })
      return writtenOr(answer)
    },
    watch(changed) {
      const ended = new AbortController()
      for (const path of [
        watchOf(secrets, names.secret),
        watchOf(configurations, names.webhookConfiguration),
      ])
        void follow(path, changed, ended.signal)
      return () => ended.abort()
    },
  }

  /** A watch is a hint: what it misses, the look of every half minute sees. */
  async function follow(path: string, changed: () => void, signal: AbortSignal): Promise<void> {
    let told: string | undefined
    while (!signal.aborted) {
      const limit = AbortSignal.timeout((watchSeconds + 20) * 1000)
      const answer = await connection.stream({
        path,
        signal: AbortSignal.any([signal, limit]),
        onOpen: () => (told = undefined),
        onBytes: () => undefined,
        onLine: changed,
      })
      if (signal.aborted) return
      const problem = answer.ok ? undefined : answer.denial
      if (problem?.kind === 'status' && problem.message !== told) {
        told = problem.message
        log.warn({ problem: told }, 'certificate: changes are seen every half minute only')
      }
      await wait(watchPauseMs, undefined, { ref: false })
    }
  }
}

function watchOf(collection: string, name: string): string {
  const field = encodeURIComponent(`metadata.name=${name}`)
  return `${collection}?watch=1&fieldSelector=${field}&timeoutSeconds=${watchSeconds}`
}

function absentOr({ status, message }: KubeFailure): Result<undefined, string> {
  return status === 404 ? { ok: true, value: undefined } : { ok: false, denial: message }
}

/** 409: another version, or it exists by now. 404: deleted since it was read. */
function writtenOr(
  answer: Result<JsonObject, KubeFailure>,
  conflicts: readonly number[] = [409, 404],
): Result<Written, string> {
  if (answer.ok) return { ok: true, value: 'written' }
  const { status, message } = answer.denial
  return status !== undefined && conflicts.includes(status)
    ? { ok: true, value: 'conflict' }
    : { ok: false, denial: message }
}

function bundlesIn(configuration: JsonObject): ReadonlyMap<string, string> {
  const webhooks = configuration['webhooks']
  const found = new Map<string, string>()
  for (const webhook of Array.isArray(webhooks) ? webhooks : []) {
    if (!isJsonObject(webhook) || typeof webhook['name'] !== 'string') continue
    const client = webhook['clientConfig']
    const bundle = isJsonObject(client) ? client['caBundle'] : undefined
    found.set(webhook['name'], typeof bundle === 'string' ? fromBase64(bundle) : '')
  }
  return found
}

function decoded(data: JsonValue | undefined): Readonly<Record<string, string>> {
  if (!isJsonObject(data)) return {}
  return Object.fromEntries(
    Object.entries(data).flatMap(([key, text]) =>
      typeof text === 'string' ? [[key, fromBase64(text)]] : [],
    ),
  )
}

function versionOf(object: JsonObject): string {
  const metadata = object['metadata']
  const version = isJsonObject(metadata) ? metadata['resourceVersion'] : undefined
  return typeof version === 'string' ? version : ''
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}

function fromBase64(text: string): string {
  return Buffer.from(text, 'base64').toString('utf8')
}
