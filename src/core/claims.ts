// Claims as they come out of the strict parser: plain JSON on null-prototype objects, so that a claim called
// `__proto__` or `constructor` is a name like any other.

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject
export type JsonObject = { readonly [name: string]: JsonValue }
export type Claims = JsonObject

/**
 * Looks a claim up. `name` is a claim name taken literally, or a JSON pointer (RFC 6901) when it begins with
 * `/`: `/kubernetes.io/serviceaccount/uid`. An absent claim is `undefined`, never an error.
 */
export function claimAt(claims: Claims, name: string): JsonValue | undefined {
  if (!name.startsWith('/')) return own(claims, name)
  let value: JsonValue | undefined = claims
  for (const raw of name.slice(1).split('/')) {
    if (!isJsonObject(value)) return undefined
    value = own(value, raw.replaceAll('~1', '/').replaceAll('~0', '~'))
  }
  return value
}

export function stringClaim(claims: Claims, name: string): string | undefined {
  const value = claimAt(claims, name)
  return typeof value === 'string' && value !== '' ? value : undefined
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function own(object: JsonObject, name: string): JsonValue | undefined {
  return Object.hasOwn(object, name) ? object[name] : undefined
}
