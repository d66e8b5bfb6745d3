// The only way out to an issuer, and to a signer elsewhere: one request, bounded in time, size and reach. No redirect,
// no compression, no proxy from the environment, no global agent. What goes wrong is a value, because a dead issuer is
// expected.
import http from 'node:http'
import https from 'node:https'
import { createSecureContext, getCACertificates } from 'node:tls'
import type { SecureContext } from 'node:tls'
import type { AddressReach } from './address_rules.ts'
import { AddressRefused, guardedLookup, permitUrl, sharedResolve } from './egress_guard.ts'
import type { EgressRefusal, EgressRules, ResolveHost } from './egress_guard.ts'

export type FetchLimits = {
  /** From the call to the last byte of the body, on the monotonic clock. */
  readonly totalMs: number
  readonly maxBodyBytes: number
}

export const FETCH_LIMITS: FetchLimits = { totalMs: 5000, maxBodyBytes: 256 * 1024 }

type FetchOptions = {
  readonly headers?: Readonly<Record<string, string>>
  /** Less than `totalMs`: what is left of a longer undertaking. */
  readonly timeoutMs?: number
}

export type Fetched = {
  readonly ok: true
  readonly status: number
  readonly contentType: string
  readonly cacheControl: string
  /** Date, Expires and Last-Modified as sent, for whoever reckons how long the answer is fresh; '' when absent. */
  readonly dates: { readonly date: string; readonly expires: string; readonly lastModified: string }
  readonly body: Buffer
}

export type FetchFailure = {
  readonly ok: false
  readonly kind: EgressRefusal['kind'] | 'timeout' | 'too_large' | 'redirect' | 'encoding' | 'network'
  /** For logs: an error code or a phrase, never what the peer sent. */
  readonly detail: string
  /** Of a redirect: where to, as the peer wrote it. Nobody has followed or judged it. */
  readonly location?: string
}

export interface BoundedFetch {
  /** GETs `url`. Any status but a redirect is a fetched answer. Never rejects. */
  get(url: string, options?: FetchOptions): Promise<Fetched | FetchFailure>
  /** POSTs JSON. Sent a second time when an idle connection was closed under it, so only for what may be done twice. */
  post(url: string, json: string, options?: FetchOptions): Promise<Fetched | FetchFailure>
  /** Closes idle connections and fails running requests. */
  close(): void
}

export type BoundedFetchConfig = {
  readonly rules: EgressRules
  readonly tls: {
    readonly caPem: string | undefined
    /** The system's roots are trusted beside `caPem` unless this says no. */
    readonly withSystemRoots?: boolean
    readonly insecureSkipVerify: boolean
  }
  readonly limits?: FetchLimits
  readonly resolve?: ResolveHost
}

const MAX_SOCKETS = 32
const MAX_IDLE_SOCKETS = 4
const IDLE_SOCKET_MS = 15_000
const MAX_HEADER_BYTES = 16 * 1024

export function createBoundedFetch({
  rules,
  tls,
  limits = FETCH_LIMITS,
  resolve,
}: BoundedFetchConfig): BoundedFetch {
  const agents = createAgents(tls)
  const resolveOnce = sharedResolve(resolve)
  const ask = async (
    raw: string,
    options: FetchOptions = {},
    json?: string,
  ): Promise<Fetched | FetchFailure> => {
    const permit = permitUrl(raw, rules)
    if (!('url' in permit)) return { ok: false, ...permit }
    const deadline = performance.now() + Math.min(options.timeoutMs ?? limits.totalMs, limits.totalMs)
    const once = (): Promise<Fetched | FetchFailure> =>
      send({
        ...permit,
        json,
        agents,
        resolve: resolveOnce,
        headers: options.headers ?? {},
        deadline,
        maxBodyBytes: limits.maxBodyBytes,
      })
    const first = await once()
    // The peer closed an idle connection in the moment it was used again: nothing was lost but the connection.
    return !first.ok && first.detail === REUSED_RESET ? once() : first
  }
  return {
    get: (url, options) => ask(url, options),
    post: (url, json, options) => ask(url, options, json),
    close() {
      agents.http.destroy()
      agents.https.destroy()
    },
  }
}

type Agents = { readonly http: http.Agent; readonly https: https.Agent }

function createAgents(tls: BoundedFetchConfig['tls']): Agents {
  const sockets = {
    keepAlive: true,
    maxSockets: MAX_SOCKETS,
    maxFreeSockets: MAX_IDLE_SOCKETS,
    timeout: IDLE_SOCKET_MS,
  }
  return {
    http: new http.Agent(sockets),
    https: new https.Agent({
      ...sockets,
      minVersion: 'TLSv1.2',
      // Said out loud, so that NODE_TLS_REJECT_UNAUTHORIZED cannot say otherwise.
      rejectUnauthorized: !tls.insecureSkipVerify,
      ...(tls.caPem === undefined ? {} : { secureContext: contextOf(tls.caPem, tls.withSystemRoots) }),
    }),
  }
}

/**
 * The connector's CA beside the system's roots, as Dex does with rootCAs; for this connector alone. Made once: parsing all
 * roots for each connection would cost more than the request.
 */
function contextOf(caPem: string, withSystemRoots = true): SecureContext {
  const roots = withSystemRoots ? getCACertificates('default') : []
  return createSecureContext({ ca: [...roots, caPem], minVersion: 'TLSv1.2' })
}

type Outgoing = {
  readonly url: URL
  /** Body of a POST; without one it is a GET. */
  readonly json: string | undefined
  readonly reach: AddressReach
  readonly agents: Agents
  readonly resolve: ResolveHost
  readonly headers: Readonly<Record<string, string>>
  /** On the monotonic clock. */
  readonly deadline: number
  readonly maxBodyBytes: number
}

const REUSED_RESET = 'idle connection was closed'

async function send(outgoing: Outgoing): Promise<Fetched | FetchFailure> {
  return new Promise((resolve) => {
    const options = {
      method: outgoing.json === undefined ? 'GET' : 'POST',
      lookup: guardedLookup(outgoing.reach, outgoing.resolve),
      maxHeaderSize: MAX_HEADER_BYTES,
      headers: {
        accept: 'application/json',
        'accept-encoding': 'identity',
        'user-agent': 'sallyport',
        ...(outgoing.json !== undefined && {
          'content-type': 'application/json',
          'content-length': String(Buffer.byteLength(outgoing.json)),
        }),
        ...outgoing.headers,
      },
    }
    const request =
      outgoing.url.protocol === 'https:'
        ? https.request(outgoing.url, { ...options, agent: outgoing.agents.https })
        : http.request(outgoing.url, { ...options, agent: outgoing.agents.http })
    const finish = (result: Fetched | FetchFailure): void => {
      clearTimeout(timer)
      resolve(result)
      if (!result.ok) request.destroy()
    }
    const timer = setTimeout(
      () => finish(failure('timeout', 'no whole answer in time')),
      Math.max(0, outgoing.deadline - performance.now()),
    )
    request.on('error', (error) => finish(networkFailure(error, request.reusedSocket)))
    request.on('response', (response) => receive(response, outgoing.maxBodyBytes, finish))
    request.end(outgoing.json)
  })
}

/** Reads the answer as far as it is one that we take. */
function receive(
  response: http.IncomingMessage,
  maxBodyBytes: number,
  finish: (result: Fetched | FetchFailure) => void,
): void {
  const status = response.statusCode ?? 0
  const encoding = response.headers['content-encoding'] ?? 'identity'
  if (status >= 300 && status < 400)
    return finish({ ...failure('redirect', `status ${status}`), location: response.headers.location ?? '' })
  if (encoding.toLowerCase() !== 'identity') return finish(failure('encoding', 'a compressed answer'))
  if (Number(response.headers['content-length'] ?? 0) > maxBodyBytes) return finish(tooLarge(maxBodyBytes))
  const chunks: Buffer[] = []
  let bytes = 0
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > maxBodyBytes) finish(tooLarge(maxBodyBytes))
    else chunks.push(chunk)
  })
  response.on('error', (error) => finish(networkFailure(error, false)))
  response.on('end', () =>
    finish({
      ok: true,
      status,
      contentType: response.headers['content-type'] ?? '',
      cacheControl: response.headers['cache-control'] ?? '',
      dates: {
        date: response.headers.date ?? '',
        expires: response.headers.expires ?? '',
        lastModified: response.headers['last-modified'] ?? '',
      },
      body: Buffer.concat(chunks, bytes),
    }),
  )
}

function networkFailure(error: Error, reused: boolean): FetchFailure {
  if (error instanceof AddressRefused) return failure('address', error.message)
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name
  return failure('network', reused && code === 'ECONNRESET' ? REUSED_RESET : code)
}

function tooLarge(maxBodyBytes: number): FetchFailure {
  return failure('too_large', `more than ${maxBodyBytes} bytes`)
}

function failure(kind: FetchFailure['kind'], detail: string): FetchFailure {
  return { ok: false, kind, detail }
}
