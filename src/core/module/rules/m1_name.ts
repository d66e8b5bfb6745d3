// WH-M1: moduleConfig.name is the Module's own name. With another one OpenDepot does not find `immutable`, and deletes
// Versions of whoever has that name.
import { configPath, isFieldTouched, kindName } from '#core/module/module_case.ts'
import type { ListCase } from '#core/module/module_case.ts'
import { quoted } from '#core/module/printable.ts'
import type { Finding } from '#core/module/verdict.ts'

export function ownName({ change }: ListCase): readonly Finding[] {
  const { name } = change
  const configured = change.new?.config.name ?? ''
  if (configured === '' || name === '' || configured === name) return []
  if (!isFieldTouched(change, (config) => config.name)) return []
  const config = configPath(change)
  const message = `${config.slice('spec.'.length)}.name is ${quoted(configured)}, the ${kindName(change)} is ${quoted(name)}`
  const wayOut = `write name: ${quoted(name)}, or leave it out`
  return [{ rule: 'WH-M1', kind: 'invalid', path: `${config}.name`, message, wayOut }]
}
