// Holds off who guesses secrets: each further wrong secret of one client from one network doubles the wait. Nobody else
// waits for it: other networks have a count of their own, a job that repeats one old secret is no guesser, and a secret
// that was right from this very network passes, so that a neighbour behind the same NAT cannot shut a fleet out.
// In memory and of one process; docs/architecture.md has the bounds.
import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Clock, RandomBytes } from '#core/clock.ts'
import { ownText } from '#core/own_text.ts'

export type SecretAttempt = {
  readonly clientId: string
  /** Whether there is such a client. Invented ids are counted in the same way, and crowd out nobody's count. */
  readonly isKnown: boolean
  /** As `callerNetwork` gives it. */
  readonly network: string
  readonly secret: string
}

export type GuessLimit = {
  /** Counts the attempt, which is a guess until `wasRight` is called. Held off ones are not counted. */
  readonly attempt: (attempt: SecretAttempt) => Attempted
}

type Attempted = SecretMemory & {
  /** Whole seconds until the next attempt; `0`: this one may be checked. */
  readonly waitSeconds: number
}

/** What is known of a secret that was shown, by client, network and secret. */
export type SecretMemory = {
  /**
   * The very hashes behind one of which this secret was found before. Where a client still has them nothing need be computed again;
   * after a reload it has others.
   */
  readonly foundIn: readonly string[] | undefined
  /** It was no guess: it is behind one of these hashes of the client. */
  readonly wasRight: (hashes: readonly string[]) => void
}

export type GuessLimitDeps = {
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  /** Clients and networks that are counted at once, those of clients that do not exist apart. 20,000 by default. */
  readonly maxCounts?: number
}

/** Different wrong secrets that cost nobody a wait: a person who tries what was written down somewhere. */
export const FREE_GUESSES = 10
/** Longest wait. 288 guesses a day are none, and who has been held off unjustly tries again before lunch is over. */
export const MAX_WAIT_SECONDS = 300
/** Counts are forgotten after this long without an attempt: longer than any wait. */
const COUNT_TTL_MS = 30 * 60_000
/** A job that runs once a day is still known the next day. */
const RIGHT_TTL_MS = 25 * 3_600_000
const MAX_RIGHT = 10_000
/** The last different secrets of each count; to send one of them again is no new guess. */
const RECENT = 4
/** An id that is invented may be as long as a form. */
const MAX_ID_CHARACTERS = 256

/** Of what is no secret, or not looked at. */
export const NOTHING_KNOWN: SecretMemory = { foundIn: undefined, wasRight: () => {} }

type Count = { recent: string[]; guesses: number; untilMs: number }

export function createGuessLimit({ clock, randomBytes, maxCounts = 20_000 }: GuessLimitDeps): GuessLimit {
  const processKey = Buffer.from(randomBytes(32)).toString('base64')
  const time = { perf: { now: clock }, ttlResolution: 0 }
  const counts = () =>
    new LRUCache<string, Count>({ max: maxCounts, ttl: COUNT_TTL_MS, updateAgeOnGet: true, ...time })
  const known = counts()
  const invented = counts()
  const right = new LRUCache<string, readonly string[]>({
    max: MAX_RIGHT,
    ttl: RIGHT_TTL_MS,
    updateAgeOnGet: true,
    ...time,
  })

  /** By a hash under a key of this process: memory holds nothing from which a secret could be computed. */
  const printOf = ({ clientId, network, secret }: SecretAttempt): string =>
    hash('sha256', `${processKey}\0${network}\0${clientId}\0${secret}`, 'base64')

  return {
    attempt(attempt) {
      const print = printOf(attempt)
      // Nearly every attempt, and it costs one hash. To ask again keeps it known.
      const foundIn = right.get(print)
      if (foundIn !== undefined)
        return {
          waitSeconds: 0,
          foundIn,
          wasRight(hashes) {
            if (hashes !== foundIn) right.set(print, hashes)
          },
        }

      const table = attempt.isKnown ? known : invented
      const key = `${attempt.network} ${attempt.clientId.slice(0, MAX_ID_CHARACTERS)}`
      const now = clock()
      const count = table.get(key) ?? { recent: [], guesses: 0, untilMs: 0 }
      if (count.guesses === 0) table.set(ownText(key), count)
      // A clock that jumped back must not hold anybody off for longer than the longest wait.
      const waitMs = Math.min(count.untilMs - now, MAX_WAIT_SECONDS * 1000)
      if (waitMs > 0) return { waitSeconds: Math.ceil(waitMs / 1000), ...NOTHING_KNOWN }
      const untilMs = countGuess(count, print, now)
      return {
        waitSeconds: 0,
        foundIn: undefined,
        wasRight(hashes) {
          right.set(print, hashes)
          takeBack(count, print, untilMs)
          if (count.guesses === 0 && table.peek(key) === count) table.delete(key)
        },
      }
    },
  }
}

/** Until when others wait for this guess; an old one makes nobody wait. */
function countGuess(count: Count, print: string, now: number): number {
  if (count.recent.includes(print)) return 0
  count.recent = [...count.recent.slice(1 - RECENT), print]
  count.guesses += 1
  const beyond = count.guesses - FREE_GUESSES
  if (beyond <= 0) return 0
  count.untilMs = now + Math.min(MAX_WAIT_SECONDS, 2 ** (beyond - 1)) * 1000
  return count.untilMs
}

/** It was none: its count goes, and the wait that it caused. */
function takeBack(count: Count, print: string, untilMs: number): void {
  if (!count.recent.includes(print)) return
  count.recent = count.recent.filter((other) => other !== print)
  count.guesses = Math.max(0, count.guesses - 1)
  if (count.untilMs === untilMs) count.untilMs = 0
}
