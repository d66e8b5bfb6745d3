// The input that is being asked, in memory that two threads see: number of inputs so far, number of the target, length,
// bytes. The first number is written last and tells whether anything moves.
import { MAX_INPUT_BYTES } from './mutation.ts'

const HEAD = 3

/** Corpora may hold longer ones than mutation makes; of those only the beginning is seen here. */
export function createCurrent(): SharedArrayBuffer {
  return new SharedArrayBuffer(HEAD * 4 + MAX_INPUT_BYTES)
}

export function writeCurrent(memory: SharedArrayBuffer, target: number, input: Buffer): void {
  const head = new Int32Array(memory, 0, HEAD)
  const bytes = new Uint8Array(memory, HEAD * 4)
  const part = input.subarray(0, MAX_INPUT_BYTES)
  bytes.set(part)
  Atomics.store(head, 1, target)
  Atomics.store(head, 2, part.length)
  Atomics.add(head, 0, 1)
}

/** `asked` is how many inputs were asked so far. */
export function readCurrent(memory: SharedArrayBuffer): { asked: number; target: number; input: Buffer } {
  const head = new Int32Array(memory, 0, HEAD)
  const input = Buffer.from(new Uint8Array(memory, HEAD * 4, Atomics.load(head, 2)))
  return { asked: Atomics.load(head, 0), target: Atomics.load(head, 1), input }
}
