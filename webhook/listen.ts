// The listener that kube-apiserver comes to: HTTP/2 and HTTP/1.1 on one TLS port, a certificate that changes under open connections,
// strangers kept out by address or certificate where that is asked for, and an end that leaves nobody without an answer.
import { once } from 'node:events'
import { createSecureServer } from 'node:http2'
import type { Http2SecureServer, ServerHttp2Session } from 'node:http2'
import type { Socket } from 'node:net'
import type { PeerCertificate, TLSSocket } from 'node:tls'
import { MAX_CONNECTIONS, SERVER_TIMEOUTS } from '#platform/http/server_limits.ts'
import type { Log } from '#platform/log.ts'
import { admitOnly } from './address_gate.ts'
import type { App } from './app.ts'
import type { CertificateSource } from './certificate/source.ts'

export type ClientCertificates = {
  /** PEM of the authorities whose certificates are let in. Read again with each change of the serving certificate. */
  readonly readCa: () => string
  /** Common names or DNS names, one of which the certificate has; empty: any certificate of the authorities. */
  readonly names: readonly string[]
}

export type ReviewListenerOptions = {
  /** `undefined`: every address. */
  readonly host: string | undefined
  readonly port: number
  readonly certificate: CertificateSource
  /** Networks and addresses that are let in; `undefined`: every one. */
  readonly allowFrom: readonly string[] | undefined
  /** A connection from elsewhere was closed. */
  readonly strangerRefused: () => void
  readonly clients: ClientCertificates | undefined
  readonly connected: () => () => void
  readonly log: Pick<Log, 'debug' | 'info' | 'warn' | 'error'>
}

export type ReviewListener = {
  /** `https://0.0.0.0:8443` */
  readonly url: string
  /** No new requests on the connections that are open: each is closed with its next answer. New ones still come in. */
  drain(): void
  /** Answers what is under way, for a second at most, and closes. */
  close(): Promise<void>
}

/**
 * kube-apiserver closes an idle connection after 90 s. Whoever closes first while the other sends loses a request, so it is never
 * this side.
 */
const IDLE_MS = 120_000
/** What Go's own servers take on one connection; kube-apiserver waits with what is above. */
const MAX_STREAMS = 250
/** What reviews under way get to finish. */
const CLOSE_MS = 1000

/** Rejects when it cannot listen. */
export async function listenForReviews(app: App, options: ReviewListenerOptions): Promise<ReviewListener> {
  const { certificate, clients, allowFrom, host = '::', port, log, strangerRefused } = options
  const server = createSecureServer({
    ...secureContext(certificate, clients),
    allowHTTP1: true,
    minVersion: 'TLSv1.2',
    handshakeTimeout: SERVER_TIMEOUTS.requestMs,
    settings: { maxConcurrentStreams: MAX_STREAMS },
    ...(clients === undefined ? {} : { requestCert: true, rejectUnauthorized: true }),
  })
  limitTimes(server)
  const sockets = trackSockets(server, options.connected)
  const sessions = trackSessions(server)
  if (clients !== undefined && clients.names.length > 0) closeStrangers(server, clients.names, log)
  server.on('tlsClientError', (error) => {
    const why = codeOf(error)
    // A port that is looked at, not an API server that trusts another CA.
    if (why !== 'ECONNRESET') log.warn({ why }, 'TLS handshake failed')
  })
  server.on('secureConnection', ({ alpnProtocol, destroyed, remoteAddress: address }: TLSSocket) => {
    const protocol = alpnProtocol === 'h2' ? 'h2' : 'http/1.1'
    if (!destroyed) log.debug({ address, protocol }, 'connection opened')
  })
  // Last, since it stands before all that listens for connections.
  if (allowFrom !== undefined) admitOnly(server, allowFrom, { log, refused: strangerRefused })
  server.on('request', (request, response) => app.handle(request, response))
  const endChanges = certificate.onChange(() => {
    try {
      server.setSecureContext(secureContext(certificate, clients))
      log.info({ notAfterSeconds: certificate.current().notAfterSeconds }, 'certificate reloaded')
    } catch (error) {
      log.error({ err: error }, 'certificate not reloaded, the old one stays')
    }
  })
  server.listen(port, host)
  await once(server, 'listening')
  return {
    url: urlOf(server, host),
    drain() {
      for (const session of sessions) session.close()
    },
    async close() {
      endChanges()
      const closed = new Promise<void>((done) => server.close(() => done()))
      for (const session of sessions) session.close()
      closeIdle(server)
      const cut = setTimeout(() => {
        for (const socket of sockets) socket.destroy()
      }, CLOSE_MS)
      await closed
      clearTimeout(cut)
    },
  }
}

function secureContext(certificate: CertificateSource, clients: ClientCertificates | undefined) {
  const { cert, key } = certificate.current()
  return { cert, key, ...(clients === undefined ? {} : { ca: clients.readCa() }) }
}

/** Of HTTP/1.1; its server is inside the other one, which takes them as they stand. */
function limitTimes(server: Http2SecureServer): void {
  server.maxConnections = MAX_CONNECTIONS
  Object.assign(server, {
    headersTimeout: SERVER_TIMEOUTS.requestMs,
    // The body reader's limit comes first, and tells the caller.
    requestTimeout: 6 * SERVER_TIMEOUTS.requestMs,
    connectionsCheckingInterval: SERVER_TIMEOUTS.checkMs,
    keepAliveTimeout: IDLE_MS,
  })
  // Of HTTP/2: a session without a frame for so long is destroyed.
  server.setTimeout(IDLE_MS)
}

/** Kept by ourselves: the server knows nothing of a connection whose TLS handshake is not done. */
function trackSockets(server: Http2SecureServer, connected: () => () => void): ReadonlySet<Socket> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', connected())
    socket.once('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
  })
  return sockets
}

function trackSessions(server: Http2SecureServer): ReadonlySet<ServerHttp2Session> {
  const sessions = new Set<ServerHttp2Session>()
  server.on('session', (session) => {
    sessions.add(session)
    session.once('close', () => sessions.delete(session))
    session.on('error', () => session.destroy())
  })
  return sessions
}

/** Before anything is read from them. */
function closeStrangers(server: Http2SecureServer, names: readonly string[], log: Pick<Log, 'warn'>): void {
  server.prependListener('secureConnection', (socket: TLSSocket) => {
    if (namesOf(socket.getPeerCertificate()).some((name) => names.includes(name))) return
    log.warn({}, 'client certificate of another name, connection closed')
    socket.destroy()
  })
}

function namesOf(certificate: PeerCertificate): readonly string[] {
  const alternatives = (certificate.subjectaltname ?? '').split(', ').flatMap((entry) => {
    return entry.startsWith('DNS:') ? [entry.slice('DNS:'.length)] : []
  })
  const common: string | string[] | undefined = certificate.subject?.CN
  return [...(common === undefined ? [] : [common].flat()), ...alternatives]
}

function closeIdle(server: Http2SecureServer): void {
  if ('closeIdleConnections' in server && typeof server.closeIdleConnections === 'function')
    server.closeIdleConnections()
}

function codeOf(error: Error): string {
  return 'code' in error ? String(error.code) : error.name
}

function urlOf(server: Http2SecureServer, host: string): string {
  const address = server.address()
  const shown = host.includes(':') ? `[${host}]` : host
  return `https://${shown}:${typeof address === 'object' && address !== null ? address.port : 0}`
}
