// A key set as go-jose v2.6 reads it for kube-apiserver up to 1.37: one key that it cannot read makes the whole set
// unreadable, and with it every token of the issuer. gopkg.in/go-jose/go-jose.v2 jwk.go, measured on 1.36.4.
import { X509Certificate, createHash, createPublicKey } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import type { KeyType } from '#core/jwt/algorithms.ts'
import type { Result } from '#core/result.ts'
import { goBase64 } from './go_base64.ts'
import { goText } from './go_claims.ts'
import { goMember, readGoJson, repeatedGoName } from './go_json.ts'
import type { GoJson } from './go_json.ts'

export type GoJoseKey = {
  readonly kid: string
  readonly use: string
  readonly alg: string
} & (
  | {
      readonly kind: 'public'
      readonly kty: KeyType
      readonly crv: string | undefined
      readonly key: KeyObject
    }
  /** Read, and fit for nothing here: symmetric or private. */
  | { readonly kind: 'secret'; readonly kty: string }
  /** Go takes it, OpenSSL does not: no signature of it can be checked here. */
  | { readonly kind: 'unusable'; readonly kty: string }
)

export type KeySetFailure = {
  /** go-jose's words. */
  readonly message: string
  /** Which member of `keys`, from 0; `undefined` when the whole document is no key set. */
  readonly index: number | undefined
  readonly kid: string | undefined
}

/** Reads a JWKS document. A document without keys is an empty set. */
export function readGoJoseKeySet(body: Buffer): Result<readonly GoJoseKey[], KeySetFailure> {
  const json = readGoJson(body)
  if (!json.ok) return fail(json.denial)
  if (json.value.kind === 'null') return { ok: true, value: [] }
  if (json.value.kind !== 'object')
    return fail(`json: cannot unmarshal ${json.value.kind} into Go value of type jose.JSONWebKeySet`)
  const list = json.value.members.findLast(([name]) => name.toLowerCase() === 'keys')?.[1]
  if (list === undefined || list.kind === 'null') return { ok: true, value: [] }
  if (list.kind !== 'array')
    return fail(
      `json: cannot unmarshal ${list.kind} into Go struct field JSONWebKeySet.keys of type []jose.JSONWebKey`,
    )
  const keys: GoJoseKey[] = []
  for (const [index, item] of list.items.entries()) {
    const key = readGoJoseKey(item)
    if (!key.ok) return { ok: false, denial: { message: key.denial, index, kid: kidOf(item) } }
    keys.push(key.value)
  }
  return { ok: true, value: keys }
}

type RawKey = {
  readonly [name in (typeof TEXTS)[number]]: string
} & {
  readonly [name in (typeof BYTES)[number]]: Buffer | undefined
}

const TEXTS = ['use', 'kty', 'kid', 'crv', 'alg', 'x5t', 'x5t#S256'] as const
const BYTES = ['k', 'x', 'y', 'n', 'e', 'd', 'p', 'q', 'dp', 'dq', 'qi'] as const

/** Reads one JWK. The denial is go-jose's text. */
export function readGoJoseKey(jwk: GoJson): Result<GoJoseKey, string> {
  const raw = readRaw(jwk)
  if (!raw.ok) return raw
  const certificates = readCertificates(goMember(jwk, 'x5c'))
  if (!certificates.ok) return certificates
  const key = toKey(raw.value, certificates.value.length > 0)
  if (!key.ok) return key
  const [leaf] = certificates.value
  if (leaf !== undefined && key.value.kind === 'public' && !isSameKey(leaf, key.value.key))
    return no('go-jose/go-jose: invalid JWK, public keys in key and x5c fields to not match')
  const thumbprint =
    thumbprintProblem(raw.value.x5t, 'x5t', 20, leaf) ??
    thumbprintProblem(raw.value['x5t#S256'], 'x5t#S256', 32, leaf)
  return thumbprint === undefined ? key : no(thumbprint)
}

function readRaw(jwk: GoJson): Result<RawKey, string> {
  if (jwk.kind !== 'object' && jwk.kind !== 'null')
    return no(`json: cannot unmarshal ${jwk.kind} into Go value of type jose.rawJSONWebKey`)
  const twice = repeatedGoName(jwk)
  if (twice !== undefined) return no(`json: duplicate key '${twice}' in object`)
  const texts = new Map<string, string>()
  const bytes = new Map<string, Buffer | undefined>()
  for (const name of [...TEXTS, ...BYTES]) {
    const value = goMember(jwk, name)
    const text: Result<string, string> = value === undefined ? { ok: true, value: '' } : goText(value)
    if (!text.ok) return text
    texts.set(name, text.value)
  }
  for (const name of BYTES) {
    const decoded = readBytes(texts.get(name) ?? '')
    if (!decoded.ok) return decoded
    bytes.set(name, decoded.value)
  }
  return {
    ok: true,
    value: rawKey(
      (name) => texts.get(name) ?? '',
      (name) => bytes.get(name),
    ),
  }
}

function rawKey(
  text: (name: (typeof TEXTS)[number]) => string,
  bytes: (name: (typeof BYTES)[number]) => Buffer | undefined,
): RawKey {
  return {
    use: text('use'),
    kty: text('kty'),
    kid: text('kid'),
    crv: text('crv'),
    alg: text('alg'),
    x5t: text('x5t'),
    'x5t#S256': text('x5t#S256'),
    k: bytes('k'),
    x: bytes('x'),
    y: bytes('y'),
    n: bytes('n'),
    e: bytes('e'),
    d: bytes('d'),
    p: bytes('p'),
    q: bytes('q'),
    dp: bytes('dp'),
    dq: bytes('dq'),
    qi: bytes('qi'),
  }
}

function readBytes(text: string): Result<Buffer | undefined, string> {
  return text === '' ? { ok: true, value: undefined } : goBase64(text)
}

function toKey(raw: RawKey, hasCertificates: boolean): Result<GoJoseKey, string> {
  switch (raw.kty) {
    case 'EC':
      return ecKey(raw)
    case 'RSA':
      return rsaKey(raw)
    case 'oct':
      if (hasCertificates)
        return no("go-jose/go-jose: invalid JWK, found 'oct' (symmetric) key with cert chain")
      return raw.k === undefined
        ? no('go-jose/go-jose: invalid OCT (symmetric) key, missing k value')
        : secret(raw)
    case 'OKP':
      if (raw.crv !== 'Ed25519' || raw.x === undefined)
        return no(`go-jose/go-jose: unknown curve ${raw.crv}'`)
      return raw.d === undefined
        ? publicKey(raw, { kty: 'OKP', crv: 'Ed25519', x: ed25519(raw.x) })
        : secret(raw)
    default:
      return no(`go-jose/go-jose: unknown json web key type '${raw.kty}'`)
  }
}

const CURVE_BYTES: ReadonlyMap<string, number> = new Map([
  ['P-256', 32],
  ['P-384', 48],
  ['P-521', 66],
])

function ecKey(raw: RawKey): Result<GoJoseKey, string> {
  const size = CURVE_BYTES.get(raw.crv)
  const called = raw.d === undefined ? 'public' : 'private'
  if (size === undefined) return no(`go-jose/go-jose: unsupported elliptic curve '${raw.crv}'`)
  if (raw.x === undefined || raw.y === undefined)
    return no(
      `go-jose/go-jose: invalid EC ${called === 'public' ? 'key, missing x/y' : 'private key, missing x/y/d'} values`,
    )
  if (raw.x.length !== size) return no(`go-jose/go-jose: invalid EC ${called} key, wrong length for x`)
  if (raw.y.length !== size) return no(`go-jose/go-jose: invalid EC ${called} key, wrong length for y`)
  if (raw.d !== undefined && raw.d.length !== size)
    return no('go-jose/go-jose: invalid EC private key, wrong length for d')
  const members = { kty: 'EC', crv: raw.crv, x: raw.x.toString('base64url'), y: raw.y.toString('base64url') }
  const key = publicKey(raw, members)
  if (key.ok && key.value.kind === 'unusable')
    return no('go-jose/go-jose: invalid EC key, X/Y are not on declared curve')
  return raw.d === undefined ? key : secret(raw)
}

function rsaKey(raw: RawKey): Result<GoJoseKey, string> {
  if (raw.d !== undefined) return secret(raw)
  if (raw.n === undefined || raw.e === undefined)
    return no('go-jose/go-jose: invalid RSA key, missing n/e values')
  return publicKey(raw, { kty: 'RSA', n: raw.n.toString('base64url'), e: raw.e.toString('base64url') })
}

type PublicMembers = { readonly kty: string; readonly crv?: string } & Readonly<Record<string, string>>

function publicKey(raw: RawKey, members: PublicMembers): Result<GoJoseKey, string> {
  const names = { kid: raw.kid, use: raw.use, alg: raw.alg }
  try {
    const key = createPublicKey({ key: members, format: 'jwk' })
    const kty = members.kty === 'RSA' ? 'RSA' : members.kty === 'EC' ? 'EC' : 'OKP'
    return { ok: true, value: { ...names, kind: 'public', kty, crv: members.crv, key } }
  } catch {
    // OpenSSL's own word about a key that Go may still take; which phrase it was tells nobody anything.
    return { ok: true, value: { ...names, kind: 'unusable', kty: members.kty } }
  }
}

/** Go copies what is there into 32 bytes, whatever its length. */
function ed25519(x: Buffer): string {
  const bytes = Buffer.alloc(32)
  x.copy(bytes)
  return bytes.toString('base64url')
}

function secret(raw: RawKey): Result<GoJoseKey, string> {
  return { ok: true, value: { kid: raw.kid, use: raw.use, alg: raw.alg, kind: 'secret', kty: raw.kty } }
}

function readCertificates(x5c: GoJson | undefined): Result<readonly X509Certificate[], string> {
  if (x5c === undefined || x5c.kind === 'null') return { ok: true, value: [] }
  if (x5c.kind !== 'array') return no(`json: cannot unmarshal ${x5c.kind} into Go value of type []string`)
  const certificates: X509Certificate[] = []
  for (const item of x5c.items) {
    const text = goText(item)
    if (!text.ok) return text
    const certificate = readCertificate(text.value)
    if (!certificate.ok) return certificate
    certificates.push(certificate.value)
  }
  return { ok: true, value: certificates }
}

function readCertificate(text: string): Result<X509Certificate, string> {
  const odd = /[^A-Za-z0-9+/=]/.exec(text)
  if (odd !== null) return badX5c(`illegal base64 data at input byte ${odd.index}`)
  try {
    return { ok: true, value: new X509Certificate(Buffer.from(text, 'base64')) }
  } catch {
    return badX5c('x509: malformed certificate')
  }
}

function badX5c(detail: string): Result<never, string> {
  return no(`go-jose/go-jose: failed to unmarshal x5c field: ${detail}`)
}

function isSameKey(certificate: X509Certificate, key: KeyObject): boolean {
  return certificate.publicKey.equals(key)
}

/** RFC 7517 §4.8 and §4.9; go-jose takes the hex spelling of a thumbprint, too. */
function thumbprintProblem(
  text: string,
  name: 'x5t' | 'x5t#S256',
  size: 20 | 32,
  leaf: X509Certificate | undefined,
): string | undefined {
  const decoded = readBytes(text)
  if (!decoded.ok) return `go-jose/go-jose: invalid JWK, ${name} header has invalid encoding`
  let bytes = decoded.value ?? Buffer.alloc(0)
  if (bytes.length === 2 * size) {
    const hex = bytes.toString('latin1')
    if (!/^[0-9a-fA-F]+$/.test(hex)) return `go-jose/go-jose: invalid JWK, unable to hex decode ${name}`
    bytes = Buffer.from(hex, 'hex')
  }
  if (bytes.length === 0) return undefined
  if (bytes.length !== size) return `go-jose/go-jose: invalid JWK, ${name} header is of incorrect size`
  if (leaf === undefined) return undefined
  const sum = createHash(size === 20 ? 'sha1' : 'sha256')
    .update(leaf.raw)
    .digest()
  return sum.equals(bytes)
    ? undefined
    : `go-jose/go-jose: invalid JWK, x5c thumbprint does not match ${name} value`
}

function kidOf(jwk: GoJson): string | undefined {
  const kid = goMember(jwk, 'kid')
  return kid?.kind === 'string' ? kid.text : undefined
}

function fail(message: string): Result<never, KeySetFailure> {
  return { ok: false, denial: { message, index: undefined, kid: undefined } }
}

function no(denial: string): Result<never, string> {
  return { ok: false, denial }
}
