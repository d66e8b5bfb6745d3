// What seed 003's article is played on: a Forgejo that gives its jobs tokens, our broker with that repository's id pinned, and
// a real kube-apiserver. A job is a shell with the runner's two variables, a home of its own and `sallyport` on its PATH.
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { stringify } from 'yaml'
import { freePorts, portOf, startChildServer } from '../../support/child_server.ts'
import type { ChildServer } from '../../support/child_server.ts'
import { issuerClaims } from '../../support/issuer_fixtures.ts'
import { commandFolder } from '../../support/sallyport_command.ts'
import { makeTestCertificate, startTestIssuer } from '../../support/test_issuer.ts'
import type { TestIssuer } from '../../support/test_issuer.ts'

/** The article's repository, and the id that its forge gave it. */
export const REPOSITORY = 'adam/technowizardry.net'
export const REPOSITORY_ID = '456'
/** Of somebody who registered the same path after it was given up. */
export const OTHER_ID = '789'
export const NAMESPACE = 'technowizardry'
export const AUDIENCE = 'kubernetes'

export type World = {
  readonly folder: string
  readonly forgejo: TestIssuer
  /** The forge without the issuer's path. */
  readonly forge: string
  readonly issuer: string
  readonly caFile: string
  readonly configFile: string
  readonly broker: ChildServer
  /** Audiences that jobs asked their forge for, in order. */
  readonly asked: readonly string[]
  /** What a job of the repository has in its environment, and one of whoever registered the path again, on the same runner. */
  readonly adam: Readonly<Record<string, string>>
  readonly eve: Readonly<Record<string, string>>
  readonly home: string
}

export async function startWorld(t: Test, kubectl: string): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-seed-003-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const forgejo = await startTestIssuer({ path: '/api/actions', algorithms: ['RS256'] })
  t.teardown(() => forgejo.close())
  const [port = 0, opsPort = 0] = await freePorts(2)
  const issuer = `https://localhost:${port}`
  const certificate = await makeTestCertificate(['localhost', '127.0.0.1'])
  writeFileSync(join(folder, 'tls.crt'), certificate.certPem)
  writeFileSync(join(folder, 'tls.key'), certificate.keyPem, { mode: 0o600 })
  const configFile = join(folder, 'sallyport.yaml')
  writeFileSync(configFile, stringify(brokerConfig(issuer, opsPort, forgejo)))
  const broker = await startBroker(configFile, folder, port)
  t.teardown(() => broker.stop())
  const asked: string[] = []
  const runnerUrl = await startRunner(t, forgejo, asked)
  const home = join(folder, 'home')
  mkdirSync(home)
  const job = {
    HOME: home,
    PATH: `${commandFolder(t, kubectl)}:${process.env['PATH'] ?? ''}`,
    FORGEJO_ACTIONS: 'true',
    GITHUB_ACTIONS: 'true',
    ACTIONS_ID_TOKEN_REQUEST_URL: `${runnerUrl}/api/actions/_apis/idtoken?placeholder=true`,
  }
  const adam = { ...job, ACTIONS_ID_TOKEN_REQUEST_TOKEN: "runtime-token-of-adam's-job" }
  const eve = { ...job, ACTIONS_ID_TOKEN_REQUEST_TOKEN: "runtime-token-of-eve's-job" }
  const { caFile } = certificate
  const forge = forgejo.origin
  return { folder, forgejo, forge, issuer, caFile, configFile, broker, asked, adam, eve, home }
}

function brokerConfig(issuer: string, opsPort: number, forgejo: TestIssuer): Record<string, unknown> {
  return {
    issuer,
    listen: {
      public: { address: new URL(issuer).host, tls: { certFile: 'tls.crt', keyFile: 'tls.key' } },
      ops: `127.0.0.1:${opsPort}`,
    },
    store: { type: 'memory' },
    connectors: [{ id: 'forgejo', type: 'forgejo-actions', issuer: forgejo.url, caFile: forgejo.caFile }],
    clients: [
      {
        id: 'blog',
        auth: { method: 'federated_jwt', connector: 'forgejo', policy: 'blog' },
        connectors: ['forgejo'],
        defaultAudiences: [AUDIENCE],
      },
    ],
    audiences: [{ id: AUDIENCE, profile: 'kubernetes', clients: ['blog'] }],
    policies: [
      {
        name: 'blog',
        connector: 'forgejo',
        claims: { repository_id: REPOSITORY_ID, ref: 'refs/heads/main' },
        grant: { audiences: [AUDIENCE], ttl: '10m' },
      },
    ],
  }
}

function startBroker(configFile: string, folder: string, port: number): Promise<ChildServer> {
  const main = join(import.meta.dirname, '..', '..', '..', 'src', 'main.ts')
  return startChildServer({
    name: 'sallyport',
    command: process.execPath,
    args: [main, 'serve', '--config', configFile],
    cwd: folder,
    ready: () => isListening(port),
  })
}

async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } finally {
    socket.destroy()
  }
}

/** What a job of Forgejo 16 says of itself; release 15 has no ids. */
export function jobClaims(
  { forgejo }: Pick<World, 'forgejo'>,
  audience: string,
  changes: Readonly<Record<string, unknown>> = {},
): Readonly<Record<string, unknown>> {
  const now = Math.floor(Date.now() / 1000)
  return {
    ...issuerClaims('forgejo15-main'),
    iss: forgejo.url,
    aud: audience,
    sub: `repo:${REPOSITORY}:ref:refs/heads/main`,
    repository: REPOSITORY,
    repository_owner: 'adam',
    repository_id: REPOSITORY_ID,
    repository_owner_id: '123',
    workflow_ref: `${REPOSITORY}/.forgejo/workflows/publish.yml@refs/heads/main`,
    run_id: String(now),
    iat: now,
    nbf: now,
    exp: now + 3600,
    jti: undefined,
    ...changes,
  }
}

/** What the forge lets each job say of itself, by the token of its run. */
const JOBS: ReadonlyMap<string, Readonly<Record<string, unknown>>> = new Map([
  ["runtime-token-of-adam's-job", {}],
  ["runtime-token-of-eve's-job", { repository_id: OTHER_ID, repository_owner_id: '124' }],
])

async function startRunner(t: Test, forgejo: TestIssuer, asked: string[]): Promise<string> {
  const server = createServer((request, response) => {
    const claims = JOBS.get(request.headers.authorization?.replace('Bearer ', '') ?? '')
    if (claims === undefined) {
      response.writeHead(401).end()
      return
    }
    const audience = new URL(request.url ?? '', 'http://runner').searchParams.get('audience') ?? ''
    asked.push(audience)
    response.end(JSON.stringify({ value: forgejo.mint(jobClaims({ forgejo }, audience, claims)) }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${portOf(server)}`
}
