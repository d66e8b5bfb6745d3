// Every key that Dex knows outside of connectors, per place (cmd/dex/config.go, storage.Client at commit ab64ed7), and
// the one that seed users write although Dex does not know it (staticClients[].grantTypes).
import { CONNECTOR_KEYS } from './connector_keys.ts'
import { unservedGrant } from './grants.ts'
import { allIgnored, ignored, items, section, taken, takenInPart } from './key_table.ts'
import type { KeyTable } from './key_table.ts'

const HUMAN = 'for logins in a browser, which are not served yet'
const GRPC = 'there is no gRPC API; clients and connectors come from the configuration, which is reloaded'
const STORE = "names Dex's live data, which is never opened"

const DATABASE = [
  'host',
  'port',
  'database',
  'user',
  'password',
  'connectionTimeout',
  'maxOpenConns',
  'maxIdleConns',
  'connMaxLifetime',
]
const SQL: KeyTable = {
  ...allIgnored(DATABASE, STORE),
  ssl: section(allIgnored(['mode', 'caFile', 'keyFile', 'certFile'], STORE)),
}

const STORAGE_KEYS: ReadonlyMap<string, KeyTable> = new Map<string, KeyTable>([
  ['memory', {}],
  ['sqlite3', { file: taken('text', 'store.file, with `.sallyport` appended') }],
  ['postgres', SQL],
  ['mysql', SQL],
  [
    'kubernetes',
    {
      inCluster: taken('flag', 'store, without kubeconfig'),
      kubeConfigFile: taken('text', 'store.kubeconfig'),
      crdHandling: taken('text', 'store.definitions'),
    },
  ],
  [
    'etcd',
    {
      ...allIgnored(['endpoints', 'namespace', 'username', 'password'], STORE),
      ssl: section(allIgnored(['serverName', 'caFile', 'keyFile', 'certFile'], STORE)),
    },
  ],
])

const SIGNER_KEYS: ReadonlyMap<string, KeyTable> = new Map<string, KeyTable>([
  [
    'local',
    {
      keysRotationPeriod: taken('text', 'keys.rotation'),
      algorithm: taken('text', 'keys.algorithm'),
    },
  ],
  ['vault', allIgnored(['addr', 'token', 'keyName'], 'keys in Vault are not supported')],
])

const CLIENT_KEYS: KeyTable = {
  id: taken('text', 'clients[].id'),
  idEnv: taken('text', 'clients[].id, from the environment'),
  secret: taken('text', 'clients[].secretHashes; kept in memory as a salted hash'),
  secretEnv: taken('text', 'clients[].secretEnv'),
  name: taken('text', 'clients[].name'),
  public: taken('flag', 'clients[].auth'),
  trustedPeers: taken('texts', 'audiences[].trustedPeers'),
  allowedConnectors: taken('texts', 'clients[].connectors'),
  clientCredentialsClaims: section({ groups: taken('texts', 'clients[].groups') }),
  grantTypes: takenInPart(
    'clients[].grants; Dex itself does not know this key and ignores it',
    unservedGrant,
  ),
  redirectURIs: ignored('texts', HUMAN),
  postLogoutRedirectURIs: ignored('texts', HUMAN),
  backchannelLogoutURI: ignored('text', HUMAN),
  refreshTokenLifetime: ignored('text', 'refresh tokens are not served yet'),
  logoURL: ignored('text', HUMAN),
  mfaChain: ignored('texts', HUMAN),
  ssoSharedWith: ignored('texts', HUMAN),
}

const WEB_KEYS: KeyTable = {
  http: taken('text', 'listen.public, plain HTTP'),
  https: taken('text', 'listen.public, HTTPS'),
  tlsCert: taken('text', 'listen.public.tls.certFile'),
  tlsKey: taken('text', 'listen.public.tls.keyFile'),
  tlsMinVersion: taken('text', 'listen.public.tls.minVersion'),
  tlsMaxVersion: taken('text', 'listen.public.tls.maxVersion'),
  allowedOrigins: taken('texts', 'web.allowedOrigins'),
  allowedHeaders: taken('texts', 'web.allowedHeaders'),
  headers: section({
    'Content-Security-Policy': taken('text', 'web.headers'),
    'X-Frame-Options': taken('text', 'web.headers'),
    'X-Content-Type-Options': taken('text', 'web.headers'),
    'X-XSS-Protection': taken('text', 'web.headers'),
    'Strict-Transport-Security': taken('text', 'web.headers'),
  }),
  clientRemoteIP: section({
    header: taken('text', 'web.clientAddress.header'),
    trustedProxies: taken('texts', 'web.clientAddress.trustedProxies'),
  }),
}

/** The root of a Dex configuration. */
export const DEX_KEYS: KeyTable = {
  issuer: taken('text', 'issuer, verbatim'),
  storage: section({
    type: taken('text', 'store.type'),
    config: { shape: 'by_type', tables: STORAGE_KEYS },
  }),
  web: section(WEB_KEYS),
  telemetry: section({
    http: taken('text', 'listen.ops'),
    enableProfiling: ignored('flag', 'there are no Go profiles here'),
  }),
  oauth2: section({
    grantTypes: takenInPart('clients[].grants', unservedGrant),
    responseTypes: ignored('texts', HUMAN),
    skipApprovalScreen: ignored('flag', HUMAN),
    alwaysShowLoginScreen: ignored('flag', HUMAN),
    passwordConnector: ignored('text', 'the password grant is not served yet'),
    pkce: section(allIgnored(['enforce', 'codeChallengeMethodsSupported'], HUMAN)),
  }),
  connectors: items({
    type: taken('text', 'connectors[].type'),
    id: taken('text', 'connectors[].id'),
    name: taken('text', 'connectors[].name'),
    grantTypes: takenInPart('connectors[].grants', unservedGrant),
    config: { shape: 'by_type', tables: CONNECTOR_KEYS },
  }),
  staticClients: items(CLIENT_KEYS),
  enablePasswordDB: taken('flag', 'connector `local`, whose logins are not served yet'),
  staticPasswords: items(
    allIgnored(
      [
        'email',
        'hash',
        'hashFromEnv',
        'username',
        'name',
        'preferredUsername',
        'emailVerified',
        'userID',
        'groups',
      ],
      'the password database is not served yet',
    ),
  ),
  expiry: section({
    signingKeys: taken('text', 'keys.rotation'),
    idTokens: taken('text', 'tokens.ttl'),
    authRequests: ignored('text', HUMAN),
    deviceRequests: ignored('text', 'the device flow is not served yet'),
    refreshTokens: section(
      allIgnored(
        ['disableRotation', 'reuseInterval', 'absoluteLifetime', 'validIfNotUsedFor'],
        'refresh tokens are not served yet',
      ),
    ),
  }),
  signer: section({
    type: taken('text', 'keys, kept in the store'),
    config: { shape: 'by_type', tables: SIGNER_KEYS },
  }),
  logger: section({
    level: taken('text', 'log.level'),
    format: taken('text', 'log.format'),
    excludeFields: ignored(
      'texts',
      'logs here never hold e-mail addresses; who got which token is the audit trail',
      'filter the audit destination instead',
    ),
  }),
  frontend: section(allIgnored(['dir', 'logoURL', 'issuer', 'theme', 'extra'], HUMAN)),
  grpc: section(
    allIgnored(
      ['addr', 'tlsCert', 'tlsKey', 'tlsClientCA', 'tlsMinVersion', 'tlsMaxVersion', 'reflection'],
      GRPC,
    ),
  ),
  sessions: section(
    allIgnored(
      [
        'cookieName',
        'absoluteLifetime',
        'validIfNotUsedFor',
        'rememberMeCheckedByDefault',
        'cookieEncryptionKey',
        'ssoSharedWithDefault',
      ],
      HUMAN,
    ),
  ),
  mfa: section({
    authenticators: items(allIgnored(['id', 'type', 'config', 'connectorTypes'], HUMAN)),
    defaultMFAChain: ignored('texts', HUMAN),
  }),
}
