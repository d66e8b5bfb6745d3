// The compact JWS and the header rules of `core/jwt/compact.ts`, said a second time without any of its short cuts.
import type { JsonValue } from '../../../src/core/claims.ts'
import { TOKEN_JSON_LIMITS } from '../../../src/core/jwt/strict_json.ts'
import { slowJson } from './json.ts'
import { slowBase64url } from './text.ts'

type SlowToken = {
  readonly alg: JsonValue
  readonly kid: JsonValue | undefined
  readonly typ: JsonValue | undefined
  readonly claims: JsonValue
}

/** `undefined`: must be refused. */
export function slowToken(token: string): SlowToken | undefined {
  if (token.length > 16_384) return undefined
  const segments = token.split('.')
  if (segments.length !== 3 || segments.includes('')) return undefined
  const [head, body, signature] = segments.map(slowBase64url)
  if (head === undefined || body === undefined || signature === undefined || head.length > 4096)
    return undefined
  const header = membersOf(slowJson(head, TOKEN_JSON_LIMITS))
  const claims = slowJson(body, TOKEN_JSON_LIMITS)
  const claimNames = membersOf(claims)
  if (header === undefined || claimNames === undefined || claimNames.has('crit')) return undefined
  if (['crit', 'b64', 'zip'].some((name) => header.has(name))) return undefined
  const [alg, kid, typ, cty] = ['alg', 'kid', 'typ', 'cty'].map((name) => header.get(name))
  if (typeof alg !== 'string' || (typ !== undefined && typeof typ !== 'string')) return undefined
  if (kid !== undefined && (typeof kid !== 'string' || kid.length === 0 || kid.length > 200)) return undefined
  if (cty !== undefined) {
    if (typeof cty !== 'string') return undefined
    const folded = cty.toLowerCase()
    if (folded.includes('jwt') || folded.includes('jose')) return undefined
  }
  return claims === undefined ? undefined : { alg, kid, typ, claims }
}

function membersOf(value: JsonValue | undefined): ReadonlyMap<string, JsonValue> | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  return new Map(Object.entries(value))
}
