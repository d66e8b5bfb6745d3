// RFC 8693 in Dex's dialect. The order is the contract (Dex HEAD server/grants/tokenexchange.go); each step says why it
// may stop. `facts` collects what the audit event tells.
import type { Client } from '#core/client.ts'
import type { Connector } from '#core/connector.ts'
import type { DecisionFacts } from '#core/audit_event.ts'
import { encodeSubject } from '#core/dex/subject.ts'
import { checkMayAct } from '#core/jwt/claim_rules.ts'
import { ACCESS_TOKEN_TYPE, ID_TOKEN_TYPE, TOKEN_EXCHANGE } from '#core/oauth/names.ts'
import type { TokenType } from '#core/oauth/names.ts'
import { deny, ok } from '#core/result.ts'
import type { Result } from '#core/result.ts'
import { NO_STEP_TRACE } from '#core/step_trace.ts'
import type { StepTrace } from '#core/step_trace.ts'
import { authenticateClient } from '../clients/authenticate_client.ts'
import { connectorByIssuer, namedConnector } from '../connectors/resolve_connector.ts'
import { readSubject, subjectFacts } from '../connectors/subject.ts'
import type { PresentedToken } from '../connectors/subject.ts'
import type { Issued, TokenOrder } from '../tokens/issue.ts'
import { claimAndIssue } from './claim_and_issue.ts'
import { decideGrant } from './decide.ts'
import type { GrantDeps } from './grant_deps.ts'
import { strictestUse, useOf } from './replay.ts'
import type { TokenRequest } from './request.ts'
import { namedAudiences, resolveTarget } from './target.ts'

export async function exchangeToken(
  request: TokenRequest,
  deps: GrantDeps,
  facts: DecisionFacts,
  trace: StepTrace = NO_STEP_TRACE,
): Promise<Result<Issued>> {
  // 1. who asks
  trace.enter('client')
  const authenticated = await authenticateClient(request, deps, facts)
  if (!authenticated.ok) return authenticated
  const { client, method, job } = authenticated.value
  facts.client = client.id
  facts.clientAuth = method
  if (client.grants !== undefined && !client.grants.includes(TOKEN_EXCHANGE)) {
    return deny({ reason: 'client_grant_not_allowed', client: client.id, grant: TOKEN_EXCHANGE })
  }

  // 2. where the subject token comes from
  trace.enter('connector')
  const source = readSource(request, client, deps)
  if (!source.ok) return source
  const { connector, presented } = source.value
  facts.connector = connector.id
  if (deps.levers().disabled('connector').has(connector.id))
    return deny({ reason: 'connector_disabled', connector: connector.id })

  // 3. what it proves (signature, time, audience): the first step that costs anything
  trace.enter('subject')
  const subject = await readSubject(presented, connector, deps.subject)
  if (!subject.ok) return subject
  facts.subject = subjectFacts(subject.value, connector)
  const notAllowed = checkMayAct(subject.value.claims, client.id)
  if (notAllowed !== undefined) return deny(notAllowed)

  // 4. what that is worth here
  trace.enter('policy')
  const grant = decideGrant(subject.value, client, connector, request.policy, deps)
  if (!grant.ok) return grant
  if (grant.value !== undefined) facts.policy = grant.value.policy

  // 5. for whom, and as what
  trace.enter('target')
  const requestedType = requestedTokenType(request.requestedTokenType)
  if (!requestedType.ok) return requestedType
  facts.audiencesRequested = namedAudiences(request)
  const target = resolveTarget(request, client, grant.value, deps.audiences)
  if (!target.ok) return target
  facts.audiences = target.value.audiences
  facts.profile = target.value.profile

  // 6. not twice: claimed last, so that a refused request burns nothing
  trace.enter('replay')
  const use = useOf(subject.value, connector, grant.value, deps.clock)
  const asCredential = job && useOf(job.subject, job.connector, job.grant, deps.clock)
  const uses = strictestUse(use, asCredential)

  // 7. mint
  const { identity } = subject.value
  const order: TokenOrder = {
    client,
    grant: 'token-exchange',
    target: target.value,
    connector: connector.id,
    subject: {
      dex: encodeSubject(identity.userId, connector.id),
      plain: `${connector.id}:${identity.userId}`,
    },
    identity: { ...identity, groups: union(identity.groups, grant.value?.groups ?? []) },
    scopes: request.scopes,
    nonce: '',
    policy: grant.value,
    facts: subject.value.facts,
    tokenType: requestedType.value,
    withIdToken: false,
  }
  return claimAndIssue(uses, order, deps, facts, trace)
}

type Source = { readonly connector: Connector; readonly presented: PresentedToken }

/** Dex's order: the connector that is named, the declared type, the token; then, with none named, the token's issuer. */
function readSource(request: TokenRequest, client: Client, deps: GrantDeps): Result<Source> {
  const named = namedConnector(request.connectorId, client, deps.connectors)
  if (!named.ok) return named
  const type = subjectTokenType(request.subjectTokenType)
  if (!type.ok) return type
  if (request.subjectToken === '') return deny({ reason: 'subject_token_missing' })
  const text = request.subjectToken
  const caller = `${client.id} ${request.network}`
  const presented = { text, type: type.value, parsed: deps.parse(text), caller }
  const connector =
    named.value === undefined ? connectorByIssuer(presented.parsed, client, deps.connectors) : ok(named.value)
  return connector.ok ? ok({ connector: connector.value, presented }) : connector
}

function subjectTokenType(type: string): Result<TokenType> {
  return type === ID_TOKEN_TYPE || type === ACCESS_TOKEN_TYPE
    ? ok(type)
    : deny({ reason: 'subject_token_type_unsupported', got: type })
}

/** Dex: an access token unless an ID token is asked for. */
function requestedTokenType(type: string): Result<TokenType> {
  if (type === '') return ok(ACCESS_TOKEN_TYPE)
  return type === ID_TOKEN_TYPE || type === ACCESS_TOKEN_TYPE
    ? ok(type)
    : deny({ reason: 'requested_token_type_unsupported', got: type })
}

export function union(first: readonly string[], second: readonly string[]): readonly string[] {
  if (second.length === 0) return first
  return [...new Set([...first, ...second])]
}
