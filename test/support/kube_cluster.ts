// A real kube-apiserver on loopback: etcd, one or two apiservers, and a controller manager when asked, with their own CA,
// free ports and a temporary folder. No kubelet: nothing runs in it. Always stopped, also when the test dies.
//
//   const cluster = await startKubeCluster({ authenticationConfig })
//   t.teardown(() => cluster.stop())
//   const { code, stdout } = await cluster.kubectl(['get', 'ns'])          // as system:masters
//   await cluster.kubectl(['auth', 'whoami', '--token', token], { kubeconfig: cluster.bareKubeconfig })
//
// In a test that wants the servers' logs when it fails: `kubeClusterFor(t, options)`.
import { execFile } from 'node:child_process'
import { rmSync } from 'node:fs'
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ChildServer } from './child_server.ts'
import { kubeBinaries } from './kube_binaries.ts'
import type { KubeBinaries } from './kube_binaries.ts'
import type { KeyPairPem } from './kube_pki.ts'
import { askKube } from './kube_request.ts'
import type { KubeAnswer, KubeAsked } from './kube_request.ts'
import {
  accessOf,
  prepareLayout,
  serviceAccountIssuer,
  startApiserver,
  startControllerManager,
  startEtcd,
} from './kube_servers.ts'
import type { Layout, StartKubeClusterOptions } from './kube_servers.ts'

export type KubeApiserver = {
  /** `https://127.0.0.1:PORT` */
  readonly url: string
  readonly port: number
  readonly pid: number
  /** /metrics as the administrator sees it. */
  metrics(): Promise<string>
  log(): Promise<string>
}

export type KubectlOptions = {
  /** The administrator's when absent. */
  readonly kubeconfig?: string
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string
  /** Default: 30 s. Then it is killed and `code` is -1. */
  readonly timeoutMs?: number
}

export type KubectlResult = { readonly code: number; readonly stdout: string; readonly stderr: string }

/** `server`: which apiserver; the first when absent. */
export type KubeRequest = KubeAsked & { readonly server?: KubeApiserver }

export type KubeCluster = {
  readonly apiservers: readonly KubeApiserver[]
  /** Of the first apiserver. */
  readonly url: string
  /** What --service-account-issuer says: `https://kubernetes.example.test`. */
  readonly serviceAccountIssuer: string
  readonly folder: string
  readonly caPem: string
  readonly caFile: string
  readonly adminCert: string
  readonly adminKey: string
  /** Kubeconfig files: of system:masters, and one with the cluster and no credentials (for --token). */
  readonly adminKubeconfig: string
  readonly bareKubeconfig: string
  /** The kubectl that runs against it. */
  readonly kubectlFile: string
  /** Where --authentication-config points. */
  readonly authenticationConfigFile: string
  /** Milliseconds from the call until everything was ready. */
  readonly startMs: number
  kubectl(args: readonly string[], options?: KubectlOptions): Promise<KubectlResult>
  /** One request, with a bearer token or (without one) as the administrator. */
  request(path: string, options?: KubeRequest): Promise<KubeAnswer>
  /** TokenReview's status as the administrator gets it. */
  reviewToken(token: string, server?: KubeApiserver): Promise<Readonly<Record<string, unknown>>>
  /** A certificate of the cluster's CA for a user. */
  clientCertificate(name: string, groups?: readonly string[]): Promise<KeyPairPem>
  /** Renames over the file. The apiservers take it up 10 s later. */
  writeAuthenticationConfig(text: string): Promise<void>
  /** What the apiservers have written so far, oldest first. */
  auditEvents(): Promise<Readonly<Record<string, unknown>>[]>
  /** Ends the first apiserver; what it kept stays in etcd. */
  stopApiserver(): Promise<void>
  /** After `stopApiserver`: another process on the same port, once it is ready. */
  startApiserver(): Promise<void>
  /** Ends everything and removes the folder. */
  stop(): Promise<void>
}

/** A cluster that answers. Rejects with the logs of what did not start; what had started is stopped. */
export async function startKubeCluster(options: StartKubeClusterOptions = {}): Promise<KubeCluster> {
  const began = performance.now()
  const binaries = await kubeBinaries(options.version)
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-kube-'))
  const servers: ChildServer[] = []
  const remove = () => rmSync(folder, { recursive: true, force: true })
  process.once('exit', remove)
  async function stop(): Promise<void> {
    process.off('exit', remove)
    // Whoever depends on the others ends first.
    for (const server of servers.splice(0).reverse()) await server.stop()
    await rm(folder, { recursive: true, force: true })
  }
  try {
    const layout = await prepareLayout(folder, options)
    const etcd = await startEtcd(binaries, layout)
    servers.push(etcd)
    const started = await Promise.allSettled(
      layout.ports.apiservers.map((port, index) => startApiserver(binaries, layout, options, port, index)),
    )
    for (const one of started) if (one.status === 'fulfilled') servers.push(one.value)
    for (const one of started) if (one.status === 'rejected') throw one.reason
    if (options.controllerManager === true) servers.push(await startControllerManager(binaries, layout))
    const apiservers = started.flatMap((one, index) =>
      one.status === 'fulfilled' ? [apiserverOf(layout, one.value, layout.ports.apiservers[index] ?? 0)] : [],
    )
    let first = started[0]?.status === 'fulfilled' ? started[0].value : undefined
    const stopApiserver = async (): Promise<void> => first?.stop()
    const startFirst = async (): Promise<void> => {
      first = await startApiserver(binaries, layout, options, layout.ports.apiservers[0] ?? 0, 0)
      servers.push(first)
    }
    const startMs = performance.now() - began
    return clusterOf({
      layout,
      binaries,
      apiservers,
      stop,
      stopApiserver,
      startApiserver: startFirst,
      startMs,
    })
  } catch (error) {
    await stop()
    throw error
  }
}

/** What a test of tap gives: enough of it for `kubeClusterFor`. */
type TestWithTeardown = {
  teardown(fn: () => Promise<void>): void
  passing(): boolean
  comment(...args: unknown[]): void
}

/** A cluster that goes with the test. When the test has failed, the servers' logs stay and their folder is told. */
export async function kubeClusterFor(
  t: TestWithTeardown,
  options: StartKubeClusterOptions = {},
): Promise<KubeCluster> {
  const cluster = await startKubeCluster(options)
  t.teardown(async () => {
    if (!t.passing()) t.comment(`logs of the apiservers: ${await keepLogs(cluster)}`)
    await cluster.stop()
  })
  return cluster
}

async function keepLogs(cluster: KubeCluster): Promise<string> {
  const kept = await mkdtemp(join(tmpdir(), 'sallyport-kube-logs-'))
  for (const [index, apiserver] of cluster.apiservers.entries()) {
    await writeFile(join(kept, `kube-apiserver-${index}.log`), await apiserver.log())
  }
  return kept
}

function apiserverOf(layout: Layout, server: ChildServer, port: number): KubeApiserver {
  return {
    url: `https://127.0.0.1:${port}`,
    port,
    pid: server.pid,
    metrics: async () => {
      const { status, body } = await askKube(accessOf(layout), `https://127.0.0.1:${port}/metrics`)
      if (status !== 200) throw new Error(`/metrics answers ${status}`)
      return body
    },
    log: () => Promise.resolve(server.logs()),
  }
}

type ClusterParts = {
  readonly layout: Layout
  readonly binaries: KubeBinaries
  readonly apiservers: readonly KubeApiserver[]
  readonly stop: () => Promise<void>
  readonly stopApiserver: () => Promise<void>
  readonly startApiserver: () => Promise<void>
  readonly startMs: number
}

function clusterOf({ layout, binaries, apiservers, startMs, ...life }: ClusterParts): KubeCluster {
  const { file, authority } = layout
  const [first] = apiservers
  if (first === undefined) throw new Error('a cluster has an apiserver')
  const request = (path: string, options: KubeRequest = {}) =>
    askKube(accessOf(layout), `${(options.server ?? first).url}${path}`, options)
  const adminKubeconfig = file('admin.kubeconfig')
  return {
    apiservers,
    url: first.url,
    serviceAccountIssuer,
    folder: layout.folder,
    caPem: authority.caPem,
    caFile: file('ca.crt'),
    adminCert: file('admin.crt'),
    adminKey: file('admin.key'),
    adminKubeconfig,
    bareKubeconfig: file('bare.kubeconfig'),
    kubectlFile: binaries.kubectl,
    authenticationConfigFile: file('authentication.yaml'),
    startMs,
    kubectl: (args, options = {}) =>
      runKubectl(binaries.kubectl, args, { kubeconfig: adminKubeconfig, ...options }, file('home')),
    request,
    async reviewToken(token, server) {
      const { status, body } = await request('/apis/authentication.k8s.io/v1/tokenreviews', {
        method: 'POST',
        body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token } },
        ...(server === undefined ? {} : { server }),
      })
      if (status !== 201) throw new Error(`TokenReview answers ${status}: ${body}`)
      return Object(JSON.parse(body)).status
    },
    clientCertificate: (name, groups = []) => authority.client(name, groups),
    async writeAuthenticationConfig(text) {
      await writeFile(file('authentication.yaml.new'), text, { mode: 0o600 })
      await rename(file('authentication.yaml.new'), file('authentication.yaml'))
    },
    async auditEvents() {
      const names = apiservers.map((_, index) => file(`audit-${index}.log`))
      const texts = await Promise.all(names.map((name) => readFile(name, 'utf8')))
      return texts.flatMap(auditEventsOf).sort((a, b) => (stageTimeOf(a) < stageTimeOf(b) ? -1 : 1))
    },
    ...life,
  }
}

/** The last line may still be written. */
function auditEventsOf(text: string): Readonly<Record<string, unknown>>[] {
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => Object(JSON.parse(line)))
}

function stageTimeOf(event: Readonly<Record<string, unknown>>): string {
  return String(event['stageTimestamp'])
}

function runKubectl(
  command: string,
  args: readonly string[],
  options: KubectlOptions,
  home: string,
): Promise<KubectlResult> {
  return new Promise((resolve) => {
    const child = execFile(
      command,
      [...args],
      {
        timeout: options.timeoutMs ?? 30_000,
        killSignal: 'SIGKILL',
        maxBuffer: 32 * 1024 * 1024,
        // Its caches of discovery stay with the cluster.
        env: { ...process.env, HOME: home, KUBECONFIG: options.kubeconfig, ...options.env },
      },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1
        resolve({ code, stdout, stderr })
      },
    )
    // A kubectl that has ended without reading is no failure of the test's.
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(options.input ?? '')
  })
}
