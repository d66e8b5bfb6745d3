// A real kube-apiserver whose jobs have tokens of our broker, and four namespaces that differ in who is asked about a Module in
// them: nobody, an empty Node webhook, Sallyport's, and ValidatingAdmissionPolicies.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { admissionPolicies } from '../../../src/core/module/generate/admission_policies.ts'
import { readModulePolicy } from '../../../src/core/module/read_module_policy.ts'
import { REVIEW_PATH } from '../../../src/core/module/review_path.ts'
import { startKubeBroker } from '../../support/kube_broker.ts'
import type { KubeBroker } from '../../support/kube_broker.ts'
import { startKubeCluster } from '../../support/kube_cluster.ts'
import type { KubeCluster } from '../../support/kube_cluster.ts'
import { makeClusterAuthority } from '../../support/kube_pki.ts'
import { must } from '../../support/kube_modules.ts'
import { startKubeWebhook, WEBHOOK_USER } from '../../support/kube_webhook.ts'
import type { KubeWebhook } from '../../support/kube_webhook.ts'
import { gitlabClaims } from '../../support/test_broker.ts'
import { leaveCore } from '../cores.ts'
import { benchModule, benchPolicy, NAMESPACES, repositoryPath } from './modules.ts'
import type { Door } from './modules.ts'

export type WebhookWorld = {
  readonly cluster: KubeCluster
  readonly webhook: KubeWebhook
  /** Where the empty webhook takes reviews. */
  readonly emptyUrl: string
  /** Host of the repositories. */
  readonly forge: string
  /** A token of the pipeline of a Module's repository, for the tag of a version. */
  tokenOf(module: number, version: string): Promise<string>
  /** Creates Modules `from` up to `to` in a namespace. */
  fill(door: Door, from: number, to: number, versions: number): Promise<void>
  /** Resolves when the ledger has written what was published: else it writes while something is measured. */
  recorded(): Promise<void>
  stop(): Promise<void>
}

const DOORS = Object.entries(NAMESPACES)

/** A collection of kube-apiserver costs whoever comes then 20 to 50 ms, at any door: what a door costs would drown in it. */
const WITHOUT_COLLECTOR = { GOGC: 'off', GOMEMLIMIT: '6GiB', GOMAXPROCS: '2' }

/** @param core the webhook gets this core alone: the cluster and whoever asks stay off it; absent: as it comes */
export async function createWebhookWorld(core?: number): Promise<WebhookWorld> {
  const cleanups: (() => unknown)[] = []
  const stop = async (): Promise<void> => {
    for (const clean of cleanups.splice(0).reverse()) await clean()
  }
  try {
    if (core !== undefined) cleanups.push(leaveCore(core))
    const broker = await startKubeBroker(
      { teardown: (fn) => void cleanups.push(fn) },
      { change: letEveryRepositoryIn },
    )
    const cluster = await startKubeCluster({
      authenticationConfig: await broker.generatedConfig(),
      env: WITHOUT_COLLECTOR,
    })
    cleanups.push(() => cluster.stop())
    const policy = JSON.stringify(benchPolicy('bench', [NAMESPACES.sallyport]))
    const webhook = await startKubeWebhook({
      cluster,
      policies: [policy],
      // As in a cluster, and over HTTP/1.1 as the empty one.
      reference: 'service',
      ...(core === undefined ? {} : { core }),
    })
    cleanups.push(() => webhook.stop())
    for (const [, name] of DOORS) await must(cluster, ['create', 'namespace', name])
    await must(cluster, ['apply', '-f', '-'], PUBLISHERS)
    await onlyIn(cluster, NAMESPACES.sallyport)
    const emptyUrl = await registerEmpty(cluster, cleanups)
    await registerPolicies(cluster)
    // An apiserver takes up registrations within a second or two.
    await sleep(3000)
    const forge = await forgeOf(broker)
    const recorded = (): Promise<void> => untilRecorded(webhook.replicas[0]?.opsUrl ?? '')
    return { cluster, webhook, emptyUrl, forge, recorded, stop, ...actsOf(cluster, broker, forge) }
  } catch (error) {
    await stop()
    throw error
  }
}

function actsOf(
  cluster: KubeCluster,
  broker: KubeBroker,
  forge: string,
): Pick<WebhookWorld, 'tokenOf' | 'fill'> {
  return {
    tokenOf: (module, version) => tokenOf(broker, module, version),
    async fill(door, from, to, versions) {
      const namespace = NAMESPACES[door]
      const path = `/apis/opendepot.defdev.io/v1alpha1/namespaces/${namespace}/modules`
      for (let index = from; index < to; index += 1) {
        const body = benchModule(door, forge, index, versions)
        const answer = await cluster.request(path, { method: 'POST', body })
        if (answer.status !== 201) throw new Error(`no Module: ${answer.body}`)
      }
    },
  }
}

function tokenOf(broker: KubeBroker, module: number, version: string): Promise<string> {
  const path = repositoryPath(module)
  return broker.tokenOf('gitlab', {
    ...gitlabClaims(broker.issuer),
    project_path: path,
    project_id: String(1000 + module),
    job_project_path: path,
    job_project_id: String(1000 + module),
    namespace_path: 'bench',
    ref: `v${version}`,
    ref_type: 'tag',
    ref_path: `refs/tags/v${version}`,
    sub: `project_path:${path}:ref_type:tag:ref:v${version}`,
  })
}

/** Nothing to write, and nothing more came for a second. */
async function untilRecorded(opsUrl: string): Promise<void> {
  const deadline = performance.now() + 300_000
  let before = ''
  for (;;) {
    const text = await (await fetch(`${opsUrl}/metrics`)).text()
    const entries = /^sallyport_webhook_ledger_entries (\d+)$/m.exec(text)?.[1] ?? ''
    if (/^sallyport_webhook_ledger_backlog 0$/m.test(text) && entries === before) return
    if (performance.now() > deadline) throw new Error('the ledger never was written')
    before = entries
    await sleep(1000)
  }
}

/** Where the broker says that repositories are: the address of its test issuer. */
async function forgeOf(broker: KubeBroker): Promise<string> {
  const [, payload = ''] = (await tokenOf(broker, 0, '0.0.1')).split('.')
  const { source } = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'))
  return String(source).replace(`/${repositoryPath(0)}`, '')
}

/** Not the one project of the tests: every project under bench/. */
function letEveryRepositoryIn(config: Record<string, unknown>): void {
  for (const policy of Array.isArray(config['policies']) ? config['policies'] : []) {
    policy.claims = { namespace_path: 'bench', project_path: { prefix: 'bench/' } }
  }
}

const PUBLISHERS = `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: bench-publisher}
rules:
  - {apiGroups: [opendepot.defdev.io], resources: [modules], verbs: [get, patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: bench-publisher}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: bench-publisher}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: 'system:authenticated'}]
`

/** The harness registers it for every namespace. */
async function onlyIn(cluster: KubeCluster, namespace: string): Promise<void> {
  const target = ['validatingwebhookconfiguration', 'sallyport-webhook']
  const { stdout } = await must(cluster, ['get', ...target, '-o', 'json'])
  const configuration = JSON.parse(stdout)
  for (const webhook of configuration.webhooks) webhook.namespaceSelector = selecting(namespace)
  await must(cluster, ['replace', '-f', '-'], JSON.stringify(configuration))
}

function selecting(namespace: string): object {
  return { matchLabels: { 'kubernetes.io/metadata.name': namespace } }
}

async function registerEmpty(cluster: KubeCluster, cleanups: (() => unknown)[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-empty-webhook-'))
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }))
  const authority = await makeClusterAuthority()
  const { certPem, keyPem } = await authority.server(['127.0.0.1'])
  const files = [join(folder, 'tls.crt'), join(folder, 'tls.key')] as const
  writeFileSync(files[0], certPem)
  writeFileSync(files[1], keyPem, { mode: 0o600 })
  const child = spawn(process.execPath, [join(import.meta.dirname, 'empty_webhook.ts'), ...files], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  cleanups.push(async () => {
    child.kill('SIGTERM')
    if (child.exitCode === null) await once(child, 'exit')
  })
  const [port] = await once(child.stdout, 'data')
  const url = `https://127.0.0.1:${String(port).trim()}${REVIEW_PATH}`
  const configuration = {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingWebhookConfiguration',
    metadata: { name: 'empty' },
    webhooks: [
      {
        name: 'empty.bench.example.com',
        admissionReviewVersions: ['v1'],
        sideEffects: 'None',
        timeoutSeconds: 5,
        namespaceSelector: selecting(NAMESPACES.empty),
        clientConfig: {
          url,
          caBundle: Buffer.from(authority.caPem).toString('base64'),
        },
        rules: [
          {
            apiGroups: ['opendepot.defdev.io'],
            apiVersions: ['*'],
            operations: ['CREATE', 'UPDATE', 'DELETE'],
            resources: ['modules'],
          },
        ],
      },
    ],
  }
  await must(cluster, ['create', '-f', '-'], JSON.stringify(configuration))
  return url
}

async function registerPolicies(cluster: KubeCluster): Promise<void> {
  const read = readModulePolicy(benchPolicy('bench-vap', [NAMESPACES.vap]))
  if (!read.ok) throw new Error(read.denial)
  const objects = admissionPolicies([read.value], { ledgerWriters: [WEBHOOK_USER], guard: undefined })
  const here = { matchResources: { namespaceSelector: selecting(NAMESPACES.vap) } }
  for (const object of objects) {
    if (object['kind'] === 'ValidatingAdmissionPolicyBinding') Object.assign(Object(object['spec']), here)
  }
  const list = { apiVersion: 'v1', kind: 'List', items: objects }
  await must(cluster, ['apply', '--server-side', '-f', '-'], JSON.stringify(list))
}
