import { Registry } from 'prom-client'
import t from 'tap'
import type { Test } from 'tap'
import { NO_FACTS } from '../../src/core/module/ledger.ts'
import type { ScannedObject } from '../../src/core/module/scan_object.ts'
import type { KubeConnection, KubeRequest } from '../../src/platform/kube/kube_connection.ts'
import { startBackgroundScan } from '../../webhook/scan/background_scan.ts'
import type { BackgroundScan, ReportWriter, ScanPort } from '../../webhook/scan/background_scan.ts'
import { kubeReports } from '../../webhook/scan/kube_reports.ts'
import { scanObject } from '../../src/core/module/scan_object.ts'
import type { ProviderObject } from '../../src/core/module/module_object.ts'
import { aProvider } from '../support/a_provider.ts'
import { aModule } from '../support/module_changes.ts'
import type { ModuleEdit } from '../support/module_changes.ts'

type World = {
  readonly scan: BackgroundScan
  readonly registry: Registry
  readonly reported: ReadonlyMap<string, readonly ScannedObject[]>[]
  missing: readonly string[]
  modules: readonly ModuleEdit[]
  providers: readonly ProviderObject[]
}

function startScan(t: Test, options: { readonly intervalSeconds?: number } = {}): World {
  const registry = new Registry()
  const reported: ReadonlyMap<string, readonly ScannedObject[]>[] = []
  const cluster: ScanPort = {
    missing: () => world.missing,
    modules: () => world.modules.map((edit) => ({ body: aModule(edit), resourceVersion: '1' })),
    providers: () => world.providers.map((body) => ({ body, resourceVersion: '1' })),
    policies: () => [],
    factsOf: () => NO_FACTS,
    digestOf: () => undefined,
  }
  const reports: ReportWriter = { write: async (scanned) => void reported.push(scanned) }
  const quiet = { info: () => {}, warn: () => {}, error: () => {} }
  const scan = startBackgroundScan({
    cluster,
    reports,
    registry,
    log: quiet,
    clock: () => 1_795_262_400_000,
    intervalSeconds: options.intervalSeconds ?? 3600,
  })
  t.teardown(() => scan.close())
  const world: World = { scan, registry, reported, missing: [], modules: [{}], providers: [] }
  return world
}

const BAD = { name: 'b-bad', versions: ['1.0.0', 'main'] }

t.test('violations are counted by rule and namespace, and gone when they are mended', async (t) => {
  const world = startScan(t)
  world.modules = [{}, BAD]
  t.equal(await world.scan.run(), true)
  const metric = 'sallyport_webhook_policy_violations{rule="WH-V7",namespace="infra"} 1'
  t.match(await world.registry.metrics(), metric)
  t.match(await world.registry.metrics(), 'sallyport_webhook_scan_last_timestamp_seconds 1795262400')
  world.modules = [{}]
  await world.scan.run()
  t.notMatch(await world.registry.metrics(), 'WH-V7')
})

t.test('Providers are counted and reported beside Modules', async (t) => {
  const world = startScan(t)
  world.providers = [aProvider({ versions: ['5.0.0', 'main'] })]
  await world.scan.run()
  t.match(await world.registry.metrics(), 'policy_violations{rule="WH-V7",namespace="infra"} 1')
  t.match(world.reported[0]?.get('infra'), [
    { object: { kind: 'Module' }, findings: [] },
    { object: { kind: 'Provider' }, findings: [{ rule: 'WH-V7' }] },
  ])
})

t.test('findings are reported namespace by namespace', async (t) => {
  const world = startScan(t)
  world.modules = [{}, { name: 'elsewhere', metadata: { namespace: 'other', name: 'elsewhere' } }]
  await world.scan.run()
  t.strictSame([...(world.reported[0]?.keys() ?? [])], ['infra', 'other'])
})

t.test('a cluster that is not in sync is not judged', async (t) => {
  const world = startScan(t)
  world.missing = ['modules: not listed yet']
  t.equal(await world.scan.run(), false)
  t.equal(world.reported.length, 0)
  world.missing = []
  t.equal(await world.scan.run(), true)
})

t.test('it comes by itself, again and again', async (t) => {
  const world = startScan(t, { intervalSeconds: 0.02 })
  const began = performance.now()
  while (world.reported.length < 3 && performance.now() - began < 5000)
    await new Promise((next) => setTimeout(next, 10))
  t.ok(world.reported.length >= 3)
})

type Asked = Pick<KubeRequest, 'method' | 'path'>

/** Answers as an apiserver that has these reports. */
function fakeReports(namespaces: readonly string[], status?: number) {
  const asked: Asked[] = []
  const place = { kubeconfig: '', context: '', server: '' }
  const connection: KubeConnection = {
    place,
    async request({ method, path }) {
      asked.push({ method, path })
      if (status !== undefined)
        return { ok: false, denial: { kind: 'status', status, message: `answers ${status}` } }
      const items = namespaces.map((namespace) => ({ metadata: { namespace } }))
      return { ok: true, value: method === 'GET' ? { items, metadata: {} } : {} }
    },
    stream: () => Promise.reject(new Error('not asked')),
    close: () => {},
  }
  return { asked, connection }
}

const known = { policies: [], factsOf: () => NO_FACTS, digestOf: () => undefined, atSeconds: 0 }
const scanned = new Map([['infra', [scanObject(aModule(), known)]]])

t.test('a report is written once, and again when it is gone', async (t) => {
  const { asked, connection } = fakeReports([])
  const reports = kubeReports(connection, { info: () => {}, warn: () => {} })
  await reports.write(scanned)
  await reports.write(scanned)
  t.equal(asked.filter(({ method }) => method === 'PATCH').length, 2, 'nobody lists it, so it is not there')
  const there = fakeReports(['infra'])
  const steady = kubeReports(there.connection, { info: () => {}, warn: () => {} })
  await steady.write(scanned)
  await steady.write(scanned)
  t.equal(there.asked.filter(({ method }) => method === 'PATCH').length, 1)
})

t.test('the report of a namespace without Modules is removed', async (t) => {
  const { asked, connection } = fakeReports(['infra', 'empty'])
  await kubeReports(connection, { info: () => {}, warn: () => {} }).write(scanned)
  t.match(
    asked.filter(({ method }) => method === 'DELETE'),
    [{ path: /namespaces\/empty\/policyreports\/sallyport-modules$/ }],
  )
})

t.test('a cluster without PolicyReports is told once', async (t) => {
  const { connection } = fakeReports([], 404)
  const told: unknown[] = []
  const reports = kubeReports(connection, {
    info: () => {},
    warn: (fields: unknown) => void told.push(fields),
  })
  await reports.write(scanned)
  await reports.write(scanned)
  t.match(told, [{ why: /knows no PolicyReport.*scan\.reports/ }])
  t.equal(told.length, 1)
})
