// A real issuer on a free port of this machine: discovery, JWKS, userinfo over HTTPS (own throw-away CA) or HTTP, keys
// that it rotates, tokens that it mints, and every way in which an issuer misbehaves. Used by tests, demo and e2e.
//
//   const issuer = await startTestIssuer({ path: '/realms/platform' })          // https://localhost:PORT/realms/platform
//   t.after(() => issuer.close())
//   const token = issuer.mint({ sub: 'project_path:acme/vpc', aud: 'https://broker.example.test' })
//
// * `issuer.url` is `iss`. `issuer.caPem` (`issuer.caFile`) is what a client must trust. Host is `localhost`; the
//   certificate holds 127.0.0.1, too.
// * `mint(claims, options)`: `iss`, `iat`, `nbf`, `exp` (+300 s), `jti` are filled in and may be overridden; a claim that is
//   `undefined` is left out. `options`: `alg` (which of the issuer's keys: it has one for every algorithm of
//   `issuer.algorithms`), `kid` (null leaves it out), `header` (merged last), `key` (sign with this private KeyObject).
//   `now` of `startTestIssuer` is the clock of the minted times (milliseconds).
// * `issuer.behave({ jwks: 'hang' })` switches one endpoint (`discovery`, `jwks`, `userinfo`) until told otherwise:
//   'ok', 'hang' (accepts, never answers), 'drip' (a byte each 50 ms for ever), 'status500', 'status404', 'redirect',
//   'huge' (100 MB), 'gzip', 'not_json', 'wrong_issuer' (discovery), 'empty' (a set without keys), or a function of
//   (request, response). `issuer.behave({})` makes all well again.
// * `issuer.setJwks(value)` publishes exactly that; `setJwks(undefined)` its own keys again. `publicJwks()` gives those.
//   `issuer.setDiscovery({ jwks_uri: ... })` overrides members of the document (`undefined` removes one).
// * `issuer.rotate()` makes new keys at once (new kids); `rotate({ keepOld: true })` publishes the old ones beside them.
// * `issuer.setUserinfo(claims)` is what /userinfo answers to any bearer token; `undefined`: 401.
// * `issuer.fetches` counts requests: `{ discovery, jwks, userinfo, other }`; `issuer.seen` are the paths of all of them.
import { constants, createPublicKey, generateKeyPairSync, randomUUID, sign } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import https from 'node:https'
import type { Server, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { algorithmOf } from '../../src/core/jwt/algorithms.ts'
import { issueCertificate, makeAuthority } from '../../src/platform/dev_certificate_authority.ts'

export type Behaviour =
  | 'ok'
  | 'hang'
  | 'drip'
  | 'status500'
  | 'status404'
  | 'redirect'
  | 'huge'
  | 'gzip'
  | 'not_json'
  | 'wrong_issuer'
  | 'empty'
  | ((request: IncomingMessage, response: ServerResponse) => void)

type Endpoint = 'discovery' | 'jwks' | 'userinfo'

export type TestIssuerOptions = {
  /** Path of the issuer below its host: `/realms/platform`. Default: none. A trailing slash stays in `iss`. */
  readonly path?: string
  readonly scheme?: 'https' | 'http'
  /** Algorithms of which it has a key. Default: RS256 and ES256. */
  readonly algorithms?: readonly string[]
  /** Milliseconds since the epoch, for minted times. Default: the real clock. */
  readonly now?: () => number
  /** Cache-Control of the JWKS. */
  readonly cacheControl?: string
  readonly port?: number
}

export type MintOptions = {
  readonly alg?: string
  readonly kid?: string | null
  readonly header?: Readonly<Record<string, unknown>>
  readonly key?: KeyObject
}

export type TestKey = { readonly kid: string; readonly alg: string; readonly privateKey: KeyObject }

export interface TestIssuer {
  readonly url: string
  readonly origin: string
  readonly caPem: string
  readonly caFile: string
  readonly algorithms: readonly string[]
  readonly fetches: Record<Endpoint | 'other', number>
  readonly seen: string[]
  readonly jwksUri: string
  readonly userinfoEndpoint: string
  /** Its current key for `alg`. */
  key(alg?: string): TestKey
  mint(claims?: Readonly<Record<string, unknown>>, options?: MintOptions): string
  publicJwks(): { keys: Record<string, unknown>[] }
  rotate(options?: { keepOld?: boolean }): void
  behave(behaviour: Partial<Record<Endpoint, Behaviour>>): void
  setJwks(jwks: unknown): void
  setDiscovery(members: Readonly<Record<string, unknown>>): void
  setUserinfo(claims: Readonly<Record<string, unknown>> | undefined): void
  close(): Promise<void>
}

export async function startTestIssuer(options: TestIssuerOptions = {}): Promise<TestIssuer> {
  const { path = '', scheme = 'https', algorithms = ['RS256', 'ES256'], now = Date.now } = options
  const certificate = await testCertificate()
  const sockets = new Set<Socket>()
  const fetches = { discovery: 0, jwks: 0, userinfo: 0, other: 0 }
  const seen: string[] = []
  let keys = algorithms.map(makeKey)
  let published = keys
  let behaviours: Partial<Record<Endpoint, Behaviour>> = {}
  let jwksOverride: unknown
  let discoveryMembers: Readonly<Record<string, unknown>> = {}
  let userinfo: Readonly<Record<string, unknown>> | undefined

  const server =
    scheme === 'https'
      ? https.createServer({ cert: certificate.certPem, key: certificate.keyPem }, handle)
      : http.createServer(handle)
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(options.port ?? 0, '127.0.0.1')
  await once(server, 'listening')
  const port = portOf(server)
  const origin = `${scheme}://localhost:${port}`
  const url = `${origin}${path}`
  const base = path.replace(/\/$/, '')
  const routes: Readonly<Record<string, Endpoint>> = {
    [`${base}/.well-known/openid-configuration`]: 'discovery',
    [`${base}/jwks`]: 'jwks',
    [`${base}/userinfo`]: 'userinfo',
  }

  function handle(request: IncomingMessage, response: ServerResponse): void {
    const { pathname } = new URL(request.url ?? '/', origin)
    seen.push(pathname)
    const endpoint = routes[pathname]
    fetches[endpoint ?? 'other'] += 1
    if (endpoint === undefined) {
      response.writeHead(404).end()
      return
    }
    misbehave(behaviours[endpoint] ?? 'ok', request, response, () => documentOf(endpoint, request))
  }

  function documentOf(endpoint: Endpoint, request: IncomingMessage): Answer {
    switch (endpoint) {
      case 'discovery':
        return { body: { ...discovery(), ...discoveryMembers } }
      case 'jwks': {
        const headers = options.cacheControl === undefined ? {} : { 'cache-control': options.cacheControl }
        return { body: jwksOverride ?? { keys: published.map(publicJwk) }, headers }
      }
      case 'userinfo': {
        const isBearer = /^Bearer \S+$/.test(request.headers.authorization ?? '')
        return isBearer && userinfo !== undefined
          ? { body: userinfo }
          : { status: 401, body: { error: 'invalid_token' } }
      }
    }
  }

  function discovery(): Record<string, unknown> {
    return {
      issuer: url,
      authorization_endpoint: `${origin}${base}/authorize`,
      token_endpoint: `${origin}${base}/token`,
      jwks_uri: `${origin}${base}/jwks`,
      userinfo_endpoint: `${origin}${base}/userinfo`,
      response_types_supported: ['code'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: algorithms,
    }
  }

  const keyOf = (alg: string | undefined): TestKey => {
    const key = alg === undefined ? keys[0] : keys.find((candidate) => candidate.alg === alg)
    if (key === undefined) throw new Error(`the test issuer has no key for ${alg ?? 'anything'}`)
    return key
  }

  return {
    url,
    origin,
    caPem: certificate.caPem,
    caFile: certificate.caFile,
    algorithms,
    fetches,
    seen,
    jwksUri: `${origin}${base}/jwks`,
    userinfoEndpoint: `${origin}${base}/userinfo`,
    key: keyOf,
    mint(claims = {}, mintOptions = {}) {
      const own = mintOptions.key === undefined ? keyOf(mintOptions.alg) : undefined
      const alg = mintOptions.alg ?? own?.alg ?? 'RS256'
      const kid = mintOptions.kid === undefined ? (own ?? keys[0])?.kid : mintOptions.kid
      const seconds = Math.floor(now() / 1000)
      const times = { iat: seconds, nbf: seconds, exp: seconds + 300 }
      const header = { alg, typ: 'JWT', ...(kid === null ? {} : { kid }), ...mintOptions.header }
      const payload = { iss: url, ...times, jti: randomUUID(), ...claims }
      return signCompact(
        header,
        payload,
        alg,
        mintOptions.key ?? own?.privateKey ?? keyOf(undefined).privateKey,
      )
    },
    publicJwks: () => ({ keys: published.map(publicJwk) }),
    rotate({ keepOld = false } = {}) {
      const old = published
      keys = algorithms.map(makeKey)
      published = keepOld ? [...keys, ...old] : keys
    },
    behave(next) {
      behaviours = next
    },
    setJwks(jwks) {
      jwksOverride = jwks
    },
    setDiscovery(members) {
      discoveryMembers = members
    },
    setUserinfo(claims) {
      userinfo = claims
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** The port of a listening server. */
export function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('not listening on a port')
  return address.port
}

/** Signs any header and payload (objects, or the exact JSON text) as a compact JWS; ECDSA in JWS form. */
export function signCompact(header: unknown, payload: unknown, alg: string, privateKey: KeyObject): string {
  const input = `${segment(header)}.${segment(payload)}`
  return `${input}.${signInput(input, alg, privateKey).toString('base64url')}`
}

/** base64url of a text as it stands, or of a value as JSON. */
export function segment(value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
}

export function signInput(input: string, alg: string, key: KeyObject): Buffer {
  const algorithm = algorithmOf(alg)
  if (algorithm === undefined) throw new Error(`cannot sign ${alg}`)
  const data = Buffer.from(input)
  if (algorithm.kty === 'EC') return sign(algorithm.digest, data, { key, dsaEncoding: 'ieee-p1363' })
  if (algorithm.padding !== 'pss') return sign(algorithm.digest, data, key)
  const saltLength = constants.RSA_PSS_SALTLEN_DIGEST
  return sign(algorithm.digest, data, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength })
}

/** The public JWK of a test key, as issuers publish it. */
export function publicJwk({ kid, alg, privateKey }: TestKey): Record<string, unknown> {
  return { ...createPublicKey(privateKey).export({ format: 'jwk' }), kid, alg, use: 'sig' }
}

/** A fresh private key that fits `alg`, with a random kid. RSA: 2048 bits, and one pair is shared by RS and PS. */
export function makeKey(alg: string): TestKey {
  return { kid: randomUUID(), alg, privateKey: generateFor(alg) }
}

function generateFor(alg: string): KeyObject {
  const algorithm = algorithmOf(alg)
  if (algorithm?.kty === 'RSA') return generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
  if (algorithm?.kty === 'OKP') return generateKeyPairSync('ed25519').privateKey
  if (algorithm?.crv === undefined) throw new Error(`no key for ${alg}`)
  return generateKeyPairSync('ec', { namedCurve: algorithm.crv }).privateKey
}

type Answer = {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: unknown
}

function misbehave(
  behaviour: Behaviour,
  request: IncomingMessage,
  response: ServerResponse,
  answer: () => Answer,
): void {
  if (typeof behaviour === 'function') return behaviour(request, response)
  switch (behaviour) {
    case 'hang':
      return
    case 'drip':
      return drip(response)
    case 'status500':
      return reply(response, { status: 500, body: { error: 'server_error' } })
    case 'status404':
      return reply(response, { status: 404, body: { error: 'not_found' } })
    case 'redirect':
      return reply(response, { status: 302, headers: { location: '/elsewhere' }, body: {} })
    case 'huge':
      return flood(response)
    case 'gzip': {
      const body = gzipSync(JSON.stringify(answer().body))
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' }).end(body)
      return
    }
    case 'not_json':
      response.writeHead(200, { 'content-type': 'application/json' }).end('<html>maintenance</html>')
      return
    case 'wrong_issuer':
      return reply(response, { body: { ...Object(answer().body), issuer: 'https://attacker.example.test' } })
    case 'empty':
      return reply(response, { body: { keys: [] } })
    case 'ok':
      return reply(response, answer())
  }
}

function reply(response: ServerResponse, { status = 200, headers = {}, body }: Answer): void {
  const text = JSON.stringify(body)
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(text)
}

function drip(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/json' })
  const timer = setInterval(() => response.write(' '), 50)
  response.on('close', () => clearInterval(timer))
}

/** 100 MB without a length, as fast as the reader takes it. */
function flood(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/json' })
  const chunk = Buffer.alloc(64 * 1024, ' ')
  let left = 1600
  const push = (): void => {
    while (left > 0 && !response.destroyed) {
      left -= 1
      if (!response.write(chunk)) {
        response.once('drain', push)
        return
      }
    }
    if (!response.destroyed) response.end('{}')
  }
  push()
}

type TestCertificate = {
  readonly caPem: string
  readonly caFile: string
  readonly certPem: string
  readonly keyPem: string
}

const HOSTS = ['localhost', '127.0.0.1', '::1']
let shared: Promise<TestCertificate> | undefined

/** One CA and one certificate for `localhost` a process, in a folder that goes with it. */
export async function testCertificate(): Promise<TestCertificate> {
  shared ??= makeTestCertificate(HOSTS)
  return shared
}

/** A certificate of a CA of its own: `hosts`, valid around `now`. */
export async function makeTestCertificate(
  hosts: readonly string[],
  now: number = Date.now(),
): Promise<TestCertificate> {
  const authority = await makeAuthority(hosts, now)
  const leaf = await issueCertificate(authority, hosts, now)
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-test-issuer-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  const caFile = join(folder, 'ca.crt')
  writeFileSync(caFile, authority.certPem)
  return { caPem: authority.certPem, caFile, ...leaf }
}
