// Lists of tens of thousands and Providers of tens of thousands of objects, as anybody may send them who may create or patch: each is answered,
// by what is judged or with a refusal, and the event loop is nobody's for long.
import t from 'tap'
import { NO_FACTS } from '../../src/core/module/ledger.ts'
import type { PublishedFacts } from '../../src/core/module/ledger.ts'
import { recordedReview } from '../support/admission_reviews.ts'
import { created, createdProvider, relisted, versions } from '../support/large_lists.ts'
import { startTestWebhook } from '../support/test_webhook.ts'

const append = recordedReview('update-jsonpatch-append')
const PUBLISHED: PublishedFacts = { state: 'unpublished', immutable: true }
/** What nobody judges, whatever the mode. */
const AT_ONCE = /^WH-V11: this request adds /

/** Lists as they are sent, and what each may cost in milliseconds of processor time, client, server and thread together. */
const LARGE: readonly (readonly [what: string, review: () => object, answer: RegExp, maxCpuMs: number])[] = [
  [
    '3 MB: 60,000 versions are stored and one is appended',
    () => relisted(versions(60_000), [...versions(60_000), { version: '2.0.0' }]),
    /WH-V11: spec\.versions would have 60001 entries/,
    1000,
  ],
  [
    '3 MB: 60,000 versions are stored, the first goes and one is appended',
    () => relisted(versions(60_000), [...versions(60_000).slice(1), { version: '2.0.0' }]),
    /WH-V1: version 1\.0\.0 was published/,
    1000,
  ],
  ['3 MB: a label of 60,000 versions', () => relisted(versions(60_000), versions(60_000)), /^allowed$/, 1000],
  ['1.4 MB: 60,000 versions are taken away', () => relisted(versions(60_000), []), AT_ONCE, 1000],
  ['3 MB: 120,000 versions are created', () => created(versions(120_000)), AT_ONCE, 1000],
  [
    '3 MB: 60,000 versions are written another way',
    () => relisted(versions(60_000), versions(60_000, 'v')),
    AT_ONCE,
    1000,
  ],
  [
    '0.1 MB: 5,500 versions are created',
    () => created(versions(5500)),
    /WH-V11: spec\.versions would have 5500/,
    1000,
  ],
  ['0.1 MB: a Provider of 5,300 versions for 64 platforms', () => createdProvider(5300), AT_ONCE, 1000],
  ['0.5 MB: a Provider of 20,000 versions for 64 platforms', () => createdProvider(20_000), AT_ONCE, 500],
  ['13 kB: a Provider of 500 versions for 64 platforms', () => createdProvider(500), /^allowed$/, 1000],
]

t.test('what is judged of a long list costs what it may, and others do not wait', async (t) => {
  const webhook = await startTestWebhook(t)
  await webhook.post(relisted(versions(3000), versions(3000)))
  await webhook.post(append)
  for (const [what, review, answer, maxCpuMs] of LARGE) {
    const body = Buffer.from(JSON.stringify(review()))
    const turns = watchTurns()
    const { json } = await webhook.post(body)
    const { ms, cpuMs, worstMs } = turns.end()
    const { response } = json
    t.match(
      response['allowed'] === true ? 'allowed' : String(Object(response['status']).message),
      answer,
      what,
    )
    t.comment(
      `${what}: ${ms.toFixed(0)} ms, processor ${cpuMs.toFixed(0)} ms, the longest turn ${worstMs.toFixed(0)} ms`,
    )
    t.ok(cpuMs < maxCpuMs, what)
    t.ok(worstMs < MAX_TURN_MS, what)
  }
})

/** The client is in this loop, too, and sends its megabytes; the processor's clock counts in steps of four. */
const MAX_TURN_MS = 40

/** In time of the processor where it can be: a busy machine is not what is looked at. */
function watchTurns() {
  const began = performance.now()
  const cpuBefore = process.cpuUsage()
  let [last, worstMs] = [threadMs(), 0]
  let isOver = false
  const look = (): void => {
    const now = threadMs()
    worstMs = Math.max(worstMs, now - last)
    last = now
    if (!isOver) setTimeout(look, 1)
  }
  look()
  return {
    end() {
      look()
      isOver = true
      const { user, system } = process.cpuUsage(cpuBefore)
      return { ms: performance.now() - began, cpuMs: (user + system) / 1000, worstMs }
    },
  }
}

function threadMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

t.test(
  'what the ledger has of thousands of versions crosses over in parts, and all of it counts',
  async (t) => {
    const webhook = await startTestWebhook(t)
    const known = versions(20_000).map(({ version }) => [version, PUBLISHED] as const)
    const listed = versions(5000).map(({ version }) => ({ version: version.replace('1.', '3.') }))
    webhook.cluster.facts = { ...NO_FACTS, published: new Map(known) }
    for (const again of ['1.0.0', '1.9999.0', '1.19999.0']) {
      const { json } = await webhook.post(relisted(listed, [...listed, { version: again }]))
      t.match(Object(json.response['status']).message, `WH-V2: version ${again} was published before`)
    }
  },
)

t.test('a heavy review asks who has the names of what it adds, and of nothing else', async (t) => {
  const webhook = await startTestWebhook(t)
  const asked = new Set<string>()
  const taken = 'aws-1-499-0-os7-arch7'
  webhook.cluster.facts = {
    ...NO_FACTS,
    versionNameOwner: (name) => {
      asked.add(name)
      return name === taken ? 'infra/other' : undefined
    },
  }
  const { json } = await webhook.post(createdProvider(500))
  t.match(Object(json.response['status']).message, `which is the name of "infra/other"`)
  t.equal(asked.size, 32_000)
  asked.clear()
  await webhook.post(createdProvider(501))
  t.same([...asked], [], 'of what is refused anyway')
})
