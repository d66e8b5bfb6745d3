// How far the clock of a replica is off the one that all replicas share (their store's), and when that is too far: what one of
// them signs the others must be able to verify, and a key must not sign before all of them publish it.

/**
 * Two replicas that are each this far off, in opposite directions, are a minute apart: what the key ring's waiting and the
 * back-dating of tokens allow (core/key_rotation.ts, core/token/claims.ts).
 */
const ALLOWED_OFF_MS = 30_000

/** One look at the shared clock, in milliseconds; all but `shared` by the monotonic clock of this process. */
export type ClockLook = {
  readonly askedAt: number
  readonly answeredAt: number
  /** Since the epoch. */
  readonly shared: number
}

/** Milliseconds since the epoch by the shared clock, `monotonic` milliseconds after the look or before it. */
export function sharedNow({ askedAt, answeredAt, shared }: ClockLook, monotonic: number): number {
  return shared + monotonic - (askedAt + answeredAt) / 2
}

/**
 * Milliseconds by which `own` is ahead, when that is more than is allowed, whenever in between the answer was made;
 * `undefined`: it is near enough.
 */
export function tooFarOff(look: ClockLook, monotonic: number, own: number): number | undefined {
  const ahead = own - sharedNow(look, monotonic)
  const uncertain = (look.answeredAt - look.askedAt) / 2
  return Math.abs(ahead) - uncertain > ALLOWED_OFF_MS ? ahead : undefined
}
