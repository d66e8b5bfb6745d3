// Counts of several workers as those of one server. What a worker counted stays counted when it is gone: a sum that falls
// would look to Prometheus like a restart, and count everything twice.
import { AggregatorRegistry, Counter, Gauge } from 'prom-client'
import type { PrometheusContentType, Registry } from 'prom-client'
import type { MetricSnapshot } from './messages.ts'

export type FleetMetrics = {
  /** What a worker that is gone had counted. */
  readonly keep: (metrics: MetricSnapshot) => void
  /** In Prometheus' text format. */
  readonly text: (workers: readonly MetricSnapshot[], fleet: FleetSize) => Promise<string>
}

type FleetSize = {
  readonly configured: number
  readonly serving: number
  /** How often a worker was started again. */
  readonly restarts: number
}

/** Only these go on when their worker does not; what a gauge says of it is over. */
const COUNTED = new Set(['counter', 'histogram'])
/** Of the supervisor, which is the server to those who ask how long it runs. */
const STARTED = 'process_start_time_seconds'

/** `own`: the supervisor's. Where numbers are not sums (`aggregator: 'first'`), it is the supervisor that is asked. */
export function createFleetMetrics(own: Registry): FleetMetrics {
  let gone: MetricSnapshot = []
  return {
    keep(metrics) {
      const counted = metrics.filter(({ type }) => COUNTED.has(String(type)))
      gone = AggregatorRegistry.aggregate([gone, counted]).getMetricsAsArray().filter(hasValues)
    },
    async text(workers, fleet) {
      const mine = await own.getMetricsAsJSON()
      const all = AggregatorRegistry.aggregate<PrometheusContentType>([mine, ...workers, gone])
      const started = mine.find(({ name }) => name === STARTED)?.values[0]?.value
      if (started !== undefined)
        show(all, STARTED, 'Start of the server in seconds since the epoch.', started)
      show(all, 'sallyport_workers', 'Worker processes that should serve.', fleet.configured)
      show(all, 'sallyport_workers_serving', 'Worker processes that serve.', fleet.serving)
      const restarts = new Counter({
        name: 'sallyport_worker_restarts_total',
        help: 'Worker processes that ended and were started again.',
        registers: [all],
      })
      restarts.inc(fleet.restarts)
      return all.metrics()
    },
  }
}

/** What `aggregate` makes are snapshots again; its types do not tell. */
function hasValues(metric: object): metric is MetricSnapshot[number] {
  return 'values' in metric && Array.isArray(metric.values)
}

function show(registry: Registry, name: string, help: string, value: number): void {
  new Gauge({ name, help, registers: [registry] }).set(value)
}
