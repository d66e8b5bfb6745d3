// The servers of a test cluster (kube_cluster.ts): their files, their flags, and when each is ready.
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { freePorts, startChildServer } from './child_server.ts'
import type { ChildServer } from './child_server.ts'
import type { KubeBinaries, KubeVersion } from './kube_binaries.ts'
import { makeClusterAuthority, makeServiceAccountKeys } from './kube_pki.ts'
import type { ClusterAuthority, KeyPairPem } from './kube_pki.ts'
import { askKube } from './kube_request.ts'
import type { KubeAccess } from './kube_request.ts'

export type StartKubeClusterOptions = {
  readonly version?: KubeVersion
  /** The AuthenticationConfiguration; one without issuers when absent. */
  readonly authenticationConfig?: string
  readonly apiservers?: 1 | 2
  /** Service accounts, their root CA, garbage collection, namespace deletion, aggregated roles, type checks of policies. */
  readonly controllerManager?: boolean
  /** Every request at level Metadata, with the user and its extra. */
  readonly auditLog?: boolean
  /** More flags of kube-apiserver. */
  readonly extraArgs?: readonly string[]
  /** More of its environment. */
  readonly env?: Readonly<Record<string, string>>
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
/** What --service-account-issuer says. */
export const serviceAccountIssuer = 'https://kubernetes.example.test'
// An apiserver takes what it can get, 1.2 GB under load, unless it is told. With all admission policies it holds 430 MB: a limit below
// that has it collect garbage for half of its time.
const thrifty = { GOMEMLIMIT: '800MiB', GOGC: '50' }

/** The files and ports of one cluster. */
export type Layout = {
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

/** Writes certificates, kubeconfigs and configurations into the folder. */
export async function prepareLayout(folder: string, options: StartKubeClusterOptions): Promise<Layout> {
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

export function startEtcd(binaries: KubeBinaries, { file, ports }: Layout): Promise<ChildServer> {
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

export function startApiserver(
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
      const { status } = await askKube(accessOf(layout), `https://127.0.0.1:${port}/readyz`)
      return status === 200
    },
  })
}

export function startControllerManager(binaries: KubeBinaries, layout: Layout): Promise<ChildServer> {
  const { file, ports } = layout
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
    'validatingadmissionpolicy-status-controller',
  ]
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
      const { status } = await askKube(
        accessOf(layout),
        `https://127.0.0.1:${ports.controllerManager}/healthz`,
      )
      return status === 200
    },
  })
}

/** How the administrator asks its servers. */
export function accessOf({ authority, admin }: Layout): KubeAccess {
  return { caPem: authority.caPem, admin }
}
