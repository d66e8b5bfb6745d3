// The thread itself: sleeps until jobs are handed over, does them in order, and wakes the event loop when it waits for
// one. It holds keys and nothing else; it does no I/O, and ends by itself only when it cannot know any more which key is
// meant.
import { hash, sign, verify } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { receiveMessageOnPort, workerData } from 'node:worker_threads'
import type { MessagePort } from 'node:worker_threads'
import { es256FromDer } from '../keys/es256_der.ts'
import {
  DIGESTS,
  DONE,
  fieldsOf,
  HANDED_OVER,
  INPUT_BYTES,
  KEY,
  layOut,
  LOOP_WAITS,
  OPERATION,
  OUTCOME,
  SIGN_ES256,
  SIGNATURE_BYTES,
  slotOf,
  TAKE_KEY,
  THREAD_SLEEPS,
  THREW,
  VERIFY,
} from './layout.ts'

export type ThreadData = { readonly memory: SharedArrayBuffer; readonly keys: MessagePort }

/** After so many jobs a waiting event loop is woken even when there are more: being woken costs it half a job. */
const WAKE_AFTER = 16

/** Looks before it sleeps, some 10 us: under load the next job is that near, and waking a thread is dearer. */
const LOOKS = 2000

const { memory, keys: keyPort }: ThreadData = workerData
const { counters, fields, slots } = layOut(memory)
const keys = new Map<number, KeyObject>()

serve()

function serve(): never {
  for (let done = Atomics.load(counters, DONE); ;) {
    const handedOver = Atomics.load(counters, HANDED_OVER)
    if (handedOver === done) {
      sleep(done)
      continue
    }
    for (let since = 1; done !== handedOver; since += 1) {
      work(slotOf(done))
      done = (done + 1) | 0
      Atomics.store(counters, DONE, done)
      if (since % WAKE_AFTER === 0 || done === handedOver) wakeLoop()
    }
  }
}

function sleep(done: number): void {
  for (let look = 0; look < LOOKS; look += 1) if (Atomics.load(counters, HANDED_OVER) !== done) return
  Atomics.store(counters, THREAD_SLEEPS, 1)
  Atomics.wait(counters, HANDED_OVER, done)
  Atomics.store(counters, THREAD_SLEEPS, 0)
}

function wakeLoop(): void {
  if (Atomics.load(counters, LOOP_WAITS) === 1) Atomics.notify(counters, DONE)
}

function work(slot: number): void {
  const at = fieldsOf(slot)
  if (fields[at + OPERATION] === TAKE_KEY) return takeKey(fields[at + KEY] ?? 0)
  try {
    fields[at + OUTCOME] = outcomeOf(slot, at)
  } catch {
    // What OpenSSL says of it the caller finds out when it does the work itself.
    fields[at + OUTCOME] = THREW
  }
}

/** One key that is missing would put every later one in the wrong place: then all is lost, and told so. */
function takeKey(index: number): void {
  const received: { message: KeyObject } | undefined = receiveMessageOnPort(keyPort)
  if (received === undefined) throw new Error('a key was announced and did not come')
  keys.set(index, received.message)
}

function outcomeOf(slot: number, at: number): number {
  const operation = fields[at + OPERATION] ?? 0
  const key = keys.get(fields[at + KEY] ?? 0)
  const bytes = slots[slot]
  if (key === undefined || bytes === undefined) throw new Error('a job without its key')
  const length = fields[at + INPUT_BYTES] ?? 0
  const input = bytes.subarray(0, length)
  if (operation === SIGN_ES256) {
    const signature = es256FromDer(sign('sha256', input, key)).toString('base64url')
    fields[at + SIGNATURE_BYTES] = bytes.write(signature, 0, 'latin1')
    return 1
  }
  const signature = bytes.subarray(length, length + (fields[at + SIGNATURE_BYTES] ?? 0))
  const holds = verify(DIGESTS[operation - VERIFY] ?? 'sha256', input, key, signature)
  bytes.write(hash('sha256', input, 'base64url'), 0, 'latin1')
  return holds ? 1 : 0
}
