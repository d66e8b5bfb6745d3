// Whether two kinds of answers can be told apart by their time. The statistic is the chance that an answer of the one kind took
// longer than one of the other (Mann-Whitney's U over n squared, the area under the ROC curve): 0.5 is a guess, and unlike a
// mean it does not mind the odd pause. The samples come in pairs, taken one right after the other in random order; what chance
// alone makes of them is found by swapping within the pairs. No shape of the noise is assumed.

export type Pair = { readonly first: number; readonly second: number }

export type Distinction = {
  /** How often `first` took longer than a `second` of any pair; ties are half. */
  readonly auc: number
  /** Of 1,000 swapped samples 999 lie no further from 0.5. */
  readonly bound: number
  readonly isFound: boolean
  /** Of the differences of the pairs, in their unit. */
  readonly medianDifference: number
}

const PERMUTATIONS = 5000
/** One false alarm in a thousand. */
const SIGNIFICANCE = 0.001

/** `random`: 32 fresh bits for each call. */
export function distinguish(pairs: readonly Pair[], random: () => number): Distinction {
  const n = pairs.length
  const ranks = midRanks(pairs.flatMap(({ first, second }) => [first, second]))
  const aucOf = (rankSum: number): number => (rankSum - (n * (n + 1)) / 2) / (n * n)
  let observed = 0
  for (let at = 0; at < 2 * n; at += 2) observed += ranks[at] ?? 0
  const distances = new Float64Array(PERMUTATIONS)
  for (let round = 0; round < PERMUTATIONS; round += 1) {
    let sum = 0
    let bits = 0
    for (let at = 0; at < 2 * n; at += 2) {
      if ((at & 63) === 0) bits = random()
      sum += ranks[at + (bits & 1)] ?? 0
      bits >>>= 1
    }
    distances[round] = Math.abs(aucOf(sum) - 0.5)
  }
  distances.sort()
  const bound = distances[Math.ceil(PERMUTATIONS * (1 - SIGNIFICANCE)) - 1] ?? 0.5
  const auc = aucOf(observed)
  const differences = Float64Array.from(pairs, ({ first, second }) => first - second).sort()
  return {
    auc,
    bound,
    isFound: Math.abs(auc - 0.5) > bound,
    medianDifference: differences[n >> 1] ?? Number.NaN,
  }
}

/** Ranks from 1; equal values share the middle of theirs. */
function midRanks(values: readonly number[]): Float64Array {
  const order = Uint32Array.from(values.keys()).sort((a, b) => (values[a] ?? 0) - (values[b] ?? 0))
  const ranks = new Float64Array(values.length)
  for (let from = 0; from < order.length;) {
    let to = from
    const value = values[order[from] ?? 0]
    while (to < order.length && values[order[to] ?? 0] === value) to += 1
    for (let at = from; at < to; at += 1) ranks[order[at] ?? 0] = (from + 1 + to) / 2
    from = to
  }
  return ranks
}

/** Mulberry32: the same bits for the same seed. */
export function seededBits(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
}
