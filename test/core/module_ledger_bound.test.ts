// The bound on what the ledger remembers: what counts, what never counts, and what a Module's publisher is told.
import t from 'tap'
import type { PublishedFacts } from '../../src/core/module/ledger.ts'
import { MOST_LEFT, MOST_MUTABLE, roomFor, withinBound } from '../../src/core/module/ledger_bound.ts'
import { LedgerBook } from '../../src/platform/ledger/ledger_book.ts'
import { aModule, aPolicy, judged, MUTABLE, published, said } from '../support/module_changes.ts'

const mutable = published({ immutable: false })
const immutable = published()

function versions(count: number, facts: PublishedFacts): Map<string, PublishedFacts> {
  return new Map(Array.from({ length: count }, (_, index) => [`0.0.${index}`, facts]))
}

t.test('new entries that are not immutable need room; nothing else does', async (t) => {
  const writes = new Map([
    ['1.0.0', mutable],
    ['1.1.0', immutable],
    ['1.2.0', mutable],
    ['1.3.0', mutable],
    ['1.4.0', immutable],
  ])
  const known = new Map([['1.0.0', mutable]])
  const { kept, unremembered } = withinBound(writes, known, 1)
  t.same([...kept.keys()], ['1.0.0', '1.1.0', '1.2.0', '1.4.0'])
  t.equal(unremembered, 1)
  t.equal(withinBound(writes, known, 2).unremembered, 0)
  t.same([...withinBound(writes, new Map(), 0).kept.keys()], ['1.1.0', '1.4.0'])
})

t.test('a namespace has a bound of its own, for Modules that come and go', async (t) => {
  t.equal(roomFor({ ofObject: 0, leftInNamespace: MOST_LEFT - 1 }), MOST_MUTABLE)
  t.equal(roomFor({ ofObject: 0, leftInNamespace: MOST_LEFT }), 0)
  t.equal(roomFor({ ofObject: MOST_MUTABLE + 7, leftInNamespace: 0 }), 0)
  const book = new LedgerBook()
  const gone = published({ immutable: false, state: 'unpublished' })
  for (let made = 0; made < MOST_LEFT / MOST_MUTABLE; made += 1) {
    const module = { kind: 'Module', namespace: 'infra', name: `m-${made}` } as const
    t.equal(book.room(module), MOST_MUTABLE)
    for (const version of versions(MOST_MUTABLE, gone).keys()) book.set({ module, version, facts: gone })
  }
  const next = { kind: 'Module', namespace: 'infra', name: 'next' } as const
  t.equal(book.room(next), 0)
  t.equal(book.room({ ...next, namespace: 'elsewhere' }), MOST_MUTABLE)
  t.equal(book.full(), MOST_LEFT / MOST_MUTABLE)
  // One of them is listed again.
  book.set({ module: { ...next, name: 'm-0' }, version: '0.0.0', facts: mutable })
  t.equal(book.room(next), MOST_MUTABLE)
})

t.test('whoever publishes what will not be remembered is told, and not refused', async (t) => {
  const [old, next] = [
    aModule({ ...MUTABLE, versions: ['1.0.0'] }),
    aModule({ ...MUTABLE, versions: ['1.0.0', '1.1.0'] }),
  ]
  const full = { published: versions(MOST_MUTABLE, mutable) }
  const verdict = judged(old, next, { ledger: full })
  t.equal(verdict.allowed, true)
  t.same(said(verdict), [
    'WH-V11 notice: the ledger has 1000 versions of this Module that were never immutable, and will not remember 1 more',
  ])
  t.same(said(judged(old, next, { ledger: { published: versions(MOST_MUTABLE - 1, mutable) } })), [])
  t.same(said(judged(old, next, { ledger: { published: versions(MOST_MUTABLE, immutable) } })), [])
  const policy = aPolicy({ immutability: 'required' })
  t.notMatch(said(judged(old, next, { ledger: full, policy })).join(), /will not remember/)
})
