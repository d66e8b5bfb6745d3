// Proving an opaque access token: one GET at the issuer's userinfo endpoint (OpenID Connect Core §5.3), through the same
// guarded way out as the issuer's keys.
import type { Claims } from '#core/claims.ts'
import type { Connector } from '#core/connector.ts'
import { TOKEN_JSON_LIMITS, readStrictJsonObject } from '#core/jwt/strict_json.ts'
import { deny, ok } from '#core/result.ts'
import type { Result } from '#core/result.ts'
import type { IssuerKeysRegistry } from './issuer_keys/registry.ts'

/** A bearer token as it may stand in a header: nothing that could end the line (RFC 6750 §2.1). */
const BEARER = /^[A-Za-z0-9._~+/-]+=*$/

/** Denials: `subject_malformed`, `subject_userinfo_failed`, `issuer_keys_unavailable`. */
export async function readUserinfo(
  token: string,
  connector: Connector,
  issuers: IssuerKeysRegistry,
): Promise<Result<Claims>> {
  if (!BEARER.test(token)) return deny({ reason: 'subject_malformed', detail: 'not a bearer token' })
  const issuer = issuers.of(connector)
  const endpoint = await issuer.userinfoEndpoint()
  if (!endpoint.ok) return endpoint
  const answer = await issuer.fetch.get(endpoint.value, { headers: { authorization: `Bearer ${token}` } })
  if (!answer.ok) {
    return deny({
      reason: 'issuer_keys_unavailable',
      connector: connector.id,
      detail: `userinfo: ${answer.detail}`,
    })
  }
  if (answer.status >= 500) {
    return deny({
      reason: 'issuer_keys_unavailable',
      connector: connector.id,
      detail: `userinfo: status ${answer.status}`,
    })
  }
  if (answer.status !== 200)
    return deny({ reason: 'subject_userinfo_failed', detail: `status ${answer.status}` })
  const claims = readStrictJsonObject(answer.body, TOKEN_JSON_LIMITS)
  if (!claims.ok) return deny({ reason: 'subject_userinfo_failed', detail: claims.denial })
  const { sub } = claims.value
  if (typeof sub !== 'string' || sub === '')
    return deny({ reason: 'subject_userinfo_failed', detail: 'no sub' })
  return ok(claims.value)
}
