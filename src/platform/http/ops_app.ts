// The ops listener of any of our servers: health with reasons, metrics, nothing that a caller of the service should see.
// Dex's telemetry paths stand beside the Kubernetes ones.
import Fastify from 'fastify'
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { Registry } from 'prom-client'
import { SERVER_TIMEOUTS, serverOptions } from './server_limits.ts'

/** `isRequired`: without it the server is not ready. */
export type Check = {
  readonly name: string
  readonly ok: boolean
  readonly detail: string
  readonly isRequired: boolean
}

export type OpsParts = {
  readonly registry: Pick<Registry, 'contentType' | 'metrics'>
  readonly checks: () => Promise<readonly Check[]>
}

/** A Prometheus, the kubelet, a person. */
const MAX_OPS_CONNECTIONS = 1000

export function createOpsApp({ registry, checks }: OpsParts): FastifyInstance {
  const app = Fastify({
    logger: false,
    http: serverOptions(SERVER_TIMEOUTS),
    requestTimeout: SERVER_TIMEOUTS.requestMs,
  })
  app.server.maxConnections = MAX_OPS_CONNECTIONS
  app.get('/metrics', async (_request, reply) =>
    reply.header('content-type', registry.contentType).send(await registry.metrics()),
  )
  app.get('/livez', async (_request, reply) => reply.type('text/plain').send('ok'))
  app.get('/readyz', async (_request, reply) => answerChecks(reply, await checks()))
  app.get('/healthz', async (_request, reply) => {
    const results = await checks()
    const body = Object.fromEntries(results.map(({ name, ok, detail }) => [name, { ok, message: detail }]))
    return reply.code(statusOf(results)).send(body)
  })
  app.get('/healthz/live', async (_request, reply) => reply.type('text/plain').send('ok'))
  app.get('/healthz/ready', async (_request, reply) => answerChecks(reply, await checks()))
  return app
}

function statusOf(results: readonly Check[]): number {
  return results.every((check) => check.ok || !check.isRequired) ? 200 : 503
}

/** As kube-apiserver's /readyz?verbose: one line for each check. */
function answerChecks(reply: FastifyReply, results: readonly Check[]): FastifyReply {
  const lines = results.map(
    (check) => `[${check.ok ? '+' : '-'}]${check.name} ${check.ok ? 'ok' : 'failed'}: ${check.detail}`,
  )
  return reply
    .code(statusOf(results))
    .type('text/plain')
    .send(`${lines.join('\n')}\n`)
}
