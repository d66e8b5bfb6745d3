// The compact form of a JWT, taken apart strictly and before anything costs: no second spelling of one token gets
// through, and no header parameter that changes what a signature means. RFC 7515 §3.1, RFC 7519 §7.2, RFC 8725 §3.
import { hash } from 'node:crypto'
import { isJsonObject } from '#core/claims.ts'
import type { Claims, JsonObject, JsonValue } from '#core/claims.ts'
import { rememberTexts } from '#core/known_texts.ts'
import { deny, ok } from '#core/result.ts'
import type { Denied, Result } from '#core/result.ts'
import { readStrictJsonObject, TOKEN_JSON_LIMITS } from './strict_json.ts'
import type { JsonLimits } from './strict_json.ts'

type TokenHeader = {
  readonly alg: string
  readonly kid: string | undefined
  readonly typ: string | undefined
}

export type ParsedToken = {
  readonly header: TokenHeader
  readonly claims: Claims
  /** `header.payload` as it was sent: what the signature covers. */
  readonly signingInput: string
  readonly signature: Buffer
}

/** A compact JWS whose payload nobody has looked at yet. */
export type ParsedJws = {
  readonly header: TokenHeader
  readonly payload: Buffer
  readonly signingInput: string
  readonly signature: Buffer
}

export type TokenLimits = {
  readonly maxBytes: number
  readonly maxHeaderBytes: number
  readonly json: JsonLimits
}

const TOKEN_LIMITS: TokenLimits = {
  maxBytes: 16 * 1024,
  maxHeaderBytes: 4 * 1024,
  json: TOKEN_JSON_LIMITS,
}

const MAX_KID_LENGTH = 200

/**
 * Takes a JWT apart. Nothing is verified: the claims are what somebody wrote.
 * Denials: `subject_too_large`, `subject_malformed`, `subject_header_not_allowed`, `subject_claim_invalid`.
 */
export function parseCompact(token: string, limits: TokenLimits = TOKEN_LIMITS): Result<ParsedToken> {
  const jws = parseJws(token, limits)
  if (!jws.ok) return jws
  const { header, payload, signingInput, signature } = jws.value
  const claims = readStrictJsonObject(payload, limits.json)
  if (!claims.ok) return malformed(`payload: ${claims.denial}`)
  if (claims.value['crit'] !== undefined)
    return deny({ reason: 'subject_claim_invalid', claim: 'crit', detail: 'a header parameter, not a claim' })
  return ok({ header, claims: claims.value, signingInput, signature })
}

/** base64url SHA-256 of a signing input: names the token in the replay store and in logs. */
export function tokenHash(signingInput: string): string {
  return hash('sha256', signingInput, 'base64url')
}

/** Takes a compact JWS apart and reads its header; denials as `parseCompact`. */
export function parseJws(token: string, limits: TokenLimits = TOKEN_LIMITS): Result<ParsedJws> {
  // 1. size and dots, before anything is copied
  if (token.length > limits.maxBytes)
    return deny({ reason: 'subject_too_large', bytes: token.length, maxBytes: limits.maxBytes })
  const first = token.indexOf('.')
  const second = token.indexOf('.', first + 1)
  if (first < 1 || second < first + 2 || second === token.length - 1)
    return malformed('not three non-empty segments')
  if (token.includes('.', second + 1)) return malformed('more than three segments')

  // 2. one spelling only
  const payload = decodeSegment(token.slice(first + 1, second))
  const signature = decodeSegment(token.slice(second + 1))
  if (payload === undefined || signature === undefined) return malformed('not canonical base64url')

  // 3. header
  const segment = token.slice(0, first)
  const header = limits === TOKEN_LIMITS ? knownHeader(segment) : headerOf(segment, limits)
  if (!header.ok) return header
  return ok({ header: header.value, payload, signingInput: token.slice(0, second), signature })
}

/** An issuer writes one header for all tokens that a key signs. */
const knownHeader = rememberTexts(
  (segment) => headerOf(segment, TOKEN_LIMITS),
  (header) => header.ok,
)

function headerOf(segment: string, limits: TokenLimits): Result<TokenHeader> {
  const bytes = decodeSegment(segment)
  if (bytes === undefined) return malformed('not canonical base64url')
  if (bytes.length > limits.maxHeaderBytes) return malformed('header too large')
  const json = readStrictJsonObject(bytes, limits.json)
  return json.ok ? readHeader(json.value) : malformed(`header: ${json.denial}`)
}

/**
 * Whether a text could be meant as a JWT, however badly it is written. Some issuers take one with a dot too many at their
 * own endpoints, so what begins with a header must be judged as a token and never passed on as an opaque one.
 */
export function looksLikeJwt(text: string): boolean {
  const first = /[^.]+/.exec(text)?.[0] ?? ''
  try {
    return isJsonObject(JSON.parse(Buffer.from(first, 'base64url').toString('utf8')))
  } catch {
    // JSON.parse throws for exactly the texts that are no header.
    return false
  }
}

/**
 * Decodes base64url in its one canonical spelling (RFC 4648 §3.5): Node's decoder forgives padding, foreign
 * characters and spare bits, so the proof is that encoding gives back the very text.
 */
export function decodeSegment(segment: string): Buffer | undefined {
  const bytes = Buffer.from(segment, 'base64url')
  return bytes.toString('base64url') === segment ? bytes : undefined
}

/** Key hints of the token itself (`jwk`, `jku`, `x5u`, `x5c`) are never read: keys come from the configured issuer. */
function readHeader(header: JsonObject): Result<TokenHeader> {
  for (const parameter of ['crit', 'b64', 'zip'] as const) {
    if (header[parameter] !== undefined) return notAllowed(parameter, header[parameter])
  }
  const { alg, kid, typ, cty } = header
  if (cty !== undefined && (typeof cty !== 'string' || /jwt|jose/i.test(cty))) return notAllowed('cty', cty)
  if (typeof alg !== 'string') return malformed('header: alg is not a string')
  if (typ !== undefined && typeof typ !== 'string') return malformed('header: typ is not a string')
  if (kid === undefined) return ok({ alg, kid, typ })
  if (typeof kid !== 'string' || kid === '') return malformed('header: kid is not a string with content')
  if (kid.length > MAX_KID_LENGTH) return malformed('header: kid too long')
  return ok({ alg, kid, typ })
}

function malformed(detail: string): Denied<{ reason: 'subject_malformed'; detail: string }> {
  return deny({ reason: 'subject_malformed', detail })
}

function notAllowed(parameter: string, got: JsonValue | undefined): Result<never> {
  return deny({
    reason: 'subject_header_not_allowed',
    parameter,
    got: JSON.stringify(got)?.slice(0, 100) ?? '',
  })
}
