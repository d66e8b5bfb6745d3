// One case for each finding about a Dex configuration: what was changed in a file that loads, where the finding points,
// what it advises. What Dex would let pass in silence is an error here.
import t from 'tap'
import { DEX_CODES } from '../../src/broker/config/dex/dex_codes.ts'
import type { DexCode } from '../../src/broker/config/dex/dex_codes.ts'
import { changed, dexFixture, errorsOf, loadDex } from '../support/dex_config.ts'
import type { World } from '../support/dex_config.ts'

const BASE = dexFixture('seed_002.yaml')
const MEMORY = 'storage:\n  type: memory\n'
const SQLITE = 'storage:\n  type: sqlite3\n  config:\n    file: /var/dex/dex.db\n'
const CLIENTS = 'staticClients:\n'
const OWN_TOKENS = { DEX_CLIENT_CREDENTIAL_GRANT_ENABLED_BY_DEFAULT: 'true' }
const CI = '  - id: dex-client-ci-token-exchange@d8-user-authn\n    name: ci-token-exchange\n'
const GITLAB = '      issuer: https://gitlab.example.test\n'

type Case = {
  readonly code: DexCode
  readonly says: string
  readonly from: string
  readonly to: string
  /** Text of the changed file that the finding points at. */
  readonly at: string
  readonly severity: 'error' | 'warning' | 'note'
  readonly wayOut?: RegExp
  readonly message?: RegExp
  readonly world?: World
  /** The base has the password database, too. */
  readonly withPasswords?: boolean
}

const error = (
  code: DexCode,
  says: string,
  from: string,
  to: string,
  at: string,
  more: Partial<Case> = {},
): Case => ({
  code,
  says,
  from,
  to,
  at,
  severity: 'error',
  ...more,
})
const warning = (
  code: DexCode,
  says: string,
  from: string,
  to: string,
  at: string,
  more: Partial<Case> = {},
): Case => ({
  ...error(code, says, from, to, at, more),
  severity: 'warning',
})
const note = (
  code: DexCode,
  says: string,
  from: string,
  to: string,
  at: string,
  more: Partial<Case> = {},
): Case => ({
  ...error(code, says, from, to, at, more),
  severity: 'note',
})

const CASES: readonly Case[] = [
  // the file
  error(
    'dex_config_not_found',
    'a file of something else',
    BASE,
    'kind: Deployment\nmetadata: { name: x }\n',
    '',
  ),
  error(
    'dex_config_ambiguous',
    'two configurations',
    BASE,
    `a: { issuer: x, web: {} }\nb: { issuer: y, web: {} }\n`,
    '',
  ),
  error('template_action', 'a template action', '10m', '{{ exec "date" }}', '{{ exec', {
    wayOut: /gomplate first/,
  }),
  error('template_variable_unset', 'a template variable that is not set', '10m', '{{ .Env.TTL }}', '{{ .Env'),
  error('template_unclosed', 'an open template action', '10m', '10m # {{ .Env.TTL', '{{ .Env'),
  warning('dex_key_unknown', 'a misspelt key', 'redirectURIs: [http', 'redirectURLs: [http', 'redirectURLs', {
    wayOut: /write redirectURIs/,
  }),
  warning(
    'dex_key_unknown',
    'a key in the wrong place',
    '    id: keycloak',
    '    enablePasswordDB: true\n    id: keycloak',
    'enablePasswordDB',
    {
      wayOut: /top-level key enablePasswordDB/,
    },
  ),
  error(
    'dex_key_unknown',
    'an unknown key where Dex is told to refuse them',
    '  http: 127.0.0.1:5556',
    '  httpx: 1\n  http: 127.0.0.1:5556',
    'httpx',
    {
      world: { env: { DEX_CONFIG_DISALLOW_UNKNOWN_FIELDS: 'true' } },
    },
  ),
  error(
    'dex_key_twice',
    'one key in two spellings',
    'issuer: https://dex.example.test/\n',
    'issuer: https://dex.example.test/\nISSUER: https://other.example.test/\n',
    'ISSUER',
  ),
  warning('dex_value_mistyped', 'a number for a text', '    name: Kubernetes', '    name: 12', 'name: 12', {
    wayOut: /quotes/,
  }),
  error(
    'dex_value_mistyped',
    'a number for a text of a connector',
    'userNameKey: user_login',
    'userNameKey: 12',
    'userNameKey: 12',
    {
      wayOut: /quotes/,
    },
  ),
  error(
    'dex_value_mistyped',
    'a number that is too large',
    '    name: Kubernetes',
    '    name: 12345678901234567890',
    'name: 1234',
    {
      wayOut: /quotes/,
    },
  ),
  error(
    'dex_value_mistyped',
    'a text for a list',
    'scopes: [openid, profile]\n      userNameKey: user_login',
    'scopes: openid\n      userNameKey: user_login',
    'scopes: openid',
  ),
  // the environment
  error('variable_unset', 'secretEnv without its variable', CI, CI, 'secretEnv: CI_CLIENT_SECRET', {
    world: { env: { CI_CLIENT_SECRET: undefined } },
    message: /anybody in/,
  }),
  error('variable_unset', 'secretEnv with an empty variable', CI, CI, 'secretEnv: CI_CLIENT_SECRET', {
    world: { env: { CI_CLIENT_SECRET: '' } },
  }),
  error(
    'variable_unset',
    'idEnv without its variable',
    '  - id: kubernetes\n',
    '  - idEnv: NO_SUCH\n',
    'idEnv',
  ),
  warning('variable_unset', 'a login secret without its variable', GITLAB, GITLAB, 'clientSecret: $GITLAB', {
    world: { env: { GITLAB_CLIENT_SECRET: undefined } },
    wayOut: /^nothing is needed here/,
  }),
  warning(
    'variable_unset',
    'a used value without its variable',
    GITLAB,
    `${GITLAB}      userIDKey: $USER_ID_KEY\n`,
    'userIDKey: $',
    { wayOut: /^set USER_ID_KEY$/ },
  ),
  warning(
    'variable_literal',
    'a variable as client id',
    '  - id: kubernetes\n',
    '  - id: $KUBERNETES\n',
    'id: $KUBERNETES',
    {
      wayOut: /idEnv: KUBERNETES/,
    },
  ),
  warning(
    'dollar_expanded',
    'a dollar sign in a login secret',
    '$GITLAB_CLIENT_SECRET',
    'pa$$word',
    'clientSecret: pa',
  ),
  // issuer
  error('issuer_missing', 'no issuer', 'issuer: https://dex.example.test/\n', '', '', {
    message: /^no issuer specified in config file$/,
  }),
  error(
    'url_malformed',
    'an issuer that no variable is put into',
    'https://dex.example.test/\n',
    'https://${HOST}/\n',
    'issuer: https://${HOST}',
    {
      wayOut: /render the file first/,
    },
  ),
  error(
    'url_malformed',
    'a connector issuer without scheme',
    'https://gitlab.example.test\n',
    'gitlab.example.test\n',
    'issuer: gitlab',
  ),
  note('argocd_issuer', "Argo CD's configuration", BASE, argoCd(), 'connectors', {
    world: { flags: { store: 'memory' } },
  }),
  // listeners
  error(
    'address_malformed',
    'an address without port',
    'http: 127.0.0.1:5556',
    'http: 127.0.0.1',
    'http: 127.0.0.1\n',
  ),
  error(
    'address_malformed',
    'a proxy that is no network',
    '  http: 127.0.0.1:5556',
    '  clientRemoteIP: { header: X-Real-IP, trustedProxies: [10.0.0.1] }\n  http: 127.0.0.1:5556',
    'trustedProxies',
    {
      message: /failed to parse CIDR/,
    },
  ),
  note('listen_default', 'no address', 'web:\n  http: 127.0.0.1:5556\n', '', ''),
  warning(
    'listener_plain_http',
    'plain HTTP for everybody',
    'http: 127.0.0.1:5556',
    'http: 0.0.0.0:5556',
    'http: 0.0.0.0',
  ),
  note('telemetry_default', 'values of the chart', BASE, chart(), 'config:'),
  error(
    'tls_files',
    'HTTPS without certificate',
    '  http: 127.0.0.1:5556',
    '  https: 127.0.0.1:5554\n  tlsKey: k',
    'https: 127',
    {
      message: /^no cert specified for HTTPS$/,
    },
  ),
  warning(
    'file_readable_by_others',
    'a private key that every user can read',
    '  http: 127.0.0.1:5556',
    '  https: 127.0.0.1:5554\n  tlsCert: /etc/dex/tls.crt\n  tlsKey: /etc/dex/tls.key',
    'tlsKey',
    { world: { modes: { '/etc/dex/tls.key': 0o100644 } }, message: /mode 0644/, wayOut: /chmod 600/ },
  ),
  error(
    'tls_version',
    'an old TLS version',
    '  http: 127.0.0.1:5556',
    '  tlsMinVersion: "1.1"\n  http: 127.0.0.1:5556',
    'tlsMinVersion',
    {
      message: /^supported TLS versions are: 1.2, 1.3$/,
    },
  ),
  warning(
    'client_address_unused',
    'a header without proxies',
    '  http: 127.0.0.1:5556',
    '  clientRemoteIP: { header: X-Real-IP }\n  http: 127.0.0.1:5556',
    'header',
  ),
  error('log_level', 'a log level', 'telemetry:', 'logger: { level: loud }\ntelemetry:', 'level'),
  error('log_format', 'a log format', 'telemetry:', 'logger: { format: xml }\ntelemetry:', 'format'),
  // storage
  error('storage_missing', 'no storage', SQLITE, '', '', {
    message: /^no storage supplied in config file$/,
    wayOut: /--store sqlite/,
  }),
  error('storage_missing', 'SQLite in memory', '/var/dex/dex.db', '":memory:"', 'file'),
  error('storage_unknown', 'a storage type', 'type: sqlite3', 'type: sqlite', 'type: sqlite\n', {
    message: /^unknown storage type "sqlite"$/,
  }),
  note(
    'storage_own_objects',
    'Kubernetes as storage',
    SQLITE,
    'storage:\n  type: kubernetes\n  config: { inCluster: true }\n',
    'type: kubernetes',
    { wayOut: /our Role besides Dex's/ },
  ),
  error(
    'storage_unclear',
    'a cluster that is nowhere',
    SQLITE,
    'storage:\n  type: kubernetes\n  config: { inCluster: false }\n',
    'config',
    { message: /^must specify either 'inCluster' or 'kubeConfigFile'$/ },
  ),
  error(
    'storage_unclear',
    'a cluster in two places',
    SQLITE,
    'storage:\n  type: kubernetes\n  config: { inCluster: true, kubeConfigFile: /k }\n',
    'config',
    { message: /both/ },
  ),
  error(
    'storage_unclear',
    'definitions that are neither made nor looked at',
    SQLITE,
    'storage:\n  type: kubernetes\n  config: { inCluster: true, crdHandling: never }\n',
    'crdHandling',
    { wayOut: /ensure/ },
  ),
  error(
    'storage_unsupported',
    'PostgreSQL as storage',
    SQLITE,
    'storage:\n  type: postgres\n  config: { host: db, port: 5432 }\n',
    'type: postgres',
    {
      wayOut: /--store sqlite/,
    },
  ),
  note('storage_memory', 'memory as storage', SQLITE, MEMORY, 'type: memory'),
  note('storage_own_file', 'SQLite as storage', SQLITE, SQLITE, 'file: /var'),
  error('store_flag_malformed', 'a flag that is not understood', SQLITE, SQLITE, 'storage', {
    world: { flags: { store: 'redis' } },
  }),
  error('store_flag_malformed', 'a URL on the command line', SQLITE, SQLITE, 'storage', {
    world: { flags: { store: 'postgres://sallyport:pw@db/keys' } },
    message: /^[^@]*$/,
    wayOut: /postgres:FILE/,
  }),
  error('store_flag_malformed', 'a file that is not there', SQLITE, SQLITE, 'storage', {
    world: { flags: { store: 'postgres:/run/none' } },
    message: /ENOENT/,
  }),
  error('store_flag_malformed', 'a file without a URL', SQLITE, SQLITE, 'storage', {
    world: { flags: { store: 'postgres:/run/url' }, files: { '/run/url': 'hunter2' } },
    message: /not a postgres/,
  }),
  error('file_readable_by_others', 'a URL that everybody can read', SQLITE, SQLITE, 'storage', {
    world: {
      flags: { store: 'postgres:/run/url' },
      files: { '/run/url': 'postgres://sallyport:pw@db/keys' },
      modes: { '/run/url': 0o100644 },
    },
    wayOut: /chmod/,
  }),
  warning('store_plain_tcp', 'a database across a network without TLS', SQLITE, SQLITE, 'storage', {
    world: {
      flags: { store: 'postgres:/run/url' },
      files: { '/run/url': 'postgres://sallyport:pw@db/keys?sslmode=disable' },
    },
    wayOut: /sslmode/,
  }),
  // keys and lifetimes
  error('duration_malformed', 'days', '10m', '7d', 'idTokens', {
    message: /for id token expiry/,
    wayOut: /168h/,
  }),
  error(
    'duration_malformed',
    'a rotation without unit',
    '  idTokens: 10m',
    '  signingKeys: "6"\n  idTokens: 10m',
    'signingKeys',
  ),
  error(
    'signer_unsupported',
    'keys in Vault',
    'telemetry:',
    'signer: { type: vault, config: { keyName: k } }\ntelemetry:',
    'type: vault',
  ),
  error(
    'signer_unknown',
    'an unknown signer',
    'telemetry:',
    'signer: { type: kms }\ntelemetry:',
    'type: kms',
  ),
  error(
    'signer_rotation_missing',
    'no rotation period',
    'telemetry:',
    'signer: { type: local, config: {} }\ntelemetry:',
    'config: {}',
  ),
  error(
    'signer_algorithm',
    'an algorithm',
    'telemetry:',
    'signer: { type: local, config: { keysRotationPeriod: 6h, algorithm: PS256 } }\ntelemetry:',
    'algorithm',
    {
      message: /^unsupported local signer algorithm "PS256"$/,
    },
  ),
  // grants
  note('grants_default', 'no list of grants', BASE, BASE, 'oauth2'),
  warning(
    'grants_none_served',
    'a list of grants for people',
    '  skipApprovalScreen: true',
    '  grantTypes: [authorization_code]',
    'grantTypes',
  ),
  warning(
    'grant_unknown',
    'a grant by a name of its own',
    '  skipApprovalScreen: true',
    '  grantTypes: [token-exchange, client_credentials]',
    'grantTypes',
  ),
  note(
    'grant_exchange_off',
    'a list without exchange',
    '  skipApprovalScreen: true',
    '  grantTypes: [client_credentials]',
    'grantTypes',
  ),
  // clients
  error(
    'client_id_missing',
    'a client without id',
    '  - id: kubernetes\n    name',
    '  - name',
    'name: Kubernetes',
    {
      message: /^invalid config: ID or IDEnv field is required for a client$/,
    },
  ),
  error(
    'client_id_twice',
    'a client with id and idEnv',
    '    name: Kubernetes',
    '    idEnv: CI_CLIENT_ID\n    name: Kubernetes',
    'idEnv',
  ),
  error(
    'client_id_repeated',
    'two clients with one id',
    CI,
    CI.replace('dex-client-ci-token-exchange@d8-user-authn', 'kubernetes'),
    'id: kubernetes\n    name: ci',
  ),
  error('client_name_missing', 'a client without name', '    name: Kubernetes\n', '', 'id: kubernetes'),
  error(
    'client_secret_empty',
    'a confidential client without secret',
    '    secretEnv: CI_CLIENT_SECRET\n',
    '    secret: ""\n',
    'secret: ""',
    {
      message: /^invalid config: Secret or SecretEnv field is required for client/,
    },
  ),
  error(
    'client_secret_twice',
    'a client with secret and secretEnv',
    '    secretEnv: CI_CLIENT_SECRET\n',
    '    secretEnv: CI_CLIENT_SECRET\n    secret: x\n',
    'secretEnv: CI',
  ),
  error(
    'client_secret_literal',
    'a variable as secret',
    'secretEnv: CI_CLIENT_SECRET',
    'secret: ${CI_CLIENT_SECRET}',
    'secret: ${CI',
    {
      wayOut: /secretEnv: CI_CLIENT_SECRET/,
    },
  ),
  warning(
    'client_public_with_secret',
    'a public client with a secret',
    '    secretEnv: CI_CLIENT_SECRET\n',
    '    secretEnv: CI_CLIENT_SECRET\n    public: true\n',
    'public',
  ),
  note(
    'client_grants_honoured',
    'a list of grants at a client',
    CI,
    `${CI}    grantTypes: [urn:ietf:params:oauth:grant-type:token-exchange]\n`,
    'grantTypes',
  ),
  warning(
    'client_grant_off',
    'a client with a grant that is off',
    CI,
    `${CI}    grantTypes: [client_credentials]\n`,
    'grantTypes',
  ),
  warning(
    'peer_unknown',
    'a peer that is not there',
    '      - dex-client-ci',
    '      - nobody\n      - dex-client-ci',
    'trustedPeers',
  ),
  // connectors
  error(
    'connector_incomplete',
    'a connector without name',
    '    name: Keycloak\n',
    '',
    'type: oidc\n    id: keycloak',
    {
      message: /^invalid config: ID, Type and Name fields are required for a connector$/,
    },
  ),
  error(
    'connector_id_repeated',
    'two connectors with one id',
    'id: keycloak',
    'id: gitlab',
    'id: gitlab\n    name: Keycloak',
  ),
  error(
    'connector_id_repeated',
    'a connector called like the password database',
    'id: keycloak',
    'id: local',
    'enablePasswordDB',
    {
      withPasswords: true,
    },
  ),
  error(
    'connector_type_unknown',
    "a fork's connector",
    'type: oidc\n    id: keycloak',
    'type: ssh\n    id: keycloak',
    'type: ssh',
    {
      message: /^unknown connector type "ssh"$/,
    },
  ),
  note(
    'connector_unserved',
    'a connector for people',
    'connectors:\n',
    'connectors:\n  - { type: saml, id: saml, name: SAML }\n',
    'type: saml',
  ),
  warning(
    'connector_without_policy',
    'a connector that no policy names',
    BASE,
    BASE,
    'type: oidc\n    id: gitlab',
  ),
  error(
    'connector_id_ambiguous',
    'a connector whose jobs could be those of another one',
    'id: keycloak',
    'id: gitlab:ci',
    'id: gitlab:ci',
    { wayOut: /":" out/ },
  ),
  error(
    'connector_id_reserved',
    'a connector whose jobs would be Kubernetes’ own users',
    'id: keycloak',
    'id: system',
    'id: system',
    { world: { overlay: 'audiences: { kubernetes: { profile: kubernetes } }' }, wayOut: /another id/ },
  ),
  error(
    'client_id_reserved',
    'a client whose own token would be one of Kubernetes’ users',
    CLIENTS,
    `${CLIENTS}  - { id: "system:admin", name: x, secretEnv: CI_CLIENT_SECRET }\n`,
    'id: "system:admin"',
    {
      world: { env: OWN_TOKENS, overlay: 'clients: { "system:admin": { subject: plain } }' },
      wayOut: /does not begin/,
    },
  ),
  error(
    'client_id_ambiguous',
    'a client whose own token would be a job’s',
    CLIENTS,
    `${CLIENTS}  - { id: "gitlab:42", name: x, secretEnv: CI_CLIENT_SECRET }\n`,
    'id: "gitlab:42"',
    {
      world: { env: OWN_TOKENS, overlay: 'clients: { "gitlab:42": { subject: plain } }' },
      wayOut: /does not begin/,
    },
  ),
  error(
    'connector_issuer_ours',
    'a connector for our own tokens',
    GITLAB,
    '      issuer: https://dex.example.test\n',
    'issuer: https://dex.example.test\n',
    { wayOut: /jobs/ },
  ),
  error(
    'connector_issuer_ours',
    'a connector whose alias is our own issuer',
    GITLAB,
    `${GITLAB}      issuerAlias: https://dex.example.test/\n`,
    'issuerAlias',
    { wayOut: /jobs/ },
  ),
  warning(
    'connector_open_to_strangers',
    'a connector for the jobs of a public forge that no policy names',
    GITLAB,
    '      issuer: https://token.actions.githubusercontent.com\n',
    'type: oidc\n    id: gitlab',
    { message: /any repository or job on/, wayOut: /connectors\.gitlab\.type: github-actions/ },
  ),
  error('connector_issuer_missing', 'a connector without issuer', GITLAB, '', 'config:\n      clientID'),
  warning(
    'connector_issuer_plain_http',
    'an issuer over plain HTTP',
    GITLAB,
    '      issuer: http://gitlab.example.test\n',
    'issuer: http:',
  ),
  warning(
    'connector_tls_unchecked',
    'certificates that are not checked',
    GITLAB,
    `${GITLAB}      insecureSkipVerify: true\n`,
    'insecureSkipVerify',
  ),
  error(
    'connector_root_ca',
    'a CA that is none',
    GITLAB,
    `${GITLAB}      rootCAs: [/no/such/file]\n`,
    'rootCAs',
    {
      message: /^rootCAs\.0 is not in PEM format/,
    },
  ),
  error(
    'connector_hosted_domains',
    'hostedDomains',
    GITLAB,
    `${GITLAB}      hostedDomains: [example.test]\n`,
    'hostedDomains',
  ),
  note(
    'connector_gitlab_api',
    'a gitlab connector',
    'connectors:\n',
    'connectors:\n  - { type: gitlab, id: people, name: People, config: { groups: [a] } }\n',
    'config: { groups',
  ),
  warning(
    'connector_mock',
    'mockCallback for development',
    'connectors:\n',
    'connectors:\n  - { type: mockCallback, id: mock, name: Mock }\n',
    'type: mock',
    {
      world: { flags: { development: true } },
    },
  ),
  warning(
    'connector_mock_off',
    'mockCallback',
    'connectors:\n',
    'connectors:\n  - { type: mockCallback, id: mock, name: Mock }\n',
    'type: mock',
  ),
  error(
    'allowed_groups_void',
    'groups that nobody looks at',
    '      userNameKey: preferred_username',
    '      allowedGroups: [ops]\n      userNameKey: preferred_username',
    'allowedGroups',
    {
      wayOut: /insecureEnableGroups: true/,
    },
  ),
  error(
    'groups_filter_malformed',
    'a filter that does not compile',
    GITLAB,
    `${GITLAB}      claimModifications: { filterGroupClaims: { groupsFilter: "(?=x)" } }\n`,
    'groupsFilter',
  ),
  error(
    'grant_unknown',
    'a connector with an unknown grant',
    '    id: keycloak',
    '    grantTypes: [client_credentials]\n    id: keycloak',
    'grantTypes',
    {
      message: /^invalid config: unknown grant type "client_credentials" for connector "keycloak"$/,
    },
  ),
  // passwords
  error(
    'password_db_off',
    'passwords without their database',
    CLIENTS,
    `staticPasswords: [{ email: a@example.test }]\n${CLIENTS}`,
    'staticPasswords',
    {
      message: /^cannot specify static passwords without enabling password db$/,
    },
  ),
  note(
    'password_db_unserved',
    'the password database',
    CLIENTS,
    `enablePasswordDB: true\n${CLIENTS}`,
    'enablePasswordDB',
  ),
  // the overlay
  error(
    'overlay_connector_unfit',
    'an overlay for a connector of people',
    'connectors:\n',
    'connectors:\n  - { type: saml, id: saml, name: SAML }\n',
    '',
    {
      world: { overlay: 'connectors: { saml: { singleUse: once } }\n' },
    },
  ),
  warning('overlay_issuer_unused', 'a second issuer', BASE, BASE, 'issuer: https://dex', {
    world: { overlay: 'issuer: https://other.example.test\n' },
  }),
]

function argoCd(): string {
  const lines = ['connectors:', '- { type: saml, id: saml, name: SAML }'].map((line) => `    ${line}\n`)
  return `kind: ConfigMap\ndata:\n  url: https://argocd.example.test\n  dex.config: |\n${lines.join('')}`
}

function chart(): string {
  const lines = BASE.replace('telemetry:\n  http: 127.0.0.1:5558\n', '')
    .split('\n')
    .map((line) => (line === '' ? '' : `  ${line}`))
  return `config:\n${lines.join('\n')}`
}

t.test('the file that every case changes loads', async (t) => {
  t.same(errorsOf(loadDex(BASE)), [])
  t.same(errorsOf(loadDex(chart())), [])
})

for (const { code, says, from, to, at, severity, wayOut, message, world, withPasswords } of CASES) {
  t.test(`${says}: ${code}`, async (t) => {
    const base =
      withPasswords === true
        ? changed(
            BASE,
            CLIENTS,
            `enablePasswordDB: true
${CLIENTS}`,
          )
        : BASE
    const text = from === BASE ? to : changed(base, from, to)
    const load = loadDex(text, world)
    const found = load.findings.find((finding) => finding.code === code && finding.severity === severity)
    if (found === undefined) {
      t.fail(
        `no such finding among ${load.findings.map((finding) => `${finding.severity} ${finding.code}`).join(', ')}`,
      )
      return
    }
    if (at !== '') t.equal(found.place?.line, lineOf(text, at), 'the line it points at')
    if (message !== undefined) t.match(found.message, message)
    if (wayOut !== undefined) t.match(found.wayOut, wayOut)
    const expected = severity === 'error' ? [code] : []
    t.same([...new Set(errorsOf(load).map((finding) => finding.code))], expected, 'nothing else refuses')
    t.equal(load.config === undefined, severity === 'error', 'an error, and only an error, refuses')
  })
}

t.test('every code has a case here', async (t) => {
  const tested = new Set(CASES.map(({ code }) => code))
  t.same(
    Object.keys(DEX_CODES).filter((code) => ![...tested].some((name) => name === code)),
    [],
  )
})

t.test('everything that is wrong is said at once', async (t) => {
  let text = changed(BASE, '10m', '7d')
  text = changed(text, 'id: keycloak', 'id: gitlab')
  text = changed(text, 'http: 127.0.0.1:5556', 'http: nowhere')
  t.same(
    errorsOf(loadDex(text)).map(({ code }) => code),
    ['address_malformed', 'duration_malformed', 'connector_id_repeated'],
    'in the order of the file',
  )
})

function lineOf(text: string, at: string): number {
  const offset = text.indexOf(at)
  if (offset === -1) throw new Error(`${JSON.stringify(at)} does not stand in the changed file`)
  return text.slice(0, offset).split('\n').length
}
