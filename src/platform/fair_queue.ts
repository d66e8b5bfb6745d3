// Who is next where more want to run than may: the lanes take turns, so that a crowd in one lane does not hold up the
// others.

/** Runs `job` when there is room, first come first served within its lane. Rejects with a refusal when too many wait. */
export type FairQueue = <T>(lane: string, job: () => Promise<T>) => Promise<T>

export type FairQueueOptions = {
  readonly maxConcurrent: number
  /** Of one lane, so that slow jobs of one leave places for others; `maxConcurrent` by default. */
  readonly maxOfLane?: number
  /** All lanes together. When they are full, the longest lane makes room for a shorter one. */
  readonly maxQueued: number
  /** Whoever has waited for so long is refused; without it nobody is. */
  readonly patience?: Patience
  readonly refusal: () => Error
}

export type Patience = {
  readonly ms: number
  /** Calls back after so many milliseconds unless it is cancelled by what it returns; `setTimeout` by default. */
  readonly after?: (ms: number, callback: () => void) => () => void
}

type Waiter = { readonly start: () => void; readonly refuse: () => void }

export function createFairQueue(options: FairQueueOptions): FairQueue {
  const { maxConcurrent, maxOfLane = maxConcurrent, maxQueued, patience, refusal } = options
  let waiting = 0
  let running = 0
  // By lane; one without a job is not there.
  const runningIn = new Map<string, number>()
  // In the order of their turns; a lane without a waiter is not there.
  const lanes = new Map<string, Waiter[]>()

  function hasRoom(name: string): boolean {
    return running < maxConcurrent && (runningIn.get(name) ?? 0) < maxOfLane
  }

  function enter(name: string): void {
    running += 1
    runningIn.set(name, (runningIn.get(name) ?? 0) + 1)
  }

  async function takePlace(name: string): Promise<void> {
    if (hasRoom(name)) return enter(name)
    const lane = lanes.get(name) ?? []
    if (waiting >= maxQueued && !pushOutFor(lane)) throw refusal()
    waiting += 1
    lanes.set(name, lane)
    await new Promise<void>((resolve, reject) => {
      const waiter = {
        start: () => {
          stop()
          resolve()
        },
        refuse: () => {
          stop()
          reject(refusal())
        },
      }
      const stop = patience === undefined ? noTimer : lose(name, waiter, patience)
      lane.push(waiter)
    })
  }

  function lose(name: string, waiter: Waiter, { ms, after = afterTimeout }: Patience): () => void {
    return after(ms, () => {
      const lane = lanes.get(name) ?? []
      lane.splice(lane.indexOf(waiter), 1)
      if (lane.length === 0) lanes.delete(name)
      waiting -= 1
      waiter.refuse()
    })
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

  /** Whoever finishes hands its place over to the next lane that may have it, which then goes to the end. */
  function leave(left: string): void {
    running -= 1
    const before = runningIn.get(left) ?? 0
    if (before > 1) runningIn.set(left, before - 1)
    else runningIn.delete(left)
    for (const [name, lane] of lanes) {
      if (!hasRoom(name)) continue
      const next = lane.shift()
      lanes.delete(name)
      if (lane.length > 0) lanes.set(name, lane)
      waiting -= 1
      enter(name)
      next?.start()
      return
    }
  }

  return async (lane, job) => {
    await takePlace(lane)
    try {
      return await job()
    } finally {
      leave(lane)
    }
  }
}

function noTimer(): void {}

function afterTimeout(ms: number, callback: () => void): () => void {
  const timer = setTimeout(callback, ms)
  return () => clearTimeout(timer)
}
