// The queue in front of the signer, whichever that is. Whoever would wait too long is told so at once, so that those who are
// in are served in time: a queue without an end serves everybody late, and then nobody, because callers give up.
// In memory and of one process: two limits by Little's law, length for a signer that is quick and age for one that is not.
import { performance } from 'node:perf_hooks'
import type { SigningKey } from './signer.ts'

export type SigningQueue = {
  /** Why nobody may join now; `undefined` when there is room. */
  readonly refusal: () => SignerBusy | undefined
  /** Takes a place until the returned function is called, which must be once. Ask `refusal` right before. */
  readonly join: () => () => void
  /** The same key, whose signatures this queue sees. */
  readonly watched: (key: SigningKey) => SigningKey
  /** How many have a place now. */
  readonly length: () => number
  /** The same queue under another limit, after a reload. */
  readonly withLimit: (maxWaiting: number) => SigningQueue
}

type SignerBusy = {
  readonly reason: 'signer_busy'
  readonly waiting: number
  /** Of the signature that has waited longest. */
  readonly waitedMs: number
  readonly retryAfterSeconds: number
}

export type SigningQueueOptions = {
  /** 0: no limit of the length. */
  readonly maxWaiting: number
  /** Milliseconds that only go forward. */
  readonly now?: () => number
}

/**
 * When the oldest signature has waited for so long, who comes now would wait as long. The slowest signature of a local key
 * takes a millisecond, one over a network a tenth of a second.
 */
export const MAX_WAIT_MS = 1000

export function createSigningQueue({
  maxWaiting,
  now = () => performance.now(),
}: SigningQueueOptions): SigningQueue {
  return queueOf({ places: 0, started: new Set() }, maxWaiting, now)
}

/** When a signature was asked for; an object, because two may begin in one moment. In the order of their beginning. */
class Begun {
  readonly atMs: number
  constructor(atMs: number) {
    this.atMs = atMs
  }
}

type State = { places: number; readonly started: Set<Begun> }

function queueOf(state: State, maxWaiting: number, now: () => number): SigningQueue {
  const waitedMs = (): number => {
    for (const oldest of state.started) return now() - oldest.atMs
    return 0
  }
  const timed = (signing: Promise<string>): Promise<string> => {
    const begun = new Begun(now())
    state.started.add(begun)
    const end = (): void => void state.started.delete(begun)
    // Beside the caller, who waits for the signature itself: one step less, and how it ends is his to see.
    void signing.then(end, end)
    return signing
  }
  /** The key that signs, nearly always: what is remembered of a key is found by the object (tokens/issue.ts). */
  let known: { readonly key: SigningKey; readonly watched: SigningKey } | undefined
  const watch = (key: SigningKey): SigningKey => ({
    kid: key.kid,
    algorithm: key.algorithm,
    sign: (input) => timed(key.sign(input)),
  })
  return {
    refusal() {
      const waited = waitedMs()
      const isFull = maxWaiting !== 0 && state.places >= maxWaiting
      if (!isFull && waited < MAX_WAIT_MS) return undefined
      const retryAfterSeconds = Math.max(1, Math.ceil(waited / 1000))
      return {
        reason: 'signer_busy',
        waiting: state.places,
        waitedMs: Math.round(waited),
        retryAfterSeconds,
      }
    },
    join() {
      state.places += 1
      return () => {
        state.places -= 1
      }
    },
    watched(key) {
      if (known?.key !== key) known = { key, watched: watch(key) }
      return known.watched
    },
    length: () => state.places,
    withLimit: (other) => queueOf(state, other, now),
  }
}
