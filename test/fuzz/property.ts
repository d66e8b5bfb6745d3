// Properties over generated inputs, for tests. The seed is the same in every run, so that a failure is the same on every
// machine; FUZZ_SEED=N tries another one. A failure says seed, path and the smallest counterexample.
import { array, check, integer, oneof, property } from 'fast-check'
import type { Arbitrary } from 'fast-check'
import type { Test } from 'tap'

const DEFAULT_SEED = 20_261_121
/** Of one property. A slow machine tries fewer inputs and is not failed for it. */
const TIME_LIMIT_MS = 1500

/** At most `runs` inputs; `examine` throws for one that breaks the property. */
export function holdsForAll<T>(
  t: Test,
  runs: number,
  inputs: Arbitrary<T>,
  examine: (input: T) => void,
): void {
  const seed = Number(process.env['FUZZ_SEED'] ?? DEFAULT_SEED)
  const { failed, numRuns, counterexample, counterexamplePath, errorInstance } = check(
    property(inputs, (input) => examine(input)),
    { numRuns: runs, seed, interruptAfterTimeLimit: TIME_LIMIT_MS },
  )
  if (failed) {
    const message = errorInstance instanceof Error ? errorInstance.message : String(errorInstance)
    t.fail(`${message}: ${JSON.stringify(counterexample)} (seed ${seed}, path ${counterexamplePath})`)
  } else t.ok(numRuns >= Math.min(50, runs), `${numRuns} inputs from seed ${seed}`)
}

/**
 * Texts of any code points, lone surrogates among them. fast-check's own unit `binary` takes seconds to be built.
 */
export function anyText(maxLength = 10): Arbitrary<string> {
  const point = oneof(
    integer({ min: 0, max: 0x7f }),
    integer({ min: 0, max: 0xffff }),
    integer({ min: 0, max: 0x10ffff }),
  )
  return array(point, { maxLength }).map((points) => String.fromCodePoint(...points))
}
