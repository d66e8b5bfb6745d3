// Where signatures are made and checked: in place when nobody would have to wait for it, else on the signature thread
// (signature_thread/), and what that does not take on libuv's threads. Those are shared with name look-ups, which can
// hang for seconds; work that is stuck behind one is done in place, so that an issuer whose name server is dead delays
// nobody.
import { performance } from 'node:perf_hooks'
import { NotDoneByThread } from './signature_thread/signature_thread.ts'
import type { SignatureThread } from './signature_thread/signature_thread.ts'

/** `medium`: in place when idle, on a thread under load. `long` (signing RSA, 250 us): on a thread while they answer. */
type CryptoCost = 'medium' | 'long'

export type CryptoWork<T> = {
  readonly inPlace: () => T
  readonly onThread: (done: (error: Error | null, value: T) => void) => void
  /** False when that thread does not take it; then `done` is never called. */
  readonly onSignatureThread?: (
    thread: SignatureThread,
    done: (error: Error | null, value: T) => void,
  ) => boolean
  readonly cost: CryptoCost
}

export interface CryptoPool {
  run<T>(work: CryptoWork<T>): Promise<T>
  close(): void
}

/** Without an answer from any thread for so long the threads count as stuck; the slowest signature takes 1 ms. */
const STUCK_MS = 250
const CHECK_MS = 100

export type CryptoPoolOptions = {
  readonly isIdle: () => boolean
  /** Started with the first work of a loaded process; without it libuv's threads do everything. */
  readonly startThread?: () => SignatureThread
}

export function createCryptoPool({ isIdle, startThread }: CryptoPoolOptions): CryptoPool {
  // Each with its own watch: answers of the one say nothing about work that hangs in the other.
  const [ownThread, libuv] = [createLane(), createLane()]
  const hand = createHandover()
  let thread: SignatureThread | undefined
  const timer = setInterval(() => {
    ownThread.check()
    libuv.check()
  }, CHECK_MS)
  timer.unref()

  const onOwnThread = <T>(work: CryptoWork<T>): Promise<T> | undefined => {
    const { onSignatureThread } = work
    if (startThread === undefined || onSignatureThread === undefined || ownThread.isStuck()) return undefined
    thread ??= startThread()
    const to = thread
    return ownThread.wait(work, (answered) => onSignatureThread(to, answered))
  }

  const onLibuv = <T>(work: CryptoWork<T>): Promise<T> | undefined => {
    if (libuv.isStuck()) return undefined
    return libuv.wait(work, (answered) => {
      hand(() => work.onThread(answered))
      return true
    })
  }

  return {
    run(work) {
      const here = work.cost === 'medium' && isIdle()
      const there = here ? undefined : (onOwnThread(work) ?? onLibuv(work))
      return there ?? new Promise((resolve, reject) => settle(work.inPlace, resolve, reject))
    },
    close() {
      clearInterval(timer)
      thread?.close()
    },
  }
}

type Answered<T> = (error: Error | null, value: T) => void

/** One way to a thread: what waits there, and whether it answers. */
function createLane() {
  const pending = createPending()
  let isStuck = false
  let lastAnswer = 0
  return {
    isStuck: () => isStuck,
    check(): void {
      if (pending.isEmpty() || performance.now() - lastAnswer < STUCK_MS) return
      isStuck = true
      pending.rescueAll()
    },
    /** `undefined` when `start` says that the work is not taken. */
    wait<T>(work: CryptoWork<T>, start: (answered: Answered<T>) => boolean): Promise<T> | undefined {
      const { promise, resolve, reject } = Promise.withResolvers<T>()
      if (pending.isEmpty()) lastAnswer = performance.now()
      const entry = pending.add(() => settle(work.inPlace, resolve, reject))
      const isTaken = start((error, value) => {
        lastAnswer = performance.now()
        isStuck = false
        // After a rescue the answer comes too late, and only says that the thread is well again.
        if (!pending.remove(entry)) return
        if (error === null) resolve(value)
        else if (error instanceof NotDoneByThread) entry.rescue()
        else reject(error)
      })
      if (isTaken) return promise
      pending.remove(entry)
      return undefined
    },
  }
}

/**
 * Hands work over at the end of the present turn of the event loop, all of it at once: waking a thread costs as much as
 * half a signature, and the work of one turn then wakes it once.
 */
function createHandover(): (job: () => void) => void {
  let jobs: (() => void)[] = []
  const handOver = (): void => {
    const due = jobs
    jobs = []
    for (const job of due) job()
  }
  return (job) => {
    if (jobs.push(job) === 1) setImmediate(handOver)
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

/** An entry of the ring of work that waits for a thread. */
class Pending {
  before: Pending = this
  after: Pending = this
  isWaiting = false
  readonly rescue: () => void

  constructor(rescue: () => void) {
    this.rescue = rescue
  }
}

/** What waits for a thread, as a ring: nothing is allocated for adding and removing but the entry itself. */
function createPending() {
  const ring = new Pending(() => {})
  const remove = (entry: Pending): boolean => {
    if (!entry.isWaiting) return false
    entry.isWaiting = false
    entry.before.after = entry.after
    entry.after.before = entry.before
    return true
  }
  return {
    isEmpty: () => ring.after === ring,
    add(rescue: () => void): Pending {
      const entry = new Pending(rescue)
      entry.before = ring.before
      entry.after = ring
      entry.isWaiting = true
      ring.before.after = entry
      ring.before = entry
      return entry
    },
    remove,
    rescueAll(): void {
      while (ring.after !== ring) {
        const { after } = ring
        remove(after)
        after.rescue()
      }
    },
  }
}
