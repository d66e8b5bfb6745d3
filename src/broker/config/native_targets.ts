// Audiences and policies of a native configuration, and what clients, audiences and policies mean together: who can
// ask for what, and what can never be had.
import { mayName } from '#core/audience.ts'
import type { Audience, AudienceTable } from '#core/audience.ts'
import type { Client } from '#core/client.ts'
import type { Connector } from '#core/connector.ts'
import { CLIENT_CREDENTIALS } from '#core/oauth/names.ts'
import type { PolicySource } from '#core/policy/trust_policy.ts'
import { checkReference, checkUnique, entries, idsOf, reportError, reportWarning } from './load_context.ts'
import type { Entry, LoadContext } from './load_context.ts'
import { checkTtl, seconds } from './native_server.ts'
import { PolicySchema, toPolicySource } from './policy_schema.ts'
import { AudienceSchema } from './schema.ts'
import type { AudienceFile } from './schema.ts'
import { clientIdProblem } from './subject_ids.ts'

/** kube-apiserver does not ask back about a token, so it lives only as long as a deploy step. */
export const KUBERNETES_TTL_SECONDS = 900

export function readAudiences(context: LoadContext): Entry<Audience>[] {
  checkUnique(context, 'audiences', 'id')
  const listed = entries(context, 'audiences', AudienceSchema)
  checkResources(context, listed)
  const clients = idsOf(context, 'clients', 'id')
  return listed.map((entry) => ({ path: entry.path, value: readAudience(context, entry, clients) }))
}

function readAudience(
  context: LoadContext,
  entry: Entry<AudienceFile>,
  clients: ReadonlySet<string>,
): Audience {
  const { path, value: file } = entry
  for (const [index, name] of (file.clients ?? []).entries()) {
    checkReference(context, [...path, 'clients', index], { name, kind: 'client', known: clients })
  }
  if ((file.clients ?? []).length === 0 && !clients.has(file.id)) {
    const message = 'no client may ask for it'
    reportWarning(context, {
      code: 'audience_unreachable',
      path,
      message,
      wayOut: 'list them: clients: [...]',
    })
  }
  const profile = file.profile ?? 'dex'
  const maxTtlSeconds = seconds(file.maxTtl)
  checkTtl(context, [...path, 'maxTtl'], maxTtlSeconds)
  if (profile === 'kubernetes' && (maxTtlSeconds ?? 0) > KUBERNETES_TTL_SECONDS) {
    const message = 'a kubernetes token lives at most 15m: kube-apiserver never asks whether it still holds'
    reportError(context, {
      code: 'audience_ttl_too_long',
      path: [...path, 'maxTtl'],
      message,
      wayOut: 'write 15m or less',
    })
  }
  return {
    id: file.id,
    profile,
    trustedPeers: file.clients ?? [],
    resources: file.resources ?? [],
    maxTtlSeconds: maxTtlSeconds ?? (profile === 'kubernetes' ? KUBERNETES_TTL_SECONDS : undefined),
  }
}

function checkResources(context: LoadContext, listed: readonly Entry<AudienceFile>[]): void {
  const owners = new Map<string, string>()
  for (const { path, value } of listed) {
    for (const [index, resource] of (value.resources ?? []).entries()) {
      const owner = owners.get(resource)
      if (owner !== undefined) {
        const message = `${JSON.stringify(resource)} stands for audience ${JSON.stringify(owner)} already`
        reportError(context, { code: 'resource_duplicate', path: [...path, 'resources', index], message })
      }
      owners.set(resource, value.id)
    }
  }
}

/** Policies whose references hold. Their own problems are found by `lintPolicies`, which needs the connectors. */
export function readPolicies(context: LoadContext): Entry<PolicySource>[] {
  checkUnique(context, 'policies', 'name')
  const connectors = idsOf(context, 'connectors', 'id')
  const clients = idsOf(context, 'clients', 'id')
  // a client is its own audience
  const audiences = new Set([...idsOf(context, 'audiences', 'id'), ...clients])
  return entries(context, 'policies', PolicySchema).map(({ path, value }) => {
    checkReference(context, [...path, 'connector'], {
      name: value.connector,
      kind: 'connector',
      known: connectors,
    })
    for (const [index, name] of (value.clients ?? []).entries()) {
      checkReference(context, [...path, 'clients', index], { name, kind: 'client', known: clients })
    }
    for (const [index, name] of (value.grant.audiences ?? []).entries()) {
      checkReference(context, [...path, 'grant', 'audiences', index], {
        name,
        kind: 'audience',
        known: audiences,
      })
    }
    const source = toPolicySource(value)
    checkTtl(context, [...path, 'grant', 'ttl'], source.grant.ttlSeconds)
    return { path, value: source }
  })
}

export type Parts = {
  readonly connectors: readonly Connector[]
  readonly clients: readonly Entry<Client>[]
  readonly audiences: readonly Entry<Audience>[]
  readonly policies: readonly Entry<PolicySource>[]
}

/** What only shows when all parts are there. Parts that the schema refused are missing here and blamed for nothing. */
export function checkTogether(context: LoadContext, parts: Parts): void {
  const table: AudienceTable = new Map(parts.audiences.map(({ value }) => [value.id, value]))
  for (const client of parts.clients) {
    checkDefaultAudiences(context, client, table)
    checkFederated(context, client, parts.policies)
    checkClientId(context, client, parts.connectors)
  }
  const clients = parts.clients.map(({ value }) => value)
  // a client that the schema refused may be the one that asks
  const isComplete = clients.length === idsOf(context, 'clients', 'id').size
  for (const policy of parts.policies) {
    checkLifetime(context, policy, table)
    if (isComplete) checkReach(context, policy, clients, table)
    checkGrant(context, policy)
  }
  warnUnusedConnectors(context, parts)
}

/** A client's own token says its id as `sub` where an exchanged one says `<connector>:<id>` (RFC 9068 §5). */
function checkClientId(
  context: LoadContext,
  { path, value }: Entry<Client>,
  connectors: readonly Connector[],
): void {
  if (value.grants?.includes(CLIENT_CREDENTIALS) !== true) return
  const problem = clientIdProblem(value.id, connectors)
  if (problem !== undefined) reportError(context, { ...problem, path: [...path, 'id'] })
}

function checkDefaultAudiences(context: LoadContext, client: Entry<Client>, table: AudienceTable): void {
  const { path, value } = client
  if (value.defaultAudiences.length === 0) return
  const known = new Set([...idsOf(context, 'audiences', 'id'), value.id])
  const profiles = new Set<string>()
  for (const [index, name] of value.defaultAudiences.entries()) {
    const at = [...path, 'defaultAudiences', index]
    if (!checkReference(context, at, { name, kind: 'audience', known })) continue
    // known but refused by the schema: reported there
    if (name !== value.id && !table.has(name)) continue
    profiles.add(table.get(name)?.profile ?? 'dex')
    if (mayName(value, name, table)) continue
    const message = `client ${JSON.stringify(value.id)} may not ask for ${JSON.stringify(name)}`
    const wayOut = `add ${value.id} to the clients of that audience`
    reportError(context, { code: 'audience_not_allowed', path: at, message, wayOut })
  }
  if (profiles.size <= 1) return
  const message = `one token has one profile, and these have ${[...profiles].join(' and ')}`
  const at = [...path, 'defaultAudiences']
  reportError(context, {
    code: 'audience_profiles_mixed',
    path: at,
    message,
    wayOut: 'keep audiences of one profile',
  })
}

/** A credential that no token can ever be: found here rather than in the first pipeline that fails. */
function checkFederated(
  context: LoadContext,
  client: Entry<Client>,
  policies: readonly Entry<PolicySource>[],
): void {
  const { auth, id } = client.value
  if (auth.method !== 'federated_jwt') return
  const policy = policies.find(({ value }) => value.name === auth.policy)?.value
  if (policy === undefined) return
  const why = mismatch(policy, auth.connector, id)
  if (why === undefined) return
  const wayOut = 'name a policy of that connector that holds for this client'
  const path = [...client.path, 'auth', 'policy']
  reportError(context, { code: 'client_policy_mismatch', path, message: why, wayOut })
}

function mismatch(policy: PolicySource, connector: string, client: string): string | undefined {
  if (policy.connector !== connector) return `policy ${policy.name} is of connector ${policy.connector}`
  if (policy.clients?.includes(client) === false)
    return `policy ${policy.name} does not hold for client ${client}`
  return policy.disabled ? `policy ${policy.name} is disabled` : undefined
}

function checkLifetime(context: LoadContext, policy: Entry<PolicySource>, table: AudienceTable): void {
  const { audiences, ttlSeconds = 0 } = policy.value.grant
  const kubernetes = audiences.find((id) => table.get(id)?.profile === 'kubernetes')
  if (kubernetes === undefined || ttlSeconds <= KUBERNETES_TTL_SECONDS) return
  const path = [...policy.path, 'grant', 'ttl']
  const message = `a token for the kubernetes audience ${kubernetes} lives at most 15m`
  reportError(context, { code: 'audience_ttl_too_long', path, message, wayOut: 'write 15m or less' })
}

function checkReach(
  context: LoadContext,
  policy: Entry<PolicySource>,
  clients: readonly Client[],
  table: AudienceTable,
): void {
  const { path, value } = policy
  const askers = clients.filter((client) => value.clients?.includes(client.id) ?? true)
  for (const [index, id] of value.grant.audiences.entries()) {
    // an audience that the schema refused
    if (!table.has(id) && !clients.some((client) => client.id === id)) continue
    if (askers.some((client) => mayName(client, id, table))) continue
    const at = [...path, 'grant', 'audiences', index]
    const message = `no client for which this policy holds may ask for ${JSON.stringify(id)}`
    const wayOut = 'list such a client under the clients of that audience'
    reportWarning(context, { code: 'policy_audience_unreachable', path: at, message, wayOut })
  }
}

/** An empty list means every audience that the client may name, as Dex does it; here that has to be said. */
function checkGrant(context: LoadContext, policy: Entry<PolicySource>): void {
  if (policy.value.grant.audiences.length > 0) return
  const path = [...policy.path, 'grant']
  const message = 'it does not say for which audiences a token may be issued'
  const wayOut = 'list them: grant: {audiences: [...]}'
  reportError(context, { code: 'policy_without_audiences', path, message, wayOut })
}

function warnUnusedConnectors(context: LoadContext, parts: Parts): void {
  const used = new Set(parts.policies.map(({ value }) => value.connector))
  if (parts.policies.length < idsOf(context, 'policies', 'name').size) return
  const list = [...idsOf(context, 'connectors', 'id')]
  for (const { id } of parts.connectors) {
    if (used.has(id)) continue
    const message = `no policy names connector ${JSON.stringify(id)}: every token of it is denied`
    const path = ['connectors', list.indexOf(id)]
    reportWarning(context, {
      code: 'connector_without_policy',
      path,
      message,
      wayOut: 'write a policy for it',
    })
  }
}
