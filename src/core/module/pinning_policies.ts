// Which policies count on the ledger for who a repository is. A path that was given up can be registered by somebody else; WH-P1 then
// goes by ids, of the policy or of whoever published first.
import type { NamedPolicy } from './module_policy.ts'

/** Names of policies under which the id of the first publisher decides. */
export function pinningPolicies(policies: readonly NamedPolicy[]): readonly string[] {
  return policies
    .filter(({ spec }) => spec.publishers.length === 0 || spec.publishers.some(({ ids }) => ids.length === 0))
    .map(({ name }) => name)
}
