// WH-V12: versionHistoryLimit prunes, so it has no place on what never changes; and OpenDepot's controller crashes on a
// limit above the number of versions.
import { configPath, isFieldTouched, kindName } from '#core/module/module_case.ts'
import type { ListCase } from '#core/module/module_case.ts'
import type { Finding } from '#core/module/verdict.ts'

export function historyLimit(subject: ListCase): readonly Finding[] {
  const { change } = subject
  const limit = change.new?.config.versionHistoryLimit ?? 0
  if (change.new === undefined || limit <= 0) return []
  if (subject.isImmutable) return wouldPrune(subject, limit) ? [pruning(subject, limit)] : []
  const count = change.new.versions.length
  const isTouched = isFieldTouched(change, (config) => config.versionHistoryLimit)
  const isShrunk = count < (change.old?.versions.length ?? count)
  if (limit <= count || !(isTouched || isShrunk)) return []
  const message = `versionHistoryLimit ${limit} is above the ${count} versions listed, and OpenDepot's controller crashes on that`
  const wayOut = `leave versionHistoryLimit out until there are ${limit} versions`
  return [{ rule: 'WH-V12', kind: 'invalid', path: pathOf(subject), message, wayOut }]
}

/** New, lower than it was, or there when the Module becomes immutable. */
function wouldPrune({ change, policy }: ListCase, limit: number): boolean {
  const saidSo = change.resource === 'modules' && change.old?.config.immutable === true
  const wasImmutable = saidSo || policy?.immutability === 'required'
  const was = change.old?.config.versionHistoryLimit ?? 0
  return !wasImmutable || was <= 0 || limit < was
}

function pathOf({ change }: ListCase): string {
  return `${configPath(change)}.versionHistoryLimit`
}

function pruning(subject: ListCase, limit: number): Finding {
  return {
    rule: 'WH-V12',
    kind: 'invalid',
    path: pathOf(subject),
    message: `versionHistoryLimit ${limit} takes published versions away, and this ${kindName(subject.change)} is immutable`,
    wayOut: 'remove versionHistoryLimit',
  }
}
