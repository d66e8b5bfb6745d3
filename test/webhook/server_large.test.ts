// Reviews that would hold the event loop up: judged in a thread, with the same verdict, while others do not wait; and a thread that dies.
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { NO_FACTS } from '../../src/core/module/ledger.ts'
import type { PublishedFacts } from '../../src/core/module/ledger.ts'
import { startLargeReviews } from '../../webhook/judge/large_reviews.ts'
import { changedReview, recordedReview } from '../support/admission_reviews.ts'
import type { RecordedReview } from '../support/admission_reviews.ts'
import { relisted, versions } from '../support/large_lists.ts'
import { startTestWebhook } from '../support/test_webhook.ts'

const DYING_THREAD = new URL('../support/dying_thread.ts', import.meta.url)
const append = recordedReview('update-jsonpatch-append')

/** An append that carries so many bytes of what no rule reads, in each object. */
function padded(bytes: number, change: (review: RecordedReview) => void = () => undefined): RecordedReview {
  return changedReview('update-jsonpatch-append', (review) => {
    for (const object of [review.request.object, review.request.oldObject])
      Object(object).metadata.annotations = { padding: 'x'.repeat(bytes) }
    change(review)
  })
}

/** Takes the first version away. */
function removeFirst({ request }: RecordedReview): void {
  Object(request.object).spec.versions.shift()
}

t.test('a large review gets the verdict of a small one', async (t) => {
  const webhook = await startTestWebhook(t)
  webhook.cluster.facts = { ...NO_FACTS, published: new Map([['9.9.9', PUBLISHED]]) }
  for (const bytes of [10, 200_000]) {
    const allowed = await webhook.post(padded(bytes))
    t.match(allowed.json.response, { uid: append.request['uid'], allowed: true }, `${bytes}`)
    const denied = await webhook.post(padded(bytes, removeFirst))
    t.match(denied.json.response, {
      allowed: false,
      status: { code: 403, message: /^WH-V1: version 1\.0\.0/ },
    })
    const readded = await webhook.post(
      padded(bytes, ({ request }) => Object(request.object).spec.versions.push({ version: '9.9.9' })),
    )
    t.match(
      readded.json.response,
      { allowed: false, status: { message: /WH-V2/ } },
      'the ledger crosses over',
    )
  }
  const [small, , , large] = webhook.audit()
  t.same(large, small)
  t.equal(webhook.cluster.remembered.length, 2)
  const [first, second] = webhook.cluster.remembered
  t.same(Object(second?.subject.new).versions, [{ version: '1.3.0' }], 'what changed is enough')
  t.equal(second?.oldResourceVersion, first?.oldResourceVersion)
})

const PUBLISHED: PublishedFacts = { state: 'unpublished', immutable: true }

t.test('a review of 3 MB is answered in time, and others do not wait for it', async (t) => {
  const webhook = await startTestWebhook(t)
  await webhook.post(padded(200_000))
  await webhook.post(append)
  const large = relisted(versions(60_000), versions(60_000).slice(0, -1))
  const timed = async (body: unknown) => {
    const asked = performance.now()
    const { status } = await webhook.post(body)
    return { status, ms: performance.now() - asked }
  }
  const answered = timed(large)
  const others: number[] = []
  for (;;) {
    const { ms } = await timed(append)
    others.push(ms)
    if ((await Promise.race([answered, Promise.resolve('waits')])) !== 'waits') break
  }
  const { status, ms } = await answered
  const worst = Math.max(...others)
  t.equal(status, 200)
  t.comment(
    `3 MB in ${ms.toFixed(0)} ms, others ${worst.toFixed(0)} ms at most (client and server in one process)`,
  )
  t.ok(ms < 2000)
})

t.test('10,000 versions are too many, and are refused as such', async (t) => {
  const webhook = await startTestWebhook(t)
  const many = changedReview('update-jsonpatch-append', ({ request }) => {
    Object(request.object).spec.versions = versions(10_000)
  })
  const { json, text } = await webhook.post(many)
  t.match(json.response, { allowed: false, status: { code: 422, message: /WH-V11/ } })
  t.ok(Buffer.byteLength(String(Object(json.response['status']).message)) <= 2048)
  t.ok(text.length < 10_000)
})

t.test('deep nesting in a large review is refused, and nothing is left in the thread', async (t) => {
  const webhook = await startTestWebhook(t)
  const deep = JSON.stringify(append).replace(
    '"spec":',
    `"deep":${'['.repeat(90_000)}${']'.repeat(90_000)},"spec":`,
  )
  for (let index = 0; index < 10; index += 1) t.equal((await webhook.post(deep)).status, 400)
  t.equal((await webhook.post(padded(200_000))).status, 200)
})

t.test('a thread that dies over a review costs that review alone', async (t) => {
  const lines: unknown[] = []
  const large = startLargeReviews({
    log: { error: (fields: unknown) => void lines.push(fields), warn: () => undefined },
    // A new thread starts for each, which a busy machine takes its time for.
    stepTimeoutMs: 6000,
    file: DYING_THREAD,
  })
  t.teardown(() => large.close())
  const open = async (text: string) => large.open(new Uint8Array(new TextEncoder().encode(text)))
  await t.rejects(open('{"exit":'), /the thread ended/)
  await t.rejects(open('{"throw":'), /beside itself/)
  await t.rejects(open('{"hang":'), /took more than 6000 ms/)
  t.equal(lines.length, 3)
  const answered = await open('fine')
  t.match(answered, { ok: false, denial: { reason: 'not_json' } }, 'the next one works')
})

t.test('the thread reads its own code, and starts nothing', async (t) => {
  const large = startLargeReviews({
    log: { error: () => undefined, warn: () => undefined },
    stepTimeoutMs: 5000,
    file: DYING_THREAD,
  })
  t.teardown(() => large.close())
  const open = async (text: string) => large.open(new Uint8Array(new TextEncoder().encode(text)))
  await t.rejects(open('{"read":'), { code: 'ERR_ACCESS_DENIED' })
  await t.rejects(open('{"start":'), { code: 'ERR_ACCESS_DENIED' })
})

t.test('a review that the thread is lost over is refused under its uid', async (t) => {
  const webhook = await startTestWebhook(t, { threadFile: DYING_THREAD })
  const { status, json } = await webhook.post(padded(200_000))
  t.equal(status, 200)
  t.match(json.response, { uid: append.request['uid'], allowed: false, status: { code: 500 } })
  t.match(webhook.audit(), [{ decision: 'fail', uid: append.request['uid'], operation: 'UPDATE' }])
  t.same(webhook.cluster.remembered, [])
  const unread = await webhook.post(
    `{"request":{"uid":"${String(append.request['uid'])}"},"exit":"${'x'.repeat(200_000)}"}`,
  )
  t.match(
    unread.json.response,
    { uid: append.request['uid'], allowed: false, status: { code: 500 } },
    'not even opened',
  )
  const unnamed = await webhook.post(`{"exit":"${'x'.repeat(200_000)}"}`)
  t.match(unnamed, { status: 503, text: 'not judged\n' })
  t.equal((await webhook.post(append)).json.response['allowed'], true, 'small ones go on')
})

t.test('more large reviews than wait are refused with 503, so that they are sent again', async (t) => {
  const webhook = await startTestWebhook(t)
  const answers = await Promise.all(Array.from({ length: 30 }, () => webhook.post(padded(300_000))))
  const statuses = answers.map(({ status }) => status)
  t.ok(statuses.filter((status) => status === 200).length >= 8, String(statuses))
  t.ok(statuses.every((status) => status === 200 || status === 503))
  const refused = answers.filter(({ status }) => status === 503)
  // Without it kube-apiserver takes the first 503 for an answer.
  t.ok(refused.length > 0 && refused.every(({ headers }) => headers['retry-after'] === '1'))
  await sleep(10)
  t.equal((await webhook.post(padded(300_000))).status, 200, 'all places are free again')
})

function largeOf(username: string): RecordedReview {
  return padded(300_000, ({ request }) => {
    request['userInfo'] = { ...Object(request['userInfo']), username }
  })
}

t.test('one user who sends all that he can holds up nobody else', async (t) => {
  const webhook = await startTestWebhook(t)
  const over = new AbortController()
  const refusals: number[] = []
  const flood = async (): Promise<void> => {
    const review = largeOf('mallory')
    while (!over.signal.aborted) {
      const { status } = await webhook.post(review)
      if (status !== 200) refusals.push(status)
    }
  }
  // Twice as many as have a place, and each again as soon as it is answered.
  const floods = Array.from({ length: 16 }, flood)
  const answers: number[] = []
  const review = largeOf('alice')
  while (answers.length < 20 || refusals.length === 0) answers.push((await webhook.post(review)).status)
  over.abort()
  await Promise.all(floods)
  t.same(new Set(answers), new Set([200]))
  t.same(new Set(refusals), new Set([503]))
  const { text } = await webhook.ops('/metrics')
  t.match(text, /sallyport_webhook_large_reviews_refused_total\{reason="share"\} [1-9]/)
  t.notMatch(text, /reason="full"/)
  const told = webhook.log().filter(({ message }) => message.startsWith('more large reviews than wait'))
  t.ok(
    told.length >= 1 && told.length < refusals.length,
    'a line each time that it fills up, and not for each review',
  )
  t.match(told[0], { level: 'warn', fields: { user: 'mallory', why: 'share' } })
})
