// What a supervisor and its worker processes say to each other, over the channel that Node opens between them. Both are the
// same release of this program; nothing of it comes from outside.
import type { MetricObjectWithValues, MetricValue } from 'prom-client'
import type { Check } from '../http/ops_app.ts'

/** As `Registry.getMetricsAsJSON` gives it. */
export type MetricSnapshot = readonly MetricObjectWithValues<MetricValue<string>>[]

export type ToWorker<Config> =
  /** The first one. `number`: from 1 on. */
  | { readonly kind: 'start'; readonly config: Config; readonly number: number; readonly count: number }
  | { readonly kind: 'reload'; readonly config: Config }
  /** As SIGHUP to a single server: files anew. */
  | { readonly kind: 'reopen' }
  | { readonly kind: 'ask'; readonly question: Question; readonly id: number }
  | { readonly kind: 'stop' }

export type Question = 'checks' | 'metrics'

export type FromWorker =
  | { readonly kind: 'listening'; readonly urls: readonly string[] }
  | { readonly kind: 'checks'; readonly id: number; readonly checks: readonly Check[] }
  | { readonly kind: 'metrics'; readonly id: number; readonly metrics: MetricSnapshot }
  /** What it had counted when it ended in order. */
  | { readonly kind: 'ending'; readonly metrics: MetricSnapshot }

const KINDS: ReadonlySet<unknown> = new Set<FromWorker['kind']>(['listening', 'checks', 'metrics', 'ending'])

export function isFromWorker(message: unknown): message is FromWorker {
  return typeof message === 'object' && message !== null && 'kind' in message && KINDS.has(message.kind)
}
