// A Module whose source or storage became something else under break-glass: what the ledger and the audit log say of it.
import t from 'tap'
import { admissionEvent } from '../../src/core/module/admission_event.ts'
import { brokenGlass } from '../../src/core/module/broken_glass.ts'
import { isSameFacts, mergedFacts } from '../../src/core/module/ledger.ts'
import type { PublishedFacts } from '../../src/core/module/ledger.ts'
import { lookForLost, LOST_FOR_GOOD, writesOfCommit } from '../../src/core/module/ledger_feed.ts'
import type { CommitLookups, ObservedCommit, PublishingObject } from '../../src/core/module/ledger_feed.ts'
import { MOST_MOVES } from '../../src/core/module/moved.ts'
import type { Move } from '../../src/core/module/moved.ts'
import { aProvider } from '../support/a_provider.ts'
import { aModule, alice, judged, moduleChange, MUTABLE, NOON, published } from '../support/module_changes.ts'

const REASON = { 'sallyport.dev/migrate': 'the bucket moves to eu-west-1' }
const BUCKET = { storageConfig: { s3: { bucket: 'modules-eu', region: 'eu-west-1' } } }
const REPOSITORY = { repoUrl: 'https://github.com/Acme/VPC.git' }
const KNOWN = new Map([
  ['1.9.0', published()],
  ['1.10.0', published()],
  ['1.11.0', published({ state: 'unpublished', immutable: false })],
  ['2.0.0', published({ state: 'unpublished' })],
])
const VERSIONS = ['1.9.0', '1.10.0']
const SEEN = { author: { attribution: { by: 'alice' } }, atSeconds: NOON, revision: '7' }
const MOVE: Move = { revision: '7', atSeconds: NOON, by: 'alice', settings: ['storageConfig'] }

function lookupsIn(known: ReadonlyMap<string, PublishedFacts>): CommitLookups {
  return { published: () => known, digestOf: () => undefined, isRequiredImmutable: () => false }
}

function writes(
  before: PublishingObject,
  after: PublishingObject,
  seen: ObservedCommit['seen'] = SEEN,
  known: ReadonlyMap<string, PublishedFacts> = KNOWN,
): unknown {
  return [...writesOfCommit({ before, after, seen }, lookupsIn(known))].map(([plain, { moved }]) => [
    plain,
    moved,
  ])
}

const STORED = aModule({ versions: VERSIONS })
const ELSEWHERE = aModule({ versions: VERSIONS, config: BUCKET, annotations: REASON })

t.test('the newest immutable version says who moved the archives, when, why and to where', async (t) => {
  const storage = 's3 bucket=modules-eu region=eu-west-1'
  t.same(writes(STORED, ELSEWHERE), [
    ['1.10.0', [{ ...MOVE, reason: 'the bucket moves to eu-west-1', storage }]],
  ])
})

t.test('another repository is named as the broker names it', async (t) => {
  const moved = aModule({ versions: VERSIONS, config: REPOSITORY, annotations: REASON })
  t.match(writes(STORED, moved), [
    ['1.10.0', [{ settings: ['repoUrl'], source: 'github.com/acme/vpc', storage: undefined }]],
  ])
})

t.test('what is left of a Module that lists nothing says it, too', async (t) => {
  const known = new Map([['2.0.0', published({ state: 'unpublished' })]])
  const [before, after] = [aModule({ versions: [] }), aModule({ versions: [], config: BUCKET })]
  t.match(writes(before, after, SEEN, known), [['2.0.0', [{ settings: ['storageConfig'] }]]])
})

t.test('a Provider says what of its upstream changed', async (t) => {
  const known = new Map([['5.0.0', published()]])
  const before = aProvider({ versions: ['5.0.0'] })
  const after = aProvider({ versions: ['5.0.0'], configName: 'other' })
  t.match(writes(before, after, SEEN, known), [['5.0.0', [{ settings: ['name'], source: undefined }]]])
})

t.test(
  'a reason that was there before is of another move, and without an author nobody is named',
  async (t) => {
    const before = aModule({ versions: VERSIONS, annotations: REASON })
    t.match(writes(before, ELSEWHERE, { ...SEEN, author: undefined }), [
      ['1.10.0', [{ revision: '7', by: undefined, reason: undefined }]],
    ])
  },
)

t.test('nothing is said of what nobody saw, of what holds nothing, and of what did not move', async (t) => {
  const unseen = { before: STORED, after: ELSEWHERE, seen: undefined }
  t.equal(writesOfCommit(unseen, lookupsIn(KNOWN)).get('1.10.0')?.moved, undefined)
  const lax = { versions: ['1.11.0'], ...MUTABLE }
  const known = new Map([['1.11.0', published({ immutable: false })]])
  const moved = aModule({ ...lax, config: { ...MUTABLE.config, ...BUCKET } })
  t.same(writes(aModule(lax), moved, SEEN, known), [])
  t.same(writes(STORED, aModule({ versions: VERSIONS, labels: { team: 'infra' } })), [])
})

t.test('a ledger that is made anew knows of no move, as it says', async (t) => {
  const sources = { entries: () => [], stored: () => [ELSEWHERE], isStored: () => true }
  const lookups = { ...lookupsIn(new Map()), unlisted: () => [], room: () => 100 }
  const steps = [...lookForLost(sources, lookups)]
  const facts = steps.flatMap((step) => Array.from(step.facts.values()))
  t.equal(facts.length, VERSIONS.length)
  for (const { moved } of facts) t.equal(moved, undefined)
  t.match(LOST_FOR_GOOD, 'who moved their Module or Provider, when and why')
})

t.test('the same commit seen twice is one move', async (t) => {
  const [first] = [...KNOWN].map(([, facts]) => facts)
  const once = mergedFacts(published(), { ...published(), moved: [MOVE] })
  t.same(once.moved, [MOVE])
  t.ok(isSameFacts(once, mergedFacts(once, { ...published(), moved: [{ ...MOVE }] })))
  t.notOk(isSameFacts(once, first ?? once))
  const known = new Map([['1.10.0', once]])
  t.same(
    writes(aModule({ versions: ['1.10.0'] }), aModule({ versions: ['1.10.0'], config: BUCKET }), SEEN, known),
    [['1.10.0', [{ ...MOVE, storage: 's3 bucket=modules-eu region=eu-west-1' }]]],
  )
})

t.test('what one replica did not know another fills in, and who was named first stays', async (t) => {
  const { by: _by, ...anonymous } = MOVE
  const stored = published({ moved: [{ ...anonymous, atSeconds: NOON + 1 }] })
  const filled = mergedFacts(stored, published({ moved: [MOVE] }))
  t.same(filled.moved, [{ ...MOVE, atSeconds: NOON + 1 }])
  t.same(mergedFacts(filled, published({ moved: [{ ...MOVE, by: 'mallory' }] })).moved, filled.moved)
})

t.test('an entry that goes, or comes back, keeps the moves; the last ten of them', async (t) => {
  const many = Array.from({ length: MOST_MOVES + 3 }, (_, index) => ({
    ...MOVE,
    revision: String(100 - index),
    atSeconds: NOON + index,
  }))
  const stored = published({ moved: many.slice(0, MOST_MOVES) })
  const merged = mergedFacts(stored, { ...published(), state: 'unpublished', moved: many })
  t.same(merged.moved, many.slice(3))
  t.same(mergedFacts(merged, published()).moved, many.slice(3))
  t.same(mergedFacts(merged, stored).moved, many.slice(3), 'what was dropped does not come back')
})

t.test('a broken glass is told once for each verb and reason, with all that it was good for', async (t) => {
  const annotations = { ...REASON, 'sallyport.dev/unpublish': '1.0.0, 1.1.0: leaked\u001b a key' }
  const next = aModule({ versions: ['1.2.0'], config: { ...BUCKET, ...REPOSITORY }, annotations })
  const verdict = judged(aModule(), next, { mayDo: ['unpublish', 'migrate'] })
  t.ok(verdict.allowed)
  const reason = REASON['sallyport.dev/migrate']
  t.same(verdict.broken, [
    { verb: 'unpublish', covers: ['1.0.0', '1.1.0'], reason: 'leaked\\u{1b} a key' },
    { verb: 'migrate', covers: ['spec.moduleConfig.repoUrl', 'spec.moduleConfig.storageConfig'], reason },
  ])
  t.equal(
    verdict.annotations.get('broken'),
    `unpublish 1.0.0, 1.1.0: leaked\\u{1b} a key; migrate spec.moduleConfig.repoUrl, spec.moduleConfig.storageConfig: ${reason}`,
  )
  const facts = {
    uid: 'u',
    operation: 'UPDATE',
    resource: 'modules',
    namespace: 'infra',
    name: 'vpc',
  } as const
  const event = admissionEvent({ ...facts, dryRun: false, user: alice, broken: verdict.broken }, 'allow', '')
  t.same(event.broken, verdict.broken)
})

t.test('a deletion under break-glass names the versions that had to stay', async (t) => {
  const annotated = aModule({ annotations: { 'sallyport.dev/unpublish': '*: the project ends' } })
  t.same(judged(annotated, undefined, { mayDo: ['unpublish'] }).broken, [
    { verb: 'unpublish', covers: ['1.0.0', '1.1.0'], reason: 'the project ends' },
  ])
})

t.test('of thousands of versions the first ones are told, and of a reason its beginning', async (t) => {
  const versions = Array.from({ length: 30 }, (_, index) => `1.0.${index}`)
  const broken = { verb: 'unpublish', covers: versions, reason: 'x'.repeat(5000) } as const
  const finding = { rule: 'WH-M12', kind: 'notice', path: '', message: '', wayOut: '', broken } as const
  const [glass] = brokenGlass([finding, finding])
  t.same(glass?.covers, [...versions.slice(0, 20), 'and 10 more'])
  t.equal(glass?.reason.length, 257)
})

t.test(
  'who breaks nothing leaves no word of it: denied, without the verb, or of what may move',
  async (t) => {
    t.same(judged(STORED, ELSEWHERE).broken, [], 'without the verb')
    const removed = aModule({ versions: ['1.9.0'], config: BUCKET, annotations: REASON })
    const denied = judged(STORED, removed, { mayDo: ['migrate'] })
    t.same(denied.broken, [], 'it is denied for what else it does')
    const lax = aModule({ versions: VERSIONS, ...MUTABLE })
    const moved = aModule({
      versions: VERSIONS,
      config: { ...MUTABLE.config, ...BUCKET },
      annotations: REASON,
    })
    const verdict = judged(lax, moved, { mayDo: ['migrate'] })
    t.ok(verdict.allowed)
    t.same(verdict.broken, [])
    t.notOk(verdict.annotations.has('broken'))
    t.equal(moduleChange(lax, moved).mayDo.size, 0)
  },
)
