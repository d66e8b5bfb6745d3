// The cluster that the conformance table is played on: everybody who types, with a kubeconfig of their own, and everything
// that is stored before a door is there.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { dirname, join } from 'node:path'
import type { Test } from 'tap'
import { publishedVersionName } from '../../src/core/module/ledger.ts'
import { startKubeBroker } from '../support/kube_broker.ts'
import type { KubeBroker } from '../support/kube_broker.ts'
import { kubeClusterFor } from '../support/kube_cluster.ts'
import type { KubeCluster } from '../support/kube_cluster.ts'
import { githubToken, knowGitHub, serviceAccountToken, writeKubeconfig } from '../support/kube_hands.ts'
import { ACTORS } from './module_actors.ts'
import type { ActorSpec } from './module_actors.ts'
import { inputOf, moduleManifest, placed } from './module_cases.ts'
import type { Json, Row } from './module_cases.ts'
import { POLICIES, POLICY_NAMES } from './module_policies.ts'

export type Crds = 'opendepot' | 'opendepot-atomic'

export type World = {
  readonly cluster: KubeCluster
  /** Runs a line of shell by the hands of a row's actor. */
  run(row: Row, line: string): Promise<Typed>
}

/** What a person sees. */
export type Typed = {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
  /** Of the lines that begin with `Warning: `. */
  readonly warnings: readonly string[]
}

/** `env`: more of the environment of its kube-apiserver. */
export async function openWorld(
  t: Test,
  rows: readonly Row[],
  crds: Crds,
  env: Readonly<Record<string, string>> = {},
): Promise<World> {
  const broker = await startKubeBroker(t, { change: knowGitHub })
  const cluster = await kubeClusterFor(t, {
    authenticationConfig: await broker.generatedConfig(),
    controllerManager: true,
    auditLog: true,
    env,
  })
  const must = async (args: readonly string[], input = ''): Promise<string> => {
    const { code, stdout, stderr } = await cluster.kubectl(args, { input, timeoutMs: 120_000 })
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`)
    return stdout
  }
  for (const folder of [crds, 'sallyport']) {
    const path = join(import.meta.dirname, '..', '..', 'deploy', 'crds', folder)
    const definitions = await must(['kustomize', path])
    await must(['apply', '--server-side', '-f', '-'], definitions)
    await must(['wait', '--for=condition=Established', '--timeout=20s', '-f', '-'], definitions)
  }
  await must(['create', '-f', '-'], listOf([...namespaces(rows), ...accounts(), ...roles()]))
  await storeRows(cluster, rows, must)
  const hands = handsOf(cluster, broker)
  return { cluster, run: async (row, line) => type(cluster, await hands(row), row, line) }
}

function listOf(items: readonly Json[]): string {
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items })
}

function namespaces(rows: readonly Row[]): readonly Json[] {
  const beside = rows.flatMap((row) => (row.beside ?? []).map((object) => namespaceOf(placed(row, object))))
  const names = new Set<string>([...POLICY_NAMES, 'ci', 'argocd', 'opendepot-system', ...beside])
  names.delete('undefined')
  return [...names].map((name) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }))
}

function namespaceOf(object: Json): string {
  return String(Object(object['metadata']).namespace)
}

const SPECS: readonly ActorSpec[] = Object.values(ACTORS)

function accounts(): readonly Json[] {
  return SPECS.flatMap((spec) => {
    if (!('account' in spec)) return []
    const [namespace, name] = spec.account
    return [{ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { namespace, name } }]
  })
}

const EDIT = ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection']

function roles(): readonly Json[] {
  const rbac = { apiVersion: 'rbac.authorization.k8s.io/v1' }
  const verbs = { editor: EDIT, breaker: [...EDIT, 'unpublish', 'migrate'], wildcard: ['*'] }
  const jobs = [{ kind: 'Group', name: 'ci:publishers', apiGroup: 'rbac.authorization.k8s.io' }]
  return Object.entries(verbs).flatMap(([role, allowed]) => [
    {
      ...rbac,
      kind: 'ClusterRole',
      metadata: { name: role },
      rules: [
        { apiGroups: [role === 'wildcard' ? '*' : 'opendepot.defdev.io'], resources: ['*'], verbs: allowed },
      ],
    },
    {
      ...rbac,
      kind: 'ClusterRoleBinding',
      metadata: { name: role },
      roleRef: { kind: 'ClusterRole', name: role, apiGroup: 'rbac.authorization.k8s.io' },
      subjects: [
        ...SPECS.filter((spec) => spec.role === role).map(subjectOf),
        ...(role === 'editor' ? jobs : []),
      ],
    },
  ])
}

function subjectOf(spec: ActorSpec): Json {
  if ('account' in spec) {
    const [namespace, name] = spec.account
    return { kind: 'ServiceAccount', namespace, name }
  }
  const name = 'as' in spec ? spec.as : spec.certificate
  return { kind: 'User', name, apiGroup: 'rbac.authorization.k8s.io' }
}

type Must = (args: readonly string[], input?: string) => Promise<string>

function manifests(rows: readonly Row[]): readonly Json[] {
  return rows.map((row) => moduleManifest(row, row.stored ?? {}))
}

/** As it came about before anybody guarded it. */
async function storeRows(cluster: KubeCluster, rows: readonly Row[], must: Must): Promise<void> {
  const modules = rows.filter((row) => row.stored !== undefined)
  const applied = modules.filter((row) => row.storedBy === undefined)
  const managed = modules.filter((row) => row.storedBy !== undefined)
  const beside = rows.flatMap((row) => (row.beside ?? []).map((object) => placed(row, object)))
  await must(['create', '--save-config', '-f', '-'], listOf([...manifests(applied), ...beside]))
  const serverSide = ['apply', '--server-side', '--field-manager', 'ci-a', '-f', '-']
  if (managed.length > 0) await must(serverSide, listOf(manifests(managed)))
  const withStatus = [...manifests(applied), ...beside].filter((object) => object['status'] !== undefined)
  for (const object of withStatus) await writeStatus(cluster, object)
  await must(['create', '-f', '-'], listOf([...POLICIES, ...rows.flatMap(ledgerEntries)]))
}

/** The server takes no status from whoever creates. */
async function writeStatus(cluster: KubeCluster, object: Json): Promise<void> {
  const resource = `${String(object['kind']).toLowerCase()}s`
  const { name } = Object(object['metadata'])
  const path = `/apis/opendepot.defdev.io/v1alpha1/namespaces/${namespaceOf(object)}/${resource}/${name}`
  const stored = JSON.parse((await cluster.request(path)).body)
  const body = { ...stored, status: object['status'] }
  const { status, body: answer } = await cluster.request(`${path}/status`, { method: 'PUT', body })
  if (status !== 200) throw new Error(answer)
}

function ledgerEntries({ name, policy: namespace, ledger = {} }: Row): readonly Json[] {
  return Object.entries(ledger).map(([version, line]) => ({
    apiVersion: 'sallyport.dev/v1alpha1',
    kind: 'PublishedVersion',
    metadata: { name: publishedVersionName({ kind: 'Module', namespace, name }, version) },
    spec: { module: { namespace, name }, version, ...line },
  }))
}

/** The kubeconfig of a row's actor. Each is made once; a job has a token of its own. */
function handsOf(cluster: KubeCluster, broker: KubeBroker): (row: Row) => Promise<string> {
  const known = new Map<string, Promise<string>>()
  return (row) => {
    const key = typeof row.actor === 'string' && row.actor !== 'impersonator' ? row.actor : row.name
    const hand = known.get(key) ?? kubeconfigOf(cluster, broker, row, key)
    known.set(key, hand)
    return hand
  }
}

async function kubeconfigOf(
  cluster: KubeCluster,
  broker: KubeBroker,
  row: Row,
  key: string,
): Promise<string> {
  const { actor, name } = row
  if (typeof actor === 'string')
    return writeKubeconfig(cluster, key, await credentialsOf(cluster, ACTORS[actor], row))
  const job = { ...actor, repository: actor.repository.replace('$M', name) }
  return writeKubeconfig(cluster, key, { token: await githubToken(broker, job) })
}

async function credentialsOf(cluster: KubeCluster, spec: ActorSpec, row: Row): Promise<Json> {
  if ('certificate' in spec) {
    const { certPem, keyPem } = await cluster.clientCertificate(spec.certificate, spec.groups)
    return { 'client-certificate-data': base64(certPem), 'client-key-data': base64(keyPem) }
  }
  if ('account' in spec) {
    return { token: await serviceAccountToken(cluster, ...spec.account) }
  }
  const forged = {
    'sallyport.dev/source': [`github.com/acme/${row.name}`],
    'sallyport.dev/repository-id': ['901234567'],
    'sallyport.dev/ref': ['refs/tags/v1.2.0'],
  }
  return {
    'client-certificate': cluster.adminCert,
    'client-key': cluster.adminKey,
    as: spec.as,
    'as-groups': spec.groups,
    ...(row.actor === 'impersonator' ? { 'as-user-extra': forged } : {}),
  }
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}

async function type(cluster: KubeCluster, kubeconfig: string, row: Row, line: string): Promise<Typed> {
  const env = {
    PATH: `${dirname(cluster.kubectlFile)}:${process.env['PATH'] ?? ''}`,
    HOME: join(cluster.folder, 'home'),
    KUBECONFIG: kubeconfig,
    M: row.name,
    NS: row.policy,
  }
  const child = spawn('sh', ['-c', line], { env, stdio: ['pipe', 'pipe', 'pipe'], timeout: 60_000 })
  const output = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output.stdout += chunk))
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (output.stderr += chunk))
  // A kubectl that ends without reading is no failure of the table's.
  child.stdin.on('error', () => undefined)
  child.stdin.end(inputOf(row))
  const [code] = await once(child, 'close')
  const warnings = [...output.stderr.matchAll(/^Warning: (.*)$/gm)].map(([, text = '']) => text)
  return { code: typeof code === 'number' ? code : -1, ...output, warnings }
}
