// The ledger in a cluster when the cluster is difficult: what is tried again, what is given up, and what is said of it. What a real
// kube-apiserver keeps is asked in test/e2e/webhook_ledger.test.ts.
import { mkdtempSync, rmSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { publishedVersionName } from '../../src/core/module/ledger.ts'
import { publishedVersionOf } from '../../src/core/module/published_version.ts'
import { openKubeConnection } from '../../src/platform/kube/kube_connection.ts'
import { KubeLedger } from '../../src/platform/ledger/kube_ledger.ts'
import { fakeApiserver } from '../support/fake_apiserver.ts'
import type { ApiAnswer, ApiCall, FakeApiserver } from '../support/fake_apiserver.ts'
import { eventually } from '../support/kube_modules.ts'
import { published } from '../support/module_changes.ts'

const VPC = { kind: 'Module', namespace: 'infra', name: 'vpc' } as const
const NAME = publishedVersionName(VPC, '1.0.0')
const BY_ALICE = published({ by: 'alice' })

type House = {
  readonly api: FakeApiserver
  readonly ledger: KubeLedger
  readonly results: string[]
  readonly told: unknown[]
  readonly clock: { ms: number }
  /** Of what was written: `POST`, `PATCH`. */
  readonly writes: () => readonly string[]
  /** The watch says that nothing happened. */
  readonly speak: () => Promise<void>
}

/** `stored`: what the list has. Answers everything but the list and the watch. */
async function house(
  t: Test,
  answer: (call: ApiCall, count: number) => ApiAnswer,
  stored: readonly unknown[] = [],
): Promise<House> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-kube-ledger-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  let count = 0
  let watch: ServerResponse | undefined
  const api = await fakeApiserver(t, folder, (call) => {
    if (call.path.includes('watch=1')) {
      return {
        stream: (response) => {
          response.writeHead(200).flushHeaders()
          watch = response
        },
      }
    }
    if (call.method === 'GET' && call.path.includes('limit=')) {
      return { body: { metadata: { resourceVersion: '10' }, items: stored } }
    }
    count += 1
    return answer(call, count)
  })
  const connection = await openKubeConnection({ kubeconfig: api.kubeconfig, context: undefined, env: {} })
  if (!connection.ok) throw new Error(connection.denial.message)
  const results: string[] = []
  const told: unknown[] = []
  const clock = { ms: 0 }
  const tell = (what: unknown): void => void told.push(what)
  const ledger = new KubeLedger({
    connection: connection.value,
    log: { debug: () => undefined, info: () => undefined, warn: tell, error: tell },
    now: () => clock.ms,
    random: () => 0,
    staleAfterMs: 30_000,
    onWrite: (result) => results.push(result),
  })
  t.teardown(async () => {
    await ledger.close()
    connection.value.close()
  })
  ledger.start()
  await eventually(() => (ledger.isListed ? true : undefined), 'it is listed')
  const writes = () => api.calls.filter(({ method }) => method !== 'GET').map(({ method }) => method)
  const bookmark = { type: 'BOOKMARK', object: { metadata: { resourceVersion: '11' } } }
  const speak = async (): Promise<void> => {
    await eventually(() => watch?.write(`${JSON.stringify(bookmark)}\n`), 'the watch speaks')
  }
  return { api, ledger, results, told, clock, writes, speak }
}

/** As the cluster answers a write of it. */
function kept(facts = BY_ALICE, resourceVersion = '20', version = '1.0.0'): Record<string, unknown> {
  const object = publishedVersionOf({ module: VPC, version, facts })
  return { ...object, metadata: { name: publishedVersionName(VPC, version), resourceVersion } }
}

const conflict = { status: 409, body: { kind: 'Status', reason: 'AlreadyExists', message: 'already exists' } }
const unavailable = {
  status: 503,
  body: { kind: 'Status', message: 'etcdserver: mvcc: database space exceeded' },
}

t.test('an entry is one object under its own name', async (t) => {
  const { api, ledger, results } = await house(t, () => ({ status: 201, body: kept() }))
  await ledger.record(VPC, new Map([['1.0.0', BY_ALICE]]))
  t.same(results, ['created'])
  const { path, body } = api.calls.find(({ method }) => method === 'POST') ?? {}
  t.equal(path, '/apis/sallyport.dev/v1alpha1/publishedversions')
  t.same(body, {
    apiVersion: 'sallyport.dev/v1alpha1',
    kind: 'PublishedVersion',
    metadata: { name: NAME },
    spec: { module: VPC, version: '1.0.0', state: 'present', immutable: true, by: 'alice' },
  })
  t.equal(ledger.missing(), undefined)
})

t.test('whoever comes second reads what is there and fills in the rest', async (t) => {
  const { api, ledger, results } = await house(t, ({ method }) => {
    if (method === 'POST') return conflict
    return { body: kept(method === 'GET' ? published() : BY_ALICE, method === 'GET' ? '15' : '20') }
  })
  await ledger.record(VPC, new Map([['1.0.0', BY_ALICE]]))
  t.same(results, ['conflict', 'updated'])
  const patch = api.calls.find(({ method }) => method === 'PATCH')
  t.match(patch, { path: `/apis/sallyport.dev/v1alpha1/publishedversions/${NAME}` })
  t.same(patch?.body, { metadata: { resourceVersion: '15' }, spec: { by: 'alice' } })
})

t.test('whoever hears of a version late does not bring it back', async (t) => {
  const gone = published({ state: 'unpublished', removedBy: 'alice' })
  const { ledger, results } = await house(t, ({ method }) =>
    method === 'POST' ? conflict : { body: kept(gone) },
  )
  await ledger.record(VPC, new Map([['1.0.0', published()]]))
  t.same(results, ['conflict', 'unchanged'])
  t.same([...ledger.published(VPC)], [['1.0.0', gone]])
})

t.test('who was named first is named, whatever was thought here', async (t) => {
  const { ledger, results } = await house(t, () => unavailable, [kept(BY_ALICE, '9')])
  await ledger.record(VPC, new Map([['1.0.0', published({ by: 'mallory' })]]))
  t.same(results, ['unchanged'])
  t.same([...ledger.published(VPC)], [['1.0.0', BY_ALICE]])
})

t.test('what nobody claims waits for whoever does, and is as it is by then', async (t) => {
  const { ledger, writes } = await house(t, () => unavailable, [
    kept(published({ state: 'unpublished', removedBy: 'alice' }), '9'),
  ])
  void ledger.record(VPC, new Map([['1.0.0', published()]]))
  await ledger.record(VPC, new Map([['1.0.0', published({ state: 'unpublished' })]]))
  t.same(writes(), [])
  t.equal(ledger.published(VPC).get('1.0.0')?.removedBy, 'alice')
})

t.test('a patch that somebody overtook is made again on what is there now', async (t) => {
  const { api, ledger, results } = await house(
    t,
    ({ method }, count) => {
      if (method === 'GET') return { body: kept(published({ commit: 'c'.repeat(40) }), '30') }
      return count === 1 ? conflict : { body: kept(published({ commit: 'c'.repeat(40), by: 'alice' }), '31') }
    },
    [kept(published(), '9')],
  )
  await ledger.record(VPC, new Map([['1.0.0', BY_ALICE]]))
  t.same(results, ['conflict', 'updated'])
  const patches = api.calls.filter(({ method }) => method === 'PATCH').map(({ body }) => body)
  t.same(patches, [
    { metadata: { resourceVersion: '9' }, spec: { by: 'alice' } },
    { metadata: { resourceVersion: '30' }, spec: { by: 'alice' } },
  ])
  t.equal(ledger.published(VPC).get('1.0.0')?.commit, 'c'.repeat(40))
})

t.test('an entry that has everything is not written', async (t) => {
  const { ledger, results, writes } = await house(t, () => unavailable, [kept(BY_ALICE, '9')])
  await ledger.record(VPC, new Map([['1.0.0', BY_ALICE]]))
  t.same(results, ['unchanged'])
  t.same(writes(), [])
})

t.test('a cluster that cannot keep it is asked until it can; after half a minute it is said', async (t) => {
  let isFull = true
  const { ledger, results, clock, speak } = await house(t, () =>
    isFull ? unavailable : { status: 201, body: kept() },
  )
  const recorded = ledger.record(VPC, new Map([['1.0.0', BY_ALICE]]))
  await eventually(() => (results.length > 0 ? true : undefined), 'it has tried')
  t.equal(ledger.backlog, 1)
  t.same([...ledger.published(VPC)], [['1.0.0', BY_ALICE]], 'it is in memory')
  clock.ms = 29_000
  t.equal(ledger.missing(), undefined)
  clock.ms = 31_000
  await speak()
  const late = () => (ledger.missing()?.startsWith('ledger: ') === true ? ledger.missing() : undefined)
  t.match(
    await eventually(late, 'it is said'),
    /^ledger: 1 entries could not be written for 31 s: .* answers 503: etcdserver: mvcc: database space exceeded$/,
  )
  isFull = false
  await recorded
  t.equal(results.at(-1), 'created')
  t.equal(ledger.missing(), undefined)
  t.equal(ledger.backlog, 0)
})

t.test('what the schema refuses is given up, and told', async (t) => {
  const { ledger, results, told } = await house(t, () => ({
    status: 422,
    body: { message: 'spec.by: Too long' },
  }))
  await ledger.record(VPC, new Map([['1.0.0', BY_ALICE]]))
  t.same(results, ['refused'])
  t.match(told, [{ name: NAME, why: /spec\.by: Too long$/ }])
  t.equal(ledger.backlog, 0)
})

t.test('what was refused is tried again, told once, and counted no longer once it is kept', async (t) => {
  let isMended = false
  const { ledger, results, told } = await house(t, () =>
    isMended ? { status: 201, body: kept() } : { status: 422, body: { message: 'spec.by: Too long' } },
  )
  await ledger.record(VPC, new Map([['1.0.0', BY_ALICE]]))
  await ledger.tryRefusedAgain()
  t.same(results, ['refused', 'refused'])
  t.equal(told.length, 1)
  t.equal(ledger.refused, 1)
  isMended = true
  await ledger.tryRefusedAgain()
  t.same(results, ['refused', 'refused', 'created'])
  t.equal(ledger.refused, 0)
  await ledger.tryRefusedAgain()
  t.equal(results.length, 3, 'nothing is left to try')
})

t.test('an object under a name that is not its own counts for nothing', async (t) => {
  const forged = { ...kept(), metadata: { name: `pv-${'0'.repeat(48)}`, resourceVersion: '5' } }
  const { ledger, told } = await house(t, () => unavailable, [forged])
  t.same([...ledger.published(VPC)], [])
  t.match(told, [{ why: new RegExp(`^it is called pv-0+ and must be called ${NAME}$`) }])
})

t.test('one that is there and cannot be read is tried again without haste', async (t) => {
  const { ledger, results, writes } = await house(t, ({ method }) =>
    method === 'POST' ? conflict : { body: { metadata: { name: NAME, resourceVersion: '5' }, spec: {} } },
  )
  void ledger.record(VPC, new Map([['1.0.0', BY_ALICE]]))
  await eventually(() => (results.length >= 2 ? true : undefined), 'it has tried twice')
  t.same(results.slice(0, 2), ['failed', 'failed'])
  t.ok(writes().length <= 4)
})

t.test('many are written a few at a time, and each once', async (t) => {
  // Nothing is answered before as many wait as may wait (or the last has come), however slow this machine is.
  const waiting: (() => void)[] = []
  let [came, most] = [0, 0]
  const { ledger, writes } = await house(t, ({ body }) => ({
    stream: (response) => {
      const version = String(Object(body['spec']).version)
      waiting.push(() => response.writeHead(201).end(JSON.stringify(kept(BY_ALICE, '20', version))))
      came += 1
      most = Math.max(most, waiting.length)
      if (waiting.length === 16 || came === 100) {
        setTimeout(() => waiting.splice(0).forEach((answer) => answer()), 20)
      }
    },
  }))
  const plains = Array.from({ length: 100 }, (_, index) => `1.${index}.0`)
  await ledger.record(VPC, new Map(plains.map((plain) => [plain, BY_ALICE])))
  t.equal(most, 16)
  t.equal(writes().length, 100)
  t.equal(ledger.held('infra'), 100)
  t.equal(ledger.held(), 100)
})
