// What may be said of a Version whose policy cannot be told: whoever any of the policies calls a controller is one, and every rule has
// the loosest of its modes. What this refuses is refused by whichever holds.
import { listOf } from '#core/module/actor.ts'
import { modeOf } from '#core/module/rule_mode.ts'
import type { IdentityList, ModulePolicySpec, NamedPolicy } from '#core/module/module_policy.ts'
import { RULE_IDS } from '#core/module/rule_id.ts'
import type { Mode } from '#core/module/verdict.ts'

const NOBODY: IdentityList = { users: [], groups: [] }
const MODES: readonly Mode[] = ['audit', 'warn', 'enforce']

/** Of these, and of what holds without a policy. */
export function loosestOf(specs: readonly ModulePolicySpec[]): ModulePolicySpec {
  const all = [undefined, ...specs]
  const controllers = all.map((spec) => listOf(spec?.identities, 'controller') ?? NOBODY)
  const modes = RULE_IDS.map((rule) => [rule, loosest(all.map((spec) => modeOf(rule, spec)))] as const)
  const namespaces = specs.map(({ selector }) => selector.namespaces)
  return {
    selector: {
      namespaces: namespaces.some((names) => names.length === 0) ? [] : sorted(namespaces.flat()),
      labels: new Map(),
    },
    immutability: 'optional',
    publishers: [],
    identities: {
      controller: {
        users: sorted(controllers.flatMap(({ users }) => users)),
        groups: sorted(controllers.flatMap(({ groups }) => groups)),
      },
      gitops: NOBODY,
      importer: NOBODY,
      human: NOBODY,
    },
    ordering: 'free',
    pins: 'optional',
    exceptions: specs.flatMap(({ exceptions }) => exceptions),
    modes: Object.fromEntries(modes),
  }
}

function loosest(modes: readonly Mode[]): Mode {
  return MODES.find((mode) => modes.includes(mode)) ?? 'enforce'
}

function sorted(names: readonly string[]): readonly string[] {
  return [...new Set(names)].toSorted()
}

type Some = readonly [NamedPolicy, ...NamedPolicy[]]

/** Policies by the namespaces that one or the other of them covers; those of one group share some, directly or through others. */
export function sharingNamespaces(policies: readonly NamedPolicy[]): readonly Some[] {
  return policies.reduce<readonly Some[]>((groups, policy) => {
    const [shared, apart] = [true, false].map((wanted) =>
      groups.filter((group) => group.some((other) => isAnyShared(other, policy)) === wanted),
    )
    const [first, ...others] = (shared ?? []).flat()
    return [...(apart ?? []), first === undefined ? [policy] : [first, ...others, policy]]
  }, [])
}

/** No namespace named is all of them. */
function isAnyShared(left: NamedPolicy, right: NamedPolicy): boolean {
  const [own, others] = [left.spec.selector.namespaces, right.spec.selector.namespaces]
  return own.length === 0 || others.length === 0 || own.some((name) => others.includes(name))
}
