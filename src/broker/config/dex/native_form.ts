// A Dex configuration that was loaded, as the data of a sallyport.yaml that means the same. What sallyport.yaml has no
// words for (connectors that serve nobody yet, clients without anything to ask for) is left out and named.
import { mayName } from '#core/audience.ts'
import type { Client } from '#core/client.ts'
import type { Connector } from '#core/connector.ts'
import { defaultMapping } from '#core/dex/map_identity.ts'
import { presetOf } from '#core/issuer/presets.ts'
import { CLIENT_CREDENTIALS, TOKEN_EXCHANGE } from '#core/oauth/names.ts'
import type { GrantType } from '#core/oauth/names.ts'
import { reservedPrefix } from '#core/policy/outputs.ts'
import { formatDuration } from '#platform/config/duration.ts'
import type { ListenerConfig } from '#platform/http/listen.ts'
import type { BrokerConfig } from '../broker_config.ts'
import { nativeSigner } from './native_form_signer.ts'
import { nativeStore } from './native_form_store.ts'
import { DEFAULTS } from '../schema.ts'
import { clientIdProblem, reservedConnector } from '../subject_ids.ts'
import type { SecretVariables } from './clients.ts'
import { brokerAudiences } from './connectors.ts'
import { nativePolicies } from './native_form_policies.ts'

/** Plain data of one section, ready to be written as YAML; `undefined` members are left out. */
type Section = unknown

export type NativeForm = {
  /** In the order of the file. */
  readonly sections: Readonly<Record<string, Section>>
  /** What did not go along, and why: one line each. */
  readonly left: readonly string[]
}

const MAX_TTL_SECONDS = 24 * 3600
/** The words of clients[].grants. */
const GRANT_WORDS: ReadonlyMap<GrantType, string> = new Map([
  [TOKEN_EXCHANGE, 'token-exchange'],
  [CLIENT_CREDENTIALS, 'client_credentials'],
])

export function toNativeForm(config: BrokerConfig, secretVariables: SecretVariables): NativeForm {
  const left: string[] = []
  const connectors = config.connectors.filter((connector) => servesExchange(connector, left))
  const clients = config.clients.flatMap((client) =>
    nativeClient(client, connectors, config, secretVariables, left),
  )
  const kept = config.clients.filter(({ id }) => clients.some((client) => client.id === id))
  const audiences = nativeAudiences(config, kept)
  const sections = {
    issuer: config.issuer,
    listen: {
      public: config.publicListeners.map((listener) => nativeListener(listener, left)),
      ops: config.opsListener === undefined ? 'off' : nativeListener(config.opsListener, left),
    },
    store: nativeStore(config.store),
    keys: {
      algorithm: config.keys.algorithm,
      rotateEvery: formatDuration(config.keys.rotationSeconds),
      sealingKeyFile: config.keys.sealingKeyFile,
      extraPublicKeysFile: config.keys.extraPublicKeysFile,
      signer: nativeSigner(config.keys.signer),
    },
    web: nativeWeb(config, left),
    connectors: connectors.map((connector) => nativeConnector(connector, config.issuer)),
    clients,
    audiences,
    policies: nativePolicies(
      config,
      connectors,
      kept,
      audiences.map(({ id }) => id),
      left,
    ),
    tokens: { ttl: formatDuration(Math.min(config.tokens.ttlSeconds, MAX_TTL_SECONDS)) },
    limits: nativeLimits(config),
    log: config.log,
    audit: config.audit,
    kube: nativeKube(config),
  }
  if (config.tokens.ttlSeconds > MAX_TTL_SECONDS) {
    left.push(
      `tokens.ttl: ${formatDuration(config.tokens.ttlSeconds)} became 24h, the longest that is allowed`,
    )
  }
  return { sections, left }
}

function nativeKube({ kube }: BrokerConfig): Section {
  const { apiservers, reviewClients } = kube
  if (apiservers.length === 0 && reviewClients.length === 0) return undefined
  return {
    apiservers: listOrNothing(apiservers),
    tokenReview: reviewClients.length === 0 ? undefined : { clients: reviewClients },
  }
}

/** `host:port`, an IPv6 host in brackets; every address is an empty host. */
function formatAddress({ host, port }: Pick<ListenerConfig, 'host' | 'port'>): string {
  if (host === '::') return `:${port}`
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

function nativeListener(listener: ListenerConfig, left: string[]): Section {
  const { tls } = listener
  if (tls === undefined) return formatAddress(listener)
  if (tls.maxVersion !== 'TLSv1.3') left.push('web.tlsMaxVersion: the newest TLS version is always answered')
  const { certFile, keyFile, minVersion } = tls
  return { address: formatAddress(listener), tls: { certFile, keyFile, minVersion } }
}

function nativeWeb({ web }: BrokerConfig, left: string[]): Section {
  const origins = web.allowedOrigins.filter(
    (origin) => origin === '*' || URL.parse(origin)?.origin === origin,
  )
  for (const origin of web.allowedOrigins.filter((text) => !origins.includes(text))) {
    left.push(
      `web.allowedOrigins: ${JSON.stringify(origin)} is no origin (scheme://host[:port]) and never matches one`,
    )
  }
  const section = {
    headers: Object.keys(web.headers).length === 0 ? undefined : web.headers,
    allowedOrigins: listOrNothing(origins),
    allowedHeaders: listOrNothing(web.allowedHeaders),
    clientAddress: web.clientAddress,
  }
  return Object.values(section).every((value) => value === undefined) ? undefined : section
}

function nativeLimits({ limits }: BrokerConfig): Section {
  const { addressRate, addressBurst, clientRate, clientBurst, maxConcurrentRequests, maxWaitingSignatures } =
    DEFAULTS
  const usual = {
    addressRate,
    addressBurst,
    clientRate,
    clientBurst,
    maxConcurrentRequests,
    maxWaitingSignatures,
  }
  return JSON.stringify(limits) === JSON.stringify(usual) ? undefined : limits
}

function servesExchange(connector: Connector, left: string[]): boolean {
  const { id, type, kind, grants, gitlabApi } = connector
  if (id.includes(':') || reservedConnector(id) !== undefined) {
    left.push(`connector ${id}: its id may not have a colon or begin with a reserved name`)
    return false
  }
  if (kind !== 'issuer') {
    left.push(`connector ${id}: type ${type} has no exchange`)
    return false
  }
  if (gitlabApi !== undefined) {
    left.push(
      `connector ${id}: GitLab's user API is only asked under --dex-config; CI jobs need type gitlab-ci`,
    )
    return false
  }
  if (grants.length > 0 && !grants.includes(TOKEN_EXCHANGE)) {
    left.push(`connector ${id}: its grantTypes leave no exchange`)
    return false
  }
  return true
}

function nativeConnector(connector: Connector, brokerIssuer: string): Section {
  const preset = presetOf(connector.preset)
  const { keys, mapping } = connector
  const discovery = keys.kind === 'discovery' ? keys : undefined
  const usual = brokerAudiences(brokerIssuer)
  const isUsual = preset.fixedAudience === undefined && sameTexts(connector.audiences, usual)
  return {
    id: connector.id,
    type: connector.preset,
    issuer: connector.issuer,
    name: connector.name,
    audiences: isUsual ? undefined : connector.audiences,
    strictAudience: connector.strictAudience || undefined,
    discoveryUrl: discovery?.url,
    caFile: connector.tls.caPem === undefined ? undefined : caFileOf(connector),
    insecureSkipVerify: connector.tls.insecureSkipVerify || undefined,
    trustedHosts: listOrNothing(connector.trustedHosts),
    algorithms: sameTexts(connector.algorithms, preset.algorithms) ? undefined : connector.algorithms,
    clockSkew: formatDuration(connector.clockSkewSeconds),
    maxAge: durationOrNothing(connector.maxAgeSeconds),
    maxLifetime: formatDuration(connector.maxLifetimeSeconds),
    singleUse: connector.singleUse,
    whenStoreFails: connector.whenStoreFails,
    userinfo: connector.userinfo || undefined,
    claimMapping: {
      userId: mapping.userIdKey === defaultMapping().userIdKey ? undefined : mapping.userIdKey,
      username: mapping.userNameRequired ? mapping.userNameKey : undefined,
      preferredUsername: mapping.preferredUsernameKey,
      email: mapping.emailKey,
      groups: mapping.groupsEnabled ? (mapping.groupsKey ?? 'groups') : undefined,
      groupPrefix: mapping.groupsEnabled ? textOrNothing(mapping.groupPrefix) : undefined,
      groupsFilter: mapping.groupsEnabled ? mapping.groupsFilter : undefined,
    },
    allowedGroups: listOrNothing(mapping.allowedGroups),
    dex: {
      preferStandardClaims: !mapping.overrideClaimMapping,
      requireEmail: mapping.emailRequired || undefined,
      assumeEmailVerified: mapping.insecureSkipEmailVerified || undefined,
      groupSuffix: textOrNothing(mapping.groupSuffix),
      newGroups: listOrNothing(mapping.newGroups),
      documentIssuer: discovery?.documentIssuer === connector.issuer ? undefined : discovery?.documentIssuer,
      jwksUri: discovery?.jwksUri,
      userinfoUri: discovery?.userinfoUri,
    },
  }
}

/** Where the certificates of a connector are expected: print_native.ts says what goes into it. */
export function caFileOf(connector: Pick<Connector, 'id'>): string {
  return `ca-${connector.id.replaceAll(/[^\w.-]/g, '_')}.pem`
}

type NativeClient = { readonly id: string; readonly [key: string]: Section }

function nativeClient(
  client: Client,
  connectors: readonly Connector[],
  config: BrokerConfig,
  secretVariables: SecretVariables,
  left: string[],
): readonly NativeClient[] {
  const isPublic = client.auth.method === 'none'
  const usable = connectors.filter(
    ({ id }) => client.connectors.length === 0 || client.connectors.includes(id),
  )
  const served = (client.grants ?? config.grants).filter(
    (grant) =>
      config.grants.includes(grant) &&
      (grant === CLIENT_CREDENTIALS
        ? !isPublic && client.isPublic !== true
        : grant === TOKEN_EXCHANGE && usable.length > 0),
  )
  const problem = served.includes(CLIENT_CREDENTIALS) ? clientIdProblem(client.id, connectors) : undefined
  if (problem !== undefined) left.push(`client ${client.id}: no client_credentials, ${problem.message}`)
  const grants = served.filter((grant) => problem === undefined || grant !== CLIENT_CREDENTIALS)
  if (grants.length === 0) {
    left.push(`client ${client.id}: no grant that is served is open to it; it logs people in`)
    return []
  }
  const groups = client.groups.filter((group) => reservedPrefix(group) === undefined)
  for (const group of client.groups.filter((name) => !groups.includes(name))) {
    left.push(`client ${client.id}: the group ${group} begins with a reserved prefix`)
  }
  const listed = isPublic || client.connectors.length > 0 ? usable.map(({ id }) => id) : []
  return [
    {
      id: client.id,
      name: client.name,
      auth: nativeAuth(client, secretVariables),
      connectors: grants.includes(TOKEN_EXCHANGE) ? listOrNothing(listed) : undefined,
      grants: grants.map((grant) => GRANT_WORDS.get(grant)),
      defaultAudiences: listOrNothing(client.defaultAudiences),
      subject: client.subject === 'dex' ? undefined : client.subject,
      groups: listOrNothing(groups),
      ttl: durationOrNothing(client.ttlSeconds),
    },
  ]
}

function nativeAuth({ id, auth }: Client, secretVariables: SecretVariables): Section {
  switch (auth.method) {
    case 'none':
    case 'federated_jwt':
      return auth
    case 'private_key_jwt':
      return { method: auth.method, jwks: { keys: auth.jwks } }
    case 'client_secret': {
      const variable = secretVariables.get(id)
      if (variable !== undefined) return { method: auth.method, secretEnv: variable }
      return { method: auth.method, secretHashes: auth.hashes }
    }
  }
}

type NativeAudience = { readonly id: string; readonly [key: string]: Section }

/** A client is an audience of itself without a word; one that others may ask for, or that has a profile, needs one. */
function nativeAudiences(config: BrokerConfig, kept: readonly Client[]): readonly NativeAudience[] {
  const table = new Map(config.audiences.map((audience) => [audience.id, audience]))
  return config.audiences.flatMap((audience) => {
    const clients = kept
      .filter(({ id }) => id !== audience.id)
      .filter((client) => mayName(client, audience.id, table))
    const isPlain =
      audience.profile === 'dex' && audience.resources.length === 0 && audience.maxTtlSeconds === undefined
    const isKept = kept.some(({ id }) => id === audience.id)
    if (clients.length === 0 && (isPlain || !isKept)) return []
    return [
      {
        id: audience.id,
        profile: audience.profile === 'dex' ? undefined : audience.profile,
        clients: listOrNothing(clients.map(({ id }) => id)),
        resources: listOrNothing(audience.resources),
        maxTtl: durationOrNothing(audience.maxTtlSeconds),
      },
    ]
  })
}

function sameTexts(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((text) => right.includes(text))
}

function listOrNothing<T>(list: readonly T[]): readonly T[] | undefined {
  return list.length === 0 ? undefined : list
}

function textOrNothing(text: string): string | undefined {
  return text === '' ? undefined : text
}

function durationOrNothing(seconds: number | undefined): string | undefined {
  return seconds === undefined ? undefined : formatDuration(seconds)
}
