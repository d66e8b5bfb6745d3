// What every ledger does, wherever it keeps its entries (src/platform/ledger/ledger.ts).
import type { Test } from 'tap'
import type { LedgerEntry, ModuleKey, PublishedFacts } from '../../src/core/module/ledger.ts'
import { MOST_MUTABLE } from '../../src/core/module/ledger_bound.ts'
import type { Ledger } from '../../src/platform/ledger/ledger.ts'
import { eventually } from '../support/kube_modules.ts'
import { NOON, published } from '../support/module_changes.ts'

export type LedgerHouse = {
  /** One more on the same entries: another process, or the same one after a restart. What it reads is what is kept. */
  readonly open: (t: Test) => Promise<Ledger>
}

const FULL = published({
  source: 'github.com/acme/terraform-aws-vpc',
  sourceId: '4711',
  commit: '9f2c1d7e5b0a4c6f8e3d2b1a0c9f8e7d6c5b4a39',
  digest: `sha256:${'ab'.repeat(32)}`,
  by: 'ci:repo:acme/terraform-aws-vpc',
  atSeconds: NOON,
})
const BARE = published({ immutable: false })
const GONE = {
  state: 'unpublished',
  removedBy: 'alice',
  removedAtSeconds: NOON + 60,
  reason: 'leaked',
} as const

const MOVE = {
  revision: '4711',
  atSeconds: NOON + 120,
  by: 'jo',
  reason: 'the bucket moves',
  settings: ['repoUrl', 'storageConfig'],
  source: 'github.com/acme/vpc',
  storage: 's3 bucket=modules-eu',
}

/** Every test has keys of its own, so that all may share one place. */
export function describeLedger(t: Test, house: LedgerHouse): void {
  let count = 0
  const moduleOf = (kind: ModuleKey['kind'] = 'Module'): ModuleKey => {
    count += 1
    return { kind, namespace: `infra-${process.pid}-${count}`, name: 'terraform-aws-vpc' }
  }

  t.test('what is recorded is there at once, and for whoever comes next', async (t) => {
    const module = moduleOf()
    const ledger = await house.open(t)
    t.same([...ledger.published(module)], [])
    const recorded = ledger.record(module, new Map([['1.0.0', FULL]]))
    t.same([...ledger.published(module)], [['1.0.0', FULL]])
    await recorded
    t.same([...(await house.open(t)).published(module)], [['1.0.0', FULL]])
    t.equal(ledger.missing(), undefined)
  })

  t.test('the same once more changes nothing', async (t) => {
    const module = moduleOf()
    const ledger = await house.open(t)
    for (let round = 0; round < 3; round += 1) await ledger.record(module, new Map([['1.0.0', FULL]]))
    t.same([...(await house.open(t)).published(module)], [['1.0.0', FULL]])
  })

  t.test('who published first is never overwritten by one that does not know it', async (t) => {
    const module = moduleOf()
    const [first, second] = [await house.open(t), await house.open(t)]
    await first.record(module, new Map([['1.0.0', FULL]]))
    const mallory = { ...FULL, by: 'mallory', commit: 'f'.repeat(40), atSeconds: NOON + 9 }
    await second.record(module, new Map([['1.0.0', mallory]]))
    t.same([...(await house.open(t)).published(module)], [['1.0.0', FULL]])
    await knows(second, module, FULL)
  })

  t.test('what was not known is filled in, whoever wrote first', async (t) => {
    const [one, other] = [moduleOf(), moduleOf()]
    const [first, second] = [await house.open(t), await house.open(t)]
    await first.record(one, new Map([['1.0.0', BARE]]))
    await second.record(one, new Map([['1.0.0', FULL]]))
    await second.record(other, new Map([['1.0.0', FULL]]))
    await first.record(other, new Map([['1.0.0', BARE]]))
    const third = await house.open(t)
    t.same([...third.published(one)], [['1.0.0', FULL]])
    t.same([...third.published(other)], [['1.0.0', FULL]])
  })

  t.test('once immutable, always', async (t) => {
    const module = moduleOf()
    const ledger = await house.open(t)
    await ledger.record(module, new Map([['1.0.0', FULL]]))
    await ledger.record(module, new Map([['1.0.0', { ...FULL, immutable: false }]]))
    t.same([...(await house.open(t)).published(module)], [['1.0.0', FULL]])
  })

  t.test('what goes says who took it away, and what comes back does not', async (t) => {
    const module = moduleOf()
    const ledger = await house.open(t)
    await ledger.record(module, new Map([['1.0.0', FULL]]))
    await ledger.record(module, new Map([['1.0.0', { ...FULL, ...GONE }]]))
    t.same([...(await house.open(t)).published(module)], [['1.0.0', { ...FULL, ...GONE }]])
    await ledger.record(module, new Map([['1.0.0', FULL]]))
    t.same([...(await house.open(t)).published(module)], [['1.0.0', FULL]])
  })

  t.test('a move is kept beside what is there, whoever of two that saw it writes first', async (t) => {
    const [one, other] = [moduleOf(), moduleOf()]
    const [first, second] = [await house.open(t), await house.open(t)]
    const [named, anonymous] = [
      { ...FULL, moved: [MOVE] },
      { ...FULL, moved: [{ ...MOVE, by: undefined }] },
    ].map((facts): PublishedFacts => JSON.parse(JSON.stringify(facts)))
    if (named === undefined || anonymous === undefined) throw new Error('both are there')
    for (const module of [one, other]) await first.record(module, new Map([['1.0.0', FULL]]))
    for (const module of [one, other]) await second.record(module, new Map([['1.0.0', FULL]]))
    await first.record(one, new Map([['1.0.0', anonymous]]))
    await second.record(one, new Map([['1.0.0', named]]))
    await Promise.all([
      first.record(other, new Map([['1.0.0', named]])),
      second.record(other, new Map([['1.0.0', anonymous]])),
    ])
    const third = await house.open(t)
    t.same([...third.published(one)], [['1.0.0', named]])
    t.same([...third.published(other)], [['1.0.0', named]])
    await third.record(one, new Map([['1.0.0', named]]))
    t.same([...(await house.open(t)).published(one)], [['1.0.0', named]])
  })

  t.test('of many moves the last ten stay, and what goes and comes back keeps them', async (t) => {
    const module = moduleOf()
    const ledger = await house.open(t)
    const moves = Array.from({ length: 13 }, (_, index) => ({
      ...MOVE,
      revision: String(index),
      atSeconds: NOON + index,
    }))
    for (let end = 1; end <= moves.length; end += 4) {
      await ledger.record(
        module,
        new Map([['1.0.0', { ...FULL, moved: moves.slice(Math.max(0, end - 10), end) }]]),
      )
    }
    await ledger.record(module, new Map([['1.0.0', { ...FULL, ...GONE }]]))
    const moved = moves.slice(3)
    t.same([...(await house.open(t)).published(module)], [['1.0.0', { ...FULL, ...GONE, moved }]])
    await ledger.record(module, new Map([['1.0.0', FULL]]))
    t.same([...(await house.open(t)).published(module)], [['1.0.0', { ...FULL, moved }]])
  })

  t.test('two that write the same versions at once make one entry of each', async (t) => {
    const module = moduleOf()
    const [first, second] = [await house.open(t), await house.open(t)]
    const plains = Array.from({ length: 40 }, (_, index) => `1.${index}.0`)
    await Promise.all([
      first.record(module, new Map(plains.map((plain) => [plain, BARE]))),
      second.record(module, new Map(plains.map((plain) => [plain, FULL]))),
    ])
    const third = await house.open(t)
    t.same(new Map(third.published(module)), new Map(plains.map((plain) => [plain, FULL])))
  })

  t.test('a Module and a Provider of one name, and versions that differ in case, are apart', async (t) => {
    const module = moduleOf()
    const provider = { ...module, kind: 'Provider' } as const
    const ledger = await house.open(t)
    await ledger.record(module, new Map([['1.0.0-rc.1', FULL]]))
    await ledger.record(module, new Map([['1.0.0-RC.1', BARE]]))
    await ledger.record(provider, new Map([['1.0.0-rc.1', { ...BARE, ...GONE }]]))
    const again = await house.open(t)
    t.same(again.published(module).get('1.0.0-rc.1'), FULL)
    t.same(again.published(module).get('1.0.0-RC.1'), BARE)
    t.same(again.published(provider).get('1.0.0-rc.1'), { ...BARE, ...GONE })
    const own = [...again.entries()].filter(isOf(module.namespace))
    t.same(own.map(({ module: { kind }, version }) => `${kind} ${version}`).sort(), [
      'Module 1.0.0-RC.1',
      'Module 1.0.0-rc.1',
      'Provider 1.0.0-rc.1',
    ])
  })

  t.test(
    'what never had to stay is remembered up to a bound, and nothing that was is lost to it',
    async (t) => {
      const module = moduleOf()
      const ledger = await house.open(t)
      await ledger.record(module, new Map([['0.1.0', { ...BARE, by: 'alice' }]]))
      const many = new Map(Array.from({ length: MOST_MUTABLE + 5 }, (_, index) => [`1.0.${index}`, BARE]))
      await ledger.record(module, many)
      t.equal(ledger.published(module).size, MOST_MUTABLE)
      t.equal(ledger.room(module), 0)
      t.equal(ledger.published(module).has(`1.0.${MOST_MUTABLE + 4}`), false)
      t.equal(ledger.published(module).get('0.1.0')?.by, 'alice', 'the oldest is not pushed out')

      await ledger.record(module, new Map([['2.0.0', FULL]]))
      t.same(ledger.published(module).get('2.0.0'), FULL, 'what is immutable is remembered')
      await ledger.record(module, new Map([['0.1.0', { ...BARE, ...GONE }]]))
      t.equal(ledger.published(module).get('0.1.0')?.state, 'unpublished', 'what is known is kept up')
      t.equal(ledger.room(module), 0, 'what is gone makes no room')
      const later = `1.0.${MOST_MUTABLE + 4}`
      await ledger.record(module, new Map([[later, { ...BARE, immutable: true }]]))
      t.equal(ledger.published(module).get(later)?.immutable, true, 'what becomes immutable is remembered')

      await ledger.record(module, new Map([['1.0.0', { ...BARE, immutable: true }]]))
      t.equal(ledger.room(module), 1)
      const again = await house.open(t)
      t.same(new Map(again.published(module)), new Map(ledger.published(module)))
      t.equal(again.room(module), 1)
      t.equal(again.room({ ...module, name: 'other' }), MOST_MUTABLE, 'another Module has its own')
    },
  )

  t.test('what is recorded while it is being written is written after it', async (t) => {
    const module = moduleOf()
    const ledger = await house.open(t)
    await Promise.all([
      ledger.record(module, new Map([['1.0.0', BARE]])),
      ledger.record(module, new Map([['1.0.0', { ...BARE, by: 'alice' }]])),
      ledger.record(module, new Map([['1.0.0', { ...BARE, by: 'alice', ...GONE }]])),
    ])
    t.same([...(await house.open(t)).published(module)], [['1.0.0', { ...BARE, by: 'alice', ...GONE }]])
  })
}

/** A ledger that follows the others hears of it; one that does not, knew it when it wrote. */
async function knows(ledger: Ledger, module: ModuleKey, facts: PublishedFacts): Promise<void> {
  await eventually(
    () => (ledger.published(module).get('1.0.0')?.by === facts.by ? true : undefined),
    'it knows',
  )
}

function isOf(namespace: string): (entry: LedgerEntry) => boolean {
  return ({ module }) => module.namespace === namespace
}
