// What is recorded of a decision: one event for each, allow or deny, written before the answer leaves. Never a token or
// a secret; a subject token is known by its jti and by the hash of what was signed.
import type { AudienceProfile } from './audience.ts'
import type { Denial, DenialReason, Fault } from './denial.ts'

/** The numbered steps of a token request, in order; docs/architecture.md describes each. */
export const STEPS = [
  'request',
  'client',
  'connector',
  'subject',
  'policy',
  'target',
  'replay',
  'mint',
] as const
export type Step = (typeof STEPS)[number]

/** What is known of a request so far; each step adds what it learnt. Ids, never credentials. */
export type DecisionFacts = {
  grant: string
  client?: string
  clientAuth?: string
  connector?: string
  policy?: string
  subject?: SubjectFacts
  audiencesRequested?: readonly string[]
  audiences?: readonly string[]
  profile?: AudienceProfile
  /** The store was away: that the token was not used before is known of this process alone. */
  replayScope?: 'local'
  issued?: IssuedFacts
  lever?: LeverFacts
}

type SubjectFacts = {
  readonly iss: string
  readonly sub: string
  readonly jti?: string
  /** base64url SHA-256 of the signed part; finds the token again without holding it. */
  readonly hash: string
  readonly kid?: string
}

/** What a person did in an emergency. `until`: RFC 3339; absent where it stays until it is lifted. */
export type LeverFacts = {
  readonly did: 'disabled' | 'denied' | 'revoked' | 'lifted'
  readonly action: 'disable' | 'deny' | 'revoke'
  readonly kind: 'client' | 'connector' | 'policy' | 'token' | 'key'
  readonly id: string
  readonly until?: string
  /** As that person says. */
  readonly by: string
  readonly why: string
}

/** `exp` in seconds since the epoch. */
type IssuedFacts = {
  readonly jti: string
  readonly kid: string
  readonly sub: string
  readonly exp: number
}

export type AuditEvent = {
  /** RFC 3339, milliseconds, UTC. */
  readonly time: string
  /**
   * `introspection`, `userinfo`: only what was refused there; of tokens only those that a lever denies. `review`: a
   * kube-apiserver asked about a token. `revocation`: RFC 7009. `emergency`: a person pulled or lifted a lever.
   */
  readonly event: 'token' | 'introspection' | 'userinfo' | 'review' | 'revocation' | 'emergency'
  readonly requestId: string
  readonly peer: string
  /** `deny`: by rule, or malformed. `fail`: our fault, nothing was decided about the caller. */
  readonly decision: 'allow' | 'deny' | 'fail'
  readonly step?: Step
  readonly reason?: DenialReason
  readonly evidence?: Readonly<Record<string, unknown>>
} & Readonly<DecisionFacts>

export type AuditContext = Pick<AuditEvent, 'event' | 'time' | 'requestId' | 'peer'>

export function allowEvent(context: AuditContext, facts: DecisionFacts): AuditEvent {
  return { ...context, decision: 'allow', ...clipFacts(facts) }
}

export function denyEvent(context: AuditContext, facts: DecisionFacts, denial: Denial): AuditEvent {
  const { reason, ...evidence } = denial
  return {
    ...context,
    decision: isFault(denial) ? 'fail' : 'deny',
    step: stepOf(reason),
    reason,
    evidence: clipRecord(evidence, 0),
    ...clipFacts(facts),
  }
}

/** What a person did with the CLI. It has the id of the change for a request's. @param time as `AuditEvent` has it */
export function emergencyEvent(
  change: { readonly id: string; readonly lever: LeverFacts },
  time: string,
): AuditEvent {
  const context: AuditContext = { event: 'emergency', time, requestId: change.id, peer: '' }
  return allowEvent(context, { grant: 'emergency', lever: change.lever })
}

/** Of the facts, what was asked for and the subject's own words are chosen by callers. */
function clipFacts(facts: DecisionFacts): DecisionFacts {
  const { subject, audiencesRequested, lever } = facts
  return {
    ...facts,
    ...(subject === undefined ? {} : { subject: clipSubject(subject) }),
    ...(audiencesRequested === undefined
      ? {}
      : { audiencesRequested: audiencesRequested.slice(0, MAX_ITEMS).map(clip) }),
    ...(lever === undefined
      ? {}
      : { lever: { ...lever, id: clip(lever.id), by: clip(lever.by), why: clip(lever.why) } }),
  }
}

function clipSubject(subject: SubjectFacts): SubjectFacts {
  const { jti, kid } = subject
  return {
    ...subject,
    sub: clip(subject.sub),
    ...(jti === undefined ? {} : { jti: clip(jti) }),
    ...(kid === undefined ? {} : { kid: clip(kid) }),
  }
}

const FAULTS: ReadonlySet<DenialReason> = new Set<Fault['reason']>([
  'issuer_keys_unavailable',
  'issuer_busy',
  'store_unavailable',
  'client_check_busy',
  'deny_list_full',
  'too_busy',
  'signer_busy',
  'signer_unavailable',
  'signing_failed',
  'audit_unavailable',
  'clock_off',
])

/**
 * Our fault, or the network's: nothing was decided about the caller. So is a job's proof that could not be checked, though
 * its caller is told what everybody is told whose proof fails.
 */
export function isFault(denial: Denial): boolean {
  if (denial.reason === 'client_assertion_invalid' && typeof denial.cause !== 'string')
    return isFault(denial.cause)
  return FAULTS.has(denial.reason)
}

const MAX_TEXT = 256
const MAX_ITEMS = 32
const SHORTEST_TOKEN = 16

/** Begins as every JWT does: base64url of `{"`, or of `{` and white space. */
const TOKEN_LIKE = /(?:eyJ|ewog|ewoi|eyAi|ewkJ)[A-Za-z0-9_-]{12,}[A-Za-z0-9_=.-]*/g

/** At most 256 printable ASCII characters. */
const FIT = /^[ -~]{0,256}$/
const TOKEN_BEGINS = /eyJ|ewo|eyAi|ewkJ/

/**
 * Shortens a text that a caller chose, for logs: at most 256 characters, control characters made visible. A token that
 * was put where it does not belong (`client_id=$TOKEN`) is not written down.
 */
export function clip(text: string): string {
  // Nearly every text is fit as it stands.
  if (FIT.test(text) && !TOKEN_BEGINS.test(text)) return text
  const safe = text.length < SHORTEST_TOKEN ? text : text.replaceAll(TOKEN_LIKE, '<token>')
  const short = safe.length > MAX_TEXT ? `${safe.slice(0, MAX_TEXT)}…` : safe
  return short.replaceAll(
    /[\p{Cc}\p{Cf}\u2028\u2029]/gu,
    (char) => `\\u${(char.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  )
}

function clipRecord(record: object, depth: number): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, clipValue(value, depth)]))
}

function clipValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return clip(value)
  if (typeof value !== 'object' || value === null) return value
  if (depth > 3) return '…'
  if (Array.isArray(value)) return value.slice(0, MAX_ITEMS).map((item) => clipValue(item, depth + 1))
  return clipRecord(value, depth + 1)
}

/** Which step says no with this reason. */
export function stepOf(reason: DenialReason): Step {
  switch (reason) {
    case 'method_not_allowed':
    case 'form_malformed':
    case 'body_too_large':
    case 'parameter_repeated':
    case 'grant_type_unsupported':
    case 'actor_token_unsupported':
    case 'dpop_unsupported':
    case 'rate_limited':
    case 'client_held_off':
    case 'too_busy':
    case 'review_malformed':
    case 'review_version_unsupported':
      return 'request'
    case 'credentials_repeated':
    case 'client_id_encoding':
    case 'client_secret_encoding':
    case 'client_unknown':
    case 'client_secret_wrong':
    case 'client_secret_missing':
    case 'client_auth_method_wrong':
    case 'client_assertion_invalid':
    case 'client_grant_not_allowed':
    case 'client_public':
    case 'client_disabled':
    case 'client_check_busy':
    case 'review_not_allowed':
      return 'client'
    case 'connector_not_allowed':
    case 'connector_unknown':
    case 'connector_missing':
    case 'connector_grant_not_allowed':
    case 'connector_without_exchange':
    case 'connector_disabled':
    case 'subject_token_missing':
    case 'subject_token_type_unsupported':
    case 'requested_token_type_unsupported':
      return 'connector'
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
    case 'identity_claim_missing':
    case 'identity_groups_not_allowed':
    case 'identity_group_reserved':
    case 'identity_name_reserved':
    case 'issuer_keys_unavailable':
    case 'issuer_busy':
    case 'review_token_use':
    case 'review_name_reserved':
    case 'token_denied':
    case 'token_of_another_client':
    case 'deny_list_full':
      return 'subject'
    case 'policy_none_matched':
    case 'policy_unknown':
    case 'policy_output_refused':
    case 'policy_disabled':
      return 'policy'
    case 'audience_not_trusted':
    case 'audience_not_granted':
    case 'audience_profiles_mixed':
    case 'audience_sets_differ':
    case 'resource_malformed':
    case 'scope_not_supported':
    case 'scope_unrecognized':
    case 'scope_audience_not_trusted':
      return 'target'
    case 'subject_replayed':
      return 'replay'
    case 'store_unavailable':
    case 'signer_busy':
    case 'signer_unavailable':
    case 'signing_failed':
    case 'audit_unavailable':
    case 'clock_off':
      return 'mint'
  }
}
