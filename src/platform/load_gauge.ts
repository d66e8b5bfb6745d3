// Whether anybody would have to wait. An idle process signs, verifies and writes in place, because a hop to a thread or a
// timer costs more than the work; a loaded one does the work elsewhere or in batches. One connection at a time is idle
// however busy it is; several are idle only while the event loop mostly sleeps.
import { performance } from 'node:perf_hooks'

export type LoadGauge = {
  readonly isIdle: () => boolean
  /** Counts an open connection until the returned function is called. */
  readonly connected: () => () => void
  readonly close: () => void
}

const SAMPLE_MS = 50
/** Above this share of a sample the event loop counts as busy. */
const BUSY_UTILIZATION = 0.5
/** A client and its successor: the old connection is often still closing when the new one asks. */
const FEW_CONNECTIONS = 2

export function createLoadGauge(): LoadGauge {
  let connections = 0
  let isBusy = false
  let last = performance.eventLoopUtilization()
  const timer = setInterval(() => {
    const now = performance.eventLoopUtilization()
    isBusy = performance.eventLoopUtilization(now, last).utilization > BUSY_UTILIZATION
    last = now
  }, SAMPLE_MS)
  timer.unref()
  return {
    isIdle: () => connections <= FEW_CONNECTIONS || !isBusy,
    connected() {
      connections += 1
      return () => {
        connections -= 1
      }
    },
    close: () => clearInterval(timer),
  }
}
