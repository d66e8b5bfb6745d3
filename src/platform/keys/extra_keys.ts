// Public keys served beside our own: Dex's old ones while the broker takes over its issuer, so that tokens issued
// before the cut-over keep verifying. Public keys only, and read strictly.
import { createPublicKey } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { publicMembers } from '#core/public_jwk.ts'
import type { PublishedJwk } from '#core/public_jwk.ts'
import { KeyFailure } from './key_failure.ts'
import { publicJwkOf } from './key_material.ts'

export type ExtraKey = PublishedJwk & { readonly publicKey: KeyObject }

const maxBytes = 256 * 1024
const maxKeys = 32
const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']
const ecAlgorithms: ReadonlyMap<string, string> = new Map([
  ['P-256', 'ES256'],
  ['P-384', 'ES384'],
  ['P-521', 'ES512'],
])
const rsaAlgorithms: ReadonlySet<unknown> = new Set(['RS256', 'RS384', 'RS512'])

/** Reads a JWKS file. Throws a KeyFailure that names the file and the entry. */
export async function readExtraKeys(file: string): Promise<readonly ExtraKey[]> {
  const fail = (detail: string, cause?: unknown): never => {
    throw new KeyFailure(`extra public keys ${file}: ${detail}`, { cause })
  }
  const content = await readFile(file).catch((cause: unknown) => fail('cannot be read', cause))
  if (content.length > maxBytes) fail(`larger than ${maxBytes} bytes`)
  const entries = entriesOf(content.toString('utf8'))
  if (entries === undefined) return fail('not a JWKS: `{"keys": [...]}`')
  if (entries.length > maxKeys) fail(`more than ${maxKeys} keys`)
  const keys = entries.map((entry, index) => {
    const read = readExtraKey(entry)
    return typeof read === 'string' ? fail(`key ${index}: ${read}`) : read
  })
  const twice = keys.find((key, index) => keys.findIndex((other) => other.kid === key.kid) !== index)
  if (twice !== undefined) fail(`two keys have the kid ${twice.kid}`)
  return keys
}

function entriesOf(text: string): readonly unknown[] | undefined {
  try {
    const document: unknown = JSON.parse(text)
    return isObject(document) && Array.isArray(document['keys']) ? document['keys'] : undefined
  } catch {
    // Said by the caller, with the file's name.
    return undefined
  }
}

/** The key, or what is wrong with it. */
function readExtraKey(entry: unknown): ExtraKey | string {
  if (!isObject(entry)) return 'not an object'
  if (privateMembers.some((member) => Object.hasOwn(entry, member))) return 'it holds a private or secret key'
  const { kid, use } = entry
  if (typeof kid !== 'string' || kid === '' || kid.length > 200) return 'it has no usable kid'
  if (use !== undefined && use !== 'sig') return 'its use is not sig'
  const members = publicMembers(entry)
  if (members === undefined) return 'only EC and RSA keys are served'
  const publicKey = importPublic(members)
  if (publicKey === undefined) return 'it is not a valid key'
  const alg = algorithmOf(publicKey, members, entry['alg'])
  if (alg === undefined) return 'its alg does not fit, or the key is too weak'
  return { kid, alg, jwk: publicJwkOf(publicKey), publicKey }
}

function algorithmOf(key: KeyObject, members: PublishedJwk['jwk'], stated: unknown): string | undefined {
  if (members.kty === 'EC') {
    const alg = ecAlgorithms.get(members.crv)
    return stated === undefined || stated === alg ? alg : undefined
  }
  if ((key.asymmetricKeyDetails?.modulusLength ?? 0) < 2048) return undefined
  const alg = stated ?? 'RS256'
  return typeof alg === 'string' && rsaAlgorithms.has(alg) ? alg : undefined
}

function importPublic(members: PublishedJwk['jwk']): KeyObject | undefined {
  try {
    return createPublicKey({ key: { ...members }, format: 'jwk' })
  } catch {
    // Not a point of the curve, or not a number: the caller names the entry.
    return undefined
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
