// The ledger's feeder when it trips over something of ours: whoever publishes goes on, it is told, and tried again.
import t from 'tap'
import { Registry } from 'prom-client'
import { openStoreLedger } from '../../src/platform/ledger/store_ledger.ts'
import { createMemoryStore } from '../../src/platform/store/memory_store.ts'
import { openCluster } from '../../webhook/cluster/cluster.ts'
import { Feeder } from '../../webhook/ledger/feeder.ts'
import { JudgedRequests } from '../../webhook/ledger/judged_requests.ts'
import { eventually } from '../support/kube_modules.ts'
import { memoryKube } from '../support/memory_kube.ts'
import { moduleJson, NOON } from '../support/module_changes.ts'

const ignore = (): void => undefined
const MODULES = '/apis/opendepot.defdev.io/v1alpha1/modules'

t.test('a change that cannot be worked out ends no process, and is told', async (t) => {
  const kube = memoryKube()
  const told: string[] = []
  const tell = (_fields: unknown, text = ''): void => void told.push(text)
  let isBroken = false
  const cluster = await openCluster({
    connection: kube.connection,
    log: { debug: ignore, info: ignore, warn: ignore, error: tell },
    clock: () => {
      if (isBroken) throw new Error('no time')
      return NOON * 1000
    },
    registry: new Registry(),
    random: () => 0,
  })
  t.teardown(() => cluster.close())
  await cluster.synced
  t.equal(cluster.ledgerTrouble(), undefined)
  isBroken = true
  kube.put(MODULES, JSON.parse(JSON.stringify(moduleJson({ metadata: { uid: undefined } }))))
  const trouble = await eventually(() => cluster.ledgerTrouble(), 'it is told')
  t.match(trouble, { why: /^the ledger could not be fed/, isMissing: false })
  t.same(told, ['ledger not fed'])
  t.same(cluster.missing(), [], 'and reviews are judged')
})

t.test('a ledger that could not be fed at the start is said to be so, and nothing is judged', async (t) => {
  const kube = memoryKube()
  kube.put(MODULES, JSON.parse(JSON.stringify(moduleJson({ metadata: { uid: 'u-1' } }))))
  const cluster = await openCluster({
    connection: kube.connection,
    log: { debug: ignore, info: ignore, warn: ignore, error: ignore },
    clock: () => {
      throw new Error('no time')
    },
    registry: new Registry(),
    random: () => 0,
  })
  t.teardown(() => cluster.close())
  const trouble = await eventually(
    () =>
      cluster.ledgerTrouble()?.why.includes('at the start') === true ? cluster.ledgerTrouble() : undefined,
    'it is told',
  )
  t.match(trouble, { isMissing: true })
  t.match(cluster.missing(), [/^ledger: it could not be fed at the start/])
})

t.test('a look at everything that goes well makes it good', async (t) => {
  let isBroken = true
  const log = { debug: ignore, info: ignore, warn: ignore, error: ignore }
  const store = createMemoryStore({ clock: () => 0 })
  const feeder = new Feeder({
    ledger: await openStoreLedger({ store, log }),
    judged: new JudgedRequests(),
    clock: () => 0,
    log,
    onTwoAuthors: () => undefined,
    isRequiredImmutable: () => false,
    digestOf: () => undefined,
    unlisted: () => [],
    room: () => 1,
    stored: () => {
      if (isBroken) throw new Error('no list')
      return []
    },
    isStored: () => false,
  })
  await t.rejects(feeder.start(), /no list/)
  t.equal(feeder.isFed, false, 'what never was fed is not in sync')
  await feeder.reconcile()
  t.match(feeder.trouble, /^the ledger could not be fed/)
  isBroken = false
  await feeder.reconcile()
  t.equal(feeder.trouble, undefined)
})
