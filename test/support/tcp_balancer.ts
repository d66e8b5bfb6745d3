// What kube-proxy is in a cluster: one address, each connection to another server behind it, and past those that are not there.
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { Socket } from 'node:net'

export type TcpBalancer = { readonly port: number; close(): Promise<void> }

/** `isUp`: one that looks whether a server wants more to do, and passes by those that do not. */
export async function startTcpBalancer(
  ports: readonly number[],
  isUp: (port: number) => boolean = () => true,
): Promise<TcpBalancer> {
  const sockets = new Set<Socket>()
  let turn = 0
  const track = (socket: Socket): void => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  }
  const join = (inward: Socket, left: number): void => {
    turn += 1
    const up = ports.filter(isUp)
    const outward = connect(up[turn % up.length] ?? 0, '127.0.0.1')
    let isThere = false
    track(outward)
    outward.once('connect', () => {
      isThere = true
      inward.pipe(outward).pipe(inward)
      inward.once('close', () => outward.destroy())
      outward.once('close', () => inward.destroy())
    })
    outward.on('error', () => {
      if (!isThere && left > 1) join(inward, left - 1)
      else inward.destroy()
    })
  }
  const server = createServer((inward) => {
    track(inward)
    inward.on('error', () => inward.destroy())
    join(inward, ports.length)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
