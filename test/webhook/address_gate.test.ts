// Who may connect to the review port, over real sockets: every address of 127.0.0.0/8 is this machine's.
import { once } from 'node:events'
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import t from 'tap'
import { createNetworkCheck } from '../../src/platform/http/client_address.ts'
import { createRefusalLog } from '../../webhook/address_gate.ts'
import { recordedReview } from '../support/admission_reviews.ts'
import { startTestWebhook } from '../support/test_webhook.ts'
import type { TestWebhook } from '../support/test_webhook.ts'

const append = recordedReview('update-jsonpatch-append')

/** What a TCP client from that address hears until the other side closes, without a word of its own. */
async function heardFrom(localAddress: string, { port }: TestWebhook): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', localAddress })
  let heard = ''
  socket.setEncoding('utf8').on('data', (text: string) => (heard += text))
  socket.on('error', (error) => (heard += error.message))
  await once(socket, 'close')
  return heard
}

/** `yes`, or how TLS failed. */
async function isMetByTls(localAddress: string, { port, authority }: TestWebhook): Promise<string> {
  const socket = connectTls({
    socket: connect({ port, host: '127.0.0.1', localAddress }),
    ca: authority.caPem,
    servername: 'localhost',
  })
  const { promise, resolve } = Promise.withResolvers<string>()
  socket.once('secureConnect', () => resolve('yes'))
  socket.once('error', (error) => resolve(error.message))
  const met = await promise
  socket.destroy()
  return met
}

async function refusals(webhook: TestWebhook): Promise<string> {
  const { text } = await webhook.ops('/metrics')
  return /^sallyport_webhook_connections_refused_total (\d+)$/m.exec(text)?.[1] ?? 'none'
}

t.test('who connects from an address that is let in is answered', async (t) => {
  const webhook = await startTestWebhook(t, { allowFrom: ['127.0.0.1', '10.0.0.0/8'] })
  t.equal((await webhook.post(append)).status, 200)
  t.equal(await refusals(webhook), '0')
  t.same(webhook.log(), [])
})

t.test('who connects from elsewhere is cut off before TLS begins, counted, and told of once', async (t) => {
  const webhook = await startTestWebhook(t, { allowFrom: ['127.0.0.1'] })
  t.equal(await heardFrom('127.0.0.2', webhook), '')
  t.match(await isMetByTls('127.0.0.3', webhook), /disconnected before secure TLS|ECONNRESET/)
  t.equal(await isMetByTls('127.0.0.1', webhook), 'yes')
  t.equal(await refusals(webhook), '2')
  t.match(webhook.log(), [
    {
      level: 'warn',
      message: /^connection from an address that is not let in, closed/,
      fields: { address: '127.0.0.2', network: '127.0.0.0/24', setting: 'listen.allowFrom' },
    },
  ])
  t.equal(webhook.log().length, 1, 'the second of its network is only counted')
  t.equal((await webhook.post(append)).status, 200)
})

t.test('whoever is let in still needs the certificate that is asked for', async (t) => {
  const webhook = await startTestWebhook(t, { allowFrom: ['127.0.0.1'], clientNames: [] })
  const client = await webhook.authority.client('kube-apiserver', [])
  t.equal((await webhook.post(append, { client })).status, 200)
  await t.rejects(webhook.post(append))
  t.equal(await heardFrom('127.0.0.2', webhook), '')
})

t.test('whoever is let in and idle is closed with the server', async (t) => {
  const webhook = await startTestWebhook(t, { allowFrom: ['127.0.0.1'] })
  const idle = connectTls({ port: webhook.port, host: '127.0.0.1', ca: webhook.authority.caPem })
  idle.on('error', () => undefined)
  await once(idle, 'secureConnect')
  const closed = once(idle, 'close')
  await webhook.webhook.close()
  await closed
  t.equal(idle.destroyed, true)
})

t.test('IPv4 that comes over an IPv6 socket is IPv4', async (t) => {
  const isAllowed = createNetworkCheck(['10.1.0.0/16', '2001:db8::/32', '::1'])
  for (const address of ['10.1.2.3', '::ffff:10.1.2.3', '2001:db8:ff::1', '::1'])
    t.equal(isAllowed(address), true, address)
  for (const address of ['10.2.0.1', '::ffff:10.2.0.1', '2001:db9::1', '::2', 'fe80::1%eth0', '', 'nonsense'])
    t.equal(isAllowed(address), false, address)
})

t.test('the log has a line for each network, sixty-four at most, and again after ten minutes', async (t) => {
  const told: string[] = []
  let now = 1000
  const warn = (fields: unknown): void => void told.push(Object(fields).network)
  const tell = createRefusalLog({ warn }, () => now)
  for (let host = 0; host < 256; host += 1) tell(`192.0.2.${host}`)
  for (let host = 1; host < 256; host += 1) tell(`2001:db8::${host}:1`)
  t.same(told, ['192.0.2.0/24', '2001:db8:0:0::/64'])
  for (let net = 0; net < 256; net += 1) tell(`10.0.${net}.1`)
  t.equal(told.length, 64)
  now += 599_999
  tell('10.1.0.1')
  t.equal(told.length, 64)
  now += 1
  tell('192.0.2.7')
  t.same(told.slice(64), ['192.0.2.0/24'])
})
