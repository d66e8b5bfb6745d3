// Verifying a token that this broker issued, for userinfo and introspection: any algorithm that the key set holds, ES256
// as well as RS256 (Dex's verifier knows RS256 only).
import type { KeyObject } from 'node:crypto'
import type { Claims } from '#core/claims.ts'
import type { Clock } from '#core/clock.ts'
import { algorithmOf } from '#core/jwt/algorithms.ts'
import { decodeSegment, parseCompact } from '#core/jwt/compact.ts'
import type { VerificationKey } from '#core/jwt/public_key.ts'
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
  const parsed = parseCompact(token)
  if (!parsed.ok) return undefined
  const { header, claims, signingInput } = parsed.value
  const algorithm = algorithmOf(header.alg)
  const key = header.kid === undefined ? undefined : deps.publicKey(header.kid)
  if (algorithm === undefined || key === undefined) return undefined
  if (claims['iss'] !== deps.issuer) return undefined
  if (!(await verifySignature(algorithm, asVerificationKey(key, header.kid ?? ''), parsed.value, deps.pool)))
    return undefined
  const { exp } = claims
  if (typeof exp !== 'number' || exp <= deps.clock() / 1000) return undefined
  const payload = decodeSegment(signingInput.slice(signingInput.indexOf('.') + 1))
  return payload === undefined ? undefined : { claims, payload: payload.toString('utf8') }
}

/** Our keys are RSA or P-256, and no others are ever published. */
function asVerificationKey(key: KeyObject, kid: string): VerificationKey {
  return key.asymmetricKeyType === 'rsa'
    ? { kid, kty: 'RSA', crv: undefined, alg: undefined, key }
    : { kid, kty: 'EC', crv: 'P-256', alg: undefined, key }
}
