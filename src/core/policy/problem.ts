// What can be wrong with a trust policy as it is written: found at load, said all at once, each with a way out.

/** Every code that compilePolicy and lintPolicy can give. docs/policies.md lists them; a test compares both ways. */
export const POLICY_PROBLEM_CODES = [
  'claim_reference_malformed',
  'claim_unknown',
  'pin_empty',
  'pin_type_wrong',
  'pin_ref_spelling',
  'pin_wildcard_literal',
  'prefix_off_delimiter',
  'glob_leading_wildcard',
  'glob_off_delimiter',
  'glob_malformed',
  're2_malformed',
  're2_flags',
  're2_dot_unescaped',
  'condition_invalid',
  'template_malformed',
  'output_reserved',
  'output_claim_reserved',
  'output_group_template',
  'output_group_kube',
  'output_username_unprefixed',
  'events_without_claim',
  'events_pull_request',
  'events_contradict_pin',
  'policy_without_pins',
  'shared_issuer_without_immutable_pin',
  'only_mutable_pins',
  'workflow_ref_without_owner',
  'forgejo_sub_ambiguous',
] as const
export type PolicyProblemCode = (typeof POLICY_PROBLEM_CODES)[number]

export type PolicyProblem = {
  readonly severity: 'error' | 'warning'
  readonly code: PolicyProblemCode
  /** Path of the key below the policy: `claims.ref`, `grant.groups[0]`. */
  readonly path: string
  /** The same path in keys, for looking its place up: claim names may hold dots. */
  readonly keys: readonly (string | number)[]
  readonly message: string
  /** What to write instead. */
  readonly wayOut: string
}

/** A problem before it is known where it stands. */
export type LocalProblem = Pick<PolicyProblem, 'code' | 'message' | 'wayOut'>

export function problemAt(
  severity: PolicyProblem['severity'],
  keys: PolicyProblem['keys'],
  problem: LocalProblem,
): PolicyProblem {
  const { code, message, wayOut } = problem
  return { severity, code, path: pathOf(keys), keys, message, wayOut }
}

function pathOf(keys: readonly (string | number)[]): string {
  return keys
    .map((key, index) => (typeof key === 'number' ? `[${key}]` : index === 0 ? key : `.${key}`))
    .join('')
}
