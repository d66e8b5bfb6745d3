// `at_hash` (OpenID Connect Core §3.1.3.6): the left half of the token's hash, base64url.
import { hash } from 'node:crypto'
import type { RandomBytes } from '#core/clock.ts'

/** SHA-256 for both algorithms that this broker signs with. */
export function atHash(token: string, algorithm: 'ES256' | 'RS256'): string {
  switch (algorithm) {
    case 'ES256':
    case 'RS256':
      return hash('sha256', token, 'buffer').subarray(0, 16).toString('base64url')
  }
}

/**
 * Dex puts the `at_hash` of a discarded random id into access tokens. The left half of a hash of unpredictable bytes is
 * 16 unpredictable bytes, so that is what stands here.
 */
export function randomHash(randomBytes: RandomBytes): string {
  return Buffer.from(randomBytes(16)).toString('base64url')
}
