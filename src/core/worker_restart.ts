// When a worker process that ended is started again: at once for an accident, less and less often for one that cannot live,
// so that what is broken takes neither the processor nor the log.

/** Milliseconds. */
const FIRST_DELAY_MS = 100
const LONGEST_DELAY_MS = 30_000
/** A worker that served for so long was well: its end begins a new row. */
const STEADY_MS = 60_000

/** `ends`: in a row, this one included, so 1 at least. In milliseconds: 100, 200, 400, up to half a minute. */
export function restartDelayMs(ends: number): number {
  return Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(ends - 1, 20))
}

/** The row after an end; `servedMs`: how long it had served, 0 when it never did. */
export function endsInRow(before: number, servedMs: number): number {
  return servedMs >= STEADY_MS ? 1 : before + 1
}
