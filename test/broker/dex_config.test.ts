// What an unmodified Dex configuration becomes.
import t from 'tap'
import { CLIENT_CREDENTIALS, TOKEN_EXCHANGE } from '../../src/core/oauth/names.ts'
import { hashGeneratedSecret } from '../../src/core/secret_hash.ts'
import type { BrokerConfig } from '../../src/broker/config/broker_config.ts'
import { changed, dexFixture, errorsOf, loadDex } from '../support/dex_config.ts'
import type { World } from '../support/dex_config.ts'

const EVERY_KEY = dexFixture('every_key.yaml')
const SEED_002 = dexFixture('seed_002.yaml')
const SEED_000 = dexFixture('seed_000.yaml')

function whole(text: string, world?: World): BrokerConfig {
  const load = loadDex(text, world)
  t.same(errorsOf(load), [])
  if (load.config === undefined) throw new Error('the fixture does not load')
  return load.config
}

function required(text: string): boolean | undefined {
  return whole(text).connectors.find(({ id }) => id === 'upstream')?.mapping.emailRequired
}

t.test('listeners, headers and the word of proxies are taken over', async (t) => {
  const config = whole(EVERY_KEY)
  const tls = {
    certFile: '/etc/dex/tls.crt',
    keyFile: '/etc/dex/tls.key',
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.3',
  }
  t.same(config.publicListeners, [
    { host: '127.0.0.1', port: 5556, tls: undefined },
    { host: '0.0.0.0', port: 5554, tls },
  ])
  t.same(config.opsListener, { host: '127.0.0.1', port: 5558, tls: undefined })
  t.same(config.web, {
    headers: { 'X-Frame-Options': 'DENY', 'Strict-Transport-Security': 'max-age=31536000' },
    allowedOrigins: ['https://app.example.test'],
    allowedHeaders: ['X-Trace'],
    clientAddress: { header: 'X-Forwarded-For', trustedProxies: ['10.0.0.0/8'] },
  })
})

t.test("the command line's addresses win over the file's, as in dex serve", async (t) => {
  const config = whole(SEED_002, {
    flags: { webHttpAddr: '127.0.0.1:1', telemetryAddr: '127.0.0.1:2' },
  })
  t.same(config.publicListeners, [{ host: '127.0.0.1', port: 1, tls: undefined }])
  t.same(config.opsListener, { host: '127.0.0.1', port: 2, tls: undefined })
})

t.test('CORS without a list of headers allows Authorization, as Dex does', async (t) => {
  t.same(whole(changed(EVERY_KEY, '  allowedHeaders: [X-Trace]\n', '')).web.allowedHeaders, ['Authorization'])
  t.same(whole(SEED_002).web.allowedHeaders, [])
})

t.test('lifetimes, rotation, algorithm and logging are taken over', async (t) => {
  const config = whole(EVERY_KEY)
  t.equal(config.mode, 'dex')
  t.equal(config.tokens.ttlSeconds, 5400)
  t.same(config.keys, {
    algorithm: 'ES256',
    rotationSeconds: 12 * 3600,
    sealingKeyFile: undefined,
    extraPublicKeysFile: undefined,
  })
  t.same(config.log, { level: 'debug', format: 'json' })
})

t.test(
  "what the file leaves out has Dex's defaults: 24 hours, 6 hours, RS256, text, exchange alone",
  async (t) => {
    const config = whole(changed(SEED_002, 'expiry:\n  idTokens: 10m\n', ''))
    t.equal(config.tokens.ttlSeconds, 24 * 3600)
    t.equal(config.keys.rotationSeconds, 6 * 3600)
    t.equal(config.keys.algorithm, 'RS256')
    t.same(config.log, { level: 'info', format: 'text' })
    t.same(config.grants, [TOKEN_EXCHANGE])
    t.equal(config.issuer, 'https://dex.example.test/', 'a trailing slash stays')
  },
)

t.test('the feature flag turns client_credentials on where no list of grants stands', async (t) => {
  const env = { DEX_CLIENT_CREDENTIAL_GRANT_ENABLED_BY_DEFAULT: 'true' }
  t.same(whole(SEED_002, { env }).grants, [CLIENT_CREDENTIALS, TOKEN_EXCHANGE])
  t.same(whole(SEED_000, { env, flags: { store: 'memory' } }).grants, [CLIENT_CREDENTIALS])
})

t.test('every option of an oidc connector that an exchange depends on is taken over', async (t) => {
  const connector = whole(EVERY_KEY).connectors.find(({ id }) => id === 'upstream')
  t.match(connector, {
    kind: 'issuer',
    type: 'oidc',
    preset: 'oidc',
    issuer: 'https://alias.example.test',
    keys: {
      kind: 'discovery',
      url: 'https://upstream.example.test/.well-known/openid-configuration',
      jwksUri: 'https://keys.example.test/jwks',
      userinfoUri: 'https://users.example.test/userinfo',
      documentIssuer: 'https://upstream.example.test/',
    },
    trustedHosts: ['keys.example.test', 'users.example.test'],
    audiences: ['https://dex.example.test/dex', 'https://dex.example.test/dex/'],
    singleUse: 'off',
    userinfo: true,
    grants: [TOKEN_EXCHANGE],
    needsPolicy: false,
  })
  t.same(connector?.mapping, {
    userIdKey: 'uid',
    userNameKey: 'login',
    userNameRequired: true,
    preferredUsernameKey: 'nick',
    emailKey: 'mail',
    groupsKey: 'roles',
    overrideClaimMapping: true,
    emailRequired: false,
    insecureSkipEmailVerified: true,
    groupsEnabled: true,
    allowedGroups: ['ops'],
    groupsFilter: '^ops',
    groupPrefix: 'up:',
    groupSuffix: '@corp',
    newGroups: [{ claims: ['org', 'team'], delimiter: '-', clearDelimiter: true, prefix: 'bk' }],
  })
})

t.test('a token without an address is denied only where email is among the scopes', async (t) => {
  t.equal(required(EVERY_KEY), false)
  t.equal(required(changed(EVERY_KEY, '[openid, groups]', '[openid, email]')), true)
  t.equal(required(changed(EVERY_KEY, '      scopes: [openid, groups]\n', '')), true, "Dex's default has it")
})

t.test('a gitlab connector keeps what its user API is asked', async (t) => {
  t.match(
    whole(EVERY_KEY).connectors.find(({ id }) => id === 'people'),
    {
      kind: 'issuer',
      type: 'gitlab',
      gitlabApi: {
        baseUrl: 'https://gitlab.example.test',
        useLoginAsId: true,
        groups: ['acme'],
        getGroupsPermission: true,
        inheritedGroups: false,
      },
    },
  )
})

t.test('connectors without exchange and the password database are known by name', async (t) => {
  const kinds = whole(EVERY_KEY).connectors.map(({ id, kind, type }) => `${id} ${kind} ${type}`)
  t.same(kinds, [
    'upstream issuer oidc',
    'people issuer gitlab',
    'directory unserved ldap',
    'local unserved local',
  ])
})

t.test('mockCallback serves only under the development flag', async (t) => {
  const text = changed(
    SEED_002,
    '  - type: oidc\n    id: keycloak',
    '  - { type: mockCallback, id: mock, name: Mock }\n  - type: oidc\n    id: keycloak',
  )
  const kind = (development: boolean): string | undefined =>
    whole(text, { flags: { development } }).connectors.find(({ id }) => id === 'mock')?.kind
  t.equal(kind(false), 'unserved')
  t.equal(kind(true), 'mock')
})

t.test('clients, their credentials and who may ask for them are taken over', async (t) => {
  const config = whole(EVERY_KEY)
  const salt = new Uint8Array(16)
  t.same(
    config.clients.map(({ id, auth }) => ({ id, auth })),
    [
      {
        id: 'ci',
        auth: { method: 'client_secret', hashes: [hashGeneratedSecret('ci-client-secret-5d0b92', salt)] },
      },
      {
        id: 'kubernetes',
        auth: {
          method: 'client_secret',
          hashes: [hashGeneratedSecret('kubernetes-client-secret-8e21f04a', salt)],
        },
      },
      { id: 'browser', auth: { method: 'none' } },
    ],
  )
  t.match(config.clients[0], { name: 'CI', connectors: ['upstream'], groups: ['deployers'], subject: 'dex' })
  t.equal(config.clients[0]?.grants, undefined, 'Dex has no list of grants for a client')
  t.same(config.audiences[1], {
    id: 'kubernetes',
    profile: 'dex',
    trustedPeers: ['ci'],
    resources: [],
    maxTtlSeconds: undefined,
  })
})

t.test("seed 000's values give ci-pipeline client_credentials and nothing else", async (t) => {
  const config = whole(SEED_000, { flags: { store: 'sqlite:/data/broker.db' } })
  t.same(config.grants, [CLIENT_CREDENTIALS])
  t.same(config.clients.find(({ id }) => id === 'ci-pipeline')?.grants, [CLIENT_CREDENTIALS])
  t.same(config.store, { type: 'sqlite', file: '/data/broker.db' })
  t.same(config.publicListeners, [{ host: '0.0.0.0', port: 5556, tls: undefined }], 'as its chart listens')
  t.same(config.opsListener, { host: '0.0.0.0', port: 5558, tls: undefined })
})

t.test(
  "Dex's data is never opened: an SQLite file gets a sibling, another database needs --store",
  async (t) => {
    t.same(whole(SEED_002).store, { type: 'sqlite', file: '/var/dex/dex.db.sallyport' })
    t.same(whole(SEED_002, { flags: { store: 'sqlite' } }).store, {
      type: 'sqlite',
      file: '/var/dex/dex.db.sallyport',
    })
    t.same(whole(SEED_002, { flags: { store: 'memory' } }).store, { type: 'memory' })
    t.same(whole(SEED_000, { flags: { store: 'sqlite' } }).store, {
      type: 'sqlite',
      file: '.sallyport/sallyport.db',
    })
    t.match(
      whole(SEED_002, {
        flags: { store: 'postgres:/run/url' },
        files: { '/run/url': 'postgres://sallyport:pw@db/keys\n' },
      }).store,
      {
        type: 'postgres',
        schema: 'sallyport',
        address: { host: 'db', tls: {}, secret: { file: '/run/url', holds: 'url' } },
      },
    )
    const memory = changed(SEED_002, 'type: sqlite3\n  config:\n    file: /var/dex/dex.db', 'type: memory')
    t.same(whole(memory).store, { type: 'memory' })
  },
)

const SQLITE = 'type: sqlite3\n  config:\n    file: /var/dex/dex.db'
const inKubernetes = (config: string): string =>
  changed(SEED_002, SQLITE, `type: kubernetes\n  config: { ${config} }`)

t.test(
  "Dex's storage in a cluster needs no change: our objects lie beside Dex's, where Dex's do",
  async (t) => {
    const place = {
      from: 'cluster',
      namespace: undefined,
      definitions: 'ensure',
      requestTimeoutSeconds: 2,
      maxEntries: 50_000,
    }
    t.same(whole(inKubernetes('inCluster: true')).store, { type: 'kubernetes', place })
    t.same(
      whole(inKubernetes('inCluster: true'), { env: { KUBERNETES_POD_NAMESPACE: 'auth' } }).store,
      { type: 'kubernetes', place: { ...place, namespace: 'auth' } },
      'the namespace as Dex is told it',
    )
    t.same(whole(inKubernetes('kubeConfigFile: /etc/dex/kubeconfig, crdHandling: check')).store, {
      type: 'kubernetes',
      place: {
        ...place,
        from: { kubeconfig: '/etc/dex/kubeconfig', context: undefined },
        definitions: 'check',
      },
    })
    t.match(whole(inKubernetes('inCluster: true'), { flags: { store: 'sqlite:/data/s.db' } }).store, {
      type: 'sqlite',
    })
    t.same(whole(SEED_002, { flags: { store: 'kubernetes' } }).store, { type: 'kubernetes', place })
    t.match(whole(SEED_002, { flags: { store: 'kubernetes:/k' } }).store, {
      place: { from: { kubeconfig: '/k' } },
    })
  },
)

t.test('keys are matched in any case and merge keys are followed, as in Dex', async (t) => {
  const shouted = changed(SEED_002, 'issuer: https://dex', 'Issuer: https://dex')
  t.equal(whole(shouted).issuer, 'https://dex.example.test/')
  const merged = changed(
    SEED_002,
    'telemetry:\n',
    'x-web: &address { http: 127.0.0.1:7001 }\ntelemetry:\n  <<: *address\n',
  )
  t.equal(whole(changed(merged, '  http: 127.0.0.1:5558\n', '')).opsListener?.port, 7001)
})

t.test('variables are expanded in connectors, and nowhere else', async (t) => {
  const expanded = changed(SEED_002, 'https://gitlab.example.test\n', 'https://${FORGE}/$PART\n')
  const env = { FORGE: 'forge.example.test', PART: 'ci' }
  t.equal(whole(expanded, { env }).connectors[0]?.issuer, 'https://forge.example.test/ci')
  t.match(errorsOf(loadDex(expanded, { env: { ...env, DEX_EXPAND_ENV: 'false' } })), [
    { code: 'url_malformed' },
  ])
})

t.test('root certificates come as PEM, as base64 of it or as a file', async (t) => {
  const pem = dexFixture('ca.pem')
  const caPem = (entry: string): string | undefined =>
    whole(
      changed(
        SEED_002,
        '      getUserInfo: true',
        `      getUserInfo: true\n      rootCAs: [${JSON.stringify(entry)}]`,
      ),
      { files: { '/etc/dex/certs/ca.pem': pem } },
    ).connectors[1]?.tls.caPem
  t.equal(caPem(pem), pem)
  t.equal(caPem(Buffer.from(pem).toString('base64')), pem)
  t.equal(caPem('certs/ca.pem'), pem)
})
