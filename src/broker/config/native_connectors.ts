// Connectors of a native configuration: what the type knows of its issuer, overridden by what the file says.
import type { Connector, IdentityMapping, KeySource } from '#core/connector.ts'
import { defaultMapping } from '#core/dex/map_identity.ts'
import type { IssuerPreset } from '#core/issuer/preset.ts'
import { presetOf } from '#core/issuer/presets.ts'
import { compileSearch } from '#core/policy/re2.ts'
import { isPlainHttp } from '#platform/config/formats.ts'
import type { YamlPath } from '#platform/config/yaml_document.ts'
import {
  absolute,
  checkUnique,
  entries,
  readCertificates,
  reportError,
  reportNote,
  reportWarning,
} from './load_context.ts'
import type { Entry, LoadContext } from './load_context.ts'
import { seconds } from './native_server.ts'
import { readJwksFile } from './public_keys.ts'
import { CONNECTOR_DEFAULTS, ConnectorSchema } from './connector_schema.ts'
import type { ConnectorFile } from './connector_schema.ts'
import { reservedConnector } from './subject_ids.ts'

const LARGE_SKEW_SECONDS = 300

/** `brokerIssuer`: what a token's `aud` must be unless the connector lists other values. */
export function readConnectors(context: LoadContext, brokerIssuer: string): Connector[] {
  checkUnique(context, 'connectors', 'id')
  const listed = entries(context, 'connectors', ConnectorSchema)
  noteSharedIssuers(context, listed)
  return listed.map((entry) => readConnector(context, entry, brokerIssuer))
}

function readConnector(context: LoadContext, entry: Entry<ConnectorFile>, brokerIssuer: string): Connector {
  const { path, value: file } = entry
  checkId(context, path, file.id)
  checkSafety(context, path, file)
  checkIssuer(context, path, file, brokerIssuer)
  const preset = presetOf(file.type)
  const caPem =
    file.caFile === undefined ? undefined : readCertificates(context, [...path, 'caFile'], file.caFile)
  return {
    id: file.id,
    name: file.name ?? file.id,
    kind: 'issuer',
    type: file.type,
    preset: file.type,
    issuer: file.issuer,
    keys: readKeySource(context, path, file),
    tls: { caPem, insecureSkipVerify: file.insecureSkipVerify ?? false },
    trustedHosts: file.trustedHosts ?? [],
    audiences: file.audiences ?? defaultAudiences(preset, brokerIssuer),
    strictAudience: file.strictAudience ?? false,
    algorithms: file.algorithms ?? preset.algorithms,
    headerTypes: preset.headerTypes,
    clockSkewSeconds: seconds(file.clockSkew ?? CONNECTOR_DEFAULTS.clockSkew),
    maxAgeSeconds: seconds(file.maxAge) ?? preset.maxAgeSeconds,
    maxLifetimeSeconds: seconds(file.maxLifetime) ?? preset.maxLifetimeSeconds,
    singleUse: file.singleUse ?? preset.singleUse,
    ...(file.whenStoreFails === undefined ? {} : { whenStoreFails: file.whenStoreFails }),
    userinfo: file.userinfo ?? false,
    mapping: readMapping(context, path, file),
    grants: [],
    needsPolicy: true,
  }
}

/** Pipelines ask their forge for an audience that is our issuer, spelled either way; some forges cannot be asked. */
function defaultAudiences(preset: IssuerPreset, brokerIssuer: string): string[] {
  if (preset.fixedAudience !== undefined) return [preset.fixedAudience]
  const bare = brokerIssuer.replace(/\/$/, '')
  return [bare, `${bare}/`]
}

function readKeySource(context: LoadContext, path: YamlPath, file: ConnectorFile): KeySource {
  const given = (['discoveryUrl', 'jwksUri', 'jwksFile'] as const).filter((key) => file[key] !== undefined)
  if (given.length > 1) {
    const message = `${given.join(' and ')} both say where the keys are`
    reportError(context, {
      code: 'connector_keys_twice',
      path: [...path, given[1] ?? ''],
      message,
      wayOut: 'keep one',
    })
  }
  if (file.userinfo === true && (file.jwksUri !== undefined || file.jwksFile !== undefined)) {
    const message = 'userinfo is found by discovery, which this connector does not use'
    const wayOut = 'drop jwksUri and jwksFile, or userinfo'
    reportError(context, {
      code: 'connector_userinfo_unreachable',
      path: [...path, 'userinfo'],
      message,
      wayOut,
    })
  }
  if (file.jwksFile !== undefined) {
    readJwksFile(context, [...path, 'jwksFile'], file.jwksFile)
    return { kind: 'file', path: absolute(context, file.jwksFile) }
  }
  if (file.jwksUri !== undefined) return { kind: 'jwks_uri', uri: file.jwksUri, userinfoUri: undefined }
  return {
    kind: 'discovery',
    url: file.discoveryUrl,
    jwksUri: file.dex?.jwksUri,
    userinfoUri: file.dex?.userinfoUri,
    documentIssuer: file.dex?.documentIssuer ?? file.issuer,
  }
}

function readMapping(context: LoadContext, path: YamlPath, file: ConnectorFile): IdentityMapping {
  const { claimMapping = {}, allowedGroups = [] } = file
  const defaults = defaultMapping()
  checkGroups(context, path, file)
  return {
    ...defaults,
    userIdKey: claimMapping.userId ?? defaults.userIdKey,
    userNameKey: claimMapping.username ?? defaults.userNameKey,
    // what the file names is meant, also where the token has the standard claim
    userNameRequired: claimMapping.username !== undefined,
    overrideClaimMapping: file.dex?.preferStandardClaims !== true,
    preferredUsernameKey: claimMapping.preferredUsername,
    emailKey: claimMapping.email,
    groupsKey: claimMapping.groups,
    groupsEnabled: claimMapping.groups !== undefined,
    groupPrefix: claimMapping.groupPrefix ?? '',
    groupsFilter: claimMapping.groupsFilter,
    allowedGroups,
    ...(file.dex === undefined ? {} : readDexOptions(file.dex)),
  }
}

/** What `config from-dex` has no other word for. */
function readDexOptions(dex: NonNullable<ConnectorFile['dex']>): Partial<IdentityMapping> {
  return {
    emailRequired: dex.requireEmail ?? false,
    insecureSkipEmailVerified: dex.assumeEmailVerified ?? false,
    emailNamesVerified: false,
    groupSuffix: dex.groupSuffix ?? '',
    newGroups: (dex.newGroups ?? []).map((group) => ({
      claims: group.claims,
      delimiter: group.delimiter ?? '',
      clearDelimiter: group.clearDelimiter ?? false,
      prefix: group.prefix ?? '',
    })),
  }
}

function checkGroups(context: LoadContext, path: YamlPath, file: ConnectorFile): void {
  const { groups, groupPrefix, groupsFilter } = file.claimMapping ?? {}
  const unused = file.allowedGroups ?? groupPrefix ?? groupsFilter
  if (groups === undefined && unused !== undefined) {
    const at = file.allowedGroups === undefined ? [...path, 'claimMapping'] : [...path, 'allowedGroups']
    const message = 'no claim gives groups'
    const wayOut = 'name it: claimMapping: {groups: groups}'
    reportError(context, { code: 'connector_groups_claim_missing', path: at, message, wayOut })
  }
  const filter = groupsFilter === undefined ? undefined : compileSearch(groupsFilter)
  if (filter === undefined || filter.ok) return
  const at = [...path, 'claimMapping', 'groupsFilter']
  const { message, wayOut } = filter.problem
  reportError(context, { code: 'connector_groups_filter_malformed', path: at, message, wayOut })
}

/** `<id>:<user id>` is the subject of its jobs: the first colon must be the one that ends the id. */
function checkId(context: LoadContext, path: YamlPath, id: string): void {
  const at = [...path, 'id']
  const reserved = reservedConnector(id)
  if (reserved !== undefined) {
    const message = `subjects of its jobs would begin with the reserved ${JSON.stringify(reserved)}`
    const wayOut = 'choose another id'
    reportError(context, { code: 'connector_id_reserved', path: at, message, wayOut })
  } else if (id.includes(':')) {
    const message = 'subjects of its jobs could read like those of another connector'
    const wayOut = `write ${id.replaceAll(':', '-')}`
    reportError(context, { code: 'connector_id_ambiguous', path: at, message, wayOut })
  }
}

/** The choice is the operator's, who is reminded of it at each start. */
export function warnOfReplays(
  context: LoadContext,
  path: YamlPath,
  { whenStoreFails }: Pick<ConnectorFile, 'whenStoreFails'>,
): void {
  if (whenStoreFails !== 'accept_replays') return
  const message =
    'while the store does not answer, a stolen token is exchanged once more at each broker process'
  const wayOut = 'leave it out where that is worse than pipelines that wait'
  const at = [...path, 'whenStoreFails']
  reportWarning(context, { code: 'connector_accepts_replays', path: at, message, wayOut })
}

function checkSafety(context: LoadContext, path: YamlPath, file: ConnectorFile): void {
  if (file.insecureSkipVerify === true) {
    const message =
      'any certificate passes: whoever answers in place of the issuer signs tokens that are accepted'
    const wayOut = 'give its CA: caFile: issuer-ca.pem'
    reportWarning(context, {
      code: 'connector_insecure_tls',
      path: [...path, 'insecureSkipVerify'],
      message,
      wayOut,
    })
  }
  warnOfReplays(context, path, file)
  for (const key of ['issuer', 'discoveryUrl', 'jwksUri'] as const) {
    const url = file[key]
    if (url === undefined || !isPlainHttp(url)) continue
    // an issuer whose keys come from elsewhere is only a name
    if (key === 'issuer' && (file.jwksFile ?? file.jwksUri ?? file.discoveryUrl) !== undefined) continue
    const message = 'its keys come over plain HTTP: whoever is on the way can replace them'
    reportWarning(context, {
      code: 'connector_plain_http',
      path: [...path, key],
      message,
      wayOut: 'use https://',
    })
  }
}

function checkIssuer(context: LoadContext, path: YamlPath, file: ConnectorFile, brokerIssuer: string): void {
  if (file.issuer.replace(/\/$/, '') === brokerIssuer.replace(/\/$/, '')) {
    const message =
      'this broker would take its own tokens in, and a short lifetime could be renewed without end'
    const wayOut = 'name the issuer of the jobs'
    reportError(context, { code: 'connector_issuer_ours', path: [...path, 'issuer'], message, wayOut })
  }
  if (seconds(file.clockSkew ?? CONNECTOR_DEFAULTS.clockSkew) > LARGE_SKEW_SECONDS) {
    const message = 'a token passes for this long after it has expired'
    const wayOut = 'keep the clocks in time and write 30s'
    reportWarning(context, { code: 'connector_skew_large', path: [...path, 'clockSkew'], message, wayOut })
  }
}

function noteSharedIssuers(context: LoadContext, listed: readonly Entry<ConnectorFile>[]): void {
  const first = new Map<string, string>()
  for (const { path, value } of listed) {
    const other = first.get(value.issuer)
    if (other === undefined) first.set(value.issuer, value.id)
    else {
      const message = `connector ${JSON.stringify(other)} has the same issuer: a request has to send connector_id`
      reportNote(context, { code: 'connector_issuer_shared', path: [...path, 'issuer'], message })
    }
  }
}
