// Keys and discovery, which every verifier polls, are answered before the router sees the request: they are texts that stand
// ready, and a process that has served tokens gives a tenth more of them so. What is not exactly a GET of one of them goes on.
import type { IncomingMessage, Server as HttpServer, ServerResponse } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import type { FastifyInstance } from 'fastify'
import type { Metrics } from '#platform/metrics.ts'

export type ServedDocument = {
  readonly headers: Readonly<Record<string, string>>
  /** Of this moment; the same text for as long as nothing changes. */
  readonly body: () => string
}

/** `documents` by path, without a query. Not for a server with hooks: nothing of the framework is asked. */
export function answerDocumentsFirst(
  app: FastifyInstance,
  documents: ReadonlyMap<string, ServedDocument>,
  metrics: Pick<Metrics, 'http'>,
): void {
  const server: HttpServer | HttpsServer = app.server
  const [router] = server.listeners('request')
  if (router === undefined) throw new Error('the server has no router')
  const ready = new Map([...documents].map(([path, document]) => [path, createAnswer(document)]))
  // A server that closes tells each caller to hang up; only the framework does that.
  let isClosing = false
  app.addHook('preClose', (done) => {
    isClosing = true
    done()
  })
  server.removeAllListeners('request')
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const { method, url = '' } = request
    const answer = method === 'GET' && !isClosing ? ready.get(url) : undefined
    if (answer === undefined) {
      Reflect.apply(router, server, [request, response])
      return
    }
    const began = performance.now()
    const bytes = answer(response)
    metrics.http(url, 'GET', 200, (performance.now() - began) / 1000, bytes)
  })
}

/** Writes the document and gives its size in bytes. The head is made once for each text. */
function createAnswer({ headers, body }: ServedDocument): (response: ServerResponse) => number {
  let known: string | undefined
  let length = 0
  let head: Record<string, string | number> = {}
  return (response) => {
    const text = body()
    if (text !== known) {
      known = text
      length = Buffer.byteLength(text)
      head = { ...headers, 'content-length': length }
    }
    response.writeHead(200, head)
    response.end(text, length === text.length ? 'latin1' : 'utf8')
    return length
  }
}
