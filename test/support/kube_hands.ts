// Whoever types at a test cluster: kubeconfigs with credentials of their own, and jobs of GitHub Actions that come to the
// broker for a token.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { issuerClaims } from './issuer_fixtures.ts'
import type { KubeBroker } from './kube_broker.ts'
import type { KubeCluster } from './kube_cluster.ts'
import type { Config } from './test_broker.ts'

export type GitHubJob = {
  /** `owner/name` */
  readonly repository: string
  readonly repositoryId: string
  readonly ref: string
  readonly sha: string
}

const GITHUB = 'https://token.actions.githubusercontent.com'
const OWNER_ID = '41903210'

/** For `startKubeBroker`: jobs of one owner on github.com get tokens of the group `publishers`. */
export function knowGitHub(config: Config): void {
  config['connectors'] = [
    ...listIn(config, 'connectors'),
    {
      id: 'github',
      type: 'github-actions',
      issuer: GITHUB,
      jwksFile: 'upstream.jwks.json',
      singleUse: 'off',
    },
  ]
  config['policies'] = [
    ...listIn(config, 'policies'),
    {
      name: 'publishers',
      connector: 'github',
      claims: { repository_owner_id: OWNER_ID },
      grant: { audiences: ['kube:test'], groups: ['publishers'] },
    },
  ]
}

function listIn(config: Config, key: string): readonly unknown[] {
  const list = config[key]
  return Array.isArray(list) ? list : []
}

/** What the broker gives the job. In the cluster its group is `ci:publishers`. */
export function githubToken(broker: KubeBroker, job: GitHubJob): Promise<string> {
  return broker.tokenOf('github', githubClaims(broker, job))
}

/** What GitHub says of the job to the broker. */
export function githubClaims(broker: KubeBroker, job: GitHubJob): Readonly<Record<string, unknown>> {
  const { repository, repositoryId, ref, sha } = job
  const [owner = ''] = repository.split('/')
  const now = Math.floor(Date.now() / 1000)
  return {
    ...issuerClaims('github-immutable-environment'),
    iss: GITHUB,
    aud: broker.issuer,
    iat: now,
    nbf: now,
    exp: now + 300,
    jti: undefined,
    environment: undefined,
    sub: `repo:${repository}:ref:${ref}`,
    repository,
    repository_id: repositoryId,
    repository_owner: owner,
    repository_owner_id: OWNER_ID,
    ref,
    ref_type: ref.startsWith('refs/tags/') ? 'tag' : 'branch',
    sha,
  }
}

/** The file. `user`: as in a kubeconfig. */
export function writeKubeconfig(
  cluster: KubeCluster,
  name: string,
  user: Readonly<Record<string, unknown>>,
): string {
  const folder = join(cluster.folder, 'hands')
  mkdirSync(folder, { recursive: true })
  const file = join(folder, `${name}.kubeconfig`)
  const ca = Buffer.from(cluster.caPem).toString('base64')
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server: cluster.url, 'certificate-authority-data': ca } }],
    users: [{ name: 'user', user }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'user' } }],
    'current-context': 'test',
  }
  writeFileSync(file, stringify(config), { mode: 0o600 })
  return file
}

export async function serviceAccountToken(
  cluster: KubeCluster,
  namespace: string,
  name: string,
): Promise<string> {
  const { stdout, stderr } = await cluster.kubectl(['create', 'token', name, '-n', namespace])
  if (stdout === '') throw new Error(stderr)
  return stdout.trim()
}
