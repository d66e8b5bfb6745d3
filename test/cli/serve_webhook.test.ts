// `sallyport serve webhook` as its users start it: a process of its own, without a cluster that answers.
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { request } from 'node:https'
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { stringify } from 'yaml'
import { recordedReviewBytes } from '../support/admission_reviews.ts'
import { freePorts, startChildServer } from '../support/child_server.ts'
import { makeClusterAuthority } from '../support/kube_pki.ts'
import { runSallyport } from '../support/sallyport_command.ts'
import { MAIN } from '../support/served.ts'

const KUBECONFIG = {
  apiVersion: 'v1',
  kind: 'Config',
  // Nobody listens there.
  clusters: [{ name: 'none', cluster: { server: 'https://127.0.0.1:1' } }],
  users: [{ name: 'nobody', user: {} }],
  contexts: [{ name: 'none', context: { cluster: 'none', user: 'nobody' } }],
  'current-context': 'none',
}

t.test('without a file, a Pod or a certificate it says what is missing', async (t) => {
  const run = await runSallyport(['serve', 'webhook'], { cwd: t.testdir({}) })
  t.equal(run.code, 78)
  t.match(run.stderr, /^error certificate_missing \(listen\): .*\n {4}-> write listen: /)
})

t.test('a wrong file is 78 with every problem and its line', async (t) => {
  const folder = t.testdir({ 'sallyport-webhook.yaml': 'listen: {prot: 8443}\nops: {port: many}\n' })
  const run = await runSallyport(['serve', 'webhook'], { cwd: folder })
  t.equal(run.code, 78)
  t.match(
    run.stderr,
    /sallyport-webhook\.yaml:1:\d+: error key_unknown \(listen\.prot\).*\n {4}-> did you mean port\?/,
  )
  t.match(run.stderr, /sallyport-webhook\.yaml:2:\d+: error type_wrong/)
  const unread = await runSallyport(['serve', 'webhook', '--config', 'nowhere.yaml'], { cwd: folder })
  t.equal(unread.code, 78)
  t.match(unread.stderr, /nowhere\.yaml:1:1: error config_file_unreadable/)
})

t.test("a Dex configuration is the broker's, and certificates are checked", async (t) => {
  const folder = await folderOf(t, {})
  const dex = await runSallyport(['serve', 'webhook', '--dex-config', 'dex.yaml'], { cwd: folder })
  t.match(dex, {
    code: 2,
    stderr: /^sallyport: --dex-config is the broker's; the webhook reads sallyport-webhook\.yaml/,
  })
  for (const flags of [['--store', 'memory'], ['--web-http-addr', '127.0.0.1:0'], ['--development']]) {
    const run = await runSallyport(['serve', 'webhook', ...flags], { cwd: folder })
    t.match(run, { code: 2, stderr: `sallyport: ${flags[0]} is the broker's; the webhook reads` })
  }
  const env = { NODE_TLS_REJECT_UNAUTHORIZED: '0' }
  const unchecked = await runSallyport(['serve', 'webhook'], { cwd: folder, env })
  t.match(unchecked, { code: 78, stderr: /NODE_TLS_REJECT_UNAUTHORIZED=0 turns certificate checks off/ })
})

t.test('without a cluster to ask it says so, and how to name one', async (t) => {
  const folder = await folderOf(t, {})
  const run = await runSallyport(['serve', 'webhook'], { cwd: folder, env: { HOME: folder } })
  t.equal(run.code, 1)
  t.match(
    run.stderr,
    /^sallyport: cannot start: no kubeconfig found.*\n {4}-> run it in a Pod with a ServiceAccount, or write kubeconfig:/,
  )
})

t.test('a kubeconfig that is not there is told by the key that names it', async (t) => {
  const folder = await folderOf(t, { kubeconfig: 'nope.kubeconfig' })
  const run = await runSallyport(['serve', 'webhook'], { cwd: folder, env: { HOME: folder } })
  t.equal(run.code, 1)
  t.match(
    run.stderr,
    /nope\.kubeconfig cannot be read: .*\n {4}-> kubeconfig: and context: of its configuration name it/,
  )
})

t.test('a cluster that does not answer makes it unready, and no review is judged', async (t) => {
  const [port = 0, opsPort = 0] = await freePorts(2)
  const folder = await folderOf(t, {
    kubeconfig: 'kubeconfig',
    listen: { host: '127.0.0.1', port, tls: { certFile: 'tls.crt', keyFile: 'tls.key' } },
    ops: { host: '127.0.0.1', port: opsPort },
    limits: { drain: '1s' },
  })
  const ops = `http://127.0.0.1:${opsPort}`
  const server = await startChildServer({
    name: 'webhook',
    command: process.execPath,
    args: [MAIN, 'serve', 'webhook'],
    cwd: folder,
    env: { PATH: process.env['PATH'] },
    ready: async () => (await fetch(`${ops}/livez`)).ok,
  })
  t.teardown(() => server.stop())
  const ready = await fetch(`${ops}/readyz`)
  t.equal(ready.status, 503)
  t.match(await ready.text(), /\[-\]watches failed: not in sync: .*modules/)
  t.equal(await postReview(port), 503)

  server.signal('SIGTERM')
  await untilDraining(ops)
  t.equal(await postReview(port), 503, 'it still answers')
  t.equal(await server.exited, '0')
  t.match(server.logs(), '"drainSeconds":1,"msg":"stopping"')
  t.match(server.logs(), OPEN)
})

const OPEN =
  /"level":40,.*"settings":\["listen\.allowFrom","listen\.clientCaFile"\],"msg":"whoever reaches the port is taken for kube-apiserver, so the ledger does not keep who published: /

for (const way of ['allowFrom', 'clientCaFile'] as const) {
  t.test(`with ${way} nothing is warned of`, async (t) => {
    const [port = 0, opsPort = 0] = await freePorts(2)
    const closed = { allowFrom: ['127.0.0.1'], clientCaFile: 'tls.crt' }
    const folder = await folderOf(t, {
      kubeconfig: 'kubeconfig',
      listen: {
        host: '127.0.0.1',
        port,
        tls: { certFile: 'tls.crt', keyFile: 'tls.key' },
        [way]: closed[way],
      },
      ops: { host: '127.0.0.1', port: opsPort },
      limits: { drain: '0s' },
    })
    const server = await startChildServer({
      name: 'webhook',
      command: process.execPath,
      args: [MAIN, 'serve', 'webhook'],
      cwd: folder,
      env: { PATH: process.env['PATH'] },
      ready: async () => (await fetch(`http://127.0.0.1:${opsPort}/livez`)).ok,
    })
    t.teardown(() => server.stop())
    if (way === 'allowFrom') t.equal(await postReview(port), 503, 'who is let in is answered')
    server.signal('SIGTERM')
    t.equal(await server.exited, '0')
    t.match(server.logs(), '"msg":"stopping"')
    t.notMatch(server.logs(), 'whoever reaches the port')
  })
}

async function folderOf(t: Test, config: object): Promise<string> {
  const authority = await makeClusterAuthority()
  const { certPem, keyPem } = await authority.server(['127.0.0.1'])
  const folder = t.testdir({ 'tls.crt': certPem, kubeconfig: stringify(KUBECONFIG) })
  writeFileSync(join(folder, 'tls.key'), keyPem, { mode: 0o600 })
  const listen = { tls: { certFile: 'tls.crt', keyFile: 'tls.key' } }
  writeFileSync(join(folder, 'sallyport-webhook.yaml'), stringify({ listen, ...config }))
  return folder
}

async function postReview(port: number): Promise<number> {
  const headers = { 'content-type': 'application/json' }
  const sent = request({
    host: '127.0.0.1',
    port,
    path: '/review',
    method: 'POST',
    headers,
    rejectUnauthorized: false,
  })
  sent.end(recordedReviewBytes('create-ssa'))
  const [response]: [IncomingMessage] = Object(await once(sent, 'response'))
  response.resume()
  return response.statusCode ?? 0
}

async function untilDraining(ops: string): Promise<void> {
  for (let wait = 0; wait < 100; wait += 1) {
    const text = await (await fetch(`${ops}/readyz`)).text()
    if (text.includes('[-]draining failed: it ends')) return
  }
  throw new Error('it does not end')
}
