// One thread that makes ES256 signatures and checks signatures of all common kinds, reached through shared memory. A job
// on libuv's pool costs the event loop ten microseconds, which is half of the work itself; a job here costs three. What
// does not fit (long inputs, PSS, Ed25519, RSA signing) is not taken and goes to libuv.
import type { KeyObject } from 'node:crypto'
import { MessageChannel, Worker } from 'node:worker_threads'
import {
  DIGESTS,
  DONE,
  fieldsOf,
  HANDED_OVER,
  HASH_BYTES,
  INPUT_BYTES,
  KEY,
  layOut,
  LOOP_WAITS,
  newMemory,
  OPERATION,
  OUTCOME,
  SIGN_ES256,
  SIGNATURE_BYTES,
  SLOT_BYTES,
  slotOf,
  SLOTS,
  TAKE_KEY,
  THREAD_SLEEPS,
  THREW,
  VERIFY,
} from './layout.ts'
import type { ThreadData } from './thread.ts'
import { confinedTo } from '../confined_thread.ts'

type ThreadDone<T> = (error: Error | null, value: T) => void

/** Whether the signature holds, and the base64url SHA-256 of the input. */
export type Checked = { readonly holds: boolean; readonly hash: string }

export interface SignatureThread {
  /** The JWS signature (RFC 7518 §3.4, base64url) of an ASCII input. False: not taken, `done` is never called. */
  signEs256(key: KeyObject, input: string, done: ThreadDone<string>): boolean
  /** Checks a DER or PKCS#1 v1.5 signature of an ASCII input. False: not taken, `done` is never called. */
  verify(
    digest: string | null,
    key: KeyObject,
    input: string,
    signature: Buffer,
    done: ThreadDone<Checked>,
  ): boolean
  /** What is under way is not answered any more. */
  close(): void
}

/** The job was not done: the thread threw, or is gone. The caller does it itself, and sees what is wrong with it. */
export class NotDoneByThread extends Error {
  readonly code = 'SALLYPORT_NOT_DONE'
}

const NOTHING_CHECKED: Checked = { holds: false, hash: '' }

/** Longest base64url signature that is written into a slot. */
const SIGNATURE_ROOM = 128
/**
 * A loop with jobs under way looks for them in each turn, so many times in vain, and sleeps only then: being woken takes
 * longer than most jobs do.
 */
const MAX_LOOKS = 200
/** Keys that the thread holds; the oldest makes room. Issuers have a handful each, and ours are two or three. */
const MAX_KEYS = 256

export type SignatureThreadOptions = {
  /** The first job's number, in 32 bits. */
  readonly firstJob?: number
  /** Another program for the thread, and the folder with all of its code. */
  readonly program?: ThreadProgram
}

type ThreadProgram = { readonly file: URL; readonly folder: URL }

/**
 * Starts the thread; jobs are refused until it runs, some 30 ms later, and for ever when it is lost. It keeps no process
 * alive: a server's listeners do.
 */
export function startSignatureThread(
  onLost: (error: Error) => void,
  options: SignatureThreadOptions = {},
): SignatureThread {
  return new RingThread(onLost, options)
}

class RingThread implements SignatureThread {
  readonly #layout
  readonly #worker: Worker
  readonly #keyPort
  readonly #indexes = new WeakMap<KeyObject, number>()
  readonly #owners: (KeyObject | undefined)[] = []
  readonly #waiting: (((outcome: number, at: number, slot: number) => void) | undefined)[] = []
  #isUp = false
  #isLost = false
  #written
  #announced
  #collected
  #keys = 0
  #isArmed = false
  #isLooking = false
  /** Turns of the event loop since a job came back. */
  #looks = 0

  constructor(
    onLost: (error: Error) => void,
    { firstJob = 0, program = threadProgram() }: SignatureThreadOptions,
  ) {
    const memory = newMemory()
    this.#layout = layOut(memory)
    this.#written = this.#announced = this.#collected = firstJob
    this.#layout.counters[HANDED_OVER] = this.#layout.counters[DONE] = firstJob
    const { port1, port2 } = new MessageChannel()
    this.#keyPort = port1
    port1.unref()
    this.#worker = new Worker(program.file, {
      workerData: { memory, keys: port2 } satisfies ThreadData,
      transferList: [port2],
      // Small on purpose: it makes a kilobyte of garbage a job.
      resourceLimits: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 32 },
      execArgv: [...confinedTo(program.folder)],
      env: {},
      name: 'signatures',
    })
    this.#worker.unref()
    this.#worker.once('online', () => (this.#isUp = true))
    this.#worker.once('error', (error) => this.#lose(error, onLost))
    this.#worker.once('exit', () => this.#lose(new Error('the signature thread ended'), onLost))
  }

  signEs256(key: KeyObject, input: string, done: ThreadDone<string>): boolean {
    const { slots, fields } = this.#layout
    return this.#submit(SIGN_ES256, key, input, undefined, (outcome, at, slot) => {
      if (outcome !== 1) done(new NotDoneByThread('not signed'), '')
      else done(null, slots[slot]?.toString('latin1', 0, fields[at + SIGNATURE_BYTES]) ?? '')
    })
  }

  verify(
    digest: string | null,
    key: KeyObject,
    input: string,
    signature: Buffer,
    done: ThreadDone<Checked>,
  ): boolean {
    const index = DIGESTS.findIndex((name) => name === digest)
    if (index === -1) return false
    const { slots } = this.#layout
    return this.#submit(VERIFY + index, key, input, signature, (outcome, _at, slot) => {
      if (outcome === THREW) done(new NotDoneByThread('not verified'), NOTHING_CHECKED)
      else done(null, { holds: outcome === 1, hash: slots[slot]?.toString('latin1', 0, HASH_BYTES) ?? '' })
    })
  }

  close(): void {
    this.#isLost = true
    this.#isUp = false
    this.#worker.removeAllListeners('exit')
    void this.#worker.terminate()
    this.#keyPort.close()
  }

  #submit(
    operation: number,
    key: KeyObject,
    input: string,
    signature: Buffer | undefined,
    done: (outcome: number, at: number, slot: number) => void,
  ): boolean {
    // Two free slots: one may be needed for the key.
    if (!this.#isUp || ((this.#written - this.#collected) | 0) >= SLOTS - 1) return false
    if (input.length + Math.max(signature?.length ?? 0, SIGNATURE_ROOM) > SLOT_BYTES) return false
    const keyIndex = this.#indexes.get(key) ?? this.#handKey(key)
    const { slots, fields } = this.#layout
    const slot = slotOf(this.#written)
    const bytes = slots[slot]
    if (bytes === undefined) return false
    const at = fieldsOf(slot)
    const length = bytes.write(input, 0, 'latin1')
    fields[at + OPERATION] = operation
    fields[at + KEY] = keyIndex
    fields[at + INPUT_BYTES] = length
    if (signature !== undefined) {
      bytes.set(signature, length)
      fields[at + SIGNATURE_BYTES] = signature.length
    }
    this.#push(slot, done)
    return true
  }

  /** The thread takes keys in the order of the jobs, so a job before this one still finds the key that makes room. */
  #handKey(key: KeyObject): number {
    // First of all: what cannot be sent must not count as sent, or its place would mean the key that was there before.
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port of one process, no window
    this.#keyPort.postMessage(key)
    const index = this.#keys % MAX_KEYS
    this.#keys += 1
    const before = this.#owners[index]
    if (before !== undefined) this.#indexes.delete(before)
    this.#owners[index] = key
    this.#indexes.set(key, index)
    const slot = slotOf(this.#written)
    const at = fieldsOf(slot)
    this.#layout.fields[at + OPERATION] = TAKE_KEY
    this.#layout.fields[at + KEY] = index
    this.#push(slot, () => {})
    return index
  }

  /**
   * Jobs that the same step of several requests makes are handed over together, behind the last of them: waking a thread costs as
   * much as three jobs. The end of the turn would be a turn too late: fewer requests would be under way in each step.
   */
  #push(slot: number, done: (outcome: number, at: number, slot: number) => void): void {
    this.#waiting[slot] = done
    if (this.#written === this.#announced) queueMicrotask(this.#handOver)
    this.#written = (this.#written + 1) | 0
  }

  readonly #handOver = (): void => {
    const { counters } = this.#layout
    this.#announced = this.#written
    Atomics.store(counters, HANDED_OVER, this.#written)
    if (Atomics.load(counters, THREAD_SLEEPS) === 1) Atomics.notify(counters, HANDED_OVER)
    this.#collect()
  }

  readonly #collect = (): void => {
    const { counters, fields } = this.#layout
    const done = Atomics.load(counters, DONE)
    if (this.#collected !== done) this.#looks = 0
    while (this.#collected !== done) {
      const slot = slotOf(this.#collected)
      const at = fieldsOf(slot)
      const settle = this.#waiting[slot]
      this.#waiting[slot] = undefined
      settle?.(fields[at + OUTCOME] ?? THREW, at, slot)
      this.#collected = (this.#collected + 1) | 0
    }
    if (this.#isLooking || this.#isArmed || this.#collected === this.#announced) return
    if (this.#looks >= MAX_LOOKS) return this.#arm()
    this.#looks += 1
    this.#isLooking = true
    setImmediate(this.#look)
  }

  readonly #look = (): void => {
    this.#isLooking = false
    this.#collect()
  }

  /** Asks to be woken at the next job that is done. */
  #arm(): void {
    const { counters } = this.#layout
    Atomics.store(counters, LOOP_WAITS, 1)
    const wait = Atomics.waitAsync(counters, DONE, this.#collected)
    if (!wait.async) {
      this.#isLooking = true
      setImmediate(this.#look)
      return
    }
    this.#isArmed = true
    void wait.value.then(this.#woken)
  }

  readonly #woken = (): void => {
    this.#isArmed = false
    Atomics.store(this.#layout.counters, LOOP_WAITS, 0)
    this.#collect()
  }

  #lose(error: Error, onLost: (error: Error) => void): void {
    if (this.#isLost) return
    this.#isLost = true
    this.#isUp = false
    onLost(error)
    const left = [...this.#waiting]
    this.#waiting.length = 0
    for (const settle of left) settle?.(THREW, 0, 0)
  }
}

/** Beside this file in a checkout, beside the chunk of it in the package (test/support/build_bundle.ts). */
/** From a checkout it uses files of platform/, too; in the bundle all is in one folder. */
function threadProgram(): ThreadProgram {
  const here = import.meta.url
  return here.endsWith('.ts')
    ? { file: new URL('./thread.ts', here), folder: new URL('../', here) }
    : { file: new URL('./signature_thread.js', here), folder: new URL('./', here) }
}
