// A lasting connection to a kube-apiserver for servers: requests and watches over kept-alive sockets, with credentials that are
// read again as they are renewed. Bounded in time and size; what goes wrong is a value.
import { request as httpRequest } from 'node:http'
import type { ClientRequest, IncomingMessage, OutgoingHttpHeaders } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { RequestOptions } from 'node:https'
import { isJsonObject } from '#core/claims.ts'
import type { JsonObject, JsonValue } from '#core/claims.ts'
import type { Result } from '#core/result.ts'
import { readAnswer, TooLargeAnswer } from './kube_answer.ts'
import { Credentials, TCP_KEEPALIVE_MS } from './kube_credentials.ts'
import { kubeFailure, messageOf, networkText, readKubeTarget, textOf } from './kube_target.ts'
import type { Asked, KubeClientOptions, KubeFailure, KubePlace, KubeTarget } from './kube_target.ts'

export type KubeRequest = {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** With its query. */
  readonly path: string
  readonly body?: JsonObject
  /** `application/json` unless said; a patch says which. */
  readonly contentType?: string
  readonly accept?: string
  /** Default: 15 s. */
  readonly timeoutMs?: number
  /** Of the answer; what has more is a failure of the network. Default: 64 MiB. */
  readonly maxBytes?: number
}

export type KubeStream = {
  readonly path: string
  readonly accept?: string
  /** Ends the stream. */
  readonly signal: AbortSignal
  /** The answer has begun. */
  readonly onOpen: () => void
  /** Something came, if only a part of a line. */
  readonly onBytes: () => void
  readonly onLine: (line: JsonObject) => void
}

export interface KubeConnection {
  readonly place: KubePlace
  request(asked: KubeRequest): Asked<JsonObject>
  /** Resolves when the server has ended it in order; a line that is no JSON object is a failure. */
  stream(asked: KubeStream): Asked<undefined>
  close(): void
}

const TIMEOUT_MS = 15_000
/** One event holds one object, and etcd takes none above 1.5 MiB unless it was told to. */
const MAX_LINE_BYTES = 8 * 1024 * 1024

/** Reads the kubeconfig and asks nobody. `now`: monotonic milliseconds. */
export async function openKubeConnection(
  options: KubeClientOptions,
  now: () => number = () => performance.now(),
): Asked<KubeConnection> {
  const opened = await openInNamespace(options, now)
  return opened.ok ? { ok: true, value: opened.value.connection } : opened
}

/** As `openKubeConnection`, with the namespace of the context or the Pod; '' where neither says one. */
export async function openInNamespace(
  options: KubeClientOptions,
  now: () => number = () => performance.now(),
): Asked<{ readonly connection: KubeConnection; readonly namespace: string }> {
  const target = await readKubeTarget(options)
  if (!target.ok) return target
  const connection = connectionOf(target.value, new Credentials(target.value, options, now))
  return { ok: true, value: { connection, namespace: target.value.namespace } }
}

function connectionOf(target: KubeTarget, credentials: Credentials): KubeConnection {
  const { file, context, cluster } = target
  const place = { kubeconfig: file, context, server: cluster.server }
  const base = cluster.server.replace(/\/$/, '')
  /** Once more with new credentials when these are refused, and when the server had closed a kept socket. */
  async function open(path: string, options: Opening, payload?: string): Asked<IncomingMessage> {
    let last: Result<IncomingMessage, KubeFailure> | undefined
    for (const isLast of [false, true]) {
      const access = await credentials.get()
      if (!access.ok) return kubeFailure('kubeconfig', place, access.denial)
      const headers = { 'user-agent': 'sallyport', ...access.value.headers, ...options.headers }
      const opened = await openOnce(
        `${base}${path}`,
        { ...options, headers, agent: access.value.agent },
        payload,
      )
      last = opened.ok ? opened : kubeFailure('network', place, opened.denial.message)
      const isStale = opened.ok ? opened.value.statusCode === 401 : opened.denial.isStaleSocket
      if (!isStale || isLast) break
      if (opened.ok) {
        opened.value.resume()
        credentials.forget()
      }
    }
    return last ?? kubeFailure('network', place, 'nothing was asked')
  }
  return {
    place,
    async request(asked) {
      const { method, path, body, contentType = 'application/json', accept, timeoutMs = TIMEOUT_MS } = asked
      const payload = body === undefined ? undefined : JSON.stringify(body)
      const headers: OutgoingHttpHeaders = { accept: accept ?? 'application/json' }
      if (payload !== undefined) {
        headers['content-type'] = contentType
        // Said, since Node says it of no DELETE, and its body would be read as the next request.
        headers['content-length'] = Buffer.byteLength(payload)
      }
      const signal = AbortSignal.timeout(timeoutMs)
      const opened = await open(path, { method, headers, signal }, payload)
      if (!opened.ok) return withTimeout(opened, signal, place, timeoutMs)
      const status = opened.value.statusCode ?? 0
      try {
        const text = await readAnswer(opened.value, asked.maxBytes)
        if (status < 200 || status > 299) return refused(place, path, status, text)
        return parsed(place, path, text)
      } catch (error) {
        const failed = kubeFailure('network', place, networkText(error, timeoutMs))
        return error instanceof TooLargeAnswer ? tooLarge(failed) : failed
      }
    },
    async stream({ path, accept, signal, onOpen, onBytes, onLine }) {
      const headers = { accept: accept ?? 'application/json' }
      const opened = await open(path, { method: 'GET', headers, signal })
      if (!opened.ok) return opened
      const status = opened.value.statusCode ?? 0
      try {
        if (status !== 200) return refused(place, path, status, await readAnswer(opened.value))
        onOpen()
        await readLines(opened.value, onBytes, (line) => onLine(lineOf(line)))
        return { ok: true, value: undefined }
      } catch (error) {
        return kubeFailure('network', place, textOf(error))
      }
    },
    close: () => credentials.close(),
  }
}

function tooLarge(failed: Result<never, KubeFailure>): Result<never, KubeFailure> {
  return failed.ok ? failed : { ok: false, denial: { ...failed.denial, isTooLarge: true } }
}

function withTimeout(
  failed: Result<never, KubeFailure>,
  signal: AbortSignal,
  place: KubePlace,
  timeoutMs: number,
): Result<never, KubeFailure> {
  return signal.aborted ? kubeFailure('network', place, `no answer within ${timeoutMs / 1000} s`) : failed
}

function refused(place: KubePlace, path: string, status: number, text: string): Result<never, KubeFailure> {
  const [where = path] = path.split('?')
  return kubeFailure('status', place, `${where} answers ${status}${messageOf(text)}`, status)
}

function parsed(place: KubePlace, path: string, text: string): Result<JsonObject, KubeFailure> {
  try {
    return { ok: true, value: lineOf(Buffer.from(text)) }
  } catch (error) {
    return kubeFailure('unreadable', place, `${path.split('?')[0]}: ${textOf(error)}`)
  }
}

/** Throws without the text, which may be a Secret. */
function lineOf(bytes: Buffer): JsonObject {
  let value: JsonValue
  try {
    value = JSON.parse(bytes.toString('utf8'))
  } catch {
    throw new Error(`what came (${bytes.length} bytes) is no JSON`)
  }
  if (!isJsonObject(value)) throw new Error('what came is no JSON object')
  return value
}

type Opening = Pick<RequestOptions, 'method' | 'signal'> & { readonly headers: OutgoingHttpHeaders }

type Unopened = { readonly message: string; readonly isStaleSocket: boolean }

function openOnce(
  url: string,
  options: RequestOptions,
  payload: string | undefined,
): Promise<Result<IncomingMessage, Unopened>> {
  return new Promise((resolve) => {
    const answered = (message: IncomingMessage): void => resolve({ ok: true, value: message })
    const send = url.startsWith('http:') ? httpRequest : httpsRequest
    let request: ClientRequest
    try {
      request = send(url, options, answered)
    } catch (error) {
      resolve({ ok: false, denial: { message: textOf(error), isStaleSocket: false } })
      return
    }
    request.on('error', (error) => {
      const isReset = 'code' in error && (error.code === 'ECONNRESET' || error.code === 'EPIPE')
      const isStaleSocket = request.reusedSocket && isReset
      resolve({ ok: false, denial: { message: networkText(error, TIMEOUT_MS), isStaleSocket } })
    })
    request.on('socket', (socket) => socket.setKeepAlive(true, TCP_KEEPALIVE_MS))
    request.end(payload)
  })
}

const NEWLINE = 0x0a

async function readLines(
  message: IncomingMessage,
  onBytes: () => void,
  onLine: (line: Buffer) => void,
): Promise<void> {
  let held: Buffer[] = []
  let bytes = 0
  for await (const chunk of message) {
    let rest: Buffer = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk))
    onBytes()
    for (let end = rest.indexOf(NEWLINE); end >= 0; end = rest.indexOf(NEWLINE)) {
      held.push(rest.subarray(0, end))
      onLine(Buffer.concat(held))
      held = []
      bytes = 0
      rest = rest.subarray(end + 1)
    }
    bytes += rest.length
    if (bytes > MAX_LINE_BYTES) throw new Error(`it sends a line of more than ${MAX_LINE_BYTES} bytes`)
    if (rest.length > 0) held.push(rest)
  }
  if (bytes > 0) throw new Error('the stream broke off within a line')
}
