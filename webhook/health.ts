// When the webhook is ready: it knows what the cluster holds, its ledger and its events are written, its certificate would be trusted, and it does not
// end. Each says what is missing; a policy that cannot be read is told, too, and one that an open port takes something from.
import type { AuditSink } from '#platform/audit_sink.ts'
import type { AdmissionEvent } from '#core/module/admission_event.ts'
import { pinningPolicies } from '#core/module/pinning_policies.ts'
import type { Check } from '#platform/http/ops_app.ts'
import type { CertificateSource } from './certificate/source.ts'
import type { ClusterPort } from './judge/cluster_port.ts'

export type HealthParts = {
  readonly cluster: Pick<ClusterPort, 'unsynced' | 'troubles' | 'ledgerTrouble' | 'policies'>
  readonly audit: Pick<AuditSink<AdmissionEvent>, 'failure'>
  readonly certificate: Pick<CertificateSource, 'missing'>
  /** Whoever reaches the port is taken for kube-apiserver. */
  readonly isOpen: boolean
  readonly isDraining: () => boolean
}

/** Policies that are told of in one answer. */
const MAX_TOLD = 5

export function webhookChecks({
  cluster,
  audit,
  certificate,
  isOpen,
  isDraining,
}: HealthParts): readonly Check[] {
  const unsynced = cluster.unsynced()
  const ledger = cluster.ledgerTrouble()
  const troubles = cluster.troubles()
  const auditFailure = audit.failure()
  const distrust = certificate.missing()
  return [
    {
      name: 'watches',
      ok: unsynced.length === 0,
      detail: unsynced.length === 0 ? 'in sync' : `not in sync: ${unsynced.join(', ')}`,
      isRequired: true,
    },
    {
      name: 'policies',
      ok: troubles.length === 0,
      detail: troubles.length === 0 ? 'are read' : troubles.slice(0, MAX_TOLD).join('; '),
      // The others hold; who wrote this one has to mend it.
      isRequired: false,
    },
    {
      name: 'ledger',
      ok: ledger === undefined,
      detail: ledger?.why ?? 'is fed and written',
      // Reviews are judged by what is listed and in memory, too; not for long, since the process may end.
      isRequired: ledger?.isMissing === true,
    },
    publisherCheck(isOpen ? pinningPolicies(cluster.policies()) : []),
    { name: 'audit', ok: auditFailure === undefined, detail: auditFailure ?? 'is written', isRequired: true },
    {
      name: 'certificate',
      ok: distrust === undefined,
      detail: distrust ?? 'is served',
      isRequired: true,
    },
    {
      name: 'draining',
      ok: !isDraining(),
      detail: isDraining() ? 'it ends' : 'no',
      isRequired: true,
    },
  ]
}

function publisherCheck(unpinned: readonly string[]): Check {
  const names = unpinned.slice(0, MAX_TOLD).join(', ')
  const rest = unpinned.length > MAX_TOLD ? ` and ${unpinned.length - MAX_TOLD} more` : ''
  return {
    name: 'publishers',
    ok: unpinned.length === 0,
    detail:
      unpinned.length === 0
        ? 'are known by their id'
        : `the port is open, so that no first publisher is pinned: set listen.allowFrom or listen.clientCaFile, or list ids under publishers in ${names}${rest}`,
    // Who publishes is judged by the rest that the token says.
    isRequired: false,
  }
}
