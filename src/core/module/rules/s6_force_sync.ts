// WH-S6: forceSync fetches again, over what is there. Where the Module itself says `immutable: true`, OpenDepot compares the checksum
// before it stores anything. What a policy or the ledger holds OpenDepot knows nothing of: the archive would be another by the time
// WH-S2 refuses its checksum.
import { isForeign } from '#core/module/actor.ts'
import type { VersionCase } from '#core/module/version_case.ts'
import type { Finding } from '#core/module/verdict.ts'

export function forceSync(subject: VersionCase): readonly Finding[] {
  const { change, plain, ledger } = subject
  const isCompared = ledger.module?.config.immutable ?? change.old?.moduleConfig?.immutable ?? false
  const isAsked = change.new?.forceSync === true && change.old?.forceSync === false
  if (!isAsked || !isForeign(change.user) || isCompared) return []
  const message = `forceSync fetches version ${plain} again, and nothing keeps what is fetched the same`
  const isProvider = change.old?.type === 'Provider'
  const wayOut = isProvider ? 'leave it to the controller' : 'write immutable: true in the Module first'
  return [{ rule: 'WH-S6', kind: 'forbidden', path: 'spec.forceSync', message, wayOut, version: plain }]
}
