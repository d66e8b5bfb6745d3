// An OpenTelemetry collector as far as one is asked for here: takes OTLP over HTTP in JSON and keeps the spans.
import { createServer } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { json } from 'node:stream/consumers'

export type CollectedSpan = {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string
  /** Nanoseconds since the epoch. */
  readonly begin: bigint
  readonly end: bigint
  readonly attributes: Readonly<Record<string, unknown>>
}

export type TraceCollector = {
  /** What OTEL_EXPORTER_OTLP_ENDPOINT is set to. */
  readonly url: string
  readonly spans: readonly CollectedSpan[]
  /** Of what sent them. */
  readonly resources: readonly Readonly<Record<string, unknown>>[]
  /** Everything that came, as text. */
  text(): string
  close(): void
}

/** @param status what it answers with */
export async function startTraceCollector({ status = 200 } = {}): Promise<TraceCollector> {
  const spans: CollectedSpan[] = []
  const resources: Readonly<Record<string, unknown>>[] = []
  const bodies: unknown[] = []
  const take = async (request: IncomingMessage): Promise<void> => {
    const body = await json(request)
    bodies.push({ url: request.url, body })
    for (const { resource, scopeSpans } of Object(body).resourceSpans) {
      resources.push(attributesOf(resource.attributes))
      for (const scope of scopeSpans) spans.push(...scope.spans.map(spanOf))
    }
  }
  const server = createServer((request, response) => {
    void take(request).then(() =>
      response.writeHead(status, { 'content-type': 'application/json' }).end('{}'),
    )
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    spans,
    resources,
    text: () => JSON.stringify(bodies),
    close: () => void server.close(),
  }
}

type WireAttribute = { readonly key: string; readonly value: Readonly<Record<string, unknown>> }

function attributesOf(list: readonly WireAttribute[] = []): Readonly<Record<string, unknown>> {
  return Object.fromEntries(list.map(({ key, value }) => [key, Object.values(value)[0]]))
}

function spanOf(span: Readonly<Record<string, unknown>>): CollectedSpan {
  const { name, traceId, spanId, parentSpanId = '', startTimeUnixNano, endTimeUnixNano, attributes } = span
  return {
    name: String(name),
    traceId: String(traceId),
    spanId: String(spanId),
    parentSpanId: String(parentSpanId),
    begin: BigInt(String(startTimeUnixNano)),
    end: BigInt(String(endTimeUnixNano)),
    attributes: attributesOf(Array.isArray(attributes) ? attributes : []),
  }
}
