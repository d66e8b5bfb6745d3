// WH-M7: one backend, and no way out of it. With two, OpenDepot writes to the first and serves from the last.
import { listed } from '#core/module/printable.ts'
import { configPath } from '#core/module/module_case.ts'
import type { ListCase } from '#core/module/module_case.ts'
import type { StorageConfig } from '#core/module/module_object.ts'
import type { Finding } from '#core/module/verdict.ts'
import { storageText } from './m6_storage_moved.ts'

export function storageShape({ change }: ListCase): readonly Finding[] {
  const storage = change.new?.config.storage
  if (storage === undefined) return []
  const before = change.old?.config.storage
  if (before !== undefined && storageText(before) === storageText(storage)) return []
  return shapeProblems(storage).map(([field, message, wayOut]) => ({
    rule: 'WH-M7',
    kind: 'invalid',
    path: `${configPath(change)}.storageConfig${field}`,
    message,
    wayOut,
  }))
}

type ShapeProblem = readonly [field: string, message: string, wayOut: string]

function shapeProblems({ backends }: StorageConfig): readonly ShapeProblem[] {
  const problems: ShapeProblem[] = []
  if (backends.length > 1) {
    const kinds = listed(
      backends.map(({ kind }) => kind),
      4,
    )
    problems.push([
      '',
      `storageConfig names ${backends.length} places: ${kinds}`,
      'keep the one that archives are in',
    ])
  }
  for (const { kind, fields } of backends) {
    if (kind === 'fileSystem' && (fields.get('directoryPath') ?? '') === '') {
      problems.push([
        '.fileSystem.directoryPath',
        'fileSystem has no directoryPath',
        'name the directory of the volume',
      ])
    }
    for (const [key, value] of fields) {
      if (!value.split(/[\\/]/).includes('..')) continue
      problems.push([
        `.${kind}`,
        `the storage path in ${kind} goes up with ..`,
        `write ${safeName(key)} without ..`,
      ])
    }
  }
  return problems
}

/** A key of the object's own; one that the schema does not know is not repeated. */
function safeName(key: string): string {
  return /^[A-Za-z]{1,40}$/.test(key) ? key : 'the path'
}
