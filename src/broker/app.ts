// The public listener: which path is answered by what. Each handler is a function of a raw request; this file is the
// only one that knows Fastify.
import cors from '@fastify/cors'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Fault } from '#core/denial.ts'
import { jwksMaxAgeSeconds } from '#core/key_rotation.ts'
import { FORM_TYPE } from '#core/oauth/content_type.ts'
import { arrivedAt, routeTogether } from '#platform/http/arrivals.ts'
import { createBackRow } from '#platform/http/back_row.ts'
import type { BackRow } from '#platform/http/back_row.ts'
import { createClientAddress, createNetworkCheck } from '#platform/http/client_address.ts'
import type { ClientAddressOf } from '#platform/http/client_address.ts'
import { SERVER_TIMEOUTS, serverOptions } from '#platform/http/server_limits.ts'
import {
  CONNECTION_LIMITS,
  createBodyRoom,
  limitConnections,
  limitPipelining,
} from '#platform/http/connection_gate.ts'
import type { BodyRoom, ConnectionLimits } from '#platform/http/connection_gate.ts'
import type { ServerTimeouts } from '#platform/http/server_limits.ts'
import type { Metrics } from '#platform/metrics.ts'
import { createRequestIds } from '#platform/http/request_id.ts'
import type { Broker } from './broker.ts'
import type { Answer } from './wire/answer.ts'
import { answerDocumentsFirst } from './document_server.ts'
import type { ServedDocument } from './document_server.ts'
import { brokerPaths } from './wire/documents.ts'
import type { BrokerPaths } from './wire/documents.ts'
import { answerBusyIntrospection, answerIntrospection } from './wire/introspection_endpoint.ts'
import { answerBusyRevocation, answerRevocation } from './wire/revocation_endpoint.ts'
import { answerRejected, answerToken } from './wire/token_endpoint.ts'
import type { RawRequest } from './wire/token_endpoint.ts'
import { answerBusyReview, answerTokenReview } from './wire/token_review_endpoint.ts'
import { answerBusyUserinfo, answerUserinfo } from './wire/userinfo_endpoint.ts'

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
  readonly timeouts?: ServerTimeouts
  readonly connections?: ConnectionLimits
  /** Whether nobody would have to wait (platform/load_gauge.ts). */
  readonly isIdle: () => boolean
}

export async function createPublicApp(
  broker: Broker,
  options: PublicServerOptions,
): Promise<FastifyInstance> {
  const requestId = createRequestIds(broker.parts.randomBytes)
  const timeouts = options.timeouts ?? SERVER_TIMEOUTS
  const server = serverOptions(timeouts)
  const app: FastifyInstance = Fastify({
    ...(options.https === undefined
      ? { http: server }
      : { https: { ...server, handshakeTimeout: timeouts.requestMs, ...options.https } }),
    logger: false,
    bodyLimit: MAX_BODY_BYTES,
    exposeHeadRoutes: false,
    genReqId: requestId,
    // A body that trickles in holds a socket, for so long, and no place among the requests in work.
    requestTimeout: timeouts.requestMs,
    connectionTimeout: 30_000,
    keepAliveTimeout: 72_000,
    routerOptions: {
      onBadUrl: (_path, _request, response) => void response.writeHead(400, { connection: 'close' }).end(),
    },
  })
  const { web, issuer } = broker.live().config
  const gate = {
    limits: options.connections ?? CONNECTION_LIMITS,
    isProxy: createNetworkCheck(web.clientAddress?.trustedProxies ?? []),
    onClosed: broker.parts.metrics.connectionClosed,
  }
  limitConnections(app.server, gate)
  countBodies(app, createBodyRoom(gate))
  const paths = brokerPaths(issuer)
  const addressOf = createClientAddress(web.clientAddress)

  const documents = servedDocuments(broker, paths)
  readBodiesRaw(app)
  refuseTwoHosts(app)
  // First, so that refusals carry them, too.
  if (Object.keys(web.headers).length > 0)
    app.addHook('onRequest', async (_request, reply) => void reply.headers(web.headers))
  const hasHooks = Object.keys(web.headers).length > 0 || web.allowedOrigins.length > 0
  const send = createSender(broker.parts.metrics, hasHooks, createBackRow())
  const limited = limitConcurrency(broker, send, addressOf)
  // Before the routes: a scope takes the handler that is there when it is made.
  answerFailures(app, broker, paths.token, addressOf, send)

  await app.register(async (scope) => {
    if (web.allowedOrigins.length > 0) {
      await scope.register(cors, {
        origin: web.allowedOrigins.includes('*') ? '*' : [...web.allowedOrigins],
        allowedHeaders: web.allowedHeaders.length > 0 ? [...web.allowedHeaders] : [DEFAULT_ALLOWED_HEADER],
        methods: ['GET', 'HEAD', 'POST'],
      })
    }
    scope.all(
      paths.token,
      limited(
        (raw) => answerToken(raw, broker.live().token),
        (raw, busy) => answerRejected(raw, busy, broker.live().token),
      ),
    )
    scope.all(
      paths.introspect,
      limited(
        (raw) => answerIntrospection(raw, broker.live().introspection),
        (raw, busy) => answerBusyIntrospection(raw, busy, broker.live().introspection),
      ),
    )
    scope.all(
      paths.revoke,
      limited(
        (raw) => answerRevocation(raw, broker.live().revocation),
        (raw, busy) => answerBusyRevocation(raw, busy, broker.live().revocation),
      ),
    )
    scope.all(
      paths.userinfo,
      limited(
        (raw) => answerUserinfo(raw, broker.live().userinfo),
        async (_raw, busy) => answerBusyUserinfo(busy),
      ),
    )
    scope.all(
      paths.tokenReview,
      limited(
        async (raw) => (await answerTokenReview(raw, broker.live().tokenReview)) ?? NOT_FOUND_ANSWER,
        async (raw, busy) =>
          (await answerBusyReview(raw, busy, broker.live().tokenReview)) ?? NOT_FOUND_ANSWER,
      ),
    )
    for (const [path, { headers, body }] of documents)
      scope.all(path, (_request, reply) => send(reply, 200, headers, body()))
  })
  app.all(paths.health, async (_request, reply) => {
    await broker.parts.store.ping()
    send(reply, 200, TEXT_TYPE, 'Health check passed')
  })
  routeTogether(app.server, options)
  if (!hasHooks) answerDocumentsFirst(app, documents, broker.parts.metrics)
  limitPipelining(app.server, gate)
  return app
}

function servedDocuments(broker: Broker, paths: BrokerPaths): ReadonlyMap<string, ServedDocument> {
  return new Map([
    [paths.discovery, { headers: JSON_TYPE, body: () => broker.live().discovery }],
    [paths.metadata, { headers: JSON_TYPE, body: () => broker.live().metadata }],
    [paths.keys, { headers: KEYS_HEADERS, body: () => broker.parts.keyRing.jwks().body }],
  ])
}

/** Every content type is left to the endpoints, which judge it as Go does. */
function readBodiesRaw(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  // Forms by name as well: of what only `*` covers the framework takes the type apart anew each time.
  for (const type of ['*', FORM_TYPE])
    app.addContentTypeParser(type, { parseAs: 'string' }, (_request, body, done) => done(null, body))
}

/** Before a byte of a body is read. */
function countBodies(app: FastifyInstance, room: BodyRoom): void {
  app.addHook('preParsing', (request, _reply, payload, done) => {
    const length = request.headers['content-length']
    room.count(request.raw, request.raw.socket, length === undefined ? undefined : Number(length))
    done(null, payload)
  })
}

class HostRepeated extends Error {
  readonly code = 'host_repeated'
  readonly statusCode = 400
}

/** RFC 9112 §3.2: a proxy that routes by one Host and we by the other would be two readers of one request. Node lets it pass. */
function refuseTwoHosts(app: FastifyInstance): void {
  app.addHook('onRequest', (request, _reply, done) => {
    if (rawValues(request, 'host').length > 1) done(new HostRepeated('two Host headers'))
    else done()
  })
}

type Busy = Extract<Fault, { reason: 'too_busy' }>
/** Returns nothing: a reply is a promise to Fastify, which would be waited for. */
type Handler = (request: FastifyRequest, reply: FastifyReply) => Promise<void>
type Limited = (
  answer: (raw: RawRequest) => Promise<Answer>,
  refuse: (raw: RawRequest, busy: Busy) => Promise<Answer>,
) => Handler

/**
 * Wraps what costs cryptography. A request counts from its complete body until its work is done, be its caller there or
 * not: neither slow bodies nor callers that leave take or free a place. Keys, discovery and health are never refused.
 */
function limitConcurrency(broker: Broker, send: Send, addressOf: ClientAddressOf): Limited {
  let running = 0
  return (answer, refuse) => async (request, reply) => {
    const raw = rawRequest(request, addressOf)
    const { maxConcurrentRequests: maxRequests } = broker.live().config.limits
    if (maxRequests !== 0 && running >= maxRequests)
      return sendAnswer(send, reply, await refuse(raw, { reason: 'too_busy', maxRequests }))
    running += 1
    let answered: Answer
    try {
      answered = await answer(raw)
    } finally {
      running -= 1
    }
    sendAnswer(send, reply, answered)
  }
}

/**
 * Of a GET or HEAD, or of what was refused by its head: Node would read on to be rid of a body that nobody waits for, and whatever
 * comes behind it.
 */
function isBodyLeft({ body, headers, raw }: FastifyRequest): boolean {
  const isAnnounced = (headers['content-length'] ?? headers['transfer-encoding'] ?? '0') !== '0'
  return body === undefined && isAnnounced && !raw.complete
}

type Headers = Readonly<Record<string, string>>
type Send = (reply: FastifyReply, status: number, headers: Headers, body: string) => void

/**
 * Writes an answer straight to Node's response: head and body leave in one write, and Fastify neither adds a charset to
 * JSON (Dex says none, RFC 8259 knows none) nor runs hooks that nobody has. Headers that hooks set (CORS, `web.headers`)
 * go along. Whose request was refused, whatever refused it, comes after those whose was not.
 */
function createSender(metrics: Metrics, hasHooks: boolean, backRow: BackRow): Send {
  return (reply, status, headers, body) => {
    const { raw, request } = reply
    const length = Buffer.byteLength(body)
    const isRefused = status >= 400 && status < 500
    reply.hijack()
    if (hasHooks) setHookHeaders(reply)
    if (isRefused && isBodyLeft(request)) raw.setHeader('connection', 'close')
    raw.writeHead(status, { ...headers, 'content-length': length })
    if (request.method === 'HEAD') raw.end()
    // As many bytes as characters: ASCII, which goes out without being encoded.
    else raw.end(body, length === body.length ? 'latin1' : 'utf8')
    const handler = request.routeOptions.url ?? 'not found'
    const now = performance.now()
    metrics.http(handler, request.method, status, (now - (arrivedAt(request.raw) ?? now)) / 1000, length)
    if (isRefused) backRow.seat(request.raw.socket)
  }
}

function setHookHeaders(reply: FastifyReply): void {
  for (const [name, value] of Object.entries(reply.getHeaders())) {
    if (value !== undefined) reply.raw.setHeader(name, value)
  }
}

function sendAnswer(send: Send, reply: FastifyReply, answer: Answer): void {
  send(reply, answer.status, { ...answer.headers, 'x-request-id': reply.request.id }, answer.body)
}

function rawRequest(request: FastifyRequest, addressOf: ClientAddressOf): RawRequest {
  const url = request.raw.url ?? ''
  const mark = url.indexOf('?')
  return {
    method: request.method,
    query: mark === -1 ? '' : url.slice(mark + 1),
    contentType: contentTypeOf(request),
    authorization: authorizationOf(request),
    hasDpopProof: request.headers['dpop'] !== undefined,
    body: typeof request.body === 'string' ? request.body : '',
    peer: peerOf(request, addressOf),
    requestId: request.id,
    traceparent: traceparentOf(request),
  }
}

/** Two of them are none. */
function traceparentOf(request: FastifyRequest): string | undefined {
  const value = request.headers['traceparent']
  return typeof value === 'string' ? value : undefined
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

const JSON_TYPE = { 'content-type': 'application/json' }
const TEXT_TYPE = { 'content-type': 'text/plain; charset=utf-8' }
const KEYS_HEADERS = {
  ...JSON_TYPE,
  'cache-control': `public, max-age=${jwksMaxAgeSeconds}, must-revalidate`,
}
const NOT_FOUND = '404 page not found\n'
const NOT_FOUND_ANSWER: Answer = {
  status: 404,
  headers: { ...TEXT_TYPE, 'x-content-type-options': 'nosniff' },
  body: NOT_FOUND,
}

/** Go's 404 page, one constant 500, and the frame's own refusals in the endpoint's words. */
function answerFailures(
  app: FastifyInstance,
  broker: Broker,
  tokenPath: string,
  addressOf: ClientAddressOf,
  send: Send,
): void {
  app.setNotFoundHandler((_request, reply) =>
    send(reply, NOT_FOUND_ANSWER.status, NOT_FOUND_ANSWER.headers, NOT_FOUND_ANSWER.body),
  )
  app.setErrorHandler(async (error: Error & { code?: string; statusCode?: number }, request, reply) => {
    if (request.routeOptions.url === tokenPath && error.statusCode !== undefined && error.statusCode < 500) {
      const raw = {
        requestId: request.id,
        peer: peerOf(request, addressOf),
        traceparent: traceparentOf(request),
      }
      const isTooLarge = error.code === 'FST_ERR_CTP_BODY_TOO_LARGE'
      const denial = isTooLarge
        ? ({ reason: 'body_too_large', maxBytes: MAX_BODY_BYTES } as const)
        : ({ reason: 'form_malformed', detail: error.code ?? 'http' } as const)
      return sendAnswer(send, reply, await answerRejected(raw, denial, broker.live().token))
    }
    const status = error.statusCode !== undefined && error.statusCode < 500 ? error.statusCode : 500
    if (status === 500) broker.parts.log.error({ requestId: request.id, err: error }, 'request failed')
    const body = status === 500 ? '{"error":"server_error"}' : '{"error":"invalid_request"}'
    send(reply, status, { ...JSON_TYPE, 'cache-control': 'no-store', 'x-request-id': request.id }, body)
  })
}
