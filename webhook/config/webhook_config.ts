// The resolved configuration of the webhook: defaults filled, durations in seconds, paths absolute. Nothing but the loader sees what an
// operator wrote.
import type { LogOptions } from '#platform/log.ts'

export type WebhookConfig = {
  /** `undefined`: every address. */
  readonly host: string | undefined
  readonly port: number
  readonly certificate: FileCertificate | SelfManagedCertificate
  /** Networks and addresses that are let in; `undefined`: every one. */
  readonly allowFrom: readonly string[] | undefined
  readonly clients: { readonly caFile: string; readonly names: readonly string[] } | undefined
  readonly ops: { readonly host: string | undefined; readonly port: number } | undefined
  readonly kubeconfig: string | undefined
  readonly context: string | undefined
  readonly log: LogOptions
  readonly audit: { readonly destination: string }
  readonly scan: { readonly intervalSeconds: number; readonly reports: boolean }
  readonly limits: {
    readonly maxConcurrentReviews: number
    readonly bodyTimeoutSeconds: number
    readonly drainSeconds: number
  }
}

type FileCertificate = { readonly kind: 'files'; readonly certFile: string; readonly keyFile: string }

export type SelfManagedCertificate = {
  readonly kind: 'selfManaged'
  readonly secret: string
  /** Of the Secret and of the Service. */
  readonly namespace: string
  readonly service: string
  readonly webhookConfiguration: string
}

type Admission = {
  readonly allowFrom: readonly string[] | undefined
  readonly clients: object | undefined
}

/**
 * Whether whoever reaches the port is taken for kube-apiserver. What a review says of who asks is then worth nothing for good: anybody
 * can have sent it.
 */
export function isPortOpen({ allowFrom, clients }: Admission): boolean {
  return allowFrom === undefined && clients === undefined
}
