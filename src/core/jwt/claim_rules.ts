// What the registered claims of a verified token must say, as pure checks: `undefined` when the rule holds.
// RFC 7519 §4.1, RFC 8725 §3.8 to §3.10. Signature and key were checked before.
import { isJsonObject } from '#core/claims.ts'
import type { Claims } from '#core/claims.ts'
import type { SubjectDenial } from '#core/denial.ts'

export type TimeRules = {
  readonly clockSkewSeconds: number
  /** Longest accepted `now - iat`; `undefined`: until exp. When set, `iat` is required. */
  readonly maxAgeSeconds: number | undefined
  /** Longest accepted `exp - iat`. */
  readonly maxLifetimeSeconds: number
}

export type AudienceRules = {
  readonly audiences: readonly string[]
  readonly strictAudience: boolean
}

/** 2100-01-01: a later time is milliseconds, or a mistake. */
const LAST_SENSIBLE_SECOND = 4_102_444_800
const MAX_SUBJECT_LENGTH = 1024
/** More than any job asks for; a thousand entries are an attack on whoever logs them. */
const MAX_AUDIENCES = 200
/** Control characters and the ones that turn the direction of text around: they forge log lines. */
const UNPRINTABLE = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/u

/** Byte for byte (RFC 8725 §3.8): no case, slash or port is forgiven. */
export function checkIssuer(claims: Claims, issuer: string): SubjectDenial | undefined {
  const iss = claims['iss']
  if (iss === issuer) return undefined
  if (typeof iss !== 'string') return invalid('iss', 'not a string')
  return { reason: 'subject_issuer_mismatch', expected: issuer, got: iss }
}

/**
 * Expiry, start, age and lifetime. `now`: seconds since the epoch, wall clock, fractions welcome. The skew is
 * given to either side: accepted while `now < exp + skew`, and from `nbf - skew` on.
 */
export function checkTimes(claims: Claims, rules: TimeRules, now: number): SubjectDenial | undefined {
  const { clockSkewSeconds: skew, maxAgeSeconds, maxLifetimeSeconds } = rules
  const { exp, nbf, iat } = claims
  if (!isTime(exp)) return invalid('exp', exp === undefined ? 'missing' : 'not a time')
  if (now >= exp + skew) return { reason: 'subject_expired', exp, now: Math.floor(now) }
  if (nbf !== undefined) {
    if (!isTime(nbf)) return invalid('nbf', 'not a time')
    if (nbf > now + skew) return notYet('nbf', nbf, now)
  }
  if (iat === undefined) {
    if (maxAgeSeconds !== undefined) return invalid('iat', 'missing')
    // Without a beginning, what is left must not be longer than a whole life.
    return exp - now > maxLifetimeSeconds + skew ? tooLong(exp - now, maxLifetimeSeconds) : undefined
  }
  if (!isTime(iat)) return invalid('iat', 'not a time')
  if (iat > now + skew) return notYet('iat', iat, now)
  if (iat > exp) return invalid('iat', 'after exp')
  if (exp - iat > maxLifetimeSeconds) return tooLong(exp - iat, maxLifetimeSeconds)
  if (maxAgeSeconds !== undefined && now - iat > maxAgeSeconds + skew)
    return { reason: 'subject_too_old', ageSeconds: Math.floor(now - iat), maxSeconds: maxAgeSeconds }
  return undefined
}

/** One of the accepted audiences must be among the token's, compared as strings; any other type denies. */
export function checkAudience(claims: Claims, rules: AudienceRules): SubjectDenial | undefined {
  const aud = claims['aud']
  if (typeof aud === 'string')
    return rules.audiences.includes(aud) && aud !== '' ? undefined : mismatch(rules, [aud])
  if (aud === undefined) return mismatch(rules, [])
  if (!Array.isArray(aud)) return invalid('aud', 'neither a string nor an array')
  const got: unknown[] = aud
  if (got.length > MAX_AUDIENCES) return invalid('aud', `more than ${MAX_AUDIENCES} audiences`)
  if (!got.every(isString)) return invalid('aud', 'a member that is not a string')
  if (rules.strictAudience && got.length !== 1) return mismatch(rules, got)
  return got.some((entry) => entry !== '' && rules.audiences.includes(entry))
    ? undefined
    : mismatch(rules, got)
}

/** Every issuer that is served names a subject: a string that can be logged and compared. */
export function checkSubject(claims: Claims): SubjectDenial | undefined {
  const sub = claims['sub']
  if (typeof sub !== 'string') return invalid('sub', sub === undefined ? 'missing' : 'not a string')
  if (sub === '') return invalid('sub', 'empty')
  if (sub.length > MAX_SUBJECT_LENGTH) return invalid('sub', `longer than ${MAX_SUBJECT_LENGTH} characters`)
  if (UNPRINTABLE.test(sub)) return invalid('sub', 'control or direction characters')
  return undefined
}

/**
 * `may_act` (RFC 8693 §4.4) says who alone may act for the subject. A token with it is exchanged only by the client that
 * it names, by `sub` or `client_id`.
 */
export function checkMayAct(claims: Claims, client: string): SubjectDenial | undefined {
  const actor = claims['may_act']
  if (actor === undefined) return undefined
  if (!isJsonObject(actor)) return invalid('may_act', 'not an object')
  if (actor['sub'] === client || actor['client_id'] === client) return undefined
  return invalid('may_act', 'does not name this client')
}

/**
 * The header's `typ` (RFC 8725 §3.11): absent is fine, anything else must be listed. `headerTypes` are lower case,
 * without `application/`.
 */
export function checkHeaderType(
  typ: string | undefined,
  headerTypes: readonly string[],
): SubjectDenial | undefined {
  if (typ === undefined) return undefined
  const media = typ.toLowerCase()
  const short = media.startsWith('application/') ? media.slice('application/'.length) : media
  if (headerTypes.includes(short)) return undefined
  return { reason: 'subject_header_not_allowed', parameter: 'typ', got: typ }
}

/** NumericDate (RFC 7519 §2): positive, finite, fractions allowed. */
function isTime(value: unknown): value is number {
  return typeof value === 'number' && value > 0 && value <= LAST_SENSIBLE_SECOND
}

function isString(value: unknown): value is string {
  return typeof value === 'string'
}

function notYet(claim: 'nbf' | 'iat', value: number, now: number): SubjectDenial {
  return { reason: 'subject_not_yet_valid', claim, value, now: Math.floor(now) }
}

function tooLong(lifetimeSeconds: number, maxSeconds: number): SubjectDenial {
  return { reason: 'subject_lifetime_too_long', lifetimeSeconds: Math.floor(lifetimeSeconds), maxSeconds }
}

function mismatch(rules: AudienceRules, got: readonly string[]): SubjectDenial {
  return { reason: 'subject_audience_mismatch', expected: rules.audiences, got }
}

function invalid(claim: string, detail: string): SubjectDenial {
  return { reason: 'subject_claim_invalid', claim, detail }
}
