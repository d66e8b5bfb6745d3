// Seed 003's article on a real kube-apiserver: its file, its role and its workflow as they stand (hosts aside), and what they
// let happen; then the file of `sallyport kube auth-config`, ids pinned; then the same job through the broker, with nothing
// stored.
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { words } from '../support/cli.ts'
import type { CliRun } from '../support/cli.ts'
import { kubeBinaries, newestKubeVersion } from '../support/kube_binaries.ts'
import { kubeClusterFor } from '../support/kube_cluster.ts'
import type { KubeCluster } from '../support/kube_cluster.ts'
import { startKubeOracle } from '../support/kube_oracle.ts'
import { kubeAuthnOracleBinary, peerOrSkip } from '../support/peers.ts'
import { runSallyport } from '../support/sallyport_command.ts'
import { between, dedent, readSeed, withoutSeeds } from '../support/seeds.ts'
import { runShell } from '../support/shell.ts'
import type { ShellRun } from '../support/shell.ts'
import {
  AUDIENCE,
  jobClaims,
  NAMESPACE,
  OTHER_ID,
  REPOSITORY,
  REPOSITORY_ID,
  startWorld,
} from './kube/seed_003_world.ts'
import type { World } from './kube/seed_003_world.ts'

const binaries = await peerOrSkip(async () => {
  await kubeBinaries(newestKubeVersion())
  await kubeAuthnOracleBinary()
})
const skip = withoutSeeds() === false ? binaries.skip : withoutSeeds()
t.setTimeout(300_000)

const DIGEST = `sha256:${'9'.repeat(64)}`
const IMAGE = { registry: 'git.technowizardry.net', name: 'adam/blog' }

/** The article's own file, for our hosts. */
function seedFile(seed: string, world: World): string {
  const end = '        prefix: "forgejo:"\n'
  const text = `apiVersion: apiserver.config.k8s.io/v1beta1\n${between(seed, 'apiVersion: apiserver.config.k8s.io/v1beta1\n', end)}${end}`
  const url = '      url: https://git.technowizardry.net/api/actions\n'
  const ca = world.forgejo.caPem.trimEnd().replace(/^/gm, '        ')
  return text.replace(url, `      url: ${world.forgejo.url}\n      certificateAuthority: |\n${ca}\n`)
}

/** The two `run:` steps of the article's workflow, its expressions filled in. */
function seedSteps(
  seed: string,
  kubeconfig: string,
): { readonly authenticate: string; readonly deploy: string } {
  const step = (from: string, to: string) => dedent(between(between(seed, from, to), 'run: |\n', '\n\n'))
  const authenticate = step('- name: Authenticate with Kubernetes', '- name: Deploy to Kubernetes')
  const deploy = step('- name: Deploy to Kubernetes', 'References')
  return {
    authenticate: authenticate.replace('${{ vars.KUBERNETES_CONFIG }}', () =>
      kubeconfig.replaceAll('"', "'"),
    ),
    deploy: deploy
      .replaceAll('{deployment}', 'blog')
      .replaceAll('{namespace}', NAMESPACE)
      .replace('${{ env.REGISTRY }}', IMAGE.registry)
      // Nothing runs a container here, so no rollout ever ends.
      .replace(/^kubectl rollout status .*$/m, ''),
  }
}

/** The kubeconfig that the article keeps in a variable of its forge. */
function seedKubeconfig(cluster: KubeCluster): string {
  const ca = Buffer.from(cluster.caPem).toString('base64')
  return `apiVersion: v1
kind: Config
clusters:
- cluster: { certificate-authority-data: ${ca}, server: "${cluster.url}" }
  name: local
contexts:
- context: { cluster: local, user: oidc }
  name: oidc
current-context: oidc
`
}

async function prepareNamespace(cluster: KubeCluster): Promise<void> {
  const steps = [
    ['create', 'namespace', NAMESPACE],
    ['create', 'deployment', 'blog', '-n', NAMESPACE, '--image=blog:old'],
    ['patch', 'deployment', 'blog', '-n', NAMESPACE, '--type=json', '-p', RENAME_CONTAINER],
  ]
  for (const step of steps) {
    const { code, stderr } = await cluster.kubectl(step)
    if (code !== 0) throw new Error(stderr)
  }
}

const RENAME_CONTAINER = '[{"op":"replace","path":"/spec/template/spec/containers/0/name","value":"blog"}]'

const WHOAMI = ['auth', 'whoami', '-o', 'jsonpath={.status.userInfo}']

/** `sallyport kube auth-config` on the configuration of the running broker, with the Forgejo merged in. */
function authConfig(world: World, repositories: readonly string[]): Promise<CliRun> {
  const flags = words(
    `kube auth-config --config ${world.configFile} --ca-file ${world.caFile} --forgejo ${world.forge}`,
    `--forgejo-ca-file ${world.forgejo.caFile} --forge-audience forgejo`,
  )
  return runSallyport([...flags, ...repositories])
}

/** A changed file is taken up after ten seconds. */
async function eventually(holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 40_000
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error('it never came to hold')
    await sleep(200)
  }
}

async function imageOf(cluster: KubeCluster): Promise<string> {
  const path = 'jsonpath={.spec.template.spec.containers[0].image}'
  const { stdout } = await cluster.kubectl(['get', 'deployment', 'blog', '-n', NAMESPACE, '-o', path])
  return stdout
}

/** Everything that lies in a folder, as one text. */
function contentsOf(folder: string): string {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'))
    .join('\n')
}

t.test("seed 003's article on a real kube-apiserver", { skip, timeout: 300_000 }, async (t) => {
  const seed = readSeed('003-forgejo-actions-kube-apiserver.md')
  const version = newestKubeVersion()
  const { kubectl } = await kubeBinaries(version)
  const world = await startWorld(t, kubectl)
  const cluster = await kubeClusterFor(t, {
    version,
    authenticationConfig: seedFile(seed, world),
    auditLog: true,
  })
  await prepareNamespace(cluster)
  const bare = { kubeconfig: cluster.bareKubeconfig }

  await t.test('its file, role and workflow deploy as they stand', async (t) => {
    const role = `apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\n${between(seed, 'kind: Role\n', '\n\nThe RoleBinding')}`
    const binding = `apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\n${between(seed, 'kind: RoleBinding\n', '\n\nForgejo Workflow')}`
    const input = `${role}\n---\n${binding}\n`
    t.match(await cluster.kubectl(['apply', '-n', NAMESPACE, '-f', '-'], { input }), { code: 0 })

    const run = await seedJob(world.adam, DIGEST)
    t.equal(run.code, 0, run.stderr)
    t.equal(await imageOf(cluster), `${IMAGE.registry}/${IMAGE.name}@${DIGEST}`)
    t.strictSame(world.asked, ['forgejo'])
    t.match(contentsOf(world.home), /token: eyJ/, 'and leave the token on the disk of the runner')
  })

  await t.test('and let in whoever registers the path again, which lint tells', async (t) => {
    const run = await seedJob(world.eve, DIGEST.replaceAll('9', '6'))
    t.equal(run.code, 0, run.stderr)
    t.match(await imageOf(cluster), /@sha256:6{64}$/)
    const lint = await runSallyport(['kube', 'lint', '-'], { input: seedFile(seed, world) })
    t.match(
      lint.stdout + lint.stderr,
      /username_mutable .* whoever registers them again gets the permissions/,
    )
  })

  await t.test('the file of auth-config pins the id of a Forgejo that comes straight', async (t) => {
    const made = await authConfig(world, ['--forgejo-repository', REPOSITORY_ID])
    t.match(made, { code: 0 })
    await cluster.writeAuthenticationConfig(made.stdout)
    const token = () => world.forgejo.mint(jobClaims(world, 'forgejo'))
    await eventually(async () => {
      const { user } = await cluster.reviewToken(token())
      return Object(user).username === `forgejo:${REPOSITORY_ID}:refs/heads/main`
    })
    const whoami = await cluster.kubectl([...WHOAMI, '--token', token()], bare)
    t.match(JSON.parse(whoami.stdout), {
      username: `forgejo:${REPOSITORY_ID}:refs/heads/main`,
      uid: REPOSITORY_ID,
      groups: ['system:authenticated'],
      extra: {
        'sallyport.dev/source': [`${new URL(world.forge).host}/${REPOSITORY}`],
        'sallyport.dev/repository-id': [REPOSITORY_ID],
      },
    })
    const again = world.forgejo.mint(jobClaims(world, 'forgejo', { repository_id: OTHER_ID }))
    t.match(await cluster.kubectl([...WHOAMI, '--token', again], bare), { code: 1, stdout: '' })
    t.match(await cluster.reviewToken(again), { error: /failed: this repository is not trusted here\]$/ })
    const stranger = jobClaims(world, 'forgejo', { event_name: 'pull_request_target' })
    t.match(await cluster.reviewToken(world.forgejo.mint(stranger)), {
      error: /failed: this event is not trusted here\]$/,
    })
  })

  await t.test('for Forgejo 15, which has no ids, it pins the path and warns', async (t) => {
    const made = await authConfig(world, ['--forgejo-repository', REPOSITORY])
    t.match(made, { code: 0, stderr: /whoever registers the path again is let in/ })
    const oracle = await startKubeOracle()
    t.teardown(() => oracle.close())
    const withoutIds = { repository_id: undefined, repository_owner_id: undefined }
    const ask = (changes: Readonly<Record<string, unknown>>) =>
      oracle.authenticate({
        config: made.stdout,
        token: world.forgejo.mint(jobClaims(world, 'forgejo', { ...withoutIds, ...changes })),
        jwks: world.forgejo.publicJwks(),
      })
    t.match(await ask({}), { user: { username: `forgejo:repo:${REPOSITORY}:ref:refs/heads/main` } })
    const other = { repository: 'eve/blog', sub: 'repo:eve/blog:ref:refs/heads/main' }
    t.match(await ask(other), { error: /failed: this repository is not trusted here$/ })
  })

  await t.test('through the broker the job deploys with nothing stored', async (t) => {
    const rbac = words(
      `kube rbac --config ${world.configFile} --policy blog --namespace ${NAMESPACE}`,
      '--name sallyport-blog',
    )
    const roles = await runSallyport(rbac)
    t.match(roles, { code: 0 })
    t.match(await cluster.kubectl(['apply', '-f', '-'], { input: roles.stdout }), { code: 0 })
    const made = await runSallyport(
      words(
        `kube kubeconfig --server ${cluster.url} --ca-file ${cluster.caFile} --audience ${AUDIENCE}`,
        `--broker ${world.issuer} --broker-ca-file ${world.caFile} --client-id blog --client-auth federated`,
      ),
    )
    t.match(made, { code: 0 })
    t.notMatch(made.stdout, /eyJ[\w-]+\.eyJ/, 'there is no token in it')
    rmSync(world.home, { recursive: true })
    mkdirSync(join(world.home, '.kube'), { recursive: true })
    writeFileSync(join(world.home, '.kube', 'config'), made.stdout)

    const run = await brokerJob(world.adam, DIGEST.replaceAll('9', '3'))
    t.equal(run.code, 0, run.stderr + world.broker.logs())
    t.match(await imageOf(cluster), /@sha256:3{64}$/)
    t.notMatch(contentsOf(world.home), /eyJ[\w-]+\.eyJ/, 'no token lies on the disk of the runner')
  })

  await t.test('and the audit log of the cluster knows the repository by its id', async (t) => {
    const events = await cluster.auditEvents()
    const patch = events.findLast(({ verb }) => verb === 'patch')
    t.match(patch, {
      user: {
        username: `ci:forgejo:${REPOSITORY_ID}`,
        uid: REPOSITORY_ID,
        extra: {
          'sallyport.dev/source': [`${new URL(world.forge).host}/${REPOSITORY}`],
          'sallyport.dev/policy': ['blog'],
        },
      },
    })
    const credential: unknown = Object(patch?.['user']).extra['authentication.kubernetes.io/credential-id']
    const issued = /JTI=([^']+)/.exec(String(credential))?.[1] ?? 'none'
    t.match(world.broker.logs(), `"jti":"${issued}"`, "the jti joins it with the broker's audit event")
  })

  await t.test(
    'whoever registers the path again is denied by the broker, on the same runner too',
    async (t) => {
      const run = await brokerJob(world.eve, DIGEST.replaceAll('9', '1'))
      t.not(run.code, 0)
      t.notMatch(run.stderr, /eyJ[\w-]+\.eyJ/)
      t.match(await imageOf(cluster), /@sha256:3{64}$/, 'nothing was deployed')
      const denied = world.broker
        .logs()
        .split('\n')
        .filter((line) => line.includes('"decision":"deny"'))
      t.match(denied, [/"step":"claims.repository_id"/])
      t.equal(denied.length, 1, 'kubectl starts the plugin again, which does not ask again')
    },
  )

  /** The article's last step, under the kubeconfig of `sallyport kube kubeconfig`: no curl, no set-credentials. */
  function brokerJob(job: World['adam'], digest: string): Promise<ShellRun> {
    const { deploy } = seedSteps(seed, '')
    const own = { IMAGE_NAME: IMAGE.name, IMAGE_DIGEST: digest }
    return runShell(deploy, { ...job, ...own }, [], 'bash')
  }

  async function seedJob(job: World['adam'], digest: string): Promise<ShellRun> {
    const { authenticate, deploy } = seedSteps(seed, seedKubeconfig(cluster))
    const env = { ...job, IMAGE_NAME: IMAGE.name, IMAGE_DIGEST: digest }
    rmSync(world.home, { recursive: true, force: true })
    mkdirSync(world.home)
    const first = await runShell(authenticate, env, [], 'bash')
    return first.code === 0 ? runShell(deploy, env, [], 'bash') : first
  }
})
