// V8 sizes its young generation by the machine: with much memory it grows to 128 MB, which a server of short requests
// fills with garbage and gains nothing from (docs/decisions/0003-runtime.md). No setting of Node reaches it after the
// start, and a program that npm installs cannot bring flags along; so growth is switched off while it is large enough.
import { PerformanceObserver } from 'node:perf_hooks'
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'

/** Two halves of 16 MB: as fast as the largest, and 70 MB less. */
const ENOUGH_BYTES = 32 * 1024 * 1024
const GROWS = 2
const STAYS = 1

/**
 * With one core the helpers of the collector take turns with whoever answers, a time slice each, and answers wait 40 ms while
 * they mark. In steps of its own it marks in a millisecond at a time.
 */
export function collectInTurn(cores: number): void {
  if (cores !== 1) return
  // What --single-threaded-gc stands for, as far as it may change in a process that runs: by itself it is read at the start only.
  setFlagsFromString('--no-parallel-scavenge')
  setFlagsFromString('--no-concurrent-marking')
}

export function boundYoungGeneration(): void {
  let factor = GROWS
  // After each collection: V8 shrinks it again while the server idles, and it must be able to grow back.
  const observer = new PerformanceObserver(() => {
    const young = getHeapSpaceStatistics().find((space) => space.space_name === 'new_space')
    const wanted = (young?.space_size ?? 0) < ENOUGH_BYTES ? GROWS : STAYS
    if (wanted === factor) return
    factor = wanted
    setFlagsFromString(`--semi-space-growth-factor=${factor}`)
  })
  observer.observe({ entryTypes: ['gc'] })
}
