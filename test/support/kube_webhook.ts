// The webhook as a cluster has it: `sallyport serve webhook` in processes of their own, with the rights that deploy/webhook gives it,
// registered at a real kube-apiserver and asked by it.
//
//   const webhook = await startKubeWebhook({ policies: [yaml] })
//   t.teardown(() => webhook.stop())
//   const { code, stderr } = await webhook.kubectl(['apply', '-f', '-'], { input: module })
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseAllDocuments, stringify } from 'yaml'
import { webhookConfiguration } from '../../src/core/module/generate/webhook_configuration.ts'
import type { WebhookConfigurationOptions } from '../../src/core/module/generate/webhook_configuration.ts'
import { REVIEW_PATH } from '../../src/core/module/review_path.ts'
import { freePorts, startChildServer } from './child_server.ts'
import type { ChildServer } from './child_server.ts'
import { startKubeCluster } from './kube_cluster.ts'
import type { KubeCluster, KubectlOptions, KubectlResult } from './kube_cluster.ts'
import { makeClusterAuthority } from './kube_pki.ts'
import { MAIN } from './served.ts'
import { startTcpBalancer } from './tcp_balancer.ts'
import type { TcpBalancer } from './tcp_balancer.ts'
import { mustPrint as must } from './kube_modules.ts'

/** What the webhook is to the cluster: its account in deploy/webhook. */
export const WEBHOOK_USER = 'system:serviceaccount:sallyport-system:sallyport-webhook'
const WEBHOOK_GROUPS = ['system:serviceaccounts', 'system:serviceaccounts:sallyport-system']
const SERVICE = { namespace: 'sallyport-system', service: 'sallyport-webhook' } as const
/** Where OpenDepot's chart runs. */
const MODULES_NAMESPACE = 'opendepot-system'
const RIGHTS = new Set(['ServiceAccount', 'ClusterRole', 'ClusterRoleBinding', 'Role', 'RoleBinding'])
const ROOT = join(import.meta.dirname, '..', '..')

export type StartKubeWebhookOptions = {
  /** One that runs already; it stays the caller's. */
  readonly cluster?: KubeCluster
  /** YAML of ModulePolicies that are there before the webhook is. */
  readonly policies?: readonly string[]
  readonly replicas?: 1 | 2
  /** How the configuration names the webhook; HTTP/2 by `url`, HTTP/1.1 by `service`. */
  readonly reference?: 'url' | 'service'
  readonly crds?: 'opendepot' | 'opendepot-atomic'
  /** Top-level keys of sallyport-webhook.yaml, over the harness's own. */
  readonly serverOptions?: Readonly<Record<string, unknown>>
  /** Starts each replica on this core alone, for the bench. */
  readonly core?: number
  /** Over what the harness registers. */
  readonly registration?: Partial<WebhookConfigurationOptions>
}

export type KubeWebhookReplica = {
  /** Where reviews are posted. */
  readonly url: string
  readonly opsUrl: string
  readonly pid: number
  /** stdout and stderr of all its runs. */
  log(): Promise<string>
  /** Of all its runs, oldest first. */
  auditEvents(): Promise<Readonly<Record<string, unknown>>[]>
  /** Resolves when it is gone. */
  kill(signal: NodeJS.Signals): Promise<void>
  /** On the same ports; resolves when it is ready. After `kill`, or in the place of what runs. */
  restart(): Promise<void>
}

export type KubeWebhook = {
  readonly cluster: KubeCluster
  readonly replicas: readonly KubeWebhookReplica[]
  /** PEM of what signed the webhook's certificate. */
  readonly caPem: string
  kubectl(args: readonly string[], options?: KubectlOptions): Promise<KubectlResult>
  /** Ends the replicas, and the cluster if it came with them. */
  stop(): Promise<void>
}

/** Resolves when every apiserver asks the webhook. Rejects with its log when it is not ready in time. */
export async function startKubeWebhook(options: StartKubeWebhookOptions = {}): Promise<KubeWebhook> {
  const cluster = options.cluster ?? (await startKubeCluster())
  const closers: (() => Promise<void>)[] = options.cluster === undefined ? [() => cluster.stop()] : []
  const stop = async (): Promise<void> => {
    for (const close of closers.splice(0).reverse()) await close()
  }
  try {
    await applyBase(cluster, options)
    const { replicas, address, caPem } = await startReplicas(cluster, options, closers)
    const target = await register(cluster, options, { address, caPem })
    await untilAsked(cluster, replicas)
    closers.push(async () => void (await cluster.kubectl(['delete', '--ignore-not-found', ...target])))
    return { cluster, replicas, caPem, kubectl: (args, more) => cluster.kubectl(args, more), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function applyBase(cluster: KubeCluster, options: StartKubeWebhookOptions): Promise<void> {
  const { crds = 'opendepot', policies = [] } = options
  await must(cluster, ['apply', '-k', join(ROOT, 'deploy', 'crds', crds)])
  await must(cluster, ['apply', '-k', join(ROOT, 'deploy', 'crds', 'sallyport')])
  await must(cluster, ['wait', '--for=condition=Established', 'crd', '--all', '--timeout=20s'])
  for (const name of [MODULES_NAMESPACE, SERVICE.namespace]) {
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }
    await must(cluster, ['apply', '-f', '-'], JSON.stringify(namespace))
  }
  const base = parseAllDocuments(await must(cluster, ['kustomize', join(ROOT, 'deploy', 'webhook', 'base')]))
  const rights = base.map((one) => Object(one.toJS())).filter(({ kind }) => RIGHTS.has(String(kind)))
  await must(cluster, ['apply', '-f', '-'], rights.map((one) => stringify(one)).join('---\n'))
  for (const policy of policies) await must(cluster, ['apply', '-f', '-'], policy)
}

type Started = {
  readonly replicas: readonly KubeWebhookReplica[]
  /** Port that the apiserver is sent to. */
  readonly address: number
  readonly caPem: string
}

async function startReplicas(
  cluster: KubeCluster,
  options: StartKubeWebhookOptions,
  closers: (() => Promise<void>)[],
): Promise<Started> {
  const { replicas: count = 1 } = options
  const folder = join(cluster.folder, `webhook-${Math.random().toString(36).slice(2, 8)}`)
  mkdirSync(folder)
  const authority = await makeClusterAuthority()
  const hosts = ['127.0.0.1', 'localhost', `${SERVICE.service}.${SERVICE.namespace}.svc`]
  const serving = await authority.server(hosts)
  writeFileSync(join(folder, 'tls.crt'), serving.certPem)
  writeFileSync(join(folder, 'tls.key'), serving.keyPem, { mode: 0o600 })
  writeFileSync(join(folder, 'kubeconfig'), await kubeconfigOf(cluster), { mode: 0o600 })
  const ports = await freePorts(count * 2)
  const names = Array.from({ length: count }, (_, index) => ({
    folder,
    index,
    port: ports[index * 2] ?? 0,
    opsPort: ports[index * 2 + 1] ?? 0,
    serverOptions: options.serverOptions ?? {},
    core: options.core,
  }))
  const replicas = await Promise.all(
    names.map(async (name) => {
      const replica = await startReplica(name)
      closers.push(() => replica.kill('SIGTERM'))
      return replica
    }),
  )
  const balancer = await balancerOf(names.map(({ port }) => port))
  if (balancer !== undefined) closers.push(() => balancer.close())
  return { replicas, address: balancer?.port ?? names[0]?.port ?? 0, caPem: authority.caPem }
}

function onCore(core: number | undefined): readonly string[] {
  return core === undefined ? [] : ['-c', String(core), process.execPath]
}

/** One replica is met as it is; several behind what kube-proxy is in a cluster. */
async function balancerOf(ports: readonly number[]): Promise<TcpBalancer | undefined> {
  return ports.length === 1 ? undefined : startTcpBalancer(ports)
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}

async function kubeconfigOf(cluster: KubeCluster): Promise<string> {
  const own = await cluster.clientCertificate(WEBHOOK_USER, WEBHOOK_GROUPS)
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: 'test',
        cluster: { server: cluster.url, 'certificate-authority-data': base64(cluster.caPem) },
      },
    ],
    users: [
      {
        name: 'webhook',
        user: {
          'client-certificate-data': base64(own.certPem),
          'client-key-data': base64(own.keyPem),
        },
      },
    ],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'webhook' } }],
    'current-context': 'test',
  })
}

type ReplicaNames = {
  readonly folder: string
  readonly index: number
  readonly port: number
  readonly opsPort: number
  readonly serverOptions: Readonly<Record<string, unknown>>
  readonly core: number | undefined
}

async function startReplica(names: ReplicaNames): Promise<KubeWebhookReplica> {
  const { folder, index, port, opsPort, serverOptions, core } = names
  const configFile = join(folder, `sallyport-webhook-${index}.yaml`)
  const auditFile = join(folder, `audit-${index}.log`)
  const logFile = join(folder, `log-${index}.txt`)
  const opsUrl = `http://127.0.0.1:${opsPort}`
  const config = {
    listen: {
      host: '127.0.0.1',
      port,
      tls: { certFile: 'tls.crt', keyFile: 'tls.key' },
      // Closed, as a cluster should have it: with an open port nobody is written into the ledger.
      allowFrom: ['127.0.0.0/8', '::1/128'],
    },
    ops: { host: '127.0.0.1', port: opsPort },
    kubeconfig: 'kubeconfig',
    audit: { destination: auditFile },
    limits: { drain: '0s' },
    ...serverOptions,
  }
  writeFileSync(configFile, stringify(config))
  const start = (): Promise<ChildServer> =>
    startChildServer({
      name: `webhook ${index}`,
      command: core === undefined ? process.execPath : 'taskset',
      args: [...onCore(core), MAIN, 'serve', 'webhook', '--config', configFile],
      cwd: folder,
      env: { PATH: process.env['PATH'] },
      ready: async () => (await fetch(`${opsUrl}/readyz`)).ok,
      readyMs: 30_000,
    })
  let server = await start()
  let isGone = false
  const keepLog = (): void => appendFileSync(logFile, server.logs())
  const kill = async (signal: NodeJS.Signals): Promise<void> => {
    if (isGone) return
    server.signal(signal)
    await server.exited
    // Nothing to end any more, but the process must not be waited for at the end of the test.
    await server.stop()
    isGone = true
    keepLog()
  }
  return {
    url: `https://127.0.0.1:${port}${REVIEW_PATH}`,
    opsUrl,
    get pid() {
      return server.pid
    },
    log: async () =>
      `${existsSync(logFile) ? readFileSync(logFile, 'utf8') : ''}${isGone ? '' : server.logs()}`,
    async auditEvents() {
      if (!existsSync(auditFile)) return []
      const text = readFileSync(auditFile, 'utf8')
      const whole = text.slice(0, text.lastIndexOf('\n') + 1)
      return whole.split('\n').flatMap((line) => (line === '' ? [] : [Object(JSON.parse(line))]))
    },
    kill,
    async restart() {
      await kill('SIGTERM')
      server = await start()
      isGone = false
    },
  }
}

type Reached = { readonly address: number; readonly caPem: string }

/** Says what was registered, as `kubectl delete` takes it. */
async function register(
  cluster: KubeCluster,
  options: StartKubeWebhookOptions,
  { address, caPem }: Reached,
): Promise<readonly string[]> {
  const { reference = 'url', registration } = options
  if (reference === 'service') {
    // Resolved by the apiserver's own host: the form of a cluster without its network.
    const service = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: SERVICE.service, namespace: SERVICE.namespace },
      spec: { type: 'ExternalName', externalName: 'localhost', ports: [{ port: address }] },
    }
    await must(cluster, ['apply', '-f', '-'], JSON.stringify(service))
  }
  const configuration = webhookConfiguration({
    name: 'sallyport-webhook',
    target:
      reference === 'url'
        ? { url: `https://127.0.0.1:${address}${REVIEW_PATH}` }
        : { ...SERVICE, port: address },
    caPem,
    certManager: undefined,
    failurePolicy: 'Fail',
    timeoutSeconds: 5,
    ledgerWriters: [WEBHOOK_USER],
    ...registration,
  })
  await must(cluster, ['apply', '-f', '-'], JSON.stringify(configuration))
  return ['validatingwebhookconfiguration', 'sallyport-webhook']
}

/** A server takes up a configuration within a second; each is asked something that changes nothing until it has. */
async function untilAsked(cluster: KubeCluster, replicas: readonly KubeWebhookReplica[]): Promise<void> {
  const probe = {
    apiVersion: 'opendepot.defdev.io/v1alpha1',
    kind: 'Module',
    metadata: { name: 'sallyport-probe', namespace: MODULES_NAMESPACE },
    spec: { moduleConfig: { name: 'sallyport-probe', provider: 'none' }, versions: [] },
  }
  const path = `/apis/opendepot.defdev.io/v1alpha1/namespaces/${MODULES_NAMESPACE}/modules?dryRun=All`
  for (const server of cluster.apiservers) {
    const deadline = performance.now() + 15_000
    const before = await reviewsOf(replicas)
    let told = ''
    while ((await reviewsOf(replicas)) === before) {
      if (performance.now() > deadline) throw new Error(`the apiserver does not ask the webhook: ${told}`)
      told = (await cluster.request(path, { method: 'POST', body: probe, server })).body
      await sleep(30)
    }
  }
}

async function reviewsOf(replicas: readonly KubeWebhookReplica[]): Promise<number> {
  const counts = await Promise.all(
    replicas.map(async ({ opsUrl }) => {
      const text = await (await fetch(`${opsUrl}/metrics`)).text()
      const series = text.matchAll(/^sallyport_webhook_admission_requests_total\{.*\} (\d+)$/gm)
      return [...series].reduce((sum, [, count]) => sum + Number(count), 0)
    }),
  )
  return counts.reduce((sum, count) => sum + count, 0)
}
