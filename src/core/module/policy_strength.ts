// Where one version of a policy holds less than the one before.
import { LISTED } from './actor.ts'
import type { Identities, ModulePolicySpec, Publisher } from './module_policy.ts'
import { isSameValue } from './reading.ts'
import { RULE_IDS } from './rule_id.ts'
import type { Mode } from './verdict.ts'

const ORDERINGS = ['free', 'backport', 'monotonic'] as const
const MODES: readonly Mode[] = ['audit', 'warn', 'enforce']

/** In words, the most telling first; empty where nothing that was refused is let through. */
export function loosenedParts(before: ModulePolicySpec, after: ModulePolicySpec): readonly string[] {
  const parts: string[] = []
  if (before.immutability === 'required' && after.immutability === 'optional') parts.push('immutability')
  if (isNarrower(before.selector.namespaces, after.selector.namespaces)) parts.push('selector.namespaces')
  if ([...after.selector.labels].some(([key, value]) => before.selector.labels.get(key) !== value)) {
    parts.push('selector.matchLabels')
  }
  if (ORDERINGS.indexOf(after.ordering) < ORDERINGS.indexOf(before.ordering)) parts.push('ordering')
  if (before.pins === 'required' && after.pins === 'optional') parts.push('pins')
  parts.push(...weakerModes(before, after))
  if (isAnyNew(before.exceptions, after.exceptions)) parts.push('exceptions')
  if (isAnyNew(publishersOf(before), publishersOf(after))) parts.push('publishers')
  if (isAnyoneNew(before.identities, after.identities)) parts.push('identities')
  return parts
}

/** An empty list of namespaces is all of them. */
function isNarrower(before: readonly string[], after: readonly string[]): boolean {
  if (after.length === 0) return false
  return before.length === 0 || before.some((namespace) => !after.includes(namespace))
}

function weakerModes(before: ModulePolicySpec, after: ModulePolicySpec): readonly string[] {
  return RULE_IDS.filter((rule) => {
    const was = before.modes[rule] ?? 'enforce'
    return MODES.indexOf(after.modes[rule] ?? 'enforce') < MODES.indexOf(was)
  })
}

/** Nobody named is the Module's own repository. */
function publishersOf({ publishers }: ModulePolicySpec): readonly Publisher[] {
  return publishers.length > 0 ? publishers : [{ ids: [], refs: [] }]
}

function isAnyNew(before: readonly unknown[], after: readonly unknown[]): boolean {
  return after.some((item) => !before.some((known) => isSameValue(known, item)))
}

function isAnyoneNew(before: Identities, after: Identities): boolean {
  return LISTED.some((kind) => {
    const { users, groups } = after[kind]
    return isAnyNew(before[kind].users, users) || isAnyNew(before[kind].groups, groups)
  })
}
