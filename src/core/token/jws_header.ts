// The protected header of issued tokens. Dex writes `alg` and `kid` and nothing else; RFC 9068 §2.1 adds `typ: at+jwt`.
import type { AudienceProfile } from '#core/audience.ts'

export type HeaderKey = { readonly algorithm: 'ES256' | 'RS256'; readonly kid: string }

/** The base64url-encoded header. */
export function jwsHeader(key: HeaderKey, profile: AudienceProfile): string {
  const header = { alg: key.algorithm, kid: key.kid, ...(profile === 'rfc9068' ? { typ: 'at+jwt' } : {}) }
  return Buffer.from(JSON.stringify(header), 'utf8').toString('base64url')
}
