// POST /token/introspect (RFC 7662) in Dex's shape, for authenticated confidential clients only. Everything that is not a
// living token of ours is `{"active":false}`.
import { isFault } from '#core/audit_event.ts'
import type { DecisionFacts } from '#core/audit_event.ts'
import type { Claims, JsonValue } from '#core/claims.ts'
import type { Denial, Fault } from '#core/denial.ts'
import { goJson } from '#core/dex/go_text.ts'
import { deny, ok } from '#core/result.ts'
import type { Result } from '#core/result.ts'
import { callerNetwork } from '#platform/http/client_address.ts'
import type { RateLimit } from '#platform/rate_limit.ts'
import type { ClientLimits } from '../clients/limit_client.ts'
import { checkOwnToken } from '../tokens/own_token.ts'
import type { OwnTokenDeps } from '../tokens/own_token.ts'
import { errorAnswer, jsonAnswer } from './answer.ts'
import type { Answer } from './answer.ts'
import { arrivalDenial } from './arrival.ts'
import { authenticateAsker } from './authenticate_asker.ts'
import type { AskerDeps } from './authenticate_asker.ts'
import { conclude } from './conclude.ts'
import type { ConcludeDeps } from './conclude.ts'
import { toOAuthError } from './oauth_error.ts'
import type { OAuthError } from './oauth_error.ts'
import { readForm } from './token_endpoint.ts'
import type { RawRequest } from './token_endpoint.ts'

export type IntrospectionDeps = ConcludeDeps &
  ClientLimits & {
    readonly clientDeps: AskerDeps
    readonly ownToken: OwnTokenDeps
    /** The token endpoint's own. */
    readonly addressLimit: RateLimit
  }

const NO_STORE = { 'cache-control': 'no-store', pragma: 'no-cache' }
const INACTIVE = jsonAnswer(200, '{"active":false}\n', NO_STORE)

/** What was refused is an audit event; an authenticated question decides nothing. */
export async function answerIntrospection(raw: RawRequest, deps: IntrospectionDeps): Promise<Answer> {
  const facts: DecisionFacts = { grant: 'introspection' }
  const startedAt = performance.now()
  const result = await decideIntrospection(raw, deps, facts)
  return result.ok ? result.value : concludeIntrospection(raw, facts, result.denial, startedAt, deps)
}

/** A request that nobody looked at, because too many are in work. */
export function answerBusyIntrospection(
  raw: RawRequest,
  busy: Fault,
  deps: IntrospectionDeps,
): Promise<Answer> {
  return concludeIntrospection(raw, { grant: 'introspection' }, busy, performance.now(), deps)
}

function concludeIntrospection(
  { requestId, peer }: RawRequest,
  facts: DecisionFacts,
  denial: Denial,
  startedAt: number,
  deps: IntrospectionDeps,
): Promise<Answer> {
  const answer = denial.reason === 'token_denied' ? INACTIVE : errorAnswer(toIntrospectionError(denial))
  return conclude({ event: 'introspection', requestId, peer, startedAt, facts, denial, answer }, deps)
}

async function decideIntrospection(
  raw: RawRequest,
  deps: IntrospectionDeps,
  facts: DecisionFacts,
): Promise<Result<Answer>> {
  // 1. the request
  const denial = arrivalDenial(raw.method, callerNetwork(raw.peer), deps.addressLimit)
  if (denial !== undefined) return deny(denial)
  const form = readForm(raw)
  if (!form.ok) return form
  if (form.value.isEmpty) return deny({ reason: 'form_malformed', detail: EMPTY })
  if (!form.value.has('token')) return deny({ reason: 'form_malformed', detail: NO_TOKEN })

  // 2. who asks
  const asker = await authenticateAsker(raw, form.value, INTROSPECTION_PLACE, deps, facts)
  if (!asker.ok) return asker
  const { client, method } = asker.value
  // A public client's id is no secret: whoever knows it could ask for anybody's token.
  if (method === 'none') return deny({ reason: 'client_public', client: client.id })

  // 3. what the token is
  const token = await checkOwnToken(form.value.get('token'), deps.ownToken)
  // Somebody uses what an operator or its client took back, or nobody can tell now: that is worth an event.
  if (!token.ok && (token.denial.reason === 'token_denied' || isFault(token.denial))) return token
  if (!token.ok || !isKnown(token.value.claims, deps)) return ok(INACTIVE)
  return ok(jsonAnswer(200, goJson(introspection(token.value.claims)), NO_STORE))
}

const EMPTY = 'The POST body can not be empty.'
const NO_TOKEN = "The POST body doesn't contain 'token' parameter."

/** Dex's texts for what is wrong with the request; everything else as at the token endpoint. */
function toIntrospectionError(denial: Denial): OAuthError {
  const { reason } = denial
  if (reason === 'method_not_allowed')
    return badRequest(`HTTP method is "${denial.method}", expected "POST".`)
  if (reason === 'form_malformed') {
    return badRequest(denial.detail === EMPTY || denial.detail === NO_TOKEN ? denial.detail : UNPARSABLE)
  }
  if (reason === 'client_public') return { ...toOAuthError(denial), status: 401, error: 'invalid_client' }
  return toOAuthError(denial)
}

const UNPARSABLE = 'Unable to parse HTTP body, make sure to send a properly formatted form request body.'

/** Where a job's token that is good once is used by asking. */
const INTROSPECTION_PLACE = 'token/introspect'

/** A token whose client was removed is dead with it; Dex answers 500 there. A Kubernetes token names its audience only. */
function isKnown(claims: Claims, { clientDeps }: IntrospectionDeps): boolean {
  const id = clientOf(claims) ?? onlyAudience(claims)
  return id !== undefined && (clientDeps.clients.has(id) || clientDeps.audiences.has(id))
}

/** Dex: the only audience, else `azp`; for RFC 9068 tokens their `client_id`; unknown for Kubernetes tokens. */
function clientOf(claims: Claims): string | undefined {
  const { azp, client_id: clientId, token_use: use } = claims
  if (use === 'kube') return undefined
  if (typeof clientId === 'string') return clientId
  return typeof azp === 'string' ? azp : onlyAudience(claims)
}

function onlyAudience({ aud }: Claims): string | undefined {
  const only = Array.isArray(aud) && aud.length === 1 ? aud[0] : aud
  return typeof only === 'string' ? only : undefined
}

function introspection(claims: Claims): Record<string, JsonValue | undefined> {
  const iat = claims['iat']
  return {
    active: true,
    client_id: clientOf(claims),
    sub: claims['sub'],
    exp: claims['exp'],
    iat,
    nbf: claims['nbf'] ?? iat,
    username: claims['preferred_username'] ?? claims['username'],
    aud: claims['aud'],
    iss: claims['iss'],
    token_type: 'Bearer',
    token_use: 'access_token',
    ext: defined({
      azp: claims['azp'],
      email: claims['email'],
      email_verified: claims['email_verified'],
      groups: claims['groups'],
      name: claims['name'],
      preferred_username: claims['preferred_username'],
      federated_claims: claims['federated_claims'],
    }),
  }
}

function defined(members: Record<string, JsonValue | undefined>): Record<string, JsonValue> {
  const kept: Record<string, JsonValue> = {}
  for (const [name, value] of Object.entries(members)) if (value !== undefined) kept[name] = value
  return kept
}

function badRequest(description: string): OAuthError {
  return { status: 400, error: 'invalid_request', description }
}
