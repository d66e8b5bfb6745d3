// Time and randomness are arguments. Tests fix them; src/cli passes the real ones in.

/** Milliseconds since the Unix epoch, wall clock. */
export type Clock = () => number

/** `length` cryptographically random bytes. */
export type RandomBytes = (length: number) => Uint8Array

/** Wall-clock seconds, as JWT's NumericDate counts them (RFC 7519 §2), rounded down. */
export function epochSeconds(clock: Clock): number {
  return Math.floor(clock() / 1000)
}
