// Our broker in front of a test cluster: `sallyport serve` as a process with HTTPS of its own CA, SQLite in a folder, one
// audience for the cluster, one policy, and an upstream whose jobs come for tokens.
//
//   const broker = await startKubeBroker(t)
//   const cluster = await kubeClusterFor(t, { authenticationConfig: await broker.generatedConfig() })
//   const token = await broker.token()
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { ID_TOKEN_TYPE, TOKEN_EXCHANGE } from '../../src/core/oauth/names.ts'
import { openKeyRing } from '../../src/platform/keys/key_ring.ts'
import { openSqliteStore } from '../../src/platform/store/sqlite_store.ts'
import { SECRETS } from './broker_config.ts'
import { freePorts, startChildServer } from './child_server.ts'
import type { ChildServer } from './child_server.ts'
import type { CliRun } from './cli.ts'
import { makeClusterAuthority } from './kube_pki.ts'
import { MAIN } from './served.ts'
import { encodeForm, gitlabClaims } from './test_broker.ts'
import type { Config } from './test_broker.ts'
import { startTestIssuer } from './test_issuer.ts'

export const KUBE_AUDIENCE = 'kube:test'
export const CLUSTER_SECRET = 'Wq7Rt2+Zx%9Lk4Pn6Vb8Yc1Jm5Hd3Gf0'

export type KubeBroker = {
  readonly issuer: string
  readonly folder: string
  readonly caPem: string
  readonly caFile: string
  /** A token of the job for the cluster, fresh from the token endpoint. */
  token(): Promise<string>
  /** What the job's platform gives it: `claims`, `iss` among them unless it is the upstream's own, signed now. */
  jobToken(claims: Readonly<Record<string, unknown>>): string
  /** Of another job, which `claims` describe, `iss` among them. */
  tokenOf(connector: string, claims: Readonly<Record<string, unknown>>): Promise<string>
  start(): Promise<void>
  stop(): Promise<void>
  /** At once, as a machine that loses power. */
  kill(): Promise<void>
  signal(name: NodeJS.Signals): void
  /** `sallyport keys ...` as a process of its own. */
  keys(...args: readonly string[]): Promise<CliRun>
  /** Writes the configuration, changed; the running broker takes it up. */
  write(change: (config: Config) => void): void
  /** A new certificate, of its own CA or of one that nobody knows. */
  renewCertificate(options?: { readonly foreign?: boolean }): Promise<void>
  /** The value of a metric, summed over the series whose labels hold `labels`. */
  metric(name: string, labels?: string): Promise<number>
  metrics(): Promise<string>
  keySet(): Promise<string>
  audit(): readonly Config[]
  /** What `sallyport kube auth-config` prints for it. */
  generatedConfig(): Promise<string>
  /** The same, written by hand, to be changed. */
  authenticationConfig(more?: { readonly jwt?: readonly unknown[]; readonly message?: string }): string
}

export type KubeBrokerOptions = {
  /** Age of the first key when the broker starts. With the default rotation it is due for its next one at 160 s. */
  readonly keyAgeSeconds?: number
  readonly change?: (config: Config) => void
}

/** What a test of tap gives, as far as it is needed. */
type WithTeardown = { teardown(fn: () => unknown): void }

const HOSTS = ['localhost', '127.0.0.1']
const ENV = {
  PATH: process.env['PATH'],
  CI_SECRET: SECRETS.ci,
  CLUSTER_SECRET,
}

export async function startKubeBroker(t: WithTeardown, options: KubeBrokerOptions = {}): Promise<KubeBroker> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-kube-broker-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const upstream = await startTestIssuer()
  t.teardown(() => upstream.close())
  const [authority, foreign] = [await makeClusterAuthority(), await makeClusterAuthority()]
  const [port = 0, opsPort = 0] = await freePorts(2)
  const issuer = `https://localhost:${port}`
  const opsUrl = `http://127.0.0.1:${opsPort}`
  const file = (name: string): string => join(folder, name)
  let server: ChildServer | undefined

  const broker: KubeBroker = {
    issuer,
    folder,
    caPem: authority.caPem,
    caFile: file('ca.crt'),
    token: () => broker.tokenOf('gitlab', gitlabClaims(issuer)),
    jobToken: (claims) => upstream.mint(claims),
    async tokenOf(connector, claims) {
      const form = {
        grant_type: TOKEN_EXCHANGE,
        client_id: 'ci',
        client_secret: SECRETS.ci,
        connector_id: connector,
        subject_token_type: ID_TOKEN_TYPE,
        subject_token: broker.jobToken(claims),
        audience: KUBE_AUDIENCE,
      }
      const answer = await post(`${issuer}/token`, authority.caPem, encodeForm(form))
      const token: unknown = Object(JSON.parse(answer))['access_token']
      if (typeof token !== 'string') throw new Error(`no token: ${answer}`)
      return token
    },
    async start() {
      server = await startChildServer({
        name: 'sallyport',
        command: process.execPath,
        args: [MAIN, 'serve'],
        cwd: folder,
        env: ENV,
        ready: async () => (await fetch(`${opsUrl}/readyz`)).ok,
      })
    },
    stop: async () => server?.stop(),
    async kill() {
      server?.signal('SIGKILL')
      await server?.exited
    },
    signal: (name) => server?.signal(name),
    keys: (...args) => runHere(['keys', ...args], folder),
    write(change) {
      const config = configOf({ issuer, port, opsPort, upstream: upstream.url })
      options.change?.(config)
      change(config)
      writeFileSync(file('sallyport.yaml'), stringify(config))
    },
    async renewCertificate({ foreign: isForeign = false } = {}) {
      const { certPem, keyPem } = await (isForeign ? foreign : authority).server(HOSTS)
      writeFileSync(file('tls.key'), keyPem, { mode: 0o600 })
      writeFileSync(file('tls.crt'), certPem)
      server?.signal('SIGHUP')
    },
    async metric(name, labels = '') {
      const lines = (await broker.metrics()).split('\n')
      const series = lines.filter((line) => line.startsWith(`${name}{`) && line.includes(labels))
      return series.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
    },
    metrics: async () => (await fetch(`${opsUrl}/metrics`)).text(),
    keySet: () => post(`${issuer}/keys`, authority.caPem),
    audit: () =>
      readFileSync(file('audit.log'), 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line): Config => Object(JSON.parse(line))),
    async generatedConfig() {
      const { code, stdout, stderr } = await runHere(['kube', 'auth-config', '--ca-file', 'ca.crt'], folder)
      if (code !== 0) throw new Error(`kube auth-config ends with ${code}: ${stderr}`)
      return stdout
    },
    authenticationConfig: (more = {}) =>
      stringify({
        apiVersion: 'apiserver.config.k8s.io/v1',
        kind: 'AuthenticationConfiguration',
        jwt: [authenticatorOf(issuer, authority.caPem, more.message), ...(more.jwt ?? [])],
      }),
  }
  writeFileSync(file('ca.crt'), authority.caPem)
  writeFileSync(file('upstream.jwks.json'), JSON.stringify(upstream.publicJwks()))
  await broker.renewCertificate()
  broker.write(() => {})
  if (options.keyAgeSeconds !== undefined) await makeAgedKey(file('sallyport.db'), options.keyAgeSeconds)
  t.teardown(() => broker.stop())
  await broker.start()
  return broker
}

/**
 * A key signs for 320 s at least before the next takes over, which is longer than a test should take. So the first key
 * is one that a broker made so many seconds ago; from here on the clock is everybody's.
 */
async function makeAgedKey(file: string, ageSeconds: number): Promise<void> {
  const clock = (): number => Date.now() - ageSeconds * 1000
  const store = await openSqliteStore({ file, clock })
  const ring = await openKeyRing({
    store,
    clock,
    randomBytes,
    config: {
      algorithm: 'ES256',
      rotationSeconds: 60,
      sealingKeyFile: undefined,
      extraPublicKeysFile: undefined,
    },
    maxTokenTtlSeconds: 600,
    log: { info: () => {}, warn: () => {} },
    refreshSeconds: 0,
  })
  ring.close()
  await store.close()
}

function configOf(at: {
  readonly issuer: string
  readonly port: number
  readonly opsPort: number
  readonly upstream: string
}): Config {
  return {
    issuer: at.issuer,
    listen: {
      public: { address: `127.0.0.1:${at.port}`, tls: { certFile: 'tls.crt', keyFile: 'tls.key' } },
      ops: `127.0.0.1:${at.opsPort}`,
    },
    store: { type: 'sqlite', file: 'sallyport.db' },
    audit: { destination: 'audit.log' },
    // The shortest: a key signs twice as long as its follower waits.
    keys: { rotateEvery: '1m' },
    connectors: [
      {
        id: 'gitlab',
        type: 'gitlab-ci',
        issuer: at.upstream,
        jwksFile: 'upstream.jwks.json',
        singleUse: 'off',
      },
    ],
    clients: [{ id: 'ci', auth: { method: 'client_secret', secretEnv: 'CI_SECRET' } }],
    audiences: [{ id: KUBE_AUDIENCE, profile: 'kubernetes', clients: ['ci'] }],
    policies: [
      {
        name: 'acme-main',
        connector: 'gitlab',
        claims: { project_id: '48291', ref: 'main' },
        grant: { audiences: [KUBE_AUDIENCE], groups: ['deployers'], username: 'gitlab:${project_path}' },
      },
    ],
  }
}

/** The rules of `sallyport kube auth-config`, as an object. `message`: of a rule that always holds, to change the file. */
function authenticatorOf(issuer: string, caPem: string, message = 'sub must not be empty'): object {
  const claims = ['source', 'repository', 'repository_id', 'ref', 'sha', 'environment', 'run_id', 'policy']
  return {
    issuer: { url: issuer, certificateAuthority: caPem, audiences: [KUBE_AUDIENCE] },
    claimValidationRules: [
      { claim: 'token_use', requiredValue: 'kube' },
      { expression: 'claims.exp - claims.iat <= 900.0', message: 'the token lives too long' },
      { expression: "claims.sub != '' && claims.username != ''", message },
    ],
    claimMappings: {
      username: { claim: 'username', prefix: 'ci:' },
      groups: { claim: 'groups', prefix: 'ci:' },
      uid: { claim: 'uid' },
      extra: claims.map((claim) => ({
        key: `sallyport.dev/${claim.replaceAll('_', '-')}`,
        valueExpression: `claims.?${claim}.orValue('')`,
      })),
    },
    userValidationRules: [
      { expression: "!user.username.startsWith('system:')", message: 'reserved' },
      { expression: "user.groups.all(group, !group.startsWith('system:'))", message: 'reserved' },
    ],
  }
}

/** POST of a form, or GET without one. */
function post(url: string, ca: string, form?: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const type = form === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }
  const outgoing = request(
    url,
    { ca, agent: false, method: form === undefined ? 'GET' : 'POST', headers: type, timeout: 10_000 },
    (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      response.once('end', () => resolve(text))
    },
  )
  outgoing.once('timeout', () => outgoing.destroy(new Error(`${url} does not answer`)))
  outgoing.once('error', reject)
  outgoing.end(form)
  return promise
}

function runHere(args: readonly string[], cwd: string): Promise<CliRun> {
  const { promise, resolve } = Promise.withResolvers<CliRun>()
  execFile(process.execPath, [MAIN, ...args], { cwd, env: ENV }, (error, stdout, stderr) => {
    resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
  })
  return promise
}
