// Claims as the CEL engine may see them: copied into Maps and arrays, bounded in depth, number and size. Maps, because
// a claim called `constructor` is a name like any other; bounded depth, because the engine keeps every nested type
// that it ever compared, process-wide, for good.
import type { Claims, JsonValue } from '#core/claims.ts'

export const MAX_DEPTH = 8
export const MAX_NODES = 20_000
export const MAX_STRING_LENGTH = 65_536

export type CelValue = string | number | boolean | null | CelValue[] | Map<string, CelValue>
export type CelClaims = Map<string, CelValue>

/** The copy, or `undefined` when the claims are past a limit: then no condition over them holds. */
export function toCelClaims(claims: Claims): CelClaims | undefined {
  const budget = { nodes: MAX_NODES }
  const copied = new Map<string, CelValue>()
  for (const name of Object.keys(claims)) {
    const value = copy(claims[name], MAX_DEPTH - 1, budget)
    if (value === undefined) return undefined
    copied.set(name, value)
  }
  return copied
}

// Recursive, but never deeper than MAX_DEPTH.
function copy(value: JsonValue | undefined, depth: number, budget: { nodes: number }): CelValue | undefined {
  budget.nodes -= 1
  if (budget.nodes < 0 || value === undefined) return undefined
  if (typeof value === 'string') return value.length <= MAX_STRING_LENGTH ? value : undefined
  if (typeof value !== 'object' || value === null) return value
  if (depth <= 0) return undefined
  if (isList(value)) {
    const items: CelValue[] = []
    for (const item of value) {
      const copied = copy(item, depth - 1, budget)
      if (copied === undefined) return undefined
      items.push(copied)
    }
    return items
  }
  const members = new Map<string, CelValue>()
  for (const name of Object.keys(value)) {
    const copied = copy(value[name], depth - 1, budget)
    if (copied === undefined) return undefined
    members.set(name, copied)
  }
  return members
}

function isList(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value)
}
