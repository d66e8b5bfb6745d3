// Seed 002's section "Token Exchange" on a real kube-apiserver: its lines word for word (hosts aside) for a GitLab job and
// for a real Keycloak, and each line of its "Diagnostics" with the command that names the cause.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { words } from '../support/cli.ts'
import { keycloakAdmin, setServiceAccountEmail } from '../support/keycloak_admin.ts'
import { kubeBinaries, newestKubeVersion } from '../support/kube_binaries.ts'
import { keycloakHome, peerOrSkip, startKeycloak } from '../support/peers.ts'
import type { Keycloak } from '../support/peers.ts'
import { runSallyport } from '../support/sallyport_command.ts'
import { between, dedent, readSeed, withoutSeeds } from '../support/seeds.ts'
import { runShell } from '../support/shell.ts'
import {
  authConfig,
  DEPLOYER,
  gitlabToken,
  LIFETIME_SECONDS,
  runLines,
  startWorld,
  stranger,
} from './kube/seed_002_world.ts'
import type { World } from './kube/seed_002_world.ts'
import { ciClient } from './wire/world.ts'

const binaries = await peerOrSkip(() => kubeBinaries(newestKubeVersion()))
const home = await peerOrSkip(keycloakHome)
const skip = withoutSeeds() === false ? binaries.skip : withoutSeeds()

// Keycloak alone takes up to a minute to start.
t.setTimeout(600_000)

t.test("seed 002's Token Exchange on a real kube-apiserver", { skip, timeout: 600_000 }, async (t) => {
  const page = readSeed('002-deckhouse-ci-cd-access.md')
  const gitlabSection = between(
    page.slice(page.indexOf('## Token Exchange')),
    '### GitLab CI',
    '### Keycloak',
  )
  const gitlabLines = dedent(between(gitlabSection, '- |\n', '```'))
  const keycloakSection = between(page, '### Keycloak', '### Diagnostics')
  const [keycloakLogin = '', keycloakLines = ''] = [...keycloakSection.matchAll(/```shell\n(.*?)```/gs)].map(
    ([, text]) => text,
  )
  const diagnostics = between(page, '### Diagnostics', 'Decode token to check claims')
  t.match(gitlabLines, /d8 k --server="\$\{K8S_SERVER\}" --token="\$\{DEX_TOKEN\}" get ns/, 'as on the page')

  const world = await startWorld(t)
  const { cluster, env } = world
  const job = (lines = gitlabLines, changes: Readonly<Record<string, unknown>> = {}) =>
    runLines(lines, { ...env, GITLAB_OIDC_TOKEN: gitlabToken(world, changes) })

  const keycloak = home.skip === false ? startRealm(t, world) : undefined
  const first = await job()
  const expiresAt = Date.now() + LIFETIME_SECONDS * 1000

  await t.test('without a grant: API 403, and explain says whom to bind', async (t) => {
    t.match(diagnostics, /API 403\*\* — authentication succeeded but RBAC does not allow access for the user/)
    t.match(first, { code: 1, stderr: `User "${DEPLOYER}" cannot list resource "namespaces"` })
    const said = await kubeExplain(world, first.token)
    t.match(said, {
      code: 1,
      outcome: { kind: 'authenticated', user: { username: DEPLOYER } },
      cluster: { bearer: { kind: 'taken' }, access: [{ answer: { allowed: false } }] },
    })
    const text = await runSallyport(explainFlags(world), { input: first.token })
    t.match(text.stdout, `bind a role that allows it to User "${DEPLOYER}"`)
    t.notMatch(text.stdout + text.stderr, first.token)
  })

  await t.test('after the grant a GitLab job may `d8 k get ns`', async (t) => {
    // The page grants with Deckhouse's ClusterAuthorizationRule; this is what that comes to.
    const role = ['create', 'clusterrole', 'ci-deployer', '--verb=get,list', '--resource=namespaces']
    t.match(await cluster.kubectl(role), { code: 0 })
    const binding = ['create', 'clusterrolebinding', 'ci-deployer', '--clusterrole=ci-deployer']
    t.match(await cluster.kubectl([...binding, `--user=${DEPLOYER}`]), { code: 0 })
    const run = await job()
    t.match(run, { code: 0, stdout: /^default +Active/m })
    t.match(await kubeExplain(world, run.token), {
      code: 0,
      cluster: { access: [{ answer: { allowed: true } }] },
    })
  })

  await t.test('Dex 400: each of its three causes is told, and explain names it', async (t) => {
    const line = 'Dex 400** — invalid `subject_token`, `subject_token_type`, or `connector_id`.'
    t.ok(diagnostics.includes(line))
    const cut = gitlabLines.replace(
      'subject_token=${GITLAB_OIDC_TOKEN}',
      'subject_token=${GITLAB_OIDC_TOKEN%%.*}',
    )
    t.equal((await job(cut)).response, '{"error":"access_denied"}')
    const half = gitlabToken(world).replace(/\..*/, '')
    t.match(await brokerExplain(world, half), { reason: 'subject_malformed' })

    const type = gitlabLines.replace(
      'subject_token_type=urn:ietf:params:oauth:token-type:id_token',
      'subject_token_type=jwt',
    )
    t.match(await job(type), { response: /Invalid subject_token_type\./ })
    t.match(await brokerExplain(world, gitlabToken(world), ['--token-type', 'jwt']), {
      reason: 'subject_token_type_unsupported',
    })

    const connector = gitlabLines.replace('connector_id=gitlab', 'connector_id=gitlap')
    t.match(await job(connector), { response: /"error":"invalid_request"/ })
    t.match(await brokerExplain(world, gitlabToken(world), ['--connector', 'gitlap']), {
      reason: 'connector_unknown',
    })
  })

  await t.test('Dex 401: client or subject token, and explain names which', async (t) => {
    t.match(diagnostics, 'Dex 401** — invalid client credentials or invalid subject token.')
    const wrong = gitlabLines.replace('${DEX_CLIENT_SECRET}', 'not-it')
    t.match(await job(wrong), { response: /"error":"invalid_client"/ })
    const secretFile = join(t.testdir({ secret: 'not-it' }), 'secret')
    t.match(await brokerExplain(world, gitlabToken(world), ['--client-secret-file', secretFile]), {
      reason: 'client_secret_wrong',
    })
    const past = Math.floor(Date.now() / 1000) - 600
    const run = await job(gitlabLines, { exp: past })
    t.equal(run.response, '{"error":"access_denied"}')
    t.match(await brokerExplain(world, gitlabToken(world, { exp: past })), { reason: 'subject_expired' })
  })

  await t.test('API 401, the annotation: the broker says it first', async (t) => {
    t.match(diagnostics, 'Annotation `dexclient.deckhouse.io/allow-access-to-kubernetes` on DexClient.')
    const env2 = { ...env, DEX_CLIENT_ID: stranger.id, DEX_CLIENT_SECRET: stranger.secret }
    const token = gitlabToken(world)
    const run = await runLines(gitlabLines, { ...env2, GITLAB_OIDC_TOKEN: token })
    t.match(run, { response: /"error":"invalid_target"/, token: 'null' })
    t.match(await brokerExplain(world, token, ['--client-id', stranger.id]), {
      reason: 'audience_not_trusted',
    })
  })

  await t.test('API 401, the scope: explain names the missing audience and the missing claim', async (t) => {
    t.match(diagnostics, 'Scope contains `audience:server:client_id:kubernetes` and `profile`.')
    const elsewhere = await job(gitlabLines.replace(' audience:server:client_id:kubernetes', ''))
    t.match(elsewhere, { code: 1, stderr: UNAUTHORIZED })
    t.match(await kubeExplain(world, elsewhere.token), {
      code: 1,
      outcome: { refusal: { code: 'audience_not_accepted' } },
      cluster: { bearer: { kind: 'refused', reason: /expected audience "kubernetes"/ } },
    })
    // An apiserver that names its users by `name`, as the page says some do.
    await cluster.writeAuthenticationConfig(await authConfig(world.dexFile, world.files.caFile, 'name'))
    const byName = await eventually(async () => (await job()).stderr.includes('User "release-bot"'))
    t.ok(byName)
    const nameless = await job(gitlabLines.replace(' profile', ''))
    t.match(nameless, { code: 1, stderr: UNAUTHORIZED })
    t.match(await kubeExplain(world, nameless.token, cluster.authenticationConfigFile), {
      outcome: { refusal: { code: /claim_missing|expression_failed/, wayOut: /profile/ } },
      cluster: { bearer: { kind: 'refused', reason: /name/ } },
    })
    await cluster.writeAuthenticationConfig(readFileSync(world.authentication, 'utf8'))
    t.ok(await eventually(async () => (await job()).code === 0))
  })

  await t.test('API 401, the time: explain tells an expired token from a clock that differs', async (t) => {
    t.match(diagnostics, 'Time synchronization between CI runner and cluster.')
    await sleep(Math.max(0, expiresAt + 1500 - Date.now()))
    const late = await cluster.kubectl(['get', 'ns', '--token', first.token], {
      kubeconfig: cluster.bareKubeconfig,
    })
    t.match(late, { code: 1, stderr: UNAUTHORIZED })
    t.match(await kubeExplain(world, first.token), {
      outcome: { refusal: { code: 'token_expired' } },
      cluster: { bearer: { kind: 'refused', reason: /oidc: token is expired/ } },
    })
    // The same token to a cluster whose clock is right by its own lights, and behind ours.
    const then = String(Math.floor(expiresAt / 1000) - LIFETIME_SECONDS + 5)
    const behind = await runSallyport([...explainFlags(world, { offline: true }), '--now', then], {
      input: first.token,
    })
    t.match(behind, { code: 0, stdout: `username  ${DEPLOYER}` })
  })

  await t.test('a real Keycloak', { skip: home.skip }, async (t) => {
    const realm = await keycloak
    if (realm === undefined) throw new Error('Keycloak was not started')
    const login = keycloakLogin
      .replace('<KEYCLOAK_HOST>', `localhost:${world.keycloakPort}`)
      .replace('<REALM>', 'platform')
      .replace('<KEYCLOAK_CLIENT_ID>', 'ci-deployer')
      .replace('<KEYCLOAK_CLIENT_SECRET>', 'ci-deployer-secret-0123456789')
    const deploy = async () => {
      const { variables } = await runShell(login, env, ['KEYCLOAK_TOKEN'])
      return runLines(keycloakLines, { ...env, KEYCLOAK_TOKEN: variables['KEYCLOAK_TOKEN'] ?? '' })
    }

    await t.test('a service account has no address: API 401, and explain names the claim', async (t) => {
      const run = await deploy()
      t.match(run, { code: 1, stderr: UNAUTHORIZED })
      t.match(await kubeExplain(world, run.token), {
        outcome: { refusal: { code: 'claim_missing', reason: /email/ } },
        cluster: { bearer: { kind: 'refused', reason: /email/ } },
      })
    })

    await t.test('with a verified one it may `d8 k get ns`', async (t) => {
      const admin = await keycloakAdmin(realm, world.files.caPem)
      await setServiceAccountEmail(admin, 'ci-deployer', DEPLOYER)
      t.match(await deploy(), { code: 0, stdout: /^default +Active/m })
    })
  })
})

const UNAUTHORIZED = /You must be logged in to the server/

async function startRealm(t: Test, { files, issuer, keycloakPort }: World): Promise<Keycloak> {
  const keycloak = await startKeycloak({ ...files, brokerAudience: issuer, port: keycloakPort })
  t.teardown(() => keycloak.stop())
  return keycloak
}

/** `kube explain` with the apiserver's file, asking the cluster, too, unless offline. */
function explainFlags(world: World, how: { file?: string; offline?: boolean } = {}): string[] {
  const about = ['kube', 'explain', '--config', how.file ?? world.authentication, '--token', '-']
  const cluster = ['--kubeconfig', world.cluster.adminKubeconfig, '--can', 'list', 'namespaces']
  return [...about, ...(how.offline === true ? ['--offline'] : cluster)]
}

async function kubeExplain(world: World, token: string, file = world.authentication) {
  const run = await runSallyport([...explainFlags(world, { file }), '--json'], { input: token })
  if (run.stdout === '') throw new Error(`kube explain says nothing: ${run.stderr}`)
  return { code: run.code, ...Object(JSON.parse(run.stdout)) }
}

/** Why the broker denies this subject token; `undefined` when it does not. */
async function brokerExplain(world: World, token: string, more: readonly string[] = []): Promise<unknown> {
  const flags = words(
    `kube explain --config ${world.authentication} --token - --broker-dex-config ${world.dexFile}`,
    `--client-id ${ciClient} --connector gitlab --json`,
  )
  const run = await runSallyport([...flags, ...more], { input: token })
  return Object(JSON.parse(run.stdout)).broker.denial
}

/** A changed file is taken up after ten seconds. */
async function eventually(holds: () => Promise<boolean>): Promise<boolean> {
  const deadline = Date.now() + 40_000
  while (Date.now() < deadline) {
    if (await holds()) return true
    await sleep(500)
  }
  return false
}
