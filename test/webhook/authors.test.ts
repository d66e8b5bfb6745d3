// Who is written into the ledger for good: nobody by what anyone could have sent, and of two who were judged by two replicas the
// first, which is said.
import t from 'tap'
import type { Test } from 'tap'
import { Registry } from 'prom-client'
import type { KubeUser } from '../../src/core/kube/kube_user.ts'
import { publishedVersionOf } from '../../src/core/module/published_version.ts'
import { PUBLISHED_VERSIONS } from '../../src/platform/ledger/kube_ledger.ts'
import { openCluster } from '../../webhook/cluster/cluster.ts'
import type { Cluster } from '../../webhook/cluster/cluster.ts'
import { VPC, facts, judge, module as commit, subjectOf } from '../support/followed_cluster.ts'
import { eventually } from '../support/kube_modules.ts'
import { memoryKube } from '../support/memory_kube.ts'
import type { MemoryKube } from '../support/memory_kube.ts'
import { alice, NOON, pipeline, published } from '../support/module_changes.ts'

const SOURCE = 'github.com/acme/terraform-aws-vpc'
const SHA = '9f2c1d7e5b0a4c6f8e3d2b1a0c9f8e7d6c5b4a39'
const mallory: KubeUser = { ...alice, username: 'mallory' }

type Line = { readonly fields: unknown; readonly text: string }

type Replica = {
  readonly cluster: Cluster
  readonly errors: readonly Line[]
  /** What the metric of contradicted versions says. */
  readonly contradicted: () => Promise<number>
}

const ignore = (): void => undefined

async function replica(t: Test, kube: MemoryKube, isPortOpen = false): Promise<Replica> {
  const errors: Line[] = []
  const error = (fields: unknown, text = ''): void => void errors.push({ fields, text })
  const registry = new Registry()
  const cluster = await openCluster({
    connection: kube.connection,
    log: { debug: ignore, info: ignore, warn: ignore, error },
    clock: () => NOON * 1000,
    registry,
    isPortOpen,
    random: () => 0,
  })
  t.teardown(() => cluster.close())
  await cluster.synced
  const name = 'sallyport_webhook_ledger_two_authors_total'
  const contradicted = async (): Promise<number> => {
    const metric = await registry.getSingleMetric(name)?.get()
    return metric?.values[0]?.value ?? -1
  }
  return { cluster, errors, contradicted }
}

/** As the cluster keeps it. */
async function kept(kube: MemoryKube, plain: string): Promise<Readonly<Record<string, unknown>>> {
  const find = (): unknown =>
    kube.objects(PUBLISHED_VERSIONS).find(({ spec }) => Object(spec).version === plain)?.['spec']
  return Object(await eventually(find, `${plain} is kept`))
}

const BEFORE = { versions: ['1.0.0'] }
const NEXT = { versions: ['1.0.0', '1.1.0'] }

t.test('with an open port nothing of a review is kept: no name, repository, id or commit', async (t) => {
  const kube = memoryKube()
  const webhook = await replica(t, kube, true)
  judge(webhook.cluster, commit(kube, BEFORE), NEXT, pipeline())
  commit(kube, NEXT)
  t.same(facts(webhook.cluster, '1.1.0'), {
    state: 'present',
    immutable: true,
    source: SOURCE,
    atSeconds: NOON,
  })
  const { by, publisher, sourceId, commit: told } = await kept(kube, '1.1.0')
  t.same([by, publisher, sourceId, told], [undefined, undefined, undefined, undefined])
})

const MOVED = {
  ...BEFORE,
  config: { storageConfig: { s3: { bucket: 'modules-eu' } } },
  annotations: { 'sallyport.dev/migrate': 'the bucket moves' },
}

t.test('a Module that is moved says who and why, in one entry; with an open port only why', async (t) => {
  for (const isPortOpen of [false, true]) {
    const kube = memoryKube()
    const webhook = await replica(t, kube, isPortOpen)
    const created = commit(kube, NEXT)
    const next = { ...MOVED, ...NEXT }
    judge(webhook.cluster, created, next, alice)
    commit(kube, next)
    const move = {
      revision: Object(created['metadata']).resourceVersion,
      ...(isPortOpen ? {} : { by: 'alice' }),
      reason: 'the bucket moves',
      settings: ['storageConfig'],
      storage: 's3 bucket=modules-eu',
    }
    t.same(facts(webhook.cluster, '1.1.0')?.moved, [{ ...move, atSeconds: isPortOpen ? NOON : NOON - 1 }])
    t.equal(facts(webhook.cluster, '1.0.0')?.moved, undefined)
    commit(kube, { ...next, labels: { team: 'infra' } })
    t.equal(facts(webhook.cluster, '1.1.0')?.moved?.length, 1)
  }
})

function isNamed(webhook: Replica): true | undefined {
  return facts(webhook.cluster, '1.0.0')?.moved?.every(({ by }) => by === 'alice') === true ? true : undefined
}

t.test('two replicas that saw one move make one of it, and whoever judged it is named', async (t) => {
  const kube = memoryKube()
  const [first, second] = [await replica(t, kube), await replica(t, kube)]
  const created = commit(kube, BEFORE)
  await kept(kube, '1.0.0')
  judge(second.cluster, created, MOVED, alice)
  commit(kube, MOVED)
  for (const webhook of [first, second]) await eventually(() => isNamed(webhook), 'who moved it is known')
  const { moved } = await kept(kube, '1.0.0')
  t.match(moved, [{ by: 'alice', reason: 'the bucket moves', settings: ['storageConfig'] }])
  t.equal(Object(moved).length, 1)
})

t.test(
  'with an open port what the objects themselves say is kept: commits, and why a version went',
  async (t) => {
    const kube = memoryKube()
    const webhook = await replica(t, kube, true)
    const created = commit(kube, { versions: [] })
    const pinned = { ...NEXT, annotations: { 'sallyport.dev/pins': `1.1.0=${'c'.repeat(40)}` } }
    judge(webhook.cluster, created, pinned, pipeline())
    const stored = commit(kube, pinned)
    t.match(facts(webhook.cluster, '1.1.0'), { commit: 'c'.repeat(40), by: undefined })
    const gone = { ...BEFORE, annotations: { 'sallyport.dev/unpublish': '1.1.0: leaked a key' } }
    judge(webhook.cluster, stored, gone, alice)
    commit(kube, gone)
    t.match(facts(webhook.cluster, '1.1.0'), {
      state: 'unpublished',
      removedBy: undefined,
      removedAtSeconds: NOON,
      reason: 'leaked a key',
    })
  },
)

t.test('with an open port the id of a first publisher that is kept already still counts', async (t) => {
  const kube = memoryKube()
  const stored = commit(kube, BEFORE)
  const known = published({ source: SOURCE, sourceId: '4711', by: 'ci', atSeconds: NOON })
  kube.put(PUBLISHED_VERSIONS, publishedVersionOf({ module: VPC, version: '1.0.0', facts: known }))
  const webhook = await replica(t, kube, true)
  const said = webhook.cluster.factsOf(subjectOf(stored, NEXT))
  t.same(said.firstPublisher, { source: SOURCE, sourceId: '4711' })
})

t.test('a reason that only a review told is not kept', async (t) => {
  const kube = memoryKube()
  const webhook = await replica(t, kube)
  const stored = commit(kube, NEXT)
  judge(
    webhook.cluster,
    stored,
    { ...BEFORE, annotations: { 'sallyport.dev/unpublish': '1.1.0: made up' } },
    alice,
  )
  commit(kube, BEFORE)
  t.match(facts(webhook.cluster, '1.1.0'), { state: 'unpublished', removedBy: 'alice', reason: undefined })
})

t.test('a reason is cut to what the entry has room for, and steers no terminal', async (t) => {
  const kube = memoryKube()
  const webhook = await replica(t, kube)
  commit(kube, NEXT)
  commit(kube, {
    ...BEFORE,
    annotations: { 'sallyport.dev/unpublish': `1.1.0: \u001b[31m${'x'.repeat(2000)}` },
  })
  const { reason } = facts(webhook.cluster, '1.1.0') ?? {}
  t.equal(reason?.length, 1024)
  t.match(reason, /^\\u\{1b\}\[31mxxx/)
})

t.test('two replicas that judged two authors: the first is kept, and the second says so once', async (t) => {
  const kube = memoryKube()
  const [first, second] = [await replica(t, kube), await replica(t, kube)]
  const stored = commit(kube, BEFORE)
  const two = { versions: ['1.0.0', '1.1.0', '1.2.0'] }
  judge(first.cluster, stored, two, mallory)
  judge(second.cluster, stored, two, pipeline())
  commit(kube, two)
  await eventually(() => second.errors[0], 'it is said')
  t.equal((await kept(kube, '1.1.0'))['by'], 'mallory')
  t.same(second.errors, [
    {
      text: 'two authors',
      fields: {
        ...VPC,
        version: '1.1.0',
        kept: { by: 'mallory' },
        judged: { by: pipeline().username, sourceId: '4711', commit: SHA },
        versions: 2,
      },
    },
  ])
  t.same(first.errors, [])
  t.equal(await second.contradicted(), 2)
  t.equal(await first.contradicted(), 0)
  t.equal(facts(second.cluster, '1.1.0')?.by, 'mallory', 'what is kept holds there, too')
})

t.test('an entry that comes before the commit itself is compared all the same', async (t) => {
  const kube = memoryKube()
  const webhook = await replica(t, kube)
  judge(webhook.cluster, commit(kube, BEFORE), NEXT, alice)
  const other = published({ source: SOURCE, by: 'mallory', atSeconds: NOON })
  kube.put(PUBLISHED_VERSIONS, publishedVersionOf({ module: VPC, version: '1.1.0', facts: other }))
  commit(kube, NEXT)
  await eventually(() => webhook.errors[0], 'it is said')
  t.match(webhook.errors, [
    { fields: { version: '1.1.0', kept: { by: 'mallory' }, judged: { by: 'alice' } } },
  ])
})

const OTHERS: readonly (readonly [what: string, claims: Readonly<Record<string, string>>])[] = [
  ['repository', { source: 'github.com/acme/release' }],
  ['repository id', { 'repository-id': '666' }],
  ['commit', { sha: 'f'.repeat(40) }],
]
for (const [what, claims] of OTHERS) {
  t.test(`one name with another ${what} is another author`, async (t) => {
    const kube = memoryKube()
    const [first, second] = [await replica(t, kube), await replica(t, kube)]
    const stored = commit(kube, BEFORE)
    judge(first.cluster, stored, NEXT, pipeline(claims))
    judge(second.cluster, stored, NEXT, pipeline())
    commit(kube, NEXT)
    await eventually(() => second.errors[0], 'it is said')
    t.match(second.errors, [{ text: 'two authors', fields: { version: '1.1.0', versions: 1 } }])
  })
}

t.test('nothing is said of one author, of nobody, and of who published it before', async (t) => {
  const kube = memoryKube()
  const [first, second] = [await replica(t, kube), await replica(t, kube)]
  const config = { immutable: false }
  const stored = commit(kube, { ...BEFORE, config })
  const next = { ...NEXT, config }
  for (const one of [first, second]) judge(one.cluster, stored, next, pipeline())
  const there = commit(kube, next)
  await kept(kube, '1.1.0')
  judge(second.cluster, there, { ...BEFORE, config }, alice)
  const removed = commit(kube, { ...BEFORE, config })
  await eventually(
    () => (facts(first.cluster, '1.1.0')?.state === 'unpublished' ? true : undefined),
    'it is gone',
  )
  judge(second.cluster, removed, next, mallory)
  const back = commit(kube, next)
  judge(first.cluster, back, { versions: ['1.0.0', '1.1.0', '1.2.0'], config }, alice)
  commit(kube, { versions: ['1.0.0', '1.1.0', '1.2.0'], config })
  t.equal((await kept(kube, '1.2.0'))['by'], 'alice')
  await eventually(() => (facts(second.cluster, '1.2.0')?.by === 'alice' ? true : undefined), 'both know')
  t.same([...first.errors, ...second.errors], [])
  const again = async () => {
    const entry = await kept(kube, '1.1.0')
    return entry['state'] === 'present' ? entry : undefined
  }
  t.equal((await eventually(again, 'it is kept as present'))['by'], pipeline().username)
})
