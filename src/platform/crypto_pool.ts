// Where signatures are made and checked: on libuv's threads, or in place when nobody would have to wait for it. The
// threads are shared with name look-ups, which can hang for seconds; work that is stuck behind one is done in place, so
// that an issuer whose name server is dead delays nobody.
import { performance } from 'node:perf_hooks'

export type CryptoWork<T> = {
  readonly inPlace: () => T
  readonly onThread: (done: (error: Error | null, value: T) => void) => void
  /** Milliseconds rather than microseconds: never in place while the threads answer. */
  readonly isLong: boolean
}

export interface CryptoPool {
  run<T>(work: CryptoWork<T>): Promise<T>
  close(): void
}

/** Without an answer from any thread for so long the threads count as stuck; the slowest signature takes 1 ms. */
const STUCK_MS = 250
const CHECK_MS = 100

export type CryptoPoolOptions = { readonly isIdle: () => boolean }

export function createCryptoPool({ isIdle }: CryptoPoolOptions): CryptoPool {
  const pending = new Set<() => void>()
  let isStuck = false
  let lastAnswer = 0
  const timer = setInterval(() => {
    if (pending.size === 0 || performance.now() - lastAnswer < STUCK_MS) return
    isStuck = true
    for (const rescue of pending) rescue()
    pending.clear()
  }, CHECK_MS)
  timer.unref()

  const onThread = <T>(work: CryptoWork<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      const rescue = (): void => settle(work.inPlace, resolve, reject)
      if (pending.size === 0) lastAnswer = performance.now()
      pending.add(rescue)
      work.onThread((error, value) => {
        lastAnswer = performance.now()
        isStuck = false
        // After a rescue the answer comes too late, and only says that the threads are well again.
        if (!pending.delete(rescue)) return
        if (error === null) resolve(value)
        else reject(error)
      })
    })

  return {
    run(work) {
      const here = isStuck || (!work.isLong && isIdle())
      if (!here) return onThread(work)
      return new Promise((resolve, reject) => settle(work.inPlace, resolve, reject))
    },
    close: () => clearInterval(timer),
  }
}

/** For callers off the hot path: always in place. */
export const inPlacePool: CryptoPool = {
  run: (work) => new Promise((resolve, reject) => settle(work.inPlace, resolve, reject)),
  close: () => {},
}

function settle<T>(work: () => T, resolve: (value: T) => void, reject: (error: unknown) => void): void {
  try {
    resolve(work())
  } catch (error) {
    reject(error)
  }
}
