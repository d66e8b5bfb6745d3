// POST /kubernetes/token-review: a kube-apiserver that cannot take an AuthenticationConfiguration asks about each token
// (--authentication-token-webhook-config-file). Only clients that the configuration lists may ask, each for the tokens of
// its own cluster; to them every refused token is the same answer.
import { isFault, stepOf } from '#core/audit_event.ts'
import type { DecisionFacts } from '#core/audit_event.ts'
import type { JsonObject } from '#core/claims.ts'
import type { Denial, Fault } from '#core/denial.ts'
import type { KubeUser } from '#core/kube/kube_user.ts'
import { readTokenReview, reviewAnswer, reviewedUser, statusAnswer } from '#core/kube/token_review.ts'
import type { ReviewingCluster } from '#core/kube/token_review.ts'
import { parseBasic } from '#core/oauth/credentials.ts'
import type { Credentials } from '#core/oauth/credentials.ts'
import { deny, ok } from '#core/result.ts'
import type { Result } from '#core/result.ts'
import { callerNetwork } from '#platform/http/client_address.ts'
import type { RateLimit } from '#platform/rate_limit.ts'
import { authenticateClient } from '../clients/authenticate_client.ts'
import type { ClientDeps } from '../clients/authenticate_client.ts'
import { limitClient } from '../clients/limit_client.ts'
import type { ClientLimits } from '../clients/limit_client.ts'
import { checkOwnToken, ownTokenFacts } from '../tokens/own_token.ts'
import type { OwnTokenDeps } from '../tokens/own_token.ts'
import { jsonAnswer } from './answer.ts'
import type { Answer } from './answer.ts'
import { arrivalDenial } from './arrival.ts'
import { conclude } from './conclude.ts'
import type { ConcludeDeps } from './conclude.ts'
import { toOAuthError } from './oauth_error.ts'
import type { RawRequest } from './token_endpoint.ts'

export type TokenReviewDeps = ConcludeDeps &
  ClientLimits & {
    readonly clientDeps: ClientDeps
    readonly ownToken: OwnTokenDeps
    /** By client id. Empty: nobody set this up, and there is nothing here. */
    readonly clusters: ReadonlyMap<string, ReviewingCluster>
    /** The token endpoint's own. */
    readonly addressLimit: RateLimit
  }

const NO_STORE = { 'cache-control': 'no-store' }

/** `undefined`: no cluster is configured, so the path does not exist. */
export async function answerTokenReview(raw: RawRequest, deps: TokenReviewDeps): Promise<Answer | undefined> {
  if (deps.clusters.size === 0) return undefined
  const facts: DecisionFacts = { grant: 'token_review' }
  const startedAt = performance.now()
  const result = await decideReview(raw, deps, facts)
  return concludeReview(raw, facts, result, startedAt, deps)
}

/** A request that nobody looked at, because too many are in work. The apiserver asks again. */
export async function answerBusyReview(
  raw: RawRequest,
  busy: Fault,
  deps: TokenReviewDeps,
): Promise<Answer | undefined> {
  if (deps.clusters.size === 0) return undefined
  return concludeReview(raw, { grant: 'token_review' }, deny(busy), performance.now(), deps)
}

function concludeReview(
  { requestId, peer }: RawRequest,
  facts: DecisionFacts,
  result: Result<KubeUser>,
  startedAt: number,
  deps: TokenReviewDeps,
): Promise<Answer> {
  const answer = result.ok ? reviewed(reviewAnswer(result.value)) : toReviewAnswer(result.denial)
  const denial = result.ok ? undefined : result.denial
  return conclude({ event: 'review', requestId, peer, startedAt, facts, denial, answer }, deps)
}

async function decideReview(
  raw: RawRequest,
  deps: TokenReviewDeps,
  facts: DecisionFacts,
): Promise<Result<KubeUser>> {
  // 1. the request
  const denial = arrivalDenial(raw.method, callerNetwork(raw.peer), deps.addressLimit)
  if (denial !== undefined) return deny(denial)

  // 2. which cluster asks: before a byte of what it asks is read
  const cluster = await authenticateCluster(raw, deps, facts)
  if (!cluster.ok) return cluster
  const token = readTokenReview(raw.body)
  if (!token.ok) return token

  // 3. what the token proves, and who that is there
  const own = await checkOwnToken(token.value, deps.ownToken)
  if (!own.ok) return own
  facts.subject = ownTokenFacts(token.value, own.value.claims)
  const user = reviewedUser(own.value.claims, cluster.value)
  if (user.ok) Object.assign(facts, { audiences: [cluster.value.audience], profile: 'kubernetes' })
  return user
}

async function authenticateCluster(
  raw: RawRequest,
  deps: TokenReviewDeps,
  facts: DecisionFacts,
): Promise<Result<ReviewingCluster>> {
  const [header, second] = raw.authorization
  if (second !== undefined) return deny({ reason: 'credentials_repeated', methods: ['basic', 'basic'] })
  // As the kubeconfig says it (RFC 7617): nothing is percent-decoded here, other than at the token endpoint.
  const basic = parseBasic(header)
  const credentials: Credentials = { kind: 'secret', clientId: basic?.id ?? '', secret: basic?.secret ?? '' }
  const limited = limitClient(credentials, raw.peer, deps.clientDeps.clients, deps)
  if (!limited.ok) return limited
  const shown = { credentials, subjectToken: '', network: callerNetwork(raw.peer), memory: limited.value }
  const authenticated = await authenticateClient(shown, deps.clientDeps)
  if (!authenticated.ok) return authenticated
  const { client, method } = authenticated.value
  facts.client = client.id
  facts.clientAuth = method
  const cluster = deps.clusters.get(client.id)
  return cluster === undefined || method !== 'client_secret'
    ? deny({ reason: 'review_not_allowed', client: client.id })
    : ok(cluster)
}

/** The one place where a denial becomes an answer to a kube-apiserver: what is wrong with the token stays here. */
function toReviewAnswer(denial: Denial): Answer {
  switch (stepOf(denial.reason)) {
    case 'request':
      return requestProblem(denial)
    case 'client':
      return isFault(denial) ? unavailable(denial) : clientProblem(denial)
    case 'connector':
    case 'subject':
    case 'policy':
    case 'target':
    case 'replay':
    case 'mint':
      return isFault(denial) ? unavailable(denial) : reviewed(reviewAnswer(undefined))
  }
}

function requestProblem(denial: Denial): Answer {
  const { status, retryAfterSeconds } = toOAuthError(denial)
  if (denial.reason === 'review_version_unsupported') return failure(400, 'BadRequest', OTHER_VERSION)
  if (status === 429) return failure(429, 'TooManyRequests', 'too many requests', retryAfterSeconds)
  if (isFault(denial)) return unavailable(denial)
  if (denial.reason === 'method_not_allowed') return failure(405, 'MethodNotAllowed', 'send a POST')
  return failure(400, 'BadRequest', 'the body is no TokenReview')
}

const OTHER_VERSION =
  'only authentication.k8s.io/v1 is answered: start kube-apiserver with --authentication-token-webhook-version=v1'

function clientProblem(denial: Denial): Answer {
  return denial.reason === 'review_not_allowed'
    ? failure(403, 'Forbidden', 'this client may not have tokens reviewed')
    : failure(401, 'Unauthorized', 'invalid client credentials')
}

function unavailable(denial: Denial): Answer {
  const { retryAfterSeconds } = toOAuthError(denial)
  return failure(503, 'ServiceUnavailable', 'temporarily unavailable', retryAfterSeconds)
}

function reviewed(review: JsonObject): Answer {
  return jsonAnswer(200, JSON.stringify(review), NO_STORE)
}

function failure(code: number, reason: string, message: string, retryAfterSeconds?: number): Answer {
  const retry = retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }
  return jsonAnswer(code, JSON.stringify(statusAnswer(code, reason, message)), { ...NO_STORE, ...retry })
}
