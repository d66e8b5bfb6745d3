// `sallyport config check` of the webhook's file: told from the broker's by its keys, and loaded with the loader of `serve webhook`.
import { basename } from 'node:path'
import { isJsonObject } from '#core/claims.ts'
import type { Finding } from '#platform/config/finding.ts'
import { readYaml } from '#platform/config/yaml_document.ts'
import { SallyportSchema } from '../broker/config/schema.ts'
import { loadWebhookConfig } from '../../webhook/config/read_config.ts'
import { ListenSchema, WebhookSchema } from '../../webhook/config/schema.ts'
import type { WebhookConfig } from '../../webhook/config/webhook_config.ts'
import { WEBHOOK_FILE, webhookConfigEnv } from './webhook_config_source.ts'

export type WebhookCheck = {
  readonly findings: readonly Finding[]
  /** `undefined` where it would not be served. */
  readonly summary: string | undefined
}

/** What a Pod of deploy/webhook is in. */
const USUAL_NAMESPACE = 'sallyport-system'

/**
 * `undefined`: it is not the webhook's.
 * @param place absolute name of the file, or where a text from standard input shall lie
 * @param shown name in places
 */
export function checkWebhookConfig(text: string, place: string, shown: string): WebhookCheck | undefined {
  if (!isWebhookFile(basename(place), text)) return undefined
  const env = webhookConfigEnv(place)
  // Most of these files are made for a Pod, and checked elsewhere.
  const inPod = { ...env, podNamespace: env.podNamespace ?? USUAL_NAMESPACE }
  const { config, findings } = loadWebhookConfig(shown, text, inPod)
  if (config === undefined) return { findings, summary: undefined }
  const isForPod = loadWebhookConfig(shown, text, { ...env, podNamespace: undefined }).config === undefined
  return { findings, summary: summaryOf(config, isForPod) }
}

/** By its name, or by a key that the broker's file does not have; a file with an issuer is the broker's. */
function isWebhookFile(name: string, text: string): boolean {
  const data = readYaml(name, text).documents[0]?.data
  if (!isJsonObject(data)) return name === WEBHOOK_FILE
  if (data['issuer'] !== undefined) return false
  const { listen } = data
  const inListen = isJsonObject(listen) ? Object.keys(listen) : []
  return name === WEBHOOK_FILE || Object.keys(data).some(isOwnKey) || inListen.some(isOwnListenKey)
}

function isOwnKey(key: string): boolean {
  return key in WebhookSchema.properties && !(key in SallyportSchema.properties)
}

function isOwnListenKey(key: string): boolean {
  return key in ListenSchema.properties && !(key in SallyportSchema.properties.listen.properties)
}

function summaryOf({ port, certificate }: WebhookConfig, isForPod: boolean): string {
  const kept =
    certificate.kind === 'files'
      ? 'a certificate from files'
      : `a certificate of its own keeping in the Secret ${certificate.secret}`
  const where = isForPod ? ', in a Pod (elsewhere it needs listen.tls)' : ''
  return `OK: the webhook on port ${port} with ${kept}${where}.`
}
