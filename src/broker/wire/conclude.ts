// The end of every decision: event first, answer after. What cannot be recorded is not answered.
import { allowEvent, denyEvent } from '#core/audit_event.ts'
import type { AuditContext, AuditEvent, DecisionFacts } from '#core/audit_event.ts'
import type { Clock } from '#core/clock.ts'
import type { Denial } from '#core/denial.ts'
import { deny, ok } from '#core/result.ts'
import type { Result } from '#core/result.ts'
import { AuditFailure } from '#platform/audit_sink.ts'
import type { AuditSink } from '#platform/audit_sink.ts'
import type { Log } from '#platform/log.ts'
import type { Metrics } from '#platform/metrics.ts'
import type { RequestTrace } from '#platform/tracing/traces.ts'
import { errorAnswer } from './answer.ts'
import type { Answer } from './answer.ts'
import { toOAuthError } from './oauth_error.ts'

export type ConcludeDeps = {
  readonly audit: Pick<AuditSink, 'write'>
  readonly metrics: Pick<Metrics, 'decision'>
  readonly log: Log
  readonly clock: Clock
}

export type Decided = {
  readonly event: AuditEvent['event']
  readonly requestId: string
  readonly peer: string
  /** `performance.now()` when the request came. */
  readonly startedAt: number
  /** Of what is traced. */
  readonly trace?: RequestTrace
  readonly facts: DecisionFacts
  /** `undefined`: allowed. */
  readonly denial: Denial | undefined
  readonly answer: Answer
}

export async function conclude(decided: Decided, deps: ConcludeDeps): Promise<Answer> {
  const { facts, denial, trace } = decided
  const context: AuditContext = {
    event: decided.event,
    time: new Date(deps.clock()).toISOString(),
    requestId: decided.requestId,
    peer: decided.peer,
  }
  const event = denial === undefined ? allowEvent(context, facts) : denyEvent(context, facts, denial)
  trace?.enter('audit')
  const recorded = await record(event, deps)
  const told = recorded.ok ? event : denyEvent(context, facts, recorded.denial)
  deps.metrics.decision(told, (performance.now() - decided.startedAt) / 1000)
  const answer = recorded.ok ? decided.answer : errorAnswer(toOAuthError(recorded.denial))
  trace?.finish(told, answer.status)
  return answer
}

async function record(event: AuditEvent, deps: ConcludeDeps): Promise<Result<undefined>> {
  try {
    await deps.audit.write(event)
    return ok(undefined)
  } catch (error) {
    if (!(error instanceof AuditFailure)) throw error
    deps.log.error({ requestId: event.requestId, err: error.message }, 'audit event not written')
    return deny({ reason: 'audit_unavailable', detail: error.message })
  }
}
