// The ops listener: health with reasons, metrics, nothing that a caller of the token endpoint should see. Dex's telemetry
// paths stand beside the Kubernetes ones.
import Fastify from 'fastify'
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { IssuerKeysStatus } from '#platform/issuer_keys/issuer_keys.ts'
import { SERVER_TIMEOUTS, serverOptions } from '#platform/http/server_limits.ts'
import type { Broker } from './broker.ts'

/** `isRequired`: without it the broker is not ready. A dead issuer concerns its own jobs only. */
type Check = {
  readonly name: string
  readonly ok: boolean
  readonly detail: string
  readonly isRequired: boolean
}

type IssuerStatuses = () => readonly IssuerKeysStatus[]

export function createOpsApp(broker: Broker, issuers: IssuerStatuses): FastifyInstance {
  const app = Fastify({
    logger: false,
    http: serverOptions(SERVER_TIMEOUTS),
    requestTimeout: SERVER_TIMEOUTS.requestMs,
  })
  app.get('/metrics', async (_request, reply) => {
    const { registry } = broker.parts.metrics
    return reply.header('content-type', registry.contentType).send(await registry.metrics())
  })
  app.get('/livez', async (_request, reply) => reply.type('text/plain').send('ok'))
  app.get('/readyz', async (_request, reply) => answerChecks(reply, await checks(broker, issuers)))
  app.get('/healthz', async (_request, reply) => {
    const results = await checks(broker, issuers)
    const body = Object.fromEntries(results.map(({ name, ok, detail }) => [name, { ok, message: detail }]))
    return reply.code(statusOf(results)).send(body)
  })
  app.get('/healthz/live', async (_request, reply) => reply.type('text/plain').send('ok'))
  app.get('/healthz/ready', async (_request, reply) => answerChecks(reply, await checks(broker, issuers)))
  return app
}

async function checks(broker: Broker, issuers: IssuerStatuses): Promise<readonly Check[]> {
  const { store, keyRing, audit } = broker.parts
  const auditFailure = audit.failure()
  const storeCheck = await store.ping().then(
    () => ({ name: 'store', ok: true, detail: 'answers', isRequired: true }),
    (error: unknown) => ({
      name: 'store',
      ok: false,
      detail: error instanceof Error ? error.message : 'fails',
      isRequired: true,
    }),
  )
  return [
    storeCheck,
    { name: 'keys', ok: true, detail: `signing with ${keyRing.current().kid}`, isRequired: true },
    { name: 'audit', ok: auditFailure === undefined, detail: auditFailure ?? 'is written', isRequired: true },
    ...issuers().map((status) => issuerCheck(status)),
  ]
}

function issuerCheck(status: IssuerKeysStatus): Check {
  return {
    name: `issuer ${status.connector}`,
    ok: status.state !== 'failed',
    detail: issuerDetail(status),
    isRequired: false,
  }
}

function issuerDetail({ state, keys, lastFailure }: IssuerKeysStatus): string {
  const held = keys === 1 ? '1 key' : `${keys} keys`
  switch (state) {
    case 'empty':
      return 'not asked yet'
    case 'fresh':
      return held
    case 'stale':
      // A key file is past its age seconds after it was read: that is no news, a failure since is.
      return lastFailure === undefined
        ? `${held}, looked at again with the next token`
        : `${held}, cannot be loaded again: ${lastFailure.detail}`
    case 'failed':
      return lastFailure?.detail ?? 'its keys cannot be loaded'
  }
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
