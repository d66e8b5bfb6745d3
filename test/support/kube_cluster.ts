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
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { request as httpsRequest } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { freePorts, startChildServer } from './child_server.ts'
import type { ChildServer } from './child_server.ts'
import { kubeBinaries } from './kube_binaries.ts'
import type { KubeBinaries, KubeVersion } from './kube_binaries.ts'
import { makeClusterAuthority, makeServiceAccountKeys } from './kube_pki.ts'
import type { ClusterAuthority, KeyPairPem } from './kube_pki.ts'

export type StartKubeClusterOptions = {
  readonly version?: KubeVersion
  /** The AuthenticationConfiguration; one without issuers when absent. */
  readonly authenticationConfig?: string
  readonly apiservers?: 1 | 2
  /** Service accounts, their root CA, garbage collection, namespace deletion, aggregated roles. */
  readonly controllerManager?: boolean
  /** Every request at level Metadata, with the user and its extra. */
  readonly auditLog?: boolean
  /** More flags of kube-apiserver. */
  readonly extraArgs?: readonly string[]
  /** More of its environment. */
  readonly env?: Readonly<Record<string, string>>
}

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

export type KubeAnswer = { readonly status: number; readonly body: string }

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
  /** Ends everything and removes the folder. */
  stop(): Promise<void>
}

export type KubeRequest = {
  readonly method?: string
  readonly token?: string
  readonly body?: unknown
  readonly server?: KubeApiserver
}

const NO_ISSUERS = `apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt: []
`
const AUDIT_POLICY = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
`
const serviceAccountIssuer = 'https://kubernetes.example.test'
// An apiserver takes what it can get, 1.2 GB under load, unless it is told.
const thrifty = { GOMEMLIMIT: '350MiB', GOGC: '50' }

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
    const layout = await prepare(folder, options)
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
    return clusterOf({ layout, binaries, apiservers, stop, startMs: performance.now() - began })
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

type Layout = {
  readonly folder: string
  readonly authority: ClusterAuthority
  readonly admin: KeyPairPem
  readonly ports: {
    readonly etcd: number
    readonly etcdPeer: number
    readonly controllerManager: number
    readonly apiservers: readonly number[]
  }
  readonly file: (name: string) => string
}

async function prepare(folder: string, options: StartKubeClusterOptions): Promise<Layout> {
  const [etcd = 0, etcdPeer = 0, controllerManager = 0, ...rest] = await freePorts(5)
  const apiservers = rest.slice(0, options.apiservers ?? 1)
  const authority = await makeClusterAuthority()
  const [server, admin] = await Promise.all([
    authority.server(['127.0.0.1', 'localhost', '10.0.0.1', 'kubernetes', 'kubernetes.default.svc']),
    authority.client('admin', ['system:masters']),
  ])
  const serviceAccount = makeServiceAccountKeys()
  const file = (name: string) => join(folder, name)
  const url = `https://127.0.0.1:${apiservers[0]}`
  const texts: Readonly<Record<string, string>> = {
    'ca.crt': authority.caPem,
    'server.crt': server.certPem,
    'server.key': server.keyPem,
    'admin.crt': admin.certPem,
    'admin.key': admin.keyPem,
    'service-account.key': serviceAccount.privatePem,
    'service-account.pub': serviceAccount.publicPem,
    'admin.kubeconfig': kubeconfigText(url, authority.caPem, admin),
    'bare.kubeconfig': kubeconfigText(url, authority.caPem, undefined),
    'authentication.yaml': options.authenticationConfig ?? NO_ISSUERS,
    'audit-policy.yaml': AUDIT_POLICY,
  }
  await mkdir(file('home'))
  await Promise.all(Object.entries(texts).map(([name, text]) => writeFile(file(name), text, { mode: 0o600 })))
  return { folder, authority, admin, ports: { etcd, etcdPeer, controllerManager, apiservers }, file }
}

function kubeconfigText(server: string, caPem: string, user: KeyPairPem | undefined): string {
  const credentials =
    user === undefined
      ? {}
      : { 'client-certificate-data': base64(user.certPem), 'client-key-data': base64(user.keyPem) }
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server, 'certificate-authority-data': base64(caPem) } }],
    users: [{ name: 'user', user: credentials }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'user' } }],
    'current-context': 'test',
  })
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}

function startEtcd(binaries: KubeBinaries, { file, ports }: Layout): Promise<ChildServer> {
  const client = `http://127.0.0.1:${ports.etcd}`
  const peer = `http://127.0.0.1:${ports.etcdPeer}`
  return startChildServer({
    name: 'etcd',
    command: binaries.etcd,
    args: [
      `--data-dir=${file('etcd')}`,
      `--listen-client-urls=${client}`,
      `--advertise-client-urls=${client}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=default=${peer}`,
      // Nothing in it has to outlive the machine.
      '--unsafe-no-fsync',
      '--log-level=warn',
    ],
    env: { ...process.env, ...thrifty },
    ready: async () => (await fetch(`${client}/health`)).ok,
  })
}

function startApiserver(
  binaries: KubeBinaries,
  layout: Layout,
  options: StartKubeClusterOptions,
  port: number,
  index: number,
): Promise<ChildServer> {
  const { file, ports } = layout
  const audit = [
    `--audit-policy-file=${file('audit-policy.yaml')}`,
    `--audit-log-path=${file(`audit-${index}.log`)}`,
  ]
  // Without a controller manager no namespace has the service account that this plugin wants for each pod.
  const withoutAccounts = ['--disable-admission-plugins=ServiceAccount']
  return startChildServer({
    name: 'kube-apiserver',
    command: binaries.apiserver,
    args: [
      `--etcd-servers=http://127.0.0.1:${ports.etcd}`,
      '--bind-address=127.0.0.1',
      '--advertise-address=127.0.0.1',
      `--secure-port=${port}`,
      '--endpoint-reconciler-type=none',
      `--cert-dir=${file(`made-certificates-${index}`)}`,
      `--tls-cert-file=${file('server.crt')}`,
      `--tls-private-key-file=${file('server.key')}`,
      `--client-ca-file=${file('ca.crt')}`,
      `--service-account-issuer=${serviceAccountIssuer}`,
      `--service-account-key-file=${file('service-account.pub')}`,
      `--service-account-signing-key-file=${file('service-account.key')}`,
      '--service-cluster-ip-range=10.0.0.0/24',
      '--authorization-mode=RBAC',
      `--authentication-config=${file('authentication.yaml')}`,
      ...(options.controllerManager === true ? [] : withoutAccounts),
      ...(options.auditLog === true ? audit : []),
      ...(options.extraArgs ?? []),
    ],
    cwd: layout.folder,
    env: { ...process.env, ...thrifty, ...options.env },
    readyMs: 60_000,
    ready: async () => {
      const { status } = await ask(layout, port, '/readyz', {})
      return status === 200
    },
  })
}

function startControllerManager(binaries: KubeBinaries, { file, ports }: Layout): Promise<ChildServer> {
  if (binaries.controllerManager === undefined) {
    throw new Error('KUBEBUILDER_ASSETS has no kube-controller-manager')
  }
  const admin = file('admin.kubeconfig')
  const controllers = [
    'namespace-controller',
    'garbage-collector-controller',
    'serviceaccount-controller',
    'serviceaccount-token-controller',
    'root-ca-certificate-publisher-controller',
    'clusterrole-aggregation-controller',
  ]
  const health = `https://127.0.0.1:${ports.controllerManager}/healthz`
  return startChildServer({
    name: 'kube-controller-manager',
    command: binaries.controllerManager,
    args: [
      `--kubeconfig=${admin}`,
      `--authentication-kubeconfig=${admin}`,
      `--authorization-kubeconfig=${admin}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${ports.controllerManager}`,
      `--tls-cert-file=${file('server.crt')}`,
      `--tls-private-key-file=${file('server.key')}`,
      '--leader-elect=false',
      '--use-service-account-credentials=false',
      `--service-account-private-key-file=${file('service-account.key')}`,
      `--root-ca-file=${file('ca.crt')}`,
      `--controllers=${controllers.join(',')}`,
    ],
    env: { ...process.env, ...thrifty },
    readyMs: 30_000,
    ready: async () => {
      const { status } = await send(health, { ca: await readFile(file('ca.crt'), 'utf8') }, undefined)
      return status === 200
    },
  })
}

function apiserverOf(layout: Layout, server: ChildServer, port: number): KubeApiserver {
  return {
    url: `https://127.0.0.1:${port}`,
    port,
    pid: server.pid,
    metrics: async () => {
      const { status, body } = await ask(layout, port, '/metrics', {})
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
  readonly startMs: number
}

function clusterOf({ layout, binaries, apiservers, stop, startMs }: ClusterParts): KubeCluster {
  const { file, authority } = layout
  const [first] = apiservers
  if (first === undefined) throw new Error('a cluster has an apiserver')
  const request = (path: string, options: KubeRequest = {}) =>
    ask(layout, (options.server ?? first).port, path, options)
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
    stop,
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

function ask(layout: Layout, port: number, path: string, request: KubeRequest): Promise<KubeAnswer> {
  const { admin, authority } = layout
  const { token, method = 'GET', body } = request
  const credentials = token === undefined ? { cert: admin.certPem, key: admin.keyPem } : {}
  const headers: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' }
  if (token !== undefined) headers['authorization'] = `Bearer ${token}`
  const options = { method, headers, ca: authority.caPem, ...credentials }
  return send(`https://127.0.0.1:${port}${path}`, options, body)
}

type SendOptions = {
  readonly ca: string
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly cert?: string
  readonly key?: string
}

function send(url: string, options: SendOptions, body: unknown): Promise<KubeAnswer> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest(url, { ...options, agent: false, timeout: 10_000 }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (text += chunk))
      response.once('end', () => resolve({ status: response.statusCode ?? 0, body: text }))
      response.once('error', reject)
    })
    request.once('timeout', () => request.destroy(new Error(`${url} does not answer`)))
    request.once('error', reject)
    request.end(body === undefined ? undefined : JSON.stringify(body))
  })
}
