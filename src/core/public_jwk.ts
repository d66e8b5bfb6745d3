// Public keys as JWKs with the required members only, and their name: the thumbprint of RFC 7638.
import { createHash } from 'node:crypto'

export type PublicJwk =
  | { readonly kty: 'EC'; readonly crv: string; readonly x: string; readonly y: string }
  | { readonly kty: 'RSA'; readonly n: string; readonly e: string }

/** One entry of our JWKS: these members, in the order in which Dex writes them, and never another. */
export type PublishedJwk = { readonly kid: string; readonly alg: string; readonly jwk: PublicJwk }

/** RFC 7638 §3: SHA-256 over the required members in lexicographic order, base64url. */
export function jwkThumbprint(jwk: PublicJwk): string {
  const members =
    jwk.kty === 'EC'
      ? { crv: jwk.crv, kty: jwk.kty, x: jwk.x, y: jwk.y }
      : { e: jwk.e, kty: jwk.kty, n: jwk.n }
  return createHash('sha256').update(JSON.stringify(members)).digest('base64url')
}

/** The public members of any JWK-shaped object; `undefined` when it is neither an EC nor an RSA key. */
export function publicMembers(jwk: Readonly<Record<string, unknown>>): PublicJwk | undefined {
  const { kty, crv, x, y, n, e } = jwk
  if (kty === 'EC' && isText(crv) && isText(x) && isText(y)) return { kty, crv, x, y }
  if (kty === 'RSA' && isText(n) && isText(e)) return { kty, n, e }
  return undefined
}

/** A JWKS document in Dex's layout: two spaces, `use` first (go-jose's order), no newline at the end. */
export function jwksDocument(keys: readonly PublishedJwk[]): string {
  const members = keys.map(({ kid, alg, jwk }) =>
    jwk.kty === 'EC'
      ? { use: 'sig', kty: jwk.kty, kid, crv: jwk.crv, alg, x: jwk.x, y: jwk.y }
      : { use: 'sig', kty: jwk.kty, kid, alg, n: jwk.n, e: jwk.e },
  )
  return JSON.stringify({ keys: members }, null, 2)
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}
