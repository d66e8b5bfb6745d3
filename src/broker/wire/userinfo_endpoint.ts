// GET|POST /userinfo in Dex's dialect: the bearer token's own payload, byte for byte. Read from the header only.
import type { Fault } from '#core/denial.ts'
import { callerNetwork } from '#platform/http/client_address.ts'
import type { RateLimit } from '#platform/rate_limit.ts'
import { verifyOwnToken } from '../tokens/own_token.ts'
import type { OwnTokenDeps } from '../tokens/own_token.ts'
import { errorAnswer, jsonAnswer } from './answer.ts'
import type { Answer } from './answer.ts'
import { toOAuthError } from './oauth_error.ts'
import type { RawRequest } from './token_endpoint.ts'

const INVALID_BEARER = JSON.stringify({ error: 'access_denied', error_description: 'Invalid bearer token.' })
const NO_STORE = { 'cache-control': 'no-store', pragma: 'no-cache' }

export type UserinfoDeps = { readonly ownToken: OwnTokenDeps; readonly addressLimit: RateLimit }

/** Like its other refusals no audit event: nothing is decided here. */
export function answerBusyUserinfo(busy: Fault): Answer {
  return errorAnswer(toOAuthError(busy))
}

export async function answerUserinfo(
  { authorization, peer }: Pick<RawRequest, 'authorization' | 'peer'>,
  { ownToken, addressLimit }: UserinfoDeps,
): Promise<Answer> {
  const retryAfterSeconds = addressLimit.take(callerNetwork(peer))
  if (retryAfterSeconds > 0)
    return errorAnswer(toOAuthError({ reason: 'rate_limited', key: 'address', retryAfterSeconds }))
  const [header = '', second] = authorization
  if (second !== undefined || header.slice(0, 7).toLowerCase() !== 'bearer ') {
    return jsonAnswer(401, INVALID_BEARER, { 'www-authenticate': 'Bearer', ...NO_STORE })
  }
  const token = await verifyOwnToken(header.slice(7), ownToken)
  if (token === undefined) return jsonAnswer(403, INVALID_BEARER, NO_STORE)
  return jsonAnswer(200, token.payload, NO_STORE)
}
