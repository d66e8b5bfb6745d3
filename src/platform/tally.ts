// Counting on the hot path: a few look-ups and additions for each observation, and Prometheus' own shape only when
// somebody scrapes. (prom-client sorts and joins the labels anew at each `inc`, which cost a tenth of a request.)
import { Counter, Histogram } from 'prom-client'
import type {
  CounterConfiguration,
  HistogramConfiguration,
  MetricObjectWithValues,
  MetricValue,
} from 'prom-client'

type Labels = Readonly<Record<string, string>>

/**
 * What is kept for each combination of label values, found value by value: each is a text that is already known to the
 * engine (an id of the configuration, a word of a union), so that nothing is joined or hashed to find it.
 */
class SeriesTree<Series> {
  readonly #root: Branch<Series> = { branches: new Map(), series: undefined }
  readonly #all: Series[] = []
  readonly #make: (values: readonly string[]) => Series

  constructor(make: (values: readonly string[]) => Series) {
    this.#make = make
  }

  at(values: readonly string[]): Series {
    let branch = this.#root
    for (const value of values) {
      let next = branch.branches.get(value)
      if (next === undefined) {
        next = { branches: new Map(), series: undefined }
        branch.branches.set(value, next)
      }
      branch = next
    }
    if (branch.series === undefined) {
      branch.series = this.#make(values)
      this.#all.push(branch.series)
    }
    return branch.series
  }

  all(): readonly Series[] {
    return this.#all
  }
}

type Branch<Series> = { readonly branches: Map<string, Branch<Series>>; series: Series | undefined }

function labelsOf(names: readonly string[] = [], values: readonly string[]): Labels {
  return Object.fromEntries(names.map((name, index) => [name, values[index] ?? '']))
}

/** A counter whose series are found by their label values, in the order of `labelNames`. */
export class TallyCounter extends Counter {
  readonly #series: SeriesTree<{ readonly labels: Labels; count: number }>
  readonly #shape: { readonly name: string; readonly help: string }

  constructor(configuration: CounterConfiguration<string>) {
    super(configuration)
    this.#shape = configuration
    const { labelNames } = configuration
    this.#series = new SeriesTree((values) => ({ labels: labelsOf(labelNames, values), count: 0 }))
  }

  count(values: readonly string[]): void {
    this.#series.at(values).count += 1
  }

  override async get(): Promise<MetricObjectWithValues<MetricValue<string>>> {
    const values = this.#series.all().map(({ labels, count }) => ({ labels: { ...labels }, value: count }))
    return { ...(await super.get()), name: this.#shape.name, help: this.#shape.help, values }
  }
}

type HistogramSeries = { readonly labels: Labels; readonly buckets: Float64Array; sum: number; count: number }

/** A histogram whose series are found by their label values, in the order of `labelNames`. */
export class TallyHistogram extends Histogram {
  readonly #series: SeriesTree<HistogramSeries>
  readonly #bounds: readonly number[]
  readonly #shape: { readonly name: string; readonly help: string }

  constructor(configuration: HistogramConfiguration<string> & { readonly buckets: number[] }) {
    super(configuration)
    const { labelNames, buckets } = configuration
    this.#bounds = buckets
    this.#shape = configuration
    this.#series = new SeriesTree((values) => ({
      labels: labelsOf(labelNames, values),
      buckets: new Float64Array(buckets.length),
      sum: 0,
      count: 0,
    }))
  }

  tally(values: readonly string[], value: number): void {
    const series = this.#series.at(values)
    series.sum += value
    series.count += 1
    const index = this.#bounds.findIndex((bound) => value <= bound)
    if (index !== -1) series.buckets[index] = (series.buckets[index] ?? 0) + 1
  }

  /** What the registry asks a histogram for, and what `get()` is made from; its types do not tell. */
  async getForPromString() {
    const { name, help } = this.#shape
    const values = this.#series.all().flatMap((series) => this.#valuesOf(series))
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
