// WH-S4: OpenDepot's server hands out any Version object by its name, so a Version made by hand is a published version
// that no rule saw.
import { isForeign } from '#core/module/actor.ts'
import type { VersionCase } from '#core/module/version_case.ts'
import { quoted } from '#core/module/printable.ts'
import type { Finding } from '#core/module/verdict.ts'

export function createdVersion({ change, plain }: VersionCase): readonly Finding[] {
  if (change.operation !== 'CREATE' || !isForeign(change.user)) return []
  const message = `the Version ${quoted(change.name)} would be made by ${quoted(change.user.username)}, who is no controller`
  const wayOut = 'add the version to spec.versions of its Module'
  return [{ rule: 'WH-S4', kind: 'forbidden', path: '', message, wayOut, version: plain }]
}
