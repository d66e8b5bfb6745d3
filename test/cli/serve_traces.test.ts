// Spans of a real server, at a collector of the test.
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { SECRETS } from '../support/broker_config.ts'
import type { ChildServer } from '../support/child_server.ts'
import { exchangeForm, makeFolder } from '../support/served.ts'
import type { Folder } from '../support/served.ts'
import { encodeForm } from '../support/test_broker.ts'
import { startTestIssuer } from '../support/test_issuer.ts'
import { startTraceCollector } from '../support/trace_collector.ts'
import type { CollectedSpan, TraceCollector } from '../support/trace_collector.ts'

const upstream = await startTestIssuer()
t.teardown(() => upstream.close())

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const PARENT = '00f067aa0ba902b7'

type Traced = { readonly folder: Folder; readonly server: ChildServer; readonly collector: TraceCollector }

async function traced(t: Test, env: NodeJS.ProcessEnv = {}, status = 200): Promise<Traced> {
  const collector = await startTraceCollector({ status })
  t.teardown(() => collector.close())
  const folder = await makeFolder(t, upstream)
  const variables = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_BSP_SCHEDULE_DELAY: '100', ...env }
  return { folder, server: await folder.start([], variables), collector }
}

async function exchange(folder: Folder, subjectToken: string, traceparent?: string): Promise<Response> {
  const form = exchangeForm(subjectToken)
  const headers = {
    'content-type': 'application/x-www-form-urlencoded',
    ...(traceparent === undefined ? {} : { traceparent }),
  }
  return fetch(`${folder.issuer}/token`, { method: 'POST', headers, body: encodeForm(form) })
}

/** The server sends what is left when it stops. */
async function spansOf({ server, collector }: Traced): Promise<readonly CollectedSpan[]> {
  await server.stop()
  return collector.spans
}

function childrenOf(
  root: CollectedSpan | undefined,
  spans: readonly CollectedSpan[],
): readonly CollectedSpan[] {
  return spans.filter(({ parentSpanId }) => parentSpanId === root?.spanId)
}

t.test('each step of an exchange is a span, one after the other, in the trace of its caller', async (t) => {
  const world = await traced(t)
  const token = world.folder.mint()
  const answer = await exchange(world.folder, token, `00-${TRACE}-${PARENT}-01`)
  t.equal(answer.status, 200)
  const spans = await spansOf(world)
  const root = spans.find(({ name }) => name === 'token')
  t.equal(root?.traceId, TRACE)
  t.equal(root?.parentSpanId, PARENT)
  t.match(root?.attributes, {
    'sallyport.decision': 'allow',
    'sallyport.grant': 'token-exchange',
    'sallyport.client': 'ci',
    'sallyport.connector': 'gitlab',
    'sallyport.request_id': answer.headers.get('x-request-id'),
  })
  t.equal(Number(root?.attributes['http.response.status_code']), 200)
  const steps = childrenOf(root, spans)
  t.strictSame(
    steps.map(({ name }) => name),
    ['request', 'client', 'connector', 'subject', 'policy', 'target', 'replay', 'mint', 'audit'],
  )
  for (const [index, step] of steps.entries()) {
    t.ok(step.begin <= step.end, `${step.name} ends after it begins`)
    if (index > 0) t.equal(step.begin, steps[index - 1]?.end, `${step.name} begins where the last one ends`)
  }
  t.equal(world.collector.resources[0]?.['service.name'], 'sallyport')
  const received = Object(await answer.json()).access_token
  for (const secret of [token, token.split('.')[2] ?? '', received, SECRETS.ci])
    t.notOk(world.collector.text().includes(secret), 'no token and no secret leaves with a span')
})

t.test('a refused one ends with the step that refused it, and says why', async (t) => {
  const world = await traced(t)
  t.equal((await exchange(world.folder, world.folder.mint({ exp: 1 }))).status, 401)
  const spans = await spansOf(world)
  const root = spans.find(({ name }) => name === 'token')
  t.equal(root?.parentSpanId, '', 'a trace of its own')
  t.equal(root?.attributes['sallyport.reason'], 'subject_expired')
  const steps = childrenOf(root, spans)
  t.strictSame(
    steps.map(({ name }) => name),
    ['request', 'client', 'connector', 'subject', 'audit'],
  )
  t.equal(steps.find(({ name }) => name === 'subject')?.attributes['sallyport.reason'], 'subject_expired')
})

t.test('a caller that does not sample is believed; one that does turns nothing on', async (t) => {
  const world = await traced(t, { OTEL_TRACES_SAMPLER: 'parentbased_always_on', OTEL_SERVICE_NAME: 'broker' })
  await exchange(world.folder, world.folder.mint(), `00-${TRACE}-${PARENT}-00`)
  await exchange(world.folder, world.folder.mint(), 'not a traceparent')
  const spans = await spansOf(world)
  t.equal(spans.filter(({ name }) => name === 'token').length, 1)
  t.equal(world.collector.resources[0]?.['service.name'], 'broker')
  const off = await traced(t, { OTEL_TRACES_SAMPLER: 'parentbased_always_off' })
  await exchange(off.folder, off.folder.mint(), `00-${TRACE}-${PARENT}-01`)
  t.strictSame(await spansOf(off), [])
})

t.test('a collector that fails is told of, and nobody waits for it', async (t) => {
  const world = await traced(t, {}, 400)
  t.equal((await exchange(world.folder, world.folder.mint())).status, 200)
  const late = AbortSignal.timeout(15_000)
  while (!world.server.logs().includes('spans did not reach the collector'))
    await sleep(50, undefined, { signal: late })
  t.equal((await exchange(world.folder, world.folder.mint())).status, 200)
})

t.test('a protocol that is not spoken is no start', async (t) => {
  const folder = await makeFolder(t, upstream)
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4317', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }
  await t.rejects(folder.start([], env), /grpc is not spoken: set http\/json/)
})
