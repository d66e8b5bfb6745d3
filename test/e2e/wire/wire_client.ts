// One HTTP/1.1 request as a probe says it, nothing added but Host, Connection and Content-Length; the answer as it came.
import { Agent, request as httpRequest } from 'node:http'

export type WireRequest = {
  readonly method: string
  /** Absolute path with query, sent as it is. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export type WireResponse = {
  readonly status: number
  /** In the order they came, names in lower case. */
  readonly headers: readonly (readonly [string, string])[]
  readonly body: Buffer
}

const agent = new Agent({ keepAlive: true, maxSockets: 4 })
const TIMEOUT_MS = 30_000

/** @param origin `http://127.0.0.1:PORT` */
export function send(origin: string, request: WireRequest): Promise<WireResponse> {
  const { hostname, port } = new URL(origin)
  const length = Buffer.byteLength(request.body)
  const bodyless = request.body === '' && request.method !== 'POST' && request.method !== 'PUT'
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(
      {
        agent,
        hostname,
        port,
        method: request.method,
        path: request.path,
        headers: bodyless ? request.headers : { ...request.headers, 'content-length': length },
      },
      (incoming) => {
        const chunks: Buffer[] = []
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
        incoming.once('error', reject)
        incoming.once('end', () =>
          resolve({
            status: incoming.statusCode ?? 0,
            headers: pairs(incoming.rawHeaders),
            body: Buffer.concat(chunks),
          }),
        )
      },
    )
    outgoing.setTimeout(TIMEOUT_MS, () => outgoing.destroy(new Error(`no answer in ${TIMEOUT_MS} ms`)))
    // A server that refuses a long body may close before all of it is sent; the answer counts, if one came.
    outgoing.on('error', reject)
    outgoing.end(request.body)
  })
}

function pairs(raw: readonly string[]): (readonly [string, string])[] {
  const result: (readonly [string, string])[] = []
  for (let index = 0; index + 1 < raw.length; index += 2) {
    result.push([(raw[index] ?? '').toLowerCase(), raw[index + 1] ?? ''])
  }
  return result
}
