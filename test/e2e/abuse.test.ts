// A broker as it is served, with its own limits of time, under what callers do who mean it ill: heads and bodies that never end,
// connections that say nothing, answers that nobody reads. Meanwhile everybody else is served.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { CLIENT_CREDENTIALS } from '../../src/core/oauth/names.ts'
import { SECRETS } from '../support/broker_config.ts'
import { makeFolder } from '../support/served.ts'
import { startTestIssuer } from '../support/test_issuer.ts'

t.setTimeout(60_000)
const upstream = await startTestIssuer()
t.teardown(() => upstream.close())
const folder = await makeFolder(t, upstream)
folder.write()
const server = await folder.start()
t.teardown(() => server.stop())
const port = Number(new URL(folder.url).port)

const CREDENTIALS = {
  grant_type: CLIENT_CREDENTIALS,
  client_id: 'ci-pipeline',
  client_secret: SECRETS.pipeline,
  scope: 'openid',
}
const KB = 1024
/** From an address of its own, so that limits by address are its own, too. */
const ATTACKER = '127.0.0.2'
const residentMiB = (): number =>
  Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))?.[1]) / KB

type Attack = {
  readonly says: string
  readonly start: string
  readonly drip: string
  readonly reads: boolean
}

const ATTACKS: readonly Attack[] = [
  {
    says: 'a head that does not end',
    start: 'POST /dex/token HTTP/1.1\r\nHost: x\r\nX-',
    drip: 'x',
    reads: true,
  },
  {
    says: 'a body that does not end',
    start: `POST /dex/token HTTP/1.1\r\nHost: x\r\nContent-Length: ${64 * KB}\r\n\r\n${'x'.repeat(60 * KB)}`,
    drip: 'x',
    reads: true,
  },
  { says: 'nothing at all', start: '', drip: '', reads: true },
  {
    says: 'requests whose answers nobody reads',
    start: 'GET /dex/keys HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(300),
    drip: 'GET /dex/keys HTTP/1.1\r\nHost: x\r\n\r\n',
    reads: false,
  },
]
const OF_EACH = 300
/** What deploy/kubernetes gives a Pod. */
const POD_MIB = 384
/** 10 s for a request, looked at each second, and as much again for a machine that is busy. Unread answers have 30 s. */
const ENDS_WITHIN_MS = 22_000

async function attack({ start, reads }: Attack): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', localAddress: ATTACKER })
  // A reset is what it deserves.
  socket.on('error', () => {})
  await once(socket, 'connect')
  if (reads) socket.resume()
  else socket.pause()
  socket.write(start)
  return socket
}

t.test(
  'TH-E08: a thousand slow callers are cut off, fit into memory, and nobody waits for them',
  async (t) => {
    t.equal((await folder.post(CREDENTIALS)).status, 200)
    const before = residentMiB()
    const sockets: { readonly kind: Attack; readonly socket: Socket }[] = []
    for (const kind of ATTACKS)
      for (let count = 0; count < OF_EACH; count += 1) sockets.push({ kind, socket: await attack(kind) })
    const began = performance.now()
    const left = (kind: Attack): number =>
      sockets.filter((one) => one.kind === kind && !one.socket.destroyed).length
    const slow = ATTACKS.filter(({ reads }) => reads)
    let [served, most] = [0, before]
    while (slow.some((kind) => left(kind) > 0) && performance.now() - began < ENDS_WITHIN_MS) {
      // A byte now and then is no excuse.
      for (const { kind, socket } of sockets) if (socket.writable && kind.drip !== '') socket.write(kind.drip)
      if ((await folder.post(CREDENTIALS)).status === 200) served += 1
      else t.fail('somebody who means well was refused')
      most = Math.max(most, residentMiB())
      await sleep(200)
    }
    for (const kind of slow) t.equal(left(kind), 0, `${kind.says}: cut off`)
    t.ok(served > 3, `${served} others were served meanwhile`)
    t.ok(most < POD_MIB, `${before.toFixed(0)} MiB became ${most.toFixed(0)}`)
    t.equal((await folder.post(CREDENTIALS)).status, 200)
    for (const { socket } of sockets) socket.destroy()
  },
)

t.test('one caller’s connections leave room for others, and are counted', async (t) => {
  const sockets: Socket[] = []
  for (let count = 0; count < 5100; count += 1) {
    const socket = connect({ port, host: '127.0.0.1', localAddress: ATTACKER })
    socket.on('error', () => {})
    sockets.push(socket)
    if (count % 100 === 99) await once(socket, 'connect')
  }
  t.equal((await folder.post(CREDENTIALS)).status, 200)
  const refused = /^sallyport_connections_closed_total\{why="one_caller"\} (\d+)$/m
  while (Number(refused.exec(await folder.text(`${folder.opsUrl}/metrics`))?.[1] ?? 0) < 100) await sleep(50)
  t.equal((await folder.post(CREDENTIALS)).status, 200)
  for (const socket of sockets) socket.destroy()
})
