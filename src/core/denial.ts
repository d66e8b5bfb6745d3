// Every reason for which this broker says no, as data with its evidence. The wire says less (broker/wire/oauth_error.ts),
// the audit event and `explain` say all of it. Evidence never holds a token or a secret; what a caller chose is clipped
// where it is written down (core/audit_event.ts).

/** Problems of the HTTP request itself: rejected before anybody is authenticated. */
export type RequestDenial =
  | { reason: 'method_not_allowed'; method: string }
  | { reason: 'form_malformed'; detail: string }
  | { reason: 'body_too_large'; maxBytes: number }
  | { reason: 'parameter_repeated'; name: string }
  | { reason: 'grant_type_unsupported'; got: string }
  | { reason: 'actor_token_unsupported' }
  | { reason: 'dpop_unsupported' }
  | { reason: 'rate_limited'; key: 'address' | 'client'; retryAfterSeconds: number }
  | { reason: 'client_held_off'; client: string; retryAfterSeconds: number }

/** Who asks. */
export type ClientDenial =
  | { reason: 'credentials_repeated'; methods: readonly string[] }
  | { reason: 'client_id_encoding' }
  | { reason: 'client_secret_encoding' }
  | { reason: 'client_unknown'; client: string }
  | { reason: 'client_secret_wrong'; client: string }
  | { reason: 'client_secret_missing'; client: string }
  | { reason: 'client_auth_method_wrong'; client: string; expected: string; got: string }
  | { reason: 'client_assertion_invalid'; client: string; cause: Denial | string }
  | { reason: 'client_grant_not_allowed'; client: string; grant: string }
  | { reason: 'client_public'; client: string }
  | { reason: 'client_disabled'; client: string }

/** Where the subject token comes from. */
type ConnectorDenial =
  | { reason: 'connector_not_allowed'; connector: string; client: string }
  | { reason: 'connector_unknown'; connector: string }
  | { reason: 'connector_missing'; candidates: number }
  | { reason: 'connector_grant_not_allowed'; connector: string; grant: string }
  | { reason: 'connector_without_exchange'; connector: string; type: string }
  | { reason: 'connector_disabled'; connector: string }
  | { reason: 'subject_token_missing' }
  | { reason: 'subject_token_type_unsupported'; got: string }
  | { reason: 'requested_token_type_unsupported'; got: string }

/** What the subject token proves. Every one of these is the same 401 on the wire. */
export type SubjectDenial =
  | { reason: 'subject_malformed'; detail: string }
  | { reason: 'subject_too_large'; bytes: number; maxBytes: number }
  | { reason: 'subject_algorithm_not_allowed'; got: string; allowed: readonly string[] }
  | { reason: 'subject_header_not_allowed'; parameter: string; got: string }
  | { reason: 'subject_issuer_mismatch'; expected: string; got: string }
  | { reason: 'subject_key_unknown'; kid: string | undefined }
  | { reason: 'subject_key_unfit'; kid: string; detail: string }
  | { reason: 'subject_signature_invalid'; kid: string }
  | { reason: 'subject_expired'; exp: number; now: number }
  | { reason: 'subject_not_yet_valid'; claim: 'nbf' | 'iat'; value: number; now: number }
  | { reason: 'subject_too_old'; ageSeconds: number; maxSeconds: number }
  | { reason: 'subject_lifetime_too_long'; lifetimeSeconds: number; maxSeconds: number }
  | { reason: 'subject_audience_mismatch'; expected: readonly string[]; got: readonly string[] }
  | { reason: 'subject_claim_invalid'; claim: string; detail: string }
  | { reason: 'subject_shape_wrong'; preset: string; detail: string }
  | { reason: 'subject_type_mismatch'; declared: string; detail: string }
  | { reason: 'subject_userinfo_failed'; detail: string }
  | { reason: 'subject_replayed'; scope: 'once' | 'per_audience' }
  | { reason: 'identity_claim_missing'; claim: string; detail: string }
  | { reason: 'identity_groups_not_allowed'; allowed: readonly string[] }
  | { reason: 'identity_group_reserved'; group: string }
  | { reason: 'identity_name_reserved'; claim: string; name: string }

/** What that is worth here. */
type PolicyDenial =
  | { reason: 'policy_none_matched'; connector: string; tried: readonly PolicyMiss[] }
  | { reason: 'policy_unknown'; policy: string }
  | { reason: 'policy_output_refused'; policy: string; detail: string }
  | { reason: 'policy_disabled'; policy: string }

/** Why one policy did not hold; `step` names the pin, condition or limit that failed first. */
export type PolicyMiss = { readonly policy: string; readonly step: string; readonly detail: string }

/** For whom. */
type TargetDenial =
  | { reason: 'audience_not_trusted'; client: string; refused: readonly string[] }
  | { reason: 'audience_not_granted'; policy: string; refused: readonly string[] }
  | { reason: 'audience_profiles_mixed'; profiles: readonly string[] }
  | { reason: 'audience_sets_differ'; byScope: readonly string[]; byParameter: readonly string[] }
  | { reason: 'resource_malformed'; resource: string }
  | { reason: 'scope_not_supported'; grant: string; scope: string }
  | { reason: 'scope_unrecognized'; scopes: readonly string[] }
  | { reason: 'scope_audience_not_trusted'; scopes: readonly string[] }

/** What is wrong with a review that a kube-apiserver asks for, or with the token in it for that cluster. */
type ReviewDenial =
  | { reason: 'review_malformed'; detail: string }
  | { reason: 'review_version_unsupported'; got: string }
  | { reason: 'review_not_allowed'; client: string }
  | { reason: 'review_token_use'; got: string }
  | { reason: 'review_name_reserved'; name: string }

/** What is wrong with a token of ours that is shown to us again. */
type OwnTokenDenial =
  | { reason: 'token_denied'; by: 'token' | 'client' | 'policy'; id: string; jti: string }
  | { reason: 'token_of_another_client'; client: string; issuedTo: string }

/** Ours or the network's fault: nothing was decided about the caller. */
export type Fault =
  | { reason: 'issuer_keys_unavailable'; connector: string; detail: string }
  | { reason: 'store_unavailable'; detail: string }
  | { reason: 'issuer_busy'; connector: string; retryAfterSeconds: number }
  | { reason: 'client_check_busy' }
  | { reason: 'deny_list_full'; client: string }
  | { reason: 'too_busy'; maxRequests: number }
  | { reason: 'signer_busy'; waiting: number; waitedMs: number; retryAfterSeconds: number }
  | { reason: 'signer_unavailable'; why: string; detail: string }
  | { reason: 'signing_failed'; detail: string }
  | { reason: 'audit_unavailable'; detail: string }
  | { reason: 'clock_off'; aheadSeconds: number }

export type Denial =
  | RequestDenial
  | ClientDenial
  | ConnectorDenial
  | SubjectDenial
  | PolicyDenial
  | TargetDenial
  | ReviewDenial
  | OwnTokenDenial
  | Fault

export type DenialReason = Denial['reason']
