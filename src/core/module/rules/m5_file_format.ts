// WH-M5: fileFormat is one of the two that OpenDepot has; without one its controller crashes.
import type { ModuleCase } from '#core/module/module_case.ts'
import { quoted } from '#core/module/printable.ts'
import type { Finding } from '#core/module/verdict.ts'

export function fileFormat({ change }: ModuleCase): readonly Finding[] {
  const format = change.new?.config.fileFormat
  if (format === undefined || format === 'zip' || format === 'tar') return []
  if (change.old?.config.fileFormat === format) return []
  const message =
    format === '' ? 'moduleConfig.fileFormat is missing' : `moduleConfig.fileFormat is ${quoted(format)}`
  const path = 'spec.moduleConfig.fileFormat'
  return [
    { rule: 'WH-M5', kind: 'invalid', path, message, wayOut: 'write fileFormat: zip or fileFormat: tar' },
  ]
}
