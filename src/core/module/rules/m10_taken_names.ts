// WH-M10: one name, one owner. OpenDepot finds Versions by name and label alone, so a second owner replaces or deletes
// what the first one published.
import { configName, isFieldTouched } from '#core/module/module_case.ts'
import type { ListCase } from '#core/module/module_case.ts'
import type { ModuleObject, ProviderObject } from '#core/module/module_object.ts'
import { listed, quoted } from '#core/module/printable.ts'
import type { Finding } from '#core/module/verdict.ts'
import type { VersionChanges } from '#core/module/version_changes.ts'
import { providerVersionObjectName, versionObjectName } from '#core/module/version_identity.ts'
import type { VersionIdentity } from '#core/module/version_identity.ts'
import { MAX_PLATFORMS } from '#core/module/listing_bounds.ts'

export function takenNames(subject: ListCase): readonly Finding[] {
  return [...moduleName(subject), ...versionNames(subject)]
}

function moduleName({ change, ledger }: ListCase): readonly Finding[] {
  const { namesakes } = ledger
  if (namesakes.length === 0 || !isFieldTouched(change, (config) => config.name)) return []
  const message = `this name belongs to ${listed(namesakes, 3, quoted)}; OpenDepot looks in every namespace`
  return [
    { rule: 'WH-M10', kind: 'forbidden', path: 'metadata.name', message, wayOut: 'choose another name' },
  ]
}

function versionNames({ change, ledger, versions }: ListCase): readonly Finding[] {
  const { new: after } = change
  if (after === undefined || versions.added.length === 0) return []
  const own = ownNames(versions, configName(after))
  const namesOf = objectNames(after)
  return versions.added.flatMap(({ index, plain }) => {
    const rival = own.get(versionObjectName(configName(after), plain))
    const names = namesOf(plain)
    const taken = names.find((objectName) => ledger.versionNameOwner(objectName) !== undefined)
    if (taken === undefined && (rival === undefined || rival === plain)) return []
    const name = taken ?? names[0] ?? ''
    const owner = taken === undefined ? undefined : ledger.versionNameOwner(taken)
    const whose = owner === undefined ? `of version ${rival ?? ''} here` : `of ${quoted(owner)}`
    const message = `version ${plain} would be the object ${quoted(name)}, which is the name ${whose}`
    const wayOut = 'choose a version whose name is free: letters count without case, and . and _ become -'
    return [
      { rule: 'WH-M10', kind: 'forbidden', path: `spec.versions[${index}]`, message, wayOut, version: plain },
    ]
  })
}

/**
 * What the Version objects that OpenDepot makes of a plain version are called: of a Provider's for as many platforms as WH-V11 lets it
 * have.
 */
export function objectNames(after: ModuleObject | ProviderObject): (plain: string) => readonly string[] {
  const name = configName(after)
  if (after.kind === 'Module') return (plain) => [versionObjectName(name, plain)]
  const platforms: (readonly [system: string, architecture: string])[] = []
  for (const system of after.config.operatingSystems) {
    if (platforms.length >= MAX_PLATFORMS) break
    for (const architecture of after.config.architectures.slice(0, MAX_PLATFORMS - platforms.length))
      platforms.push([system, architecture])
  }
  return (plain) =>
    platforms.map(([system, architecture]) => providerVersionObjectName(name, plain, system, architecture))
}

/**
 * Name -> the version of this Module that had it first: what is stored comes before what is added. Only pre-releases: three
 * numbers make a name that no other version has.
 */
function ownNames(versions: VersionChanges, name: string): ReadonlyMap<string, string> {
  const names = new Map<string, string>()
  const fresh = versions.added.map(({ identity }) => identity)
  if (!fresh.some(isPrerelease)) return names
  for (const identity of [...versions.before.values(), ...fresh]) {
    if (!isPrerelease(identity)) continue
    const objectName = versionObjectName(name, identity.plain)
    if (!names.has(objectName)) names.set(objectName, identity.plain)
  }
  return names
}

function isPrerelease({ prerelease }: VersionIdentity): boolean {
  return prerelease.length > 0
}
