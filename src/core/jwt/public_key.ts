// From a JWKS as somebody published it to the keys that may verify with it. A key that is not fit is left out and
// reported; it never takes the others with it. RFC 7517 §4 and §5, RFC 7518 §6, RFC 8725 §3.5.
import { createPublicKey } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { isJsonObject } from '#core/claims.ts'
import type { JsonObject, JsonValue } from '#core/claims.ts'
import type { Result } from '#core/result.ts'
import { algorithmOf } from './algorithms.ts'
import type { Algorithm, KeyType } from './algorithms.ts'
import { decodeSegment } from './compact.ts'
import { isRocaModulus } from './roca.ts'

export type VerificationKey = {
  readonly kid: string
  readonly kty: KeyType
  readonly crv: string | undefined
  /** The one algorithm that it may be used for, when its JWK names one. */
  readonly alg: string | undefined
  readonly key: KeyObject
}

export type KeySet = {
  readonly byKid: ReadonlyMap<string, readonly VerificationKey[]>
  readonly size: number
  readonly ignored: readonly IgnoredKey[]
}

/** `alarm` marks what an issuer must never publish: private or symmetric key material. */
export type IgnoredKey = {
  readonly kid: string | undefined
  readonly detail: string
  readonly alarm: boolean
}

const MAX_KEYS = 64
const MAX_KID_LENGTH = 200
const MIN_RSA_BITS = 2048
/** Verification time grows with the square; nobody publishes more. */
const MAX_RSA_BITS = 8192
const MIN_RSA_EXPONENT = 65_537n
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv']
const EC_COORDINATE_BYTES: ReadonlyMap<string, number> = new Map([
  ['P-256', 32],
  ['P-384', 48],
  ['P-521', 66],
])

/** Reads a JWK set (RFC 7517 §5). The denial says why the whole document is none; a set of no fit key is a set. */
export function readKeySet(document: JsonValue): Result<KeySet, string> {
  if (!isJsonObject(document)) return { ok: false, denial: 'not an object' }
  const list = document['keys']
  if (!Array.isArray(list)) return { ok: false, denial: 'no array "keys"' }
  if (list.length > MAX_KEYS) return { ok: false, denial: `more than ${MAX_KEYS} keys` }
  const byKid = new Map<string, VerificationKey[]>()
  const ignored: IgnoredKey[] = []
  let size = 0
  for (const jwk of list as readonly JsonValue[]) {
    const read = readPublicKey(jwk)
    if (!read.ok) {
      ignored.push(read.denial)
      continue
    }
    size += 1
    const sameKid = byKid.get(read.value.kid)
    if (sameKid === undefined) byKid.set(read.value.kid, [read.value])
    else sameKid.push(read.value)
  }
  return { ok: true, value: { byKid, size, ignored } }
}

/**
 * The key that `kid` means for `algorithm`: the only one that fits. Two that fit the same algorithm are no answer,
 * since nobody can say which of them the issuer still stands for.
 */
export function selectKey(set: KeySet, algorithm: Algorithm, kid: string): KeySelection {
  const sameKid = set.byKid.get(kid)
  if (sameKid === undefined) return { found: 'none' }
  const fitting = sameKid.filter((key) => fits(key, algorithm))
  const [key, second] = fitting
  if (key === undefined) return { found: 'unfit', detail: `its key is not one for ${algorithm.name}` }
  if (second !== undefined) return { found: 'unfit', detail: 'several keys share its kid and algorithm' }
  return { found: 'key', key }
}

export type KeySelection =
  | { readonly found: 'key'; readonly key: VerificationKey }
  | { readonly found: 'unfit'; readonly detail: string }
  | { readonly found: 'none' }

/** Whether a key is of the algorithm's type and curve, and reserved for no other one. */
export function fits(key: VerificationKey, algorithm: Algorithm): boolean {
  if (key.alg !== undefined) return key.alg === algorithm.name
  return key.kty === algorithm.kty && key.crv === algorithm.crv
}

/** Reads one JWK (RFC 7517 §4). */
export function readPublicKey(jwk: JsonValue): Result<VerificationKey, IgnoredKey> {
  if (!isJsonObject(jwk)) return ignore(undefined, 'not an object')
  const kid = jwk['kid']
  if (typeof kid !== 'string' || kid === '') return ignore(undefined, 'no kid')
  if (kid.length > MAX_KID_LENGTH) return ignore(kid.slice(0, MAX_KID_LENGTH), 'kid too long')
  if (PRIVATE_MEMBERS.some((name) => jwk[name] !== undefined))
    return ignore(kid, 'carries private or symmetric key material', true)
  const misuse = misusedFor(jwk)
  if (misuse !== undefined) return ignore(kid, misuse)
  const shape = publicShape(jwk)
  if (!shape.ok) return ignore(kid, shape.denial)
  const { kty, crv, members } = shape.value
  const alg = jwk['alg']
  if (alg !== undefined) {
    const algorithm = typeof alg === 'string' ? algorithmOf(alg) : undefined
    if (algorithm === undefined) return ignore(kid, 'alg is not a signature algorithm of the table')
    if (algorithm.kty !== kty || algorithm.crv !== crv) return ignore(kid, 'alg does not fit kty and crv')
    return toKey({ kid, kty, crv, alg: algorithm.name }, members)
  }
  return toKey({ kid, kty, crv, alg: undefined }, members)
}

function toKey(
  row: Omit<VerificationKey, 'key'>,
  members: PublicMembers,
): Result<VerificationKey, IgnoredKey> {
  try {
    return { ok: true, value: { ...row, key: createPublicKey({ key: members, format: 'jwk' }) } }
  } catch {
    // OpenSSL's own word on a point off the curve; which of its phrases it was tells nobody anything.
    return ignore(row.kid, 'OpenSSL refuses it')
  }
}

/** RFC 7517 §4.2, §4.3. */
function misusedFor(jwk: JsonObject): string | undefined {
  const use = jwk['use']
  if (use !== undefined && use !== 'sig') return 'use is not sig'
  const operations = jwk['key_ops']
  if (operations === undefined) return undefined
  if (!Array.isArray(operations) || !operations.includes('verify')) return 'key_ops without verify'
  return undefined
}

type PublicMembers = Readonly<Record<string, string>>
type PublicShape = {
  readonly kty: KeyType
  readonly crv: string | undefined
  readonly members: PublicMembers
}

function publicShape(jwk: JsonObject): Result<PublicShape, string> {
  const kty = jwk['kty']
  if (kty === 'RSA') return rsaShape(jwk)
  if (kty === 'EC') return ecShape(jwk)
  if (kty === 'OKP') return okpShape(jwk)
  return { ok: false, denial: 'unknown kty' }
}

function rsaShape({ n, e }: JsonObject): Result<PublicShape, string> {
  const modulus = decodeMember(n)
  const exponent = decodeMember(e)
  if (modulus === undefined || exponent === undefined) return { ok: false, denial: 'n or e is not base64url' }
  const bits = bitLength(modulus)
  if (bits < MIN_RSA_BITS)
    return { ok: false, denial: `RSA modulus of ${bits} bits, less than ${MIN_RSA_BITS}` }
  if (bits > MAX_RSA_BITS)
    return { ok: false, denial: `RSA modulus of ${bits} bits, more than ${MAX_RSA_BITS}` }
  if (((modulus.at(-1) ?? 0) & 1) === 0) return { ok: false, denial: 'even RSA modulus' }
  // e = 1 makes the identity a signature; small ones invite forgery by padding mistakes; huge ones cost.
  if (bitLength(exponent) > 64) return { ok: false, denial: 'RSA exponent of more than 64 bits' }
  const value = BigInt(`0x${exponent.toString('hex')}`)
  if (value < MIN_RSA_EXPONENT || value % 2n === 0n)
    return { ok: false, denial: 'RSA exponent even or below 65537' }
  if (isRocaModulus(modulus)) return { ok: false, denial: 'RSA modulus with the ROCA fingerprint' }
  const members = { kty: 'RSA', n: modulus.toString('base64url'), e: exponent.toString('base64url') }
  return { ok: true, value: { kty: 'RSA', crv: undefined, members } }
}

function ecShape({ crv, x, y }: JsonObject): Result<PublicShape, string> {
  const size = typeof crv === 'string' ? EC_COORDINATE_BYTES.get(crv) : undefined
  if (typeof crv !== 'string' || size === undefined) return { ok: false, denial: 'unknown crv' }
  if (typeof x !== 'string' || typeof y !== 'string') return { ok: false, denial: 'x or y is not base64url' }
  if (decodeMember(x)?.length !== size || decodeMember(y)?.length !== size)
    return { ok: false, denial: 'x or y is not of the length of its curve' }
  return { ok: true, value: { kty: 'EC', crv, members: { kty: 'EC', crv, x, y } } }
}

function okpShape({ crv, x }: JsonObject): Result<PublicShape, string> {
  if (crv !== 'Ed25519') return { ok: false, denial: 'unknown crv' }
  if (typeof x !== 'string' || decodeMember(x)?.length !== 32)
    return { ok: false, denial: 'x is not 32 bytes' }
  return { ok: true, value: { kty: 'OKP', crv, members: { kty: 'OKP', crv, x } } }
}

function decodeMember(value: JsonValue | undefined): Buffer | undefined {
  if (typeof value !== 'string' || value === '') return undefined
  return decodeSegment(value)
}

/** Bits of an unsigned big-endian number; leading zero bytes (which RFC 7518 forbids, and some write) do not count. */
function bitLength(bytes: Buffer): number {
  const first = bytes.findIndex((byte) => byte !== 0)
  if (first === -1) return 0
  return (bytes.length - first) * 8 - (Math.clz32(bytes[first] ?? 0) - 24)
}

function ignore(kid: string | undefined, detail: string, alarm = false): Result<never, IgnoredKey> {
  return { ok: false, denial: { kid, detail, alarm } }
}
