// The real counterparts: Dex at the commit that has client_credentials, Dex's newest release, Keycloak, kube-apiserver and
// etcd (started by kube_cluster.ts). Built or fetched once into the peer cache (test/peers/README.md) and started on free
// ports with their own temporary folders.
import { execFile } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { request as httpsRequest } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { stringify } from 'yaml'
import { freePort, freePorts, startChildServer } from './child_server.ts'
import type { ChildServer } from './child_server.ts'
import { cachedFolder, contentKey } from './peer_cache.ts'

const run = promisify(execFile)
const recipes = join(import.meta.dirname, '..', 'peers')

/** Dex's server package under its launcher (no secretEnv, no config checks, an empty grantTypes means all). */
export function dexBinary(): Promise<string> {
  return goPeer('dex')
}

/** Dex 2.45.1's own command line: the reference for how a config file is read. No client_credentials in it. */
export function dex2451Binary(): Promise<string> {
  return goPeer('dex-2.45.1', 'dex')
}

/** Unpacked Keycloak; copied before each start, because it writes into its own folder. */
export async function keycloakHome(): Promise<string> {
  const recipe = join(recipes, 'keycloak')
  const key = await contentKey(recipe, [], ['fetch.sh'])
  const folder = await cachedFolder('keycloak', key, async (scratch) => {
    await run(join(recipe, 'fetch.sh'), [scratch], { timeout: 15 * 60_000 })
  })
  return join(folder, 'keycloak')
}

/** A folder with prometheus and promtool, from Debian's package. */
export async function prometheusFolder(): Promise<string> {
  const recipe = join(recipes, 'prometheus')
  const folder = await cachedFolder('prometheus', await contentKey(recipe, []), async (scratch) => {
    await run(join(recipe, 'fetch.sh'), [scratch], { timeout: 5 * 60_000 })
  })
  return join(folder, 'bin')
}

/** etcd 3.6. */
export function etcdBinary(): Promise<string> {
  return goPeer('etcd')
}

/** A folder with kube-apiserver and kube-controller-manager; `kube-apiserver` is 1.36.4, `kube-apiserver-1.37` is 1.37.1. */
export function kubeApiserverFolder(name: 'kube-apiserver' | 'kube-apiserver-1.37'): Promise<string> {
  return goPeer(name, 'bin')
}

/** kubectl 1.36.4, for machines without one that is new enough. */
export function kubectlBinary(): Promise<string> {
  return goPeer('kubectl')
}

/** A folder with Argo CD 3.1.16's application controller and repo server, and its two definitions of custom resources. */
export function argocdFolder(): Promise<string> {
  return goPeer('argocd', 'bin')
}

/** What kube-apiserver 1.36.4 says of its authentication file, as a program (test/support/kube_oracle.ts). */
export function kubeAuthnOracleBinary(): Promise<string> {
  return goPeer('kube-authn-oracle')
}

/** Whether expr-lang 1.17.8 compiles a text, as a program. */
export function exprOracleBinary(): Promise<string> {
  return goPeer('expr-oracle')
}

/** A folder with the definitions of PolicyReport and ClusterPolicyReport. */
export function policyReportDefinitions(): Promise<string> {
  return goPeer('policy-report', 'definitions')
}

/** What the recipe's build.sh leaves at the path it is given: a program, or a folder of several. */
async function goPeer(name: string, made = name): Promise<string> {
  const recipe = join(recipes, name)
  const key = await contentKey(recipe, [await goVersion()])
  const folder = await cachedFolder(name, key, async (scratch) => {
    // Built from a copy: `go build -mod=mod` may write to go.mod and go.sum.
    const source = join(scratch, 'source')
    await cp(recipe, source, { recursive: true })
    await run(join(source, 'build.sh'), [join(scratch, made)], { timeout: 19 * 60_000 })
    await rm(source, { recursive: true })
  })
  return join(folder, made)
}

async function goVersion(): Promise<string> {
  const { stdout } = await run('go', ['env', 'GOVERSION', 'GOOS', 'GOARCH'])
  return stdout
}

export type Peer<T> = { readonly value: T; readonly skip: false } | { readonly skip: string }

/** Whether a missing peer is a failure: in CI, and where SALLYPORT_REQUIRE_PEERS says so. */
export function peersRequired(env: NodeJS.ProcessEnv = process.env): boolean {
  return (env['CI'] ?? '') !== '' || env['SALLYPORT_REQUIRE_PEERS'] === '1'
}

/** The peer, or the reason to skip the tests that need it. Where peers are required the reason is thrown. */
export async function peerOrSkip<T>(make: () => Promise<T>): Promise<Peer<T>> {
  try {
    return { value: await make(), skip: false }
  } catch (error) {
    if (peersRequired()) throw error
    return { skip: `peer is not available: ${String(error).split('\n', 1)[0]}` }
  }
}

export type Dex = ChildServer & {
  /** Where it listens, without the issuer's path: `http://127.0.0.1:PORT`. */
  readonly url: string
  readonly port: number
}

export type StartDexOptions = {
  /** The Dex configuration as YAML, or as an object; `web.http` is set to a free port on loopback. */
  readonly config: string | Readonly<Record<string, unknown>>
  /** Which Dex; HEAD by default. */
  readonly binary?: string
  /** The release takes `serve FILE`, the launcher the file alone. */
  readonly release?: boolean
  readonly port?: number
  readonly env?: NodeJS.ProcessEnv
  readonly pollMs?: number
}

/** A running Dex. Its configuration stands in a temporary folder which goes away with it. */
export async function startDex(options: StartDexOptions): Promise<Dex> {
  const port = options.port ?? (await freePort())
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-dex-'))
  const file = join(folder, 'dex.yaml')
  const address = `127.0.0.1:${port}`
  const release = options.release ?? false
  const binary = options.binary ?? (release ? await dex2451Binary() : await dexBinary())
  const yaml = typeof options.config === 'string' ? options.config : stringify(options.config)
  await writeFile(file, withWebHttp(yaml, address))
  const issuerPath = issuerPathOf(yaml)
  try {
    const server = await startChildServer({
      name: release ? 'dex 2.45.1' : 'dex',
      command: binary,
      args: release ? ['serve', file] : [file],
      cwd: folder,
      env: options.env ?? process.env,
      pollMs: options.pollMs ?? 10,
      ready: async () => (await fetch(`http://${address}${issuerPath}/healthz`)).ok,
    })
    const stop = async () => {
      await server.stop()
      await rm(folder, { recursive: true, force: true })
    }
    return { ...server, stop, url: `http://${address}`, port }
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
}

/** Replaces the address behind `web: http:`, and nothing else of the text. */
function withWebHttp(yaml: string, address: string): string {
  const replaced = yaml.replace(/^(web:\s*\n(?:\s+.*\n)*?\s+http:).*$/m, `$1 ${address}`)
  if (!replaced.includes(address)) throw new Error('a Dex config for tests needs web.http')
  return replaced
}

function issuerPathOf(yaml: string): string {
  const issuer = /^issuer:\s*["']?([^"'\s]+)/m.exec(yaml)?.[1]
  if (issuer === undefined) throw new Error('a Dex config for tests needs issuer')
  return new URL(issuer).pathname.replace(/\/+$/, '')
}

export type Keycloak = ChildServer & {
  /** `https://localhost:PORT`. */
  readonly url: string
  readonly port: number
  /** `https://localhost:PORT/realms/platform`. */
  readonly issuer: string
}

export type StartKeycloakOptions = {
  /** PEM files of a certificate for localhost; the key in PKCS#8. */
  readonly certFile: string
  readonly keyFile: string
  readonly caPem: string
  /** What the realm's audience mapper puts into the tokens of `ci-deployer`. */
  readonly brokerAudience: string
  /** For its issuer; a free one when absent. */
  readonly port?: number
}

/** A running Keycloak with the realm `platform` (test/peers/keycloak/realm.json). Takes 20 to 60 s. */
export async function startKeycloak(options: StartKeycloakOptions): Promise<Keycloak> {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-keycloak-'))
  try {
    const home = join(folder, 'keycloak')
    await cp(await keycloakHome(), home, { recursive: true })
    const realm = await readFile(join(recipes, 'keycloak', 'realm.json'), 'utf8')
    const realmFile = join(folder, 'realm.json')
    const mapped = '"included.custom.audience": "https://broker.example.test"'
    if (!realm.includes(mapped)) throw new Error('the realm has lost its audience mapper')
    await writeFile(
      realmFile,
      realm.replace(mapped, `"included.custom.audience": ${JSON.stringify(options.brokerAudience)}`),
    )
    const [free = 0, http = 0, management = 0] = await freePorts(3)
    const https = options.port ?? free
    const url = `https://localhost:${https}`
    const issuer = `${url}/realms/platform`
    const args = [home, realmFile, https, http, management, options.certFile, options.keyFile, url].map(
      String,
    )
    const server = await startChildServer({
      name: 'keycloak',
      command: join(recipes, 'keycloak', 'start.sh'),
      args,
      readyMs: 240_000,
      pollMs: 250,
      graceMs: 20_000,
      ready: async () =>
        (await statusOf(`${issuer}/.well-known/openid-configuration`, options.caPem)) === 200,
    })
    const stop = async () => {
      await server.stop()
      await rm(folder, { recursive: true, force: true })
    }
    return { ...server, stop, url, port: https, issuer }
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
}

function statusOf(url: string, ca: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest(url, { ca, agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
    request.setTimeout(5000, () => request.destroy(new Error('no answer')))
    request.once('error', reject)
    request.end()
  })
}
