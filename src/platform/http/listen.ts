// Opening and closing listeners: TLS files read at start and again when they change, a graceful end that lets requests
// under way finish.
import { lookup } from 'node:dns/promises'
import { readFileSync, unwatchFile, watchFile } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Server as HttpsServer } from 'node:https'
import type { Socket } from 'node:net'
import { setImmediate as endOfTurn } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import type { Log } from '../log.ts'

export type ListenerConfig = {
  readonly host: string
  readonly port: number
  readonly tls: TlsFiles | undefined
}

export type TlsFiles = {
  readonly certFile: string
  readonly keyFile: string
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3'
  readonly maxVersion: 'TLSv1.2' | 'TLSv1.3'
}

export type Listening = {
  /** `https://127.0.0.1:8443` */
  readonly url: string
  readonly reloadTls: () => void
  /** Goes on answering, but for the last time on each connection: whoever comes again comes by another. */
  readonly drain: () => void
  readonly close: () => Promise<void>
}

/** How often TLS files are looked at. */
const TLS_CHECK_MS = 5000

export function readTls(files: TlsFiles) {
  return {
    cert: readFileSync(files.certFile),
    key: readFileSync(files.keyFile),
    minVersion: files.minVersion,
    maxVersion: files.maxVersion,
  }
}

/** What requests under way get to finish; then every connection is cut, also one that never said anything. */
const DRAIN_MS = 1000

export async function listen(app: FastifyInstance, config: ListenerConfig, log: Log): Promise<Listening> {
  // Kept by ourselves: the HTTP server knows nothing of a connection whose TLS handshake is not done.
  const sockets = new Set<Socket>()
  app.server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  await app.listen({ host: await addressOf(config.host), port: config.port })
  const reloadTls = (): void => {
    if (config.tls !== undefined) swapCertificate(app, config.tls, log)
  }
  const files = config.tls === undefined ? [] : [config.tls.certFile, config.tls.keyFile]
  for (const file of files) watchFile(file, { interval: TLS_CHECK_MS, persistent: false }, reloadTls)
  return {
    url: urlOf(app, config),
    reloadTls,
    drain() {
      app.server.prependListener('request', (_request: IncomingMessage, response: ServerResponse) => {
        response.shouldKeepAlive = false
      })
    },
    async close() {
      for (const file of files) unwatchFile(file, reloadTls)
      const cut = setTimeout(() => {
        for (const socket of sockets) socket.destroy()
      }, DRAIN_MS)
      // Those that were read in this turn are under way, though nobody has routed them yet (arrivals.ts).
      await endOfTurn()
      await app.close()
      clearTimeout(cut)
    },
  }
}

/**
 * One address of a name, IPv4 first, as Go's net.Listen has it. Fastify would open one more server for each further address of
 * `localhost`, and that one has none of the limits that were put on the first.
 */
async function addressOf(host: string): Promise<string> {
  return host === 'localhost' ? (await lookup(host, { order: 'ipv4first' })).address : host
}

/** New connections get the new certificate; a pair that does not fit leaves the old one in place. */
function swapCertificate(app: FastifyInstance, files: TlsFiles, log: Log): void {
  const { server } = app
  if (!(server instanceof HttpsServer)) return
  try {
    server.setSecureContext(readTls(files))
    log.info({ certFile: files.certFile }, 'certificate reloaded')
  } catch (error) {
    log.error({ certFile: files.certFile, err: error }, 'certificate not reloaded, the old one stays')
  }
}

function urlOf(app: FastifyInstance, config: ListenerConfig): string {
  const address = app.server.address()
  const host = config.host.includes(':') ? `[${config.host}]` : config.host
  return `${config.tls === undefined ? 'http' : 'https'}://${host}:${typeof address === 'object' && address !== null ? address.port : config.port}`
}
