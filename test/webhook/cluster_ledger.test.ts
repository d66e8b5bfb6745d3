// What the webhook feeds the ledger with, of what it sees of its cluster.
import t from 'tap'
import type { JsonObject } from '../../src/core/claims.ts'
import { MOST_MUTABLE } from '../../src/core/module/ledger_bound.ts'
import { publishedVersionOf } from '../../src/core/module/published_version.ts'
import { PUBLISHED_VERSIONS } from '../../src/platform/ledger/kube_ledger.ts'
import type { Cluster } from '../../webhook/cluster/cluster.ts'
import {
  facts,
  factsOf,
  follow,
  house,
  judge,
  kept,
  module,
  MODULES,
  POLICIES,
  policyJson,
  subjectOf,
  synced,
  versionJson,
  VERSIONS,
  VPC,
} from '../support/followed_cluster.ts'
import { eventually } from '../support/kube_modules.ts'
import { alice, MUTABLE, NOON, pipeline } from '../support/module_changes.ts'

t.test('nothing is known until everything was listed and recorded', async (t) => {
  const { kube, cluster } = await house(t, (empty) => {
    module(empty, { versions: ['1.0.0'] })
    empty.intercept = ({ method }) =>
      method === 'POST' && empty.writes.at(-1)?.endsWith('publishedversions') === true
        ? { kind: 'status', status: 503, message: 'etcd is full' }
        : undefined
  })
  await eventually(
    () => (kube.writes.includes(`POST ${PUBLISHED_VERSIONS}`) ? true : undefined),
    'it tries to write',
  )
  const refusal = () => (cluster.ledgerTrouble()?.why.includes('etcd is full') === true ? true : undefined)
  await eventually(refusal, 'why is said')
  t.match(cluster.missing(), [/^ledger: 1 entries could not be written for \d+ s: .*etcd is full$/])
  t.same(cluster.unsynced(), [], 'no watch is blamed')
  t.match(cluster.ledgerTrouble(), { isMissing: true })
  kube.intercept = () => undefined
  await cluster.synced
  t.same(cluster.missing(), [])
  t.equal(cluster.ledgerTrouble(), undefined)
  t.same(kept(kube), ['1.0.0 present'])
})

t.test('writes that fail later are told at once, and judged through', async (t) => {
  const { kube, cluster } = await synced(t)
  kube.intercept = ({ method, path }) =>
    method === 'POST' && path === PUBLISHED_VERSIONS
      ? { kind: 'status', status: 403, message: 'publishedversions is forbidden' }
      : undefined
  module(kube, { versions: ['1.0.0'] })
  const trouble = await eventually(() => cluster.ledgerTrouble(), 'it is told')
  t.match(trouble, { why: /^1 entries could not be written for \d+ s: .*forbidden$/, isMissing: false })
  t.same(cluster.missing(), [])
  kube.intercept = () => undefined
  await eventually(() => (cluster.ledgerTrouble() === undefined ? true : undefined), 'it is over')
  t.same(kept(kube), ['1.0.0 present'])
})

t.test('an entry that its definition refuses is told as long as it is in memory alone', async (t) => {
  const { kube, cluster } = await synced(t)
  kube.intercept = ({ method, path }) =>
    method === 'POST' && path === PUBLISHED_VERSIONS
      ? { kind: 'status', status: 422, message: 'spec.by: Too long' }
      : undefined
  module(kube, { versions: ['1.0.0'] })
  const trouble = await eventually(() => cluster.ledgerTrouble(), 'it is told')
  t.match(trouble, {
    why: /^1 entries are refused by their definition, and in memory alone/,
    isMissing: false,
  })
  t.same(cluster.missing(), [])
})

t.test(
  'an adopted cluster has entries without who and when, and the log says what cannot be known',
  async (t) => {
    const { cluster, told } = await synced(t, (empty) => {
      module(empty, {
        versions: ['1.0.0', 'v1.1.0', 'main'],
        annotations: { 'sallyport.dev/pins': `1.0.0=${'c'.repeat(40)}` },
      })
      const checksum = Buffer.from('ab'.repeat(32), 'hex').toString('base64')
      empty.put(VERSIONS, versionJson('terraform-aws-vpc-1-1-0', 'v1.1.0', { checksum }))
    })
    const source = 'github.com/acme/terraform-aws-vpc'
    t.same(facts(cluster, '1.0.0'), { state: 'present', immutable: true, source, commit: 'c'.repeat(40) })
    t.same(facts(cluster, '1.1.0'), {
      state: 'present',
      immutable: true,
      source,
      digest: `sha256:${'ab'.repeat(32)}`,
    })
    t.equal(cluster.ledger.published(VPC).size, 2)
    t.match(told, [
      'published versions that the ledger did not know, new or lost as it is, are recorded as they are now',
    ])
  },
)

t.test('what was removed while nobody looked is unpublished, and nobody is named', async (t) => {
  const first = await synced(t, (empty) => {
    module(empty, { versions: ['1.0.0', '1.1.0'] })
    module(empty, { name: 'eks', versions: ['2.0.0'] })
  })
  await first.cluster.close()
  module(first.kube, { versions: ['1.1.0'] })
  first.kube.delete(MODULES, 'eks', 'infra')
  const { cluster, told } = await follow(t, first.kube)
  await cluster.synced
  const source = 'github.com/acme/terraform-aws-vpc'
  t.same(facts(cluster, '1.0.0'), { state: 'unpublished', immutable: true, source })
  t.equal(cluster.ledger.published({ ...VPC, name: 'eks' }).get('2.0.0')?.state, 'unpublished')
  t.match(told, ['versions that the ledger calls present are gone, and nobody saw who took them away'])
})

function madeAt(json: JsonObject, seconds: number): JsonObject {
  const creationTimestamp = new Date(seconds * 1000).toISOString()
  return { ...json, metadata: { ...Object(json['metadata']), creationTimestamp } }
}

t.test('a Version that nobody lists any more was published once', async (t) => {
  const checksum = Buffer.from('ab'.repeat(32), 'hex').toString('base64')
  const old = NOON - 86_400
  const ofProvider = {
    type: 'Provider',
    moduleConfigRef: null,
    providerConfigRef: { name: 'aws' },
  }
  const ofGone = { moduleConfigRef: { name: 'gone', immutable: true } }
  const { kube, cluster } = await synced(t, (empty) => {
    module(empty, { versions: ['1.1.0'] })
    for (const json of [
      versionJson('terraform-aws-vpc-1-0-0', '1.0.0', { checksum }),
      versionJson('terraform-aws-vpc-1-1-0', '1.1.0', { checksum }),
      versionJson('aws-5-0-0-linux-amd64', '5.0.0', { checksum }, ofProvider),
      versionJson('aws-5-0-0-linux-arm64', '5.0.0', {}, ofProvider),
      versionJson('gone-3-0-0', '3.0.0', {}, ofGone),
    ])
      empty.put(VERSIONS, madeAt(json, old))
    // Made a moment ago: the Module that lists it may be on its way.
    empty.put(VERSIONS, madeAt(versionJson('terraform-aws-vpc-1-2-0', '1.2.0', { checksum }), NOON - 1))
  })
  const left = { state: 'unpublished', immutable: true } as const
  t.same(facts(cluster, '1.0.0'), { ...left, digest: `sha256:${'ab'.repeat(32)}` })
  t.equal(facts(cluster, '1.1.0')?.state, 'present')
  t.equal(facts(cluster, '1.2.0'), undefined)
  const published = (kind: 'Module' | 'Provider', name: string) =>
    cluster.ledger.published({ kind, namespace: 'infra', name })
  t.same([...published('Provider', 'aws')], [['5.0.0', { ...left, immutable: false }]])
  t.same([...published('Module', 'gone')], [['3.0.0', left]])
  t.same(kept(kube), ['1.0.0 unpublished', '1.1.0 present', '3.0.0 unpublished', '5.0.0 unpublished'])
})

t.test(
  'of versions that come and go on a Module that is not immutable as many are kept as there is room for',
  async (t) => {
    const versions = Array.from({ length: MOST_MUTABLE }, (_, index) => `0.0.${index}`)
    const { kube, cluster, told, registry } = await synced(t, (empty) =>
      module(empty, { ...MUTABLE, versions }),
    )
    const text = 'versions that are not immutable are not remembered'
    t.notOk(told.some((line) => line.startsWith(text)))
    module(kube, { ...MUTABLE, versions: ['1.0.0'] })
    t.equal(facts(cluster, '1.0.0'), undefined)
    t.equal(facts(cluster, '0.0.0')?.state, 'unpublished')
    t.ok(told.some((line) => line.startsWith(text)))
    t.match(await registry.metrics(), 'sallyport_webhook_ledger_unremembered_total 1')
    t.match(await registry.metrics(), 'sallyport_webhook_ledger_full 1')
    module(kube, { versions: ['1.0.0'] })
    t.match(facts(cluster, '1.0.0'), { state: 'present', immutable: true })
  },
)

t.test('a kind that the cluster does not know says nothing of what was published under it', async (t) => {
  const { cluster } = await synced(t, (kube) => {
    for (const kind of ['Module', 'Provider'] as const) {
      kube.put(
        PUBLISHED_VERSIONS,
        publishedVersionOf({
          module: { ...VPC, kind },
          version: '1.0.0',
          facts: { state: 'present', immutable: true },
        }),
      )
    }
    kube.intercept = ({ path }) =>
      path.startsWith(MODULES) ? { kind: 'status', status: 404, message: '404 page not found' } : undefined
  })
  t.equal(facts(cluster, '1.0.0')?.state, 'present')
  const providers = cluster.ledger.published({ ...VPC, kind: 'Provider' })
  t.equal(providers.get('1.0.0')?.state, 'unpublished', 'a kind that is served and empty does')
})

t.test('a commit that was judged here has its author, and one that was not has the time alone', async (t) => {
  const { kube, cluster } = await synced(t)
  const created = module(kube, { versions: ['1.0.0'] })
  const source = 'github.com/acme/terraform-aws-vpc'
  t.same(facts(cluster, '1.0.0'), { state: 'present', immutable: true, source, atSeconds: NOON })
  const next = { versions: ['1.0.0', '1.1.0'] }
  judge(cluster, created, next, pipeline())
  module(kube, next)
  t.same(facts(cluster, '1.1.0'), {
    state: 'present',
    immutable: true,
    source,
    sourceId: '4711',
    commit: '9f2c1d7e5b0a4c6f8e3d2b1a0c9f8e7d6c5b4a39',
    by: 'ci:repo:acme/terraform-aws-vpc',
    atSeconds: NOON - 1,
  })
})

t.test('a pipeline of another repository is named beside the source', async (t) => {
  const { kube, cluster } = await synced(t)
  const created = module(kube, { versions: [] })
  judge(cluster, created, { versions: ['1.0.0'] }, pipeline({ source: 'github.com/acme/Release' }))
  module(kube, { versions: ['1.0.0'] })
  t.match(facts(cluster, '1.0.0'), {
    source: 'github.com/acme/terraform-aws-vpc',
    publisher: 'github.com/acme/release',
  })
  t.same(factsOf(cluster, { versions: ['1.0.0'] }).firstPublisher, {
    source: 'github.com/acme/release',
    sourceId: '4711',
  })
})

t.test("what an impersonator says of a repository is no author's", async (t) => {
  const { kube, cluster } = await synced(t)
  const created = module(kube, { versions: [] })
  const { extra, ...user } = pipeline()
  const claimed = Object.fromEntries(
    Object.entries(extra).filter(([key]) => key.startsWith('sallyport.dev/')),
  )
  judge(cluster, created, { versions: ['1.0.0'] }, { ...user, extra: claimed })
  module(kube, { versions: ['1.0.0'] })
  const known = facts(cluster, '1.0.0')
  t.same(
    [known?.by, known?.sourceId, known?.commit],
    ['ci:repo:acme/terraform-aws-vpc', undefined, undefined],
  )
})

const NOT_ITS: readonly (readonly [
  string,
  (request: Parameters<Cluster['remember']>[0]) => Parameters<Cluster['remember']>[0],
])[] = [
  ['another object', (request) => ({ ...request, objectUid: 'uid-0' })],
  ['another state', (request) => ({ ...request, oldResourceVersion: '1' })],
  ['another list', (request) => ({ ...request, subject: subjectOf(undefined, { versions: ['9.9.9'] }) })],
  ['the status', (request) => ({ ...request, subject: { ...request.subject, subResource: 'status' } })],
]
for (const [title, change] of NOT_ITS) {
  t.test(`whoever asked about ${title} is not the author`, async (t) => {
    const { kube, cluster } = await synced(t)
    const created = module(kube, { versions: ['1.0.0'] })
    const next = { versions: ['1.0.0', '1.1.0'] }
    const { uid, resourceVersion } = Object(created['metadata'])
    const request = { user: alice, oldResourceVersion: resourceVersion, objectUid: uid, atSeconds: NOON }
    cluster.remember(change({ ...request, subject: subjectOf(created, next) }))
    module(kube, next)
    t.equal(facts(cluster, '1.1.0')?.state, 'present')
    t.equal(facts(cluster, '1.1.0')?.by, undefined)
  })
}

t.test('of two who asked for the same of the same state nobody is named', async (t) => {
  const { kube, cluster } = await synced(t)
  const created = module(kube, { versions: [] })
  judge(cluster, created, { versions: ['1.0.0'] }, alice)
  judge(cluster, created, { versions: ['1.0.0'] }, pipeline())
  module(kube, { versions: ['1.0.0'] })
  t.equal(facts(cluster, '1.0.0')?.by, undefined)
})

t.test(
  'an unpublished version says who and why, and a deleted Module who, after its finalizers, too',
  async (t) => {
    const { kube, cluster } = await synced(t)
    const created = module(kube, { versions: ['1.0.0', '1.1.0'] })
    const next = { versions: ['1.1.0'], annotations: { 'sallyport.dev/unpublish': '1.0.0: leaked a key' } }
    judge(cluster, created, next)
    const removed = module(kube, next)
    t.match(facts(cluster, '1.0.0'), {
      state: 'unpublished',
      removedBy: 'alice',
      removedAtSeconds: NOON - 1,
      reason: 'leaked a key',
    })
    judge(cluster, removed, undefined)
    module(kube, { ...next, metadata: { deletionTimestamp: '2027-01-15T08:00:00Z' } })
    t.equal(facts(cluster, '1.1.0')?.state, 'present', 'it is still there')
    kube.delete(MODULES, 'terraform-aws-vpc', 'infra')
    t.match(facts(cluster, '1.1.0'), { state: 'unpublished', removedBy: 'alice', reason: undefined })
  },
)

t.test('a list that a controller trims is pruned', async (t) => {
  const { kube, cluster } = await synced(t)
  const config = { immutable: undefined, versionHistoryLimit: 1 }
  module(kube, { versions: ['1.0.0', '1.1.0'], config })
  module(kube, { versions: ['v1.1.0'], config })
  t.equal(facts(cluster, '1.0.0')?.state, 'pruned')
})

t.test('what a policy requires is immutable once it is published under it', async (t) => {
  const { kube, cluster } = await synced(t)
  const config = { immutable: undefined }
  module(kube, { versions: ['1.0.0'], config })
  kube.put(POLICIES, policyJson('all', { selector: {}, immutability: 'required' }))
  module(kube, { versions: ['1.0.0', '1.1.0'], config })
  t.equal(facts(cluster, '1.0.0')?.immutable, false)
  t.equal(facts(cluster, '1.1.0')?.immutable, true)
})

t.test('a version that is stored as something else is told, and its digest stays', async (t) => {
  const { kube, cluster, told } = await synced(t, (empty) => module(empty, { versions: ['1.0.0'] }))
  const [first, second] = ['ab', 'cd'].map((byte) => Buffer.from(byte.repeat(32), 'hex').toString('base64'))
  kube.put(VERSIONS, versionJson('terraform-aws-vpc-1-0-0', '1.0.0', { checksum: first ?? '' }))
  t.equal(facts(cluster, '1.0.0')?.digest, `sha256:${'ab'.repeat(32)}`)
  kube.put(VERSIONS, versionJson('terraform-aws-vpc-1-0-0', '1.0.0', { checksum: second ?? '' }))
  t.equal(facts(cluster, '1.0.0')?.digest, `sha256:${'ab'.repeat(32)}`)
  t.equal(told.at(-1), 'a published version is stored as something else')
})

t.test('the metrics say what is in sync and what is written', async (t) => {
  const { registry, cluster } = await synced(t, (empty) => module(empty, { versions: ['1.0.0'] }))
  await cluster.synced
  const text = await registry.metrics()
  t.match(text, 'sallyport_webhook_watch_synced{resource="modules"} 1')
  t.match(text, 'sallyport_webhook_watch_synced{resource="publishedversions"} 1')
  t.match(text, 'sallyport_webhook_ledger_writes_total{result="created"} 1')
  t.match(text, 'sallyport_webhook_ledger_entries 1')
  t.match(text, 'sallyport_webhook_ledger_backlog 0')
})
