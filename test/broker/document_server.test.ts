import { once } from 'node:events'
import { Agent, request } from 'node:http'
import type { IncomingMessage, RequestOptions } from 'node:http'
import { text } from 'node:stream/consumers'
import t from 'tap'
import type { Test } from 'tap'
import { startTestBroker } from '../support/test_broker.ts'
import type { TestBroker, TestBrokerOptions } from '../support/test_broker.ts'

const PATHS = [
  '/dex/keys',
  '/dex/.well-known/openid-configuration',
  '/.well-known/oauth-authorization-server/dex',
]

type Answer = { readonly status: number | undefined; readonly headers: object; readonly body: string }

async function listening(t: Test, options: TestBrokerOptions = {}) {
  const broker = await startTestBroker(t, options)
  await broker.app.listen({ host: '127.0.0.1', port: 0 })
  const address = broker.app.server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const { port } = address
  const agent = new Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())
  const ask = async (path: string, change: RequestOptions = {}): Promise<Answer> => {
    const outgoing = request({ host: '127.0.0.1', port, path, agent, ...change })
    outgoing.end()
    const [response]: IncomingMessage[] = await once(outgoing, 'response')
    if (response === undefined) throw new Error('no response')
    const { date: _date, connection, 'keep-alive': _alive, ...headers } = response.headers
    return { status: response.statusCode, headers: { ...headers, connection }, body: await text(response) }
  }
  return { broker, ask }
}

async function routed(broker: TestBroker, url: string): Promise<Answer> {
  const { statusCode, headers, body } = await broker.app.inject({ url })
  const { date: _date, ...rest } = headers
  return { status: statusCode, headers: rest, body }
}

t.test('a document that leaves early is the router’s in every header and byte', async (t) => {
  const { broker, ask } = await listening(t)
  for (const path of PATHS) {
    const { headers, ...early } = await ask(path)
    const late = await routed(broker, path)
    t.match(early, { status: late.status, body: late.body }, path)
    t.match(headers, { ...late.headers, 'content-length': String(Buffer.byteLength(late.body)) }, path)
  }
})

t.test('a query, another method and another path are the router’s', async (t) => {
  const { ask } = await listening(t)
  const { body } = await ask('/dex/keys')
  t.match(await ask('/dex/keys?a=b'), { status: 200, body })
  t.match(await ask('/dex/keys', { method: 'HEAD' }), { status: 200, body: '' })
  t.equal((await ask('/dex/keys/')).status, 404)
  t.equal((await ask('/keys')).status, 404)
})

t.test('documents are those of now, after a reload and after a rotation', async (t) => {
  const { broker, ask } = await listening(t)
  const before = await ask('/dex/keys')
  await broker.broker.parts.keyRing.rotate()
  const after = await ask('/dex/keys')
  t.not(after.body, before.body)
  t.equal(after.body, (await routed(broker, '/dex/keys')).body)
})

t.test('documents are counted as every request is', async (t) => {
  const { broker, ask } = await listening(t)
  await ask('/dex/keys')
  await ask('/dex/keys?a=b')
  const metrics = (await broker.ops.inject({ url: '/metrics' })).body
  t.match(metrics, /http_requests_total\{code="200",method="get",handler="\/dex\/keys"\} 2/i)
})

t.test('headers that an operator wants on every response are on documents, too', async (t) => {
  const { ask } = await listening(t, {
    change: (config) => Object.assign(config, { web: { headers: { 'x-frame-options': 'DENY' } } }),
  })
  t.match((await ask('/dex/keys')).headers, { 'x-frame-options': 'DENY' })
})

t.test('a server that closes tells a caller on a kept connection to hang up', async (t) => {
  const { broker, ask } = await listening(t)
  t.match((await ask('/dex/keys')).headers, { connection: 'keep-alive' })
  let closing: Promise<unknown> = Promise.resolve()
  const slow = new Promise<void>((resolve) => {
    broker.app.server.once('request', () => {
      closing = broker.app.close()
      resolve()
    })
  })
  await ask('/dex/keys')
  await slow
  await t.resolves(closing, 'and does not wait for it for ever')
})
