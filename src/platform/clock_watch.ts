// Watches the clock of this machine against the one that all replicas share. Between two looks the monotonic clock carries
// the time on, so a clock that jumps is seen with the next request and not with the next look.
import type { Clock } from '#core/clock.ts'
import { tooFarOff } from '#core/clock_skew.ts'
import type { ClockLook } from '#core/clock_skew.ts'

export type ClockWatch = {
  /** Whether there is a clock to compare with: a store on this machine has none of its own. */
  readonly isShared: boolean
  /** Seconds by which the clock here is ahead (behind: negative), when it is too far off; else `undefined`. */
  readonly offBySeconds: () => number | undefined
  /** Looks now. Rejects with StoreFailure; what was seen last holds on. */
  readonly look: () => Promise<void>
  readonly close: () => void
}

export type ClockWatchOptions = {
  readonly clock: Clock
  /** Milliseconds that only grow, from any start. */
  readonly monotonic: () => number
  /** The shared clock in milliseconds since the epoch; left out: there is none. */
  readonly shared?: (() => Promise<number>) | undefined
  readonly log: {
    error(fields: object, message: string): void
    info(fields: object, message: string): void
    warn(fields: object, message: string): void
  }
  /** 10 s by default; 0: nobody looks but the caller. */
  readonly lookEveryMs?: number
}

const LOOK_EVERY_MS = 10_000
/** A clock that looks wrong is compared anew at once: a machine that was suspended is right after one look. */
const LOOK_AGAIN_MS = 1000

/** The watch of a store that has no clock of its own. */
const NO_CLOCK_WATCH: ClockWatch = {
  isShared: false,
  offBySeconds: () => undefined,
  look: async () => {},
  close: () => {},
}

/** Looks once before it resolves. Rejects with StoreFailure when that fails. */
export async function openClockWatch(options: ClockWatchOptions): Promise<ClockWatch> {
  const { clock, monotonic, shared, log } = options
  if (shared === undefined) return NO_CLOCK_WATCH
  let lastTriedAt = monotonic()
  let wasOff = false
  let seen = await lookOnce(shared, monotonic)
  tell()

  async function look(): Promise<void> {
    lastTriedAt = monotonic()
    if (shared === undefined) return
    seen = await lookOnce(shared, monotonic)
    tell()
  }

  function lookSafely(): void {
    look().catch((error: unknown) =>
      log.warn({ why: error instanceof Error ? error.message : String(error) }, 'clocks not compared'),
    )
  }

  function off(): number | undefined {
    return tooFarOff(seen, monotonic(), clock())
  }

  function tell(): void {
    const ahead = off()
    const isOff = ahead !== undefined
    if (isOff && !wasOff) {
      const aheadSeconds = Math.round(ahead / 1000)
      log.error({ aheadSeconds }, "the clock here is off the store's: nothing is issued until they agree")
    }
    if (!isOff && wasOff) log.info({}, "the clock here agrees with the store's again")
    wasOff = isOff
  }

  const every = options.lookEveryMs ?? LOOK_EVERY_MS
  const timer = every === 0 ? undefined : setInterval(lookSafely, every).unref()
  return {
    isShared: true,
    offBySeconds() {
      const ahead = off()
      if (ahead === undefined) return undefined
      tell()
      if (monotonic() - lastTriedAt >= LOOK_AGAIN_MS) lookSafely()
      return Math.round(ahead / 1000)
    },
    look,
    close: () => clearInterval(timer),
  }
}

async function lookOnce(shared: () => Promise<number>, monotonic: () => number): Promise<ClockLook> {
  const askedAt = monotonic()
  const now = await shared()
  return { askedAt, answeredAt: monotonic(), shared: now }
}
