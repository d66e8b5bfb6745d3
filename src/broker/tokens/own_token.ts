// Verifying a token that this broker issued, for userinfo and introspection: any algorithm that the key set holds, ES256
// as well as RS256 (Dex's verifier knows RS256 only).
import type { KeyObject } from 'node:crypto'
import type { Claims } from '#core/claims.ts'
import type { Clock } from '#core/clock.ts'
import { algorithmOf } from '#core/jwt/algorithms.ts'
import { checkIssuer } from '#core/jwt/claim_rules.ts'
import { decodeSegment, parseCompact } from '#core/jwt/compact.ts'
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
}

export type OwnToken = {
  readonly claims: Claims
  /** The payload's very bytes, as userinfo answers them. */
  readonly payload: string
}

/** The token when it is ours and alive at this moment; `undefined` for everything else, whatever the reason. */
export async function verifyOwnToken(token: string, deps: OwnTokenDeps): Promise<OwnToken | undefined> {
  const checked = await checkOwnToken(token, deps)
  return checked.ok ? checked.value : undefined
}

/** The same with its reason, for the audit log alone. */
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
  const now = deps.clock() / 1000
  if (exp <= now) return deny({ reason: 'subject_expired', exp, now: Math.floor(now) })
  const payload = decodeSegment(signingInput.slice(signingInput.indexOf('.') + 1))
  return payload === undefined
    ? deny({ reason: 'subject_malformed', detail: 'payload' })
    : ok({ claims, payload: payload.toString('utf8') })
}

/** Our keys are RSA or P-256, and no others are ever published. */
function asVerificationKey(key: KeyObject, kid: string): VerificationKey {
  return key.asymmetricKeyType === 'rsa'
    ? { kid, kty: 'RSA', crv: undefined, alg: undefined, key }
    : { kid, kty: 'EC', crv: 'P-256', alg: undefined, key }
}
