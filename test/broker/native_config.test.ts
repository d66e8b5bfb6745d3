import t from 'tap'
import { parseDocument } from 'yaml'
import type { ConfigLoad } from '../../src/broker/config/config_env.ts'
import { loadNativeConfig } from '../../src/broker/config/native.ts'
import { STARTER_CONFIG } from '../../src/broker/config/starter.ts'
import { parsePhc } from '../../src/core/secret_hash.ts'
import { configEnv, VALID_CONFIG } from '../support/native_config.ts'

const load = (text: string, change?: Parameters<typeof configEnv>[0]): ConfigLoad =>
  loadNativeConfig('sallyport.yaml', text, configEnv(change))

t.test('the file of the first start loads and says nothing louder than a note', (t) => {
  const { config, findings } = load(STARTER_CONFIG)
  t.same(
    findings.filter((finding) => finding.severity !== 'note'),
    [],
  )
  t.equal(config?.issuer, 'https://localhost:8443')
  t.equal(config?.clients[0]?.id, 'demo')
  t.equal(config?.store.type, 'sqlite')
  t.end()
})

t.test('the examples in the file of the first start load when their comment signs are taken away', (t) => {
  const text = STARTER_CONFIG.replaceAll(/^#( {2})/gm, '$1').replaceAll(/: \[\]$/gm, ':')
  const { config, findings } = load(text)
  t.same(
    findings.filter((finding) => finding.severity !== 'note'),
    [],
  )
  t.same(
    [config?.connectors, config?.clients, config?.audiences, config?.policies].map((list) => list?.length),
    [1, 2, 1, 1],
  )
  t.end()
})

t.test('a PostgreSQL is named by a URL in a file, or by one without password and a file beside it', (t) => {
  const files = { '/etc/sallyport/store.url': 'postgres://sallyport:p%40ss@db.example.com/keys\n' }
  const store = (text: string): unknown => {
    const { config, findings } = load(
      VALID_CONFIG.replace('{ type: sqlite, file: data/sallyport.db }', text),
      {
        files,
      },
    )
    t.same(findings, [])
    return config?.store
  }
  const address = {
    host: 'db.example.com',
    port: 5432,
    database: 'keys',
    user: 'sallyport',
    tls: { caFile: undefined, serverName: undefined },
    maxConnections: 4,
    connectTimeoutSeconds: 3,
    statementTimeoutSeconds: 2,
  }
  t.same(store('{ type: postgres, urlFile: store.url }'), {
    type: 'postgres',
    schema: 'sallyport',
    address: { ...address, secret: { file: '/etc/sallyport/store.url', holds: 'url' } },
  })
  const whole = `{ type: postgres, url: 'postgres://sallyport@[::2]:6432/keys', passwordFile: secret, schema: broker_2,
    tls: { caFile: ca.pem, serverName: db.internal }, maxConnections: 2, connectTimeout: 1s, statementTimeout: 5s }`
  t.same(store(whole), {
    type: 'postgres',
    schema: 'broker_2',
    address: {
      ...address,
      host: '::2',
      port: 6432,
      secret: { file: '/etc/sallyport/secret', holds: 'password' },
      tls: { caFile: '/etc/sallyport/ca.pem', serverName: 'db.internal' },
      maxConnections: 2,
      connectTimeoutSeconds: 1,
      statementTimeoutSeconds: 5,
    },
  })
  t.end()
})

t.test('a cluster is that of the Pod, or the one of a kubeconfig', (t) => {
  const store = (text: string): unknown => {
    const { config, findings } = load(
      VALID_CONFIG.replace('{ type: sqlite, file: data/sallyport.db }', text),
      { files: { '/etc/sallyport/kubeconfig': 'kind: Config' } },
    )
    t.same(findings, [])
    return config?.store
  }
  const place = {
    from: 'cluster',
    namespace: undefined,
    definitions: 'ensure',
    requestTimeoutSeconds: 2,
    maxEntries: 50_000,
  }
  t.same(store('{ type: kubernetes }'), { type: 'kubernetes', place })
  const whole = `{ type: kubernetes, kubeconfig: kubeconfig, context: ci, namespace: auth, definitions: check,
    requestTimeout: 5s, maxEntries: 1000 }`
  t.same(store(whole), {
    type: 'kubernetes',
    place: {
      from: { kubeconfig: '/etc/sallyport/kubeconfig', context: 'ci' },
      namespace: 'auth',
      definitions: 'check',
      requestTimeoutSeconds: 5,
      maxEntries: 1000,
    },
  })
  t.end()
})

t.test('private keys that nobody sealed are warned of in a cluster', (t) => {
  const text = VALID_CONFIG.replace(
    '{ type: sqlite, file: data/sallyport.db }',
    '{ type: kubernetes }',
  ).replace(/\n.*sealingKeyFile.*/, '')
  t.match(load(text).findings, [
    { severity: 'warning', code: 'keys_unsealed', message: /may get storeentries/, wayOut: /sealing\.key/ },
  ])
  t.end()
})

function tlsOf(url: string): unknown {
  const text = VALID_CONFIG.replace(
    '{ type: sqlite, file: data/sallyport.db }',
    `{ type: postgres, url: '${url}' }`,
  )
  const { config } = load(text)
  return config?.store.type === 'postgres' ? config.store.address.tls : undefined
}

t.test('TLS is left out only on this machine, or where it is said', (t) => {
  const on = { caFile: undefined, serverName: undefined }
  for (const near of ['localhost', '127.0.0.1', '[::1]', '%2Frun%2Fpostgresql'])
    t.equal(tlsOf(`postgres://sallyport@${near}/keys`), 'off', near)
  t.equal(tlsOf('postgres:///keys?host=/run/postgresql&user=sallyport'), 'off')
  t.equal(tlsOf('postgres://sallyport@db/keys?sslmode=disable'), 'off')
  for (const far of ['db', '10.0.0.7', 'localhost.example.com', '127.0.0.1.example.com'])
    t.same(tlsOf(`postgres://sallyport@${far}/keys`), on, far)
  for (const mode of ['require', 'verify-ca', 'verify-full'])
    t.same(tlsOf(`postgres://sallyport@127.0.0.1/keys?sslmode=${mode}`), on, mode)
  t.end()
})

t.test('no finding repeats a URL, in which a password may stand', (t) => {
  for (const url of [
    'postgres://sallyport:hunter2@db/keys',
    'postgres://sallyport:hunter2@db/keys?options=-c',
    'postgres://sallyport:hunter2@/keys#',
    'postgres://sallyport:hunter2%@db/keys',
    'postgres://sallyport:hunter2@db,db2/keys',
    'postgres://:hunter2@db/keys',
    'postgres://sallyport:hunter2@db',
    'hunter2',
  ]) {
    const { findings } = load(
      VALID_CONFIG.replace('{ type: sqlite, file: data/sallyport.db }', `{ type: postgres, url: '${url}' }`),
    )
    t.match(findings, [{ severity: 'error', code: /^store_/ }], url)
    t.notMatch(JSON.stringify(findings), 'hunter2')
  }
  t.end()
})

t.test('a file that uses every section loads without a finding', (t) => {
  const { config, findings } = load(VALID_CONFIG)
  t.same(findings, [])
  t.equal(config?.mode, 'native')
  t.same(config?.publicListeners[0], {
    host: '0.0.0.0',
    port: 8443,
    tls: {
      certFile: '/etc/sallyport/tls/cert.pem',
      keyFile: '/etc/sallyport/tls/key.pem',
      minVersion: 'TLSv1.2',
      maxVersion: 'TLSv1.3',
    },
  })
  t.same(config?.limits, {
    addressRate: 10,
    addressBurst: 2000,
    clientRate: 100,
    clientBurst: 1000,
    maxConcurrentRequests: 5,
    maxWaitingSignatures: 1000,
  })
  t.equal(config?.audit.destination, '/etc/sallyport/audit.log')
  t.same(config?.kube, {
    apiservers: [
      {
        url: 'https://10.0.0.11:6443',
        audience: 'kubernetes',
        caFile: '/etc/sallyport/ca.pem',
        metricsTokenFile: '/etc/sallyport/metrics-token',
      },
      {
        url: 'https://10.0.0.12:6443',
        audience: 'kubernetes',
        caFile: undefined,
        metricsTokenFile: undefined,
      },
    ],
    reviewClients: [{ id: 'rotating', audience: 'kubernetes', usernamePrefix: 'job:', groupsPrefix: 'ci:' }],
  })
  t.end()
})

t.test('a connector has what its type knows where the file says nothing', (t) => {
  const [gitlab, fixed] = load(VALID_CONFIG).config?.connectors ?? []
  t.same(gitlab?.audiences, ['https://sallyport.example.com/broker', 'https://sallyport.example.com/broker/'])
  t.equal(gitlab?.singleUse, 'per_audience')
  t.equal(gitlab?.maxAgeSeconds, 6 * 3600)
  t.equal(gitlab?.clockSkewSeconds, 30)
  t.equal(gitlab?.needsPolicy, true)
  t.equal(gitlab?.mapping.groupsKey, 'groups_direct')
  t.equal(gitlab?.mapping.groupsEnabled, true)
  t.equal(fixed?.clockSkewSeconds, 10)
  t.equal(fixed?.maxAgeSeconds, 3600)
  t.same(fixed?.keys, { kind: 'file', path: '/etc/sallyport/static.jwks.json' })
  t.equal(fixed?.mapping.groupsEnabled, false)
  t.end()
})

t.test('an issuer that writes one fixed audience is expected to write that one', (t) => {
  const entry = '  - { id: azure, type: azure-devops, issuer: "https://vstoken.dev.azure.com/x" }'
  const text = VALID_CONFIG.replace('connectors:\n', `connectors:\n${entry}\n`)
  const azure = load(text).config?.connectors[0]
  t.same(azure?.audiences, ['api://AzureADTokenExchange'])
  t.end()
})

t.test('secrets are hashes once the file is read, and no finding holds one', (t) => {
  const { config } = load(VALID_CONFIG)
  const hashes = (config?.clients ?? []).flatMap((client) =>
    client.auth.method === 'client_secret' ? client.auth.hashes : [],
  )
  t.equal(hashes.length, 3)
  t.ok(hashes.every((hash) => parsePhc(hash)?.kind === 'sha256'))
  const guessable = load(VALID_CONFIG, { env: { CI_SECRET: 'hunter2-hunter2' } })
  t.same(
    guessable.findings.map((finding) => finding.code),
    ['client_secret_guessable'],
  )
  t.notMatch(JSON.stringify(guessable), /hunter2/)
  t.end()
})

t.test('a pin is read from each of its forms', (t) => {
  const pins = `      a: one
      b: [one, two]
      c: { exact: 1 }
      d: { anyOf: [true] }
      e: { prefix: acme/ }
      f: { glob: 'acme/*/prod' }
      g: { re2: 'v[0-9]+' }
`
  const text = VALID_CONFIG.replace('    claims: { sub: job-1 }\n', `    claims:\n      sub: job-1\n${pins}`)
  const policy = load(text).config?.policies[1]
  t.same(policy?.claims, {
    sub: { kind: 'exact', value: 'job-1' },
    a: { kind: 'exact', value: 'one' },
    b: { kind: 'any_of', values: ['one', 'two'] },
    c: { kind: 'exact', value: 1 },
    d: { kind: 'any_of', values: [true] },
    e: { kind: 'prefix', prefix: 'acme/' },
    f: { kind: 'glob', pattern: 'acme/*/prod' },
    g: { kind: 're2', pattern: 'v[0-9]+' },
  })
  t.end()
})

t.test('a kubernetes audience that says nothing of lifetimes has 15 minutes', (t) => {
  const { config } = load(VALID_CONFIG.replace('    maxTtl: 10m\n', ''))
  t.equal(config?.audiences[0]?.maxTtlSeconds, 900)
  t.end()
})

t.test('every problem of a file is said at once, in the order of the file', (t) => {
  const text = VALID_CONFIG.replace('algorithm: ES256', 'algorithm: ES257')
    .replace('caFile: ca.pem', 'caFile: missing.pem')
    .replace('type: oidc', 'tpye: oidc')
    .replace('secretEnv: CI_SECRET', 'secretEnv: UNSET')
    .replace('clients: [ci, keyed, public]', 'clients: [ci, keyd]')
    .replace('project_id: "48291"', 'project_id: 48291')
    .replace('ttl: 10m\n      singleUse', 'ttl: 20m\n      singleUse')
  const { config, findings } = load(text)
  t.equal(config, undefined)
  t.same(
    findings.map((finding) => [finding.severity, finding.code, finding.path]),
    [
      ['error', 'value_not_allowed', 'keys.algorithm'],
      ['error', 'file_unreadable', 'connectors[0].caFile'],
      ['error', 'key_missing', 'connectors[1].type'],
      ['error', 'key_unknown', 'connectors[1].tpye'],
      ['error', 'env_unset', 'clients[0].auth.secretEnv'],
      ['error', 'reference_unknown', 'audiences[1].clients[1]'],
      ['error', 'pin_type_wrong', 'policies[0].claims.project_id'],
      ['error', 'audience_ttl_too_long', 'policies[0].grant.ttl'],
    ],
  )
  t.ok(findings.every((finding) => finding.place !== undefined && finding.wayOut !== undefined))
  t.end()
})

t.test('a broken entry keeps its id, so that who names it is not blamed', (t) => {
  const { findings } = load(VALID_CONFIG.replace('    type: gitlab-ci', '    type: gitlab'))
  t.same(
    findings.map((finding) => finding.code),
    ['value_not_allowed'],
  )
  t.end()
})

t.test('the fixture is YAML for any other reader, too', (t) => {
  t.same(parseDocument(VALID_CONFIG).errors, [])
  t.end()
})
