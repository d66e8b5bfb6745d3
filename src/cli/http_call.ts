// One bounded HTTP call of a command: a deadline, a size cap, no redirect, few retries. Used towards the broker and
// towards the endpoint where a job asks for its token; both are named by the job's own environment.
import { request as httpRequest, Agent as HttpAgent } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { request as httpsRequest, Agent as HttpsAgent } from 'node:https'
import { getCACertificates } from 'node:tls'
import type { RandomBytes } from '#core/clock.ts'
import { HttpFailure } from './http_failure.ts'

const ATTEMPT_TIMEOUT_MS = 10_000
/** A token answer is a few KB; Dex's longest group lists stay below this. */
const MAX_ANSWER_BYTES = 256 * 1024
const MAX_ATTEMPTS = 3
const BACKOFF_MS = 500
const MAX_RETRY_AFTER_MS = 10_000

export type HttpRequest = {
  readonly method: 'GET' | 'POST'
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
}

export type HttpAnswer = {
  readonly status: number
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly body: string
}

/** Rejects with an HttpFailure when no answer came: name lookup, connection, TLS, deadline, size. */
export type HttpCaller = (request: HttpRequest) => Promise<HttpAnswer>

export type HttpCallerDeps = {
  readonly sleep: (milliseconds: number) => Promise<void>
  readonly randomBytes: RandomBytes
  readonly env: Readonly<Record<string, string | undefined>>
  /** PEM certificates trusted besides the system's. */
  readonly caPem: string | undefined
}

/** Three attempts, with jitter, on 5xx, 429 and a connection that broke; never on another 4xx, never on a deadline. */
export function createHttpCaller(deps: HttpCallerDeps): HttpCaller {
  const trusts = trustsOf(deps.caPem)
  const agents = trusts.map((ca) => createAgents(deps.env, ca))
  return async (request) => {
    for (let attempt = 1; ; attempt += 1) {
      const outcome = await tryEach(request, agents)
      if (attempt === MAX_ATTEMPTS || !isWorthRepeating(outcome)) {
        if (outcome instanceof HttpFailure) throw outcome
        return outcome
      }
      await deps.sleep(pauseMs(attempt, outcome, deps.randomBytes))
    }
  }
}

type Trust = () => { ca?: string[] }

/**
 * Which certificates are tried, in order. Who names a CA nearly always means the one of this server, and reading the
 * system's hundred and more takes as long as all the rest of a call: they are asked when that CA, or those that come
 * with Node, do not do. Nothing is sent before a certificate was found good.
 */
function trustsOf(caPem: string | undefined): readonly Trust[] {
  const [first, named] = caPem === undefined ? [() => ({}), []] : [() => ({ ca: [caPem] }), [caPem]]
  return [first, () => ({ ca: [...new Set([...knownCas(), ...named])] })]
}

/** Those that come with Node, of NODE_EXTRA_CA_CERTS, and of the system: on Linux SSL_CERT_FILE and _DIR, or /etc/ssl. */
function knownCas(): readonly string[] {
  return [...getCACertificates('default'), ...getCACertificates('system')]
}

/** The agent for a URL, made when it is needed and kept. */
type AgentOf = (url: URL) => HttpAgent

/** `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` are honoured where the running Node knows `proxyEnv` (24.5 on). */
function createAgents(env: HttpCallerDeps['env'], trust: Trust): AgentOf {
  const proxyEnv = { ...env }
  let plain: HttpAgent | undefined
  let secure: HttpsAgent | undefined
  return ({ protocol }) =>
    protocol === 'https:'
      ? (secure ??= new HttpsAgent({ proxyEnv, ...trust() }))
      : (plain ??= new HttpAgent({ proxyEnv }))
}

async function tryEach(
  request: HttpRequest,
  [first, ...others]: readonly AgentOf[],
): Promise<HttpAnswer | HttpFailure> {
  if (first === undefined) throw new Error('nothing is trusted')
  const outcome = await tryOnce(request, first)
  const isUntrusted = outcome instanceof HttpFailure && isCertificateProblem(outcome.code)
  return isUntrusted && others.length > 0 ? tryEach(request, others) : outcome
}

async function tryOnce(request: HttpRequest, agentOf: AgentOf): Promise<HttpAnswer | HttpFailure> {
  try {
    return await callOnce(request, agentOf)
  } catch (error) {
    return error instanceof HttpFailure ? error : toFailure(error, request.url)
  }
}

async function callOnce(request: HttpRequest, agentOf: AgentOf): Promise<HttpAnswer> {
  const send = request.url.protocol === 'https:' ? httpsRequest : httpRequest
  const body = request.body === undefined ? undefined : Buffer.from(request.body, 'utf8')
  const response = new Promise<HttpAnswer>((resolve, reject) => {
    const options = {
      method: request.method,
      headers: { ...request.headers, ...(body && { 'content-length': String(body.length) }) },
      signal: AbortSignal.timeout(ATTEMPT_TIMEOUT_MS),
      agent: agentOf(request.url),
    }
    const answered = (message: IncomingMessage): void => {
      readAnswer(message, request.url).then(resolve, reject)
    }
    const sent = send(request.url, options, answered)
    sent.on('error', reject)
    sent.end(body)
  })
  return response
}

async function readAnswer(message: IncomingMessage, url: URL): Promise<HttpAnswer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of message) {
    const part: Buffer = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk))
    bytes += part.length
    if (bytes > MAX_ANSWER_BYTES) {
      throw new HttpFailure('too_large', `${url.host} answered more than ${MAX_ANSWER_BYTES} bytes`)
    }
    chunks.push(part)
  }
  return {
    status: message.statusCode ?? 0,
    headers: message.headers,
    body: Buffer.concat(chunks).toString('utf8'),
  }
}

/** Connections that broke or were not taken, and a resolver that is busy: none of them says anything about the request. */
const BROKEN = new Set(['ECONNRESET', 'ECONNREFUSED', 'EPIPE', 'EAI_AGAIN'])

function isWorthRepeating(outcome: HttpAnswer | HttpFailure): boolean {
  if (outcome instanceof HttpFailure) return BROKEN.has(outcome.code)
  return outcome.status === 429 || outcome.status >= 500
}

function pauseMs(attempt: number, outcome: HttpAnswer | HttpFailure, randomBytes: RandomBytes): number {
  const asked = outcome instanceof HttpFailure ? undefined : outcome.headers['retry-after']
  if (typeof asked === 'string' && /^\d{1,5}$/.test(asked))
    return Math.min(Number(asked) * 1000, MAX_RETRY_AFTER_MS)
  const jitter = (randomBytes(1)[0] ?? 0) / 256
  return BACKOFF_MS * 2 ** (attempt - 1) * (0.5 + jitter)
}

function toFailure(error: unknown, url: URL): HttpFailure {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'failed'
  if (error instanceof Error && (error.name === 'TimeoutError' || error.name === 'AbortError')) {
    return new HttpFailure('timeout', `${url.host} did not answer within ${ATTEMPT_TIMEOUT_MS / 1000} s`, {
      cause: error,
    })
  }
  const text = error instanceof Error ? error.message : String(error)
  const said = UNKNOWN_CA.has(code)
    ? `its certificate comes from no CA that is known here (${code}); name the CA with --ca-file`
    : text
  return new HttpFailure(code, `${url.host} could not be reached: ${said}`, { cause: error })
}

/** OpenSSL's words for a chain that ends nowhere. Node's own hint would be to start Node with another flag. */
const UNKNOWN_CA = new Set([
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_UNTRUSTED',
])

function isCertificateProblem(code: string): boolean {
  return code.includes('CERT') || UNKNOWN_CA.has(code)
}
