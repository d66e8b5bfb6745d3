// POST /token/revoke (RFC 7009): a client takes a token of its own back. Userinfo, introspection and token
// review refuse it from then on; whoever verifies offline, as kube-apiserver does, goes on until it expires. Whatever is
// wrong with the token is the same 200, so that nobody learns here whose it is or whether it lives.
import { isFault, stepOf } from '#core/audit_event.ts'
import type { DecisionFacts } from '#core/audit_event.ts'
import type { Denial, Fault } from '#core/denial.ts'
import { issuedFor } from '#core/levers.ts'
import type { Form } from '#core/oauth/form.ts'
import { deny, ok } from '#core/result.ts'
import type { Result } from '#core/result.ts'
import { callerNetwork } from '#platform/http/client_address.ts'
import type { LeverBook } from '#platform/levers/lever_book.ts'
import type { RateLimit } from '#platform/rate_limit.ts'
import { StoreFailure } from '#platform/store/store.ts'
import type { ClientLimits } from '../clients/limit_client.ts'
import { checkOwnToken, ownTokenFacts } from '../tokens/own_token.ts'
import type { OwnToken, OwnTokenDeps } from '../tokens/own_token.ts'
import { errorAnswer } from './answer.ts'
import type { Answer } from './answer.ts'
import { arrivalDenial } from './arrival.ts'
import { authenticateAsker } from './authenticate_asker.ts'
import type { AskerDeps } from './authenticate_asker.ts'
import { conclude } from './conclude.ts'
import type { ConcludeDeps } from './conclude.ts'
import { toOAuthError } from './oauth_error.ts'
import { readForm } from './token_endpoint.ts'
import type { RawRequest } from './token_endpoint.ts'

export type RevocationDeps = ConcludeDeps &
  ClientLimits & {
    readonly clientDeps: AskerDeps
    readonly ownToken: OwnTokenDeps
    readonly levers: Pick<LeverBook, 'revoke'>
    /** The token endpoint's own. */
    readonly addressLimit: RateLimit
  }

/** RFC 7009 §2.2: clients do not read it. */
const REVOKED: Answer = {
  status: 200,
  headers: { 'cache-control': 'no-store', pragma: 'no-cache' },
  body: '',
}

/** A job's token that is good once is used by asking, too: here is a place of its own beside all audiences. */
const REVOCATION_PLACE = 'token/revoke'

export async function answerRevocation(raw: RawRequest, deps: RevocationDeps): Promise<Answer> {
  const facts: DecisionFacts = { grant: 'revocation' }
  const startedAt = performance.now()
  const result = await decideRevocation(raw, deps, facts)
  return concludeRevocation(raw, facts, result, startedAt, deps)
}

/** A request that nobody looked at, because too many are in work. */
export function answerBusyRevocation(raw: RawRequest, busy: Fault, deps: RevocationDeps): Promise<Answer> {
  return concludeRevocation(raw, { grant: 'revocation' }, deny(busy), performance.now(), deps)
}

function concludeRevocation(
  { requestId, peer }: RawRequest,
  facts: DecisionFacts,
  result: Result<undefined>,
  startedAt: number,
  deps: RevocationDeps,
): Promise<Answer> {
  const denial = result.ok ? undefined : result.denial
  const answer = denial === undefined || isAboutToken(denial) ? REVOKED : errorAnswer(toOAuthError(denial))
  return conclude({ event: 'revocation', requestId, peer, startedAt, facts, denial, answer }, deps)
}

function isAboutToken(denial: Denial): boolean {
  return stepOf(denial.reason) === 'subject' && !isFault(denial)
}

async function decideRevocation(
  raw: RawRequest,
  deps: RevocationDeps,
  facts: DecisionFacts,
): Promise<Result<undefined>> {
  // 1. the request
  const denial = arrivalDenial(raw.method, callerNetwork(raw.peer), deps.addressLimit)
  if (denial !== undefined) return deny(denial)
  const form = readForm(raw)
  if (!form.ok) return form
  if (form.value.get('token') === '') return deny({ reason: 'form_malformed', detail: 'no token' })

  // 2. who asks: also a public client, of which nobody learns more here than a 200
  const asker = await authenticateAsker(raw, form.value, REVOCATION_PLACE, deps, facts)
  if (!asker.ok) return asker

  // 3. what the token is; `token_type_hint` says nothing that its signature does not
  return revoke(form.value, asker.value.client.id, deps, facts)
}

async function revoke(
  form: Form,
  client: string,
  deps: RevocationDeps,
  facts: DecisionFacts,
): Promise<Result<undefined>> {
  const text = form.get('token')
  const token = await checkOwnToken(text, deps.ownToken)
  if (!token.ok) return token
  facts.subject = ownTokenFacts(text, token.value.claims)
  const owner = issuedFor(token.value.claims) ?? ''
  if (owner !== client) return deny({ reason: 'token_of_another_client', client, issuedTo: owner })

  // 4. out with it: here at once, at the other replicas within a second
  return record(token.value, client, deps)
}

async function record(
  { claims }: OwnToken,
  client: string,
  { levers }: RevocationDeps,
): Promise<Result<undefined>> {
  const { jti, exp } = claims
  if (typeof jti !== 'string' || typeof exp !== 'number')
    return deny({ reason: 'subject_claim_invalid', claim: 'jti', detail: 'missing' })
  try {
    const outcome = await levers.revoke({ jti, client, exp })
    return outcome === 'revoked' ? ok(undefined) : deny({ reason: 'deny_list_full', client })
  } catch (error) {
    if (error instanceof StoreFailure) return deny({ reason: 'store_unavailable', detail: error.message })
    throw error
  }
}
