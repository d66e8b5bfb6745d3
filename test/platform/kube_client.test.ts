// The client of a kube-apiserver: what it asks, as whom, and what it says when no answer comes.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { parse, stringify } from 'yaml'
import type { Test } from 'tap'
import { openKubeClient } from '../../src/platform/kube/kube_client.ts'
import type { KubeClient } from '../../src/platform/kube/kube_client.ts'
import { fakeApiserver, kubeconfigText } from '../support/fake_apiserver.ts'
import type { ApiAnswer, ApiCall, FakeApiserver } from '../support/fake_apiserver.ts'

function folder(t: Test): string {
  const made = mkdtempSync(join(tmpdir(), 'sallyport-kube-client-'))
  t.teardown(() => rmSync(made, { recursive: true, force: true }))
  return made
}

async function open(kubeconfig: string, context?: string): Promise<KubeClient> {
  const client = await openKubeClient({ kubeconfig, context, env: process.env })
  if (!client.ok) throw new Error(client.denial.message)
  return client.value
}

async function house(
  t: Test,
  answer: (call: ApiCall) => ApiAnswer,
): Promise<{ readonly api: FakeApiserver; readonly client: KubeClient }> {
  const api = await fakeApiserver(t, folder(t), answer)
  return { api, client: await open(api.kubeconfig) }
}

const USER = { username: 'ci:vpc', uid: '7', groups: ['ci:x'], extra: { 'example.test/a': ['b'] } }

t.test('without any kubeconfig it says so, and with one that is named it does not', async (t) => {
  const { HOME, KUBECONFIG } = process.env
  t.teardown(() => {
    Object.assign(process.env, { HOME, ...(KUBECONFIG !== undefined && { KUBECONFIG }) })
  })
  process.env['HOME'] = folder(t)
  delete process.env['KUBECONFIG']
  t.match(await openKubeClient({ kubeconfig: undefined, context: undefined, env: process.env }), {
    ok: false,
    denial: { message: /^no kubeconfig found: name one with --kubeconfig, or set KUBECONFIG/ },
  })
  t.match(await openKubeClient({ kubeconfig: undefined, context: 'x', env: process.env }), {
    ok: false,
    denial: { message: /^no kubeconfig found/ },
  })
  const api = await fakeApiserver(t, folder(t), () => ({ status: 200, body: {} }))
  t.ok((await openKubeClient({ kubeconfig: api.kubeconfig, context: undefined, env: process.env })).ok)
})

t.test('a token is reviewed as the administrator, and its reason comes back', async (t) => {
  const { api, client } = await house(t, ({ body }) => {
    const { token } = Object(body['spec'])
    const status =
      token === 'good' ? { authenticated: true, user: USER } : { error: '[invalid bearer token, oidc: x]' }
    return { status: 201, body: { kind: 'TokenReview', status } }
  })
  t.strictSame(await client.reviewToken('good'), { ok: true, value: { user: USER, error: '' } })
  t.strictSame(await client.reviewToken('bad'), {
    ok: true,
    value: { user: undefined, error: '[invalid bearer token, oidc: x]' },
  })
  t.match(api.calls[0], {
    method: 'POST',
    path: '/apis/authentication.k8s.io/v1/tokenreviews',
    authorization: 'Bearer administrator',
    body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token: 'good' } },
  })
})

t.test('the bearer of a token asks for itself, with the token and nothing else', async (t) => {
  const { api, client } = await house(t, ({ path }) =>
    path.endsWith('selfsubjectreviews')
      ? { status: 201, body: { status: { userInfo: USER } } }
      : { status: 201, body: { status: { allowed: true, reason: 'RBAC: allowed' } } },
  )
  const bearer = client.as('the.users.token')
  t.strictSame(await bearer.whoAmI(), { ok: true, value: USER })
  const question = {
    verb: 'get',
    group: 'apps',
    resource: 'deployments',
    subresource: '',
    name: '',
    namespace: 'web',
  }
  t.strictSame(await bearer.mayI(question), { ok: true, value: { allowed: true, reason: 'RBAC: allowed' } })
  t.ok(api.calls.every(({ authorization }) => authorization === 'Bearer the.users.token'))
  t.match(api.calls[1]?.body, { kind: 'SelfSubjectAccessReview', spec: { resourceAttributes: question } })
})

t.test('somebody else is asked about with everything that an authorizer may look at', async (t) => {
  const { api, client } = await house(t, () => ({
    status: 201,
    body: { status: { allowed: false, evaluationError: 'no such role' } },
  }))
  t.strictSame(await client.may(USER, { verb: 'get', path: '/metrics' }), {
    ok: true,
    value: { allowed: false, reason: 'no such role' },
  })
  t.strictSame(api.calls[0]?.body['spec'], {
    nonResourceAttributes: { path: '/metrics', verb: 'get' },
    user: 'ci:vpc',
    groups: ['ci:x'],
    extra: { 'example.test/a': ['b'] },
    uid: '7',
  })
})

function resources(resource: string, scope: string, shortNames: readonly string[]): readonly unknown[] {
  return [
    { version: 'v1', resources: [{ resource, scope, shortNames, singularResource: resource.slice(0, -1) }] },
  ]
}

t.test('a resource is found by its name, its short name and its group', async (t) => {
  const { client } = await house(t, ({ path }) => ({
    body:
      path === '/api'
        ? { items: [{ metadata: {}, versions: resources('namespaces', 'Cluster', ['ns']) }] }
        : {
            items: [
              { metadata: { name: 'apps' }, versions: resources('deployments', 'Namespaced', ['deploy']) },
            ],
          },
  }))
  const namespaces = [{ group: '', resource: 'namespaces', isNamespaced: false }]
  const deployments = [{ group: 'apps', resource: 'deployments', isNamespaced: true }]
  t.strictSame(await client.findResource('ns'), { ok: true, value: namespaces })
  for (const name of ['deploy', 'deployment', 'deployments', 'deployments.apps'])
    t.strictSame(await client.findResource(name), { ok: true, value: deployments }, name)
  t.strictSame(await client.findResource('deployments.example.test'), { ok: true, value: [] })
})

t.test('a refusal says what was asked where, in the words of the server, and no credential', async (t) => {
  const { api, client } = await house(t, () => ({
    status: 403,
    body: { kind: 'Status', message: 'tokenreviews is forbidden: User "x" cannot create\u001b[31m' },
  }))
  const answer = await client.reviewToken('secret-token')
  t.match(answer, { ok: false, denial: { kind: 'status', status: 403 } })
  if (answer.ok) return
  t.equal(
    answer.denial.message,
    `${api.url} (context "local" of ${api.kubeconfig}): /apis/authentication.k8s.io/v1/tokenreviews answers 403: tokenreviews is forbidden: User "x" cannot create\\u001b[31m`,
  )
  t.notMatch(JSON.stringify(answer), /secret-token|administrator/)
})

t.test('what is no apiserver is told', async (t) => {
  const { client } = await house(t, () => ({ body: '<html>login</html>' }))
  t.match(await client.whoAmI(), {
    ok: false,
    denial: { kind: 'unreadable', message: /is this a kube-apiserver/ },
  })
})

t.test('a server that is down, or not the one of the kubeconfig, is told with the way out', async (t) => {
  const { api } = await house(t, () => ({ body: {} }))
  const dir = folder(t)
  const other = await fakeApiserver(t, dir, () => ({ body: {} }))
  const mixed = join(dir, 'mixed')
  writeFileSync(mixed, readFileSync(api.kubeconfig, 'utf8').replace(api.url, other.url))
  const wrong = await (await open(mixed)).whoAmI()
  t.match(wrong, {
    ok: false,
    denial: { kind: 'network', message: /certificate-authority of the kubeconfig/ },
  })
  writeFileSync(mixed, kubeconfigText('https://localhost:1', ''))
  t.match(await (await open(mixed)).whoAmI(), {
    ok: false,
    denial: { kind: 'network', message: /it cannot be reached: .*ECONN(?:REFUSED|RESET)/ },
  })
})

t.test('a kubeconfig that cannot be used is told with what is wrong with it', async (t) => {
  const dir = folder(t)
  const file = join(dir, 'kubeconfig')
  const cases: readonly (readonly [string | undefined, string | undefined, RegExp])[] = [
    [undefined, undefined, /kubeconfig cannot be read: ENOENT/],
    ['{{', undefined, /cannot be read/],
    ['apiVersion: v1', undefined, /has no context/],
    [kubeconfigText('https://localhost:1', ''), 'other', /has no context "other"; it has local/],
    [kubeconfigText('nowhere', ''), undefined, /the server of cluster "local" is no URL/],
    [
      kubeconfigText('https://localhost:1', '').replace('cluster: local', 'cluster: gone'),
      undefined,
      /a cluster that is not there/,
    ],
  ]
  for (const [text, context, words] of cases) {
    rmSync(file, { force: true })
    if (text !== undefined) writeFileSync(file, text)
    const opened = await openKubeClient({ kubeconfig: file, context, env: process.env })
    t.match(opened, { ok: false, denial: { kind: 'kubeconfig', message: words } }, String(words))
  }
})

/** The kubeconfig with a plugin of such a program in the place of its token. */
function withPlugin(api: FakeApiserver, dir: string, program: string): string {
  const config = parse(readFileSync(api.kubeconfig, 'utf8'))
  const exec = {
    apiVersion: 'client.authentication.k8s.io/v1',
    command: process.execPath,
    args: ['-e', program],
    env: [{ name: 'SAID', value: 'of the plugin' }],
    interactiveMode: 'Never',
  }
  const file = join(dir, 'with-plugin')
  writeFileSync(file, stringify({ ...config, users: [{ name: 'admin', user: { exec } }] }))
  return file
}

async function askedWith(
  t: Test,
  program: string,
  execTimeoutMs = 20_000,
): Promise<{ readonly api: FakeApiserver; readonly first: unknown; readonly second: unknown }> {
  const api = await fakeApiserver(t, folder(t), () => ({ status: 201, body: { status: { userInfo: USER } } }))
  const kubeconfig = withPlugin(api, folder(t), program)
  const client = await openKubeClient({ kubeconfig, context: undefined, env: process.env, execTimeoutMs })
  if (!client.ok) throw new Error(client.denial.message)
  const first = await client.value.whoAmI()
  return { api, first, second: await client.value.at(api.url).whoAmI() }
}

t.test('the plugin of a kubeconfig is asked once for all requests', async (t) => {
  const dir = folder(t)
  const program = `require('node:fs').appendFileSync(${JSON.stringify(join(dir, 'asked'))}, 'x')
    console.log(JSON.stringify({ kind: 'ExecCredential', status: { token: process.env.SAID } }))`
  const { api, first, second } = await askedWith(t, program)
  t.match([first, second], [{ ok: true }, { ok: true }])
  t.ok(api.calls.every(({ authorization }) => authorization === 'Bearer of the plugin'))
  t.equal(readFileSync(join(dir, 'asked'), 'utf8'), 'x')
})

t.test('a plugin that gives no credential is told with its name, and in time', async (t) => {
  const told = async (program: string, message: RegExp, timeoutMs?: number) => {
    const { api, first } = await askedWith(t, program, timeoutMs)
    t.match(first, { ok: false, denial: { kind: 'kubeconfig', message } }, String(message))
    t.match(first, { denial: { message: /the exec plugin .*node.* of user "admin" / } })
    t.notMatch(JSON.stringify(first), 'secret-token')
    t.equal(api.calls.length, 0)
  }
  const forever = 'setInterval(() => {}, 1000)'
  await told(forever, /gave no credential within 0\.5 s, and was stopped/, 500)
  const child = `require('node:child_process').spawn(process.execPath, ['-e', 'setTimeout(() => {}, 5000)'], { stdio: 'inherit' }); ${forever}`
  await told(child, /gave no credential within 1 s/, 1000)
  await told("console.error('log in first'); process.exit(3)", /ended with 3: log in first/)
  await told("process.stdout.write('secret-token'.repeat(200_000))", /printed more than 1048576 bytes/)
  await told("console.log('secret-token')", /printed no ExecCredential/)
  await told("console.log(JSON.stringify({ status: { token: '' } }))", /printed no ExecCredential/)
})

t.test('a plugin that is not there is told', async (t) => {
  const api = await fakeApiserver(t, folder(t), () => ({ body: {} }))
  const file = withPlugin(api, folder(t), '')
  writeFileSync(file, readFileSync(file, 'utf8').replace(process.execPath, '/nowhere/plugin'))
  t.match(await (await open(file)).whoAmI(), {
    ok: false,
    denial: { kind: 'kubeconfig', message: /\/nowhere\/plugin of user "admin" cannot be started: .*ENOENT/ },
  })
})
