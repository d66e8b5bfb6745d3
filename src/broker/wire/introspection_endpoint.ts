// POST /token/introspect (RFC 7662) in Dex's shape, for authenticated confidential clients only. Everything that is not a
// living token of ours is `{"active":false}`.
import { isFault } from '#core/audit_event.ts'
import type { DecisionFacts } from '#core/audit_event.ts'
import type { Claims, JsonValue } from '#core/claims.ts'
import type { Client } from '#core/client.ts'
import type { Denial, Fault } from '#core/denial.ts'
import { goJson } from '#core/dex/go_text.ts'
import { readCredentials } from '#core/oauth/credentials.ts'
import type { Form } from '#core/oauth/form.ts'
import { deny, ok } from '#core/result.ts'
import type { Result } from '#core/result.ts'
import { callerNetwork } from '#platform/http/client_address.ts'
import type { RateLimit } from '#platform/rate_limit.ts'
import { authenticateClient } from '../clients/authenticate_client.ts'
import type { ClientDeps, JobCredential } from '../clients/authenticate_client.ts'
import { limitClient } from '../clients/limit_client.ts'
import type { ClientLimits } from '../clients/limit_client.ts'
import type { GrantDeps } from '../grants/grant_deps.ts'
import { claimUses, useOf } from '../grants/replay.ts'
import { verifyOwnToken } from '../tokens/own_token.ts'
import type { OwnTokenDeps } from '../tokens/own_token.ts'
import { errorAnswer, jsonAnswer } from './answer.ts'
import type { Answer } from './answer.ts'
import { conclude } from './conclude.ts'
import type { ConcludeDeps } from './conclude.ts'
import { toOAuthError } from './oauth_error.ts'
import type { OAuthError } from './oauth_error.ts'
import { readForm } from './token_endpoint.ts'
import type { RawRequest } from './token_endpoint.ts'

export type IntrospectionDeps = ConcludeDeps &
  ClientLimits & {
    readonly clientDeps: ClientDeps & Pick<GrantDeps, 'audiences' | 'store' | 'clock'>
    readonly ownToken: OwnTokenDeps
    /** The token endpoint's own. */
    readonly addressLimit: RateLimit
  }

const NO_STORE = { 'cache-control': 'no-store', pragma: 'no-cache' }

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
  const answer = errorAnswer(toIntrospectionError(denial))
  return conclude({ event: 'introspection', requestId, peer, startedAt, facts, denial, answer }, deps)
}

async function decideIntrospection(
  raw: RawRequest,
  deps: IntrospectionDeps,
  facts: DecisionFacts,
): Promise<Result<Answer>> {
  // 1. the request
  if (raw.method !== 'POST') return deny({ reason: 'method_not_allowed', method: raw.method })
  const addressWait = deps.addressLimit.take(callerNetwork(raw.peer))
  if (addressWait > 0) return deny({ reason: 'rate_limited', key: 'address', retryAfterSeconds: addressWait })
  const form = readForm(raw)
  if (!form.ok) return form
  if (form.value.isEmpty) return deny({ reason: 'form_malformed', detail: EMPTY })
  if (!form.value.has('token')) return deny({ reason: 'form_malformed', detail: NO_TOKEN })

  // 2. who asks
  const client = await authenticate(raw, form.value, deps, facts)
  if (!client.ok) return client

  // 3. what the token is
  const token = await verifyOwnToken(form.value.get('token'), deps.ownToken)
  if (token === undefined || !isKnown(token.claims, deps)) {
    return ok(jsonAnswer(200, '{"active":false}\n', NO_STORE))
  }
  return ok(jsonAnswer(200, goJson(introspection(token.claims)), NO_STORE))
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

async function authenticate(
  raw: RawRequest,
  form: Form,
  deps: IntrospectionDeps,
  facts: DecisionFacts,
): Promise<Result<undefined>> {
  const credentials = readCredentials(raw.authorization, form)
  if (!credentials.ok) return credentials
  const limited = limitClient(credentials.value, raw.peer, deps.clientDeps.clients, deps)
  if (!limited.ok) return limited
  const authenticated = await authenticateClient(credentials.value, '', deps.clientDeps)
  if (!authenticated.ok) return authenticated
  const { client, method, job } = authenticated.value
  facts.client = client.id
  facts.clientAuth = method
  if (method === 'client_secret') limited.value()
  // A public client's id is no secret: whoever knows it could ask for anybody's token.
  if (method === 'none') return deny({ reason: 'client_public', client: client.id })
  return job === undefined ? ok(undefined) : claimJob(client, job, deps)
}

/** A job's token that is good once is used by asking, too: here is a place of its own beside all audiences. */
async function claimJob(
  client: Client,
  job: JobCredential,
  { clientDeps }: IntrospectionDeps,
): Promise<Result<undefined>> {
  const use = useOf(job.subject, job.connector, job.grant, clientDeps.clock)
  const claim = await claimUses([use], [INTROSPECTION_PLACE], clientDeps.store)
  if (claim.ok || isFault(claim.denial)) return claim
  return deny({ reason: 'client_assertion_invalid', client: client.id, cause: claim.denial })
}

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
