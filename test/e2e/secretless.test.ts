// The job of docs/ci-examples.md without a stored secret, end to end: a GitLab and a GitHub job, the command and the
// POSIX script, a real broker with policies, an issuer that signs for real.
import { execFile } from 'node:child_process'
import { createServer } from 'node:http'
import { once } from 'node:events'
import { join } from 'node:path'
import { writeFileSync } from 'node:fs'
import t from 'tap'
import { freePort, startChildServer } from '../support/child_server.ts'
import type { ChildServer } from '../support/child_server.ts'
import { folder } from '../support/cli.ts'
import type { CliRun } from '../support/cli.ts'
import { issuerClaims } from '../support/issuer_fixtures.ts'
import { portOf, startTestIssuer } from '../support/test_issuer.ts'
import type { TestIssuer } from '../support/test_issuer.ts'

const dir = folder(t)
const port = await freePort()
const broker = `http://127.0.0.1:${port}`
const gitlab = await startTestIssuer()
t.teardown(() => gitlab.close())
const github = await startTestIssuer()
t.teardown(() => github.close())
const server = await startBroker()
t.teardown(() => server.stop())

async function startBroker(): Promise<ChildServer> {
  writeFileSync(
    join(dir, 'sallyport.yaml'),
    `issuer: ${broker}
listen: { public: { address: 127.0.0.1:${port} } }
store: { type: memory }
connectors:
  - { id: gitlab, type: gitlab-ci, issuer: ${gitlab.url}, caFile: ${gitlab.caFile} }
  - { id: github, type: github-actions, issuer: ${github.url}, caFile: ${github.caFile} }
clients:
  - { id: ci, auth: { method: federated_jwt, connector: gitlab, policy: deploy }, connectors: [gitlab] }
  - { id: gh, auth: { method: federated_jwt, connector: github, policy: publish }, connectors: [github] }
audiences:
  - { id: kubernetes, profile: kubernetes, clients: [ci, gh] }
policies:
  - name: deploy
    connector: gitlab
    claims: { project_id: "48291", ref: main }
    condition: claims.ref_protected == "true"
    grant: { audiences: [kubernetes], groups: [deployers], ttl: 10m }
  - name: publish
    connector: github
    claims: { repository_id: "739500857", ref: refs/heads/main }
    grant: { audiences: [kubernetes], groups: [publishers], ttl: 10m }
`,
  )
  return startChildServer({
    name: 'sallyport',
    command: process.execPath,
    args: [join(import.meta.dirname, '../../src/main.ts'), 'serve', '--config', 'sallyport.yaml'],
    cwd: dir,
    ready: async () => (await fetch(`${broker}/healthz`)).ok,
  })
}

/** The claims of a fixture as the issuer would state them now. */
function claimsNow(issuer: TestIssuer, fixture: string, changes: Readonly<Record<string, unknown>>) {
  const now = Math.floor(Date.now() / 1000)
  const times = { iat: now, nbf: now - 5, exp: now + 600, jti: crypto.randomUUID() }
  return { ...issuerClaims(fixture), iss: issuer.url, aud: broker, ...times, ...changes }
}

const ways = [
  ['command', process.execPath, ['src/main.ts', 'exchange']],
  ['script', 'sh', ['deploy/ci/sallyport-exchange.sh']],
] as const
type Way = (typeof ways)[number]

function exchange(way: Way, env: Readonly<Record<string, string>>): Promise<CliRun> {
  const { promise, resolve } = Promise.withResolvers<CliRun>()
  const [, command, first] = way
  const world = {
    PATH: process.env['PATH'],
    SALLYPORT_BROKER: broker,
    SALLYPORT_CLIENT_AUTH: 'federated',
    SALLYPORT_AUDIENCE: 'kubernetes',
    ...env,
  }
  execFile(command, [...first], { env: world }, (error, stdout, stderr) => {
    resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
  })
  return promise
}

function claimsOf(jwt: string): unknown {
  return JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString('utf8'))
}

function gitlabJob(way: Way, changes: Readonly<Record<string, unknown>>): Promise<CliRun> {
  return exchange(way, {
    GITLAB_CI: 'true',
    SALLYPORT_CLIENT_ID: 'ci',
    SALLYPORT_ID_TOKEN: gitlab.mint(claimsNow(gitlab, 'gitlab-push-main', changes)),
  })
}

for (const way of ways) {
  t.test(`a GitLab job gets its token by the ${way[0]} with nothing stored`, async (t) => {
    const granted = await gitlabJob(way, {})
    t.equal(granted.code, 0, granted.stderr + server.logs())
    t.match(claimsOf(granted.stdout), {
      iss: broker,
      aud: 'kubernetes',
      groups: ['deployers'],
      policy: 'deploy',
    })

    const denied = await gitlabJob(way, { ref: 'feature' })
    t.match(denied, { code: 1, stdout: '' })
    const requestId = /request id: (\S+)/.exec(denied.stderr)?.[1] ?? 'none'
    const event = server
      .logs()
      .split('\n')
      .find((line) => line.includes('"decision"') && line.includes(requestId))
    t.match(JSON.parse(event ?? '{}'), { decision: 'deny', reason: 'client_assertion_invalid' })
  })

  t.test(`a GitHub job asks for its token and exchanges it by the ${way[0]}`, async (t) => {
    const runner = createServer((request, response) => {
      const audience = new URL(request.url ?? '', broker).searchParams.get('audience')
      const claims = claimsNow(github, 'github-legacy-main', { aud: audience })
      response.end(JSON.stringify({ value: github.mint(claims) }))
    })
    runner.listen(0, '127.0.0.1')
    await once(runner, 'listening')
    t.teardown(() => {
      runner.closeAllConnections()
      runner.close()
    })
    const granted = await exchange(way, {
      GITHUB_ACTIONS: 'true',
      SALLYPORT_CLIENT_ID: 'gh',
      ACTIONS_ID_TOKEN_REQUEST_URL: `http://127.0.0.1:${portOf(runner)}/idtoken?api-version=2.0`,
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'runtime-token',
    })
    t.equal(granted.code, 0, granted.stderr + server.logs())
    t.match(claimsOf(granted.stdout), { aud: 'kubernetes', groups: ['publishers'], policy: 'publish' })
  })
}
