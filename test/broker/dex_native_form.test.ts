// `config from-dex`: the sallyport.yaml that is printed loads, and means what the Dex configuration means.
import t from 'tap'
import type { DexConfigLoad } from '../../src/broker/config/dex/load.ts'
import { loadDexConfig } from '../../src/broker/config/dex/load.ts'
import { printNativeConfig } from '../../src/broker/config/dex/print_native.ts'
import { loadNativeConfig } from '../../src/broker/config/native.ts'
import { meaningOf } from '../support/config_meaning.ts'
import { changed, dexEnv, dexFixture, errorsOf, loadDex } from '../support/dex_config.ts'
import type { World } from '../support/dex_config.ts'
import { CORPUS_MISSING, CORPUS_VARIABLES, readDexCorpus } from '../support/dex_corpus.ts'
import { PUBLIC_JWK } from '../support/native_config.ts'

const files = {
  '/etc/dex/tls.crt': 'certificate',
  '/etc/dex/tls.key': 'key',
  '/etc/dex/tls/tls.crt': 'certificate',
  '/etc/dex/tls/tls.key': 'key',
  '/run/url': 'postgres://sallyport:pw@db.example.com/keys',
  '/run/password': 'pw',
  '/run/kubeconfig': 'kind: Config',
  '/run/ca.pem': '-----BEGIN CERTIFICATE-----\n',
  '/etc/dex/old.jwks.json': JSON.stringify({ keys: [PUBLIC_JWK] }),
}

type Case = { readonly says: string; readonly load: DexConfigLoad; readonly world?: World }

const EVERY_KEY = dexFixture('every_key.yaml')
const SEED_002 = dexFixture('seed_002.yaml')
const SQLITE = { flags: { store: 'sqlite:/data/broker.db' } }
const CASES: readonly Case[] = [
  { says: 'every key', load: loadDex(EVERY_KEY, SQLITE) },
  { says: 'seed 002', load: loadDex(SEED_002, SQLITE) },
  {
    says: 'seed 002 with its overlay',
    load: loadDex(SEED_002, { ...SQLITE, files, overlay: dexFixture('overlay_002.yaml') }),
  },
  {
    says: 'an overlay that names clusters',
    load: loadDex(SEED_002, {
      ...SQLITE,
      files,
      overlay: `${dexFixture('overlay_002.yaml')}kube:
  apiservers: [{ url: 'https://10.0.0.11:6443', audience: kubernetes }]
  tokenReview:
    clients: [{ id: dex-client-ci-token-exchange@d8-user-authn, audience: kubernetes, groupsPrefix: 'd8:' }]
`,
    }),
  },
  { says: "seed 000's values", load: loadDex(dexFixture('seed_000.yaml'), SQLITE) },
  {
    says: 'a PostgreSQL by flag',
    load: loadDex(SEED_002, { flags: { store: 'postgres:/run/url' }, files }),
  },
  ...[
    'postgres:///keys?host=/run/postgresql&user=sallyport',
    'postgres://sallyport@[::1]:6432/keys',
    'postgres://sallyport@db.example.com/keys',
    'postgres://sallyport@127.0.0.1/keys?sslmode=verify-full',
  ].map((url) => ({
    says: `a PostgreSQL in the overlay, ${url}`,
    load: loadDex(SEED_002, {
      files,
      overlay: `store: { type: postgres, url: '${url}', passwordFile: /run/password, schema: other }\n`,
    }),
  })),
  { says: 'a cluster by flag', load: loadDex(SEED_002, { flags: { store: 'kubernetes' } }) },
  {
    says: 'a cluster in the overlay',
    load: loadDex(SEED_002, {
      files,
      overlay:
        'store: { type: kubernetes, kubeconfig: /run/kubeconfig, context: ci, namespace: auth, definitions: check, maxEntries: 200 }\n',
    }),
  },
  ...[
    'type: pkcs11, library: /opt/hsm.so, token: sallyport, pinFile: /run/password, key: a, maxWaiting: 7',
    'type: http, url: https://kms.example.com/v1, tokenFile: /run/password, caFile: /run/ca.pem, timeout: 3s',
  ].map((signer) => ({
    says: `keys elsewhere, ${signer.slice(0, 12)}`,
    load: loadDex(SEED_002, { ...SQLITE, files, overlay: `keys: { signer: { ${signer} } }\n` }),
  })),
  { says: 'memory as storage', load: loadDex(SEED_002, { flags: { store: 'memory' } }) },
  {
    says: 'a client that is public and has a secret',
    load: loadDex(changed(EVERY_KEY, '    public: true\n', '    public: true\n    secret: x-y-z\n'), SQLITE),
  },
]

for (const { says, load } of CASES) {
  t.test(`${says}: the native form loads and means the same`, async (t) => {
    const text = printNativeConfig(load)
    if (text === undefined || load.config === undefined) throw new Error('it does not load')
    const native = loadNativeConfig('sallyport.yaml', text, dexEnv({ files }))
    t.same(
      native.findings.filter(({ severity }) => severity === 'error'),
      [],
      text,
    )
    t.same(native.config === undefined ? undefined : meaningOf(native.config), meaningOf(load.config))
  })
}

t.test(
  'every file of the corpus that loads has a native form that loads and means the same',
  {
    skip: readDexCorpus() === undefined ? CORPUS_MISSING : false,
  },
  async (t) => {
    const world = dexEnv({ env: CORPUS_VARIABLES, files })
    for (const { name, text } of readDexCorpus() ?? []) {
      const load = loadDexConfig(name, text, world, {
        flags: { store: 'sqlite:/data/broker.db', development: false },
      })
      const printed = printNativeConfig(load)
      t.equal(printed === undefined, load.config === undefined, name)
      if (printed === undefined || load.config === undefined) continue
      const native = loadNativeConfig('sallyport.yaml', printed, world)
      t.same(
        native.findings.filter(({ severity }) => severity === 'error'),
        [],
        name,
      )
      t.same(native.config === undefined ? undefined : meaningOf(native.config), meaningOf(load.config), name)
    }
  },
)

t.test('no secret is printed: a variable where the file names one, a hash otherwise', async (t) => {
  const text = printNativeConfig(loadDex(EVERY_KEY)) ?? ''
  t.match(text, 'secretEnv: CI_CLIENT_SECRET')
  t.match(text, /secretHashes:\n +- \$sallyport-sha256\$/)
  for (const secret of [
    'kubernetes-client-secret-8e21f04a',
    'ci-client-secret-5d0b92',
    'ldap-password',
    'upstream-login',
  ]) {
    t.notMatch(text, secret)
  }
})

t.test('what does not go along is named', async (t) => {
  const text = printNativeConfig(loadDex(EVERY_KEY)) ?? ''
  for (const id of ['people', 'directory', 'local']) t.match(text, `connector ${id}: `)
  t.notMatch(text, /^ {2}- id: directory/m)
})

t.test('what sallyport.yaml would refuse is left out and named', async (t) => {
  let dex = changed(EVERY_KEY, 'groups: [deployers]', 'groups: [deployers, "system:masters"]')
  dex = changed(dex, '[https://app.example.test]', '[https://app.example.test, "https://app.example.test/"]')
  dex = changed(dex, 'idTokens: 1h30m', 'idTokens: 720h')
  const text = printNativeConfig(loadDex(dex, SQLITE)) ?? ''
  t.match(text, /# +client ci: the group system:masters begins with a reserved prefix/)
  t.match(text, /# +web\.allowedOrigins: "https:\/\/app\.example\.test\/" is no origin/)
  t.match(text, /# +tokens\.ttl: 720h became 24h/)
  const native = loadNativeConfig('sallyport.yaml', text, dexEnv({ files }))
  t.same(
    native.findings.filter(({ severity }) => severity === 'error'),
    [],
  )
})

t.test('a connector for the jobs of a public forge waits for a policy of its own', async (t) => {
  const dex = SEED_002.replace('issuer: https://gitlab.example.test\n', 'issuer: https://gitlab.com\n')
  const text = printNativeConfig(loadDex(dex, SQLITE)) ?? ''
  t.match(text, /# +connector gitlab: strangers get tokens from its issuer/)
  t.notMatch(text, 'dex-gitlab')
  t.match(text, "# dex-keycloak: Dex's rule", 'the other stays as in Dex')
  const native = loadNativeConfig('sallyport.yaml', text, dexEnv({ files }))
  t.ok(native.config !== undefined)
})

t.test('ids that sallyport.yaml would refuse are left out and named', async (t) => {
  let dex = changed(SEED_002, 'id: keycloak', 'id: key:cloak')
  dex = changed(dex, '  - id: kubernetes\n', '  - id: gitlab:42\n')
  const env = { DEX_CLIENT_CREDENTIAL_GRANT_ENABLED_BY_DEFAULT: 'true' }
  const text = printNativeConfig(loadDex(dex, { ...SQLITE, env })) ?? ''
  t.match(text, /# +connector key:cloak: its id may not have a colon/)
  t.match(text, /# +client gitlab:42: no client_credentials, its own tokens would have the subject of a job/)
  const native = loadNativeConfig('sallyport.yaml', text, dexEnv({ files }))
  t.same(
    native.findings.filter(({ severity }) => severity === 'error'),
    [],
  )
  t.same(native.config?.clients[0]?.grants, ['urn:ietf:params:oauth:grant-type:token-exchange'])
})

t.test('certificates are written out as a comment for the file that is named', async (t) => {
  const pem = dexFixture('ca.pem')
  const load = loadDex(
    changed(
      SEED_002,
      '      getUserInfo: true',
      `      getUserInfo: true\n      rootCAs: [${JSON.stringify(pem)}]`,
    ),
    SQLITE,
  )
  const text = printNativeConfig(load) ?? ''
  t.match(text, 'caFile: ca-keycloak.pem')
  t.match(text, '# -----BEGIN CERTIFICATE-----')
  const native = loadNativeConfig(
    'sallyport.yaml',
    text,
    dexEnv({ files: { '/etc/dex/ca-keycloak.pem': pem } }),
  )
  t.equal(native.config?.connectors[1]?.tls.caPem, pem)
})

t.test('a configuration that does not load has no native form', async (t) => {
  const load = loadDex(changed(SEED_002, 'id: keycloak', 'id: gitlab'))
  t.ok(errorsOf(load).length > 0)
  t.equal(printNativeConfig(load), undefined)
})
