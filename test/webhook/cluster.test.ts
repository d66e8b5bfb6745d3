// What the webhook knows of its cluster and tells the rules, and what it feeds the ledger with.
import t from 'tap'
import type { Test } from 'tap'
import { Registry } from 'prom-client'
import type { JsonObject } from '../../src/core/claims.ts'
import type { ChangeSubject } from '../../src/core/module/change.ts'
import type { LedgerFacts, PublishedFacts } from '../../src/core/module/ledger.ts'
import { MOST_MUTABLE } from '../../src/core/module/ledger_bound.ts'
import { readModule, readProvider, readVersion } from '../../src/core/module/module_object.ts'
import { publishedVersionOf } from '../../src/core/module/published_version.ts'
import { PUBLISHED_VERSIONS } from '../../src/platform/ledger/kube_ledger.ts'
import { openCluster } from '../../webhook/cluster/cluster.ts'
import type { Cluster } from '../../webhook/cluster/cluster.ts'
import { eventually } from '../support/kube_modules.ts'
import { memoryKube } from '../support/memory_kube.ts'
import type { MemoryKube } from '../support/memory_kube.ts'
import { aModule, alice, moduleJson, MUTABLE, NOON, pipeline } from '../support/module_changes.ts'
import type { ModuleEdit } from '../support/module_changes.ts'

const OPENDEPOT = '/apis/opendepot.defdev.io/v1alpha1'
const MODULES = `${OPENDEPOT}/modules`
const PROVIDERS = `${OPENDEPOT}/providers`
const VERSIONS = `${OPENDEPOT}/versions`
const POLICIES = '/apis/sallyport.dev/v1alpha1/modulepolicies'
const VPC = { kind: 'Module', namespace: 'infra', name: 'terraform-aws-vpc' } as const

type House = {
  readonly kube: MemoryKube
  readonly cluster: Cluster
  readonly told: string[]
  readonly registry: Registry
}

async function house(t: Test, fill: (kube: MemoryKube) => void = () => undefined): Promise<House> {
  const kube = memoryKube()
  fill(kube)
  return follow(t, kube)
}

/** One more replica of the same cluster. */
async function follow(t: Test, kube: MemoryKube): Promise<House> {
  const told: string[] = []
  const tell = (_what: unknown, text = ''): void => void told.push(text)
  const registry = new Registry()
  const cluster = await openCluster({
    connection: kube.connection,
    log: { debug: tell, info: () => undefined, warn: tell, error: tell },
    clock: () => NOON * 1000,
    registry,
    random: () => 0,
  })
  t.teardown(() => cluster.close())
  return { kube, cluster, told, registry }
}

async function synced(t: Test, fill?: (kube: MemoryKube) => void): Promise<House> {
  const made = await house(t, fill)
  await made.cluster.synced
  t.same(made.cluster.missing(), [])
  return made
}

function module(kube: MemoryKube, edit: ModuleEdit = {}, namespace = 'infra'): JsonObject {
  const json = JSON.parse(
    JSON.stringify(moduleJson({ ...edit, metadata: { uid: undefined, namespace, ...edit.metadata } })),
  )
  return kube.put(MODULES, json)
}

function subjectOf(old: JsonObject | undefined, next: ModuleEdit | undefined): ChangeSubject {
  const read = old === undefined ? undefined : readModule(old)
  if (read?.ok === false) throw new Error(read.denial)
  const after = next === undefined ? undefined : aModule(next)
  const replaced = after === undefined ? 'DELETE' : 'UPDATE'
  return {
    resource: 'modules',
    subResource: '',
    operation: old === undefined ? 'CREATE' : replaced,
    namespace: 'infra',
    name: (read?.value ?? after)?.meta.name ?? '',
    old: read?.value,
    new: after,
    dryRun: false,
  }
}

function judge(cluster: Cluster, old: JsonObject, next: ModuleEdit | undefined, user = alice): void {
  const { uid, resourceVersion } = Object(old['metadata'])
  const subject = subjectOf(old, next)
  cluster.remember({
    subject,
    user,
    oldResourceVersion: resourceVersion,
    objectUid: uid,
    atSeconds: NOON - 1,
  })
}

function facts(cluster: Cluster, plain: string): PublishedFacts | undefined {
  return cluster.ledger.published(VPC).get(plain)
}

const kept = (kube: MemoryKube): readonly string[] =>
  kube
    .objects(PUBLISHED_VERSIONS)
    .map(({ spec }) => `${Object(spec).version} ${Object(spec).state}`)
    .sort()

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
  t.same(cluster.missing(), ['ledger: 1 entries of what is stored are not written yet'])
  kube.intercept = () => undefined
  await cluster.synced
  t.same(cluster.missing(), [])
  t.same(kept(kube), ['1.0.0 present'])
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

function versionJson(
  name: string,
  version: string,
  status: JsonObject = {},
  spec: JsonObject = {},
): JsonObject {
  const config = { type: 'Module', version, moduleConfigRef: { name: 'terraform-aws-vpc' }, ...spec }
  return {
    apiVersion: 'opendepot.defdev.io/v1alpha1',
    kind: 'Version',
    metadata: { name, namespace: 'infra' },
    spec: config,
    status,
  }
}

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

function factsOf(cluster: Cluster, next: ModuleEdit): LedgerFacts {
  return cluster.factsOf(subjectOf(undefined, next))
}

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

function policyJson(name: string, spec: JsonObject): JsonObject {
  return { apiVersion: 'sallyport.dev/v1alpha1', kind: 'ModulePolicy', metadata: { name }, spec }
}

t.test('a policy that cannot be read is no hole: nobody publishes what it selects', async (t) => {
  const { kube, cluster, told } = await synced(t)
  kube.put(POLICIES, policyJson('b-fine', { selector: { namespaces: ['other'] } }))
  kube.put(POLICIES, policyJson('a-broken', { selector: { namespaces: ['infra'] }, ordering: 'sideways' }))
  const [broken, fine] = cluster.policies()
  t.match(fine, { name: 'b-fine', spec: { immutability: 'optional' } })
  t.match(broken, {
    name: 'a-broken',
    spec: { immutability: 'required', modes: {}, selector: { namespaces: ['infra'] } },
  })
  t.match(broken?.spec.publishers, [{ source: 'nobody, since the ModulePolicy a-broken cannot be read' }])
  t.same(cluster.missing(), [], 'the rest is judged, and the policy can be mended')
  t.same(cluster.troubles(), [
    'ModulePolicy a-broken cannot be read, so nobody publishes what it selects: spec.ordering is not free or backport or monotonic',
  ])
  t.match(told, ['a ModulePolicy cannot be read: nobody publishes what it selects'])
  kube.put(POLICIES, policyJson('a-broken', { selector: 7 }))
  t.match(
    cluster.policies()[0]?.spec.selector,
    { namespaces: [], labels: new Map() },
    'a selector that cannot be read selects all',
  )
  kube.put(POLICIES, policyJson('a-broken', { selector: { namespaces: ['infra'] }, ordering: 'monotonic' }))
  t.same(cluster.troubles(), [])
  t.equal(cluster.policies()[0]?.spec.ordering, 'monotonic')
})

t.test(
  'who has a name already is found in every namespace, also under the name of the configuration',
  async (t) => {
    const { kube, cluster } = await synced(t, (empty) => {
      module(empty, { versions: ['1.0.0'] })
      module(empty, { versions: ['1.0.0'] }, 'team-b')
      module(empty, { name: 'other', config: { name: 'terraform-aws-vpc' } }, 'team-a')
      module(empty, { name: 'eks' })
    })
    t.same(factsOf(cluster, {}).namesakes, ['team-a/other', 'team-b/terraform-aws-vpc'])
    t.same(factsOf(cluster, { name: 'free' }).namesakes, [])
    kube.delete(MODULES, 'terraform-aws-vpc', 'team-b')
    module(kube, { name: 'other' }, 'team-a')
    t.same(factsOf(cluster, {}).namesakes, [])
  },
)

t.test('the name of a Version is taken by what is stored, and by what others list', async (t) => {
  const { kube, cluster } = await synced(t, (empty) => {
    module(empty, { versions: ['1.0.0'] })
    module(empty, { name: 'terraform-aws-vpc-1', config: { name: undefined }, versions: ['0.0.2', '3.0.0'] })
    module(empty, { name: 'terraform-aws-vpc-2', config: { name: undefined }, versions: ['0.0.2'] }, 'team-b')
    empty.put(VERSIONS, versionJson('terraform-aws-vpc-1-0-0', '1.0.0'))
    empty.put(
      VERSIONS,
      versionJson('terraform-aws-vpc-4-0-0', '4.0.0', {}, { moduleConfigRef: { name: 'inline' } }),
    )
    empty.put(PROVIDERS, providerJson('terraform-aws', ['9.0.0']))
  })
  const { versionNameOwner } = factsOf(cluster, {})
  t.equal(versionNameOwner('terraform-aws-vpc-1-0-0'), undefined, 'its own')
  t.equal(versionNameOwner('terraform-aws-vpc-1-0-0-2'), 'infra/terraform-aws-vpc-1')
  t.equal(versionNameOwner('terraform-aws-vpc-2-0-0-2'), undefined, 'another namespace')
  t.equal(versionNameOwner('terraform-aws-vpc-4-0-0'), 'infra/inline')
  t.equal(versionNameOwner('terraform-aws-9-0-0-linux-amd64'), 'infra/terraform-aws')
  t.equal(versionNameOwner('free'), undefined)
  kube.delete(PROVIDERS, 'terraform-aws', 'infra')
  t.equal(factsOf(cluster, {}).versionNameOwner('terraform-aws-9-0-0-linux-amd64'), undefined)
})

t.test('names that begin alike hold no review up', async (t) => {
  const versions = Array.from({ length: 500 }, (_, index) => `9.9.${index}`)
  const { cluster } = await synced(t, (empty) => {
    for (let depth = 0; depth < 40; depth += 1) module(empty, { name: `m${'-1'.repeat(depth)}`, versions })
  })
  const { versionNameOwner } = factsOf(cluster, { name: 'other' })
  const names = versions.map((_, index) => `m${'-1'.repeat(40)}-2-0-${index}`)
  const began = performance.now()
  t.same(
    names.filter((name) => versionNameOwner(name) !== undefined),
    [],
  )
  t.ok(performance.now() - began < 1000)
  t.equal(versionNameOwner('m-1-9-9-7'), 'infra/m-1')
})

t.test('a Provider that lists no end of platforms holds no review up', async (t) => {
  const same = Array.from({ length: 200_000 }, () => 'x')
  const other = Array.from({ length: 20_000 }, (_, index) => `x${index}`)
  const { cluster } = await synced(t, (empty) => {
    empty.put(PROVIDERS, providerJson('m', ['9.9.9'], { operatingSystems: [], architectures: same }))
    empty.put(PROVIDERS, providerJson('m-1', ['9.9.9'], { operatingSystems: other, architectures: other }))
  })
  const { versionNameOwner } = factsOf(cluster, { name: 'm-1-2' })
  const names = Array.from({ length: 250 }, (_, index) => `m-1-2-0-0-${index}`)
  const before = process.threadCpuUsage()
  t.same(
    names.filter((name) => versionNameOwner(name) !== undefined),
    [],
  )
  const { user, system } = process.threadCpuUsage(before)
  t.ok((user + system) / 1000 < 1000)
  t.equal(versionNameOwner('m-9-9-9-x-x'), undefined, 'without a system no Version is made')
  t.equal(versionNameOwner('m-1-9-9-9-x7-x19999'), 'infra/m-1')
})

t.test('systems and architectures with dashes, dots and capitals are found in a name', async (t) => {
  const { cluster } = await synced(t, (empty) => {
    const platforms = { operatingSystems: ['Linux_musl', 'a-b'], architectures: ['amd64.v3', 'b-c'] }
    empty.put(PROVIDERS, providerJson('aws', ['v5.0.0'], platforms))
  })
  const { versionNameOwner } = factsOf(cluster, {})
  for (const end of ['linux-musl-amd64-v3', 'linux-musl-b-c', 'a-b-b-c'])
    t.equal(versionNameOwner(`aws-5-0-0-${end}`), 'infra/aws', end)
  for (const end of ['linux-musl', 'amd64-v3', 'a-b-c', 'a-b-b-c-', 'b-c-a-b', 'linux-musl--b-c', ''])
    t.equal(versionNameOwner(`aws-5-0-0-${end}`), undefined, end)
})

const TWO_PLATFORMS = { operatingSystems: ['linux'], architectures: ['amd64', 'arm64'] }

function providerJson(
  name: string,
  versions: readonly string[],
  providerConfig: JsonObject = TWO_PLATFORMS,
): JsonObject {
  const spec = {
    providerConfig,
    versions: versions.map((version) => ({ version })),
  }
  return {
    apiVersion: 'opendepot.defdev.io/v1alpha1',
    kind: 'Provider',
    metadata: { name, namespace: 'infra' },
    spec,
  }
}

t.test('of a Version the rules are told its Module, or its Provider, and what that published', async (t) => {
  const { cluster } = await synced(t, (empty) => {
    module(empty, { versions: ['1.0.0'], labels: { tier: 'gold' } })
    empty.put(PROVIDERS, providerJson('aws', ['5.0.0']))
  })
  const about = (object: JsonObject): LedgerFacts => {
    const read = readVersion(object)
    if (!read.ok) throw new Error(read.denial)
    const rest = { subResource: '', namespace: 'infra', name: read.value.meta.name, dryRun: false } as const
    return cluster.factsOf({
      resource: 'versions',
      operation: 'DELETE',
      old: read.value,
      new: undefined,
      ...rest,
    })
  }
  const ofModule = about(versionJson('terraform-aws-vpc-1-0-0', '1.0.0'))
  t.equal(ofModule.module?.meta.labels.get('tier'), 'gold')
  t.equal(ofModule.published.get('1.0.0')?.state, 'present')
  const labelled = versionJson(
    'aws-5-0-0-linux-amd64',
    '5.0.0',
    {},
    {
      type: 'Provider',
      moduleConfigRef: null,
    },
  )
  const metadata = { ...Object(labelled['metadata']), labels: { 'opendepot.defdev.io/provider': 'aws' } }
  const ofProvider = about({ ...labelled, metadata })
  t.equal(ofProvider.provider?.meta.name, 'aws')
  t.same([...ofProvider.published.keys()], ['5.0.0'])
  t.equal(ofProvider.module, undefined)
})

t.test('a Provider has what its own name published', async (t) => {
  const { cluster } = await synced(t, (empty) =>
    empty.put(PROVIDERS, providerJson('aws', ['5.0.0', '5.0.0'])),
  )
  const read = readProvider(providerJson('aws', ['5.0.0']))
  if (!read.ok) throw new Error(read.denial)
  const about = { subResource: '', namespace: 'infra', name: 'aws', dryRun: false } as const
  const told = cluster.factsOf({
    resource: 'providers',
    operation: 'UPDATE',
    old: read.value,
    new: read.value,
    ...about,
  })
  t.same([...told.published], [['5.0.0', { state: 'present', immutable: false }]])
  t.equal(told.provider?.meta.name, 'aws')
})

t.test('what is present and immutable is counted, for whoever deletes what holds it', async (t) => {
  const { cluster } = await synced(t, (empty) => {
    module(empty, { versions: ['1.0.0', '1.1.0'] })
    module(empty, { versions: ['1.0.0'] }, 'team-b')
    module(empty, { name: 'mutable', versions: ['1.0.0'], config: { immutable: undefined } })
  })
  const about = {
    subResource: '',
    namespace: '',
    old: undefined,
    new: undefined,
    operation: 'DELETE',
    dryRun: false,
  } as const
  t.equal(cluster.factsOf({ resource: 'namespaces', name: 'infra', ...about }).publishedInNamespace, 2)
  t.equal(
    cluster.factsOf({ resource: 'customresourcedefinitions', name: 'x', ...about }).publishedInCluster,
    3,
  )
  const own = cluster.factsOf({ resource: 'publishedversions', name: 'x', ...about }).ownIdentities
  t.same(own, { users: ['system:serviceaccount:sallyport:webhook'], groups: [] })
})

t.test('what was published before a policy required that it stays is counted with the rest', async (t) => {
  const { kube, cluster } = await synced(t, (empty) => {
    module(empty, { versions: ['1.0.0', '1.1.0'], config: { immutable: undefined } })
    module(empty, { versions: ['1.0.0'], config: { immutable: undefined } }, 'team-b')
  })
  const about = { subResource: '', namespace: '', dryRun: false, operation: 'DELETE' } as const
  const none = { old: undefined, new: undefined }
  const counted = (): number =>
    cluster.factsOf({ resource: 'namespaces', name: 'infra', ...about, ...none }).publishedInNamespace
  t.equal(counted(), 0)
  kube.put(POLICIES, policyJson('infra', { selector: { namespaces: ['infra'] }, immutability: 'required' }))
  t.equal(counted(), 2)
})

t.test('namespaces that go, and the names of GroupBindings, are known', async (t) => {
  const { kube, cluster } = await synced(t)
  const bindings = `${OPENDEPOT}/groupbindings`
  t.equal(factsOf(cluster, {}).isNamespaceTerminating, false)
  kube.put('/api/v1/namespaces', { metadata: { name: 'infra' } })
  t.equal(factsOf(cluster, {}).isNamespaceTerminating, false)
  kube.put('/api/v1/namespaces', { metadata: { name: 'infra', deletionTimestamp: '2027-01-15T08:00:00Z' } })
  t.equal(factsOf(cluster, {}).isNamespaceTerminating, true)
  kube.delete('/api/v1/namespaces', 'infra')
  for (const name of ['b', 'a', 'c']) kube.put(bindings, { metadata: { name, namespace: 'infra' } })
  kube.delete(bindings, 'c', 'infra')
  const about = {
    subResource: '',
    namespace: 'infra',
    name: 'x',
    old: undefined,
    new: undefined,
    operation: 'CREATE',
    dryRun: false,
  } as const
  t.same(cluster.factsOf({ resource: 'groupbindings', ...about }).groupBindings, ['a', 'b'])
})

t.test('whether somebody may break the glass is asked each time', async (t) => {
  const { kube, cluster } = await synced(t)
  const asked: unknown[] = []
  kube.intercept = ({ path, body }) => {
    if (!path.endsWith('/subjectaccessreviews')) return undefined
    asked.push(body?.['spec'])
    return asked.length === 1 ? { status: { allowed: true } } : { kind: 'status', status: 500, message: 'no' }
  }
  const object = { resource: 'modules', namespace: 'infra', name: 'vpc' } as const
  t.same(await cluster.mayDo(alice, 'unpublish', object), { ok: true, value: true })
  t.same(await cluster.mayDo(alice, 'unpublish', object), { ok: false, denial: 'no' })
  t.same(asked[0], {
    user: 'alice',
    groups: ['system:authenticated'],
    extra: {},
    resourceAttributes: { group: 'opendepot.defdev.io', verb: 'unpublish', ...object },
  })
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
