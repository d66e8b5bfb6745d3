// WH-M15: labels do not take a Module away from the policy that covers it. (Namespaces, CRDs and our own configuration are
// guarded where they are changed.)
import { kindName } from '#core/module/module_case.ts'
import type { ListCase } from '#core/module/module_case.ts'
import { isSelected } from '#core/module/module_policy.ts'
import { listed, quoted } from '#core/module/printable.ts'
import type { Finding } from '#core/module/verdict.ts'

export function deselected({ change, policy }: ListCase): readonly Finding[] {
  const { old: before, new: after } = change
  if (policy === undefined || before === undefined || after === undefined) return []
  const { selector } = policy
  const was = isSelected(selector, change.namespace, before.meta.labels)
  if (!was || isSelected(selector, change.namespace, after.meta.labels)) return []
  const labels = [...selector.labels].map(([key, value]) => quoted(`${key}=${value}`))
  const message = `the label ${listed(labels, 3)} goes, and with it the policy that covers this ${kindName(change)}`
  return [{ rule: 'WH-M15', kind: 'forbidden', path: 'metadata.labels', message, wayOut: 'keep the label' }]
}
