// The queue in front of the signer: its ends, and what they are for.
import t from 'tap'
import { MAX_WAIT_MS, createSigningQueue } from '../../src/platform/keys/signing_queue.ts'
import type { SigningKey } from '../../src/platform/keys/signer.ts'

/** A signer that makes one signature after the other, each in `takesMs` of a clock that the test moves. */
function slowSigner(takesMs: number, clock: { now: number }) {
  const waiting: (() => void)[] = []
  let freeAt = 0
  const key: SigningKey = {
    kid: 'slow',
    algorithm: 'ES256',
    sign: () => new Promise((resolve) => waiting.push(() => resolve('signature'))),
  }
  return {
    key,
    /** Answers whoever is due by now. */
    async work(): Promise<void> {
      while (waiting.length > 0 && freeAt + takesMs <= clock.now) {
        freeAt += takesMs
        waiting.shift()?.()
      }
      if (waiting.length === 0) freeAt = Math.max(freeAt, clock.now)
      // Promises settle before the next millisecond.
      await new Promise((resolve) => setImmediate(resolve))
    },
  }
}

/** Its signatures say its name. */
function keyNamed(kid: string): SigningKey {
  return { kid, algorithm: 'ES256', sign: async () => kid }
}

t.test('as many as may wait have a place, and the next one is told when to come back', async (t) => {
  const queue = createSigningQueue({ maxWaiting: 2, now: () => 0 })
  const leave = queue.join()
  t.equal(queue.refusal(), undefined)
  queue.join()
  t.same(queue.refusal(), { reason: 'signer_busy', waiting: 2, waitedMs: 0, retryAfterSeconds: 1 })
  leave()
  t.equal(queue.refusal(), undefined)
  t.equal(queue.length(), 1)
})

t.test('while one signature has waited for a second nobody joins, and its end opens the queue', async (t) => {
  const clock = { now: 0 }
  const queue = createSigningQueue({ maxWaiting: 0, now: () => clock.now })
  const held = Promise.withResolvers<string>()
  const key: SigningKey = { kid: 'k', algorithm: 'ES256', sign: () => held.promise }
  const signed = queue.watched(key).sign('input')
  clock.now = MAX_WAIT_MS - 1
  t.equal(queue.refusal(), undefined)
  clock.now = 2500
  t.match(queue.refusal(), { waitedMs: 2500, retryAfterSeconds: 3 })
  held.resolve('signature')
  t.equal(await signed, 'signature')
  t.equal(queue.refusal(), undefined)
})

t.test('a key is watched as one object, and another key as another', async (t) => {
  const queue = createSigningQueue({ maxWaiting: 0 })
  const [one, two] = [keyNamed('one'), keyNamed('two')]
  const watched = queue.watched(one)
  t.equal(queue.watched(one), watched, 'so that what is known of it is found again')
  t.equal(await queue.watched(two).sign('input'), 'two')
  t.equal(await queue.watched(one).sign('input'), 'one')
})

t.test('a signature that fails leaves the queue, and its error is told', async (t) => {
  const clock = { now: 0 }
  const queue = createSigningQueue({ maxWaiting: 0, now: () => clock.now })
  const broken: SigningKey = { kid: 'k', algorithm: 'RS256', sign: () => Promise.reject(new Error('broken')) }
  await t.rejects(queue.watched(broken).sign('input'), { message: 'broken' })
  clock.now = 10_000
  t.equal(queue.refusal(), undefined)
})

t.test('a reload keeps who waits, and counts by the new limit', async (t) => {
  const before = createSigningQueue({ maxWaiting: 5, now: () => 0 })
  const leave = before.join()
  const after = before.withLimit(1)
  t.match(after.refusal(), { waiting: 1 })
  leave()
  t.equal(after.refusal(), undefined)
})

t.test('at three times what the signer can do it works on, and nobody who is in waits long', async (t) => {
  const clock = { now: 0 }
  const signer = slowSigner(10, clock)
  const queue = createSigningQueue({ maxWaiting: 0, now: () => clock.now })
  const waits: number[] = []
  let refused = 0
  const ask = async (): Promise<void> => {
    if (queue.refusal() !== undefined) {
      refused += 1
      return
    }
    const leave = queue.join()
    const began = clock.now
    await queue.watched(signer.key).sign('input')
    waits.push(clock.now - began)
    leave()
  }
  for (; clock.now < 20_000; clock.now += 1) {
    // 300 a second offered, 100 a second can be made.
    if (clock.now % 10 < 3) void ask()
    await signer.work()
  }
  t.ok(waits.length > 1950, `${waits.length} of 2,000 that the signer can make were made`)
  t.ok(refused > 3000, `${refused} were told to come back`)
  // In the last moment before the queue closes as many join as come in the time that the oldest waits.
  t.ok(Math.max(...waits) <= 3.1 * MAX_WAIT_MS, `the longest wait was ${Math.max(...waits)} ms`)
})
