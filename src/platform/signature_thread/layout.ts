// The memory that the event loop and the signature thread share: a ring of slots, each with room for one signing input
// and its signature, and a few counters. One side writes a slot, counts it as handed over, and never looks at it again
// before the other side has counted it as done.

/** As many as a loaded broker has requests in work; when all are taken the work goes elsewhere. A power of two. */
export const SLOTS = 128
/** A token of 2.5 KB and an RSA-4096 signature; longer input goes elsewhere. */
export const SLOT_BYTES = 4096
const COUNTERS = 4
const FIELDS = 5
const INT_BYTES = 4

/** Counters: jobs handed over, jobs done, whether the thread sleeps, whether the event loop wants to be woken. */
export const HANDED_OVER = 0
export const DONE = 1
export const THREAD_SLEEPS = 2
export const LOOP_WAITS = 3

/** Fields of a slot: what to do, with which key, how many bytes of input and of signature, and what came of it. */
export const OPERATION = 0
export const KEY = 1
export const INPUT_BYTES = 2
export const SIGNATURE_BYTES = 3
export const OUTCOME = 4

/** SHA-256 in base64url. */
export const HASH_BYTES = 43

/**
 * Operations: take a key from the port; sign with SHA-256, which leaves the signature in the slot; verify with one of the
 * digests, which leaves the SHA-256 of the input there.
 */
export const TAKE_KEY = 0
export const SIGN_ES256 = 1
export const VERIFY = 2
export const DIGESTS = ['sha256', 'sha384', 'sha512'] as const

/** Outcomes of a job: an exception, false, true. */
export const THREW = -1

export type Layout = {
  readonly counters: Int32Array<SharedArrayBuffer>
  /** `field(slot, name)` is at `slot * FIELDS + name`. */
  readonly fields: Int32Array<SharedArrayBuffer>
  readonly slots: readonly Buffer<SharedArrayBuffer>[]
}

export function newMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer((COUNTERS + SLOTS * FIELDS) * INT_BYTES + SLOTS * SLOT_BYTES)
}

export function layOut(memory: SharedArrayBuffer): Layout {
  const slotsAt = (COUNTERS + SLOTS * FIELDS) * INT_BYTES
  return {
    counters: new Int32Array(memory, 0, COUNTERS),
    fields: new Int32Array(memory, COUNTERS * INT_BYTES, SLOTS * FIELDS),
    slots: Array.from({ length: SLOTS }, (_, slot) =>
      Buffer.from(memory, slotsAt + slot * SLOT_BYTES, SLOT_BYTES),
    ),
  }
}

/** The slot of the job with this number. Numbers are 32 bits and wrap around, into negative ones first. */
export function slotOf(job: number): number {
  return job & (SLOTS - 1)
}

/** Where the fields of a slot begin. */
export function fieldsOf(slot: number): number {
  return slot * FIELDS
}
