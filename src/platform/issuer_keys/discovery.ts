// Reads an issuer's discovery document: its own claim to be that issuer, and where its keys are.
// OpenID Connect Discovery 1.0 §3 and §4.3, RFC 8414 §3.3.
import { readStrictJsonObject } from '#core/jwt/strict_json.ts'
import type { JsonLimits } from '#core/jwt/strict_json.ts'
import type { Result } from '#core/result.ts'

export type DiscoveryDocument = {
  readonly jwksUri: string
  readonly userinfoEndpoint: string | undefined
}

/** For whole documents of at most 256 KiB: discovery, key sets, userinfo. */
export const DOCUMENT_JSON_LIMITS: JsonLimits = { maxDepth: 16, maxNames: 4000, maxItems: 2000 }

/** Without a trailing slash of the issuer, as Dex and go-oidc build it. */
export function discoveryUrlOf(issuer: string): string {
  return `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
}

/** `issuers`: what `issuer` in the document may be, byte for byte. Whether its URLs may be reached, egress decides. */
export function readDiscovery(body: Buffer, issuers: readonly string[]): Result<DiscoveryDocument, string> {
  const read = readStrictJsonObject(body, DOCUMENT_JSON_LIMITS)
  if (!read.ok) return no(`discovery document: ${read.denial}`)
  const { issuer, jwks_uri: jwksUri, userinfo_endpoint: userinfoEndpoint } = read.value
  if (typeof issuer !== 'string') return no('discovery document names no issuer')
  if (!issuers.includes(issuer)) return no('discovery document names another issuer')
  if (typeof jwksUri !== 'string') return no('discovery document names no jwks_uri')
  if (userinfoEndpoint !== undefined && typeof userinfoEndpoint !== 'string')
    return no('userinfo_endpoint is not a string')
  return { ok: true, value: { jwksUri, userinfoEndpoint } }
}

function no(denial: string): Result<never, string> {
  return { ok: false, denial }
}
