// Limits of connections and of bodies on the way, on a real server with real sockets.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { createBodyRoom, limitConnections, limitPipelining } from '../../src/platform/http/connection_gate.ts'
import type { Closed } from '../../src/platform/http/connection_gate.ts'
import { portOf } from '../support/child_server.ts'

const KB = 1024

async function startServer(t: Test, isProxy: (address: string) => boolean = () => false) {
  const closed: Closed[] = []
  const limits = { max: 6, maxOfOne: 3, maxBodyBytes: 100 * KB, maxPipelined: 500 }
  const onClosed = (why: Closed): void => void closed.push(why)
  const room = createBodyRoom({ limits, onClosed })
  const server = createServer((request, response) => {
    const length = request.headers['content-length']
    room.count(request, request.socket, length === undefined ? undefined : Number(length))
    request.resume()
    request.once('end', () => response.end(request.method === 'GET' ? 'x'.repeat(KB) : 'read'))
  })
  limitConnections(server, { limits, isProxy, onClosed })
  limitPipelining(server, { limits, onClosed })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const sockets: Socket[] = []
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  return {
    closed,
    /** When the head of the next request was read. */
    arrived: () => once(server, 'request'),
    /** A connection from this address of the loopback's network. */
    open: async (localAddress: string): Promise<Socket> => {
      const socket = connect({ port: portOf(server), host: '127.0.0.1', localAddress })
      socket.on('error', () => {})
      socket.setEncoding('latin1')
      sockets.push(socket)
      await once(socket, 'connect')
      return socket
    },
  }
}

const ask = (socket: Socket, body = ''): Promise<string> => {
  const head = `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n`
  socket.write(head + body)
  return new Promise((resolve) => {
    const answered = (answer: unknown): void => {
      socket.off('data', answered)
      socket.off('close', answered)
      resolve(String(answer).slice(0, 12))
    }
    socket.on('data', answered)
    socket.on('close', answered)
  })
}
const isCut = async (socket: Socket): Promise<boolean> => {
  if (!socket.destroyed) await once(socket, 'close')
  return true
}
const OK = 'HTTP/1.1 200'

t.test('one caller’s connections end where those of others begin', async (t) => {
  const { open, closed } = await startServer(t)
  const held = [await open('127.0.0.2'), await open('127.0.0.2'), await open('127.0.0.2')]
  t.ok(await isCut(await open('127.0.0.2')), 'the fourth is closed')
  t.same(closed, ['one_caller'])
  t.equal(await ask(await open('127.0.0.1')), OK, 'another caller is served')
  for (const socket of held) t.equal(await ask(socket), OK, 'and so are the three')
  held[0]?.destroy()
  while ((await ask(await open('127.0.0.2'))) !== OK) await sleep(5)
  t.pass('who leaves makes room')
})

t.test('above all that there may be, connections are dropped and counted', async (t) => {
  const { open, closed } = await startServer(t)
  for (const address of ['127.0.0.2', '127.0.0.3'])
    for (let count = 0; count < 3; count += 1) t.equal(await ask(await open(address)), OK)
  t.ok(await isCut(await open('127.0.0.4')))
  t.same(closed, ['all'])
})

t.test('a proxy is not one caller', async (t) => {
  const { open, closed } = await startServer(t, (address) => address === '127.0.0.9')
  for (let count = 0; count < 6; count += 1) t.equal(await ask(await open('127.0.0.9')), OK)
  t.same(closed, [])
})

t.test('a body that does not end makes room for those that do', async (t) => {
  const { open, closed, arrived } = await startServer(t)
  const slow = await open('127.0.0.2')
  const isComing = arrived()
  slow.write(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${64 * KB}\r\n\r\n${'x'.repeat(60 * KB)}`)
  const chunked = await open('127.0.0.2')
  await isComing
  chunked.write(
    `POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${(30 * KB).toString(16)}\r\n`,
  )
  chunked.write(`${'x'.repeat(30 * KB)}\r\n`)
  const quick = await open('127.0.0.1')
  t.equal(await ask(quick, 'x'.repeat(50 * KB)), OK)
  t.ok(await isCut(slow), 'the one that had been coming for longest is cut off')
  t.same(closed, ['slow_body'])
  chunked.write('0\r\n\r\n')
  const [answer] = await once(chunked, 'data')
  t.match(answer, /^HTTP\/1\.1 200/, 'the other one came to its end')
  for (let count = 0; count < 10; count += 1) t.equal(await ask(quick, 'x'.repeat(50 * KB)), OK)
  t.same(closed, ['slow_body'], 'what has come takes no room any more')
})

t.test(
  'who goes on asking and reads nothing is cut off, and who asks one after the other is not',
  async (t) => {
    const { open, closed } = await startServer(t)
    const deaf = await open('127.0.0.2')
    const reader = await open('127.0.0.1')
    let asks = 0
    while (!closed.includes('pipelined')) {
      deaf.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(1000))
      asks += 1000
      reader.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
      await once(reader, 'data')
    }
    t.ok(asks < 100_000, `${asks} requests were enough`)
    t.same(closed, ['pipelined'])
    deaf.resume()
    t.ok(await isCut(deaf))
    t.equal(await ask(reader), OK)
  },
)
