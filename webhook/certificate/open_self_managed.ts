// The self-managed certificate as `serve webhook` opens it: which names it is for, and how long one lasts.
import type { Clock } from '#core/clock.ts'
import type { KubeConnection } from '#platform/kube/kube_connection.ts'
import type { Log } from '#platform/log.ts'
import type { SelfManagedCertificate } from '../config/webhook_config.ts'
import { kubeCertificateObjects } from './kube_certificate_objects.ts'
import { openSelfManagedCertificate } from './self_managed.ts'
import type { CertificateSource } from './source.ts'

/** Ninety days, so that a rotation is an everyday thing: one each two months. */
const LIFETIME_SECONDS = 90 * 86_400

export type SelfManagedDeps = {
  /** Stays the caller's. */
  readonly connection: KubeConnection
  readonly clock: Clock
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>
}

/** Resolves with something to serve, also when the cluster refuses: then `missing` says what. */
export function openSelfManaged(
  names: SelfManagedCertificate,
  { connection, clock, log }: SelfManagedDeps,
): Promise<CertificateSource> {
  const host = `${names.service}.${names.namespace}.svc`
  const order = { hosts: [host, `${host}.cluster.local`], lifetimeSeconds: LIFETIME_SECONDS }
  const objects = kubeCertificateObjects(connection, names, log)
  return openSelfManagedCertificate({ objects, order, clock, log })
}
