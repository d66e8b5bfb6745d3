// WH-S6: forceSync fetches again, over what is there. On what is immutable the checksum still decides (WH-S2).
import { isForeign } from '#core/module/actor.ts'
import { isVersionObjectHeld } from '#core/module/version_case.ts'
import type { VersionCase } from '#core/module/version_case.ts'
import type { Finding } from '#core/module/verdict.ts'

export function forceSync(subject: VersionCase): readonly Finding[] {
  const { change, plain } = subject
  const isAsked = change.new?.forceSync === true && change.old?.forceSync === false
  if (!isAsked || !isForeign(change.user) || isVersionObjectHeld(subject)) return []
  const message = `forceSync fetches version ${plain} again, and nothing keeps what is fetched the same`
  const wayOut = 'write immutable: true in the Module first'
  return [{ rule: 'WH-S6', kind: 'forbidden', path: 'spec.forceSync', message, wayOut, version: plain }]
}
