// WH-M1: moduleConfig.name is the Module's own name. With another one OpenDepot does not find `immutable`, and deletes
// Versions of whoever has that name.
import { isFieldTouched } from '#core/module/module_case.ts'
import type { ModuleCase } from '#core/module/module_case.ts'
import { quoted } from '#core/module/printable.ts'
import type { Finding } from '#core/module/verdict.ts'

export function ownName({ change }: ModuleCase): readonly Finding[] {
  const { name } = change
  const configured = change.new?.config.name ?? ''
  if (configured === '' || name === '' || configured === name) return []
  if (!isFieldTouched(change, (config) => config.name)) return []
  const message = `moduleConfig.name is ${quoted(configured)}, the Module is ${quoted(name)}`
  const wayOut = `write name: ${quoted(name)}, or leave it out`
  return [{ rule: 'WH-M1', kind: 'invalid', path: 'spec.moduleConfig.name', message, wayOut }]
}
