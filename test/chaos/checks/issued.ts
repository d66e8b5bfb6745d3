// The issued tokens of a history, read and verified with jose and the key sets that the brokers published.
import { compactVerify, decodeJwt, decodeProtectedHeader, importJWK } from 'jose'
import type { CryptoKey, JWK } from 'jose'
import type { DomainName, History, TokenRequest, Violation } from '../history.ts'

/** `exp` in seconds since the epoch. */
export type Issued = {
  readonly request: TokenRequest
  readonly answeredAt: number
  readonly kid: string
  readonly jti: string
  readonly exp: number
}

export type ReadTokens = { readonly issued: readonly Issued[]; readonly violations: readonly Violation[] }

/** Every issued token, and what is wrong with those that no verifier would take. */
export async function readIssued(history: History): Promise<ReadTokens> {
  const keys = publishedKeys(history)
  const imported = new Map<JWK, CryptoKey | Uint8Array>()
  const issued: Issued[] = []
  const violations: Violation[] = []
  for (const request of history.requests) {
    const { token, answeredAt } = request
    if (token === undefined || answeredAt === undefined) continue
    const at = answeredAt
    try {
      const { kid = '', alg = '' } = decodeProtectedHeader(token)
      const { iss, aud, exp, jti } = decodeJwt(token)
      if (exp === undefined || jti === undefined) throw new Error('exp or jti is missing')
      const jwk = keys.get(request.domain)?.get(kid)
      if (jwk === undefined) {
        const evidence = `${where(request)}: signed with ${kid}, which no key set ever held`
        violations.push({ kind: 'unpublished_key', at, evidence })
        continue
      }
      issued.push({ request, answeredAt, kid, jti, exp })
      const key = imported.get(jwk) ?? (await importJWK(jwk, alg))
      imported.set(jwk, key)
      await compactVerify(token, key, { algorithms: ['ES256', 'RS256'] })
      const issuer = history.issuers.get(request.domain)
      if (iss !== issuer) throw new Error(`iss is ${String(iss)} and not ${String(issuer)}`)
      if (![aud].flat().includes(history.audience)) throw new Error(`aud is ${String(aud)}`)
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      violations.push({ kind: 'unverifiable', at, evidence: `${where(request)}: ${why}` })
    }
  }
  return { issued, violations }
}

/** Where an answer stands in the audit trail, for whoever reads the evidence. */
export function where({ broker, requestId }: TokenRequest): string {
  return `broker ${broker}, request ${requestId ?? '(without an id)'}`
}

/** By kid, as first seen. A kid that comes back with another key does not verify. */
function publishedKeys(history: History): ReadonlyMap<DomainName, ReadonlyMap<string, JWK>> {
  const found = new Map<DomainName, Map<string, JWK>>()
  for (const { domain, keys } of history.looks) {
    const known = found.get(domain) ?? new Map<string, JWK>()
    found.set(domain, known)
    for (const key of keys) if (!known.has(key.kid ?? '')) known.set(key.kid ?? '', key)
  }
  return found
}
