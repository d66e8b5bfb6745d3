// Reads the overlay and lays it over a Dex configuration. It only adds to what is there: an id that the Dex file does
// not have is an error with its place.
import type { Audience } from '#core/audience.ts'
import type { Client } from '#core/client.ts'
import type { Connector } from '#core/connector.ts'
import { presetOf } from '#core/issuer/presets.ts'
import type { PolicySource } from '#core/policy/trust_policy.ts'
import type { Finding } from '#platform/config/finding.ts'
import { checkSchema, matchesSchema } from '#platform/config/schema_check.ts'
import type { Static, TSchema } from '#platform/config/schema_type.ts'
import { pathText, readYaml } from '#platform/config/yaml_document.ts'
import type { YamlPath } from '#platform/config/yaml_document.ts'
import type { BrokerConfig } from '../broker_config.ts'
import type { ConfigEnv } from '../config_env.ts'
import { CONFIG_FORMATS } from '#platform/config/formats.ts'
import { lintPolicies } from '../lint_policies.ts'
import { checkReference, checkUnique, entries, reportError, topLevel } from '../load_context.ts'
import type { Entry, LoadContext } from '../load_context.ts'
import { readAuth } from '../native_clients.ts'
import { warnOfReplays } from '../native_connectors.ts'
import { readKube } from '../native_kube.ts'
import { checkTtl, readServer, seconds } from '../native_server.ts'
import { KUBERNETES_TTL_SECONDS } from '../native_targets.ts'
import { PolicySchema, toPolicySource } from '../policy_schema.ts'
import { GRANT_WORDS } from '../client_schema.ts'
import type { DexCode } from './dex_codes.ts'
import {
  OverlayAudienceSchema,
  OverlayClientSchema,
  OverlayConnectorSchema,
  OverlaySchema,
} from './overlay_schema.ts'
import type { OverlayAudience, OverlayClient, OverlayConnector } from './overlay_schema.ts'
import { isRecord } from './read_keys.ts'

export type OverlayText = {
  readonly file: string
  readonly text: string
  /** Absolute folder that its relative paths start from; the Dex file's when left out. */
  readonly baseDir?: string | undefined
}

export type Overlay = {
  /** Only for a Dex file without one. */
  readonly issuer: string
  readonly context: LoadContext
}

type OverlayRead = { readonly overlay: Overlay | undefined; readonly findings: readonly Finding[] }

/** `undefined` with findings when the text is no overlay at all. */
export function readOverlay(overlay: OverlayText, env: ConfigEnv): OverlayRead {
  const read = readYaml(overlay.file, overlay.text)
  const [document, second] = read.documents
  if (read.findings.length > 0) return { overlay: undefined, findings: read.findings }
  // A file that lost its text must not be read as one that takes every policy away.
  if (document === undefined) {
    const message = 'the overlay holds nothing'
    const wayOut = 'write {} for an overlay that adds nothing, or leave --config out'
    const place = { file: overlay.file, line: 1, column: 1 }
    return refuse({ code: 'config_empty', message, wayOut, place })
  }
  if (second !== undefined) {
    const message = 'a second document begins here; only one is read'
    const place = second.placeOf([])
    return refuse({ code: 'yaml_multiple_documents', message, wayOut: undefined, place })
  }
  const findings = checkSchema(OverlaySchema, document.data, document, CONFIG_FORMATS)
  const context = { document, env: { ...env, baseDir: overlay.baseDir ?? env.baseDir }, findings }
  const issuer = topLevel(context, 'issuer')
  return { overlay: { issuer: typeof issuer === 'string' ? issuer : '', context }, findings: [] }
}

function refuse(finding: Omit<Finding, 'severity' | 'path'>): OverlayRead {
  return { overlay: undefined, findings: [{ severity: 'error', path: '', ...finding }] }
}

/** The configuration with the overlay on it, and every finding of the overlay. */
export function applyOverlay(
  base: BrokerConfig,
  overlay: Overlay,
): { readonly config: BrokerConfig; readonly findings: readonly Finding[] } {
  const { context } = overlay
  const known = {
    connectors: new Set(base.connectors.map(({ id }) => id)),
    clients: new Set(base.clients.map(({ id }) => id)),
    policies: policyNames(context),
  }
  const connectors = byId(context, 'connectors', OverlayConnectorSchema, known.connectors)
  const clients = byId(context, 'clients', OverlayClientSchema, known.clients)
  const audiences = byId(context, 'audiences', OverlayAudienceSchema, known.clients)
  const policies = readPolicies(context, known)
  const governed = new Set(policies.map(({ value }) => value.connector))
  const upgraded = base.connectors.map((connector) => {
    const added = connectors.get(connector.id)
    const next = added === undefined ? connector : withConnector(context, connector, added)
    return governed.has(connector.id) ? { ...next, needsPolicy: true } : next
  })
  const peers = defaultPeers(clients)
  const config: BrokerConfig = {
    ...base,
    ...serverParts(context, base),
    connectors: upgraded,
    clients: base.clients.map((client) => {
      const added = clients.get(client.id)
      return added === undefined ? client : withClient(context, client, added, known)
    }),
    audiences: base.audiences.map((audience) =>
      withAudience(
        context,
        audience,
        audiences.get(audience.id),
        peers.get(audience.id) ?? [],
        known.clients,
      ),
    ),
    policies: policies.map(({ value }) => value),
  }
  const { audiences: audienceTable, clients: clientTable } = config
  const kube = readKube(context, {
    audienceIds: known.clients,
    clientIds: known.clients,
    audiences: audienceTable,
    clients: clientTable,
  })
  const lint = lintPolicies(context.document, policies, upgraded)
  return { config: { ...config, kube }, findings: [...context.findings, ...lint] }
}

type Known = {
  readonly connectors: ReadonlySet<string>
  readonly clients: ReadonlySet<string>
  readonly policies: ReadonlySet<string>
}

/** The whole entries of a map by id; an id that the Dex file does not have is reported and left out. */
function byId<T extends TSchema>(
  context: LoadContext,
  key: string,
  schema: T,
  known: ReadonlySet<string>,
): ReadonlyMap<string, Entry<Static<T>>> {
  const map = topLevel(context, key)
  const found = new Map<string, Entry<Static<T>>>()
  for (const [id, value] of Object.entries(isRecord(map) ? map : {})) {
    const path = [key, id]
    const kind = key === 'connectors' ? 'connector' : 'static client'
    if (!checkReference(context, path, { name: id, kind, known })) continue
    if (matchesSchema(schema, value, CONFIG_FORMATS)) found.set(id, { path, value })
  }
  return found
}

function withConnector(
  context: LoadContext,
  connector: Connector,
  { path, value }: Entry<OverlayConnector>,
): Connector {
  if (connector.kind !== 'issuer' || connector.gitlabApi !== undefined) {
    const message = `a connector of type ${connector.type} verifies no tokens, so there is nothing to add`
    const wayOut = 'add a connector of type oidc to the Dex file'
    const place = context.document.placeOf(path)
    const code: DexCode = 'overlay_connector_unfit'
    context.findings.push({ severity: 'error', code, path: pathText(path), message, wayOut, place })
    return connector
  }
  warnOfReplays(context, path, value)
  const typed = value.type === undefined ? connector : asType(connector, value.type)
  return {
    ...typed,
    audiences: value.audiences ?? typed.audiences,
    strictAudience: value.strictAudience ?? typed.strictAudience,
    trustedHosts: [...typed.trustedHosts, ...(value.trustedHosts ?? [])],
    algorithms: value.algorithms ?? typed.algorithms,
    clockSkewSeconds: seconds(value.clockSkew) ?? typed.clockSkewSeconds,
    maxAgeSeconds: seconds(value.maxAge) ?? typed.maxAgeSeconds,
    maxLifetimeSeconds: seconds(value.maxLifetime) ?? typed.maxLifetimeSeconds,
    singleUse: value.singleUse ?? typed.singleUse,
    ...(value.whenStoreFails === undefined ? {} : { whenStoreFails: value.whenStoreFails }),
  }
}

/**
 * What is known of the kind of issuer takes the place of Dex's leniency. A job has neither name nor address: where the
 * Dex file asks for them only by Dex's defaults, they are no longer asked for.
 */
function asType(connector: Connector, type: Connector['preset']): Connector {
  const preset = presetOf(type)
  const { mapping } = connector
  return {
    ...connector,
    type,
    preset: type,
    algorithms: preset.algorithms,
    headerTypes: preset.headerTypes,
    maxAgeSeconds: preset.maxAgeSeconds,
    maxLifetimeSeconds: preset.maxLifetimeSeconds,
    singleUse: preset.singleUse,
    audiences: preset.fixedAudience === undefined ? connector.audiences : [preset.fixedAudience],
    mapping: { ...mapping, userNameRequired: mapping.userNameKey !== 'name', emailRequired: false },
  }
}

function withClient(
  context: LoadContext,
  client: Client,
  { path, value }: Entry<OverlayClient>,
  known: Known,
): Client {
  const ttlSeconds = seconds(value.ttl)
  checkTtl(context, [...path, 'ttl'], ttlSeconds)
  for (const [index, name] of (value.defaultAudiences ?? []).entries()) {
    const at = [...path, 'defaultAudiences', index]
    checkReference(context, at, { name, kind: 'static client', known: known.clients })
  }
  return {
    ...client,
    auth: value.auth === undefined ? client.auth : readAuth(context, [...path, 'auth'], value.auth, known),
    grants: value.grants?.map((word) => GRANT_WORDS[word]) ?? client.grants,
    defaultAudiences: value.defaultAudiences ?? client.defaultAudiences,
    subject: value.subject ?? client.subject,
    ttlSeconds: ttlSeconds ?? client.ttlSeconds,
  }
}

/** Audience -> the clients that name it as their default: who writes that means that they may ask for it. */
function defaultPeers(
  clients: ReadonlyMap<string, Entry<OverlayClient>>,
): ReadonlyMap<string, readonly string[]> {
  const peers = new Map<string, string[]>()
  for (const [id, { value }] of clients) {
    for (const audience of value.defaultAudiences ?? []) {
      if (audience !== id) peers.set(audience, [...(peers.get(audience) ?? []), id])
    }
  }
  return peers
}

function withAudience(
  context: LoadContext,
  audience: Audience,
  added: Entry<OverlayAudience> | undefined,
  peers: readonly string[],
  known: ReadonlySet<string>,
): Audience {
  const { path, value } = added ?? { path: [], value: {} }
  for (const [index, name] of (value.clients ?? []).entries()) {
    checkReference(context, [...path, 'clients', index], { name, kind: 'static client', known })
  }
  const profile = value.profile ?? audience.profile
  return {
    ...audience,
    profile,
    trustedPeers: [...new Set([...audience.trustedPeers, ...(value.clients ?? []), ...peers])],
    resources: value.resources ?? audience.resources,
    maxTtlSeconds: readMaxTtl(context, path, value, profile),
  }
}

function readMaxTtl(
  context: LoadContext,
  path: YamlPath,
  value: OverlayAudience,
  profile: Audience['profile'],
): number | undefined {
  const maxTtlSeconds = seconds(value.maxTtl)
  checkTtl(context, [...path, 'maxTtl'], maxTtlSeconds)
  if (profile !== 'kubernetes') return maxTtlSeconds
  if (maxTtlSeconds !== undefined && maxTtlSeconds > KUBERNETES_TTL_SECONDS) {
    const message = 'a kubernetes token lives at most 15m: kube-apiserver never asks whether it still holds'
    const at = [...path, 'maxTtl']
    reportError(context, { code: 'audience_ttl_too_long', path: at, message, wayOut: 'write 15m or less' })
  }
  return maxTtlSeconds ?? KUBERNETES_TTL_SECONDS
}

function policyNames(context: LoadContext): ReadonlySet<string> {
  return new Set(entries(context, 'policies', PolicySchema).map(({ value }) => value.name))
}

function readPolicies(context: LoadContext, known: Known): readonly Entry<PolicySource>[] {
  checkUnique(context, 'policies', 'name')
  return entries(context, 'policies', PolicySchema).map(({ path, value }) => {
    const at = [...path, 'connector']
    checkReference(context, at, { name: value.connector, kind: 'connector', known: known.connectors })
    for (const [index, name] of (value.clients ?? []).entries()) {
      const client = [...path, 'clients', index]
      checkReference(context, client, { name, kind: 'static client', known: known.clients })
    }
    for (const [index, name] of (value.grant.audiences ?? []).entries()) {
      const audience = [...path, 'grant', 'audiences', index]
      checkReference(context, audience, { name, kind: 'static client', known: known.clients })
    }
    const source = toPolicySource(value)
    checkTtl(context, [...path, 'grant', 'ttl'], source.grant.ttlSeconds)
    return { path, value: source }
  })
}

/** store, keys, limits, log and audit as sallyport.yaml reads them, each only as far as the overlay writes it. */
function serverParts(
  context: LoadContext,
  base: BrokerConfig,
): Pick<BrokerConfig, 'store' | 'keys' | 'limits' | 'log' | 'audit'> {
  const own: Finding[] = []
  const server = readServer({ ...context, findings: own })
  const sections = ['store', 'keys', 'limits', 'log', 'audit'] as const
  const written = new Set(sections.filter((name) => topLevel(context, name) !== undefined))
  context.findings.push(
    ...own.filter(({ path }) => sections.some((name) => written.has(name) && isBelow(path, name))),
  )
  const wrote = (section: string, key: string): boolean => {
    const value = topLevel(context, section)
    return isRecord(value) && Object.hasOwn(value, key)
  }
  return {
    store: written.has('store') ? server.store : base.store,
    keys: {
      algorithm: wrote('keys', 'algorithm') ? server.keys.algorithm : base.keys.algorithm,
      rotationSeconds: wrote('keys', 'rotateEvery') ? server.keys.rotationSeconds : base.keys.rotationSeconds,
      sealingKeyFile: server.keys.sealingKeyFile,
      extraPublicKeysFile: server.keys.extraPublicKeysFile,
      signer: server.keys.signer,
    },
    limits: written.has('limits') ? server.limits : base.limits,
    log: {
      level: wrote('log', 'level') ? server.log.level : base.log.level,
      format: wrote('log', 'format') ? server.log.format : base.log.format,
    },
    audit: written.has('audit') ? server.audit : base.audit,
  }
}

function isBelow(path: string, name: string): boolean {
  return path === name || path.startsWith(`${name}.`)
}
