// A lasting connection to a kube-apiserver: credentials that are renewed, sockets that are kept, and what it makes of bad answers.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { parse, stringify } from 'yaml'
import { openKubeConnection } from '../../src/platform/kube/kube_connection.ts'
import type { KubeConnection } from '../../src/platform/kube/kube_connection.ts'
import { listAll } from '../../src/platform/kube/list_all.ts'
import { fakeApiserver } from '../support/fake_apiserver.ts'
import type { ApiAnswer, ApiCall, FakeApiserver } from '../support/fake_apiserver.ts'

type House = {
  readonly api: FakeApiserver
  readonly folder: string
  readonly clock: { ms: number }
  readonly open: () => Promise<KubeConnection>
}

async function house(t: Test, answer: (call: ApiCall) => ApiAnswer): Promise<House> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-connection-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const api = await fakeApiserver(t, folder, answer)
  const clock = { ms: 0 }
  const open = async (): Promise<KubeConnection> => {
    const options = { kubeconfig: api.kubeconfig, context: undefined, env: process.env }
    const opened = await openKubeConnection(options, () => clock.ms)
    if (!opened.ok) throw new Error(opened.denial.message)
    t.teardown(() => opened.value.close())
    return opened.value
  }
  return { api, folder, clock, open }
}

/** Another user in the kubeconfig. */
function become({ kubeconfig }: FakeApiserver, user: unknown): void {
  const config = Object(parse(readFileSync(kubeconfig, 'utf8')))
  config.users[0].user = user
  writeFileSync(kubeconfig, stringify(config))
}

const get = (connection: KubeConnection, path = '/x') => connection.request({ method: 'GET', path })

t.test('what is asked gets there, and the answer back', async (t) => {
  const { api, open } = await house(t, ({ body }) => ({ status: 201, body: { got: body } }))
  const connection = await open()
  const asked = {
    method: 'PATCH',
    path: '/a?b=c',
    body: { x: 'ä' },
    contentType: 'application/merge-patch+json',
  } as const
  t.same(await connection.request(asked), { ok: true, value: { got: { x: 'ä' } } })
  t.match(api.calls[0], { method: 'PATCH', path: '/a?b=c', authorization: 'Bearer administrator' })
})

t.test('a deletion with preconditions leaves the socket fit for the next request', async (t) => {
  const { api, open } = await house(t, ({ method }) => ({ body: { method } }))
  const connection = await open()
  const body = { kind: 'DeleteOptions', preconditions: { uid: 'u' } }
  t.same(await connection.request({ method: 'DELETE', path: '/x', body }), {
    ok: true,
    value: { method: 'DELETE' },
  })
  t.same(await get(connection), { ok: true, value: { method: 'GET' } })
  t.match(api.calls[0], { body })
})

t.test('one socket serves one request after the other, and another one when it was closed', async (t) => {
  const sockets = new Set<Socket>()
  const { open } = await house(t, () => ({
    stream: (response) => {
      if (response.socket !== null) sockets.add(response.socket)
      response.end('{}')
    },
  }))
  const connection = await open()
  for (let count = 0; count < 5; count += 1) t.ok((await get(connection)).ok)
  t.equal(sockets.size, 1)
  for (const socket of sockets) socket.destroy()
  t.ok((await get(connection)).ok)
  t.equal(sockets.size, 2)
})

t.test(
  'a token that is renewed in its file is read again in time, and at once when the old one is refused',
  async (t) => {
    let valid = 'first'
    const { api, folder, clock, open } = await house(t, ({ authorization }) =>
      authorization === `Bearer ${valid}` ? { body: {} } : { status: 401, body: { message: 'Unauthorized' } },
    )
    const file = join(folder, 'token')
    writeFileSync(file, 'first')
    become(api, { 'auth-provider': { name: 'tokenFile', config: { tokenFile: file } } })
    const connection = await open()
    t.ok((await get(connection)).ok)
    writeFileSync(file, 'second')
    t.ok((await get(connection)).ok, 'the first one is still good')
    clock.ms = 31_000
    valid = 'second'
    t.ok((await get(connection)).ok)
    t.equal(api.calls.length, 3, 'the new one was read before it had to be')
    valid = 'third'
    writeFileSync(file, 'third')
    t.ok((await get(connection)).ok)
    t.equal(api.calls.length, 5, 'refused once, then with the new one')
    valid = 'fourth'
    const refused = await get(connection)
    t.match(refused, { ok: false, denial: { status: 401, message: /x answers 401: Unauthorized$/ } })
    t.notMatch(JSON.stringify(refused), 'third')
  },
)

t.test("an exec plugin's credential is kept until it is refused", async (t) => {
  let valid = '1'
  const { api, folder, open } = await house(t, ({ authorization }) =>
    authorization === `Bearer ${valid}` ? { body: {} } : { status: 401, body: {} },
  )
  const count = join(folder, 'count')
  const plugin = join(folder, 'plugin.mjs')
  writeFileSync(count, '0')
  writeFileSync(
    plugin,
    `import { readFileSync, writeFileSync } from 'node:fs'
const next = String(Number(readFileSync('${count}', 'utf8')) + 1)
writeFileSync('${count}', next)
console.log(JSON.stringify({ kind: 'ExecCredential', status: { token: next } }))`,
  )
  become(api, {
    exec: { apiVersion: 'client.authentication.k8s.io/v1', command: process.execPath, args: [plugin] },
  })
  const connection = await open()
  t.ok((await get(connection)).ok)
  t.ok((await get(connection)).ok)
  t.equal(readFileSync(count, 'utf8'), '1')
  valid = '2'
  t.ok((await get(connection)).ok)
  t.equal(readFileSync(count, 'utf8'), '2')
})

t.test('what is no answer is told in one line, without what came', async (t) => {
  const answers: readonly (readonly [ApiAnswer, RegExp])[] = [
    [{ status: 403, body: { message: 'no' } }, /\/x answers 403: no$/],
    [{ body: '<html>secret' }, /\/x: what came \(12 bytes\) is no JSON$/],
    [{ body: '[]' }, /\/x: what came is no JSON object$/],
    [{ stream: (response) => void response.destroy() }, /it cannot be reached: socket hang up$/],
  ]
  for (const [answer, says] of answers) {
    const { open } = await house(t, () => answer)
    const told = await get(await open(), '/x?secret=1')
    t.match(told, { ok: false, denial: { message: says } })
    t.notMatch(JSON.stringify(told), 'secret')
  }
})

t.test('who does not answer is not waited for', async (t) => {
  const { open } = await house(t, () => ({ stream: () => undefined }))
  const told = await (await open()).request({ method: 'POST', path: '/x', body: {}, timeoutMs: 50 })
  t.match(told, { ok: false, denial: { kind: 'network', message: /no answer within 0\.05 s$/ } })
})

t.test('a list is read to its last page, and a page that fails is told', async (t) => {
  const { open } = await house(t, ({ path }) => {
    const query = new URL(path, 'https://x').searchParams
    if (query.get('continue') === 'broken') return { status: 500, body: {} }
    const next = query.get('continue') ?? (query.get('fieldSelector') === 'a=b' ? 'broken' : 'two')
    return query.has('continue')
      ? { body: { metadata: {}, items: [{ page: 2 }] } }
      : { body: { metadata: { continue: next }, items: [{ page: 1 }] } }
  })
  const connection = await open()
  t.same(await listAll(connection, '/things'), { ok: true, value: [{ page: 1 }, { page: 2 }] })
  t.match(await listAll(connection, '/things', { query: 'fieldSelector=a%3Db' }), { denial: { status: 500 } })
})
