// WH-M6: published archives stay where they are served from.
import { brokenBy, migrateReason, MIGRATE_ANNOTATION } from '#core/module/break_glass.ts'
import {
  configPath,
  heldKind,
  isAnythingPublished,
  isAnyVersionHeld,
  kindName,
} from '#core/module/module_case.ts'
import type { ListCase } from '#core/module/module_case.ts'
import type { StorageConfig } from '#core/module/module_object.ts'
import { quoted } from '#core/module/printable.ts'
import type { Finding } from '#core/module/verdict.ts'

export function storageMoved(subject: ListCase): readonly Finding[] {
  const { old: before, new: after } = subject.change
  if (before === undefined || after === undefined || !isAnythingPublished(subject)) return []
  const was = storageText(before.config.storage)
  const becomes = storageText(after.config.storage)
  if (was === becomes) return []
  const isHeld = isAnyVersionHeld(subject)
  const reason = isHeld ? migrateReason(subject.change) : undefined
  const message = `published archives are in ${quoted(was)}, and would be looked for in ${quoted(becomes)}`
  const told = reason === undefined ? message : `${message}: migrated (${quoted(reason)})`
  const kind = heldKind(isHeld && reason === undefined)
  const wayOut = `leave storageConfig as it is; to move the archives: annotation ${MIGRATE_ANNOTATION}="<reason>" in the same request, and the verb migrate on this ${kindName(subject.change)}`
  return [
    {
      rule: 'WH-M6',
      kind,
      path: `${configPath(subject.change)}.storageConfig`,
      message: told,
      wayOut: kind === 'notice' ? '' : wayOut,
      ...brokenBy('migrate', reason, [`${configPath(subject.change)}.storageConfig`]),
    },
  ]
}

/** `s3 bucket=a key=b region=c`; one text for one place, whatever the order of the fields. */
export function storageText(storage: StorageConfig | undefined): string {
  const backends = storage?.backends ?? []
  if (backends.length === 0) return 'no storage'
  return backends.map(({ kind, fields }) => [kind, ...fieldTexts(fields)].join(' ')).join(', ')
}

function fieldTexts(fields: ReadonlyMap<string, string>): readonly string[] {
  return [...fields].map(([key, value]) => `${key}=${plainValue(value)}`).toSorted()
}

/** One that has the marks between fields is quoted, or it could say what two fields say. */
function plainValue(value: string): string {
  return /[\s=,"]/.test(value) ? JSON.stringify(value) : value
}
