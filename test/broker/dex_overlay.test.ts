// The overlay of a Dex configuration: what it adds, and that it adds to nothing that is not there.
import t from 'tap'
import type { BrokerConfig } from '../../src/broker/config/broker_config.ts'
import { changed, dexFixture, errorsOf, loadDex } from '../support/dex_config.ts'
import type { World } from '../support/dex_config.ts'
import { PUBLIC_JWK } from '../support/native_config.ts'

const BASE = dexFixture('seed_002.yaml')
const OVERLAY = dexFixture('overlay_002.yaml')
const CI = 'dex-client-ci-token-exchange@d8-user-authn'
const files = { '/etc/dex/old.jwks.json': JSON.stringify({ keys: [PUBLIC_JWK] }) }

function whole(overlay: string, world: World = {}): BrokerConfig {
  const load = loadDex(BASE, { files, overlay, ...world })
  t.same(errorsOf(load), [])
  if (load.config === undefined) throw new Error('the overlay does not load')
  return load.config
}

function warned(overlay: string): readonly string[] {
  return loadDex(BASE, { files, overlay })
    .findings.filter(({ code }) => code === 'connector_without_policy')
    .map(({ path }) => path)
}

function refused(overlay: string): readonly string[] {
  return errorsOf(loadDex(BASE, { files, overlay })).map(
    ({ code, place }) => `${place?.file}:${place?.line} ${code}`,
  )
}

function clientEntry(id: string): string {
  return `staticClients:\n  - { id: '${id}', name: x, secretEnv: CI_CLIENT_SECRET }\n`
}

function withCluster(audience: string): string {
  return `${OVERLAY}kube: { apiservers: [{ url: 'https://10.0.0.11:6443', audience: '${audience}' }] }\n`
}

function idFindings(text: string, world: World = {}): readonly string[] {
  return loadDex(text, world)
    .findings.filter(({ code }) => /_id_(reserved|ambiguous)$/.test(code))
    .map(({ severity, code }) => `${severity} ${code}`)
}

t.test('a connector learns what is known of its kind of issuer', async (t) => {
  const before = whole('{}').connectors[0]
  const after = whole(OVERLAY).connectors[0]
  t.match(before, { preset: 'oidc', maxAgeSeconds: undefined, mapping: { userNameRequired: true } })
  t.equal(after?.preset, 'gitlab-ci')
  t.equal(after?.type, 'gitlab-ci')
  t.same(after?.audiences, ['https://dex.example.test', 'https://old.example.test'])
  t.ok((after?.maxLifetimeSeconds ?? 0) < (before?.maxLifetimeSeconds ?? 0), 'limits of the kind, not of Dex')
  t.equal(after?.mapping.userNameRequired, true, 'a claim that the Dex file names stays required')
  t.equal(after?.mapping.emailRequired, false)
})

t.test('a name that only Dex asks for by default is no longer asked for', async (t) => {
  const text = changed(BASE, '      userNameKey: user_login\n', '')
  const load = loadDex(text, { files, overlay: OVERLAY })
  t.equal(load.config?.connectors[0]?.mapping.userNameRequired, false)
})

t.test('a connector that a policy names needs one that holds; the others stay as in Dex', async (t) => {
  t.same(
    whole(OVERLAY).connectors.map(({ id, needsPolicy }) => ({ id, needsPolicy })),
    [
      { id: 'gitlab', needsPolicy: true },
      { id: 'keycloak', needsPolicy: false },
    ],
  )
  t.same(
    whole('{}').connectors.map(({ needsPolicy }) => needsPolicy),
    [false, false],
  )
})

t.test('the warning about connectors without policy names those that have none', async (t) => {
  t.same(warned('{}'), ['connectors[0]', 'connectors[1]'])
  t.same(warned(OVERLAY), ['connectors[1]'])
})

t.test('a connector without policy on a public forge says that strangers come in', async (t) => {
  const text = BASE.replace('issuer: https://gitlab.example.test\n', 'issuer: https://gitlab.com\n')
  const open = loadDex(text, { files, overlay: '{}' }).findings.filter(({ path }) => path === 'connectors[0]')
  t.match(open, [
    {
      severity: 'warning',
      code: 'connector_open_to_strangers',
      message: /any repository or job on https:\/\/gitlab\.com that asks for this audience .* is accepted/,
      wayOut: /connectors\.gitlab\.type: gitlab-ci/,
    },
  ])
  t.equal(open.length, 1)
  const governed = loadDex(text, { files, overlay: OVERLAY })
  t.notOk(governed.findings.some(({ code }) => code === 'connector_open_to_strangers'))
})

t.test(
  'a policy on a public forge that is written as type oidc must pin what that forge never gives away',
  async (t) => {
    const text = BASE.replace('issuer: https://gitlab.example.test\n', 'issuer: https://gitlab.com\n')
    const untyped = changed(OVERLAY, '    type: gitlab-ci\n', '')
    t.same(errorsOf(loadDex(text, { files, overlay: untyped })), [], 'project_id is such a pin')
    const named = untyped.replace('project_id: "42"\n      namespace_id: "7"', 'sub: project_path:acme/infra')
    t.match(errorsOf(loadDex(text, { files, overlay: named })), [
      { code: 'shared_issuer_without_immutable_pin', wayOut: /type: gitlab-ci .*connectors\.gitlab\.type/ },
    ])
  },
)

t.test("in Dex's own encoding of subjects no id is in the way; a reserved one is warned of", async (t) => {
  const env = { DEX_CLIENT_CREDENTIAL_GRANT_ENABLED_BY_DEFAULT: 'true' }
  const job = changed(BASE, 'staticClients:\n', clientEntry('gitlab:42'))
  t.same(idFindings(job, { env }), [])
  t.same(idFindings(job, { env, overlay: "clients: { 'gitlab:42': { subject: plain } }" }), [
    'error client_id_ambiguous',
  ])
  const profile = 'audiences: { kubernetes: { profile: rfc9068, clients: [gitlab:42] } }'
  t.same(
    idFindings(job, { env, overlay: profile }),
    ['error client_id_ambiguous'],
    'asked for by another name',
  )
  t.same(idFindings(job, { overlay: profile }), [], 'a client without tokens of its own')
  t.same(
    idFindings(job, { env, overlay: 'audiences: { kubernetes: { profile: rfc9068 } }' }),
    [],
    'not for it',
  )
  t.same(idFindings(changed(BASE, 'staticClients:\n', clientEntry('other:42')), { env, overlay: '{}' }), [])

  for (const id of ['system:admin', 'client:x'])
    t.same(idFindings(changed(BASE, 'staticClients:\n', clientEntry(id)), { env }), [
      'warning client_id_reserved',
    ])
  for (const id of ['system', 'client', 'system:x'])
    t.same(idFindings(changed(BASE, 'id: keycloak', `id: ${id}`)), ['warning connector_id_reserved'])
  t.same(idFindings(changed(BASE, 'id: keycloak', 'id: systems')), [])
  t.same(idFindings(changed(BASE, 'id: keycloak', 'id: key:cloak')), [], 'a colon alone is in nobody’s way')
})

t.test('a client gets default audiences and may ask for them from then on', async (t) => {
  const config = whole(OVERLAY)
  t.match(
    config.clients.find(({ id }) => id === CI),
    { defaultAudiences: ['kubernetes'], subject: 'plain', ttlSeconds: 300 },
  )
  const untrusted = changed(BASE, `    trustedPeers:\n      - ${CI}\n`, '')
  const trusted = loadDex(untrusted, { files, overlay: OVERLAY }).config
  t.same(trusted?.audiences.find(({ id }) => id === 'kubernetes')?.trustedPeers, [CI])
})

t.test('an audience gets a profile with its limits', async (t) => {
  t.match(
    whole(OVERLAY).audiences.find(({ id }) => id === 'kubernetes'),
    { profile: 'kubernetes', resources: ['https://kubernetes.example.test'], maxTtlSeconds: 900 },
  )
})

t.test('policies, store, keys, limits, log and audit are those of sallyport.yaml', async (t) => {
  const config = whole(OVERLAY)
  t.same(
    config.policies.map(({ name }) => name),
    ['acme-infra'],
  )
  t.same(config.store, { type: 'sqlite', file: '/etc/dex/data/broker.db' })
  t.same(config.keys, {
    algorithm: 'ES256',
    rotationSeconds: 6 * 3600,
    sealingKeyFile: undefined,
    extraPublicKeysFile: '/etc/dex/old.jwks.json',
  })
  t.equal(config.limits.addressRate, 5)
  t.same(config.log, { level: 'info', format: 'json' }, 'the level stays that of the Dex file')
  t.same(config.audit, { destination: 'stderr' })
})

t.test('clusters are named as in sallyport.yaml, with audiences of this overlay', async (t) => {
  t.match(whole(withCluster('kubernetes')).kube, {
    apiservers: [{ url: 'https://10.0.0.11:6443', audience: 'kubernetes' }],
    reviewClients: [],
  })
  t.match(refused(withCluster(CI)), [/kube_audience_unfit/], 'a static client is an audience of profile dex')
  t.match(refused(withCluster('nobody')), [/reference_unknown/])
})

t.test("what the overlay does not write stays the Dex file's", async (t) => {
  const { store, keys, log, tokens } = whole('{}')
  t.same(store, { type: 'sqlite', file: '/var/dex/dex.db.sallyport' })
  t.equal(keys.algorithm, 'RS256')
  t.equal(log.format, 'text')
  t.equal(tokens.ttlSeconds, 600)
})

t.test("a client of the Dex file gets a credential that Dex doesn't know", async (t) => {
  const overlay = changed(
    OVERLAY,
    '    subject: plain\n',
    '    subject: plain\n    auth: { method: federated_jwt, connector: gitlab, policy: acme-infra }\n',
  )
  t.same(whole(overlay).clients.find(({ id }) => id === CI)?.auth, {
    method: 'federated_jwt',
    connector: 'gitlab',
    policy: 'acme-infra',
  })
})

t.test('an overlay may give a fragment the issuer that it lacks', async (t) => {
  const fragment = changed(BASE, 'issuer: https://dex.example.test/\n', '')
  const load = loadDex(fragment, { files, overlay: 'issuer: https://chart.example.test\n' })
  t.equal(load.config?.issuer, 'https://chart.example.test')
  t.match(errorsOf(loadDex(fragment, { files, overlay: '{}' })), [{ code: 'issuer_missing' }])
})

const REFUSED: readonly (readonly [says: string, from: string, to: string, finding: string])[] = [
  ['an unknown connector', '  gitlab:\n    type', '  gitlap:\n    type', 'overlay.yaml:3 reference_unknown'],
  ['an unknown client', `  ${CI}:`, '  nobody:', 'overlay.yaml:7 reference_unknown'],
  [
    'an unknown audience',
    '  kubernetes:\n    profile',
    '  kubernets:\n    profile',
    'overlay.yaml:12 reference_unknown',
  ],
  [
    'an unknown default audience',
    'defaultAudiences: [kubernetes]',
    'defaultAudiences: [other]',
    'overlay.yaml:8 reference_unknown',
  ],
  [
    'a policy of an unknown connector',
    'connector: gitlab',
    'connector: forgejo',
    'overlay.yaml:17 reference_unknown',
  ],
  [
    'a policy for an unknown client',
    `clients: [${CI}]`,
    'clients: [other]',
    'overlay.yaml:18 reference_unknown',
  ],
  [
    'a policy for an unknown audience',
    'audiences: [kubernetes]',
    'audiences: [other]',
    'overlay.yaml:23 reference_unknown',
  ],
  ['an unknown key', '    subject: plain', '    subjects: plain', 'overlay.yaml:9 key_unknown'],
  ['an unknown kind of issuer', 'type: gitlab-ci', 'type: gitlab', 'overlay.yaml:4 value_not_allowed'],
  [
    'a Kubernetes audience for an hour',
    'profile: kubernetes',
    'profile: kubernetes\n    maxTtl: 1h',
    'overlay.yaml:14 audience_ttl_too_long',
  ],
  [
    'a policy that does not compile',
    '    grant:\n',
    '    condition: "claims.x =="\n    grant:\n',
    'overlay.yaml:22 condition_invalid',
  ],
  ['a reserved group', 'ci:deployers', 'system:masters', 'overlay.yaml:24 output_reserved'],
  ['a key set that is not there', 'old.jwks.json', 'gone.json', 'overlay.yaml:27 file_unreadable'],
  ['broken YAML', 'store: {', 'store: {{', 'overlay.yaml:27 yaml_syntax'],
]

t.test('a second document in the overlay is refused', async (t) => {
  t.same(refused('log: { level: debug }\n---\nlog: { level: info }\n'), [
    'overlay.yaml:3 yaml_multiple_documents',
  ])
})

t.test('an overlay that lost its text is refused instead of taking every policy away', async (t) => {
  for (const text of ['', '\n', '# nothing yet\n', '---\n', '---\n# x\n...\n']) {
    t.same(refused(text), ['overlay.yaml:1 config_empty'], JSON.stringify(text))
    t.equal(loadDex(BASE, { files, overlay: text }).config, undefined)
  }
  t.same(refused('null\n'), ['overlay.yaml:1 type_wrong'])
  t.same(refused('policies:\n'), ['overlay.yaml:1 type_wrong'])
  t.same(refused('{}\n'), [], 'who writes an empty mapping means it')
})

for (const [says, from, to, finding] of REFUSED) {
  t.test(`${says} in the overlay is refused where it stands`, async (t) => {
    t.match(refused(changed(OVERLAY, from, to)).slice(0, 1), [finding])
    t.same(refused(OVERLAY), [], 'the twin loads')
  })
}
