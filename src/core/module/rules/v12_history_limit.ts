// WH-V12: versionHistoryLimit prunes, so it has no place on what never changes; and OpenDepot's controller crashes on a
// limit above the number of versions.
import { isFieldTouched } from '#core/module/module_case.ts'
import type { ModuleCase } from '#core/module/module_case.ts'
import type { Finding } from '#core/module/verdict.ts'

const PATH = 'spec.moduleConfig.versionHistoryLimit'

export function historyLimit(subject: ModuleCase): readonly Finding[] {
  const { change } = subject
  const limit = change.new?.config.versionHistoryLimit ?? 0
  if (change.new === undefined || limit <= 0) return []
  if (subject.isImmutable) return wouldPrune(subject, limit) ? [pruning(limit)] : []
  const count = change.new.versions.length
  const isTouched = isFieldTouched(change, (config) => config.versionHistoryLimit)
  const isShrunk = count < (change.old?.versions.length ?? count)
  if (limit <= count || !(isTouched || isShrunk)) return []
  const message = `versionHistoryLimit ${limit} is above the ${count} versions listed, and OpenDepot's controller crashes on that`
  const wayOut = `leave versionHistoryLimit out until there are ${limit} versions`
  return [{ rule: 'WH-V12', kind: 'invalid', path: PATH, message, wayOut }]
}

/** New, lower than it was, or there when the Module becomes immutable. */
function wouldPrune({ change, policy }: ModuleCase, limit: number): boolean {
  const before = change.old?.config
  const wasImmutable = before?.immutable === true || policy?.immutability === 'required'
  const was = before?.versionHistoryLimit ?? 0
  return !wasImmutable || was <= 0 || limit < was
}

function pruning(limit: number): Finding {
  return {
    rule: 'WH-V12',
    kind: 'invalid',
    path: PATH,
    message: `versionHistoryLimit ${limit} takes published versions away, and this Module is immutable`,
    wayOut: 'remove versionHistoryLimit',
  }
}
