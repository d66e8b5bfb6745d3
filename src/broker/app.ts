// The public listener: which path is answered by what. Each handler is a function of a raw request; this file is the
// only one that knows Fastify.
import cors from '@fastify/cors'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { jwksMaxAgeSeconds } from '#core/key_rotation.ts'
import { createClientAddress } from '#platform/http/client_address.ts'
import type { ClientAddressOf } from '#platform/http/client_address.ts'
import { createRequestIds } from '#platform/http/request_id.ts'
import type { Broker } from './broker.ts'
import type { Answer } from './wire/answer.ts'
import { brokerPaths } from './wire/documents.ts'
import { answerIntrospection } from './wire/introspection_endpoint.ts'
import { answerRejected, answerToken } from './wire/token_endpoint.ts'
import type { RawRequest } from './wire/token_endpoint.ts'
import { answerUserinfo } from './wire/userinfo_endpoint.ts'

/** Form bodies of all endpoints; a subject token is 16 KiB at most. */
const MAX_BODY_BYTES = 64 * 1024

/** Dex's `web.allowedHeaders` where none are named. */
const DEFAULT_ALLOWED_HEADER = 'Authorization'

export type PublicServerOptions = {
  readonly https:
    | {
        readonly cert: Buffer
        readonly key: Buffer
        readonly minVersion: string
        readonly maxVersion: string
      }
    | undefined
}

export async function createPublicApp(
  broker: Broker,
  options: PublicServerOptions,
): Promise<FastifyInstance> {
  const requestId = createRequestIds(broker.parts.randomBytes)
  const app: FastifyInstance = Fastify({
    ...(options.https === undefined ? {} : { https: options.https }),
    logger: false,
    bodyLimit: MAX_BODY_BYTES,
    exposeHeadRoutes: false,
    genReqId: requestId,
    // A body that trickles in holds a socket, not the process: 10 s for the whole request.
    requestTimeout: 10_000,
    connectionTimeout: 30_000,
    keepAliveTimeout: 72_000,
    routerOptions: { onBadUrl: (_path, _request, response) => void response.writeHead(400).end() },
  })
  const { web, issuer } = broker.live().config
  const paths = brokerPaths(issuer)
  const addressOf = createClientAddress(web.clientAddress)

  readBodiesRaw(app)
  // First, so that refusals carry them, too.
  if (Object.keys(web.headers).length > 0)
    app.addHook('onRequest', async (_request, reply) => void reply.headers(web.headers))
  limitConcurrency(app, broker)
  countRequests(app, broker)
  // Before the routes: a scope takes the handler that is there when it is made.
  answerFailures(app, broker, paths.token, addressOf)

  await app.register(async (scope) => {
    if (web.allowedOrigins.length > 0) {
      await scope.register(cors, {
        origin: web.allowedOrigins.includes('*') ? '*' : [...web.allowedOrigins],
        allowedHeaders: web.allowedHeaders.length > 0 ? [...web.allowedHeaders] : [DEFAULT_ALLOWED_HEADER],
        methods: ['GET', 'HEAD', 'POST'],
      })
    }
    scope.all(paths.token, async (request, reply) =>
      send(reply, await answerToken(rawRequest(request, addressOf), broker.live().token)),
    )
    scope.all(paths.introspect, async (request, reply) =>
      send(reply, await answerIntrospection(rawRequest(request, addressOf), broker.live().introspection)),
    )
    scope.all(paths.userinfo, async (request, reply) =>
      send(reply, await answerUserinfo(rawRequest(request, addressOf), broker.live().userinfo)),
    )
    scope.all(paths.discovery, async (_request, reply) => sendDocument(reply, broker.live().discovery, {}))
    scope.all(paths.metadata, async (_request, reply) => sendDocument(reply, broker.live().metadata, {}))
    scope.all(paths.keys, async (_request, reply) =>
      sendDocument(reply, broker.parts.keyRing.jwks().body, {
        'cache-control': `public, max-age=${jwksMaxAgeSeconds}, must-revalidate`,
      }),
    )
  })
  app.all(paths.health, async (_request, reply) => {
    await broker.parts.store.ping()
    return reply.header('content-type', 'text/plain; charset=utf-8').send('Health check passed')
  })
  return app
}

/** Every content type is left to the endpoints, which judge it as Go does. */
function readBodiesRaw(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
}

/** Callbacks, not promises: these run for every request, and a promise each would cost more than what they do. */
function limitConcurrency(app: FastifyInstance, broker: Broker): void {
  let running = 0
  app.addHook('onRequest', (_request, reply, done) => {
    running += 1
    // Not `onResponse`, which never comes for a caller that went away: its place must be free again.
    reply.raw.once('close', () => {
      running -= 1
    })
    const { maxConcurrentRequests } = broker.live().config.limits
    if (maxConcurrentRequests === 0 || running <= maxConcurrentRequests) return done()
    void reply.code(503).headers({ 'retry-after': '1', 'content-type': 'application/json' }).send(BUSY)
  })
}

function countRequests(app: FastifyInstance, broker: Broker): void {
  app.addHook('onResponse', (request, reply, done) => {
    const bytes = Number(reply.getHeader('content-length') ?? 0)
    const handler = request.routeOptions.url ?? 'not found'
    broker.parts.metrics.http(handler, request.method, reply.statusCode, reply.elapsedTime / 1000, bytes)
    done()
  })
}

function rawRequest(request: FastifyRequest, addressOf: ClientAddressOf): RawRequest {
  const url = request.raw.url ?? ''
  const mark = url.indexOf('?')
  return {
    method: request.method,
    query: mark === -1 ? '' : url.slice(mark + 1),
    contentType: contentTypeOf(request),
    authorization: authorizationOf(request),
    body: Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0),
    peer: peerOf(request, addressOf),
    requestId: request.id,
  }
}

/** Node keeps only the first of two Authorization headers, so the raw ones are asked. */
function authorizationOf(request: FastifyRequest): readonly string[] {
  return request.headers.authorization === undefined ? [] : rawValues(request, 'authorization')
}

/** Two of them, joined as a list would be, are no content type at all. */
function contentTypeOf(request: FastifyRequest): string | undefined {
  return request.headers['content-type'] === undefined
    ? undefined
    : rawValues(request, 'content-type').join(', ')
}

function rawValues(request: FastifyRequest, name: string): readonly string[] {
  const { rawHeaders } = request.raw
  const values: string[] = []
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const header = rawHeaders[index]
    if (header?.length === name.length && header.toLowerCase() === name)
      values.push(rawHeaders[index + 1] ?? '')
  }
  return values
}

function peerOf(request: FastifyRequest, addressOf: ClientAddressOf): string {
  return addressOf(request.raw.socket.remoteAddress ?? '', (name) => {
    const value = request.headers[name]
    return Array.isArray(value) ? value.join(',') : value
  })
}

function send(reply: FastifyReply, answer: Answer): FastifyReply {
  return (
    reply
      .code(answer.status)
      .headers(answer.headers)
      .header('x-request-id', reply.request.id)
      // Bytes, since Fastify would add a charset to a JSON text (Dex says none, RFC 8259 knows none).
      .send(Buffer.from(answer.body))
  )
}

function sendDocument(
  reply: FastifyReply,
  body: Buffer,
  headers: Readonly<Record<string, string>>,
): FastifyReply {
  return reply.header('content-type', 'application/json').headers(headers).send(body)
}

const BUSY = Buffer.from('{"error":"temporarily_unavailable"}')
const NOT_FOUND = '404 page not found\n'

/** Go's 404 page, one constant 500, and the frame's own refusals in the endpoint's words. */
function answerFailures(
  app: FastifyInstance,
  broker: Broker,
  tokenPath: string,
  addressOf: ClientAddressOf,
): void {
  app.setNotFoundHandler((_request, reply) =>
    reply
      .code(404)
      .header('content-type', 'text/plain; charset=utf-8')
      .header('x-content-type-options', 'nosniff')
      .send(NOT_FOUND),
  )
  app.setErrorHandler(async (error: Error & { code?: string; statusCode?: number }, request, reply) => {
    if (request.routeOptions.url === tokenPath && error.statusCode !== undefined && error.statusCode < 500) {
      const raw = { requestId: request.id, peer: peerOf(request, addressOf) }
      const isTooLarge = error.code === 'FST_ERR_CTP_BODY_TOO_LARGE'
      const denial = isTooLarge
        ? ({ reason: 'body_too_large', maxBytes: MAX_BODY_BYTES } as const)
        : ({ reason: 'form_malformed', detail: error.code ?? 'http' } as const)
      return send(reply, await answerRejected(raw, denial, broker.live().token))
    }
    const status = error.statusCode !== undefined && error.statusCode < 500 ? error.statusCode : 500
    if (status === 500) broker.parts.log.error({ requestId: request.id, err: error }, 'request failed')
    return reply
      .code(status)
      .headers({
        'content-type': 'application/json',
        'cache-control': 'no-store',
        'x-request-id': request.id,
      })
      .send(status === 500 ? '{"error":"server_error"}' : '{"error":"invalid_request"}')
  })
}
