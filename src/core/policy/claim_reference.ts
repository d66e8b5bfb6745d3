// How a policy names a claim: a claim name taken literally, or a JSON pointer (RFC 6901) when it begins with `/`.
// Parsed once at load, so that the hot path does no string work.
import { isJsonObject } from '#core/claims.ts'
import type { Claims, JsonValue } from '#core/claims.ts'
import type { LocalProblem } from './problem.ts'

export type ClaimReader = (claims: Claims) => JsonValue | undefined

/** Forms of other products that would silently be taken for a claim name. */
const FOREIGN_FORM = /^(?:\$|#\/|claims[.[]|assertion[.[]|token[.[])/

/** Says what is wrong with a reference, or `undefined`. */
export function checkClaimReference(name: string): LocalProblem | undefined {
  if (name === '' || FOREIGN_FORM.test(name)) {
    return malformed(name, 'is neither a claim name nor a JSON pointer', pointerHint(name))
  }
  if (!name.startsWith('/')) return undefined
  const segments = name.slice(1).split('/')
  if (segments.includes('')) {
    return malformed(name, 'has an empty segment', 'write a JSON pointer as /object/member')
  }
  if (/~(?![01])/.test(name)) {
    return malformed(name, 'has a ~ that is not ~0 or ~1', 'write ~0 for ~ and ~1 for / (RFC 6901 §3)')
  }
  if (segments.some((segment) => /^(?:\d+|-)$/.test(segment))) {
    return malformed(name, 'points into a list', 'test lists in a condition: "x" in claims.groups')
  }
  return undefined
}

/** Reads a claim; absent is `undefined`. `name` has passed `checkClaimReference`. Same meaning as `claimAt`. */
export function claimReader(name: string): ClaimReader {
  if (!name.startsWith('/')) return (claims) => (Object.hasOwn(claims, name) ? claims[name] : undefined)
  const segments = name
    .slice(1)
    .split('/')
    .map((raw) => raw.replaceAll('~1', '/').replaceAll('~0', '~'))
  return (claims) => {
    let value: JsonValue | undefined = claims
    for (const segment of segments) {
      if (!isJsonObject(value) || !Object.hasOwn(value, segment)) return undefined
      value = value[segment]
    }
    return value
  }
}

/** What a claim's value is, in words, without the value. */
export function typeOf(value: JsonValue | undefined): string {
  if (value === undefined) return 'absent'
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'an object'
  return `a ${typeof value}`
}

function malformed(name: string, what: string, wayOut: string): LocalProblem {
  return { code: 'claim_reference_malformed', message: `"${name}" ${what}`, wayOut }
}

function pointerHint(name: string): string {
  const path = name.replace(/^(?:\$\.?|#\/|claims\.?|assertion\.?|token\.?)/, '')
  return `write the bare claim name, or a JSON pointer that begins with /, such as /${path.replaceAll('.', '/')}`
}
