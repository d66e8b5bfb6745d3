// One input at one door, and a found one made small.
import { array, check, integer, property } from 'fast-check'
import type { FuzzTarget } from './target.ts'

/** What an input did: the class of its outcome, or what is wrong. */
export type Examined = { readonly outcome: string } | { readonly problem: string }

/** No input of 4 KB may take longer, on a machine that others use as well. */
const SLOW_MS = 1000
const SHRINK_MS = 20_000

/** A slow input is asked twice: the first time it may have been the machine. */
export function examine(target: FuzzTarget, input: Buffer): Examined {
  const first = timed(target, input)
  if ('problem' in first || first.ms < SLOW_MS) return first
  const second = timed(target, input)
  return 'problem' in second || second.ms < SLOW_MS
    ? second
    : { problem: `slow: ${Math.round(second.ms)} ms` }
}

function timed(
  target: FuzzTarget,
  input: Buffer,
): (Examined & { readonly ms: number }) | { readonly problem: string } {
  const began = performance.now()
  try {
    // A copy: no door may keep or change the bytes of the corpus.
    const outcome = target.check(Buffer.from(input))
    return { outcome, ms: performance.now() - began }
  } catch (error) {
    return { problem: error instanceof Error ? `${error.name}: ${error.message}` : `threw ${String(error)}` }
  }
}

/** The letter `a` counts as the simplest byte, so that what is left can be read. */
const SIMPLEST = 0x61
const byte = integer({ min: 0, max: 255 }).map(
  (distance) => (distance + SIMPLEST) % 256,
  (value) => (Number(value) - SIMPLEST + 256) % 256,
)

/** The smallest input that fast-check finds from here and that still is a finding. */
export function shrunk(target: FuzzTarget, found: Buffer): Buffer {
  const { counterexample } = check(
    property(
      array(byte, { maxLength: found.length }),
      (bytes) => 'outcome' in examine(target, Buffer.from(bytes)),
    ),
    { examples: [[Array.from(found)]], numRuns: 1, interruptAfterTimeLimit: SHRINK_MS },
  )
  return Buffer.from(counterexample?.[0] ?? found)
}
