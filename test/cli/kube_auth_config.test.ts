// `sallyport kube auth-config`: from the configuration of the broker to the file of an apiserver, or to one clear reason why not.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { parse, stringify } from 'yaml'
import { ensureDevCertificate } from '../../src/platform/dev_certificate.ts'
import { folder, NOW, runCli } from '../support/cli.ts'
import type { CliRun } from '../support/cli.ts'

type Config = Record<string, unknown>

const NATIVE: Config = {
  issuer: 'https://broker.example.test/dex',
  listen: { public: '127.0.0.1:8443' },
  store: { type: 'sqlite', file: 'sallyport.db' },
  connectors: [{ id: 'gitlab', type: 'gitlab-ci', issuer: 'https://gitlab.example.test' }],
  clients: [{ id: 'ci', auth: { method: 'none' }, connectors: ['gitlab'] }],
  audiences: [
    { id: 'kube:prod', profile: 'kubernetes', clients: ['ci'] },
    { id: 'registry', profile: 'rfc9068', clients: ['ci'] },
    { id: 'legacy', clients: ['ci'], maxTtl: '30m' },
  ],
  policies: [
    {
      name: 'deploy',
      connector: 'gitlab',
      claims: { project_id: '48291' },
      grant: { audiences: ['kube:prod'], groups: ['deployers'] },
    },
  ],
}

const DEX: Config = {
  issuer: 'https://dex.example.test/',
  storage: { type: 'memory' },
  web: { http: '127.0.0.1:5556' },
  staticClients: [
    { id: 'ci', name: 'CI', secret: 'tQ3nV8sLk2RyZ0pWxE5uHb7mJd1cFgAo' },
    {
      id: 'kubernetes',
      name: 'Kubernetes',
      secret: 'Zx9Lq4TnB6wKe2VjM8rYc0sGh5uDf3Pa',
      trustedPeers: ['ci'],
    },
  ],
  connectors: [
    {
      type: 'oidc',
      id: 'keycloak',
      name: 'Keycloak',
      config: {
        issuer: 'https://sso.example.test/realms/platform',
        clientID: 'x',
        clientSecret: 'x',
        redirectURI: 'https://dex.example.test/callback',
      },
    },
  ],
}

type Asked = CliRun & { readonly config: Config; readonly codes: readonly string[] }

async function ask(
  t: Test,
  flags: readonly string[],
  files: Readonly<Record<string, string>> = {},
): Promise<Asked> {
  const cwd = folder(t)
  writeFileSync(join(cwd, 'sallyport.yaml'), stringify(NATIVE))
  writeFileSync(join(cwd, 'dex.yaml'), stringify(DEX))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(cwd, name), text)
  return read(await runCli(['kube', 'auth-config', ...flags], { cwd }))
}

function read(run: CliRun): Asked {
  const codes = [...run.stderr.matchAll(/^(?:.*: )?(?:warning|error) ([a-z_]+)(?: \(.*\))?: /gm)].map(
    ([, code]) => code ?? '',
  )
  return { ...run, config: Object(parse(run.stdout)), codes }
}

const OLD_FILE = stringify({
  apiVersion: 'apiserver.config.k8s.io/v1beta1',
  kind: 'AuthenticationConfiguration',
  jwt: [
    {
      issuer: { url: 'https://sso.example.test', audiences: ['kube:prod'] },
      claimValidationRules: [{ expression: 'claims.exp - claims.iat <= 3600.0' }],
      claimMappings: { username: { claim: 'sub', prefix: 'sso:' }, uid: { claim: 'sub' } },
    },
  ],
  anonymous: { enabled: true, conditions: [{ path: '/livez' }, { path: '/readyz' }] },
})

t.test(
  'the only cluster of the configuration is meant, and nothing is said where nothing is doubtful',
  async (t) => {
    const run = await ask(t, [])
    t.match(run, { code: 0, stderr: '' })
    t.match(run.config, {
      apiVersion: 'apiserver.config.k8s.io/v1',
      jwt: [{ issuer: { url: 'https://broker.example.test/dex', audiences: ['kube:prod'] } }],
    })
    t.notOk('anonymous' in run.config, 'which could stop an apiserver')
    t.equal((await ask(t, [])).stdout, run.stdout, 'twice the same bytes')
  },
)

t.test('the audience may be named, a Dex one included, and one that names nobody is refused', async (t) => {
  const legacy = await ask(t, ['--audience', 'legacy'])
  t.match(legacy.config, { jwt: [{ claimMappings: { username: { claim: 'email', prefix: 'ci:' } } }] })
  t.match(
    legacy.stdout,
    'claims.exp - claims.iat <= 600.0',
    'the default of the configuration is shorter than maxTtl',
  )
  const registry = await ask(t, ['--audience', 'registry'])
  t.match(registry, { code: 2, stdout: '', stderr: /RFC 9068.*\n.*profile: kubernetes/ })
  t.match(await ask(t, ['--audience', 'nobody']), { code: 2, stderr: /kube:prod, registry, legacy/ })
  const audiences = [
    ...Object(NATIVE['audiences']),
    { id: 'kube:test', profile: 'kubernetes', clients: ['ci'] },
  ]
  const several = await ask(t, [], { 'sallyport.yaml': stringify({ ...NATIVE, audiences }) })
  t.match(several, { code: 2, stderr: /kube:prod, kube:test\n.*--audience/ })
  const none = await ask(t, [], { 'sallyport.yaml': stringify({ ...NATIVE, audiences: [], policies: [] }) })
  t.match(none, { code: 2, stderr: /no audience/ })
})

t.test('an unmodified Dex configuration gives the file for its client kubernetes', async (t) => {
  const run = await ask(t, ['--dex-config', 'dex.yaml', '--kubernetes-version', '1.32'])
  t.equal(run.code, 0, run.stderr)
  t.match(run.config, {
    apiVersion: 'apiserver.config.k8s.io/v1beta1',
    jwt: [
      {
        issuer: { url: 'https://dex.example.test/', audiences: ['kubernetes'] },
        claimMappings: { username: { claim: 'email', prefix: 'ci:' }, uid: { claim: 'sub' } },
      },
    ],
  })
  t.ok(run.codes.includes('lifetime_long'), "a day is Dex's default")
  const bare = [
    '--dex-config',
    'dex.yaml',
    '--username-prefix',
    '',
    '--groups-prefix',
    '',
    '--username-claim',
    'name',
  ]
  const deckhouse = await ask(t, bare)
  t.match(deckhouse.config, { jwt: [{ claimMappings: { username: { claim: 'name', prefix: '' } } }] })
  t.ok(deckhouse.codes.includes('prefix_empty'))
})

t.test('the development CA is inline where it signs what is served, and another CA is named', async (t) => {
  const cwd = folder(t)
  const made = await ensureDevCertificate(join(cwd, 'tls'), ['localhost'], () => NOW)
  const tls = { certFile: made.certFile, keyFile: made.keyFile }
  const config = { ...NATIVE, listen: { public: { address: '127.0.0.1:8443', tls } } }
  writeFileSync(join(cwd, 'sallyport.yaml'), stringify(config))
  const run = read(await runCli(['kube', 'auth-config'], { cwd }))
  t.match(run.config, {
    jwt: [{ issuer: { certificateAuthority: /^-----BEGIN CERTIFICATE-----\n[^-]+-----END/ } }],
  })
  t.match(run.stdout, /# .*, good until 20\d\d-\d\d-\d\d\./)
  const elsewhere = await ensureDevCertificate(join(cwd, 'other'), ['localhost'], () => NOW)
  writeFileSync(
    join(cwd, 'sallyport.yaml'),
    stringify({
      ...config,
      listen: {
        public: {
          address: '127.0.0.1:8443',
          tls: { certFile: elsewhere.certFile, keyFile: elsewhere.keyFile },
        },
      },
    }),
  )
  const other = read(await runCli(['kube', 'auth-config'], { cwd }))
  t.notSame(other.config, run.config)
  t.same(read(await runCli(['kube', 'auth-config', '--ca-file', made.caFile], { cwd })).config, run.config)
})

t.test('of a CA file only certificates are taken, and a file without one is refused', async (t) => {
  const { caFile, keyFile } = await ensureDevCertificate(folder(t), ['localhost'], () => NOW)
  const { readFileSync } = await import('node:fs')
  const [ca, key] = [readFileSync(caFile, 'utf8'), readFileSync(keyFile, 'utf8')]
  const run = await ask(t, ['--ca-file', 'ca.pem'], { 'ca.pem': `a comment\n${key}\n${ca}\n${ca}` })
  t.equal(run.code, 0, run.stderr)
  t.notMatch(run.stdout, 'PRIVATE KEY')
  t.equal(run.stdout.split('BEGIN CERTIFICATE').length, 3)
  t.match(await ask(t, ['--ca-file', 'ca.pem'], { 'ca.pem': key }), {
    code: 2,
    stdout: '',
    stderr: /ca\.pem is no CA/,
  })
  t.match(await ask(t, ['--ca-file', 'absent.pem']), { code: 2, stdout: '', stderr: /absent\.pem/ })
})

t.test('issuers of an existing file come along, wherever in it they stand', async (t) => {
  const files = { 'old.yaml': OLD_FILE }
  const run = await ask(t, ['--merge', 'old.yaml'], files)
  t.match(run, { code: 0 })
  t.match(run.config, {
    jwt: [
      { issuer: { url: 'https://broker.example.test/dex' } },
      { issuer: { url: 'https://sso.example.test' } },
    ],
    anonymous: { enabled: true, conditions: [{ path: '/livez' }, { path: '/readyz' }] },
  })
  t.match(run.stdout, '# As it stood in old.yaml.')
  const wrapped = stringify({ apiVersion: 'v1', kind: 'ConfigMap', data: { 'config.yaml': OLD_FILE } })
  t.same((await ask(t, ['--merge', 'map.yaml'], { 'map.yaml': wrapped })).config, run.config)
  const twice = await ask(t, ['--merge', 'old.yaml', '--merge', 'again.yaml'], {
    ...files,
    'again.yaml': run.stdout,
  })
  t.match(twice, { code: 78, stdout: '' })
  t.ok(twice.codes.includes('anonymous_merged_and_asked'))
  const again = await ask(t, ['--merge', 'again.yaml'], { 'again.yaml': run.stdout })
  t.same(again.config, run.config, 'made anew from itself it is the same')
  t.ok(again.codes.includes('issuer_replaced'))
})

const gitlabAt = (host: string) => ['--gitlab', `https://${host}.example.test`, '--gitlab-project', '48291']

t.test('a GitLab that another call has made needs a prefix of its own beside a second one', async (t) => {
  const files = { 'a.yaml': (await ask(t, gitlabAt('gitlab-a'))).stdout }
  const merge = [...gitlabAt('gitlab-b'), '--merge', 'a.yaml']
  const refused = await ask(t, merge, files)
  t.match(refused, { code: 78, stdout: '', stderr: /-> .*--gitlab-prefix or in a\.yaml/ })
  t.strictSame(refused.codes, ['prefix_of_merged'])
  const apart = await ask(t, [...merge, '--gitlab-prefix', 'gitlab-b:'], files)
  t.equal(apart.code, 0, apart.stderr)
  t.notOk(apart.codes.includes('prefixes_collide'))
  t.match(apart.config, {
    jwt: [
      {},
      { claimMappings: { username: { expression: /^'gitlab-b:' \+ / } } },
      { issuer: { url: 'https://gitlab-a.example.test' } },
    ],
  })
})

t.test('a prefix of a forge is a word of its own, and needs its forge', async (t) => {
  const forgejo = ['--forgejo', 'https://git.example.test', '--forgejo-repository', '456', '--forgejo-prefix']
  t.match(await ask(t, [...forgejo, 'git:']), { code: 0, stdout: /'git:' \+ claims\.repository_id/ })
  for (const prefix of ['', 'system:', 'a b'])
    t.match(await ask(t, [...forgejo, prefix]), {
      code: 2,
      stdout: '',
      stderr: /--forgejo-prefix ".*" cannot/,
    })
  t.match(await ask(t, ['--gitlab-prefix', 'x:']), { code: 2, stderr: /--gitlab-prefix needs --gitlab URL/ })
  t.match(await ask(t, ['--forgejo-prefix', 'x:']), { code: 2, stderr: /needs --forgejo URL/ })
})

t.test('a file that an apiserver refuses is not merged', async (t) => {
  const files = { 'old.yaml': OLD_FILE.replace('prefix: "sso:"', '').replace('prefix: sso:', '') }
  t.match(await ask(t, ['--merge', 'old.yaml'], files), {
    code: 2,
    stdout: '',
    stderr: /old\.yaml cannot be merged.*\n.*kube lint old\.yaml/,
  })
  t.match(await ask(t, ['--merge', 'old.yaml'], { 'old.yaml': '{' }), {
    code: 2,
    stdout: '',
    stderr: /cannot be merged/,
  })
  t.match(await ask(t, ['--merge', 'old.yaml'], { 'old.yaml': 'kind: Pod\n' }), {
    code: 2,
    stdout: '',
    stderr: /cannot be merged/,
  })
})

t.test(
  'anonymous stands only when it is asked for, and its comment says how it stops an apiserver',
  async (t) => {
    const run = await ask(t, ['--anonymous', 'health'])
    t.match(run, { code: 0, stdout: /# Two ways in which this stops an apiserver/ })
    t.ok(run.codes.includes('anonymous_needs_restart'))
    const none = await ask(t, ['--anonymous', 'none'])
    t.match(none.config, { anonymous: { enabled: false } })
    t.ok(none.codes.includes('anonymous_probes_refused'))
    t.match(await ask(t, ['--anonymous', 'kubeadm']), { code: 0, stdout: /cluster-info/ })
    t.match(await ask(t, ['--anonymous', 'everybody']), { code: 2, stdout: '' })
  },
)

t.test('what our own linter does not pass is not printed', async (t) => {
  const refused = async (
    flags: readonly string[],
    code: string,
    files: Readonly<Record<string, string>> = {},
  ) => {
    const run = await ask(t, flags, files)
    t.match(run, { code: 78, stdout: '' }, code)
    t.ok(run.codes.includes(code), run.stderr)
  }
  await refused(['--anonymous', 'health', '--kubernetes-version', '1.30'], 'field_unknown_to_release')
  await refused(['--discovery-url', 'https://broker.example.test/dex/'], 'discovery_url_equals_issuer')
  await refused(['--discovery-url', 'http://10.0.0.1/'], 'url_not_https')
  await refused(['--username-prefix', 'system:'], 'prefix_unusable')
  await refused([], 'issuer_unusable', {
    'sallyport.yaml': stringify({ ...NATIVE, issuer: 'http://127.0.0.1:8443' }),
  })
})

t.test('a forge beside the broker needs ids, and says what it is pinned by', async (t) => {
  const forgejo = ['--forgejo', 'https://git.example.test']
  t.match(await ask(t, forgejo), { code: 2, stderr: /--forgejo needs --forgejo-repository/ })
  t.match(await ask(t, ['--forgejo-repository', '456']), { code: 2, stderr: /needs --forgejo URL/ })
  t.match(await ask(t, [...forgejo, '--forgejo-repository', '456', '--forgejo-repository', 'acme/app']), {
    code: 2,
    stderr: /one kind of name/,
  })
  t.match(await ask(t, [...forgejo, '--forgejo-repository', "acme/a'b"]), {
    code: 2,
    stderr: /names no Forgejo repository/,
  })
  t.match(await ask(t, ['--forgejo', 'http://git.example.test', '--forgejo-repository', '456']), {
    code: 2,
    stderr: /no plain https address/,
  })
  const codeberg = ['--forgejo', 'https://codeberg.org', '--forgejo-repository']
  t.match(await ask(t, [...codeberg, 'acme/app']), { code: 2, stderr: /strangers register paths/ })
  t.match(await ask(t, [...codeberg, '456']), { code: 0 })
  t.match(await ask(t, ['--gitlab', 'https://gitlab.com', '--gitlab-namespace', '7203']), { code: 0 })
  const byPath = await ask(t, [...forgejo, '--forgejo-repository', 'acme/app'])
  t.equal(byPath.code, 0)
  t.ok(byPath.codes.includes('forge_by_path'))
  const gitlab = ['--gitlab', 'https://gitlab.example.test/']
  t.match(await ask(t, gitlab), { code: 2, stderr: /--gitlab needs/ })
  t.match(await ask(t, ['--gitlab-project', '1']), { code: 2, stderr: /needs --gitlab URL/ })
  t.match(await ask(t, [...gitlab, '--gitlab-project', 'acme/app']), {
    code: 2,
    stderr: /names no GitLab repository/,
  })
  const both = await ask(t, [
    ...gitlab,
    '--gitlab-project',
    '48291',
    ...forgejo,
    '--forgejo-repository',
    '456',
    '--forge-audience',
    'kube:forge',
  ])
  t.match(both.config, {
    jwt: [
      { issuer: { audiences: ['kube:prod'] } },
      { issuer: { url: 'https://gitlab.example.test', audiences: ['kube:forge'] } },
      { issuer: { url: 'https://git.example.test/api/actions', audiences: ['kube:forge'] } },
    ],
  })
})

t.test(
  'a version that is none and a configuration that does not load have exit codes of their own',
  async (t) => {
    t.match(await ask(t, ['--kubernetes-version', '1.29']), { code: 2, stderr: /1\.30 to 1\.37/ })
    t.match(await ask(t, ['--username-claim', 'email']), { code: 2, stderr: /username, sub/ })
    t.match(await ask(t, [], { 'sallyport.yaml': 'issuer: 5\n' }), { code: 78, stdout: '' })
  },
)
