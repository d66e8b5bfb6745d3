// The demo's world: four local HTTPS issuers with the claim shapes of GitLab, GitHub, Forgejo and Keycloak, and two real
// broker processes, one on a Dex configuration, one on a native one. Everything on loopback and in one temporary folder.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureDevCertificate } from '../../../src/platform/dev_certificate.ts'
import { freePorts, startChildServer } from '../../support/child_server.ts'
import type { ChildServer } from '../../support/child_server.ts'
import { startTestIssuer } from '../../support/test_issuer.ts'
import type { TestIssuer } from '../../support/test_issuer.ts'

export type DemoBroker = {
  /** `localhost:PORT`, what stands where the seeds have a host name. */
  readonly host: string
  readonly issuer: string
  /** The newest audit event. */
  readonly lastEvent: () => AuditLine
  readonly audit: () => string
}

type AuditLine = {
  readonly decision: string
  readonly reason?: string
  readonly policy?: string
  readonly evidence?: unknown
}

type Issuers = {
  readonly gitlab: TestIssuer
  readonly github: TestIssuer
  readonly forgejo: TestIssuer
  readonly keycloak: TestIssuer
}

export type World = {
  readonly folder: string
  readonly caFile: string
  readonly issuers: Issuers
  /** Dex's dialect, Dex's configuration. */
  readonly dex: DemoBroker
  /** The native configuration: policies, no stored secret. */
  readonly native: DemoBroker
  readonly close: () => Promise<void>
}

export const SECRETS = { exchange: 'dex-secret-of-20-chars', pipeline: 'another-secret-0123456789' }

export async function startWorld(): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-demo-'))
  const closers: (() => Promise<void>)[] = []
  const close = async (): Promise<void> => {
    for (const closer of closers.reverse()) await closer()
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    const issuers = {
      gitlab: await startTestIssuer(),
      github: await startTestIssuer(),
      forgejo: await startTestIssuer({ path: '/api/actions' }),
      keycloak: await startTestIssuer({ path: '/realms/platform' }),
    }
    closers.push(...Object.values(issuers).map((issuer) => () => issuer.close()))
    const tls = await ensureDevCertificate(join(folder, 'tls'), ['localhost', '127.0.0.1'], Date.now)
    const [dexPort = 0, nativePort = 0] = await freePorts(2)
    const dex = await startBroker(folder, 'dex', dexPort, dexConfig(dexPort, folder, tls, issuers), closers)
    const native = await startBroker(
      folder,
      'native',
      nativePort,
      nativeConfig(nativePort, folder, tls, issuers),
      closers,
    )
    return { folder, caFile: tls.caFile, issuers, dex, native, close }
  } catch (error) {
    await close()
    throw error
  }
}

type Tls = { readonly caFile: string; readonly certFile: string; readonly keyFile: string }

async function startBroker(
  folder: string,
  name: 'dex' | 'native',
  port: number,
  config: { readonly main: string; readonly overlay?: string },
  closers: (() => Promise<void>)[],
): Promise<DemoBroker> {
  const file = join(folder, `${name}.yaml`)
  writeFileSync(file, config.main)
  const overlay = join(folder, `${name}-overlay.yaml`)
  if (config.overlay !== undefined) writeFileSync(overlay, config.overlay)
  const flags =
    config.overlay === undefined ? ['--config', file] : ['--dex-config', file, '--config', overlay]
  const ca = readFileSync(join(folder, 'tls', 'ca.crt'), 'utf8')
  const server: ChildServer = await startChildServer({
    name: `the broker on its ${name} configuration`,
    command: process.execPath,
    args: [join(import.meta.dirname, '../../../src/main.ts'), 'serve', ...flags],
    cwd: folder,
    env: { ...process.env, OPENDEPOT_CC_CLIENT_SECRET: SECRETS.pipeline },
    ready: () => answers(port, ca),
  })
  closers.push(() => server.stop())
  const auditFile = join(folder, `${name}-audit.jsonl`)
  const audit = (): string => readFileSync(auditFile, 'utf8')
  return {
    host: `localhost:${port}`,
    issuer: `https://localhost:${port}${name === 'dex' ? '/' : ''}`,
    audit,
    lastEvent: () => JSON.parse(audit().trimEnd().split('\n').at(-1) ?? '{}'),
  }
}

function answers(port: number, ca: string): Promise<boolean> {
  return new Promise((resolve) => {
    const call = request({ host: 'localhost', port, path: '/healthz', ca, agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    })
    call.on('error', () => resolve(false))
    call.end()
  })
}

/** What a Deckhouse and an OpenDepot user have today (the shapes of their documentation), and one overlay. */
function dexConfig(port: number, folder: string, tls: Tls, { gitlab, keycloak }: Issuers) {
  const main = `
issuer: https://localhost:${port}/
storage: { type: memory }
web: { https: 127.0.0.1:${port}, tlsCert: ${tls.certFile}, tlsKey: ${tls.keyFile} }
expiry: { idTokens: 10m }
oauth2:
  grantTypes: [authorization_code, client_credentials, 'urn:ietf:params:oauth:grant-type:token-exchange']
connectors:
  - type: oidc
    id: gitlab
    name: GitLab CI
    config: { issuer: "${gitlab.url}", rootCAs: ["${gitlab.caFile}"], scopes: [openid], userNameKey: project_path }
  - type: oidc
    id: keycloak
    name: Keycloak
    config: { issuer: "${keycloak.url}", rootCAs: ["${keycloak.caFile}"], scopes: [openid], userNameKey: preferred_username, getUserInfo: true }
staticClients:
  - id: dex-client-ci-token-exchange@d8-user-authn
    name: CI token exchange
    secret: ${SECRETS.exchange}
  - id: kubernetes
    name: Kubernetes
    secret: the-secret-of-the-apiserver
    trustedPeers: [dex-client-ci-token-exchange@d8-user-authn]
  - id: opendepot
    name: OpenDepot
    secret: the-secret-of-the-registry
    trustedPeers: [ci-pipeline]
  - id: ci-pipeline
    name: CI Pipeline
    secretEnv: OPENDEPOT_CC_CLIENT_SECRET
    grantTypes: [client_credentials]
`
  const overlay = `
# What Dex has no words for: the registry's documentation expects the plain client id in sub, and its own audience.
clients:
  ci-pipeline: { subject: plain, defaultAudiences: [opendepot] }
audit: { destination: ${join(folder, 'dex-audit.jsonl')} }
`
  return { main, overlay }
}

function connector(id: string, type: string, issuer: TestIssuer): string {
  return `  - { id: ${id}, type: ${type}, issuer: "${issuer.url}", caFile: "${issuer.caFile}" }`
}

function nativeConfig(port: number, folder: string, tls: Tls, issuers: Issuers) {
  const main = `
issuer: https://localhost:${port}
listen:
  public: { address: 127.0.0.1:${port}, tls: { certFile: ${tls.certFile}, keyFile: ${tls.keyFile} } }
  ops: off
store: { type: sqlite, file: ${join(folder, 'native.db')} }
audit: { destination: ${join(folder, 'native-audit.jsonl')} }
connectors:
${connector('gitlab', 'gitlab-ci', issuers.gitlab)}
${connector('github', 'github-actions', issuers.github)}
${connector('forgejo', 'forgejo-actions', issuers.forgejo)}
${connector('keycloak', 'keycloak', issuers.keycloak)}
clients:
  - id: ci
    auth: { method: none }
    connectors: [gitlab, github, forgejo, keycloak]
audiences:
  - { id: production, profile: kubernetes, clients: [ci], maxTtl: 10m }
  - { id: registry, profile: rfc9068, clients: [ci] }
  - { id: staging, profile: kubernetes, clients: [] }
policies:
  - name: eks-from-gitlab
    connector: gitlab
    claims: { project_id: "48291", ref_protected: "true", environment: production }
    grant: { audiences: [production, registry], groups: [deployers], username: 'gitlab:\${project_path}', ttl: 10m }
  - name: eks-from-github
    connector: github
    claims: { repository_id: "739500857", repository_owner_id: "41903210", ref: refs/heads/main }
    grant: { audiences: [registry], groups: [publishers] }
  - name: dns-from-forgejo
    connector: forgejo
    claims: { repository_id: "456", repository_owner_id: "123", ref: refs/heads/main }
    grant: { audiences: [production], groups: [deployers] }
  - name: deployer-from-keycloak
    connector: keycloak
    claims: { sub: d952cf23-bf92-4c8f-a3ff-4972b4f2bc5b }
    condition: claims.azp == "ci-deployer"
    grant: { audiences: [production], groups: [deployers] }
`
  return { main }
}
