// The ledger on a real kube-apiserver: fed by what people commit with kubectl, by two replicas at once, lost and made anew.
import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import type { Test } from 'tap'
import type { KubeUser } from '../../src/core/kube/kube_user.ts'
import { readLedgerLines } from '../../src/core/module/ledger_lines.ts'
import type { PublishedFacts } from '../../src/core/module/ledger.ts'
import { readModule } from '../../src/core/module/module_object.ts'
import type { ModuleObject } from '../../src/core/module/module_object.ts'
import { openKubeConnection } from '../../src/platform/kube/kube_connection.ts'
import type { KubeConnection } from '../../src/platform/kube/kube_connection.ts'
import { KubeLedger } from '../../src/platform/ledger/kube_ledger.ts'
import { createLog } from '../../src/platform/log.ts'
import { openCluster } from '../../webhook/cluster/cluster.ts'
import type { Cluster } from '../../webhook/cluster/cluster.ts'
import type { JudgedRequest } from '../../webhook/judge/cluster_port.ts'
import { kubeBinaries } from '../support/kube_binaries.ts'
import { kubeClusterFor } from '../support/kube_cluster.ts'
import type { KubeCluster } from '../support/kube_cluster.ts'
import { describeLedger } from '../conformance/ledger.ts'
import { runCli } from '../support/cli.ts'
import type { CliRun } from '../support/cli.ts'
import { applyDefinitions, eventually, must } from '../support/kube_modules.ts'
import { aModule, alice, moduleJson, pipeline } from '../support/module_changes.ts'
import type { ModuleEdit } from '../support/module_changes.ts'
import { peerOrSkip } from '../support/peers.ts'

t.setTimeout(300_000)
const { skip } = await peerOrSkip(() => kubeBinaries())

const WORLD = { env: { PATH: process.env['PATH'] ?? '' } }
const VPC = { kind: 'Module', namespace: 'infra', name: 'terraform-aws-vpc' } as const

const log = createLog({ level: 'error', format: 'text' })

async function connectionTo(t: Test, kube: KubeCluster): Promise<KubeConnection> {
  const { adminKubeconfig: kubeconfig } = kube
  const connection = await openKubeConnection({ kubeconfig, context: undefined, env: process.env })
  if (!connection.ok) throw new Error(connection.denial.message)
  t.teardown(() => connection.value.close())
  return connection.value
}

async function replica(t: Test, kube: KubeCluster): Promise<Cluster> {
  const cluster = await openCluster({ connection: await connectionTo(t, kube), log, clock: Date.now })
  t.teardown(() => cluster.close())
  return cluster
}

async function synced(cluster: Cluster): Promise<void> {
  await eventually(() => (cluster.missing().length === 0 ? true : undefined), 'in sync')
}

async function world(t: Test, options: { controllerManager?: boolean } = {}): Promise<KubeCluster> {
  const kube = await kubeClusterFor(t, options)
  await applyDefinitions(kube)
  await must(kube, ['create', 'namespace', 'infra'])
  return kube
}

const apply = (kube: KubeCluster, edit: ModuleEdit) =>
  must(kube, ['apply', '-f', '-'], JSON.stringify({ ...moduleJson(edit), metadata: metadataOf(edit) }))

function metadataOf({ labels, annotations, name = 'terraform-aws-vpc' }: ModuleEdit) {
  return { name, namespace: 'infra', labels, annotations }
}

function seen(cluster: Cluster, plain: string, state: string): Promise<PublishedFacts> {
  return eventually(() => {
    const facts = cluster.ledger.published(VPC).get(plain)
    return facts?.state === state ? facts : undefined
  }, `${plain} is ${state}`)
}

/** What the cluster keeps: `terraform-aws-vpc 1.0.0 present`. */
async function kept(kube: KubeCluster): Promise<readonly string[]> {
  const path = '{range .items[*]}{.spec.module.name} {.spec.version} {.spec.state}{"\\n"}{end}'
  const { stdout } = await must(kube, ['get', 'publishedversions', '-o', `jsonpath=${path}`])
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .sort()
}

/** Both replicas have written what they saw. */
async function settled(kube: KubeCluster, lines: readonly string[]): Promise<void> {
  await eventually(
    async () => (isDeepStrictEqual(await kept(kube), lines) ? true : undefined),
    lines.join(', '),
  )
}

async function ledgerOf(kube: KubeCluster, ...argv: readonly string[]): Promise<CliRun> {
  // The cluster's own time: a Version says when it was made.
  return runCli(['ledger', ...argv, '--kubeconfig', kube.adminKubeconfig], { ...WORLD, now: Date.now() })
}

async function specs(kube: KubeCluster): Promise<readonly unknown[]> {
  const { stdout } = await must(kube, ['get', 'publishedversions', '-o', 'json'])
  const { items } = Object(JSON.parse(stdout))
  return items.map((item: unknown) => Object(item).spec)
}

async function stored(kube: KubeCluster): Promise<{ module: ModuleObject; resourceVersion: string }> {
  const { stdout } = await must(kube, ['get', 'module', VPC.name, '-n', VPC.namespace, '-o', 'json'])
  const object: unknown = JSON.parse(stdout)
  const read = readModule(object)
  if (!read.ok) throw new Error(read.denial)
  return { module: read.value, resourceVersion: Object(object).metadata.resourceVersion }
}

const API = 'opendepot.defdev.io/v1alpha1'

function versionJson(version: string): unknown {
  const name = `terraform-aws-vpc-${version.replaceAll('.', '-')}`
  const spec = { type: 'Module', version, moduleConfigRef: { name: 'terraform-aws-vpc' } }
  return { apiVersion: API, kind: 'Version', metadata: { name, namespace: 'infra' }, spec }
}

function providerJson(name: string, versions: readonly string[]): unknown {
  const spec = {
    providerConfig: { name, operatingSystems: ['linux'], architectures: ['amd64'] },
    versions: versions.map((version) => ({ version })),
  }
  return { apiVersion: API, kind: 'Provider', metadata: { name, namespace: 'infra' }, spec }
}

/** As the replica that judged the request remembers it: what kubectl is about to do to the Module as it is stored. */
async function judged(
  kube: KubeCluster,
  next: ModuleEdit | undefined,
  user: KubeUser,
): Promise<JudgedRequest> {
  const old = await stored(kube)
  const { resourceVersion } = old
  const after = next === undefined ? undefined : aModule(next)
  const operation = after === undefined ? 'DELETE' : 'UPDATE'
  const about = { resource: 'modules', subResource: '', namespace: VPC.namespace, name: VPC.name } as const
  return {
    subject: { ...about, operation, old: old.module, new: after, dryRun: false },
    user,
    oldResourceVersion: resourceVersion,
    objectUid: old.module.meta.uid,
    atSeconds: Math.floor(Date.now() / 1000),
  }
}

t.test('the ledger in a cluster does what every ledger does', { skip }, async (t) => {
  const kube = await world(t)
  const open = async (tt: Test): Promise<KubeLedger> => {
    const ledger = new KubeLedger({
      connection: await connectionTo(tt, kube),
      log,
      now: () => performance.now(),
      random: Math.random,
      staleAfterMs: 30_000,
    })
    tt.teardown(() => ledger.close())
    ledger.start()
    await eventually(() => (ledger.isListed ? true : undefined), 'it is listed')
    return ledger
  }
  describeLedger(t, { open })
})

t.test('what people commit with kubectl is in the ledger, by whom and why', { skip }, async (t) => {
  const kube = await world(t)
  // Two replicas; only the first one judged anything.
  const [cluster, other] = [await replica(t, kube), await replica(t, kube)]
  await Promise.all([synced(cluster), synced(other)])

  await t.test('a Module that nobody judged has entries without an author', async (t) => {
    await apply(kube, { versions: ['1.0.0', 'v1.1.0'] })
    const facts = await seen(cluster, '1.1.0', 'present')
    t.match(facts, { immutable: true, source: 'github.com/acme/terraform-aws-vpc', by: undefined })
    t.ok(Math.abs((facts.atSeconds ?? 0) - Date.now() / 1000) < 30)
    await eventually(async () => ((await kept(kube)).length === 2 ? true : undefined), 'two entries')
  })

  await t.test('a pipeline that one replica judged is named by both', async (t) => {
    const next = { versions: ['1.0.0', 'v1.1.0', '1.2.0'] }
    cluster.remember(await judged(kube, next, pipeline()))
    await apply(kube, next)
    const by = 'ci:repo:acme/terraform-aws-vpc'
    const known = await eventually(() => {
      const facts = other.ledger.published(VPC).get('1.2.0')
      return facts?.by === undefined ? undefined : facts
    }, 'the other one knows who')
    t.match(known, { by, sourceId: '4711', commit: '9f2c1d7e5b0a4c6f8e3d2b1a0c9f8e7d6c5b4a39' })
    t.same(await seen(cluster, '1.2.0', 'present'), known)
    t.same(cluster.factsOf((await judged(kube, next, pipeline())).subject).firstPublisher, {
      source: 'github.com/acme/terraform-aws-vpc',
      sourceId: '4711',
    })
  })

  await t.test('the digest of what is served comes from the Version, as hexadecimal digits', async (t) => {
    await must(kube, ['apply', '-f', '-'], JSON.stringify(versionJson('1.2.0')))
    const checksum = Buffer.from('ab'.repeat(32), 'hex').toString('base64')
    const status = { synced: true, syncStatus: 'Successfully synced version', checksum }
    const patch = [
      'patch',
      'version',
      'terraform-aws-vpc-1-2-0',
      '-n',
      'infra',
      '--subresource=status',
      '--type=merge',
    ]
    await must(kube, [...patch, '-p', JSON.stringify({ status })])
    const facts = await eventually(() => {
      const now = cluster.ledger.published(VPC).get('1.2.0')
      return now?.digest === undefined ? undefined : now
    }, 'the digest is known')
    t.equal(facts.digest, `sha256:${'ab'.repeat(32)}`)
    t.equal(facts.by, 'ci:repo:acme/terraform-aws-vpc')
  })

  await t.test('an entry with author, commit and digest takes some 1 kB', async (t) => {
    const whole = ['get', 'publishedversions', '--show-managed-fields', '-o', 'json']
    const entry = await eventually(async () => {
      const { items } = Object(JSON.parse((await must(kube, whole)).stdout))
      return items.find((item: unknown) => Object(item).spec.digest !== undefined)
    }, 'the entry that has them all')
    t.match(entry.spec, { by: String, commit: String, digest: String, source: String })
    // etcd has custom resources as this text.
    const bytes = Buffer.byteLength(JSON.stringify(entry))
    t.ok(bytes > 800 && bytes < 1250, `${bytes} bytes`)
  })

  await t.test('what is unpublished says who and why, and comes back without', async (t) => {
    const next = {
      versions: ['1.0.0', '1.2.0'],
      annotations: { 'sallyport.dev/unpublish': '1.1.0: leaked a key' },
    }
    cluster.remember(await judged(kube, next, alice))
    await apply(kube, next)
    t.match(await seen(cluster, '1.1.0', 'unpublished'), {
      removedBy: 'alice',
      reason: 'leaked a key',
      immutable: true,
    })
    t.match(await seen(other, '1.1.0', 'unpublished'), { immutable: true })
    await eventually(() => other.ledger.published(VPC).get('1.1.0')?.reason, 'the other one knows why')
    await apply(kube, { versions: ['1.0.0', '1.1.0', '1.2.0'] })
    const back = await seen(other, '1.1.0', 'present')
    t.same([back.removedBy, back.reason], [undefined, undefined])
  })

  await t.test('a Provider of the same name has entries of its own', async (t) => {
    await must(
      kube,
      ['apply', '-f', '-'],
      JSON.stringify(providerJson('terraform-aws-vpc', ['1.2.0', '1.2.0', '2.0.0'])),
    )
    const key = { ...VPC, kind: 'Provider' } as const
    await eventually(() => (cluster.ledger.published(key).size === 2 ? true : undefined), 'two versions')
    t.equal(cluster.ledger.published(key).get('1.2.0')?.immutable, false)
    t.equal(cluster.ledger.published(VPC).get('1.2.0')?.immutable, true)
    await must(kube, ['delete', 'provider', 'terraform-aws-vpc', '-n', 'infra'])
    await eventually(
      () => cluster.ledger.published(key).get('2.0.0')?.state === 'unpublished' || undefined,
      'it is gone',
    )
  })

  await t.test('the command line says it', async (t) => {
    await settled(kube, [
      'terraform-aws-vpc 1.0.0 present',
      'terraform-aws-vpc 1.1.0 present',
      'terraform-aws-vpc 1.2.0 present',
      'terraform-aws-vpc 1.2.0 unpublished',
      'terraform-aws-vpc 2.0.0 unpublished',
    ])
    const shown = await ledgerOf(kube, 'show', 'infra/terraform-aws-vpc')
    t.match(
      shown.stdout,
      /^1\.2\.0 {2}present {2}immutable {2}\S+Z {2}by ci:repo:acme\/terraform-aws-vpc {2}commit 9f2c/,
    )
    const exported = readLedgerLines((await ledgerOf(kube, 'export')).stdout)
    t.ok(exported.ok)
    t.equal(exported.ok && exported.value.length, 5)
    t.match(await ledgerOf(kube, 'rebuild'), {
      code: 0,
      stdout: 'the ledger has everything that is stored\n',
      stderr: '',
    })
    t.match(await ledgerOf(kube, 'show', 'infra'), { code: 1, stderr: '"infra" is no NAMESPACE/NAME' })
    t.match(await ledgerOf(kube, 'show', 'infra/eks'), {
      code: 1,
      stderr: 'nothing was ever published by the Module infra/eks',
    })
  })

  await t.test('entries that somebody deletes are written again, with all they said', async (t) => {
    const before = await specs(kube)
    await must(kube, ['delete', 'publishedversions', '--all'])
    await eventually(
      async () => ((await specs(kube)).length === before.length ? true : undefined),
      'all are back',
    )
    t.same(await specs(kube), before)
  })

  await t.test('a deleted Module leaves its entries', async (t) => {
    cluster.remember(await judged(kube, undefined, alice))
    await must(kube, ['delete', 'module', VPC.name, '-n', 'infra'])
    t.match(await seen(cluster, '1.2.0', 'unpublished'), {
      removedBy: 'alice',
      by: 'ci:repo:acme/terraform-aws-vpc',
    })
  })

  await t.test('what versionHistoryLimit trims is pruned, and what somebody removes is not', async (t) => {
    const name = 'limited'
    const limited = (versions: readonly string[]): ModuleEdit => ({
      name,
      versions,
      config: { immutable: undefined, versionHistoryLimit: 2 },
    })
    await apply(kube, limited(['1.0.0', '1.1.0', '1.2.0']))
    const lines = async () => (await kept(kube)).filter((line) => line.startsWith(name))
    await eventually(async () => ((await lines()).length === 3 ? true : undefined), 'all are published')
    await apply(kube, limited(['1.1.0', '1.2.0']))
    await eventually(
      async () => ((await lines()).includes(`${name} 1.0.0 pruned`) ? true : undefined),
      'the oldest is pruned',
    )
    await apply(kube, limited(['1.1.0']))
    await eventually(
      async () => ((await lines()).includes(`${name} 1.2.0 unpublished`) ? true : undefined),
      'the newest is unpublished',
    )
    t.same(await lines(), [`${name} 1.0.0 pruned`, `${name} 1.1.0 present`, `${name} 1.2.0 unpublished`])
    const facts = cluster.ledger.published({ ...VPC, name }).get('1.0.0')
    t.match(facts, { state: 'pruned', immutable: false })
  })
})

t.test(
  'a ledger that is lost with everything but the cluster is made anew, and says what it does not know',
  { skip },
  async (t) => {
    const kube = await world(t)
    const first = await replica(t, kube)
    await synced(first)
    await apply(kube, { versions: ['1.0.0', '1.1.0'] })
    await apply(kube, { versions: ['1.1.0'] })
    await seen(first, '1.0.0', 'unpublished')
    await eventually(async () => ((await kept(kube)).length === 2 ? true : undefined), 'two entries')
    await first.close()
    await must(kube, ['delete', 'publishedversions', '--all'])

    const dry = await ledgerOf(kube, 'rebuild')
    t.equal(dry.code, 0)
    t.match(dry.stdout, /^Module infra\/terraform-aws-vpc\n {2}1\.1\.0 {2}present {2}immutable\n/)
    t.match(dry.stdout, 'not in the ledger: 1 of 1 objects; changed since: 0; gone without a trace: 0')
    t.match(dry.stdout, 'not brought back: who published them and when')
    t.match(dry.stdout, 'nothing was written: --write does')
    t.same(await kept(kube), [])

    // Not in sync before what is there is kept: what is removed right after the start was there.
    const second = await replica(t, kube)
    await synced(second)
    t.same(await kept(kube), ['terraform-aws-vpc 1.1.0 present'])
    await apply(kube, { versions: ['1.2.0'] })
    t.match(await seen(second, '1.1.0', 'unpublished'), { immutable: true, by: undefined })
    await settled(kube, ['terraform-aws-vpc 1.1.0 unpublished', 'terraform-aws-vpc 1.2.0 present'])
    const third = await replica(t, kube)
    await synced(third)
    t.equal(third.ledger.published(VPC).get('1.1.0')?.state, 'unpublished')

    await Promise.all([second.close(), third.close()])
    await must(kube, ['delete', 'publishedversions', '--all'])
    const written = await ledgerOf(kube, 'rebuild', '--write')
    t.match(written, { code: 0, stdout: /written\n$/ })
    t.same(await kept(kube), ['terraform-aws-vpc 1.2.0 present'])

    // Left behind by what took 1.1.0 off the list.
    await must(kube, ['apply', '-f', '-'], JSON.stringify(versionJson('1.1.0')))
    const once = await eventually(async () => {
      const { stdout } = await ledgerOf(kube, 'rebuild', '--write')
      return stdout.includes('1.1.0') ? stdout : undefined
    }, 'it is older than the look')
    t.match(once, /^ {2}1\.1\.0 {2}unpublished {2}immutable$/m)
    t.same(await kept(kube), ['terraform-aws-vpc 1.1.0 unpublished', 'terraform-aws-vpc 1.2.0 present'])
  },
)

t.test('a definition that goes makes nothing gone that nobody saw go', { skip }, async (t) => {
  const kube = await world(t)
  const first = await replica(t, kube)
  await synced(first)
  await apply(kube, { versions: ['1.0.0'] })
  await settled(kube, ['terraform-aws-vpc 1.0.0 present'])
  await first.close()
  await must(kube, ['delete', 'crd', 'modules.opendepot.defdev.io'])

  await t.test('a replica that starts without it goes by what it remembers', async () => {
    const second = await replica(t, kube)
    await synced(second)
    t.same(await kept(kube), ['terraform-aws-vpc 1.0.0 present'])
    await second.close()
  })

  await t.test('a replica that has served it is not in sync until it is back', async (t) => {
    await applyDefinitions(kube)
    const third = await replica(t, kube)
    await synced(third)
    await must(kube, ['delete', 'crd', 'modules.opendepot.defdev.io'])
    const why = await eventually(
      () => third.missing().find((text) => text.includes('does not know')),
      'it says so',
    )
    t.match(why, /^modules: catching up: the server does not know it any more: .*answers 404/)
    await applyDefinitions(kube)
    await synced(third)
    await apply(kube, { versions: ['1.0.0', '2.0.0'] })
    await seen(third, '2.0.0', 'present')
  })
})

t.test('a namespace that is deleted leaves its entries', { skip }, async (t) => {
  const kube = await world(t, { controllerManager: true })
  const cluster = await replica(t, kube)
  await synced(cluster)
  await apply(kube, { versions: ['1.0.0'] })
  await seen(cluster, '1.0.0', 'present')
  const inNamespace = {
    resource: 'namespaces',
    subResource: '',
    namespace: '',
    name: 'infra',
    old: undefined,
    new: undefined,
  } as const
  const facts = () => cluster.factsOf({ ...inNamespace, operation: 'DELETE', dryRun: false })
  t.equal(facts().publishedInNamespace, 1)
  await must(kube, ['delete', 'namespace', 'infra', '--wait=false'])
  await seen(cluster, '1.0.0', 'unpublished')
  t.equal(facts().publishedInNamespace, 0)
  await must(kube, ['wait', '--for=delete', 'namespace/infra', '--timeout=30s'])
  await settled(kube, ['terraform-aws-vpc 1.0.0 unpublished'])
})
