import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse, parseAllDocuments } from 'yaml'
import { folder, runCli } from '../support/cli.ts'
import type { CliRun } from '../support/cli.ts'
import { fakeApiserver } from '../support/fake_apiserver.ts'

const POLICY = `apiVersion: sallyport.dev/v1alpha1
kind: ModulePolicy
metadata:
  name: team
spec:
  selector: {namespaces: [infra]}
`
const vap = (args: readonly string[], world = {}): Promise<CliRun> =>
  runCli(['webhook', 'generate', 'vap', ...args], world)
const webhook = (args: readonly string[], world = {}): Promise<CliRun> =>
  runCli(['webhook', 'generate', 'webhook', ...args], world)

function namesIn(text: string): readonly string[] {
  return parseAllDocuments(text).map((document) => {
    const { kind, metadata } = document.toJS()
    return `${kind} ${metadata.name}`
  })
}

t.test('policies come from a file, a folder or standard input, and make the same', async (t) => {
  const cwd = folder(t)
  mkdirSync(join(cwd, 'policies'))
  writeFileSync(join(cwd, 'policies', 'team.yaml'), `kind: ConfigMap\n---\n${POLICY}`)
  writeFileSync(join(cwd, 'policies', 'README.md'), 'not: [yaml')
  const fromFile = await vap(['-f', 'policies/team.yaml'], { cwd })
  t.same([fromFile.code, fromFile.stderr], [0, ''])
  t.ok(namesIn(fromFile.stdout).includes('ValidatingAdmissionPolicy sallyport-policy-team-modules-enforce'))
  t.ok(namesIn(fromFile.stdout).includes('ValidatingAdmissionPolicyBinding sallyport-guard-secret-enforce'))
  t.equal((await vap(['-f', 'policies'], { cwd })).stdout, fromFile.stdout)
  t.equal((await vap(['-f', '-'], { stdin: POLICY })).stdout, fromFile.stdout)
  const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [parse(POLICY)] })
  t.equal((await vap(['-f', '-'], { stdin: list })).stdout, fromFile.stdout, 'as kubectl get prints them')
})

t.test('the guard is left out on request, and names what it is told', async (t) => {
  const bare = await vap(['--no-policies', '--no-guard'])
  t.same(
    namesIn(bare.stdout).filter((name) => name.includes('-guard-')),
    [],
  )
  const told = await vap([
    '--no-policies',
    '--service',
    'a/b',
    '--secret',
    'c',
    '--name',
    'd',
    '--keeper',
    'e',
  ])
  for (const text of ['oldObject.metadata.name == "b"', '"c"', '"d"', '["system:serviceaccount:a:b", "e"]']) {
    t.match(told.stdout, text)
  }
})

t.test('what an expression cannot know is said, in the file and beside it', async (t) => {
  const excepted = `${POLICY}  exceptions:
    - {rules: [WH-M2], modules: [infra/vpc], until: '2030-01-01T00:00:00Z', approver: jo, reason: it is moved}
`
  const { code, stdout, stderr } = await vap(['-f', '-'], { stdin: excepted })
  t.equal(code, 0)
  t.match(stderr, 'note: WH-M2 of infra/vpc (policy team): an expression knows no time')
  t.match(stdout, '# Left to the webhook: WH-M2 of infra/vpc (policy team): ')
})

t.test('what cannot be read is told with its file and line, and nothing is printed', async (t) => {
  for (const [text, says] of [
    [POLICY.replace('infra]', 'infra'), 'stdin:6:'],
    [`${POLICY}  ordering: upwards\n`, 'stdin:7:3: spec.ordering is not free or backport or monotonic'],
    [POLICY.replace('  name: team', '  labels: {}'), 'stdin:1:1: this ModulePolicy has no metadata.name'],
    [
      `${POLICY}---\n${POLICY.replace('team', 'other')}`,
      'stdin:8:1: ModulePolicy other and team cover the same Modules',
    ],
    [`${POLICY}---\n${POLICY.replace('infra', 'more')}`, 'stdin:8:1: a second ModulePolicy is called team'],
    [
      'kind: ConfigMap\n',
      /^error: stdin: there is no ModulePolicy in it\n {4}-> -f takes ModulePolicies .*review\n$/,
    ],
  ] as const) {
    const { code, stdout, stderr } = await vap(['-f', '-'], { stdin: text })
    t.same([code, stdout], [1, ''], String(says))
    t.match(stderr, says)
  }
  t.match(await vap(['-f', 'gone.yaml'], { cwd: folder(t) }), { code: 1, stderr: /gone\.yaml/ })
})

t.test('where policies come from is said once', async (t) => {
  for (const [args, says] of [
    [[], 'nothing says which policies'],
    [['-f', 'x', '--cluster'], 'do not go together'],
    [['-f', 'x', '--context', 'y'], 'go with --cluster'],
    [['--no-policies', '--service', 'x'], '--service is no namespace/name'],
    [['--no-policies', '--name', 'A B'], '--name is no name of an object'],
    [['--no-policies', '--secret', 'A'], '--secret is no name'],
  ] as const) {
    t.match(await vap(args), { code: 2, stderr: says }, says)
  }
})

t.test('a cluster that does not answer is named', async (t) => {
  const cwd = folder(t)
  const kubeconfig = join(cwd, 'config')
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'c', cluster: { server: 'https://127.0.0.1:1' } }],
      users: [{ name: 'u', user: {} }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'x',
    }),
  )
  const { code, stdout, stderr } = await vap(['--cluster', '--kubeconfig', kubeconfig])
  t.same([code, stdout], [1, ''])
  t.match(stderr, '127.0.0.1:1')
})

t.test('the registration is printed for a Service and for an address', async (t) => {
  const plain = await webhook([])
  t.same([plain.code, plain.stderr], [0, ''])
  t.match(parse(plain.stdout), {
    kind: 'ValidatingWebhookConfiguration',
    metadata: { name: 'sallyport-webhook' },
    webhooks: [{ clientConfig: { service: { port: 443, path: '/review' } }, failurePolicy: 'Fail' }],
  })
  const service = await webhook(['--service', 'a/b:8443/x', '--timeout', '30', '--name', 'other'])
  t.match(parse(service.stdout), {
    metadata: { name: 'other' },
    webhooks: [
      {
        clientConfig: { service: { namespace: 'a', name: 'b', port: 8443, path: '/x' } },
        timeoutSeconds: 30,
      },
    ],
  })
  t.match(service.stdout, '["system:serviceaccount:a:b"]')
  const url = await webhook(['--url', 'https://10.0.0.9:8443/review', '--ledger-writer', 'me'])
  t.match(parse(url.stdout).webhooks[0].clientConfig, { url: 'https://10.0.0.9:8443/review' })
  t.match(url.stdout, '["me"]')
})

t.test('an address without who writes the ledger there is warned of', async (t) => {
  const address = ['--url', 'https://10.0.0.9:8443/review']
  const silent = await webhook(address)
  t.equal(silent.code, 0)
  t.match(
    silent.stderr,
    /^warning: a webhook behind --url .*\n.*\n {4}-> --ledger-writer USER here and for generate vap/,
  )
  t.equal((await webhook([...address, '--ledger-writer', 'me'])).stderr, '')
  t.equal((await webhook([])).stderr, '', 'a Service has its account')
})

t.test('the policies say what they are made from', async (t) => {
  t.match((await vap(['-f', '-'], { stdin: POLICY })).stdout, 'from the ModulePolicies of files;')
  t.match((await vap(['--no-policies'])).stdout, 'for a cluster without ModulePolicies;')
  const cwd = folder(t)
  const { kubeconfig } = await fakeApiserver(t, cwd, () => ({ body: { items: [parse(POLICY)] } }))
  const { code, stdout } = await vap(['--cluster', '--kubeconfig', kubeconfig])
  t.equal(code, 0)
  t.match(stdout, 'from the ModulePolicies of the cluster;')
})

t.test('a cluster that lists no policies says what to do', async (t) => {
  for (const [status, says] of [
    [401, /401.*\n {4}-> the cluster does not take these credentials/],
    [403, /403.*\n {4}-> whoever asks needs the verb list on modulepolicies of sallyport\.dev/],
    [404, /404.*\n {4}-> .*kubectl apply -k deploy\/crds\/sallyport; or --no-policies/],
  ] as const) {
    const cwd = folder(t)
    const body = { kind: 'Status', message: 'no\nthanks' }
    const { kubeconfig } = await fakeApiserver(t, cwd, () => ({ status, body }))
    const { code, stdout, stderr } = await vap(['--cluster', '--kubeconfig', kubeconfig])
    t.same([code, stdout], [1, ''])
    t.match(stderr, says)
    t.equal(stderr.split('\n').length, 3, 'what the server says begins no line')
  }
})

t.test('letting everything through while nobody answers is warned of', async (t) => {
  const { code, stdout, stderr } = await webhook(['--failure-policy', 'Ignore'])
  t.equal(code, 0)
  t.match(stderr, 'warning: with failurePolicy Ignore everything is admitted')
  t.equal(parse(stdout).webhooks[0].failurePolicy, 'Ignore')
})

t.test(
  'some namespaces are named by the label that the API server keeps, and the price is told',
  async (t) => {
    const { webhooks: unbounded } = parse((await webhook([])).stdout)
    for (const one of unbounded) t.notOk('namespaceSelector' in one || 'objectSelector' in one, one.name)
    const { code, stdout, stderr } = await webhook(['-n', 'infra', '-n', 'a1', '-n', 'infra'])
    t.equal(code, 0)
    t.match(stderr, /^warning: in every other namespace anything goes/)
    const [modules, ...others] = parse(stdout).webhooks
    t.same(modules.namespaceSelector, {
      matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'In', values: ['a1', 'infra'] }],
    })
    for (const one of others) t.notOk('namespaceSelector' in one, `${one.name} is asked about everywhere`)
  },
)

t.test('a registration that kube-apiserver would refuse is not printed', async (t) => {
  const cwd = folder(t)
  writeFileSync(join(cwd, 'ca.pem'), '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n')
  for (const [args, code, says] of [
    [['--url', 'http://x/review'], 2, '--url is no https address'],
    [['--url', 'https://me:pw@x/review'], 2, '--url is no https address'],
    [['--service', 'a/b:0'], 2, '--service has no port'],
    [['--timeout', '31'], 2, '--timeout is not 1 to 30'],
    [['--failure-policy', 'fail'], 2, '--failure-policy is Fail or Ignore'],
    [['-n', 'in"fra'], 2, '--namespace is no name of a namespace'],
    [['--cert-manager', 'x'], 2, '--cert-manager is no namespace/name'],
    [['--ca-file', 'ca.pem', '--cert-manager', 'a/b'], 2, 'both given'],
    [['--ca-file', 'ca.pem'], 1, 'ca.pem holds no certificate'],
    [['--ca-file', 'gone.pem'], 1, 'gone.pem'],
  ] as const) {
    const run = await webhook(args, { cwd })
    t.same([run.code, run.stdout], [code, ''], says)
    t.match(run.stderr, says)
  }
})
