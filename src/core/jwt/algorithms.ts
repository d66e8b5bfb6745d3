// Every JWS algorithm that can ever be accepted, one row each. `none`, HMAC and ES256K are not rows, so no list in a
// configuration can turn them on. RFC 7518 §3, RFC 8037 §3.1.

export type KeyType = 'RSA' | 'EC' | 'OKP'

export type Algorithm = {
  readonly name: string
  readonly kty: KeyType
  /** Curve that the key must be on; `undefined` for RSA. */
  readonly crv: string | undefined
  /** Digest name for `crypto.verify`; null where the scheme brings its own. */
  readonly digest: string | null
  readonly padding: 'pkcs1' | 'pss' | undefined
  /** Exact length of a signature; RSA's is the modulus's, which OpenSSL holds. */
  readonly signatureBytes: number | undefined
}

const ROWS: readonly Algorithm[] = [
  rsa('RS256', 'sha256', 'pkcs1'),
  rsa('RS384', 'sha384', 'pkcs1'),
  rsa('RS512', 'sha512', 'pkcs1'),
  rsa('PS256', 'sha256', 'pss'),
  rsa('PS384', 'sha384', 'pss'),
  rsa('PS512', 'sha512', 'pss'),
  ecdsa('ES256', 'P-256', 'sha256', 64),
  ecdsa('ES384', 'P-384', 'sha384', 96),
  ecdsa('ES512', 'P-521', 'sha512', 132),
  { name: 'EdDSA', kty: 'OKP', crv: 'Ed25519', digest: null, padding: undefined, signatureBytes: 64 },
]

const TABLE: ReadonlyMap<string, Algorithm> = new Map(ROWS.map((row) => [row.name, row]))

/** Names of all rows, in the order in which they are documented. */
export const ALGORITHM_NAMES: readonly string[] = ROWS.map((row) => row.name)

/** Compared byte for byte: `rs256` is not an algorithm. */
export function algorithmOf(name: string): Algorithm | undefined {
  return TABLE.get(name)
}

/**
 * The signature as OpenSSL's default expects it, so that `crypto.verify` can take a bare KeyObject: on Node 24 asking
 * for `ieee-p1363` through an options object costs half as much again as the verification. `undefined` when no
 * signature of this algorithm can look like that.
 */
export function toOpensslSignature(algorithm: Algorithm, signature: Buffer): Buffer | undefined {
  if (algorithm.signatureBytes === undefined) return signature.length === 0 ? undefined : signature
  if (signature.length !== algorithm.signatureBytes) return undefined
  return algorithm.kty === 'EC' ? p1363ToDer(signature) : signature
}

/** `r || s` to `SEQUENCE { INTEGER r, INTEGER s }` (RFC 3279 §2.2.3); `undefined` when r or s is zero. */
function p1363ToDer(signature: Buffer): Buffer | undefined {
  const half = signature.length / 2
  const r = firstNonZero(signature, 0, half)
  const s = firstNonZero(signature, half, signature.length)
  if (r === half || s === signature.length) return undefined
  const rPad = isHigh(signature, r) ? 1 : 0
  const sPad = isHigh(signature, s) ? 1 : 0
  const rLength = half - r + rPad
  const sLength = signature.length - s + sPad
  const content = 4 + rLength + sLength
  // P-521 is the only curve whose content passes 127 bytes: long form, one length byte.
  const start = content > 127 ? 3 : 2
  const der = Buffer.alloc(start + content)
  der[0] = 0x30
  der[start - 1] = content
  if (start === 3) der[1] = 0x81
  der[start] = 0x02
  der[start + 1] = rLength
  signature.copy(der, start + 2 + rPad, r, half)
  der[start + 2 + rLength] = 0x02
  der[start + 3 + rLength] = sLength
  signature.copy(der, start + 4 + rLength + sPad, s)
  return der
}

function firstNonZero(bytes: Buffer, from: number, end: number): number {
  let at = from
  while (at < end && bytes[at] === 0) at += 1
  return at
}

function isHigh(bytes: Buffer, at: number): boolean {
  return ((bytes[at] ?? 0) & 0x80) !== 0
}

function rsa(name: string, digest: string, padding: 'pkcs1' | 'pss'): Algorithm {
  return { name, kty: 'RSA', crv: undefined, digest, padding, signatureBytes: undefined }
}

function ecdsa(name: string, crv: string, digest: string, signatureBytes: number): Algorithm {
  return { name, kty: 'EC', crv, digest, padding: undefined, signatureBytes }
}
