// Token buckets by key, before anything that costs. Bounded: the least recently seen key is forgotten first, and a key
// that rested long enough to be full again is forgotten by its TTL.
import { LRUCache } from 'lru-cache'
import type { Clock } from '#core/clock.ts'
import { ownText } from '#core/own_text.ts'

export type RateLimit = {
  /** Takes one token. `0` when there was one, else the whole seconds after which the next is there. */
  readonly take: (key: string) => number
}

export type RateLimitOptions = {
  /** Requests per second that a key may keep up for ever; 0 turns the limit off. */
  readonly rate: number
  readonly burst: number
  readonly maxKeys: number
  readonly clock: Clock
}

type Bucket = { tokens: number; atMs: number }

export function createRateLimit({ rate, burst, maxKeys, clock }: RateLimitOptions): RateLimit {
  if (rate <= 0) return { take: () => 0 }
  const buckets = new LRUCache<string, Bucket>({
    max: maxKeys,
    ttl: fullAgainMs(rate, burst),
    updateAgeOnGet: true,
    // With a resolution it would set a timer for each. Its clock is its own, which never goes back.
    ttlResolution: 0,
  })
  return {
    take(key) {
      const now = clock()
      const bucket = buckets.get(key)
      if (bucket === undefined) {
        buckets.set(ownText(key), { tokens: burst - 1, atMs: now })
        return 0
      }
      // A clock that jumps back must not lock anybody out: no time has passed then.
      const elapsedSeconds = Math.max(0, now - bucket.atMs) / 1000
      bucket.tokens = Math.min(burst, bucket.tokens + elapsedSeconds * rate)
      bucket.atMs = now
      if (bucket.tokens < 1) return Math.max(1, Math.ceil((1 - bucket.tokens) / rate))
      bucket.tokens -= 1
      return 0
    },
  }
}

function fullAgainMs(rate: number, burst: number): number {
  return Math.max(1000, Math.ceil((burst / rate) * 1000))
}
