// New inputs from old ones.
import type { FuzzTarget } from './target.ts'

/** From 0 to below `limit`, a whole number. */
export type Below = (limit: number) => number

export const MAX_INPUT_BYTES = 4096
const MAX_STEPS = 4
const MAX_REPEATS = 40

/** mulberry32: the same numbers from the same seed. */
export function randomOf(seed: number): Below {
  let state = seed | 0
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296) * limit)
  }
}

/** One of `corpus`, changed in one to four places. */
export function mutated(target: FuzzTarget, corpus: readonly Buffer[], below: Below): Buffer {
  let input = corpus[below(corpus.length)] ?? Buffer.alloc(0)
  for (let steps = 1 + below(MAX_STEPS); steps > 0; steps -= 1) input = changed(input, target, corpus, below)
  return input.subarray(0, MAX_INPUT_BYTES)
}

function changed(input: Buffer, target: FuzzTarget, corpus: readonly Buffer[], below: Below): Buffer {
  const from = below(input.length + 1)
  // Mostly short: a long cut leaves nothing to look at.
  const to = Math.min(input.length, from + below(below(4) === 0 ? 64 : 6))
  const part = input.subarray(from, to)
  switch (below(8)) {
    case 0:
      return put(input, from, from, Buffer.of(below(256)))
    case 1:
      return put(input, from, Math.min(input.length, from + 1), Buffer.of(32 + below(95)))
    case 2:
      return put(input, from, to, Buffer.alloc(0))
    case 3:
      return put(input, from, from, wordOf(target, below))
    case 4:
      return put(input, from, to, wordOf(target, below))
    case 5:
      return put(input, to, to, Buffer.concat(Array.from({ length: 1 + below(MAX_REPEATS) }, () => part)))
    case 6: {
      const other = corpus[below(corpus.length)] ?? input
      return put(input, from, below(2) === 0 ? input.length : to, other.subarray(below(other.length + 1)))
    }
    default: {
      // Somewhere else in the same input.
      const rest = put(input, from, to, Buffer.alloc(0))
      const place = below(rest.length + 1)
      return put(rest, place, place, part)
    }
  }
}

function wordOf(target: FuzzTarget, below: Below): Buffer {
  return Buffer.from(target.words[below(target.words.length)] ?? '')
}

function put(input: Buffer, from: number, to: number, part: Buffer): Buffer {
  return Buffer.concat([input.subarray(0, from), part, input.subarray(to)])
}
