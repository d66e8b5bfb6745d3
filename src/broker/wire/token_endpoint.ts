// POST /token, from raw request to answer, in the order that docs/architecture.md describes:
// method, address bucket, form, grant, client bucket, the grant itself, audit, answer.
import type { DecisionFacts } from '#core/audit_event.ts'
import type { Fault, RequestDenial } from '#core/denial.ts'
import { formContentType } from '#core/oauth/content_type.ts'
import { isMalformedQuery, parseForm } from '#core/oauth/form.ts'
import type { Form } from '#core/oauth/form.ts'
import { CLIENT_CREDENTIALS, TOKEN_EXCHANGE } from '#core/oauth/names.ts'
import type { SERVED_GRANTS } from '#core/oauth/names.ts'
import { deny, ok } from '#core/result.ts'
import type { Result } from '#core/result.ts'
import type { StepTrace } from '#core/step_trace.ts'
import { callerNetwork } from '#platform/http/client_address.ts'
import type { SigningQueue } from '#platform/keys/signing_queue.ts'
import type { RateLimit } from '#platform/rate_limit.ts'
import type { RequestTrace, Traces } from '#platform/tracing/traces.ts'
import { limitClient } from '../clients/limit_client.ts'
import type { ClientLimits } from '../clients/limit_client.ts'
import { grantClientCredentials } from '../grants/client_credentials.ts'
import type { GrantDeps } from '../grants/grant_deps.ts'
import { readTokenRequest } from '../grants/request.ts'
import type { TokenRequest } from '../grants/request.ts'
import { exchangeToken } from '../grants/token_exchange.ts'
import type { Issued } from '../tokens/issue.ts'
import { errorAnswer, tokenAnswer } from './answer.ts'
import type { Answer } from './answer.ts'
import { arrivalDenial } from './arrival.ts'
import { conclude } from './conclude.ts'
import type { ConcludeDeps } from './conclude.ts'
import { toOAuthError } from './oauth_error.ts'

/** A request as the HTTP frame hands it over; nothing in it has been judged yet. */
export type RawRequest = {
  readonly method: string
  readonly query: string
  readonly contentType: string | undefined
  /** Every value of the header, in order: two of them are two credentials. */
  readonly authorization: readonly string[]
  /** Whether a proof of possession is among the headers (RFC 9449). */
  readonly hasDpopProof: boolean
  /** Read as UTF-8; what is none became U+FFFD. */
  readonly body: string
  readonly peer: string
  readonly requestId: string
  /** Of W3C Trace Context, as it came. */
  readonly traceparent?: string | undefined
}

export type ServedGrant = (typeof SERVED_GRANTS)[number]

export type TokenEndpointDeps = ConcludeDeps &
  ClientLimits & {
    readonly grants: ReadonlySet<string>
    readonly grantDeps: GrantDeps
    readonly addressLimit: RateLimit
    readonly signerBusy: SigningQueue['refusal']
    readonly traces: Traces
  }

export async function answerToken(raw: RawRequest, deps: TokenEndpointDeps): Promise<Answer> {
  const facts: DecisionFacts = { grant: 'unknown' }
  const startedAt = performance.now()
  const trace = deps.traces.begin(startedAt, raw.traceparent)
  const result = await decideToken(raw, deps, facts, trace)
  return concludeToken(raw, facts, result, { startedAt, trace }, deps)
}

/** A request that the HTTP frame refused: before its body could be read, or because too many are in work. */
export function answerRejected(
  raw: Pick<RawRequest, 'requestId' | 'peer' | 'traceparent'>,
  denial: RequestDenial | Fault,
  deps: TokenEndpointDeps,
): Promise<Answer> {
  const startedAt = performance.now()
  const trace = deps.traces.begin(startedAt, raw.traceparent)
  return concludeToken(raw, { grant: 'unknown' }, deny(denial), { startedAt, trace }, deps)
}

type Begun = { readonly startedAt: number; readonly trace: RequestTrace }

async function concludeToken(
  raw: Pick<RawRequest, 'requestId' | 'peer'>,
  facts: DecisionFacts,
  result: Result<Issued>,
  { startedAt, trace }: Begun,
  deps: TokenEndpointDeps,
): Promise<Answer> {
  const { requestId, peer } = raw
  const answer = result.ok ? tokenAnswer(result.value) : errorAnswer(toOAuthError(result.denial))
  const denial = result.ok ? undefined : result.denial
  return conclude({ event: 'token', requestId, peer, startedAt, trace, facts, denial, answer }, deps)
}

/** The decision alone: what `answerToken` turns into an event and an answer. */
async function decideToken(
  raw: RawRequest,
  deps: TokenEndpointDeps,
  facts: DecisionFacts,
  trace: StepTrace,
): Promise<Result<Issued>> {
  trace.enter('request')
  const network = callerNetwork(raw.peer)
  const denial = arrivalDenial(raw.method, network, deps.addressLimit)
  if (denial !== undefined) return deny(denial)
  // Before anything is read: what is refused must cost next to nothing.
  const busy = deps.signerBusy()
  if (busy !== undefined) return deny(busy)
  // A token that is bound to no key must not be taken for one that is.
  if (raw.hasDpopProof) return deny({ reason: 'dpop_unsupported' })
  const form = readForm(raw)
  if (!form.ok) return form
  const grant = servedGrant(form.value.get('grant_type'), deps.grants)
  if (!grant.ok) return grant
  facts.grant = grant.value === TOKEN_EXCHANGE ? 'token-exchange' : grant.value
  const { authorization } = raw
  const request = readTokenRequest(grant.value, form.value, { authorization, network })
  if (!request.ok) return request
  const { credentials } = request.value
  const limited = limitClient(credentials, raw.peer, deps.grantDeps.clients, deps)
  if (!limited.ok) return limited
  return decideGrant(grant.value, { ...request.value, memory: limited.value }, deps, facts, trace)
}

function decideGrant(
  grant: ServedGrant,
  request: TokenRequest,
  deps: TokenEndpointDeps,
  facts: DecisionFacts,
  trace: StepTrace,
): Promise<Result<Issued>> {
  switch (grant) {
    case TOKEN_EXCHANGE:
      return exchangeToken(request, deps.grantDeps, facts, trace)
    case CLIENT_CREDENTIALS:
      return grantClientCredentials(request, deps.grantDeps, facts, trace)
  }
}

/** As Go's ParseForm: anything but a urlencoded form is an empty one; what cannot be parsed is refused. */
export function readForm(raw: Pick<RawRequest, 'contentType' | 'query' | 'body'>): Result<Form> {
  if (raw.query !== '' && isMalformedQuery(raw.query))
    return deny({ reason: 'form_malformed', detail: 'query string' })
  const type = formContentType(raw.contentType)
  switch (type) {
    case 'malformed':
      return deny({ reason: 'form_malformed', detail: 'content type' })
    case 'other':
      return parseForm('')
    case 'form':
      // A form is ASCII, so one that holds the sign for bytes that are no UTF-8 was none.
      return raw.body.includes('\uFFFD')
        ? deny({ reason: 'form_malformed', detail: 'not UTF-8' })
        : parseForm(raw.body)
  }
}

/** A grant that is known, and that this configuration enables. */
export function servedGrant(name: string, enabled: ReadonlySet<string>): Result<ServedGrant> {
  if ((name === TOKEN_EXCHANGE || name === CLIENT_CREDENTIALS) && enabled.has(name)) return ok(name)
  return deny({ reason: 'grant_type_unsupported', got: name })
}
