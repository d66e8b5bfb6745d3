// WH-O1: one Module, one policy. WH-O2: a policy that nobody can read is held as the strictest, so it is not let in. WH-O3: a policy that holds less than it did
// is a matter of roles, and told.
import type { PolicyChange } from '#core/module/change.ts'
import { doSelectorsOverlap } from '#core/module/module_policy.ts'
import type { ModulePolicySpec, ModuleSelector, NamedPolicy } from '#core/module/module_policy.ts'
import { loosenedParts } from '#core/module/policy_strength.ts'
import { listed, quoted } from '#core/module/printable.ts'
import { isSameValue } from '#core/module/reading.ts'
import type { Finding } from '#core/module/verdict.ts'

/** @param policies all that there are, as they are stored */
export function policyRules(change: PolicyChange, policies: readonly NamedPolicy[]): readonly Finding[] {
  const before = specOf(change.old)
  if (change.new === undefined) return before === undefined ? [] : [goes(before)]
  if (!change.new.spec.ok) return unreadable(change, change.new.spec.denial)
  const after = change.new.spec.value
  return [...overlapping(change, after, policies), ...loosened(before, after)]
}

function specOf(policy: PolicyChange['old']): ModulePolicySpec | undefined {
  return policy?.spec.ok === true ? policy.spec.value : undefined
}

function unreadable({ old: before }: PolicyChange, problem: string): readonly Finding[] {
  // Whoever changes a label of one that was let in before makes nothing worse.
  if (before !== undefined && !before.spec.ok && before.spec.denial === problem) return []
  const message = `this policy cannot be read: ${quoted(problem).slice(1, -1)}`
  return [{ rule: 'WH-O2', kind: 'invalid', path: 'spec', message, wayOut: 'write it as its schema says' }]
}

function overlapping(
  change: PolicyChange,
  after: ModulePolicySpec,
  policies: readonly NamedPolicy[],
): readonly Finding[] {
  const before = specOf(change.old)?.selector
  const clashes = policies.filter(
    ({ name, spec }) =>
      name !== change.name &&
      doSelectorsOverlap(spec.selector, after.selector) &&
      // What was so before is mended by changing one of them, whichever is changed first.
      !(before !== undefined && isSameSelector(before, after.selector)),
  )
  return clashes.map(({ name, spec }) => ({
    rule: 'WH-O1',
    kind: 'forbidden',
    path: 'spec.selector',
    message: `this policy and ${quoted(name)} would both cover Modules ${sharedText(spec.selector, after.selector)}`,
    wayOut: 'name namespaces or labels that the other policy does not cover',
  }))
}

function isSameSelector(left: ModuleSelector, right: ModuleSelector): boolean {
  return (
    isSameValue(left.namespaces.toSorted(), right.namespaces.toSorted()) &&
    isSameValue(Object.fromEntries(left.labels), Object.fromEntries(right.labels))
  )
}

/** `in "infra" with "team=a"`: what both select. */
function sharedText(left: ModuleSelector, right: ModuleSelector): string {
  const [named, other] = left.namespaces.length > 0 ? [left, right] : [right, left]
  const namespaces = named.namespaces.filter(
    (namespace) => other.namespaces.length === 0 || other.namespaces.includes(namespace),
  )
  const where = namespaces.length === 0 ? 'in any namespace' : `in ${listed(namespaces.map(quoted), 3)}`
  const labels = [...new Map([...left.labels, ...right.labels])].map(([key, value]) => `${key}=${value}`)
  return labels.length === 0 ? where : `${where} with ${listed(labels.map(quoted), 3)}`
}

function goes({ immutability }: ModulePolicySpec): Finding {
  const held = immutability === 'required' ? ', also where immutable: true is not written' : ''
  const message = `what this policy covers is held by no policy from now on${held}`
  return { rule: 'WH-O3', kind: 'notice', path: '', message, wayOut: '' }
}

function loosened(before: ModulePolicySpec | undefined, after: ModulePolicySpec): readonly Finding[] {
  if (before === undefined) return []
  const parts = loosenedParts(before, after)
  if (parts.length === 0) return []
  const message = `this policy holds less than it did: ${listed(parts, 4)}`
  return [{ rule: 'WH-O3', kind: 'notice', path: 'spec', message, wayOut: '' }]
}
