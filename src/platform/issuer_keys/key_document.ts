// A JWKS document, wherever it came from, as keys to use.
import { readKeySet } from '#core/jwt/public_key.ts'
import type { KeySet } from '#core/jwt/public_key.ts'
import { readStrictJson } from '#core/jwt/strict_json.ts'
import type { Result } from '#core/result.ts'
import { DOCUMENT_JSON_LIMITS } from './discovery.ts'

export type LoadedKeys = {
  readonly set: KeySet
  /** How long the source says it stays as it is; `undefined`: it does not say. */
  readonly maxAgeSeconds: number | undefined
}

/** A set without one usable key is worth less than the one that was there before. */
export function readUsableKeys(body: Buffer): Result<KeySet, string> {
  const json = readStrictJson(body, DOCUMENT_JSON_LIMITS)
  if (!json.ok) return no(`jwks: ${json.denial}`)
  const set = readKeySet(json.value)
  if (!set.ok) return no(`jwks: ${set.denial}`)
  if (set.value.size > 0) return set
  const [first] = set.value.ignored
  return no(first === undefined ? 'jwks: no keys' : `jwks: no usable key, the first one: ${first.detail}`)
}

function no(denial: string): Result<never, string> {
  return { ok: false, denial }
}
