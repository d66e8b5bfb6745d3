// The ring as it is stored: one JSON value, so that one compare-and-set changes it as a whole. Read strictly.
import type { RingKey, SigningAlgorithm } from '#core/key_rotation.ts'
import { jwkThumbprint, publicMembers } from '#core/public_jwk.ts'
import type { PublicJwk } from '#core/public_jwk.ts'
import { KeyFailure } from './key_failure.ts'

export type StoredKey = RingKey & { readonly jwk: PublicJwk }

/** The ring's key in the store. */
export const ringStoreKey = 'keys/ring'

const formatVersion = 1

export function writeRing(keys: readonly StoredKey[]): string {
  return JSON.stringify({ version: formatVersion, keys })
}

/** Throws a KeyFailure when the stored text is not a ring of this version. */
export function readRing(text: string): readonly StoredKey[] {
  const document = parseJson(text)
  if (!isObject(document) || !Array.isArray(document['keys']))
    throw new KeyFailure('the stored key ring is damaged')
  if (document['version'] !== formatVersion) {
    throw new KeyFailure(
      `the stored key ring has version ${String(document['version'])}, this release reads ${formatVersion}`,
    )
  }
  return document['keys'].map((entry: unknown, index) => {
    const key = readKey(entry)
    if (key === undefined) throw new KeyFailure(`the stored key ring is damaged at key ${index}`)
    return key
  })
}

function readKey(entry: unknown): StoredKey | undefined {
  if (!isObject(entry) || !isObject(entry['jwk'])) return undefined
  const { kid, algorithm, publishedAt, signsFrom, maxTtlSeconds, privateKey } = entry
  const jwk = publicMembers(entry['jwk'])
  if (jwk === undefined || typeof kid !== 'string' || kid !== jwkThumbprint(jwk)) return undefined
  if (!isAlgorithm(algorithm) || !isTime(publishedAt) || !isTime(signsFrom) || !isTime(maxTtlSeconds))
    return undefined
  if (privateKey !== undefined && typeof privateKey !== 'string') return undefined
  return { kid, algorithm, publishedAt, signsFrom, maxTtlSeconds, privateKey, jwk }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new KeyFailure('the stored key ring is damaged', { cause })
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isAlgorithm(value: unknown): value is SigningAlgorithm {
  return value === 'ES256' || value === 'RS256'
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
