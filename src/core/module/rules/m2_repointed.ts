// WH-M2: where published versions come from and what they are called stays.
import { brokenBy, migrateReason, MIGRATE_ANNOTATION } from '#core/module/break_glass.ts'
import { configName, heldKind, isAnythingPublished, isAnyVersionHeld } from '#core/module/module_case.ts'
import type { ModuleCase } from '#core/module/module_case.ts'
import type { ModuleObject } from '#core/module/module_object.ts'
import { quoted, withoutLogin } from '#core/module/printable.ts'
import type { Finding } from '#core/module/verdict.ts'

const FIELDS: readonly (readonly [field: string, read: (module: ModuleObject) => string])[] = [
  ['name', configName],
  ['provider', (module) => module.config.provider],
  ['repoOwner', (module) => module.config.repoOwner],
  ['repoUrl', (module) => module.config.repoUrl],
  ['fileFormat', (module) => module.config.fileFormat],
]

export function repointed(subject: ModuleCase): readonly Finding[] {
  const { old: before, new: after } = subject.change
  if (before === undefined || after === undefined || !isAnythingPublished(subject)) return []
  const isHeld = isAnyVersionHeld(subject)
  const reason = isHeld ? migrateReason(subject.change) : undefined
  return repointings(before, after).flatMap(({ field, was, becomes }) => {
    const message = `moduleConfig.${field} is ${shown(was)} since versions were published, and would become ${shown(becomes)}`
    const told = reason === undefined ? message : `${message}: migrated (${quoted(reason)})`
    const kind = heldKind(isHeld && reason === undefined)
    const path = `spec.moduleConfig.${field}`
    const wayOut = kind === 'notice' ? '' : WAY_OUT
    const broken = brokenBy('migrate', reason, [path])
    return [{ rule: 'WH-M2', kind, path, message: told, wayOut, ...broken }]
  })
}

type Repointing = { readonly field: string; readonly was: string; readonly becomes: string }

export function repointings(before: ModuleObject, after: ModuleObject): readonly Repointing[] {
  return FIELDS.flatMap(([field, read]) => {
    const [was, becomes] = [read(before), read(after)]
    // Nothing was ever fetched without a format: OpenDepot's controller crashes there.
    const isSame = was === becomes || (field === 'fileFormat' && was === '')
    return isSame ? [] : [{ field, was, becomes }]
  })
}

const WAY_OUT = `publish from elsewhere under another Module; to move this one: annotation ${MIGRATE_ANNOTATION}="<reason>" in the same request, and the verb migrate on it`

function shown(text: string): string {
  return quoted(withoutLogin(text))
}
