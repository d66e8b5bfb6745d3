// Dex's connectors. `oidc` is served; `gitlab` by GitLab's user API; `mockCallback` under the development flag; the
// others are known by name, so that a request for one is answered as Dex answers it.
import type { Connector } from '#core/connector.ts'
import { presetOf } from '#core/issuer/presets.ts'
import { CLIENT_CREDENTIALS } from '#core/oauth/names.ts'
import type { GrantType } from '#core/oauth/names.ts'
import type { ConfigEnv } from '../config_env.ts'
import { CONNECTOR_KEYS } from './connector_keys.ts'
import { isKnown } from './grants.ts'
import { readOidc } from './oidc_connector.ts'
import type { OidcOptions } from './oidc_connector.ts'
import { flagOf, objectsOf, pathOf, sectionOf, textOf, textsOf } from './read_keys.ts'
import type { DexObject } from './read_keys.ts'
import type { Reporter } from './report.ts'
import { readRootCas } from './root_cas.ts'
import { parseHttpUrl } from './url_check.ts'

export type ConnectorDeps = {
  readonly env: ConfigEnv
  readonly issuer: string
  readonly development: boolean
  readonly report: Reporter
}

export function readConnectors(root: DexObject, deps: ConnectorDeps): readonly Connector[] {
  const entries = objectsOf(root, 'connectors')
  const connectors = entries.flatMap((entry) => readConnector(entry, deps))
  const seen = new Set<string>()
  for (const entry of entries) {
    const id = textOf(entry, 'id')
    if (id !== '' && seen.has(id)) {
      const message = `two connectors have the id ${JSON.stringify(id)}; Dex silently takes the last`
      deps.report.refuse(pathOf(entry, 'id'), 'connector_id_repeated', message, 'give one of them another id')
    }
    seen.add(id)
  }
  return [...connectors, ...passwordDatabase(root, seen, deps)]
}

/** `aud` of a token that is meant for this broker, with and without the trailing slash (seed 002 writes it). */
export function brokerAudiences(issuer: string): readonly string[] {
  return [issuer, issuer.endsWith('/') ? issuer.slice(0, -1) : `${issuer}/`]
}

function readConnector(entry: DexObject, deps: ConnectorDeps): readonly Connector[] {
  const { report } = deps
  const [id, name, type] = [textOf(entry, 'id'), textOf(entry, 'name'), textOf(entry, 'type')]
  if (id === '' || name === '' || type === '') {
    const message = 'invalid config: ID, Type and Name fields are required for a connector'
    report.refuse(entry.path, 'connector_incomplete', message, 'write id:, type: and name:')
  }
  if (type !== '' && !CONNECTOR_KEYS.has(type)) {
    const message = `unknown connector type ${JSON.stringify(type)}`
    const wayOut = `known are ${[...CONNECTOR_KEYS.keys()].join(', ')}`
    report.refuse(pathOf(entry, 'type'), 'connector_type_unknown', message, wayOut)
    return []
  }
  const grants = readConnectorGrants(entry, id, report)
  const config = sectionOf(entry, 'config')
  const base = { ...unserved(id, name, type), grants }
  switch (type) {
    case 'oidc':
      return [{ ...base, ...readOidcConnector(config, deps) }]
    case 'gitlab':
      return [{ ...base, ...readGitlab(config, deps) }]
    case 'mockCallback':
      return [{ ...base, kind: readMock(entry, deps) }]
    default: {
      const message = `connectors of type ${type} are not served yet: nobody logs in through it, and Dex has no exchange for it`
      ignoreEntry(entry, message, report)
      report.note(pathOf(entry, 'type'), 'connector_unserved', message)
      return [base]
    }
  }
}

function readOidcConnector(
  config: DexObject,
  deps: ConnectorDeps,
): OidcOptions & Pick<Connector, 'kind' | 'audiences'> {
  const options = readOidc(config, deps.env, deps.report)
  refuseOwnIssuer(config, options.issuer, deps)
  return { ...options, kind: 'issuer', audiences: brokerAudiences(deps.issuer) }
}

/** What the broker has issued would come back as a subject: a short lifetime could be renewed without end. */
function refuseOwnIssuer(config: DexObject, issuer: string, { issuer: ours, report }: ConnectorDeps): void {
  if (issuer === '' || issuer.replace(/\/$/, '') !== ours.replace(/\/$/, '')) return
  const message =
    'this broker would take its own tokens in, and a short lifetime could be renewed without end'
  const key = textOf(config, 'issuerAlias') === '' ? 'issuer' : 'issuerAlias'
  report.refuse(pathOf(config, key), 'connector_issuer_ours', message, 'name the issuer of the jobs')
}

/** Dex proves these tokens by one request to GitLab's user API, whatever type the caller names. */
function readGitlab(
  config: DexObject,
  deps: ConnectorDeps,
): Pick<Connector, 'kind' | 'issuer' | 'tls'> & Required<Pick<Connector, 'gitlabApi'>> {
  const baseUrl = textOf(config, 'baseURL') === '' ? 'https://gitlab.com' : textOf(config, 'baseURL')
  if (parseHttpUrl(baseUrl) === undefined) {
    const message = `${JSON.stringify(baseUrl)} is not an http or https URL`
    deps.report.refuse(
      pathOf(config, 'baseURL'),
      'url_malformed',
      message,
      'write https://gitlab.example.com',
    )
  }
  const data = textOf(config, 'rootCAData')
  const cas = readRootCas(data === '' ? [] : [Buffer.from(data, 'base64').toString('utf8')], deps.env)
  if (!cas.ok) {
    const message = 'gitlab: invalid rootCAData'
    deps.report.refuse(pathOf(config, 'rootCAData'), 'connector_root_ca', message, 'write base64 of PEM')
  }
  const message =
    'proves an access token of a person by asking GitLab; the id_tokens of CI jobs do not work with it, as in Dex'
  const wayOut = `for CI jobs add a connector of type oidc with issuer ${baseUrl}`
  deps.report.note(config.path, 'connector_gitlab_api', message, wayOut)
  return {
    kind: 'issuer',
    issuer: baseUrl,
    tls: { caPem: cas.ok ? cas.pem : undefined, insecureSkipVerify: false },
    gitlabApi: {
      baseUrl,
      useLoginAsId: flagOf(config, 'useLoginAsID'),
      groups: textsOf(config, 'groups'),
      getGroupsPermission: flagOf(config, 'getGroupsPermission'),
      inheritedGroups: flagOf(config, 'inheritedGroups'),
    },
  }
}

function readMock(entry: DexObject, deps: ConnectorDeps): 'mock' | 'unserved' {
  const path = pathOf(entry, 'type')
  if (deps.development) {
    const message = 'accepts any token as Kilgore Trout, in the group authors'
    deps.report.warn(path, 'connector_mock', message, 'remove it before anybody depends on this broker')
    return 'mock'
  }
  const message = 'mockCallback accepts any token: it is off without --development'
  ignoreEntry(entry, message, deps.report, 'for tests give --development')
  deps.report.warn(path, 'connector_mock_off', message, 'for tests give --development')
  return 'unserved'
}

/** Of a connector that is not served nothing has an effect, its id and its name no more than its type. */
function ignoreEntry(entry: DexObject, why: string, report: Reporter, wayOut?: string): void {
  for (const key of ['type', 'id', 'name', 'grantTypes']) {
    if (entry.values.has(key)) report.ignore(pathOf(entry, key), why, wayOut)
  }
}

function readConnectorGrants(entry: DexObject, id: string, report: Reporter): readonly GrantType[] {
  const listed = textsOf(entry, 'grantTypes')
  for (const grant of listed.filter((name) => !isKnown(name) || name === CLIENT_CREDENTIALS)) {
    const message = `invalid config: unknown grant type ${JSON.stringify(grant)} for connector ${JSON.stringify(id)}`
    report.refuse(
      pathOf(entry, 'grantTypes'),
      'grant_unknown',
      message,
      'write the names of oauth2.grantTypes',
    )
  }
  return listed.filter(isKnown)
}

/** enablePasswordDB is a connector of its own in Dex: id and type `local`. */
function passwordDatabase(
  root: DexObject,
  seen: ReadonlySet<string>,
  deps: ConnectorDeps,
): readonly Connector[] {
  const path = pathOf(root, 'enablePasswordDB')
  const passwords = objectsOf(root, 'staticPasswords')
  if (!flagOf(root, 'enablePasswordDB')) {
    if (passwords.length === 0) return []
    const message = 'cannot specify static passwords without enabling password db'
    deps.report.refuse(
      pathOf(root, 'staticPasswords'),
      'password_db_off',
      message,
      'write enablePasswordDB: true',
    )
    return []
  }
  if (seen.has('local')) {
    const message =
      'enablePasswordDB makes a connector with the id "local", and the file has one with that id, too'
    deps.report.refuse(path, 'connector_id_repeated', message, 'give yours another id')
    return []
  }
  const message = 'passwords are not served yet: nobody logs in with one, and Dex has no exchange for it'
  deps.report.note(path, 'password_db_unserved', message)
  return [unserved('local', 'Email', 'local')]
}

function unserved(id: string, name: string, type: string): Connector {
  const preset = presetOf('oidc')
  return {
    id,
    name,
    kind: 'unserved',
    type,
    preset: 'oidc',
    issuer: '',
    keys: {
      kind: 'discovery',
      url: undefined,
      jwksUri: undefined,
      userinfoUri: undefined,
      documentIssuer: '',
    },
    tls: { caPem: undefined, insecureSkipVerify: false },
    trustedHosts: [],
    audiences: [],
    strictAudience: false,
    algorithms: [],
    headerTypes: preset.headerTypes,
    clockSkewSeconds: 30,
    maxAgeSeconds: undefined,
    maxLifetimeSeconds: preset.maxLifetimeSeconds,
    singleUse: 'off',
    userinfo: false,
    mapping: {
      userIdKey: 'sub',
      userNameKey: 'name',
      userNameRequired: true,
      preferredUsernameKey: undefined,
      emailKey: undefined,
      groupsKey: undefined,
      overrideClaimMapping: false,
      emailRequired: false,
      insecureSkipEmailVerified: false,
      groupsEnabled: false,
      allowedGroups: [],
      groupsFilter: undefined,
      groupPrefix: '',
      groupSuffix: '',
      newGroups: [],
    },
    grants: [],
    needsPolicy: false,
  }
}
