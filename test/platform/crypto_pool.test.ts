import t from 'tap'
import type { Test } from 'tap'
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import { createCryptoPool } from '../../src/platform/crypto_pool.ts'
import type { CryptoPool, CryptoWork } from '../../src/platform/crypto_pool.ts'
import { NotDoneByThread } from '../../src/platform/signature_thread/signature_thread.ts'
import type { SignatureThread } from '../../src/platform/signature_thread/signature_thread.ts'

type Done = (error: Error | null, value: string) => void

/** Work whose thread answers when the test says so. */
function work(over: Partial<CryptoWork<string>> = {}): CryptoWork<string> & { answers: Done[] } {
  const answers: Done[] = []
  return {
    inPlace: () => 'in place',
    onThread: (done) => void answers.push(done),
    cost: 'medium',
    answers,
    ...over,
  }
}

function build(t: Test, isIdle: boolean): CryptoPool {
  const pool = createCryptoPool({ isIdle: () => isIdle })
  t.teardown(() => pool.close())
  return pool
}

t.test('an idle process does the work in place', async (t) => {
  t.equal(await build(t, true).run(work()), 'in place')
})

t.test('a loaded process leaves it to a thread', async (t) => {
  const job = work()
  const result = build(t, false).run(job)
  await turn()
  job.answers[0]?.(null, 'thread')
  t.equal(await result, 'thread')
})

t.test('the work of one turn is handed over together', async (t) => {
  const pool = build(t, false)
  const jobs = [work(), work(), work()]
  const results = jobs.map((job) => pool.run(job))
  t.same(
    jobs.map((job) => job.answers.length),
    [0, 0, 0],
  )
  await turn()
  t.same(
    jobs.map((job) => job.answers.length),
    [1, 1, 1],
  )
  for (const job of jobs) job.answers[0]?.(null, 'thread')
  t.same(await Promise.all(results), ['thread', 'thread', 'thread'])
})

t.test('long work goes to a thread even when the process is idle', async (t) => {
  const job = work({ cost: 'long' })
  const result = build(t, true).run(job)
  await turn()
  job.answers[0]?.(null, 'thread')
  t.equal(await result, 'thread')
})

t.test('an error of either kind is the caller’s', async (t) => {
  const job = work()
  const result = build(t, false).run(job)
  await turn()
  job.answers[0]?.(new Error('no such key'), '')
  await t.rejects(result, /no such key/)
  await t.rejects(
    build(t, true).run(
      work({
        inPlace: () => {
          throw new Error('no such key')
        },
      }),
    ),
    /no such key/,
  )
})

t.test('work behind a thread that hangs is done in place, and so is what comes after it', async (t) => {
  const pool = build(t, false)
  const stuck = work({ cost: 'long' })
  t.equal(await Promise.race([pool.run(stuck), sleep(2000, 'hangs')]), 'in place')
  t.equal(await pool.run(work({ cost: 'long' })), 'in place')
})

t.test('a thread that answers late is trusted again', async (t) => {
  const pool = build(t, false)
  const stuck = work()
  await pool.run(stuck)
  await turn()
  stuck.answers[0]?.(null, 'too late')
  const next = work()
  const result = pool.run(next)
  await turn()
  next.answers[0]?.(null, 'thread')
  t.equal(await result, 'thread')
})

t.test('work that hangs on libuv is rescued however busily the other thread answers', async (t) => {
  const thread: SignatureThread = { signEs256: () => true, verify: () => true, close: () => {} }
  const pool = createCryptoPool({ isIdle: () => false, startThread: () => thread })
  t.teardown(() => pool.close())
  const stuck = pool.run(work({ cost: 'long' }))
  const answers = setInterval(() => {
    void pool.run(
      work({
        onSignatureThread: (_thread, done) => {
          setImmediate(() => done(null, 'own thread'))
          return true
        },
      }),
    )
  }, 20)
  t.teardown(() => clearInterval(answers))
  t.equal(await Promise.race([stuck, sleep(2000, 'hangs')]), 'in place')
})

t.test('what the signature thread does not take, or does not do, is done all the same', async (t) => {
  const thread: SignatureThread = { signEs256: () => true, verify: () => true, close: () => {} }
  const pool = createCryptoPool({ isIdle: () => false, startThread: () => thread })
  t.teardown(() => pool.close())
  const refused = work({ onSignatureThread: () => false })
  const result = pool.run(refused)
  await turn()
  refused.answers[0]?.(null, 'libuv')
  t.equal(await result, 'libuv')
  const lost = work({
    onSignatureThread: (_thread, done) => {
      setImmediate(() => done(new NotDoneByThread('lost'), ''))
      return true
    },
  })
  t.equal(await pool.run(lost), 'in place')
})
