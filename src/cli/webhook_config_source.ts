// sallyport-webhook.yaml on this machine: what `serve webhook` and `config check` load it with.
import { existsSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { WebhookConfigEnv } from '../../webhook/config/read_config.ts'
import { fileMode } from './config_source.ts'

export const WEBHOOK_FILE = 'sallyport-webhook.yaml'

/** Where a Pod finds its own namespace. */
const POD_NAMESPACE_FILE = '/var/run/secrets/kubernetes.io/serviceaccount/namespace'

/** @param file absolute: relative paths in it start from its folder */
export function webhookConfigEnv(file: string): WebhookConfigEnv {
  return {
    readFile: (path) => readFileSync(path, 'utf8'),
    fileMode,
    baseDir: dirname(file),
    podNamespace: existsSync(POD_NAMESPACE_FILE)
      ? readFileSync(POD_NAMESPACE_FILE, 'utf8').trim()
      : undefined,
  }
}
