// OpenTelemetry's own SDK and exporter, loaded only where somebody collects: OTLP over HTTP in JSON.
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import type { Attributes, Context, Tracer } from '@opentelemetry/api'
import { ExportResultCode, parseTraceParent } from '@opentelemetry/core'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
} from '@opentelemetry/resources'
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import type { ReadableSpan, Sampler, SpanExporter } from '@opentelemetry/sdk-trace'
import type { AuditEvent } from '#core/audit_event.ts'
import type { Log } from '../log.ts'
import type { Sampling } from './otel_environment.ts'
import type { RequestTrace, Traces } from './traces.ts'

export type OtlpOptions = {
  /** Of the collector, whole. */
  readonly url: string
  readonly sampling: Sampling
  readonly version: string
  readonly log: Pick<Log, 'warn'>
}

/** Spans that wait for the collector; what is above is dropped. */
const MAX_QUEUE = 2048
const CLOSE_MS = 5000
/** A collector that is away is told of once in so many milliseconds. */
const TELL_MS = 60_000

export function openOtlpTraces({ url, sampling, version, log }: OtlpOptions): Traces {
  const exporter = new OTLPTraceExporter({ url, timeoutMillis: CLOSE_MS })
  const processor = new BatchSpanProcessor({ exporter: telling(exporter, log), maxQueueSize: MAX_QUEUE })
  const provider = new TracerProvider({
    resource: defaultResource()
      .merge(resourceFromAttributes({ 'service.name': 'sallyport', 'service.version': version }))
      // OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES have the last word.
      .merge(detectResources({ detectors: [envDetector] })),
    sampler: samplerOf(sampling),
    spanProcessors: [processor],
  })
  const tracer = provider.getTracer('sallyport', version)
  return {
    begin: (startedAt, traceparent) => new SpanTrace(tracer, startedAt, traceparent),
    async close() {
      const { promise, resolve } = Promise.withResolvers<undefined>()
      const timer = setTimeout(() => resolve(undefined), CLOSE_MS)
      await Promise.race([provider.shutdown().catch(() => undefined), promise])
      clearTimeout(timer)
    },
  }
}

function samplerOf({ ratio, isParentAsked }: Sampling): Sampler {
  const root = rootSampler(ratio)
  return new ParentBasedSampler({
    root,
    remoteParentSampled: root,
    remoteParentNotSampled: isParentAsked ? new AlwaysOffSampler() : root,
  })
}

function rootSampler(ratio: number): Sampler {
  if (ratio >= 1) return new AlwaysOnSampler()
  return ratio <= 0 ? new AlwaysOffSampler() : new TraceIdRatioBasedSampler(ratio)
}

type Entered = { readonly step: string; readonly at: number }

class SpanTrace implements RequestTrace {
  readonly #tracer: Tracer
  readonly #startedAt: number
  readonly #traceparent: string | undefined
  readonly #entered: Entered[] = []

  constructor(tracer: Tracer, startedAt: number, traceparent: string | undefined) {
    this.#tracer = tracer
    this.#startedAt = startedAt
    this.#traceparent = traceparent
  }

  enter(step: string): void {
    this.#entered.push({ step, at: performance.now() })
  }

  finish(event: AuditEvent, status: number): void {
    const endedAt = performance.now()
    const span = this.#tracer.startSpan(
      event.event,
      { startTime: epochMs(this.#startedAt), kind: SpanKind.SERVER, attributes: attributesOf(event, status) },
      contextOf(this.#traceparent),
    )
    if (span.isRecording()) {
      // Only what is ours is an error of the server (OpenTelemetry semantic conventions for HTTP).
      if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR })
      this.#finishSteps(trace.setSpan(ROOT_CONTEXT, span), event, endedAt)
    }
    span.end(epochMs(endedAt))
  }

  #finishSteps(parent: Context, event: AuditEvent, endedAt: number): void {
    for (const [index, { step, at }] of this.#entered.entries()) {
      const span = this.#tracer.startSpan(step, { startTime: epochMs(at) }, parent)
      if (event.decision !== 'allow' && event.step === step && event.reason !== undefined)
        span.setAttribute('sallyport.reason', event.reason)
      span.end(epochMs(this.#entered[index + 1]?.at ?? endedAt))
    }
  }
}

/** From `performance.now()`: the SDK itself turns beginnings and ends into times of the clock in two ways. */
function epochMs(at: number): number {
  return performance.timeOrigin + at
}

/** Ids of the configuration and of the request: nothing that a caller chose, and nobody's name. */
function attributesOf(event: AuditEvent, status: number): Attributes {
  const { requestId, decision, reason, grant, client, connector, policy } = event
  return {
    'http.response.status_code': status,
    'sallyport.request_id': requestId,
    'sallyport.decision': decision,
    'sallyport.grant': grant,
    ...(reason === undefined ? {} : { 'sallyport.reason': reason }),
    ...(client === undefined ? {} : { 'sallyport.client': client }),
    ...(connector === undefined ? {} : { 'sallyport.connector': connector }),
    ...(policy === undefined ? {} : { 'sallyport.policy': policy }),
  }
}

function contextOf(traceparent: string | undefined): Context {
  const parent = traceparent === undefined ? null : parseTraceParent(traceparent)
  return parent === null ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, { ...parent, isRemote: true })
}

/** The SDK itself says nothing of what it could not send. */
function telling(exporter: SpanExporter, log: Pick<Log, 'warn'>): SpanExporter {
  let toldAt = -Infinity
  return {
    export(spans: ReadableSpan[], done) {
      exporter.export(spans, (result) => {
        const now = performance.now()
        if (result.code === ExportResultCode.FAILED && now - toldAt >= TELL_MS) {
          toldAt = now
          log.warn({ spans: spans.length, err: result.error?.message }, 'spans did not reach the collector')
        }
        done(result)
      })
    },
    shutdown: () => exporter.shutdown(),
    forceFlush: async () => exporter.forceFlush?.(),
  }
}
