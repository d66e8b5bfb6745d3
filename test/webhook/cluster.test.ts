// What the webhook knows of its cluster and tells the rules.
import t from 'tap'
import type { JsonObject } from '../../src/core/claims.ts'
import type { LedgerFacts } from '../../src/core/module/ledger.ts'
import { readProvider, readVersion } from '../../src/core/module/module_object.ts'
import {
  factsOf,
  module,
  MODULES,
  OPENDEPOT,
  POLICIES,
  policyJson,
  providerJson,
  PROVIDERS,
  synced,
  versionJson,
  VERSIONS,
} from '../support/followed_cluster.ts'
import { alice } from '../support/module_changes.ts'

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
