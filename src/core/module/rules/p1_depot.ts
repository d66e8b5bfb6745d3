// WH-P1 of a Depot: its controller publishes what it names, so who writes it publishes. No pipeline of a single repository does.
import { isController } from '#core/module/actor.ts'
import type { DepotChange } from '#core/module/change.ts'
import { quoted } from '#core/module/printable.ts'
import { isSameValue } from '#core/module/reading.ts'
import type { Finding } from '#core/module/verdict.ts'

export function depotAuthor({ old: before, new: after, user }: DepotChange): readonly Finding[] {
  const isTrusted =
    isController(user) || user.kind === 'unknown' || (user.isListed && user.kind !== 'importer')
  if (isTrusted || after === undefined || isSameValue(before?.spec, after.spec)) return []
  const message = `a Depot publishes whatever it names, and it may not be written by ${quoted(user.username)}`
  const wayOut = 'have the ModulePolicy list this identity under gitops or human'
  return [{ rule: 'WH-P1', kind: 'forbidden', path: 'spec', message, wayOut }]
}
