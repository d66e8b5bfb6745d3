// `private_key_jwt` (RFC 7523 §3, rfc7523bis): a JWT that the client signed with its own key. `aud` is this issuer and
// nothing else: the token endpoint's URL and arrays are refused, because another server could have asked for them.
import { hash } from 'node:crypto'
import type { Client } from '#core/client.ts'
import { epochSeconds } from '#core/clock.ts'
import type { Clock } from '#core/clock.ts'
import type { JsonValue } from '#core/claims.ts'
import { isJsonObject } from '#core/claims.ts'
import { algorithmOf } from '#core/jwt/algorithms.ts'
import { checkTimes } from '#core/jwt/claim_rules.ts'
import type { ParsedToken } from '#core/jwt/compact.ts'
import { readKeySet, selectKey } from '#core/jwt/public_key.ts'
import { deny, ok } from '#core/result.ts'
import type { Result } from '#core/result.ts'
import type { CryptoPool } from '#platform/crypto_pool.ts'
import { verifySignature } from '#platform/jws_signature.ts'
import { StoreFailure } from '#platform/store/store.ts'
import type { Store } from '#platform/store/store.ts'

export type AssertionDeps = {
  readonly issuer: string
  readonly clock: Clock
  readonly store: Pick<Store, 'claimOnce'>
  readonly pool: CryptoPool
}

const ALGORITHMS = new Set(['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'])
const HEADER_TYPES = new Set(['jwt', 'client-authentication+jwt'])
const TIMES = { clockSkewSeconds: 30, maxAgeSeconds: 300, maxLifetimeSeconds: 600 }

/** Denials: `client_assertion_invalid` with what is wrong, `store_unavailable`. */
export async function checkClientAssertion(
  token: ParsedToken,
  client: Client,
  deps: AssertionDeps,
): Promise<Result<undefined>> {
  const wrong = await problemOf(token, client, deps)
  if (wrong !== undefined)
    return deny({ reason: 'client_assertion_invalid', client: client.id, cause: wrong })
  const { jti, exp } = token.claims
  if (typeof jti !== 'string' || jti === '' || typeof exp !== 'number') {
    return deny({ reason: 'client_assertion_invalid', client: client.id, cause: 'jti is missing' })
  }
  try {
    // By jti, hashed because the client chooses its length: a second assertion under an old jti is a replay as well.
    const first = await deps.store.claimOnce(
      `assertion/${client.id}/${hash('sha256', jti, 'base64url')}`,
      (exp + TIMES.clockSkewSeconds + 1) * 1000,
    )
    return first
      ? ok(undefined)
      : deny({ reason: 'client_assertion_invalid', client: client.id, cause: 'used before' })
  } catch (error) {
    if (error instanceof StoreFailure) return deny({ reason: 'store_unavailable', detail: error.message })
    throw error
  }
}

async function problemOf(
  token: ParsedToken,
  client: Client,
  deps: AssertionDeps,
): Promise<string | undefined> {
  const { header, claims } = token
  const algorithm = ALGORITHMS.has(header.alg) ? algorithmOf(header.alg) : undefined
  if (algorithm === undefined) return `algorithm ${header.alg}`
  if (header.typ !== undefined && !HEADER_TYPES.has(header.typ.toLowerCase())) return `typ ${header.typ}`
  if (claims['iss'] !== client.id || claims['sub'] !== client.id) return 'iss and sub must be the client id'
  if (claims['aud'] !== deps.issuer) return 'aud must be this issuer alone'
  const late = checkTimes(claims, TIMES, epochSeconds(deps.clock))
  if (late !== undefined) return late.reason
  const keys = keysOf(client)
  if (!keys.ok) return keys.denial
  const selected = selectKey(keys.value, algorithm, header.kid ?? '')
  if (selected.found !== 'key') return 'no key of the client fits'
  return (await verifySignature(algorithm, selected.key, token, deps.pool)) ? undefined : 'signature'
}

function keysOf(client: Client) {
  const keys = client.auth.method === 'private_key_jwt' ? client.auth.jwks.map(toJson) : []
  return readKeySet({ keys })
}

/** A JWK as configured is JSON already; this says so to the type checker by rebuilding it. */
function toJson(jwk: Readonly<Record<string, unknown>>): JsonValue {
  const value: JsonValue = JSON.parse(JSON.stringify(jwk))
  return isJsonObject(value) ? value : {}
}
