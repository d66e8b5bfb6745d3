// RFC 6749 §4.4 in Dex's dialect (Dex HEAD server/grants/clientcredentials.go): scopes first, in scope order, then the
// trust in audiences, then the kind of client. A `federated_jwt` client is a CI job: its policy says what it gets.
import { mayName } from '#core/audience.ts'
import type { AudienceTable } from '#core/audience.ts'
import type { DecisionFacts } from '#core/audit_event.ts'
import type { Client } from '#core/client.ts'
import { audienceScope } from '#core/dex/scopes.ts'
import type { Scopes } from '#core/dex/scopes.ts'
import { encodeSubject } from '#core/dex/subject.ts'
import { ACCESS_TOKEN_TYPE, CLIENT_CREDENTIALS } from '#core/oauth/names.ts'
import { deny, ok } from '#core/result.ts'
import type { Result } from '#core/result.ts'
import { NO_STEP_TRACE } from '#core/step_trace.ts'
import type { StepTrace } from '#core/step_trace.ts'
import { authenticateClient } from '../clients/authenticate_client.ts'
import type { AuthenticatedClient } from '../clients/authenticate_client.ts'
import type { Issued, TokenOrder } from '../tokens/issue.ts'
import { claimAndIssue } from './claim_and_issue.ts'
import type { GrantDeps } from './grant_deps.ts'
import { useOf } from './replay.ts'
import type { TokenRequest } from './request.ts'
import { namedAudiences, resolveTarget } from './target.ts'
import { subjectFacts } from '../connectors/subject.ts'
import { union } from './token_exchange.ts'

export async function grantClientCredentials(
  request: TokenRequest,
  deps: GrantDeps,
  facts: DecisionFacts,
  trace: StepTrace = NO_STEP_TRACE,
): Promise<Result<Issued>> {
  // 1. who asks
  trace.enter('client')
  // No subject token here: what is sent as one stands for nothing.
  const shown = { ...request, subjectToken: '' }
  const authenticated = await authenticateClient(shown, deps, facts)
  if (!authenticated.ok) return authenticated
  const { client, method, job } = authenticated.value
  facts.client = client.id
  facts.clientAuth = method
  noteJob(facts, job)
  if (client.grants !== undefined && !client.grants.includes(CLIENT_CREDENTIALS)) {
    return deny({ reason: 'client_grant_not_allowed', client: client.id, grant: CLIENT_CREDENTIALS })
  }

  // 2. for what
  trace.enter('target')
  const scopes = checkScopes(request.scopes, client, deps.audiences)
  if (!scopes.ok) return scopes
  if (client.auth.method === 'none' || client.isPublic === true)
    return deny({ reason: 'client_public', client: client.id })

  // 3. for whom
  facts.audiencesRequested = namedAudiences(request)
  const target = resolveTarget(request, client, job?.grant, deps.audiences)
  if (!target.ok) return target
  facts.audiences = target.value.audiences
  facts.profile = target.value.profile

  // 4. not twice, where a job's token is the credential: claimed last
  trace.enter('replay')
  const uses = job === undefined ? [] : [useOf(job.subject, job.connector, job.grant, deps.clock)]

  // 5. mint
  const order: TokenOrder = {
    client,
    grant: 'client_credentials',
    target: target.value,
    connector: '',
    subject: { dex: clientSubject(client), plain: client.id },
    identity: {
      userId: client.id,
      username: client.name,
      preferredUsername: client.name,
      email: '',
      emailVerified: false,
      groups: union(client.groups, job?.grant.groups ?? []),
    },
    scopes: request.scopes,
    nonce: request.nonce,
    policy: job?.grant,
    facts: job?.subject.facts ?? {},
    tokenType: ACCESS_TOKEN_TYPE,
    withIdToken: request.scopes.openid && target.value.profile === 'dex',
  }
  return claimAndIssue(uses, order, deps, facts, trace)
}

function noteJob(facts: DecisionFacts, job: AuthenticatedClient['job']): void {
  if (job === undefined) return
  facts.connector = job.connector.id
  facts.policy = job.grant.policy
  facts.subject = subjectFacts(job.subject, job.connector)
}

/** Dex's scope policy: the first unsupported scope in scope order, then all unknown ones, then all untrusted audiences. */
function checkScopes(scopes: Scopes, client: Client, table: AudienceTable): Result<undefined> {
  const unsupported = scopes.all.find((scope) => scope === 'offline_access' || scope === 'federated:id')
  if (unsupported !== undefined) {
    return deny({ reason: 'scope_not_supported', grant: CLIENT_CREDENTIALS, scope: unsupported })
  }
  if (scopes.unrecognized.length > 0)
    return deny({ reason: 'scope_unrecognized', scopes: scopes.unrecognized })
  const untrusted = scopes.audiences.filter((id) => !mayName(client, id, table))
  if (untrusted.length > 0)
    return deny({ reason: 'scope_audience_not_trusted', scopes: untrusted.map(audienceScope) })
  return ok(undefined)
}

function clientSubject(client: Client): string {
  return client.subject === 'plain' ? client.id : encodeSubject(client.id, '')
}
