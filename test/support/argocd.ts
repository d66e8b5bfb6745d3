// A real Argo CD beside a test cluster: redis, repo server and application controller as processes on loopback, with what they
// need in the cluster and nothing else (no API server, no UI, no ApplicationSets). It follows a refresh at once, heals drift
// without waiting longer each time, and is always stopped, also when the test dies.
//
//   const argo = await startArgoCd({ cluster })
//   await cluster.kubectl(['apply', '-f', '-'], { input: application })
//   await argo.refresh('modules')
//   const status = await argo.waitFor('modules', 'is in sync', (seen) => seen.sync === 'Synced')
//
// The controller's metrics listen on every address: it has no setting for it.
import { execFile } from 'node:child_process'
import { rmSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { stringify } from 'yaml'
import { ARGOCD_NAMESPACE, ARGOCD_OBJECTS, DEFAULT_PROJECT } from './argocd_objects.ts'
import { readArgoApplication } from './argocd_status.ts'
import type { ArgoStatus } from './argocd_status.ts'
import { freePorts, startChildServer } from './child_server.ts'
import type { ChildServer } from './child_server.ts'
import type { KubeCluster } from './kube_cluster.ts'
import { argocdFolder } from './peers.ts'

const run = promisify(execFile)

export type ArgoCd = {
  /** Milliseconds from the call until everything was ready. */
  readonly startMs: number
  /** What an Application shows, or `undefined` when there is none. */
  application(name: string): Promise<ArgoStatus | undefined>
  /** Compares with git now, as a forge's webhook would have it do. */
  refresh(name: string): Promise<void>
  /** Starts an operation as `argocd app sync` does. */
  sync(name: string, asked: { readonly revision: string; readonly prune?: boolean }): Promise<void>
  /** What it shows once `holds`. Rejects with what it shows instead, and the end of the controller's log. */
  waitFor(
    name: string,
    what: string,
    holds: (status: ArgoStatus) => boolean,
    limitMs?: number,
  ): Promise<ArgoStatus>
  /** What the controller has written so far. */
  log(): string
  stop(): Promise<void>
}

export type StartArgoCdOptions = { readonly cluster: KubeCluster }

/** The programs, or the reason why they cannot be had. */
export async function argocdPrograms(): Promise<{ readonly folder: string }> {
  const [folder] = await Promise.all([
    argocdFolder(),
    run('redis-server', ['--version']),
    run('git', ['--version']),
  ])
  return { folder }
}

export async function startArgoCd({ cluster }: StartArgoCdOptions): Promise<ArgoCd> {
  const began = performance.now()
  const programs = await argocdPrograms()
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-argocd-'))
  const servers: ChildServer[] = []
  const remove = () => rmSync(folder, { recursive: true, force: true })
  process.once('exit', remove)
  async function stop(): Promise<void> {
    process.off('exit', remove)
    for (const server of servers.splice(0).reverse()) await server.stop()
    await rm(folder, { recursive: true, force: true })
  }
  try {
    const [redis = 0, repo = 0, repoMetrics = 0, metrics = 0] = await freePorts(4)
    const layout = { programs: programs.folder, folder, ports: { redis, repo, repoMetrics, metrics } }
    await mkdir(join(folder, 'tmp'))
    servers.push(await startRedis(layout))
    servers.push(await startRepoServer(layout))
    await prepareCluster(cluster, layout)
    const controller = await startController(layout)
    servers.push(controller)
    return argoOf(cluster, controller, stop, performance.now() - began)
  } catch (error) {
    await stop()
    throw error
  }
}

type Layout = {
  readonly programs: string
  readonly folder: string
  readonly ports: Readonly<Record<'redis' | 'repo' | 'repoMetrics' | 'metrics', number>>
}

function startRedis({ folder, ports }: Layout): Promise<ChildServer> {
  const port = String(ports.redis)
  return startChildServer({
    name: 'redis-server',
    command: 'redis-server',
    args: ['--bind', '127.0.0.1', '--port', port, '--save', '', '--appendonly', 'no', '--dir', folder],
    ready: async () => (await run('redis-cli', ['-p', port, 'ping'])).stdout.trim() === 'PONG',
  })
}

function startRepoServer(layout: Layout): Promise<ChildServer> {
  const { ports, programs } = layout
  return startChildServer({
    name: 'argocd-repo-server',
    command: join(programs, 'argocd-repo-server'),
    args: [
      '--address=127.0.0.1',
      `--port=${ports.repo}`,
      '--disable-tls',
      '--metrics-address=127.0.0.1',
      `--metrics-port=${ports.repoMetrics}`,
      `--redis=127.0.0.1:${ports.redis}`,
    ],
    env: environmentOf(layout),
    ready: async () => (await fetch(`http://127.0.0.1:${ports.repoMetrics}/healthz`)).ok,
  })
}

function startController(layout: Layout): Promise<ChildServer> {
  const { ports, programs } = layout
  return startChildServer({
    name: 'argocd-application-controller',
    command: join(programs, 'argocd-application-controller'),
    args: [
      `--namespace=${ARGOCD_NAMESPACE}`,
      `--metrics-port=${ports.metrics}`,
      `--repo-server=127.0.0.1:${ports.repo}`,
      '--repo-server-plaintext',
      `--redis=127.0.0.1:${ports.redis}`,
      '--self-heal-backoff-timeout-seconds=0',
    ],
    env: environmentOf(layout),
    ready: async () => (await fetch(`http://127.0.0.1:${ports.metrics}/healthz`)).ok,
  })
}

function environmentOf({ folder }: Layout): NodeJS.ProcessEnv {
  return {
    ...process.env,
    HOME: join(folder, 'tmp'),
    TMPDIR: join(folder, 'tmp'),
    KUBECONFIG: join(folder, 'kubeconfig'),
    // `https://kubernetes.default.svc` is the cluster of the kubeconfig, as it would be inside of a Pod.
    ARGOCD_FAKE_IN_CLUSTER: 'true',
    ARGOCD_GPG_ENABLED: 'false',
    // Otherwise a name in /tmp that every repo server of the machine shares.
    ARGOCD_ASK_PASS_SOCK: join(folder, 'ask-pass.sock'),
    GOMEMLIMIT: '300MiB',
  }
}

async function prepareCluster(cluster: KubeCluster, { programs, folder }: Layout): Promise<void> {
  const must = async (args: readonly string[], input = '') => {
    const { code, stdout, stderr } = await cluster.kubectl(args, { input })
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`)
    return stdout
  }
  const definitions = ['application', 'appproject'].flatMap((name) => [
    '-f',
    join(programs, `${name}-crd.yaml`),
  ])
  // Server-side: they are larger than an annotation may be.
  await must(['apply', '--server-side', ...definitions])
  const applied = ['apply', '--server-side', '-f', '-']
  await must(applied, listOf(ARGOCD_OBJECTS))
  // A definition that was made a moment ago has no conditions yet, and kubectl gives up on it.
  await eventually(() => must(applied, JSON.stringify(DEFAULT_PROJECT)))
  const user = ['argocd-application-controller', '-n', ARGOCD_NAMESPACE]
  const token = await must(['create', 'token', ...user, '--duration=24h'])
  await writeFile(join(folder, 'kubeconfig'), kubeconfigText(cluster, token.trim()), { mode: 0o600 })
}

function listOf(items: readonly unknown[]): string {
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items })
}

async function eventually(act: () => Promise<unknown>): Promise<void> {
  const deadline = performance.now() + 15_000
  for (;;) {
    try {
      await act()
      return
    } catch (error) {
      if (performance.now() > deadline) throw error
    }
    await sleep(100)
  }
}

function kubeconfigText(cluster: KubeCluster, token: string): string {
  const authority = Buffer.from(cluster.caPem).toString('base64')
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server: cluster.url, 'certificate-authority-data': authority } }],
    users: [{ name: 'controller', user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'controller' } }],
    'current-context': 'test',
  })
}

const LOG_SHOWN = 6000

function argoOf(
  cluster: KubeCluster,
  controller: ChildServer,
  stop: () => Promise<void>,
  startMs: number,
): ArgoCd {
  async function application(name: string): Promise<ArgoStatus | undefined> {
    const path = `/apis/argoproj.io/v1alpha1/namespaces/${ARGOCD_NAMESPACE}/applications/${name}`
    const { status, body } = await cluster.request(path)
    if (status === 404) return undefined
    if (status !== 200) throw new Error(`${path} answers ${status}: ${body}`)
    return readArgoApplication(JSON.parse(body))
  }
  async function change(args: readonly string[]): Promise<void> {
    const [verb = '', ...rest] = args
    const done = await cluster.kubectl([verb, 'application', '-n', ARGOCD_NAMESPACE, ...rest])
    if (done.code !== 0) throw new Error(done.stderr)
  }
  return {
    startMs,
    application,
    refresh: (name) => change(['annotate', name, '--overwrite', 'argocd.argoproj.io/refresh=normal']),
    sync: (name, asked) => {
      const operation = { initiatedBy: { username: 'alice' }, sync: asked }
      return change(['patch', name, '--type=merge', '-p', JSON.stringify({ operation })])
    },
    async waitFor(name, what, holds, limitMs = 20_000) {
      const deadline = performance.now() + limitMs
      for (;;) {
        const seen = await application(name)
        if (seen !== undefined && holds(seen)) return seen
        if (performance.now() > deadline) {
          const shown = JSON.stringify(seen, undefined, 2)
          const log = controller.logs().slice(-LOG_SHOWN)
          throw new Error(`Application ${name} never ${what}; it shows ${shown}\n${log}`)
        }
        await sleep(60)
      }
    },
    log: () => controller.logs(),
    stop,
  }
}
