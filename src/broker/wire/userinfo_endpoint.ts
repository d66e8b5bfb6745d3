// GET|POST /userinfo in Dex's dialect: the bearer token's own payload, byte for byte. Read from the header only.
import { isFault } from '#core/audit_event.ts'
import type { DecisionFacts } from '#core/audit_event.ts'
import type { Fault } from '#core/denial.ts'
import { callerNetwork } from '#platform/http/client_address.ts'
import type { RateLimit } from '#platform/rate_limit.ts'
import { checkOwnToken } from '../tokens/own_token.ts'
import type { OwnTokenDeps } from '../tokens/own_token.ts'
import { errorAnswer, jsonAnswer } from './answer.ts'
import type { Answer } from './answer.ts'
import { conclude } from './conclude.ts'
import type { ConcludeDeps } from './conclude.ts'
import { toOAuthError } from './oauth_error.ts'
import type { RawRequest } from './token_endpoint.ts'

const INVALID_BEARER = JSON.stringify({ error: 'access_denied', error_description: 'Invalid bearer token.' })
const NO_STORE = { 'cache-control': 'no-store', pragma: 'no-cache' }

export type UserinfoDeps = ConcludeDeps & {
  readonly ownToken: OwnTokenDeps
  readonly addressLimit: RateLimit
}

/** Like its other refusals, but for a token that a lever denies, no audit event: nothing is decided here. */
export function answerBusyUserinfo(busy: Fault): Answer {
  return errorAnswer(toOAuthError(busy))
}

export async function answerUserinfo(
  { authorization, peer, requestId }: Pick<RawRequest, 'authorization' | 'peer' | 'requestId'>,
  deps: UserinfoDeps,
): Promise<Answer> {
  const { ownToken, addressLimit } = deps
  const startedAt = performance.now()
  const retryAfterSeconds = addressLimit.take(callerNetwork(peer))
  if (retryAfterSeconds > 0)
    return errorAnswer(toOAuthError({ reason: 'rate_limited', key: 'address', retryAfterSeconds }))
  const [header = '', second] = authorization
  if (second !== undefined || header.slice(0, 7).toLowerCase() !== 'bearer ') {
    return jsonAnswer(401, INVALID_BEARER, { 'www-authenticate': 'Bearer', ...NO_STORE })
  }
  const token = await checkOwnToken(header.slice(7), ownToken)
  if (token.ok) return jsonAnswer(200, token.value.payload, NO_STORE)
  const { denial } = token
  if (isFault(denial)) return errorAnswer(toOAuthError(denial))
  const answer = jsonAnswer(403, INVALID_BEARER, NO_STORE)
  if (denial.reason !== 'token_denied') return answer
  // Somebody uses what an operator or its client took back: that is worth an event.
  const facts: DecisionFacts = { grant: 'userinfo' }
  return conclude({ event: 'userinfo', requestId, peer, startedAt, facts, denial, answer }, deps)
}
