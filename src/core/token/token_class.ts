// Which kind of token a JWT says it is, against what the caller declares (RFC 8725 §3.12). Decided by marks in the token,
// never by the label alone; a token without marks passes under either label.
import type { Claims } from '#core/claims.ts'
import type { SubjectDenial } from '#core/denial.ts'
import { ACCESS_TOKEN_TYPE, ID_TOKEN_TYPE } from '#core/oauth/names.ts'
import type { TokenType } from '#core/oauth/names.ts'

/**
 * `declared`: what the caller says it is; `undefined` where it says nothing, and an id or access token will do.
 * Keycloak's payload `typ`: `Bearer`, `ID`, `Refresh`, `Offline`, `Logout`. RFC 9068's header `typ`: `at+jwt`.
 */
export function checkTokenClass(
  headerType: string | undefined,
  claims: Claims,
  declared: TokenType | undefined,
): SubjectDenial | undefined {
  const marked = markedAs(headerType, claims)
  if (marked === undefined || marked === declared) return undefined
  if (declared === undefined && (marked === ACCESS_TOKEN_TYPE || marked === ID_TOKEN_TYPE)) return undefined
  return {
    reason: 'subject_type_mismatch',
    declared: declared ?? 'any',
    detail: `the token is marked as ${marked}`,
  }
}

function markedAs(headerType: string | undefined, claims: Claims): string | undefined {
  const type = Object.hasOwn(claims, 'typ') ? claims['typ'] : undefined
  if (typeof type === 'string' && type !== 'JWT') {
    if (type === 'Bearer') return ACCESS_TOKEN_TYPE
    if (type === 'ID') return ID_TOKEN_TYPE
    return `typ ${type.slice(0, 32)}`
  }
  const header = headerType?.toLowerCase().replace(/^application\//, '')
  return header === 'at+jwt' ? ACCESS_TOKEN_TYPE : undefined
}
