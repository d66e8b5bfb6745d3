// The process of key_service.ts. Its keys: `ec` and `ec-next` (P-256), `rsa` (2048), `p384`.
import { constants, createECDH, createPublicKey, generateKeyPairSync, privateEncrypt } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'

export type Behaviour = 'well' | 'hangs' | 'fails' | 'signs_with_another' | 'raw' | 'endless' | 'no_json'
export type ToService = { readonly behaviour?: Behaviour; readonly token?: string }
export type FromService = {
  readonly port: number
  readonly asked: number
  readonly secrets: readonly string[]
}

const [, , certFile = '', keyFile = ''] = process.argv
const ec = (namedCurve: string): KeyObject => generateKeyPairSync('ec', { namedCurve }).privateKey
const keys: Readonly<Record<string, KeyObject>> = {
  ec: ec('P-256'),
  'ec-next': ec('P-256'),
  p384: ec('P-384'),
  rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
}
const other = ec('P-256')
let behaviour: Behaviour = 'well'
let token = ''
let asked = 0
/** Requests that hang, until it behaves in another way. */
let held: (() => void)[] = []
let port = 0

const server = createServer(
  { cert: readFileSync(certFile), key: readFileSync(keyFile) },
  (request, response) => {
    asked += 1
    void answer(request, response)
  },
)

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const reply = (status: number, body: object | string): void => {
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(typeof body === 'string' ? body : JSON.stringify(body))
  }
  const [, , , name = '', action] = (request.url ?? '').split('/')
  const key = keys[decodeURIComponent(name)]
  const body = await text(request)
  if (request.headers.authorization !== `Bearer ${token}`) return reply(401, { error: request.headers })
  if (behaviour === 'hangs') await new Promise<void>((resolve) => held.push(resolve))
  if (behaviour === 'fails') return reply(503, { error: body })
  if (behaviour === 'no_json') return reply(200, '<html>')
  if (behaviour === 'endless') return reply(200, ' '.repeat(1_000_000))
  if (key === undefined) return reply(404, { error: 'no such key' })
  if (request.method === 'GET' && action === undefined) {
    const algorithm = key.asymmetricKeyType === 'rsa' ? 'RS256' : 'ES256'
    return reply(200, { algorithm, jwk: createPublicKey(key).export({ format: 'jwk' }) })
  }
  const { digest }: { digest: string } = JSON.parse(body)
  const signature = signDigest(
    behaviour === 'signs_with_another' ? other : key,
    Buffer.from(digest, 'base64url'),
  )
  return reply(200, { signature: signature.toString('base64url') })
}

/** What a KMS does with a digest; Node signs messages only. */
function signDigest(key: KeyObject, digest: Buffer): Buffer {
  if (key.asymmetricKeyType !== 'rsa') return signEcdsa(key, digest)
  const info = Buffer.from('3031300d060960864801650304020105000420', 'hex')
  const padded = { key, padding: constants.RSA_PKCS1_PADDING }
  return privateEncrypt(padded, Buffer.concat([info, digest]))
}

const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

/** FIPS 186-5 §6.4.1 on P-256: DER, or R and S where the service misbehaves so. */
function signEcdsa(key: KeyObject, digest: Buffer): Buffer {
  const { d = '' } = key.export({ format: 'jwk' })
  const once = createECDH('prime256v1')
  const point = once.generateKeys()
  const k = numberOf(once.getPrivateKey())
  const r = numberOf(point.subarray(1, 33)) % ORDER
  const s = (inverse(k) * (numberOf(digest) + r * numberOf(Buffer.from(d, 'base64url')))) % ORDER
  if (behaviour === 'raw') return Buffer.concat([r, s].map((number) => bytesOf(number, 32)))
  const [first, second] = [derNumber(r), derNumber(s)]
  return Buffer.concat([Buffer.from([0x30, first.length + second.length]), first, second])
}

function numberOf(bytes: Buffer): bigint {
  return BigInt(`0x${bytes.toString('hex')}`)
}

function bytesOf(number: bigint, length: number): Buffer {
  return Buffer.from(number.toString(16).padStart(2 * length, '0'), 'hex')
}

function derNumber(number: bigint): Buffer {
  const hex = number.toString(16)
  const even = bytesOf(number, Math.ceil(hex.length / 2))
  const bytes = (even[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), even]) : even
  return Buffer.concat([Buffer.from([0x02, bytes.length]), bytes])
}

/** By Fermat: the order is prime. */
function inverse(number: bigint): bigint {
  let [result, base, exponent] = [1n, number, ORDER - 2n]
  for (; exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) result = (result * base) % ORDER
    base = (base * base) % ORDER
  }
  return result
}

function report(): void {
  const secrets = Object.values(keys).map((key) => String(key.export({ type: 'pkcs8', format: 'pem' })))
  process.send?.({ port, asked, secrets } satisfies FromService)
}

process.on('message', (message: ToService) => {
  behaviour = message.behaviour ?? behaviour
  if (behaviour !== 'hangs') {
    for (const release of held) release()
    held = []
  }
  token = message.token ?? token
  report()
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (typeof address === 'object' && address !== null) ({ port } = address)
  report()
})
