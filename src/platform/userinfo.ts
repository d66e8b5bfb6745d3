// Proving an opaque access token: one GET at the issuer's userinfo endpoint (OpenID Connect Core §5.3), through the same
// guarded way out as the issuer's keys.
import type { Claims } from '#core/claims.ts'
import type { Connector } from '#core/connector.ts'
import { TOKEN_JSON_LIMITS, readStrictJsonObject } from '#core/jwt/strict_json.ts'
import { deny, ok } from '#core/result.ts'
import type { Result } from '#core/result.ts'
import { bearerGet, isBearer } from './bearer_get.ts'
import type { IssuerKeysRegistry } from './issuer_keys/registry.ts'

/** Denials: `subject_malformed`, `subject_userinfo_failed`, `issuer_keys_unavailable`. */
export async function readUserinfo(
  token: string,
  connector: Connector,
  issuers: IssuerKeysRegistry,
): Promise<Result<Claims>> {
  if (!isBearer(token)) return deny({ reason: 'subject_malformed', detail: 'not a bearer token' })
  const issuer = issuers.of(connector)
  const endpoint = await issuer.userinfoEndpoint()
  if (!endpoint.ok) return endpoint
  const request = { fetch: issuer.fetch, token, connector: connector.id, what: 'userinfo' }
  const answer = await bearerGet(endpoint.value, request)
  if (!answer.ok) return answer
  const { status, body } = answer.value
  if (status !== 200) return deny({ reason: 'subject_userinfo_failed', detail: `status ${status}` })
  const claims = readStrictJsonObject(body, TOKEN_JSON_LIMITS)
  if (!claims.ok) return deny({ reason: 'subject_userinfo_failed', detail: claims.denial })
  const { sub } = claims.value
  if (typeof sub !== 'string' || sub === '')
    return deny({ reason: 'subject_userinfo_failed', detail: 'no sub' })
  return ok(claims.value)
}
