// Dex's `oidc` connector: the source of most subject tokens. Every option that an exchange depends on is taken over
// with Dex's meaning (connector/oidc), except that the audience of the token is checked.
import type { Connector, IdentityMapping, KeySource } from '#core/connector.ts'
import { presetOf } from '#core/issuer/presets.ts'
import { RE2JS } from 're2js'
import type { ConfigEnv } from '../config_env.ts'
import { isPlainHttp } from '#platform/config/formats.ts'
import { flagOf, objectsOf, pathOf, sectionOf, textOf, textsOf } from './read_keys.ts'
import type { DexObject } from './read_keys.ts'
import type { Reporter } from './report.ts'
import { readRootCas } from './root_cas.ts'
import { parseHttpUrl, urlWayOut } from './url_check.ts'

/** What go-oidc accepts, whatever the issuer's discovery says. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512', 'EdDSA']
/** go-oidc allows none for `exp` and 5 minutes for `nbf`; half a minute serves both. */
const CLOCK_SKEW_SECONDS = 30
/** Dex has no limit. A year and a day keeps tokens that never end away. */
const MAX_LIFETIME_SECONDS = 366 * 24 * 3600

export type OidcOptions = Pick<
  Connector,
  'issuer' | 'keys' | 'tls' | 'trustedHosts' | 'algorithms' | 'headerTypes' | 'userinfo' | 'mapping'
> &
  Pick<
    Connector,
    'clockSkewSeconds' | 'maxAgeSeconds' | 'maxLifetimeSeconds' | 'singleUse' | 'strictAudience'
  >

export function readOidc(config: DexObject, env: ConfigEnv, report: Reporter): OidcOptions {
  const issuer = readIssuer(config, report)
  const alias = textOf(config, 'issuerAlias')
  const overrides = sectionOf(config, 'providerDiscoveryOverrides')
  const [jwksUri, userinfoUri] = [
    readUrl(overrides, 'jwksURL', report),
    readUrl(overrides, 'userInfoURL', report),
  ]
  if (textsOf(config, 'hostedDomains').length > 0) {
    const message =
      'support for the Hosted domains option had been deprecated and removed, consider switching to the Google connector'
    const wayOut = 'remove it, and pin the claim `hd` in a policy'
    report.refuse(pathOf(config, 'hostedDomains'), 'connector_hosted_domains', message, wayOut)
  }
  const insecureSkipVerify = flagOf(config, 'insecureSkipVerify')
  if (insecureSkipVerify) {
    const message = 'whoever answers for this issuer chooses its keys: no certificate is checked'
    report.warn(
      pathOf(config, 'insecureSkipVerify'),
      'connector_tls_unchecked',
      message,
      'write rootCAs instead',
    )
  }
  return {
    issuer: alias === '' ? issuer : alias,
    keys: keySource(issuer, alias, jwksUri, userinfoUri),
    tls: { caPem: readCas(config, env, report), insecureSkipVerify },
    trustedHosts: [jwksUri, userinfoUri].flatMap((url) => (url === undefined ? [] : [new URL(url).host])),
    strictAudience: false,
    algorithms: ALGORITHMS,
    headerTypes: presetOf('oidc').headerTypes,
    clockSkewSeconds: CLOCK_SKEW_SECONDS,
    maxAgeSeconds: undefined,
    maxLifetimeSeconds: MAX_LIFETIME_SECONDS,
    singleUse: 'off',
    userinfo: flagOf(config, 'getUserInfo'),
    mapping: readMapping(config, report),
  }
}

/** With an alias the document still lies below the configured issuer, and names that one. */
function keySource(
  issuer: string,
  alias: string,
  jwksUri: string | undefined,
  userinfoUri: string | undefined,
): KeySource {
  const url = alias === '' ? undefined : `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  return { kind: 'discovery', url, jwksUri, userinfoUri, documentIssuer: issuer }
}

function readIssuer(config: DexObject, report: Reporter): string {
  const issuer = textOf(config, 'issuer')
  const path = pathOf(config, 'issuer')
  const url = parseHttpUrl(issuer)
  if (issuer === '') {
    report.refuse(path, 'connector_issuer_missing', 'the connector has no issuer', 'write config.issuer')
  } else if (url === undefined) {
    const message = `${JSON.stringify(issuer)} is not an http or https URL`
    report.refuse(path, 'url_malformed', message, urlWayOut(issuer, true))
  } else if (isPlainHttp(issuer)) {
    const message = 'plain HTTP: whoever sits on the way to this issuer chooses its keys'
    report.warn(path, 'connector_issuer_plain_http', message, 'give the issuer a certificate')
  }
  return issuer
}

function readUrl(section: DexObject, key: string, report: Reporter): string | undefined {
  const text = textOf(section, key)
  if (text === '') return undefined
  if (parseHttpUrl(text) !== undefined) return text
  const message = `${JSON.stringify(text)} is not an http or https URL`
  report.refuse(pathOf(section, key), 'url_malformed', message, urlWayOut(text, true))
  return undefined
}

function readCas(config: DexObject, env: ConfigEnv, report: Reporter): string | undefined {
  const cas = readRootCas(textsOf(config, 'rootCAs'), env)
  if (cas.ok) return cas.pem
  const message =
    `rootCAs.${cas.index} is not in PEM format, certificate must be a PEM encoded string, ` +
    'a base64 encoded bytes that contain PEM encoded string, or a path to a PEM encoded certificate'
  report.refuse(
    pathOf(config, 'rootCAs'),
    'connector_root_ca',
    message,
    'check the path, or put the PEM there',
  )
  return undefined
}

function readMapping(config: DexObject, report: Reporter): IdentityMapping {
  const mapping = sectionOf(config, 'claimMapping')
  const changes = sectionOf(config, 'claimModifications')
  const scopes = textsOf(config, 'scopes')
  const names = sectionOf(changes, 'modifyGroupNames')
  return {
    userIdKey: optional(config, 'userIDKey') ?? 'sub',
    userNameKey: optional(config, 'userNameKey') ?? 'name',
    userNameRequired: true,
    preferredUsernameKey: optional(mapping, 'preferred_username'),
    emailKey: optional(mapping, 'email'),
    groupsKey: optional(mapping, 'groups'),
    overrideClaimMapping: flagOf(config, 'overrideClaimMapping'),
    // an empty list means Dex's default [profile, email]
    emailRequired: scopes.length === 0 || scopes.includes('email'),
    insecureSkipEmailVerified: flagOf(config, 'insecureSkipEmailVerified'),
    groupsEnabled: flagOf(config, 'insecureEnableGroups'),
    allowedGroups: readAllowedGroups(config, report),
    groupsFilter: readGroupsFilter(sectionOf(changes, 'filterGroupClaims'), report),
    groupPrefix: textOf(names, 'prefix'),
    groupSuffix: textOf(names, 'suffix'),
    newGroups: objectsOf(changes, 'newGroupFromClaims').map((entry) => ({
      claims: textsOf(entry, 'claims'),
      delimiter: textOf(entry, 'delimiter'),
      clearDelimiter: flagOf(entry, 'clearDelimiter'),
      prefix: textOf(entry, 'prefix'),
    })),
  }
}

function readAllowedGroups(config: DexObject, report: Reporter): readonly string[] {
  const groups = textsOf(config, 'allowedGroups')
  if (groups.length > 0 && !flagOf(config, 'insecureEnableGroups')) {
    const message = 'without insecureEnableGroups Dex does not look at groups: everybody is let in'
    const wayOut = 'add insecureEnableGroups: true, or remove allowedGroups'
    report.refuse(pathOf(config, 'allowedGroups'), 'allowed_groups_void', message, wayOut)
  }
  return groups
}

/** Go's regexp and RE2JS read the same language. Dex drops a filter that it cannot read, and lets every group pass. */
function readGroupsFilter(section: DexObject, report: Reporter): string | undefined {
  const pattern = optional(section, 'groupsFilter')
  if (pattern === undefined) return undefined
  try {
    RE2JS.compile(pattern)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    const message = `the filter does not compile (${why}): Dex drops it with a warning and lets every group pass`
    const path = pathOf(section, 'groupsFilter')
    report.refuse(
      path,
      'groups_filter_malformed',
      message,
      'write an RE2 pattern: no lookaround, no backreference',
    )
  }
  return pattern
}

function optional(object: DexObject, key: string): string | undefined {
  const text = textOf(object, key)
  return text === '' ? undefined : text
}
