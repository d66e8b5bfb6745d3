// The ops listener: health with reasons, metrics, nothing that a caller of the token endpoint should see. Dex's telemetry
// paths stand beside the Kubernetes ones.
import Fastify from 'fastify'
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { Broker } from './broker.ts'

type Check = { readonly name: string; readonly ok: boolean; readonly detail: string }

export function createOpsApp(broker: Broker): FastifyInstance {
  const app = Fastify({ logger: false, requestTimeout: 10_000 })
  app.get('/metrics', async (_request, reply) => {
    const { registry } = broker.parts.metrics
    return reply.header('content-type', registry.contentType).send(await registry.metrics())
  })
  app.get('/livez', async (_request, reply) => reply.type('text/plain').send('ok'))
  app.get('/readyz', async (_request, reply) => answerChecks(reply, await checks(broker)))
  app.get('/healthz', async (_request, reply) => {
    const results = await checks(broker)
    const body = Object.fromEntries(results.map(({ name, ok, detail }) => [name, { ok, message: detail }]))
    return reply.code(statusOf(results)).send(body)
  })
  app.get('/healthz/live', async (_request, reply) => reply.type('text/plain').send('ok'))
  app.get('/healthz/ready', async (_request, reply) => answerChecks(reply, await checks(broker)))
  return app
}

async function checks(broker: Broker): Promise<readonly Check[]> {
  const { store, keyRing, audit } = broker.parts
  const auditFailure = audit.failure()
  const storeCheck = await store.ping().then(
    () => ({ name: 'store', ok: true, detail: 'answers' }),
    (error: unknown) => ({
      name: 'store',
      ok: false,
      detail: error instanceof Error ? error.message : 'fails',
    }),
  )
  return [
    storeCheck,
    { name: 'keys', ok: true, detail: `signing with ${keyRing.current().kid}` },
    { name: 'audit', ok: auditFailure === undefined, detail: auditFailure ?? 'is written' },
  ]
}

function statusOf(results: readonly Check[]): number {
  return results.every((check) => check.ok) ? 200 : 503
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
