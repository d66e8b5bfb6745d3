// The webhook's listener on the wire: what is no review, connections, HTTP/2, certificates, and the end.
import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import type { ClientHttp2Session } from 'node:http2'
import { Agent } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import type { TLSSocket } from 'node:tls'
import t from 'tap'
import { recordedReview } from '../support/admission_reviews.ts'
import { makeClusterAuthority } from '../support/kube_pki.ts'
import { startTestWebhook } from '../support/test_webhook.ts'
import type { TestWebhook } from '../support/test_webhook.ts'

const append = recordedReview('update-jsonpatch-append')

/** A connection that says what the test says. */
async function openTls({ port, authority }: TestWebhook, protocol = 'http/1.1'): Promise<TLSSocket> {
  const socket = connectTls({ port, host: '127.0.0.1', ca: authority.caPem, ALPNProtocols: [protocol] })
  await once(socket, 'secureConnect')
  return socket
}

/** Everything until the other side closes. */
async function readToEnd(socket: TLSSocket): Promise<string> {
  let text = ''
  socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  socket.on('error', () => undefined)
  if (!socket.destroyed) await once(socket, 'close')
  return text
}

function head(length: number, ...more: readonly string[]): string {
  return [
    'POST /review?timeout=5s HTTP/1.1',
    'Host: webhook',
    'Content-Type: application/json',
    `Content-Length: ${length}`,
    ...more,
    '\r\n',
  ].join('\r\n')
}

t.test('what is no review is refused with one line in the log', async (t) => {
  const webhook = await startTestWebhook(t)
  const refused = [
    { what: 'no JSON', body: '{"apiVersion":', status: 400 },
    { what: 'bytes that are no UTF-8', body: Buffer.from([0x22, 0xff, 0x22]), status: 400 },
    { what: 'nothing', body: '', status: 400 },
    { what: 'v1beta1', body: { ...append, apiVersion: 'admission.k8s.io/v1beta1' }, status: 400 },
    { what: 'another kind', body: { ...append, kind: 'TokenReview' }, status: 400 },
    { what: 'no uid', body: { ...append, request: { ...append.request, uid: '' } }, status: 400 },
    { what: 'nesting without end', body: `${'['.repeat(100_000)}${']'.repeat(100_000)}`, status: 400 },
  ]
  for (const { what, body, status } of refused) {
    const before = webhook.log().length
    const answer = await webhook.post(body)
    t.equal(answer.status, status, what)
    t.equal(answer.text, 'not an AdmissionReview of admission.k8s.io/v1\n', what)
    t.equal(webhook.log().length, before + 1, what)
  }
  t.same(webhook.audit(), [])
  t.equal((await webhook.post(append)).status, 200)
})

t.test('one path, one method, one content type', async (t) => {
  const webhook = await startTestWebhook(t)
  t.match(await webhook.post(append, { path: '/' }), { status: 404, text: 'not found\n' })
  t.match(await webhook.post(append, { path: '/review/' }), { status: 404 })
  t.match(await webhook.post(append, { path: '/REVIEW' }), { status: 404 })
  t.match(await webhook.post(append, { method: 'PUT' }), { status: 405, headers: { allow: 'POST' } })
  t.match(await webhook.post('', { method: 'GET' }), { status: 405 })
  t.match(await webhook.post(append, { headers: { 'content-type': 'text/plain' } }), { status: 415 })
  t.match(await webhook.post(append, { headers: { 'content-type': 'application/jsonx' } }), { status: 415 })
  t.same(webhook.audit(), [])
  const typed = { 'content-type': 'application/json; charset=utf-8' }
  t.equal((await webhook.post(append, { headers: typed, path: '/review' })).status, 200)
})

t.test('more than 8 MiB is 413, before it has come and after', async (t) => {
  const webhook = await startTestWebhook(t)
  const announced = await openTls(webhook)
  announced.write(head(8 * 1024 * 1024 + 1))
  t.match(
    await readToEnd(announced),
    /^HTTP\/1\.1 413 [^]*connection: close[^]*the review is larger than 8 MiB\n$/i,
  )

  const chunked = await openTls(webhook)
  const answer = readToEnd(chunked)
  chunked.write(head(0).replace('Content-Length: 0', 'Transfer-Encoding: chunked'))
  const chunk = Buffer.alloc(1024 * 1024, ' ')
  for (let sent = 0; sent < 9 && !chunked.destroyed; sent += 1) {
    chunked.write(`${chunk.length.toString(16)}\r\n`)
    chunked.write(chunk)
    chunked.write('\r\n')
    await sleep(5)
  }
  t.match(await answer, /^HTTP\/1\.1 413 /)
})

t.test('a body that trickles in is given up', async (t) => {
  const webhook = await startTestWebhook(t, { bodyTimeoutSeconds: 0.3 })
  const slow = await openTls(webhook)
  slow.write(`${head(100)}{`)
  t.match(await readToEnd(slow), /^HTTP\/1\.1 408 [^]*the review came too slowly\n$/)
  const session = http2(webhook)
  const stream = session.request({
    ':method': 'POST',
    ':path': '/review',
    'content-type': 'application/json',
  })
  stream.write('{')
  const [headers] = await once(stream, 'response')
  t.equal(headers[':status'], 408)
  session.destroy()
})

t.test('one connection takes many reviews, and several at once over HTTP/2', async (t) => {
  const webhook = await startTestWebhook(t)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  let sockets = 0
  agent.on('free', (socket) => {
    if (!seen.has(socket)) sockets += 1
    seen.add(socket)
  })
  const seen = new Set<unknown>()
  for (let index = 0; index < 5; index += 1) {
    const answer = await webhook.post(append, { agent })
    t.equal(answer.headers['connection'], 'keep-alive')
  }
  t.equal(sockets, 1)

  const session = http2(webhook)
  const answers = await Promise.all(Array.from({ length: 20 }, () => postHttp2(session)))
  t.ok(
    answers.every(({ status, text }) => status === 200 && Object(JSON.parse(text)).response.allowed === true),
  )
  t.equal(session.alpnProtocol, 'h2')
  t.match(webhook.debugLog(), [
    { message: 'connection opened', fields: { protocol: 'http/1.1' } },
    { message: 'connection opened', fields: { protocol: 'h2' } },
  ])
  session.close()
})

t.test('a new certificate is served to new connections, and the old ones live on', async (t) => {
  const webhook = await startTestWebhook(t)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  const session = http2(webhook)
  await postHttp2(session)
  await webhook.post(append, { agent })
  const before = await fingerprint(webhook)
  await webhook.renewCertificate()
  const after = await fingerprint(webhook)
  t.not(after, before)
  t.equal((await webhook.post(append, { agent })).status, 200)
  t.equal((await postHttp2(session)).status, 200)
  t.equal((await webhook.post(append)).status, 200)
  t.match(webhook.log(), [{ level: 'info', message: 'certificate reloaded' }])
  session.close()
})

t.test('only a client with the right certificate is answered, where one is asked for', async (t) => {
  const webhook = await startTestWebhook(t, { clientNames: ['kube-apiserver'] })
  const { authority } = webhook
  const apiserver = await authority.client('kube-apiserver', [])
  t.equal((await webhook.post(append, { client: apiserver })).status, 200)
  await t.rejects(webhook.post(append), 'without a certificate')
  await t.rejects(webhook.post(append, { client: await authority.client('somebody', []) }), 'of another name')
  const strange = await (await makeClusterAuthority()).client('kube-apiserver', [])
  await t.rejects(webhook.post(append, { client: strange }), 'of another authority')
  t.equal(webhook.audit().length, 1)
  await webhook.renewCertificate()
  t.equal((await webhook.post(append, { client: apiserver })).status, 200)
  await t.rejects(webhook.post(append, { client: strange }), 'of another authority after the reload')
})

t.test('any certificate of the authority will do where no names are given', async (t) => {
  const webhook = await startTestWebhook(t, { clientNames: [] })
  const client = await webhook.authority.client('whoever', [])
  t.equal((await webhook.post(append, { client })).status, 200)
  await t.rejects(webhook.post(append))
})

t.test('above the limit a review gets 503 and is asked for again', async (t) => {
  const webhook = await startTestWebhook(t, { maxConcurrentReviews: 1 })
  const gate = Promise.withResolvers<void>()
  webhook.auditSink.gate = gate.promise
  const first = webhook.post(append)
  for (let wait = 0; wait < 100 && !webhook.auditSink.isWaiting; wait += 1) await sleep(5)
  t.match(await webhook.post(append), { status: 503, text: 'busy\n', headers: { 'retry-after': '1' } })
  gate.resolve()
  t.equal((await first).status, 200)
  webhook.auditSink.gate = undefined
  t.equal((await webhook.post(append)).status, 200)
})

t.test('at the end it is not ready first, and every connection ends with an answer', async (t) => {
  const webhook = await startTestWebhook(t)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  t.equal((await webhook.post(append, { agent })).headers['connection'], 'keep-alive')
  const session = http2(webhook)
  t.equal((await postHttp2(session)).status, 200)

  const goaway = once(session, 'goaway')
  webhook.webhook.drain()
  t.match(await webhook.ops('/readyz'), { status: 503, text: /\[-\]draining failed: it ends/ })
  const last = await webhook.post(append, { agent })
  t.equal(last.status, 200)
  t.equal(last.headers['connection'], 'close')
  await goaway
  t.equal((await postHttp2(http2(webhook))).status, 200, 'who comes now is answered')

  const idle = await openTls(webhook)
  const began = performance.now()
  await webhook.webhook.close()
  t.ok(performance.now() - began < 3000)
  if (!idle.destroyed) await once(idle, 'close')
  await t.rejects(webhook.post(append), { code: 'ECONNREFUSED' })
})

function http2({ url, authority }: TestWebhook): ClientHttp2Session {
  const session = connectHttp2(url, { ca: authority.caPem })
  session.on('error', () => undefined)
  return session
}

async function postHttp2(session: ClientHttp2Session): Promise<{ status: number; text: string }> {
  const stream = session.request({
    ':method': 'POST',
    ':path': '/review?timeout=5s',
    'content-type': 'application/json',
  })
  stream.end(JSON.stringify(append))
  let text = ''
  stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  const [[headers]] = await Promise.all([once(stream, 'response'), once(stream, 'end')])
  return { status: Number(headers[':status']), text }
}

async function fingerprint(webhook: TestWebhook): Promise<string> {
  const socket = await openTls(webhook)
  const { fingerprint256 } = socket.getPeerCertificate()
  socket.destroy()
  return fingerprint256
}
