// A network between a client and a server that fails as told: nothing arrives, no answer comes back, connections are cut.
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { Socket } from 'node:net'

/** `deaf`: what the client says arrives, no answer does. `silent`: nothing passes. `closed`: connections end at once. */
export type GateMode = 'open' | 'deaf' | 'silent' | 'closed'

export type TcpGate = {
  readonly port: number
  set(mode: GateMode): void
  /** Ends every connection, as a crash on the way does. */
  cut(): void
  readonly connections: () => number
  close(): Promise<void>
}

/** `socket`: path of a Unix socket. */
export async function startTcpGate(socket: string): Promise<TcpGate> {
  let mode: GateMode = 'open'
  const pairs = new Set<readonly [Socket, Socket]>()
  const server = createServer((inward) => {
    if (mode === 'closed') {
      inward.destroy()
      return
    }
    const outward = connect(socket)
    const pair = [inward, outward] as const
    pairs.add(pair)
    const end = (): void => {
      pairs.delete(pair)
      inward.destroy()
      outward.destroy()
    }
    inward.on('data', (data) => (mode === 'silent' ? undefined : outward.write(data)))
    outward.on('data', (data) => (mode === 'open' ? inward.write(data) : undefined))
    for (const each of pair) each.on('close', end).on('error', end)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const cut = (): void => {
    for (const pair of pairs) for (const each of pair) each.destroy()
  }
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    set: (next) => {
      mode = next
    },
    cut,
    connections: () => pairs.size,
    async close() {
      cut()
      server.close()
      await once(server, 'close')
    },
  }
}
