// Requests of one turn of the event loop are routed after all of them were read, on a real server with real sockets.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import t from 'tap'
import type { Test } from 'tap'
import { arrivedAt, routeTogether } from '../../src/platform/http/arrivals.ts'
import { portOf } from '../support/child_server.ts'

/** A server whose turns end by hand, and connections to it that it has accepted. */
async function serverByHand(
  t: Test,
  { connections, isIdle = false }: { connections: number; isIdle?: boolean },
) {
  const turns: (() => void)[] = []
  const read: string[] = []
  const routed: string[] = []
  let idle = isIdle
  const server = createServer((request, response) => {
    routed.push(request.url ?? '')
    response.end()
  })
  routeTogether(server, { isIdle: () => idle, afterTurn: (act) => turns.push(act) })
  server.prependListener('request', (request) => read.push(request.url ?? ''))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const clients: Socket[] = []
  for (let index = 0; index < connections; index += 1) {
    const accepted = once(server, 'connection')
    clients.push(connect(portOf(server), '127.0.0.1'))
    await accepted
  }
  t.teardown(() => {
    for (const client of clients) client.destroy()
    server.close()
  })
  return {
    read,
    routed,
    turns,
    send: (client: number, path: string) =>
      clients[client]?.write(`GET ${path} HTTP/1.1\r\nHost: broker.example.test\r\n\r\n`),
    leave: (client: number) => clients[client]?.destroy(),
    endOfTurn: () => turns.shift()?.(),
    beIdle: () => {
      idle = true
    },
    until: async (isTrue: () => boolean) => {
      while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 1))
    },
  }
}

t.test('those of one turn are routed together when it ends, in the order in which they came', async (t) => {
  const { send, read, routed, turns, endOfTurn, until } = await serverByHand(t, { connections: 3 })
  for (const [client, path] of ['/a', '/b', '/c'].entries()) {
    send(client, path)
    await until(() => read.length === client + 1)
  }
  t.same(routed, [], 'nobody is routed before the others were read')
  t.equal(turns.length, 1, 'one end is waited for')
  endOfTurn()
  t.same(routed, ['/a', '/b', '/c'])
})

t.test('who comes after a turn waits for the end of the next one', async (t) => {
  const { send, read, routed, turns, endOfTurn, until } = await serverByHand(t, { connections: 2 })
  send(0, '/a')
  await until(() => read.length === 1)
  endOfTurn()
  send(1, '/b')
  await until(() => read.length === 2)
  t.same(routed, ['/a'])
  t.equal(turns.length, 1)
  endOfTurn()
  t.same(routed, ['/a', '/b'])
})

t.test('32 are routed at once, and who comes behind them at the end of the turn', async (t) => {
  const { send, read, routed, turns, endOfTurn, until } = await serverByHand(t, { connections: 33 })
  for (let client = 0; client < 33; client += 1) {
    send(client, `/${client}`)
    await until(() => read.length === client + 1)
    t.equal(routed.length, client < 31 ? 0 : 32, `${client + 1} came`)
  }
  t.equal(turns.length, 1, 'one end is waited for, also behind those that did not')
  endOfTurn()
  t.equal(routed.length, 33)
})

t.test('it is known when a request came, however long it waited', async (t) => {
  const server = createServer((request, response) => {
    response.end(String(performance.now() - (arrivedAt(request) ?? Number.NaN)))
  })
  routeTogether(server, { isIdle: () => false, afterTurn: (act) => setTimeout(act, 30) })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const answer = await fetch(`http://127.0.0.1:${portOf(server)}/`, { headers: { connection: 'close' } })
  const waited = Number(await answer.text())
  t.ok(waited >= 29 && waited < 5000, `${waited} ms`)
})

t.test('who has left meanwhile is not routed, and keeps nobody else from it', async (t) => {
  const { send, leave, read, routed, endOfTurn, until } = await serverByHand(t, { connections: 2 })
  send(0, '/gone')
  await until(() => read.length === 1)
  send(1, '/here')
  await until(() => read.length === 2)
  leave(0)
  // The server has seen that it left when it answers whoever asks after that.
  await new Promise((resolve) => setTimeout(resolve, 50))
  endOfTurn()
  t.same(routed, ['/here'])
})

t.test('an idle server routes at once', async (t) => {
  const { send, routed, turns, until } = await serverByHand(t, { connections: 1, isIdle: true })
  send(0, '/a')
  await until(() => routed.length === 1)
  t.same(turns, [])
})

t.test('nobody overtakes those who wait, when the server becomes idle', async (t) => {
  const { send, read, routed, beIdle, endOfTurn, until } = await serverByHand(t, { connections: 2 })
  send(0, '/a')
  await until(() => read.length === 1)
  beIdle()
  send(1, '/b')
  await until(() => read.length === 2)
  t.same(routed, [])
  endOfTurn()
  t.same(routed, ['/a', '/b'])
})
