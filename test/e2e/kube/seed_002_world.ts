// What seed 002's page "Access for CI/CD" is played on: the Dex configuration that Deckhouse renders from it, our broker on
// that, and a real kube-apiserver whose file `sallyport kube auth-config` has made. The cluster's kubectl is called `d8 k`.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { stringify } from 'yaml'
import { freePorts } from '../../support/child_server.ts'
import { words } from '../../support/cli.ts'
import { issuerClaims } from '../../support/issuer_fixtures.ts'
import { newestKubeVersion } from '../../support/kube_binaries.ts'
import { kubeClusterFor } from '../../support/kube_cluster.ts'
import type { KubeCluster } from '../../support/kube_cluster.ts'
import { startSallyport } from '../../support/sallyport.ts'
import type { Sallyport } from '../../support/sallyport.ts'
import { commandFolder, runSallyport } from '../../support/sallyport_command.ts'
import { runShell } from '../../support/shell.ts'
import { startTestIssuer } from '../../support/test_issuer.ts'
import type { TestIssuer } from '../../support/test_issuer.ts'
import { makeCertificates } from '../wire/upstream.ts'
import type { CertificateFiles } from '../wire/upstream.ts'
import { ciClient, secrets } from '../wire/world.ts'

/** The page's user. */
export const DEPLOYER = 'deployer@example.com'
/** A DexClient without the annotation `dexclient.deckhouse.io/allow-access-to-kubernetes`. */
export const stranger = { id: 'dex-client-stranger@d8-user-authn', secret: secrets.pipeline }
/** Deckhouse renders ten minutes. Here a token has to expire while the test waits. */
export const LIFETIME_SECONDS = 60

export type World = {
  readonly folder: string
  readonly files: CertificateFiles
  readonly issuer: string
  readonly keycloakPort: number
  readonly gitlab: TestIssuer
  readonly broker: Sallyport
  readonly dexFile: string
  readonly cluster: KubeCluster
  /** The file that the apiserver has. */
  readonly authentication: string
  /** The variables that the page asks for. */
  readonly env: Readonly<Record<string, string>>
}

export async function startWorld(t: Test): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-seed-002-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const files = await makeCertificates(folder)
  const [port = 0, keycloakPort = 0] = await freePorts(2)
  const issuer = `https://localhost:${port}/`
  const gitlab = await startTestIssuer({ algorithms: ['RS256'] })
  t.teardown(() => gitlab.close())
  const config = dexConfig(issuer, gitlab, keycloakPort, files)
  const dexFile = join(folder, 'dex.yaml')
  writeFileSync(dexFile, stringify(config))
  const broker = await startSallyport({ dexConfig: config, tls: files, port })
  t.teardown(() => broker.stop())
  const authentication = join(folder, 'authentication.yaml')
  writeFileSync(authentication, await authConfig(dexFile, files.caFile, 'email'))
  const cluster = await kubeClusterFor(t, {
    version: newestKubeVersion(),
    authenticationConfig: readFileSync(authentication, 'utf8'),
  })
  const env = {
    DEX_HOST: `localhost:${port}`,
    API_HOST: cluster.url.replace('https://', ''),
    K8S_SERVER: cluster.url,
    DEX_CLIENT_ID: ciClient,
    DEX_CLIENT_SECRET: secrets.ci,
    CURL_CA_BUNDLE: files.caFile,
    // The page's clusters have a public CA; ours is named in a kubeconfig without credentials.
    KUBECONFIG: cluster.bareKubeconfig,
    HOME: folder,
    PATH: `${commandFolder(t, cluster.kubectlFile)}:${process.env['PATH'] ?? ''}`,
  }
  return { folder, files, issuer, keycloakPort, gitlab, broker, dexFile, cluster, authentication, env }
}

/** What Deckhouse renders: issuer at the root with a trailing slash, two providers of type OIDC. */
function dexConfig(
  issuer: string,
  gitlab: TestIssuer,
  keycloakPort: number,
  files: CertificateFiles,
): Record<string, unknown> {
  const provider = (id: string, url: string, caFile: string, more: Record<string, unknown>) => ({
    type: 'oidc',
    id,
    name: id,
    config: {
      issuer: url,
      clientID: 'deckhouse',
      clientSecret: 'unused',
      redirectURI: `${issuer}callback`,
      rootCAs: [caFile],
      ...more,
    },
  })
  return {
    issuer,
    storage: { type: 'memory' },
    web: { https: new URL(issuer).host, tlsCert: files.certFile, tlsKey: files.keyFile },
    oauth2: { skipApprovalScreen: true },
    expiry: { idTokens: `${LIFETIME_SECONDS}s` },
    staticClients: [
      { id: ciClient, name: 'ci-token-exchange', secret: secrets.ci },
      { id: stranger.id, name: 'stranger', secret: stranger.secret },
      { id: 'kubernetes', name: 'Kubernetes', secret: secrets.plain, trustedPeers: [ciClient] },
    ],
    connectors: [
      provider('gitlab', gitlab.url, gitlab.caFile, {
        userNameKey: 'user_login',
        insecureSkipEmailVerified: true,
        insecureEnableGroups: true,
        claimMapping: { email: 'user_email', groups: 'groups_direct' },
      }),
      provider('keycloak', `https://localhost:${keycloakPort}/realms/platform`, files.caFile, {
        getUserInfo: true,
        scopes: ['openid'],
        userNameKey: 'preferred_username',
      }),
    ],
  }
}

/** What `sallyport kube auth-config` makes of the very file that the broker runs on; names as Deckhouse has them, bare. */
export async function authConfig(dexFile: string, caFile: string, usernameClaim: string): Promise<string> {
  const made = await runSallyport(
    words(
      `kube auth-config --dex-config ${dexFile} --store memory --development --audience kubernetes`,
      `--ca-file ${caFile} --username-claim ${usernameClaim} --username-prefix= --groups-prefix=`,
    ),
  )
  if (made.code !== 0) throw new Error(`kube auth-config ends with ${made.code}: ${made.stderr}`)
  return made.stdout
}

/** The token of a job of GitLab's, for this broker. */
export function gitlabToken(
  { gitlab, issuer }: World,
  changes: Readonly<Record<string, unknown>> = {},
): string {
  const now = Math.floor(Date.now() / 1000)
  return gitlab.mint({
    ...issuerClaims('gitlab-push-main'),
    iss: gitlab.url,
    aud: issuer,
    iat: now,
    nbf: now - 5,
    exp: now + 3600,
    jti: crypto.randomUUID(),
    user_email: DEPLOYER,
    ...changes,
  })
}

export type JobRun = {
  /** Of the last line, the call of the cluster. */
  readonly code: number
  readonly stdout: string
  readonly stderr: string
  /** The broker's whole answer, and the token that jq read out of it. */
  readonly response: string
  readonly token: string
}

/** Lines of the page, up to and with `d8 k ... get ns`, by sh with real curl and jq. */
export async function runLines(lines: string, env: Readonly<Record<string, string>>): Promise<JobRun> {
  const run = await runShell(`${lines}\nD8_CODE=$?`, env, ['RESPONSE', 'DEX_TOKEN', 'D8_CODE'])
  const { RESPONSE = '', DEX_TOKEN = '', D8_CODE = '' } = run.variables
  return {
    code: Number(D8_CODE),
    stdout: run.stdout,
    stderr: run.stderr,
    response: RESPONSE,
    token: DEX_TOKEN,
  }
}
