// Counting on the hot path: one map look-up and a few additions for each observation, and Prometheus' own shape only when
// somebody scrapes. (prom-client sorts and joins the labels anew at each `inc`, which cost a tenth of a request.)
import { Counter, Histogram } from 'prom-client'
import type {
  CounterConfiguration,
  HistogramConfiguration,
  MetricObjectWithValues,
  MetricValue,
} from 'prom-client'

type Labels = Readonly<Record<string, string>>

/** A counter whose series are found by a ready-made key. */
export class TallyCounter extends Counter {
  readonly #series = new Map<string, { readonly labels: Labels; count: number }>()
  readonly #shape: { readonly name: string; readonly help: string }

  constructor(configuration: CounterConfiguration<string>) {
    super(configuration)
    this.#shape = configuration
  }

  /** `key` stands for `labels()`, which is asked once for each series. */
  count(key: string, labels: () => Labels): void {
    const series = this.#series.get(key)
    if (series === undefined) this.#series.set(key, { labels: labels(), count: 1 })
    else series.count += 1
  }

  override async get(): Promise<MetricObjectWithValues<MetricValue<string>>> {
    const values = [...this.#series.values()].map(({ labels, count }) => ({
      labels: { ...labels },
      value: count,
    }))
    return { ...(await super.get()), name: this.#shape.name, help: this.#shape.help, values }
  }
}

type HistogramSeries = { readonly labels: Labels; readonly buckets: Float64Array; sum: number; count: number }

/** A histogram whose series are found by a ready-made key. */
export class TallyHistogram extends Histogram {
  readonly #series = new Map<string, HistogramSeries>()
  readonly #bounds: readonly number[]
  readonly #shape: { readonly name: string; readonly help: string }

  constructor(configuration: HistogramConfiguration<string> & { readonly buckets: number[] }) {
    super(configuration)
    this.#bounds = configuration.buckets
    this.#shape = configuration
  }

  tally(key: string, labels: () => Labels, value: number): void {
    let series = this.#series.get(key)
    if (series === undefined) {
      series = { labels: labels(), buckets: new Float64Array(this.#bounds.length), sum: 0, count: 0 }
      this.#series.set(key, series)
    }
    series.sum += value
    series.count += 1
    const index = this.#bounds.findIndex((bound) => value <= bound)
    if (index !== -1) series.buckets[index] = (series.buckets[index] ?? 0) + 1
  }

  /** What the registry asks a histogram for, and what `get()` is made from; its types do not tell. */
  async getForPromString() {
    const { name, help } = this.#shape
    const values = [...this.#series.values()].flatMap((series) => this.#valuesOf(series))
    return { name, help, type: 'histogram', values, aggregator: 'sum' }
  }

  /** Cumulative, as the exposition format wants them. */
  #valuesOf({ labels, buckets, sum, count }: HistogramSeries) {
    let below = 0
    const bounded = this.#bounds.map((bound, index) => {
      below += buckets[index] ?? 0
      return this.#value('_bucket', { ...labels, le: bound }, below)
    })
    return [
      ...bounded,
      this.#value('_bucket', { ...labels, le: '+Inf' }, count),
      this.#value('_sum', labels, sum),
      this.#value('_count', labels, count),
    ]
  }

  #value(suffix: string, labels: Readonly<Record<string, string | number>>, value: number) {
    // prom-client keeps labels of a series apart from `le`, and wants to join them in `get()`.
    const sharedLabels = {}
    return {
      metricName: `${this.#shape.name}${suffix}`,
      labels: { ...labels },
      sharedLabels,
      value,
      exemplar: null,
    }
  }
}
