// Client secrets at rest: PHC-style strings. `$sallyport-sha256$<salt>$<hash>` for secrets that a machine generated
// with 128 bits or more (nothing to guess, so one salted SHA-256 is enough and costs a microsecond), `$scrypt$...` for
// the rest. Base64 without padding, as the PHC string format has it. Deriving scrypt is platform/secret_check.ts.
import { hash as digestOf, timingSafeEqual } from 'node:crypto'

export type PhcHash =
  | { readonly kind: 'sha256'; readonly salt: Buffer; readonly hash: Buffer }
  | { readonly kind: 'scrypt'; readonly cost: ScryptCost; readonly salt: Buffer; readonly hash: Buffer }

/** N = 2^ln, RFC 7914 §2. */
export type ScryptCost = { readonly ln: number; readonly r: number; readonly p: number }

/** OWASP's scrypt profile with p = 1: 32 MiB and some 80 ms on one core. */
export const scryptCost: ScryptCost = { ln: 15, r: 8, p: 1 }

export const scryptHashBytes = 32
export const saltBytes = 16

/** Hashes a secret of at least 128 random bits. `salt`: 16 random bytes. */
export function hashGeneratedSecret(secret: string, salt: Uint8Array): string {
  return `$sallyport-sha256$${base64(salt)}$${base64(saltedSha256(secret, salt))}`
}

/** The PHC string of a derived scrypt key. */
export function formatScrypt(cost: ScryptCost, salt: Uint8Array, hash: Uint8Array): string {
  return `$scrypt$ln=${cost.ln},r=${cost.r},p=${cost.p}$${base64(salt)}$${base64(hash)}`
}

/** Reads a PHC string of one of the two kinds; `undefined` for anything else, and for costs nobody should pay. */
export function parsePhc(text: string): PhcHash | undefined {
  if (text.length > 512) return undefined
  const parts = text.split('$')
  if (parts[0] !== '') return undefined
  if (parts[1] === 'sallyport-sha256' && parts.length === 4) return parseSha256(parts[2], parts[3])
  if (parts[1] === 'scrypt' && parts.length === 5) return parseScrypt(parts[2], parts[3], parts[4])
  return undefined
}

/** Whether `secret` is the one behind a salted SHA-256. Compares in constant time. */
export function matchesSha256(secret: string, phc: Extract<PhcHash, { kind: 'sha256' }>): boolean {
  return constantTimeEqual(saltedSha256(secret, phc.salt), phc.hash)
}

/** Equality of two byte strings in time that depends on their lengths only. */
export function constantTimeEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.byteLength === b.byteLength && timingSafeEqual(a, b)
}

/**
 * Whether a secret may pass for generated: enough characters of hex, base64 or base64url for 128 bits, and as varied
 * as random ones are. It cannot prove randomness; it keeps words, dates and repetitions away from the fast hash.
 */
export function looksGenerated(secret: string): boolean {
  const distinct = new Set(secret).size
  if (/^[0-9a-fA-F-]+$/.test(secret)) return secret.replaceAll('-', '').length >= 32 && distinct >= 8
  if (!/^[A-Za-z0-9+/_.~=-]+$/.test(secret)) return false
  if (/^[a-z._-]+$|^[A-Z._-]+$/.test(secret)) return secret.length >= 40 && distinct >= 14
  return secret.length >= 22 && distinct >= 12
}

function parseSha256(saltText: string | undefined, hashText: string | undefined): PhcHash | undefined {
  const salt = unbase64(saltText)
  const hash = unbase64(hashText)
  if (salt === undefined || hash === undefined || !saltFits(salt) || hash.length !== 32) return undefined
  return { kind: 'sha256', salt, hash }
}

function parseScrypt(
  costText: string | undefined,
  saltText: string | undefined,
  hashText: string | undefined,
): PhcHash | undefined {
  const match = /^ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})$/.exec(costText ?? '')
  const salt = unbase64(saltText)
  const hash = unbase64(hashText)
  if (match === null || salt === undefined || hash === undefined) return undefined
  const cost = { ln: Number(match[1]), r: Number(match[2]), p: Number(match[3]) }
  if (!saltFits(salt) || hash.length < 16 || hash.length > 64 || !costFits(cost)) return undefined
  return { kind: 'scrypt', cost, salt, hash }
}

// The floor is what a guesser would have to pay (4 MiB); the ceiling is 128 MiB for one check, so that a line in a
// configuration cannot take the machine down.
function costFits(cost: ScryptCost): boolean {
  const memory = 128 * 2 ** cost.ln * cost.r
  return cost.r >= 1 && cost.p >= 1 && cost.p <= 4 && memory >= 4 * 2 ** 20 && memory <= 128 * 2 ** 20
}

function saltFits(salt: Buffer): boolean {
  return salt.length >= 8 && salt.length <= 64
}

function saltedSha256(secret: string, salt: Uint8Array): Buffer {
  return digestOf('sha256', Buffer.concat([salt, Buffer.from(secret, 'utf8')]), 'buffer')
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').replaceAll('=', '')
}

// Canonical only: one hash has one spelling.
function unbase64(text: string | undefined): Buffer | undefined {
  if (text === undefined || text === '') return undefined
  const bytes = Buffer.from(text, 'base64')
  return base64(bytes) === text ? bytes : undefined
}
