// `sallyport kube kubeconfig`: what is in the file, what is never in it, and what it is refused for.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { ensureDevCertificate } from '../../src/platform/dev_certificate.ts'
import { folder, runCli } from '../support/cli.ts'
import type { CliRun } from '../support/cli.ts'

const SERVER = 'https://k8s.example.com:6443'
const BROKER = 'https://broker.example.com'
const good = ['--server', SERVER, '--broker', BROKER, '--audience', 'kubernetes', '--client-id', 'ci']

function kubeconfig(argv: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<CliRun> {
  return runCli(['kube', 'kubeconfig', ...argv], { cwd: '/', env })
}

t.test('the file names plugin, broker and audience, and holds no credential', async (t) => {
  const run = await kubeconfig([...good, '--client-auth', 'federated', '--namespace', 'web'])
  t.match(run, { code: 0, stderr: '' })
  t.match(run.stdout, /^# Made by sallyport kube kubeconfig\. No credential/)
  const name = 'k8s.example.com:6443'
  const extension = { audience: 'kubernetes', broker: BROKER, clientId: 'ci', clientAuth: 'federated' }
  const file = parse(run.stdout)
  const { exec, ...rest } = file.users[0].user
  t.strictSame(file, {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name,
        cluster: {
          server: SERVER,
          extensions: [{ name: 'client.authentication.k8s.io/exec', extension }],
        },
      },
    ],
    users: [{ name, user: { exec } }],
    contexts: [{ name, context: { cluster: name, user: name, namespace: 'web' } }],
    'current-context': name,
  })
  t.strictSame(rest, {})
  t.match(exec.installHint, 'not on the PATH')
  t.strictSame(
    { ...exec, installHint: undefined },
    {
      apiVersion: 'client.authentication.k8s.io/v1',
      command: 'sallyport',
      args: ['credential'],
      installHint: undefined,
      interactiveMode: 'Never',
      provideClusterInfo: true,
    },
  )
})

t.test('without a client it says what each job has to set', async (t) => {
  const run = await kubeconfig(good.slice(0, -2))
  t.match(run, {
    code: 0,
    stderr: /^warning: no client is named: .*SALLYPORT_CLIENT_ID\n {4}-> add --client-id ID/,
  })
  t.match(await kubeconfig(good.slice(0, -2), { SALLYPORT_CLIENT_ID: 'ci' }), { code: 0, stderr: '' })
})

t.test('the words of both plugins for a client with a secret are taken', async (t) => {
  for (const method of ['basic', 'secret']) {
    const { clusters } = parse((await kubeconfig([...good, '--client-auth', method])).stdout)
    t.equal(clusters[0].cluster.extensions[0].extension.clientAuth, 'basic')
    const { users } = parse((await kubeconfig([...good, '--script', '--client-auth', method])).stdout)
    t.ok(users[0].user.exec.args.includes('secret'))
  }
})

t.test('for the script the settings are its arguments', async (t) => {
  const run = await kubeconfig([
    ...good,
    '--script',
    '--client-auth',
    'basic',
    '--broker-ca-file',
    '/etc/ca.pem',
  ])
  const { clusters, users } = parse(run.stdout)
  t.notOk(clusters[0].cluster.extensions)
  t.match(users[0].user.exec, { command: 'sallyport-credential.sh', provideClusterInfo: false })
  t.strictSame(users[0].user.exec.args, [
    '--broker',
    BROKER,
    '--audience',
    'kubernetes',
    '--client-id',
    'ci',
    '--client-auth',
    'secret',
    '--ca-file',
    '/etc/ca.pem',
  ])
})

t.test("the cluster's CA is put in, and a key that lies in its file is not", async (t) => {
  const dir = folder(t)
  const { certFile, keyFile } = await ensureDevCertificate(join(dir, 'tls'), ['localhost'], Date.now)
  const [certificate, key] = [readFileSync(certFile, 'utf8'), readFileSync(keyFile, 'utf8')]
  const both = join(dir, 'both.pem')
  writeFileSync(both, `some words\n${key}${certificate}`)
  const run = await kubeconfig([...good, '--ca-file', both])
  const data = parse(run.stdout).clusters[0].cluster['certificate-authority-data']
  t.equal(Buffer.from(data, 'base64').toString().trim(), certificate.trim())
  writeFileSync(both, key)
  t.match(await kubeconfig([...good, '--ca-file', both]), {
    code: 2,
    stdout: '',
    stderr: /no certificate stands in it/,
  })
  t.match(await kubeconfig([...good, '--ca-file', '/nonexistent']), {
    code: 1,
    stdout: '',
    stderr: /cannot be read/,
  })
})

t.test('a program that kubectl would look for beside the file is warned of', async (t) => {
  for (const [command, isWarned] of [
    ['./sallyport', true],
    ['bin/sallyport', true],
    ['/usr/local/bin/sallyport', false],
    ['sallyport', false],
  ] as const) {
    const run = await kubeconfig([...good, '--command', command])
    t.equal(run.code, 0)
    t.equal(run.stderr.includes('is relative'), isWarned, command)
    t.equal(parse(run.stdout).users[0].user.exec.command, command)
  }
})

t.test('what is missing or unsafe is told all at once', async (t) => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [[], /--server is missing\nerror: --broker .* is missing\nerror: --audience .* is missing/],
    [[...good, '--server', 'http://k8s.example.com'], /--server must begin with https/],
    [[...good, '--server', 'https://u:p@k8s.example.com'], /must not hold a user or password/],
    [[...good, '--server', 'k8s'], /--server is not a URL/],
    [[...good, '--broker', 'http://broker.example.com'], /--broker is plain HTTP/],
    [[...good, '--audience', 'a b'], /names several/],
    [[...good, '--client-auth', 'magic'], /must be basic \(or secret\), none or federated/],
  ]
  for (const [argv, said] of cases) t.match(await kubeconfig(argv), { code: 2, stdout: '', stderr: said })
  const env = { SALLYPORT_BROKER: BROKER, SALLYPORT_AUDIENCE: 'kubernetes', SALLYPORT_CLIENT_ID: 'ci' }
  t.match(await kubeconfig(['--server', SERVER], env), { code: 0, stderr: '' }, 'a job says it in variables')
})

t.test('the page about it shows the file as it is made', async (t) => {
  const page = readFileSync('docs/kubectl-credential.md', 'utf8')
  const blocks = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text = '']) => parse(text))
  const [shown, ...others] = blocks
  const made = parse((await kubeconfig([...good, '--client-auth', 'federated'])).stdout)
  t.strictSame(shown.clusters, made.clusters)
  delete made.users[0].user.exec.installHint
  t.strictSame(shown.users, made.users)
  t.equal(others.length, 6, 'and every other piece of YAML in it parses')
})
