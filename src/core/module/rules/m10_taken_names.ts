// WH-M10: one name, one owner. OpenDepot finds Versions by name and label alone, so a second owner replaces or deletes
// what the first one published.
import { configName, isFieldTouched } from '#core/module/module_case.ts'
import type { ModuleCase } from '#core/module/module_case.ts'
import { listed, quoted } from '#core/module/printable.ts'
import type { Finding } from '#core/module/verdict.ts'
import type { VersionChanges } from '#core/module/version_changes.ts'
import { versionObjectName } from '#core/module/version_identity.ts'

export function takenNames(subject: ModuleCase): readonly Finding[] {
  return [...moduleName(subject), ...versionNames(subject)]
}

function moduleName({ change, ledger }: ModuleCase): readonly Finding[] {
  const { namesakes } = ledger
  if (namesakes.length === 0 || !isFieldTouched(change, (config) => config.name)) return []
  const message = `this name belongs to ${listed(namesakes.map(quoted), 3)}; OpenDepot looks in every namespace`
  return [
    { rule: 'WH-M10', kind: 'forbidden', path: 'metadata.name', message, wayOut: 'choose another name' },
  ]
}

function versionNames({ change, ledger, versions }: ModuleCase): readonly Finding[] {
  const { new: after } = change
  if (after === undefined || versions.added.length === 0) return []
  const module = configName(after)
  const own = ownNames(versions, module)
  return versions.added.flatMap(({ index, plain }) => {
    const name = versionObjectName(module, plain)
    const rival = own.get(name)
    const owner = ledger.versionNameOwner(name)
    if (owner === undefined && (rival === undefined || rival === plain)) return []
    const whose = owner === undefined ? `of version ${rival ?? ''} here` : `of ${quoted(owner)}`
    const message = `version ${plain} would be the object ${quoted(name)}, which is the name ${whose}`
    const wayOut = 'choose a version whose name is free: letters count without case, and . and _ become -'
    return [
      { rule: 'WH-M10', kind: 'forbidden', path: `spec.versions[${index}]`, message, wayOut, version: plain },
    ]
  })
}

/** Name -> the version of this Module that had it first: what is stored comes before what is added. */
function ownNames({ before, added }: VersionChanges, name: string): ReadonlyMap<string, string> {
  const names = new Map<string, string>()
  for (const plain of [...before.keys(), ...added.map(({ plain: fresh }) => fresh)]) {
    const objectName = versionObjectName(name, plain)
    if (!names.has(objectName)) names.set(objectName, plain)
  }
  return names
}
