// WH-M2 of a Provider: which provider was mirrored, from whose namespace and for which platforms, stays. OpenDepot deletes the
// archives of a platform that leaves its lists.
import { brokenBy, migrateReason, MIGRATE_ANNOTATION } from '#core/module/break_glass.ts'
import { configName, heldKind, isAnythingPublished, isAnyVersionHeld } from '#core/module/module_case.ts'
import type { ProviderCase } from '#core/module/module_case.ts'
import type { ProviderObject } from '#core/module/module_object.ts'
import { listed, quoted } from '#core/module/printable.ts'
import type { Finding } from '#core/module/verdict.ts'

export function otherUpstream(subject: ProviderCase): readonly Finding[] {
  const { old: before, new: after } = subject.change
  if (before === undefined || after === undefined || !isAnythingPublished(subject)) return []
  const isHeld = isAnyVersionHeld(subject)
  const reason = isHeld ? migrateReason(subject.change) : undefined
  const kind = heldKind(isHeld && reason === undefined)
  return differences(before, after).flatMap(([field, difference]) => {
    const path = `spec.providerConfig.${field}`
    const message = `providerConfig.${field} ${difference}${reason === undefined ? '' : `: migrated (${quoted(reason)})`}`
    const wayOut = kind === 'notice' ? '' : WAY_OUT
    return [{ rule: 'WH-M2', kind, path, message, wayOut, ...brokenBy('migrate', reason, [path]) }]
  })
}

const WAY_OUT = `mirror another provider under another Provider; to move this one: annotation ${MIGRATE_ANNOTATION}="<reason>" in the same request, and the verb migrate on it`

type Difference = readonly [field: string, difference: string]

/** By field, with what became of it. */
export function differences(before: ProviderObject, after: ProviderObject): readonly Difference[] {
  return [
    ...changed('name', configName(before), configName(after)),
    ...changed('namespace', upstreamNamespace(before), upstreamNamespace(after)),
    ...lost('operatingSystem', before, after),
    ...lost('architecture', before, after),
  ]
}

function upstreamNamespace({ config }: ProviderObject): string {
  return config.namespace === '' ? 'hashicorp' : config.namespace
}

function changed(field: string, was: string, becomes: string): readonly Difference[] {
  if (was === becomes) return []
  return [[field, `is ${quoted(was)} since versions were published, and would become ${quoted(becomes)}`]]
}

/** Of what a watch kept of a list that becomes longer than it keeps, nobody can say what is not in it: a review has all of it. */
function lost(
  entry: 'operatingSystem' | 'architecture',
  before: ProviderObject,
  after: ProviderObject,
): readonly Difference[] {
  const field = `${entry}s` as const
  const [was, becomes] = [before.config[field], after.config[field]]
  if (after.config[`${entry}Count`] > becomes.length) return []
  const kept = new Set(becomes)
  const gone = was.filter((platform) => !kept.has(platform))
  if (gone.length === 0) return []
  return [[field, `would no longer have ${listed(gone, 3, quoted)}, for which versions were published`]]
}
