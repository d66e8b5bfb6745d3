// Who may connect to the review port at all, by address: others are gone before TLS begins, and cost one line in the log for all that
// comes from near them.
import type { Http2SecureServer } from 'node:http2'
import { isIP } from 'node:net'
import type { Socket } from 'node:net'
import { callerNetwork, createNetworkCheck, plainAddress } from '#platform/http/client_address.ts'
import type { Log } from '#platform/log.ts'

/** A network is told of again after so long. */
const TOLD_AGAIN_MS = 600_000
/** Networks told of within that time; who has more of them is found by the metric. */
const MOST_TOLD = 64

export type GateOptions = {
  readonly log: Pick<Log, 'warn'>
  readonly refused: () => void
}

/** Over all that listens for connections on `server` by now: none of it hears of a connection from elsewhere. */
export function admitOnly(
  server: Http2SecureServer,
  networks: readonly string[],
  { log, refused }: GateOptions,
): void {
  const isAllowed = createNetworkCheck(networks)
  const tell = createRefusalLog(log, () => performance.now())
  // A destroyed socket that went on to TLS would be an error there; so the listeners that begin it wait here.
  const listeners = server.listeners('connection')
  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket) => {
    const { remoteAddress } = socket
    if (remoteAddress !== undefined && isAllowed(remoteAddress)) {
      for (const listener of listeners) Reflect.apply(listener, server, [socket])
      return
    }
    socket.on('error', () => undefined)
    socket.destroy()
    // Gone by itself already: from nowhere that could be told.
    if (remoteAddress === undefined) return
    refused()
    tell(plainAddress(remoteAddress))
  })
}

/** `nowMs` is monotonic. What it remembers is bounded, and so is what it writes. */
export function createRefusalLog(log: Pick<Log, 'warn'>, nowMs: () => number): (address: string) => void {
  const told = new Set<string>()
  let endsMs = 0
  return (address) => {
    const now = nowMs()
    if (now >= endsMs) {
      told.clear()
      endsMs = now + TOLD_AGAIN_MS
    }
    const network = networkOf(address)
    if (told.has(network) || told.size >= MOST_TOLD) return
    told.add(network)
    log.warn(
      { address, network, setting: 'listen.allowFrom' },
      'connection from an address that is not let in, closed; more from its network are counted, and told of after ten minutes',
    )
  }
}

/** What one neighbour has many of: the /24 of an IPv4 address, the /64 of an IPv6 one. */
function networkOf(address: string): string {
  return isIP(address) === 4 ? `${address.slice(0, address.lastIndexOf('.'))}.0/24` : callerNetwork(address)
}
