// The store in a cluster on a real kube-apiserver: what every store does, over two processes as well, what it does about owners
// that died, clocks, room and definitions of other releases, and what becomes of it while the apiserver is away.
import t from 'tap'
import { entryName, entryObject, setObject } from '../../src/platform/store/kube_entries.ts'
import { StoreFailure } from '../../src/platform/store/store.ts'
import { describeStore } from '../conformance/store.ts'
import { kubeClusterFor } from '../support/kube_cluster.ts'
import {
  makeNamespace,
  openByClusterClock,
  openStoreIn,
  storeClock,
  storePlace,
} from '../support/kube_store.ts'
import { startStoreProcess } from '../support/store_process.ts'

const cluster = await kubeClusterFor(t)
const start = storeClock()
const minute = 60_000
const hour = 60 * minute
const whole = (key: string) => ({ key, parts: [], expiresAt: start + hour })

const DEFINITION = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/storeentries.sallyport.dev'

async function create(namespace: string, resource: string, body: object): Promise<void> {
  const path = `/apis/sallyport.dev/v1alpha1/namespaces/${namespace}/${resource}`
  const answer = await cluster.request(path, { method: 'POST', body })
  if (answer.status !== 201) throw new Error(`${resource}: ${answer.status} ${answer.body}`)
}

t.test('a cluster without the definitions is not written to unless that is wanted', async (t) => {
  const place = storePlace(cluster, await makeNamespace(cluster), { definitions: 'check' })
  await t.rejects(openStoreIn(place), {
    name: 'StoreFailure',
    message:
      /has no storeentries\.sallyport\.dev\n {4}-> kubectl apply -k deploy\/crds\/store, or sallyport store/,
  })
  await t.rejects(openStoreIn({ ...place, definitions: 'ensure' }, { create: false }), {
    message: /there is no store in it yet: start the broker once/,
  })
  t.equal((await cluster.request(DEFINITION)).status, 404)
})

t.test('the store in a cluster', async (t) => {
  describeStore(t, {
    open: async (_t, clock) => openStoreIn(storePlace(cluster, await makeNamespace(cluster)), { clock }),
  })
})

t.test('of two processes that claim the same keys each key has one winner', async (t) => {
  const place = JSON.stringify(storePlace(cluster, await makeNamespace(cluster)))
  const processes = [1, 2].map(() => startStoreProcess(t, 'claim', place, '100'))
  t.same(await Promise.all(processes.map(({ ended }) => ended)), [0, 0])
  const claimed = processes.flatMap(({ lines }) => lines)
  t.same(claimed.sort(), Array.from({ length: 100 }, (_, key) => `claimed ${key}`).sort())
})

t.test('claims of several keys from two processes take all of their keys or none', async (t) => {
  const place = storePlace(cluster, await makeNamespace(cluster))
  const processes = [1, 2].map(() => startStoreProcess(t, 'pairs', JSON.stringify(place), '20'))
  t.same(await Promise.all(processes.map(({ ended }) => ended)), [0, 0])
  const taken = processes.flatMap(({ lines }) => lines.map((line) => Number(line.split(' ')[1])))
  const keys = taken.flatMap((index) => [`pair/${index}`, `pair/${index + 1}`])
  t.ok(taken.length >= 7, 'no pair is free that nobody has')
  const store = await openStoreIn(place)
  t.teardown(() => store.close())
  t.same((await store.list('pair/')).map(({ key }) => key).sort(), keys.sort())
})

t.test('two processes that add to one number lose no addition', async (t) => {
  const place = storePlace(cluster, await makeNamespace(cluster))
  const processes = [1, 2].map(() => startStoreProcess(t, 'count', JSON.stringify(place), '20'))
  t.same(await Promise.all(processes.map(({ ended }) => ended)), [0, 0])
  const store = await openStoreIn(place)
  t.teardown(() => store.close())
  t.equal(await store.get('count'), '40')
})

t.test('what became of a claim whose owner died is read from its set', async (t) => {
  const namespace = await makeNamespace(cluster)
  const store = await openStoreIn(storePlace(cluster, namespace, { requestTimeoutSeconds: 1 }))
  t.teardown(() => store.close())
  for (const decision of ['open', 'taken', 'dropped', 'gone'] as const) {
    if (decision !== 'gone')
      await create(namespace, 'claimsets', setObject(`s-${decision}`, decision, start + hour))
    const intent = { set: `s-${decision}`, value: '', expiresAt: start + hour }
    const entry = entryObject(decision, { held: undefined, intent, writer: 'died' })
    await create(namespace, 'storeentries', entry)
  }
  t.equal(await store.get('taken'), '')
  t.equal(await store.get('gone'), undefined)
  t.equal(await store.claimOnce('taken', start + hour), false)
  t.equal(await store.claimOnce('dropped', start + hour), true)
  t.equal(await store.claimOnce('gone', start + hour), true)
  t.equal(await store.claimAllOnce([whole('open'), whole('taken')]), false)
  t.equal(await store.claimOnce('open', start + hour), true, 'nobody waits for the dead for ever')
  const path = `/apis/sallyport.dev/v1alpha1/namespaces/${namespace}/claimsets/s-open`
  t.match((await cluster.request(path)).body, '"decision":"dropped"')
})

t.test('nothing is left of a claim of several keys but its entries', async (t) => {
  const namespace = await makeNamespace(cluster)
  const store = await openStoreIn(storePlace(cluster, namespace))
  t.teardown(() => store.close())
  t.equal(await store.claimAllOnce([whole('a'), whole('b')]), true)
  t.equal(await store.claimAllOnce([whole('b'), whole('c')]), false)
  const path = `/apis/sallyport.dev/v1alpha1/namespaces/${namespace}`
  t.same(Object(JSON.parse((await cluster.request(`${path}/claimsets`)).body)).items, [])
  const { body } = await cluster.request(`${path}/storeentries/${entryName('a')}`)
  t.notHas(Object(JSON.parse(body)).spec, 'intent')
})

t.test('a replica whose clock is ahead deletes nothing that lives elsewhere, and says so', async (t) => {
  const place = storePlace(cluster, await makeNamespace(cluster))
  const now = Date.now()
  const warnings: unknown[] = []
  const ahead = await openByClusterClock(place, {
    clock: () => now + 3 * hour,
    log: { warn: (fields) => warnings.push(fields) },
  })
  const right = await openByClusterClock(place, { clock: () => now })
  t.teardown(() => Promise.all([ahead.close(), right.close()]))
  t.equal(await right.claimOnce('replay/a', now + hour), true)
  t.equal(await right.claimOnce('replay/old', now - hour), true)
  t.equal(await ahead.expire(), 1, 'what is over by both clocks goes')
  t.equal(warnings.length, 1)
  t.equal(await right.claimOnce('replay/a', now + hour), false)
})

t.test('replicas that sweep at once remove everything, each entry once', async (t) => {
  const place = storePlace(cluster, await makeNamespace(cluster))
  let now = start
  const clock = (): number => now
  const stores = await Promise.all([openStoreIn(place, { clock }), openStoreIn(place, { clock })])
  const [first] = stores
  t.teardown(() => Promise.all(stores.map((store) => store.close())))
  await Promise.all(Array.from({ length: 60 }, (_, index) => first?.claimOnce(`c/${index}`, start + minute)))
  now = start + 3 * minute
  const removed = await Promise.all(stores.map((store) => store.expire()))
  t.equal(
    removed.reduce((sum, count) => sum + count, 0),
    60,
  )
  t.same(await first?.list(''), [])
})

t.test('a full store refuses claims with a way out, and keeps what it has', async (t) => {
  const place = storePlace(cluster, await makeNamespace(cluster), { maxEntries: 6 })
  let now = start
  const clock = (): number => now
  const store = await openStoreIn(place, { clock })
  t.teardown(() => store.close())
  await store.put('keys/ring', 'x')
  for (const index of [1, 2, 3, 4]) t.equal(await store.claimOnce(`c/${index}`, start + minute), true)
  const full =
    /has 6 entries, and may have no more: .* refused\n {4}-> raise store\.maxEntries .* or take PostgreSQL/
  await t.rejects(store.claimOnce('c/5', start + minute), { name: 'StoreFailure', message: full })
  const other = await openStoreIn(place, { clock })
  t.teardown(() => other.close())
  await t.rejects(other.claimOnce('c/5', start + minute), { message: full }, 'replicas count the same')
  await store.put('keys/ring', 'y')
  t.equal(await store.get('keys/ring'), 'y', 'the key ring still changes')
  now = start + 3 * minute
  const later = await openStoreIn(place, { clock })
  t.teardown(() => later.close())
  t.equal(await later.claimOnce('c/5', start + hour), true, 'what has expired makes room by itself')
})

t.test('what JSON would change is refused, and what somebody else wrote is not taken for ours', async (t) => {
  const namespace = await makeNamespace(cluster)
  const store = await openStoreIn(storePlace(cluster, namespace))
  t.teardown(() => store.close())
  await t.rejects(store.put('a/1', 'x\ud800'), /half a surrogate pair/)
  await t.rejects(store.get('a/\udc00'), /half a surrogate pair/)
  const entry = entryObject('a/1', {
    held: { value: 'x', expiresAt: undefined },
    intent: undefined,
    writer: 'w',
  })
  await create(namespace, 'storeentries', { ...entry, metadata: { name: entryName('a/2') } })
  await t.rejects(store.get('a/2'), /somebody else wrote it/)
  t.same(await store.list(''), [])
})

t.test('a cluster that is slow or away fails in time, and is used again when it is back', async (t) => {
  const place = storePlace(cluster, await makeNamespace(cluster), { requestTimeoutSeconds: 1 })
  const store = await openStoreIn(place)
  t.teardown(() => store.close())
  t.equal(await store.claimOnce('replay/before', start + hour), true)
  const pid = cluster.apiservers[0]?.pid ?? 0

  process.kill(pid, 'SIGSTOP')
  const slow = await Promise.allSettled(
    Array.from({ length: 200 }, (_, index) => store.claimOnce(`replay/slow-${index}`, start + hour)),
  )
  const ready = await store.ping().catch(String)
  process.kill(pid, 'SIGCONT')
  t.ok(
    slow.every((one) => one.status === 'rejected' && one.reason instanceof StoreFailure),
    'those that waited behind, too',
  )
  t.match(ready, /no answer within 1 s/)
  t.equal(await store.claimOnce('replay/after slow', start + hour), true)

  await cluster.stopApiserver()
  await t.rejects(store.claimOnce('replay/away', start + hour), {
    name: 'StoreFailure',
    message: /cannot be reached/,
  })
  await t.rejects(store.claimAllOnce([whole('x'), whole('y')]), { name: 'StoreFailure' })
  await t.rejects(store.get('replay/before'), { name: 'StoreFailure' })
  await t.rejects(store.ping(), { name: 'StoreFailure' })
  await cluster.startApiserver()
  await t.resolves(store.ping())
  t.equal(await store.claimOnce('replay/before', start + hour), false, 'what was claimed stays that')
  t.equal(await store.claimOnce('replay/away', start + hour), true)
})

t.test(
  'without its definitions nothing counts as absent, and a store that was removed is not made anew',
  async (t) => {
    const store = await openStoreIn(storePlace(cluster, await makeNamespace(cluster)))
    t.teardown(() => store.close())
    t.equal(await store.claimOnce('replay/a', start + hour), true)
    const crds = ['crd/storeentries.sallyport.dev', 'crd/claimsets.sallyport.dev']
    t.equal((await cluster.kubectl(['delete', ...crds])).code, 0)
    const refused = { name: 'StoreFailure', message: /\n {4}-> kubectl apply -k deploy\/crds\/store/ }
    await t.rejects(store.get('replay/a'), refused)
    await t.rejects(store.claimOnce('replay/a', start + hour), refused)
    await t.rejects(store.ping(), { name: 'StoreFailure' })
    await (await openStoreIn(storePlace(cluster, await makeNamespace(cluster)))).close()
    await t.rejects(store.ping(), /the store was removed from it/)
  },
)

t.test(
  'a release does not work beside a newer one, nor on definitions that lose what it writes',
  async (t) => {
    const namespace = await makeNamespace(cluster)
    const place = storePlace(cluster, namespace)
    const store = await openStoreIn(place)
    t.teardown(() => store.close())
    const marker = `/apis/sallyport.dev/v1alpha1/namespaces/${namespace}/storeentries/schema`
    const patch = (path: string, body: object) =>
      cluster.request(path, { method: 'PATCH', contentType: 'application/merge-patch+json', body })
    t.equal((await patch(marker, { spec: { value: '9 1' } })).status, 200)
    await t.resolves(store.ping(), 'a newer one that only added something')
    t.equal((await patch(marker, { spec: { value: '9 9' } })).status, 200)
    await t.rejects(
      store.ping(),
      /the store is of a newer release, which this one \(step 1\) cannot work with/,
    )
    await t.rejects(openStoreIn(place), /newer release/)

    const definition = Object(JSON.parse((await cluster.request(DEFINITION)).body))
    const { properties } = definition.spec.versions[0].schema.openAPIV3Schema.properties.spec
    delete properties.intent
    definition.metadata.annotations['sallyport.dev/store-step'] = '0'
    t.equal((await cluster.request(DEFINITION, { method: 'PUT', body: definition })).status, 200)
    const fresh = storePlace(cluster, await makeNamespace(cluster))
    await t.rejects(
      async () => {
        // It takes the apiserver a moment to serve the other definition.
        for (let tries = 0; tries < 50; tries += 1) await (await openStoreIn(fresh)).close()
      },
      {
        name: 'StoreFailure',
        message: /older release, and would lose what is written\n {4}-> kubectl apply -k/,
      },
    )
  },
)
