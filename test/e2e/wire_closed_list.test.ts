// The closed list does what it promises: it lets through what it names and nothing beside it.
import t from 'tap'
import { judgeDifferences } from './wire/closed_list.ts'

const entry = (id: string, probes: readonly string[]) => ({
  id,
  title: '',
  dex: '',
  sallyport: '',
  why: '',
  probes,
})
const compared = [
  {
    probe: 'te untrusted',
    differences: [
      { aspect: 'status', dex: '500', ours: '400' },
      { aspect: 'header cache-control', dex: undefined, ours: 'no-store' },
    ],
  },
  { probe: 'cc ok', differences: [] },
]

t.test('a difference without an entry is unlisted', async (t) => {
  t.match(judgeDifferences(compared, [entry('a', ['te untrusted > status'])]), {
    unlisted: [{ probe: 'te untrusted', aspect: 'header cache-control' }],
    stale: [],
  })
})

t.test('entries with an aspect and entries for the rest cover a probe together', async (t) => {
  const entries = [entry('cache', ['* > header cache-control = no-store']), entry('target', ['te untrusted'])]
  t.match(judgeDifferences(compared, entries), { unlisted: [], stale: [] })
})

t.test('an entry that only another entry explains is stale', async (t) => {
  const [first] = compared
  const onlyCache = [{ probe: 'te untrusted', differences: first?.differences.slice(1) ?? [] }]
  const entries = [entry('cache', ['* > header cache-control = no-store']), entry('target', ['te untrusted'])]
  t.same(judgeDifferences(onlyCache, entries).stale, ['target: te untrusted'])
})

t.test('an entry for another value explains nothing', async (t) => {
  t.match(judgeDifferences(compared, [entry('a', ['te untrusted > status = 401'])]), {
    stale: ['a: te untrusted > status = 401'],
  })
})
