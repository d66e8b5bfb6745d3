// Every code that `sallyport kube lint` can give for what stands in the file itself, with how severe it is. The page
// docs/kube-lint.md has an example of each, and a test holds both against each other.
import type { KubeProblem } from './kube_problem.ts'

/** What kube-apiserver does not load (v1.36.4; 1.37.1 the same). */
export const REFUSED_CODES = [
  'document_empty',
  'document_not_first',
  'document_not_a_mapping',
  'yaml_not_readable',
  'json_not_readable',
  'key_duplicate',
  'api_version_missing',
  'api_version_unknown',
  'kind_missing',
  'kind_unknown',
  'field_unknown',
  'field_type',
  'too_many_authenticators',
  'issuer_url_missing',
  'url_unreadable',
  'url_not_https',
  'url_with_user',
  'url_with_query',
  'url_with_fragment',
  'issuer_url_duplicate',
  'issuer_of_service_accounts',
  'discovery_url_equals_issuer',
  'discovery_url_duplicate',
  'audiences_missing',
  'audience_empty',
  'audience_duplicate',
  'audience_match_policy',
  'certificate_authority_unreadable',
  'egress_selector_unknown',
  'claim_and_expression',
  'claim_or_expression_missing',
  'message_with_claim',
  'required_value_with_expression',
  'required_claim_duplicate',
  'expression_duplicate',
  'expression_missing',
  'expression_invalid',
  'prefix_missing',
  'prefix_with_expression',
  'extra_key_missing',
  'extra_key_invalid',
  'extra_key_not_lowercase',
  'extra_key_reserved',
  'extra_key_duplicate',
  'email_verified_unused',
  'anonymous_conditions_while_disabled',
  'version_unknown_to_release',
  'field_unknown_to_release',
  'expression_unknown_to_release',
] as const

/** What kube-apiserver loads, and does not do what was meant: every token is refused, or anybody gets in. */
export const ERROR_CODES = [
  'in_on_claims',
  'claim_number_is_double',
  'text_plus_list',
  'list_not_accepted',
  'value_not_text',
  'range_unbounded',
  'claim_is_path',
  'claim_not_text',
  'required_value_empty',
  'username_constant',
  'username_system_possible',
  'groups_system_possible',
  'prefix_is_system',
  'shared_issuer_unpinned',
  'placeholder_left',
  'private_key_in_ca',
  'anonymous_path_never_matches',
] as const

/** What kube-apiserver loads, and you may regret. */
export const WARNING_CODES = [
  'document_ignored',
  'version_old',
  'issuers_several',
  'prefixes_collide',
  'username_mutable',
  'username_not_unique',
  'username_without_prefix',
  'username_may_be_empty',
  'groups_without_prefix',
  'groups_constant',
  'uid_missing',
  'email_not_verified',
  'audiences_several',
  'audience_is_issuer',
  'audience_foreign',
  'audience_generic',
  'lifetime_unbounded',
  'pull_requests_possible',
  'discovery_url_not_well_known',
  'egress_selector_needs_flag',
  'number_as_text',
  'optional_claim_unguarded',
  'user_extra_unguarded',
  'pattern_not_anchored',
  'pattern_open_ended',
  'rule_reads_nothing',
  'keys_not_values',
  'anonymous_needs_restart',
  'anonymous_everywhere',
  'anonymous_probes_refused',
  'anonymous_path_exposed',
  'anonymous_gated',
] as const

export type ErrorCode = (typeof ERROR_CODES)[number]
export type WarningCode = (typeof WARNING_CODES)[number]
export type RefusedCode = (typeof REFUSED_CODES)[number]

type Where = {
  readonly keys: KubeProblem['keys']
  readonly inExpression?: KubeProblem['inExpression']
}

/** A problem for which kube-apiserver does not load the file. */
export function refused(code: RefusedCode, where: Where, message: string, wayOut: string): KubeProblem {
  return problem('refused', code, where, message, wayOut)
}

/** It loads, and it is wrong. */
export function wrong(code: ErrorCode, where: Where, message: string, wayOut: string): KubeProblem {
  return problem('error', code, where, message, wayOut)
}

/** It loads, and it may be regretted. */
export function doubtful(code: WarningCode, where: Where, message: string, wayOut: string): KubeProblem {
  return problem('warning', code, where, message, wayOut)
}

function problem(
  severity: KubeProblem['severity'],
  code: string,
  where: Where,
  message: string,
  wayOut: string,
): KubeProblem {
  return { severity, code, keys: where.keys, inExpression: where.inExpression, message, wayOut }
}
