// Who is next where more want to run than may: the lanes take turns, so that a crowd in one lane does not hold up the
// others.

/** Runs `job` when there is room, first come first served within its lane. Rejects with a refusal when too many wait. */
export type FairQueue = <T>(lane: string, job: () => Promise<T>) => Promise<T>

export type FairQueueOptions = {
  readonly maxConcurrent: number
  /** All lanes together. When they are full, the longest lane makes room for a shorter one. */
  readonly maxQueued: number
  readonly refusal: () => Error
}

type Waiter = { readonly start: () => void; readonly refuse: () => void }

export function createFairQueue({ maxConcurrent, maxQueued, refusal }: FairQueueOptions): FairQueue {
  let running = 0
  let waiting = 0
  // In the order of their turns; a lane without a waiter is not there.
  const lanes = new Map<string, Waiter[]>()

  async function takePlace(name: string): Promise<void> {
    if (running < maxConcurrent) {
      running += 1
      return
    }
    const lane = lanes.get(name) ?? []
    if (waiting >= maxQueued && !pushOutFor(lane)) throw refusal()
    waiting += 1
    lanes.set(name, lane)
    await new Promise<void>((start, reject) => lane.push({ start, refuse: () => reject(refusal()) }))
  }

  /** Refuses the last of the longest lane, when that is still no shorter than `lane` afterwards. */
  function pushOutFor(lane: readonly Waiter[]): boolean {
    let longest: Waiter[] = []
    for (const each of lanes.values()) if (each.length > longest.length) longest = each
    if (longest.length <= lane.length + 1) return false
    longest.pop()?.refuse()
    waiting -= 1
    return true
  }

  /** Whoever finishes hands its place over to the lane whose turn it is, which then goes to the end. */
  function handOver(): void {
    for (const [name, lane] of lanes) {
      const next = lane.shift()
      lanes.delete(name)
      if (lane.length > 0) lanes.set(name, lane)
      waiting -= 1
      next?.start()
      return
    }
    running -= 1
  }

  return async (lane, job) => {
    await takePlace(lane)
    try {
      return await job()
    } finally {
      handOver()
    }
  }
}
