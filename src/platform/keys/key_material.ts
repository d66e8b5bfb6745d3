// Makes key pairs and turns private keys into stored text and back: `plain:<PKCS #8>`, or sealed with AES-256-GCM as
// `sealed:<iv>.<ciphertext and tag>` with the kid as associated data, so that no stored key can pose as another.
import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  generateKeyPair as generateKeyPairNow,
} from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import type { RandomBytes } from '#core/clock.ts'
import type { SigningAlgorithm } from '#core/key_rotation.ts'
import { jwkThumbprint, publicMembers } from '#core/public_jwk.ts'
import type { PublicJwk } from '#core/public_jwk.ts'
import { KeyFailure } from './key_failure.ts'

export type KeyPair = { readonly kid: string; readonly jwk: PublicJwk; readonly privateKey: KeyObject }

export type Sealing = { readonly key: Buffer; readonly randomBytes: RandomBytes } | undefined

const generateKeyPair = promisify(generateKeyPairNow)
const ivBytes = 12
const tagBytes = 16

/**
 * A new key whose kid (RFC 7638) begins with no dash: one in 64 would, and `keys revoke -nkD...` in an emergency would be
 * taken for options.
 */
export async function makeKeyPair(algorithm: SigningAlgorithm): Promise<KeyPair> {
  for (;;) {
    const pair = await drawKeyPair(algorithm)
    if (!pair.kid.startsWith('-')) return pair
  }
}

async function drawKeyPair(algorithm: SigningAlgorithm): Promise<KeyPair> {
  const { privateKey } =
    algorithm === 'ES256'
      ? await generateKeyPair('ec', { namedCurve: 'P-256' })
      : await generateKeyPair('rsa', { modulusLength: 2048 })
  const jwk = publicJwkOf(privateKey)
  return { kid: jwkThumbprint(jwk), jwk, privateKey }
}

export function packPrivateKey(kid: string, privateKey: KeyObject, sealing: Sealing): string {
  const der = privateKey.export({ type: 'pkcs8', format: 'der' })
  if (sealing === undefined) return `plain:${der.toString('base64url')}`
  const iv = Buffer.from(sealing.randomBytes(ivBytes))
  const cipher = createCipheriv('aes-256-gcm', sealing.key, iv, { authTagLength: tagBytes })
  cipher.setAAD(Buffer.from(kid))
  const sealed = Buffer.concat([cipher.update(der), cipher.final(), cipher.getAuthTag()])
  return `sealed:${iv.toString('base64url')}.${sealed.toString('base64url')}`
}

/** Throws a KeyFailure that says what to do; it never holds key material. */
export function unpackPrivateKey(
  kid: string,
  algorithm: SigningAlgorithm,
  packed: string,
  sealing: Sealing,
): KeyObject {
  const der = packed.startsWith('sealed:')
    ? unseal(kid, packed.slice('sealed:'.length), sealing)
    : Buffer.from(packed.slice('plain:'.length), 'base64url')
  const privateKey = readPrivateKey(kid, der)
  if (jwkThumbprint(publicJwkOf(privateKey)) !== kid)
    throw new KeyFailure(`key ${kid}: it is stored under a name that is not its thumbprint`)
  if (!fits(privateKey, algorithm)) throw new KeyFailure(`key ${kid}: it does not fit ${algorithm}`)
  return privateKey
}

export function isSealed(packed: string): boolean {
  return packed.startsWith('sealed:')
}

/** Reads 32 bytes: raw, or as base64, base64url or hex text with or without a newline at the end. */
export async function readSealingKey(file: string): Promise<Buffer> {
  const content = await readFile(file).catch((cause: unknown) => {
    throw new KeyFailure(
      `the sealing key file ${file} cannot be read: is it there, and may this user read it?`,
      { cause },
    )
  })
  if (content.length === 32) return content
  const text = content.length <= 200 ? content.toString('latin1').trim() : ''
  const key = /^[0-9a-fA-F]{64}$/.test(text) ? Buffer.from(text, 'hex') : Buffer.from(text, 'base64')
  if (key.length !== 32 || !/^[A-Za-z0-9+/_-]+=?$/.test(text)) {
    throw new KeyFailure(
      `the sealing key file ${file} must hold 32 bytes: put the one back that sealed the store, or, for a new store, make one with \`openssl rand -base64 32\``,
    )
  }
  return key
}

/** The required members of the public half of a private or public key. */
export function publicJwkOf(key: KeyObject): PublicJwk {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key
  const jwk = publicMembers(publicKey.export({ format: 'jwk' }))
  if (jwk === undefined) throw new KeyFailure('a signing key is neither RSA nor EC')
  return jwk
}

function unseal(kid: string, text: string, sealing: Sealing): Buffer {
  if (sealing === undefined) {
    throw new KeyFailure(
      `key ${kid} is sealed in the store, and no sealing key file is configured: name the file that sealed it (keys.sealingKeyFile)`,
    )
  }
  const [iv = '', body = ''] = text.split('.')
  const bytes = Buffer.from(body, 'base64url')
  try {
    const nonce = Buffer.from(iv, 'base64url')
    const decipher = createDecipheriv('aes-256-gcm', sealing.key, nonce, { authTagLength: tagBytes })
    decipher.setAAD(Buffer.from(kid))
    decipher.setAuthTag(bytes.subarray(-tagBytes))
    return Buffer.concat([decipher.update(bytes.subarray(0, -tagBytes)), decipher.final()])
  } catch (cause) {
    throw new KeyFailure(
      `key ${kid} cannot be opened with this sealing key: it was sealed with another one, or altered; name the file that sealed it (keys.sealingKeyFile)`,
      {
        cause,
      },
    )
  }
}

function readPrivateKey(kid: string, der: Buffer): KeyObject {
  try {
    return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  } catch (cause) {
    throw new KeyFailure(`key ${kid}: the stored private key cannot be read`, { cause })
  }
}

function fits(key: KeyObject, algorithm: SigningAlgorithm): boolean {
  const details = key.asymmetricKeyDetails
  if (algorithm === 'ES256') return details?.namedCurve === 'prime256v1'
  return key.asymmetricKeyType === 'rsa' && (details?.modulusLength ?? 0) >= 2048
}
