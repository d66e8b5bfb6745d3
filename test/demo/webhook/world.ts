// The world of the webhook's demo: the broker, a kube-apiserver that trusts it, a Module that was there before the webhook, a git
// repository, and whoever types. Everything on loopback and in temporary folders.
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { gitRepository } from '../../support/git_repository.ts'
import type { GitRepository } from '../../support/git_repository.ts'
import { KUBE_AUDIENCE, startKubeBroker } from '../../support/kube_broker.ts'
import type { KubeBroker } from '../../support/kube_broker.ts'
import { startKubeCluster } from '../../support/kube_cluster.ts'
import type { KubeCluster } from '../../support/kube_cluster.ts'
import { githubClaims, knowGitHub, writeKubeconfig } from '../../support/kube_hands.ts'
import type { GitHubJob } from '../../support/kube_hands.ts'
import { applyDefinitions, must } from '../../support/kube_modules.ts'
import { startKubeWebhook } from '../../support/kube_webhook.ts'
import type { KubeWebhookReplica } from '../../support/kube_webhook.ts'
import { MAIN } from '../../support/served.ts'
import type { Config } from '../../support/test_broker.ts'
import type { Person } from './stage.ts'

export const NAMESPACE = 'opendepot-system'
export const MODULE = 'terraform-aws-vpc'

type Repository = Pick<GitHubJob, 'repository' | 'repositoryId'>

export type World = {
  readonly cluster: KubeCluster
  readonly repository: GitRepository
  readonly admin: Person
  /** May patch Modules, and is in the group that the policy lets publish. */
  readonly jo: Person
  /** Jo in the repository of manifests. */
  readonly joInGit: Person
  /** A job of the repository on GitHub, for the tag of the version. */
  readonly pipeline: (of: Repository, version: string) => Person
  /** The job's line that exchanges its token; the kubeconfig has the name of the file. */
  readonly exchange: string
  /** Registered at the apiserver, under the policy in the file `pipelines.yaml`. */
  readonly startWebhook: () => Promise<KubeWebhookReplica>
  /** The Module as it is in git, with these versions. */
  readonly manifest: (versions: readonly string[]) => string
  readonly policyText: string
  readonly close: () => Promise<void>
}

export async function startWorld(): Promise<World> {
  const closers: (() => unknown)[] = []
  const closing = { teardown: (close: () => unknown) => void closers.push(close) }
  const close = async (): Promise<void> => {
    for (const one of closers.splice(0).reverse()) await one()
  }
  try {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-demo-'))
    closing.teardown(() => rmSync(folder, { recursive: true, force: true }))
    const broker = await startKubeBroker(closing, { change: knowPublishers })
    const cluster = await startKubeCluster({ authenticationConfig: await broker.generatedConfig() })
    closing.teardown(() => cluster.stop())
    await fillCluster(cluster)
    const policyText = policyOf('module_policy_pipelines.yaml')
    const people = await peopleOf({ folder, broker, cluster })
    writeFileSync(join(people.admin.cwd, 'pipelines.yaml'), policyText)
    const repository = gitRepository(closing)
    return {
      cluster,
      repository,
      ...people,
      joInGit: { ...people.jo, cwd: repository.path },
      exchange: 'sallyport exchange --subject-token-env JOB_TOKEN --output-file token',
      async startWebhook() {
        const webhook = await startKubeWebhook({ cluster, policies: [policyText] })
        closing.teardown(() => webhook.stop())
        const [replica] = webhook.replicas
        if (replica === undefined) throw new Error('there is no replica')
        return replica
      },
      manifest: manifestOf,
      policyText,
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** Jobs of the owner on github.com, whose token is their credential: nothing is stored. */
function knowPublishers(config: Config): void {
  knowGitHub(config)
  const auth = { method: 'federated_jwt', connector: 'github', policy: 'publishers' }
  config['clients'] = [{ id: 'publish', auth }]
  config['audiences'] = [{ id: KUBE_AUDIENCE, profile: 'kubernetes', clients: ['publish'] }]
}

/** The example, for a cluster whose maintainers may publish and whose pipelines pin nothing yet. */
function policyOf(example: string): string {
  const file = join(import.meta.dirname, '../../../deploy/examples', example)
  const { spec, ...policy } = Object(parse(readFileSync(file, 'utf8')))
  const { pins: _pins, identities, ...rest } = spec
  const human = { groups: ['maintainers'] }
  return stringify({ ...policy, spec: { ...rest, identities: { ...identities, human } } })
}

/** As OpenDepot's users have it, before anything of ours is there: who may patch Modules, may. */
async function fillCluster(cluster: KubeCluster): Promise<void> {
  await applyDefinitions(cluster, ['opendepot'])
  await must(cluster, ['create', 'namespace', NAMESPACE])
  const verbs = '--verb=get,list,create,update,patch'
  await must(cluster, [
    'create',
    'role',
    'module-author',
    '-n',
    NAMESPACE,
    verbs,
    '--resource=modules.opendepot.defdev.io',
  ])
  const groups = ['--group=ci:publishers', '--group=maintainers']
  const binding = ['create', 'rolebinding', 'module-authors', '-n', NAMESPACE]
  await must(cluster, [...binding, '--role=module-author', ...groups])
  await must(cluster, ['create', '-f', '-'], manifestOf(['1.0.0', '1.1.0']))
}

function manifestOf(versions: readonly string[]): string {
  return stringify({
    apiVersion: 'opendepot.defdev.io/v1alpha1',
    kind: 'Module',
    metadata: { name: MODULE, namespace: NAMESPACE },
    spec: {
      moduleConfig: {
        name: MODULE,
        provider: 'aws',
        repoOwner: 'acme',
        repoUrl: `https://github.com/acme/${MODULE}`,
        fileFormat: 'zip',
        storageConfig: { s3: { bucket: 'acme-modules', region: 'eu-central-1' } },
      },
      versions: versions.map((version) => ({ version })),
    },
  })
}

type Place = { readonly folder: string; readonly broker: KubeBroker; readonly cluster: KubeCluster }

async function peopleOf({
  folder,
  broker,
  cluster,
}: Place): Promise<Pick<World, 'admin' | 'jo' | 'pipeline'>> {
  const env = { ...environmentOf(folder, cluster), SALLYPORT_CA_FILE: broker.caFile }
  const person = (name: string, more: Readonly<Record<string, string>>): Person => {
    const cwd = mkdtempSync(join(folder, 'desk-'))
    return { name, env: { ...env, ...more }, cwd }
  }
  const own = await cluster.clientCertificate('jo', ['maintainers'])
  const kubeconfig = writeKubeconfig(cluster, 'jo', {
    'client-certificate-data': Buffer.from(own.certPem).toString('base64'),
    'client-key-data': Buffer.from(own.keyPem).toString('base64'),
  })
  return {
    admin: person('the cluster administrator', { KUBECONFIG: cluster.adminKubeconfig }),
    jo: person('jo, of the group maintainers', { KUBECONFIG: kubeconfig }),
    pipeline(of, version) {
      const claims = githubClaims(broker, {
        ...of,
        ref: `refs/tags/v${version}`,
        sha: '9f2c1d7e5b0a4c6f8e3d2b1a0c9f8e7d6c5b4a39',
      })
      const job = person(`the pipeline of ${of.repository} for the tag v${version}`, {
        JOB_TOKEN: broker.jobToken(claims),
        SALLYPORT_BROKER: broker.issuer,
        SALLYPORT_CLIENT_ID: 'publish',
        SALLYPORT_CLIENT_AUTH: 'federated',
        SALLYPORT_AUDIENCE: KUBE_AUDIENCE,
      })
      const name = `${of.repository}-${version}`.replaceAll('/', '-')
      const file = writeKubeconfig(cluster, name, { tokenFile: join(job.cwd, 'token') })
      return { ...job, env: { ...job.env, KUBECONFIG: file } }
    },
  }
}

/** `sallyport` of this checkout and the kubectl that the tests use, by their names; nothing of the machine's own settings. */
function environmentOf(folder: string, cluster: KubeCluster): Readonly<Record<string, string>> {
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  writeFileSync(join(bin, 'sallyport'), `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`)
  chmodSync(join(bin, 'sallyport'), 0o755)
  symlinkSync(cluster.kubectlFile, join(bin, 'kubectl'))
  return {
    PATH: `${bin}:${process.env['PATH'] ?? ''}`,
    HOME: folder,
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_CONFIG_SYSTEM: '/dev/null',
    GIT_PAGER: 'cat',
  }
}
