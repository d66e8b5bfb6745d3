// WH-M15: labels do not take a Module away from the policy that covers it, nor from what holds without one. (Namespaces, CRDs and
// our own configuration are guarded where they are changed.)
import { isAnythingPublished, isAnyVersionHeld, kindName } from '#core/module/module_case.ts'
import type { ListCase } from '#core/module/module_case.ts'
import { isSelected } from '#core/module/module_policy.ts'
import type { ModulePolicySpec, NamedPolicy } from '#core/module/module_policy.ts'
import { listed, quoted } from '#core/module/printable.ts'
import { RULE_IDS } from '#core/module/rule_id.ts'
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

/** Without a policy everything but WH-P1 is enforced. What was published so does not come under less by a label. */
export function loosenedByLabel(subject: ListCase, policies: readonly NamedPolicy[]): readonly Finding[] {
  const { old: before, new: after } = subject.change
  // Where one covers it already, that one's label is guarded, and of two the stricter holds.
  if (subject.policy !== undefined || before === undefined || after === undefined) return []
  if (!isAnyVersionHeld(subject) || !isAnythingPublished(subject)) return []
  const { namespace, name } = subject.change
  const gained = policies.filter(
    ({ spec }) =>
      isSelected(spec.selector, namespace, after.meta.labels) && isLooser(spec, `${namespace}/${name}`),
  )
  return gained.map((policy) => ({
    rule: 'WH-M15',
    kind: 'forbidden',
    path: 'metadata.labels',
    message: `the labels would put this ${kindName(subject.change)} under the policy ${quoted(policy.name)}, which enforces less than holds without one`,
    wayOut: 'leave the label out, or have that policy enforce its rules first',
  }))
}

function isLooser({ modes, exceptions }: ModulePolicySpec, module: string): boolean {
  return isAnyModeLooser(modes) || exceptions.some(({ modules }) => modules.includes(module))
}

/** Than what holds without a policy. */
export function isAnyModeLooser(modes: ModulePolicySpec['modes']): boolean {
  return RULE_IDS.some(
    (rule) => rule !== 'WH-P1' && rule !== 'WH-M8' && (modes[rule] ?? 'enforce') !== 'enforce',
  )
}
