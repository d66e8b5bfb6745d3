// Whose request was refused is read again in its turn, on a real server with real sockets, and by a count of turns.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { createBackRow } from '../../src/platform/http/back_row.ts'
import { portOf } from '../support/child_server.ts'

function seatsByHand() {
  const turns: (() => void)[] = []
  const heard: string[] = []
  const backRow = createBackRow((act) => turns.push(act))
  const connection = (name: string, destroyed = false) => ({
    name,
    destroyed,
    isPaused: false,
    onResume: [] as (() => void)[],
    pause() {
      this.isPaused = true
    },
    resume() {
      this.isPaused = false
      heard.push(name)
      for (const act of this.onResume) act()
    },
    on(_event: 'resume', act: () => void) {
      this.onResume.push(act)
    },
  })
  return { backRow, connection, heard, turns, turn: () => turns.shift()?.() }
}

t.test('two of those that were refused are heard in a turn, in the order in which they came', async (t) => {
  const { backRow, connection, heard, turn, turns } = seatsByHand()
  const five = ['a', 'b', 'c', 'd', 'e'].map((name) => connection(name))
  for (const one of five) backRow.seat(one)
  t.ok(five.every(({ isPaused }) => isPaused))
  t.equal(turns.length, 1, 'one turn is asked for')
  turn()
  t.same(heard, ['a', 'b'])
  turn()
  t.same(heard, ['a', 'b', 'c', 'd'])
  turn()
  t.same(heard, ['a', 'b', 'c', 'd', 'e'])
  t.equal(turns.length, 0, 'nothing is asked for while nobody waits')
})

t.test('whoever comes back does not overtake who waits', async (t) => {
  const { backRow, connection, heard, turn } = seatsByHand()
  const [a, b, c] = [connection('a'), connection('b'), connection('c')]
  for (const one of [a, b, c]) backRow.seat(one)
  turn()
  backRow.seat(a)
  turn()
  t.same(heard, ['a', 'b', 'c', 'a'])
})

t.test('whoever sent many at once sits for all of them, behind the others each time', async (t) => {
  const { backRow, connection, heard, turn, turns } = seatsByHand()
  const [many, one] = [connection('many'), connection('one')]
  for (let sent = 0; sent < 5; sent += 1) backRow.seat(many)
  backRow.seat(one)
  turn()
  t.same(heard, ['one'])
  turn()
  t.same(heard, ['one'])
  t.equal(many.isPaused, true)
  turn()
  t.same(heard, ['one', 'many'])
  t.equal(turns.length, 0)
})

t.test('who is gone takes nobody his turn', async (t) => {
  const { backRow, connection, heard, turn } = seatsByHand()
  const gone = [connection('x'), connection('y')]
  for (const one of [...gone, connection('a'), connection('b')]) backRow.seat(one)
  for (const one of gone) one.destroyed = true
  turn()
  t.same(heard, ['a', 'b'])
  const late = connection('z', true)
  backRow.seat(late)
  t.equal(late.isPaused, false)
})

t.test('nobody leaves the back row because something else wants to read on', async (t) => {
  const { backRow, connection, heard, turn } = seatsByHand()
  const one = connection('one')
  for (let sent = 0; sent < 3; sent += 1) backRow.seat(one)
  one.resume()
  t.equal(one.isPaused, true)
  turn()
  t.equal(one.isPaused, true, 'it sits for the third one')
  turn()
  t.equal(one.isPaused, false)
  t.equal(one.onResume.length, 1, 'one listener for all of its seats')
  t.same(heard, ['one', 'one'])
})

async function startServer(t: Test, backRow = createBackRow()) {
  const seen: string[] = []
  const server = createServer((request, response) => {
    // As a request that is routed when the refusal before it is answered.
    if (request.url === '/later') setImmediate(() => request.resume())
    else request.resume()
    request.once('end', () => {
      seen.push(request.url ?? '')
      response.end('answered')
      if (request.url !== '/good') backRow.seat(request.socket)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const sockets: Socket[] = []
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await once(server, 'close')
  })
  return {
    seen,
    open: async (): Promise<Socket> => {
      const socket = connect({ port: portOf(server), host: '127.0.0.1', noDelay: true })
      sockets.push(socket)
      await once(socket, 'connect')
      return socket
    },
  }
}

function ask(socket: Socket, path: string): void {
  socket.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody`)
}

t.test('a refused connection has its answer, and is heard again and again', async (t) => {
  const server = await startServer(t)
  const socket = await server.open()
  for (const path of ['/1', '/2', '/3', '/good', '/4']) {
    ask(socket, path)
    const [answer] = await once(socket, 'data')
    t.match(String(answer), /^HTTP\/1\.1 200 OK/)
  }
  t.same(server.seen, ['/1', '/2', '/3', '/good', '/4'])
})

t.test('a body behind a refused request is read when its connection is heard again', async (t) => {
  const turns: (() => void)[] = []
  const backRow = createBackRow((act) => turns.push(act))
  const server = await startServer(t, backRow)
  const socket = await server.open()
  const later = 'POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n'
  socket.write(`POST /bad HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody${later}half`)
  await once(socket, 'data')
  socket.write('rest')
  await setTimeout(100)
  t.same(server.seen, ['/bad'])
  turns.shift()?.()
  await once(socket, 'data')
  t.same(server.seen, ['/bad', '/later'])
})

t.test('beside many whose requests are refused, a good one waits for a few of them', async (t) => {
  const server = await startServer(t)
  const flood = await Promise.all(Array.from({ length: 24 }, async () => server.open()))
  for (const socket of flood) {
    // The next one as soon as the answer is there.
    socket.on('data', () => ask(socket, '/bad'))
    ask(socket, '/bad')
  }
  const good = await server.open()
  const before: number[] = []
  for (let round = 0; round < 20; round += 1) {
    await new Promise((resolve) => setImmediate(resolve))
    server.seen.length = 0
    ask(good, '/good')
    await once(good, 'data')
    before.push(server.seen.indexOf('/good'))
  }
  // Until the first round is over, connections are opened, and nobody was refused yet.
  const most = Math.max(...before.slice(1))
  t.ok(most <= 8, `${most} refused ones were heard before it at most, of 24 that had something to say`)
})
