// Whether Go's crypto/x509 (1.26) parses a certificate: it is stricter than OpenSSL about times, names, versions and
// extensions, and laxer about what it does not know. Constraints on names are looked at by form only.
import { createPublicKey } from 'node:crypto'
import { contextTag, Der, MalformedDer, TAG } from './der.ts'
import { checkExtensions } from './go_certificate_extensions.ts'

/** `undefined`: it parses; otherwise what is wrong with it, as a phrase. */
export function certificateProblem(der: Buffer): string | undefined {
  try {
    readCertificate(der)
    return undefined
  } catch (error) {
    if (!(error instanceof MalformedDer)) throw error
    return error.message
  }
}

function readCertificate(der: Buffer): void {
  const outer = new Der(der)
  const certificate = part('certificate', () => outer.read(TAG.sequence))
  if (!outer.isEmpty) throw new MalformedDer('something follows the certificate')
  const tbs = part('certificate', () => certificate.read(TAG.sequence))
  const version = part('version', () => readVersion(tbs))
  if ((part('serial number', () => tbs.integer())[0] ?? 0) >= 0x80) {
    throw new MalformedDer('the serial number is negative')
  }
  const inner = part('signature algorithm', () => tbs.element(TAG.sequence).content)
  const signature = part('signature algorithm', () => certificate.read(TAG.sequence))
  if (!inner.bytes.equals(signature.bytes)) throw new MalformedDer('its two signature algorithms differ')
  part('signature algorithm', () => readAlgorithm(inner))
  part('issuer', () => checkName(tbs.read(TAG.sequence)))
  part('validity', () => checkValidity(tbs.read(TAG.sequence)))
  part('subject', () => checkName(tbs.read(TAG.sequence)))
  part('public key', () => checkPublicKey(tbs.read(TAG.sequence)))
  if (version > 1) checkRest(tbs, version)
  part('signature', () => certificate.bitString())
}

/** Names the part that is malformed; what says more itself passes. */
function part<T>(name: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof MalformedDer)) throw error
    throw new MalformedDer(`its ${name} is malformed`, { cause: error })
  }
}

function readVersion(tbs: Der): number {
  const holder = tbs.optional(contextTag(0, true))
  if (holder === undefined) return 1
  const version = Number(holder.smallInteger()) + 1
  if (!holder.isEmpty || version < 1 || version > 3) throw new MalformedDer('version')
  return version
}

function checkRest(tbs: Der, version: number): void {
  part('unique ids', () => tbs.optional(contextTag(1, false)))
  part('unique ids', () => tbs.optional(contextTag(2, false)))
  if (version < 3) return
  const extensions = part('extensions', () => tbs.optional(contextTag(3, true))?.read(TAG.sequence))
  if (extensions !== undefined) checkExtensions(extensions)
}

type Algorithm = { readonly oid: string; readonly parameters: Buffer }

function readAlgorithm(der: Der): Algorithm {
  const oid = der.oid()
  return { oid, parameters: der.isEmpty ? Buffer.alloc(0) : der.any().whole }
}

function checkName(names: Der): void {
  while (!names.isEmpty) {
    const set = names.read(TAG.set)
    while (!set.isEmpty) {
      const attribute = set.read(TAG.sequence)
      attribute.oid()
      const { tag, content } = attribute.any()
      if (!isText(tag, content.bytes)) throw new MalformedDer('name')
    }
  }
}

function isText(tag: number, bytes: Buffer): boolean {
  switch (tag) {
    case 0x14: // T61String
      return true
    case 0x13: // PrintableString
      return /^[a-zA-Z0-9'()+,\-./ :=?*&]*$/.test(bytes.toString('latin1'))
    case 0x0c: // UTF8String
      return Buffer.from(bytes.toString('utf8')).equals(bytes)
    case 0x16: // IA5String
      return bytes.every((byte) => byte < 0x80)
    case 0x12: // NumericString
      return /^[0-9 ]*$/.test(bytes.toString('latin1'))
    case 0x1e: // BMPString
      return isBasicPlane(bytes)
    default:
      return false
  }
}

function isBasicPlane(bytes: Buffer): boolean {
  if (bytes.length % 2 !== 0) return false
  for (let index = 0; index < bytes.length; index += 2) {
    const point = bytes.readUInt16BE(index)
    if (point >= 0xfffe || (point >= 0xfdd0 && point <= 0xfdef) || (point >= 0xd800 && point <= 0xdfff))
      return false
  }
  return true
}

function checkValidity(validity: Der): void {
  for (let count = 0; count < 2; count += 1) {
    const { tag, content } = validity.any()
    const text = content.bytes.toString('latin1')
    const isTime = tag === TAG.utcTime ? isUtcTime(text) : tag === TAG.generalizedTime && isTimeOf(text)
    if (!isTime) throw new MalformedDer('time')
  }
}

function isUtcTime(text: string): boolean {
  // two digits of a year: 69 to 99 are of the last century; seconds may be absent
  const century = Number(text.slice(0, 2)) >= 69 ? '19' : '20'
  return isTimeOf(`${century}${text}`) || isTimeOf(`${century}${text.slice(0, 10)}00${text.slice(10)}`)
}

const TIME = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:Z|[+-](?!0000)(?:[01]\d|2[0-4])[0-5]\d)$/

function isTimeOf(text: string): boolean {
  const [, ...parts] = TIME.exec(text) ?? []
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts.map(Number)
  if (parts.length === 0 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return false
  return hour < 24 && minute < 60 && second < 60
}

function daysIn(year: number, month: number): number {
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  return [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1] ?? 0
}

const RSA = '2a864886f70d010101'
const EC = '2a8648ce3d0201'
const ED25519 = '2b6570'
const X25519 = '2b656e'
/** The curves that Go knows, with the bytes of a coordinate. */
const CURVES: ReadonlyMap<string, { readonly name: string; readonly bytes: number }> = new Map([
  ['2b81040021', { name: '', bytes: 28 }],
  ['2a8648ce3d030107', { name: 'P-256', bytes: 32 }],
  ['2b81040022', { name: 'P-384', bytes: 48 }],
  ['2b81040023', { name: 'P-521', bytes: 66 }],
])

/** Keys of kinds that Go does not know pass. */
function checkPublicKey(info: Der): void {
  const { oid, parameters } = readAlgorithm(info.read(TAG.sequence))
  const { bits, padding } = info.bitString()
  if (oid === RSA) return checkRsa(parameters, bits)
  if (oid === EC) return checkEc(parameters, bits, padding)
  if ((oid === ED25519 || oid === X25519) && (parameters.length > 0 || bits.length !== 32)) {
    throw new MalformedDer('public key')
  }
}

function checkRsa(parameters: Buffer, bits: Buffer): void {
  if (parameters.toString('hex') !== '0500') throw new MalformedDer('parameters')
  const key = new Der(bits).read(TAG.sequence)
  const modulus = key.integer()
  const isPositive = (modulus[0] ?? 0) < 0x80 && modulus.some((byte) => byte !== 0)
  if (!isPositive || key.smallInteger() <= 0n) throw new MalformedDer('key')
}

function checkEc(parameters: Buffer, bits: Buffer, padding: number): void {
  const curve = CURVES.get(new Der(parameters).oid())
  if (curve === undefined || padding !== 0 || bits[0] !== 4 || bits.length !== 1 + 2 * curve.bytes) {
    throw new MalformedDer('key')
  }
  const [x, y] = [bits.subarray(1, 1 + curve.bytes), bits.subarray(1 + curve.bytes)]
  try {
    // P-224 has no name in JWK, and no CA uses it
    if (curve.name === '') return
    const jwk = { kty: 'EC', crv: curve.name, x: x.toString('base64url'), y: y.toString('base64url') }
    createPublicKey({ key: jwk, format: 'jwk' })
  } catch (error) {
    // the point lies on no curve
    throw new MalformedDer('key', { cause: error })
  }
}
