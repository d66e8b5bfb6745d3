// What both brokers are given for the bench: one client, one relying party, one CI issuer, 200 job tokens; Dex as its file,
// ours as a native configuration with policy, audit file, metrics, rate limit and SQLite on.
import { randomUUID } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startUpstream } from '../e2e/wire/upstream.ts'
import type { Upstream } from '../e2e/wire/upstream.ts'

export const benchIssuer = 'https://broker.example.test/dex'
const secret = 'bench-secret-of-some-length-0123456789'
export const benchBasic = Buffer.from(`ci:${secret}`).toString('base64')

/** Different job tokens: enough that no cache of whole tokens can help, few enough to make in a second. */
const TOKENS = 200
const tokenExchange = 'urn:ietf:params:oauth:grant-type:token-exchange'

export type BenchWorld = {
  readonly upstream: Upstream
  readonly folder: string
  /** Files with one form body a line. */
  readonly bodies: { readonly exchange: string; readonly clientCredentials: string }
  readonly tokenBytes: number
}

export async function createBenchWorld(folder: string): Promise<BenchWorld> {
  const upstream = await startUpstream({ gitlab: { algorithms: ['RS256'] } })
  const tokens = jobTokens(upstream)
  const exchange = tokens.map((token) => exchangeBody(token))
  const bodies = { exchange: join(folder, 'exchange.txt'), clientCredentials: join(folder, 'cc.txt') }
  writeFileSync(bodies.exchange, `${exchange.join('\n')}\n`)
  writeFileSync(bodies.clientCredentials, 'grant_type=client_credentials&scope=groups+profile\n')
  return { upstream, folder, bodies, tokenBytes: tokens[0]?.length ?? 0 }
}

/** The form of an exchange. */
export function exchangeBody(token: string): string {
  return String(
    new URLSearchParams({
      grant_type: tokenExchange,
      subject_token: token,
      subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
      connector_id: 'gitlab',
      scope: 'openid profile email groups audience:server:client_id:kubernetes',
      requested_token_type: 'urn:ietf:params:oauth:token-type:id_token',
    }),
  )
}

const REPEATED = /^(job_(project|namespace)_|ci_config_ref|environment_action|deployment_tier)/

/** GitLab's claims as its jobs carry them, without those that only the newest one repeats the project in. */
export function jobClaims(): Readonly<Record<string, unknown>> {
  const fixture = join(import.meta.dirname, '..', 'fixtures', 'issuers', 'gitlab-push-main.json')
  const all: unknown = JSON.parse(readFileSync(fixture, 'utf8'))
  return Object.fromEntries(Object.entries(Object(all)).filter(([name]) => !REPEATED.test(name)))
}

/** Signed RS256: about 1.7 KB each. */
function jobTokens(upstream: Upstream): string[] {
  const claims = jobClaims()
  const now = Math.floor(Date.now() / 1000)
  return Array.from({ length: TOKENS }, (_, index) =>
    upstream.sign({
      ...claims,
      iss: upstream.issuer('gitlab'),
      aud: benchIssuer,
      jti: randomUUID(),
      job_id: String(8_222_997_048 + index),
      iat: now,
      nbf: now - 5,
      exp: now + 3600,
    }),
  )
}

export type Algorithm = 'ES256' | 'RS256'

export function dexBenchConfig(
  world: BenchWorld,
  algorithm: Algorithm,
  sqliteFile: string | undefined,
): Readonly<Record<string, unknown>> {
  return {
    issuer: benchIssuer,
    storage:
      sqliteFile === undefined ? { type: 'memory' } : { type: 'sqlite3', config: { file: sqliteFile } },
    web: { http: '127.0.0.1:0' },
    // At level info Dex writes a line for each exchange, which would slow it down.
    logger: { level: 'error', format: 'json' },
    oauth2: { grantTypes: ['client_credentials', tokenExchange] },
    signer: { type: 'local', config: { keysRotationPeriod: '6h', algorithm } },
    staticClients: [
      { id: 'ci', name: 'CI', secret, clientCredentialsClaims: { groups: ['pipelines', 'builders'] } },
      {
        id: 'kubernetes',
        name: 'Kubernetes',
        secret: 'kubernetes-secret-0123456789',
        trustedPeers: ['ci'],
      },
    ],
    connectors: [
      {
        type: 'oidc',
        id: 'gitlab',
        name: 'GitLab',
        config: {
          issuer: world.upstream.issuer('gitlab'),
          clientID: 'unused',
          clientSecret: 'unused',
          redirectURI: `${benchIssuer}/callback`,
          rootCAs: [world.upstream.caFile],
          userNameKey: 'user_login',
          insecureSkipEmailVerified: true,
          claimMapping: { email: 'user_email' },
        },
      },
    ],
  }
}

export function sallyportBenchConfig(
  world: BenchWorld,
  algorithm: Algorithm,
  address: string,
  opsAddress: string,
  folder: string,
): Readonly<Record<string, unknown>> {
  return {
    issuer: benchIssuer,
    listen: { public: address, ops: opsAddress },
    store: { type: 'sqlite', file: join(folder, 'sallyport.db') },
    keys: { algorithm },
    connectors: [
      {
        id: 'gitlab',
        type: 'gitlab-ci',
        issuer: world.upstream.issuer('gitlab'),
        caFile: world.upstream.caFile,
        // The generator sends each job token many times.
        singleUse: 'off',
        claimMapping: { username: 'user_login', email: 'user_email' },
      },
    ],
    clients: [
      {
        id: 'ci',
        name: 'CI',
        auth: { method: 'client_secret', secretEnv: 'BENCH_CLIENT_SECRET' },
        grants: ['token-exchange', 'client_credentials'],
        groups: ['pipelines', 'builders'],
      },
    ],
    audiences: [{ id: 'kubernetes', clients: ['ci'] }],
    policies: [
      {
        name: 'other-project',
        connector: 'gitlab',
        claims: { project_id: '1' },
        grant: { audiences: ['kubernetes'] },
      },
      {
        name: 'terraform-aws-eks',
        connector: 'gitlab',
        clients: ['ci'],
        claims: {
          project_id: '48291',
          project_path: { prefix: 'acme-platform/' },
          ref_type: ['branch', 'tag'],
          ref_path: { glob: 'refs/heads/*' },
        },
        condition: 'claims.ref_protected == "true" && claims.environment.startsWith("prod")',
        grant: {
          audiences: ['kubernetes'],
          groups: ['deployers'],
          username: 'gitlab:${project_path}',
          claims: { repository: '${project_path}', repository_id: '${project_id}', sha: '${sha}' },
        },
      },
    ],
    // On, with limits that one generator does not meet.
    limits: {
      addressRate: 1_000_000,
      addressBurst: 1_000_000,
      clientRate: 1_000_000,
      clientBurst: 1_000_000,
    },
    audit: { destination: join(folder, 'audit.jsonl') },
  }
}

export const sallyportBenchEnv = { BENCH_CLIENT_SECRET: secret }
