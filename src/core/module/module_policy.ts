// ModulePolicy (sallyport.dev/v1alpha1): which Modules it covers, who publishes them, and how strictly each rule holds.
import type { ActorKind } from './change.ts'
import type { RuleId } from './rule_id.ts'
import type { Mode } from './verdict.ts'

export type ModulePolicySpec = {
  readonly selector: ModuleSelector
  /** `required`: what the policy selects never changes, whatever `immutable` says. */
  readonly immutability: 'optional' | 'required'
  /** Who may publish. Empty: the Module's own repository, from the tag of the version. */
  readonly publishers: readonly Publisher[]
  readonly identities: Identities
  /** `free`: any new version; `backport`: above everything of its own major; `monotonic`: above everything. */
  readonly ordering: 'free' | 'backport' | 'monotonic'
  /** Whether each new version must name its commit in `sallyport.dev/pins`. */
  readonly pins: 'optional' | 'required'
  readonly exceptions: readonly PolicyException[]
  /** What is not named here is enforced. */
  readonly modes: Readonly<Partial<Record<RuleId, Mode>>>
}

export type ModuleSelector = {
  /** Exact names; empty: all. */
  readonly namespaces: readonly string[]
  /** All of them on the Module, as in matchLabels; empty: any. */
  readonly labels: ReadonlyMap<string, string>
}

export type Publisher = {
  /** Host and path of a repository that may publish every Module selected; absent: the Module's own. */
  readonly source?: string
  /** Immutable ids of that repository at its forge; empty: the first publisher's is kept. */
  readonly ids: readonly string[]
  /** Refs with `{version}` and `*` (within one segment); empty: `refs/tags/v{version}` and `refs/tags/{version}`. */
  readonly refs: readonly string[]
}

export type NamedPolicy = { readonly name: string; readonly spec: ModulePolicySpec }

/** Names of users and of groups; a ServiceAccount is `system:serviceaccount:<namespace>:<name>`. */
export type IdentityList = { readonly users: readonly string[]; readonly groups: readonly string[] }
export type ListedActorKind = Exclude<ActorKind, 'ci' | 'unknown'>
/** `human`: may publish by hand. `importer`: may create a Module with many versions. An empty list names nobody. */
export type Identities = Readonly<Record<ListedActorKind, IdentityList>>

export type PolicyException = {
  readonly rules: readonly RuleId[]
  /** `namespace/name` of Modules. */
  readonly modules: readonly string[]
  /** Plain spellings; empty: all. */
  readonly versions: readonly string[]
  /** Seconds since the epoch; it does not hold from then on. */
  readonly untilSeconds: number
  readonly approver: string
  readonly reason: string
}

export function isSelected(
  selector: ModuleSelector,
  namespace: string,
  labels: ReadonlyMap<string, string>,
): boolean {
  if (selector.namespaces.length > 0 && !selector.namespaces.includes(namespace)) return false
  return [...selector.labels].every(([key, value]) => labels.get(key) === value)
}

/** Whether one Module can be selected by both, which makes neither the one that holds. */
export function doSelectorsOverlap(left: ModuleSelector, right: ModuleSelector): boolean {
  const isApart =
    left.namespaces.length > 0 &&
    right.namespaces.length > 0 &&
    !left.namespaces.some((namespace) => right.namespaces.includes(namespace))
  if (isApart) return false
  return [...left.labels].every(([key, value]) => (right.labels.get(key) ?? value) === value)
}
