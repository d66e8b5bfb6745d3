// Spans of requests, for an OpenTelemetry collector. Nothing is made of a request until it is over, and nothing at all of one that
// nobody collects.
import type { AuditEvent } from '#core/audit_event.ts'
import { NO_STEP_TRACE } from '#core/step_trace.ts'
import type { StepTrace } from '#core/step_trace.ts'

export type RequestTrace = StepTrace & {
  /** @param event what was recorded of it @param status of the answer */
  finish(event: AuditEvent, status: number): void
}

export type Traces = {
  /** `startedAt`: `performance.now()`. `traceparent`: the header of W3C Trace Context as it came; what is none counts as absent. */
  begin(startedAt: number, traceparent: string | undefined): RequestTrace
  /** Sends what is left, for five seconds at most. */
  close(): Promise<void>
}

const NO_REQUEST_TRACE: RequestTrace = { ...NO_STEP_TRACE, finish: () => undefined }

export const NO_TRACES: Traces = { begin: () => NO_REQUEST_TRACE, close: async () => undefined }
