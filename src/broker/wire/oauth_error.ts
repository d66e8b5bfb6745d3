// The one place where a denial becomes an OAuth answer. It says less than the audit event does: everything about the
// subject token or a policy is one answer, byte for byte. Statuses, codes and texts are Dex's (HEAD); where they are
// not, dex_differences.ts says so.
import type { Denial } from '#core/denial.ts'
import { goQuoteList } from '#core/dex/go_text.ts'

export type OAuthError = {
  readonly status: number
  readonly error: string
  readonly description?: string
  readonly retryAfterSeconds?: number
}

/** Seconds after which a caller may try again when an issuer's keys or our store are away. */
const FAULT_RETRY_SECONDS = 5

/** Requests under way are answered in milliseconds. */
const BUSY_RETRY_SECONDS = 1

const ACCESS_DENIED: OAuthError = { status: 401, error: 'access_denied' }
const INVALID_CLIENT: OAuthError = {
  status: 401,
  error: 'invalid_client',
  description: 'Invalid client credentials.',
}

export function toOAuthError(denial: Denial): OAuthError {
  switch (denial.reason) {
    case 'method_not_allowed':
      return invalidRequest('method not allowed')
    case 'form_malformed':
      return invalidRequest()
    case 'body_too_large':
      return {
        status: 413,
        error: 'invalid_request',
        description: `The body is larger than ${denial.maxBytes} bytes.`,
      }
    case 'parameter_repeated':
      return invalidRequest('A parameter is repeated.')
    case 'grant_type_unsupported':
      return { status: 400, error: 'unsupported_grant_type' }
    case 'actor_token_unsupported':
      return invalidRequest('actor_token is not supported.')
    case 'dpop_unsupported':
      return { status: 400, error: 'invalid_dpop_proof', description: 'DPoP is not supported.' }
    case 'rate_limited':
    case 'client_held_off':
    case 'issuer_busy':
    case 'signer_busy':
      return {
        status: 429,
        error: 'temporarily_unavailable',
        description: 'Too many requests.',
        retryAfterSeconds: denial.retryAfterSeconds,
      }
    case 'credentials_repeated':
      return invalidRequest('More than one client credential.')
    case 'client_id_encoding':
      return invalidRequest('client_id improperly encoded')
    case 'client_secret_encoding':
      return invalidRequest('client_secret improperly encoded')
    case 'client_unknown':
    case 'client_secret_wrong':
    case 'client_secret_missing':
    case 'client_auth_method_wrong':
    case 'client_assertion_invalid':
    case 'client_disabled':
      return INVALID_CLIENT
    case 'client_grant_not_allowed':
      return {
        status: 400,
        error: 'unauthorized_client',
        description: 'Client is not allowed to use this grant type.',
      }
    case 'client_public':
      return {
        status: 400,
        error: 'unauthorized_client',
        description: 'Public clients cannot use client_credentials grant.',
      }
    case 'connector_not_allowed':
      return { status: 400, error: 'invalid_grant', description: 'Connector not allowed for this client.' }
    case 'connector_unknown':
    case 'connector_missing':
    case 'connector_without_exchange':
    case 'connector_disabled':
      return invalidRequest('Requested connector does not exist.')
    case 'connector_grant_not_allowed':
      return invalidRequest('Requested connector does not support this grant type.')
    case 'subject_token_missing':
      return invalidRequest('Missing subject_token')
    case 'subject_token_type_unsupported':
      return { status: 400, error: 'request_not_supported', description: 'Invalid subject_token_type.' }
    case 'requested_token_type_unsupported':
      return { status: 400, error: 'request_not_supported', description: 'Invalid requested_token_type.' }
    case 'subject_malformed':
    case 'subject_too_large':
    case 'subject_algorithm_not_allowed':
    case 'subject_header_not_allowed':
    case 'subject_issuer_mismatch':
    case 'subject_key_unknown':
    case 'subject_key_unfit':
    case 'subject_signature_invalid':
    case 'subject_expired':
    case 'subject_not_yet_valid':
    case 'subject_too_old':
    case 'subject_lifetime_too_long':
    case 'subject_audience_mismatch':
    case 'subject_claim_invalid':
    case 'subject_shape_wrong':
    case 'subject_type_mismatch':
    case 'subject_userinfo_failed':
    case 'subject_replayed':
    case 'identity_claim_missing':
    case 'identity_groups_not_allowed':
    case 'identity_group_reserved':
    case 'identity_name_reserved':
    case 'policy_none_matched':
    case 'policy_unknown':
    case 'policy_output_refused':
    case 'policy_disabled':
    case 'audience_not_granted':
      return ACCESS_DENIED
    case 'audience_not_trusted':
      return invalidTarget('The client may not request this audience.')
    case 'audience_profiles_mixed':
      return invalidTarget('The requested audiences do not fit in one token.')
    case 'audience_sets_differ':
      return invalidTarget('Scopes and parameters name different audiences.')
    case 'resource_malformed':
      return invalidTarget('A resource must be an absolute URI without a fragment.')
    case 'scope_not_supported':
      return invalidScope(`${denial.grant} grant does not support ${denial.scope} scope.`)
    case 'scope_unrecognized':
      return invalidScope(`Unrecognized scope(s) ${goQuoteList(denial.scopes.map(short))}`)
    case 'scope_audience_not_trusted':
      return invalidScope(`Client can't request scope(s) ${goQuoteList(denial.scopes.map(short))}`)
    // Only ever said to a kube-apiserver, in the words of its own API (token_review_endpoint.ts).
    case 'review_malformed':
    case 'review_version_unsupported':
      return invalidRequest()
    case 'review_not_allowed':
      return { status: 403, error: 'access_denied' }
    case 'review_token_use':
    case 'review_name_reserved':
      return ACCESS_DENIED
    // Endpoints that are shown a token of ours have answers of their own for one that is not good.
    case 'token_denied':
    case 'token_of_another_client':
      return ACCESS_DENIED
    case 'issuer_keys_unavailable':
    case 'store_unavailable':
    case 'client_check_busy':
    case 'signer_unavailable':
    case 'deny_list_full':
    case 'audit_unavailable':
    case 'clock_off':
      return { status: 503, error: 'temporarily_unavailable', retryAfterSeconds: FAULT_RETRY_SECONDS }
    case 'too_busy':
      return { status: 503, error: 'temporarily_unavailable', retryAfterSeconds: BUSY_RETRY_SECONDS }
    case 'signing_failed':
      return { status: 500, error: 'server_error' }
    // No default: a new reason does not compile until somebody decides what the world may know of it.
  }
}

/** The longest scope that is told back: beyond it stands something that is none, perhaps a token. */
const MAX_ECHO = 256

function short(scope: string): string {
  return scope.length > MAX_ECHO ? '…' : scope
}

function invalidRequest(description?: string): OAuthError {
  return { status: 400, error: 'invalid_request', ...(description === undefined ? {} : { description }) }
}

function invalidTarget(description: string): OAuthError {
  return { status: 400, error: 'invalid_target', description }
}

function invalidScope(description: string): OAuthError {
  return { status: 400, error: 'invalid_scope', description }
}
