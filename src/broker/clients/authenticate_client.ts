// Who asks. Every failure is one answer on the wire, and every secret that is refused costs the same, whatever the client
// has and whether it exists (RFC 6749 §2.3, RFC 7523 §2.2, JA-6 for `federated_jwt`).
import type { DecisionFacts } from '#core/audit_event.ts'
import type { Client } from '#core/client.ts'
import type { Connector } from '#core/connector.ts'
import type { ClientDenial } from '#core/denial.ts'
import type { ParsedToken } from '#core/jwt/compact.ts'
import type { Levers } from '#core/levers.ts'
import type { Credentials } from '#core/oauth/credentials.ts'
import type { PolicyGrant } from '#core/policy/trust_policy.ts'
import { deny, ok } from '#core/result.ts'
import type { Result } from '#core/result.ts'
import type { SecretMemory } from '#platform/guess_limit.ts'
import { SecretCheckBusy } from '#platform/secret_check.ts'
import { readSubject, subjectFacts } from '../connectors/subject.ts'
import type { PresentedToken, Subject, SubjectDeps } from '../connectors/subject.ts'
import type { ConnectorTable } from '../connectors/resolve_connector.ts'

export type AuthenticatedClient = {
  readonly client: Client
  readonly method: Client['auth']['method']
  /** The CI job behind a `federated_jwt` client, and what its policy grants. */
  readonly job: JobCredential | undefined
}

type JobCredential = {
  readonly subject: Subject
  readonly connector: Connector
  readonly grant: PolicyGrant
}

export type ClientDeps = {
  readonly clients: ReadonlyMap<string, Client>
  readonly connectors: ConnectorTable
  readonly secrets: {
    verify(secret: string, hashes: readonly string[]): Promise<boolean>
    dummy(secret: string): Promise<unknown>
  }
  readonly parse: (token: string) => Result<ParsedToken>
  readonly subject: SubjectDeps
  readonly decide: (
    subject: Subject,
    client: Client,
    connector: Connector,
    named: string,
  ) => Result<PolicyGrant>
  /** What is switched off at this moment. */
  readonly levers: () => Levers
  /** RFC 7523 §3 for `private_key_jwt`: signature, iss = sub = client, aud = this issuer alone, jti once. */
  readonly checkAssertion: (token: ParsedToken, client: Client) => Promise<Result<undefined>>
}

/** What a request shows of who asks. */
type ShownCredentials = {
  readonly credentials: Credentials
  /** May stand in for the assertion of a `federated_jwt` client: it is then credential and subject in one. Else `''`. */
  readonly subjectToken: string
  /** Where it comes from, as `callerNetwork` has it. */
  readonly network: string
  /** Of the secret among the credentials; absent: nobody remembers. */
  readonly memory?: SecretMemory
}

/** Authenticates the client of one request. Of a job that proves who it is and is refused all the same `facts` tell who it was. */
export async function authenticateClient(
  shown: ShownCredentials,
  deps: ClientDeps,
  facts: DecisionFacts = { grant: 'unknown' },
): Promise<Result<AuthenticatedClient>> {
  const proven = rememberedClient(shown, deps) ?? (await proveClient(shown, deps, facts))
  if (!proven.ok) return proven
  // Only now, and in the words of a wrong secret: a guess must not learn by time or text that the client is switched off.
  const { client } = proven.value
  if (deps.levers().disabled('client').has(client.id))
    return deny({ reason: 'client_disabled', client: client.id })
  if (client.auth.method === 'client_secret') shown.memory?.wasRight(client.auth.hashes)
  return proven
}

/** Nearly every client that has a secret: this very one was found in the client's hashes before. */
function rememberedClient(
  { credentials: { kind, clientId }, memory }: ShownCredentials,
  { clients }: Pick<ClientDeps, 'clients'>,
): Result<AuthenticatedClient> | undefined {
  if (kind !== 'secret' || memory?.foundIn === undefined) return undefined
  const client = clients.get(clientId)
  return client?.auth.method === 'client_secret' && client.auth.hashes === memory.foundIn
    ? ok({ client, method: 'client_secret', job: undefined })
    : undefined
}

async function proveClient(
  shown: ShownCredentials,
  deps: ClientDeps,
  facts: DecisionFacts,
): Promise<Result<AuthenticatedClient>> {
  const { credentials } = shown
  const client = deps.clients.get(clientIdOf(credentials, deps))
  if (client === undefined)
    return denySlowly(credentials, { reason: 'client_unknown', client: credentials.clientId }, deps)
  const { auth } = client
  switch (auth.method) {
    case 'none':
      return authenticatePublic(credentials, client, deps)
    case 'client_secret':
      return authenticateSecret(credentials, client, auth.hashes, deps)
    case 'private_key_jwt':
      return authenticateKey(credentials, client, deps)
    case 'federated_jwt':
      if (credentials.kind === 'secret' && credentials.secret !== '')
        return wrongMethod(credentials, client, deps)
      return authenticateJob(shown, client, auth, deps, facts)
  }
}

/** RFC 7523: `client_id` may be left out beside an assertion, whose `sub` then names the client. */
function clientIdOf(credentials: Credentials, deps: ClientDeps): string {
  if (credentials.kind === 'secret' || credentials.clientId !== '') return credentials.clientId
  const parsed = deps.parse(credentials.assertion)
  const sub = parsed.ok ? parsed.value.claims['sub'] : undefined
  const named = typeof sub === 'string' ? deps.clients.get(sub) : undefined
  // A CI token's `sub` must never select a client: no search for a rule that fits (JA-6).
  return named?.auth.method === 'private_key_jwt' ? named.id : ''
}

/** A public client is known by its id alone; Dex compares its empty secret, so a secret that is sent is wrong. */
async function authenticatePublic(
  credentials: Credentials,
  client: Client,
  deps: ClientDeps,
): Promise<Result<AuthenticatedClient>> {
  if (credentials.kind === 'assertion') return wrongMethod(credentials, client, deps)
  if (credentials.secret !== '')
    return denySlowly(credentials, { reason: 'client_secret_wrong', client: client.id }, deps)
  return ok({ client, method: 'none', job: undefined })
}

async function authenticateSecret(
  credentials: Credentials,
  client: Client,
  hashes: readonly string[],
  deps: ClientDeps,
): Promise<Result<AuthenticatedClient>> {
  if (credentials.kind === 'assertion') return wrongMethod(credentials, client, deps)
  if (credentials.secret === '') return deny({ reason: 'client_secret_missing', client: client.id })
  const right = await guarded(deps.secrets.verify(credentials.secret, hashes))
  if (!right.ok) return right
  if (!right.value) return deny({ reason: 'client_secret_wrong', client: client.id })
  return ok({ client, method: 'client_secret', job: undefined })
}

async function authenticateKey(
  credentials: Credentials,
  client: Client,
  deps: ClientDeps,
): Promise<Result<AuthenticatedClient>> {
  if (credentials.kind === 'secret') return wrongMethod(credentials, client, deps)
  const parsed = deps.parse(credentials.assertion)
  const checked = parsed.ok ? await deps.checkAssertion(parsed.value, client) : parsed
  if (!checked.ok) return notProven(client, checked)
  return ok({ client, method: 'private_key_jwt', job: undefined })
}

async function authenticateJob(
  { credentials, subjectToken, network }: ShownCredentials,
  client: Client,
  auth: Extract<Client['auth'], { method: 'federated_jwt' }>,
  deps: ClientDeps,
  facts: DecisionFacts,
): Promise<Result<AuthenticatedClient>> {
  const connector = deps.connectors.get(auth.connector)
  if (connector === undefined) return deny({ reason: 'connector_unknown', connector: auth.connector })
  // Before its issuer is asked for anything: it may be the one that was taken over.
  if (deps.levers().disabled('connector').has(connector.id))
    return notProven(client, deny({ reason: 'connector_disabled', connector: connector.id }))
  const text = credentials.kind === 'assertion' ? credentials.assertion : subjectToken
  // With its network: every job of that issuer may name this client, and only the policy, later, says which of them is it.
  const caller = `${client.id} ${network}`
  const presented: PresentedToken = { text, type: undefined, parsed: deps.parse(text), caller }
  const subject = await readSubject(presented, connector, deps.subject)
  if (!subject.ok) return notProven(client, subject)
  facts.connector = connector.id
  facts.subject = subjectFacts(subject.value, connector)
  const grant = deps.decide(subject.value, client, connector, auth.policy)
  if (!grant.ok) return notProven(client, grant)
  return ok({
    client,
    method: 'federated_jwt',
    job: { subject: subject.value, connector, grant: grant.value },
  })
}

/** Too many slow secret checks wait: nothing was decided about this one. */
async function guarded<T>(check: Promise<T>): Promise<Result<T>> {
  try {
    return ok(await check)
  } catch (error) {
    if (error instanceof SecretCheckBusy) return deny({ reason: 'client_check_busy' })
    throw error
  }
}

/** Denies after as long as a wrong secret takes. Without a secret nothing is hashed, whoever the client may be. */
async function denySlowly(
  credentials: Credentials,
  denial: ClientDenial,
  deps: ClientDeps,
): Promise<Result<never>> {
  if (credentials.kind === 'assertion' || credentials.secret === '') return deny(denial)
  const spent = await guarded(deps.secrets.dummy(credentials.secret))
  return spent.ok ? deny(denial) : spent
}

function wrongMethod(credentials: Credentials, client: Client, deps: ClientDeps): Promise<Result<never>> {
  const got = credentials.kind === 'secret' ? 'client_secret' : 'client_assertion'
  const expected = client.auth.method
  return denySlowly(
    credentials,
    { reason: 'client_auth_method_wrong', client: client.id, expected, got },
    deps,
  )
}

/**
 * What was not decided stays what it is: the store's faults, and no place at an issuer, of which only a proven token
 * learns. Everything else about the assertion is a failed client authentication, an issuer without keys too: of that a
 * stranger must learn nothing.
 */
function notProven(client: Client, denied: Result<unknown>): Result<never> {
  if (denied.ok) return deny({ reason: 'client_assertion_invalid', client: client.id, cause: 'not proven' })
  const { denial } = denied
  const { reason } = denial
  if (reason === 'store_unavailable' || reason === 'issuer_busy' || reason === 'client_assertion_invalid')
    return deny(denial)
  return deny({ reason: 'client_assertion_invalid', client: client.id, cause: denial })
}
