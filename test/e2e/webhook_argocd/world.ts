// A cluster with the webhook in front of it, a git repository, and an Argo CD that brings the one to the other.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { startArgoCd } from '../../support/argocd.ts'
import type { ArgoCd } from '../../support/argocd.ts'
import { ARGOCD_NAMESPACE } from '../../support/argocd_objects.ts'
import type { ArgoStatus } from '../../support/argocd_status.ts'
import { startGitServer } from '../../support/git_server.ts'
import type { GitRepository } from '../../support/git_server.ts'
import { kubeClusterFor } from '../../support/kube_cluster.ts'
import type { KubeCluster } from '../../support/kube_cluster.ts'
import type { StartKubeClusterOptions } from '../../support/kube_servers.ts'
import { startKubeWebhook } from '../../support/kube_webhook.ts'
import type { KubeWebhook } from '../../support/kube_webhook.ts'

export const NAMESPACE = 'opendepot-system'
export const CONTROLLER = `system:serviceaccount:${ARGOCD_NAMESPACE}:argocd-application-controller`

export type Fields = Record<string, unknown>

export type ArgoWorld = {
  readonly cluster: KubeCluster
  readonly webhook: KubeWebhook
  readonly argo: ArgoCd
  readonly repository: GitRepository
  /** As the administrator; throws with stderr. */
  readonly must: (args: readonly string[], input?: string) => Promise<string>
  /** Commits, pushes, and tells the Application. Resolves with the commit. */
  readonly push: (
    application: string,
    message: string,
    files: Readonly<Record<string, string | undefined>>,
  ) => Promise<string>
  /** What the Application shows when it is in sync with the commit. */
  readonly synced: (application: string, commit: string) => Promise<ArgoStatus>
  /** The same when its last try at the commit has failed. */
  readonly failed: (application: string, commit: string) => Promise<ArgoStatus>
  /** As it is stored, or `undefined`. */
  readonly module: (name: string) => Promise<Fields | undefined>
  readonly versionsOf: (name: string) => Promise<readonly string[]>
}

type WithTeardown = Parameters<typeof kubeClusterFor>[0]

export type ArgoWorldOptions = {
  readonly policies: readonly string[]
  readonly crds?: 'opendepot' | 'opendepot-atomic'
  readonly cluster?: StartKubeClusterOptions
}

export async function startArgoWorld(t: WithTeardown, options: ArgoWorldOptions): Promise<ArgoWorld> {
  const { policies, crds = 'opendepot' } = options
  const cluster = await kubeClusterFor(t, options.cluster)
  const git = await startGitServer()
  t.teardown(() => git.stop())
  const webhook = await startKubeWebhook({ cluster, policies, crds })
  t.teardown(() => webhook.stop())
  const [argo, repository] = await Promise.all([startArgoCd({ cluster }), git.repository('manifests')])
  t.teardown(() => argo.stop())
  t.comment(
    `cluster ready after ${Math.round(cluster.startMs)} ms, Argo CD after ${Math.round(argo.startMs)} ms`,
  )

  async function must(args: readonly string[], input = ''): Promise<string> {
    const { code, stdout, stderr } = await cluster.kubectl(args, { input })
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`)
    return stdout
  }
  async function module(name: string): Promise<Fields | undefined> {
    const found = await must(['get', 'module', name, '-n', NAMESPACE, '-o', 'json', '--ignore-not-found'])
    return found === '' ? undefined : Object(JSON.parse(found))
  }
  return {
    cluster,
    webhook,
    argo,
    repository,
    must,
    async push(application, message, files) {
      const commit = await repository.commit(message, files)
      await argo.refresh(application)
      return commit
    },
    synced: (application, commit) =>
      argo.waitFor(
        application,
        `is in sync with ${commit}`,
        ({ sync, revision, phase }) => sync === 'Synced' && revision === commit && phase !== 'Running',
      ),
    failed: (application, commit) =>
      argo.waitFor(
        application,
        `fails at ${commit}`,
        // The condition comes with the comparison that follows the operation.
        ({ phase, operationRevision, conditions }) =>
          phase === 'Failed' && operationRevision === commit && conditions.some(isSyncError(commit)),
      ),
    module,
    versionsOf: async (name) => {
      const { spec } = Object(await module(name))
      const versions: readonly unknown[] = Object(spec).versions ?? []
      return versions.map((entry) => String(Object(entry).version))
    },
  }
}

function isSyncError(commit: string): (condition: ArgoStatus['conditions'][number]) => boolean {
  return ({ type, message }) => type === 'SyncError' && message.includes(commit)
}

/** deploy/examples/module_policy_gitops.yaml for the Modules of this test, changed by `change`. */
export function gitopsPolicy(change: (spec: Fields) => void = () => {}): string {
  const file = join(import.meta.dirname, '..', '..', '..', 'deploy', 'examples', 'module_policy_gitops.yaml')
  const policy: Fields = Object(parse(readFileSync(file, 'utf8')))
  const spec: Fields = Object(policy['spec'])
  spec['selector'] = { namespaces: [NAMESPACE] }
  delete spec['exceptions']
  delete spec['modes']
  change(spec)
  return stringify(policy)
}

export type ModuleText = {
  readonly versions: readonly string[]
  readonly annotations?: Readonly<Record<string, string>>
  /** Over what it says otherwise. */
  readonly config?: Fields
}

/** A manifest like the one of seed 001. */
export function moduleText(name: string, { versions, annotations, config }: ModuleText): string {
  return stringify({
    apiVersion: 'opendepot.defdev.io/v1alpha1',
    kind: 'Module',
    metadata: { name, namespace: NAMESPACE, ...(annotations === undefined ? {} : { annotations }) },
    spec: {
      moduleConfig: {
        name,
        provider: 'aws',
        repoOwner: 'my-org',
        repoUrl: `https://github.com/my-org/${name}`,
        fileFormat: 'zip',
        immutable: true,
        storageConfig: { s3: { bucket: 'my-org-opendepot-modules', region: 'us-west-2' } },
        ...config,
      },
      versions: versions.map((version) => ({ version })),
    },
  })
}

/** An Application like the one of seed 001, that tries once. */
export function applicationOf(
  name: string,
  repoURL: string,
  change: (spec: Fields) => void = () => {},
): string {
  const spec: Fields = {
    project: 'default',
    source: { repoURL, targetRevision: 'main', path: name },
    destination: { server: 'https://kubernetes.default.svc', namespace: NAMESPACE },
    syncPolicy: { automated: { prune: false, selfHeal: true }, retry: { limit: 0 } },
  }
  change(spec)
  const metadata = { name, namespace: ARGOCD_NAMESPACE }
  return JSON.stringify({ apiVersion: 'argoproj.io/v1alpha1', kind: 'Application', metadata, spec })
}
