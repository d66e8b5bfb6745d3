// Verifying a token that this broker issued, for userinfo and introspection: any algorithm that the key set holds, ES256
// as well as RS256 (Dex's verifier knows RS256 only).
import { hash } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import type { DecisionFacts } from '#core/audit_event.ts'
import type { Claims } from '#core/claims.ts'
import type { Clock } from '#core/clock.ts'
import type { Fault } from '#core/denial.ts'
import { algorithmOf } from '#core/jwt/algorithms.ts'
import { checkIssuer } from '#core/jwt/claim_rules.ts'
import { decodeSegment, parseCompact } from '#core/jwt/compact.ts'
import type { Levers } from '#core/levers.ts'
import type { VerificationKey } from '#core/jwt/public_key.ts'
import { deny, ok } from '#core/result.ts'
import type { Result } from '#core/result.ts'
import type { CryptoPool } from '#platform/crypto_pool.ts'
import { verifySignature } from '#platform/jws_signature.ts'

export type OwnTokenDeps = {
  readonly issuer: string
  readonly clock: Clock
  readonly publicKey: (kid: string) => KeyObject | undefined
  readonly pool: CryptoPool
  /** What is denied at this moment. */
  readonly levers: () => Levers
  /** Why nothing can be said of any token at this moment: neither what has expired nor what is denied. */
  readonly refusal: () => Fault | undefined
}

export type OwnToken = {
  readonly claims: Claims
  /** The payload's very bytes, as userinfo answers them. */
  readonly payload: string
}

/**
 * The token when it is ours, alive at this moment and not denied. The reason is for the audit log alone; a fault says that nobody can
 * tell now.
 */
export async function checkOwnToken(token: string, deps: OwnTokenDeps): Promise<Result<OwnToken>> {
  const parsed = parseCompact(token)
  if (!parsed.ok) return parsed
  const { header, claims, signingInput } = parsed.value
  const { kid } = header
  const algorithm = algorithmOf(header.alg)
  if (algorithm === undefined)
    return deny({ reason: 'subject_algorithm_not_allowed', got: header.alg, allowed: [] })
  const key = kid === undefined ? undefined : deps.publicKey(kid)
  const wrongIssuer = checkIssuer(claims, deps.issuer)
  if (wrongIssuer !== undefined) return deny(wrongIssuer)
  if (key === undefined || kid === undefined) return deny({ reason: 'subject_key_unknown', kid })
  if (!(await verifySignature(algorithm, asVerificationKey(key, kid), parsed.value, deps.pool)))
    return deny({ reason: 'subject_signature_invalid', kid })
  const { exp } = claims
  if (typeof exp !== 'number')
    return deny({ reason: 'subject_claim_invalid', claim: 'exp', detail: 'missing' })
  // In one step with the clock: it may have jumped while the signature was checked.
  const refusal = deps.refusal()
  if (refusal !== undefined) return deny(refusal)
  const now = deps.clock() / 1000
  if (exp <= now) return deny({ reason: 'subject_expired', exp, now: Math.floor(now) })
  const denied = deps.levers().denialOf(claims)
  if (denied !== undefined) return deny(denied)
  const payload = decodeSegment(signingInput.slice(signingInput.indexOf('.') + 1))
  return payload === undefined
    ? deny({ reason: 'subject_malformed', detail: 'payload' })
    : ok({ claims, payload: payload.toString('utf8') })
}

/** Of a token that proved to be ours, for the audit event. */
export function ownTokenFacts(
  token: string,
  { iss, sub, jti }: Claims,
): NonNullable<DecisionFacts['subject']> {
  const signed = token.slice(0, token.lastIndexOf('.'))
  return {
    iss: typeof iss === 'string' ? iss : '',
    sub: typeof sub === 'string' ? sub : '',
    ...(typeof jti === 'string' ? { jti } : {}),
    hash: hash('sha256', signed, 'base64url'),
  }
}

/** Our keys are RSA or P-256, and no others are ever published. */
function asVerificationKey(key: KeyObject, kid: string): VerificationKey {
  return key.asymmetricKeyType === 'rsa'
    ? { kid, kty: 'RSA', crv: undefined, alg: undefined, key }
    : { kid, kty: 'EC', crv: 'P-256', alg: undefined, key }
}
