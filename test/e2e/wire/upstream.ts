// The CI issuers both brokers are told about: one HTTPS server with an issuer at each path, RS256 and ES256 keys, and a
// userinfo that answers for its own tokens. Signs whatever it is asked to, well formed or not.
import { execFile } from 'node:child_process'
import { createHmac, createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { portOf } from '../../support/child_server.ts'

const run = promisify(execFile)

type SigningAlgorithm = 'RS256' | 'ES256' | 'none' | 'HS256'

export type SignOptions = {
  readonly alg?: SigningAlgorithm
  readonly kid?: string
  /** Flips a bit of the signature. */
  readonly broken?: boolean
}

export type Upstream = {
  readonly url: string
  readonly caFile: string
  readonly caPem: string
  /** Certificate and PKCS#8 key for localhost and 127.0.0.1, for other servers of the same test. */
  readonly certFile: string
  readonly keyFile: string
  issuer(name: string): string
  /** A compact JWS over exactly these claims. */
  sign(claims: Readonly<Record<string, unknown>>, options?: SignOptions): string
  stop(): Promise<void>
}

export type IssuerOptions = { readonly algorithms: readonly string[] }

export async function startUpstream(issuers: Readonly<Record<string, IssuerOptions>>): Promise<Upstream> {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-upstream-'))
  const files = await makeCertificates(folder)
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwks = {
    keys: [
      { ...rsa.publicKey.export({ format: 'jwk' }), kid: 'rsa-1', alg: 'RS256', use: 'sig' },
      { ...ec.publicKey.export({ format: 'jwk' }), kid: 'ec-1', alg: 'ES256', use: 'sig' },
    ],
  }
  const server = createServer({ key: await readFile(files.keyFile), cert: await readFile(files.certFile) })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `https://localhost:${portOf(server)}`
  const issuer = (name: string) => `${url}/${name}`
  server.on('request', (request, response) => {
    const [, name = '', ...rest] = (request.url ?? '').split('/')
    const options = issuers[name]
    if (options === undefined) return answer(response, 404, {})
    switch (rest.join('/')) {
      case '.well-known/openid-configuration':
        return answer(response, 200, discovery(issuer(name), options))
      case 'jwks':
        return answer(response, 200, jwks)
      case 'userinfo': {
        const claims = bearerClaims(request, rsa.publicKey)
        return claims === undefined ? answer(response, 401, {}) : answer(response, 200, claims)
      }
      default:
        return answer(response, 404, {})
    }
  })
  return {
    url,
    ...files,
    issuer,
    sign: (claims, options = {}) => signToken(claims, options, { rsa: rsa.privateKey, ec: ec.privateKey }),
    stop: async () => {
      server.close()
      server.closeAllConnections()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

function discovery(issuer: string, options: IssuerOptions): Record<string, unknown> {
  return {
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    userinfo_endpoint: `${issuer}/userinfo`,
    jwks_uri: `${issuer}/jwks`,
    response_types_supported: ['code'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: options.algorithms,
  }
}

/** What userinfo knows of the bearer: the token's own claims without those of the token itself. */
function bearerClaims(request: IncomingMessage, key: KeyObject): Record<string, unknown> | undefined {
  const token = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1]
  const [header = '', payload = '', signature = ''] = token?.split('.') ?? []
  const signed = Buffer.from(`${header}.${payload}`)
  if (!verify('sha256', signed, key, Buffer.from(signature, 'base64url'))) return undefined
  const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString())
  if (typeof claims !== 'object' || claims === null) return undefined
  const {
    iss: _iss,
    aud: _aud,
    exp: _exp,
    iat: _iat,
    nbf: _nbf,
    ...identity
  } = {
    ...claims,
  } as Record<string, unknown>
  return identity
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(body))
}

function signToken(
  claims: Readonly<Record<string, unknown>>,
  options: SignOptions,
  keys: { readonly rsa: KeyObject; readonly ec: KeyObject },
): string {
  const alg = options.alg ?? 'RS256'
  const kid = options.kid ?? (alg === 'ES256' ? 'ec-1' : 'rsa-1')
  const input = `${encodePart({ alg, kid, typ: 'JWT' })}.${encodePart(claims)}`
  const signature = signatureOf(alg, input, keys)
  if (options.broken ?? false) signature.writeUInt8(signature.readUInt8(9) ^ 1, 9)
  return `${input}.${signature.toString('base64url')}`
}

function encodePart(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function signatureOf(
  alg: SigningAlgorithm,
  input: string,
  keys: { readonly rsa: KeyObject; readonly ec: KeyObject },
): Buffer {
  switch (alg) {
    case 'RS256':
      return sign('sha256', Buffer.from(input), keys.rsa)
    case 'ES256':
      return sign('sha256', Buffer.from(input), { key: keys.ec, dsaEncoding: 'ieee-p1363' })
    case 'HS256':
      // The classic confusion: the public key, as everybody can read it, taken for a shared secret.
      return createHmac('sha256', createPublicKey(keys.rsa).export({ format: 'pem', type: 'spki' }))
        .update(input)
        .digest()
    case 'none':
      return Buffer.alloc(0)
  }
}

export type CertificateFiles = {
  readonly caFile: string
  readonly caPem: string
  readonly certFile: string
  readonly keyFile: string
}

/** A CA and a certificate for localhost and 127.0.0.1, ECDSA P-256, valid for two days. */
export async function makeCertificates(folder: string): Promise<CertificateFiles> {
  const at = (name: string) => join(folder, name)
  const openssl = (line: string) => run('openssl', line.split(' '), { cwd: folder })
  const key = '-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
  await openssl(`req -x509 ${key} -days 2 -subj /CN=sallyport-test-ca -keyout ca.key -out ca.pem`)
  await openssl(`req ${key} -subj /CN=localhost -keyout server.key -out server.csr`)
  await writeFile(
    at('server.ext'),
    'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n',
  )
  await openssl(
    'x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile server.ext -out server.pem',
  )
  return {
    caFile: at('ca.pem'),
    caPem: await readFile(at('ca.pem'), 'utf8'),
    certFile: at('server.pem'),
    keyFile: at('server.key'),
  }
}
