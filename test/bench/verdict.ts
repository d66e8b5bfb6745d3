// A figure against its goal and floor.
export type Verdict = 'goal' | 'floor' | 'MISS'

export type Row = {
  readonly title: string
  readonly figure: string
  readonly ours: string
  readonly theirs: string
  readonly ratio: number | undefined
  /** Dex's CPU per request / ours: what the rates would say on a machine of our own. */
  readonly cpuRatio: number | undefined
  readonly goal: string
  readonly floor: string
  readonly verdict: Verdict
  /** Foreign load was above the limit in a cell of this row even after retries. */
  readonly noisy: boolean
}

/** `atLeast`: bigger is better. A row without a floor passes below its goal. */
export function judge(
  value: number,
  goal: number,
  floor: number | undefined,
  direction: 'atLeast' | 'atMost',
): Verdict {
  const reaches = (limit: number) => (direction === 'atLeast' ? value >= limit : value <= limit)
  if (reaches(goal)) return 'goal'
  return floor === undefined || reaches(floor) ? 'floor' : 'MISS'
}
