// Shows one kube-apiserver a token and says what became of it, and reads from its metrics which key set it fetched last.
// Its own roots or the system's, no redirect, no proxy, bounded in time and size. Tokens are never in what it says.
import { Agent, request } from 'node:https'
import type { IncomingMessage } from 'node:http'
import { metricHash, readApiserverMetrics } from '#core/kube/apiserver_metrics.ts'

const TOTAL_MS = 5000
const MAX_REVIEW_BYTES = 64 * 1024
/** A large cluster's apiserver writes some 30 MB. */
const MAX_METRICS_BYTES = 128 * 1024 * 1024
const MAX_LINE_BYTES = 16 * 1024
const METRICS_MS = 20_000

type Presented =
  /** It knows who the token is of. */
  | { readonly outcome: 'accepted' }
  | { readonly outcome: 'refused' }
  | { readonly outcome: 'failed'; readonly detail: string }

export interface ApiserverProbe {
  /** `nonce`: stands in the token's claims; an answer that does not know it comes from somebody who did not read it. */
  present(token: string, nonce: string): Promise<Presented>
  /** `sha256:<hex>` of the key set it fetched last from that issuer; `undefined` when it does not say. Never rejects. */
  lastKeySet(metricsToken: string, issuer: string): Promise<string | undefined>
  close(): void
}

export function createApiserverProbe(server: {
  readonly url: string
  /** PEM; `undefined`: the system's roots. */
  readonly caPem: string | undefined
}): ApiserverProbe {
  const agent = new Agent({
    // A connection for each question: one that died meanwhile must not be taken for an apiserver that did.
    keepAlive: false,
    maxSockets: 2,
    minVersion: 'TLSv1.2',
    // Said out loud, so that NODE_TLS_REJECT_UNAUTHORIZED cannot say otherwise: a token goes there.
    rejectUnauthorized: true,
    ...(server.caPem === undefined ? {} : { ca: server.caPem }),
  })
  return {
    async present(token, nonce) {
      try {
        const review = await ask({
          ...server,
          agent,
          token,
          path: REVIEW_PATH,
          body: REVIEW,
          timeoutMs: TOTAL_MS,
        })
        return judge(review.statusCode ?? 0, await readText(review, MAX_REVIEW_BYTES), nonce)
      } catch (error) {
        return { outcome: 'failed', detail: reasonOf(error) }
      }
    },
    async lastKeySet(metricsToken, issuer) {
      try {
        const call = { ...server, agent, token: metricsToken, path: '/metrics', body: undefined }
        const metrics = await ask({ ...call, timeoutMs: METRICS_MS })
        if (metrics.statusCode === 200) return await findKeySet(metrics, issuer)
        metrics.destroy()
        return undefined
      } catch {
        // It is the second way to know; the first one says what is wrong with the address.
        return undefined
      }
    },
    close: () => agent.destroy(),
  }
}

const REVIEW_PATH = '/apis/authentication.k8s.io/v1/selfsubjectreviews'
const REVIEW = JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' })

/** Who am I? 201 with the user; 403 names the user, too, where a cluster took that question away from everybody. */
function judge(status: number, body: string, nonce: string): Presented {
  if (status === 401) return { outcome: 'refused' }
  if ((status === 201 || status === 403) && body.includes(nonce)) return { outcome: 'accepted' }
  const unknown =
    status === 201 || status === 403 ? ' without knowing the token: is it a kube-apiserver?' : ''
  return { outcome: 'failed', detail: `it answered ${status}${unknown}` }
}

type Call = {
  readonly url: string
  readonly path: string
  readonly agent: Agent
  readonly token: string
  readonly body: string | undefined
  readonly timeoutMs: number
}

function ask({ url, path, agent, token, body, timeoutMs }: Call): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const length =
    body === undefined ? {} : { 'content-type': 'application/json', 'content-length': body.length }
  const outgoing = request(new URL(path, url), {
    method: body === undefined ? 'GET' : 'POST',
    agent,
    headers: { authorization: `Bearer ${token}`, 'user-agent': 'sallyport', ...length },
    signal: AbortSignal.timeout(timeoutMs),
  })
  outgoing.once('response', resolve)
  outgoing.once('error', reject)
  outgoing.end(body)
  return promise
}

async function readText(message: IncomingMessage, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of message) {
    const part = Buffer.from(chunk)
    bytes += part.length
    if (bytes > maxBytes) throw new Error(`it answered more than ${maxBytes} bytes`)
    chunks.push(part)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/**
 * Of tens of megabytes the few lines that count are kept. No more than `maxBytes` are taken, line breaks or not, and of a line
 * that is longer than any of ours nothing is kept. Leaving the loop ends the answer.
 */
export async function findKeySet(
  metrics: AsyncIterable<unknown>,
  issuer: string,
  maxBytes = MAX_METRICS_BYTES,
): Promise<string | undefined> {
  const lines: string[] = []
  const keep = (line: string): void => {
    if (line.startsWith('apiserver_authentication_') && line.length <= MAX_LINE_BYTES) lines.push(line)
  }
  let bytes = 0
  let rest = ''
  for await (const chunk of metrics) {
    const part = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk))
    bytes += part.length
    if (bytes > maxBytes) break
    // What counts is ASCII; a letter that two chunks share is in no line of ours.
    const [first = '', ...more] = part.toString('latin1').split('\n')
    // One more than fits says that the line is too long.
    rest = `${rest}${first}`.slice(0, MAX_LINE_BYTES + 1)
    for (const next of more) {
      keep(rest)
      rest = next
    }
  }
  keep(rest)
  return readApiserverMetrics(lines.join('\n')).issuers.get(metricHash(issuer))?.keySetHash
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'it cannot be reached'
  if (error.name === 'TimeoutError' || error.name === 'AbortError') return 'it did not answer in time'
  return 'code' in error && typeof error.code === 'string' ? `${error.code}: ${error.message}` : error.message
}
