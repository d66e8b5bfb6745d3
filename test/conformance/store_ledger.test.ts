import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { openStoreLedger } from '../../src/platform/ledger/store_ledger.ts'
import { createMemoryStore } from '../../src/platform/store/memory_store.ts'
import { openSqliteStore } from '../../src/platform/store/sqlite_store.ts'
import { StoreFailure } from '../../src/platform/store/store.ts'
import type { Store } from '../../src/platform/store/store.ts'
import { eventually } from '../support/kube_modules.ts'
import { published } from '../support/module_changes.ts'
import { describeLedger } from './ledger.ts'

const clock = (): number => Date.UTC(2026, 10, 21)
const nothing = (): void => undefined
const log = { debug: nothing, info: nothing, warn: nothing, error: nothing }
const VPC = { kind: 'Module', namespace: 'infra', name: 'vpc' } as const

t.test('the ledger in a store in memory', async (t) => {
  const store = createMemoryStore({ clock })
  describeLedger(t, { open: () => openStoreLedger({ store, log }) })
})

t.test('the ledger in a SQLite file', async (t) => {
  const file = join(t.testdir(), 'own', 'sallyport.db')
  const open = async (tt: Test) => {
    // A file of its own for each, as processes have.
    const store = await openSqliteStore({ file, clock, busyTimeoutMs: 5000 })
    tt.teardown(() => store.close())
    return openStoreLedger({ store, log })
  }
  describeLedger(t, { open })
})

t.test('what others wrote is read when it is asked for', async (t) => {
  const store = createMemoryStore({ clock })
  const [first, second] = [await openStoreLedger({ store, log }), await openStoreLedger({ store, log })]
  await first.record(VPC, new Map([['1.0.0', published()]]))
  t.equal(second.published(VPC).size, 0)
  await second.refresh()
  t.same([...second.published(VPC)], [['1.0.0', published()]])
})

t.test('whoever hears of a version late does not bring it back', async (t) => {
  const store = createMemoryStore({ clock })
  const [first, second] = [await openStoreLedger({ store, log }), await openStoreLedger({ store, log })]
  const gone = published({ state: 'unpublished', removedBy: 'alice' })
  await first.record(VPC, new Map([['1.0.0', gone]]))
  await second.record(VPC, new Map([['1.0.0', published()]]))
  t.same([...second.published(VPC)], [['1.0.0', gone]])
})

t.test('a store that fails is tried again, and it is told until it works', async (t) => {
  let isBroken = true
  const store = createMemoryStore({ clock })
  const results: string[] = []
  const broken: Store = {
    ...store,
    get: async (key) => {
      if (isBroken) throw new StoreFailure('the disk is full')
      return store.get(key)
    },
  }
  const ledger = await openStoreLedger({ store: broken, log, onWrite: (result) => results.push(result) })
  const recorded = ledger.record(VPC, new Map([['1.0.0', published()]]))
  await eventually(() => ledger.missing(), 'it says so')
  t.equal(ledger.missing(), 'ledger: 1 entries are not kept yet: the disk is full')
  isBroken = false
  await recorded
  t.equal(ledger.missing(), undefined)
  t.same(results, ['failed', 'created'])
})

t.test('a ledger that cannot be written closes all the same', async (t) => {
  const store = createMemoryStore({ clock })
  const broken: Store = { ...store, get: () => Promise.reject(new StoreFailure('gone')) }
  const ledger = await openStoreLedger({ store: broken, log })
  const recorded = ledger.record(VPC, new Map([['1.0.0', published()]]))
  await eventually(() => ledger.missing(), 'it has tried')
  await ledger.close()
  await recorded
  t.same([...ledger.published(VPC)], [['1.0.0', published()]])
})

t.test('an entry that nobody can read is passed over, and made anew', async (t) => {
  const store = createMemoryStore({ clock })
  await store.put('ledger/Module/infra/vpc/1.0.0', 'nonsense')
  const told: unknown[] = []
  const ledger = await openStoreLedger({ store, log: { ...log, warn: (what: unknown) => told.push(what) } })
  t.equal(ledger.published(VPC).size, 0)
  t.match(told, [{ key: 'ledger/Module/infra/vpc/1.0.0', why: 'line 1: it is no JSON object' }])
  await ledger.record(VPC, new Map([['1.0.0', published()]]))
  t.same([...(await openStoreLedger({ store, log })).published(VPC)], [['1.0.0', published()]])
})
