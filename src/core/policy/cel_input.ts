// Claims as the CEL engine may see them: copied into Maps and arrays, bounded in depth, number and size. Maps, because
// a claim called `constructor` is a name like any other; bounded depth, because the engine keeps every nested type
// that it ever compared, process-wide, for good.
import type { Claims, JsonValue } from '#core/claims.ts'
import { childrenOf } from './cel_ast.ts'
import type { CelNode } from './cel_ast.ts'

const MAX_DEPTH = 8
const MAX_NODES = 20_000
const MAX_STRING_LENGTH = 65_536

type CelValue = string | number | boolean | null | CelValue[] | Map<string, CelValue>
export type CelClaims = Map<string, CelValue>

/**
 * The copy of those claims whose names an expression reads (`undefined`: all of them), or `undefined` when they are
 * past a limit: then no condition over them holds.
 */
export function toCelClaims(claims: Claims, names: readonly string[] | undefined): CelClaims | undefined {
  const budget = { nodes: MAX_NODES }
  const copied = new Map<string, CelValue>()
  for (const name of names ?? Object.keys(claims)) {
    if (!Object.hasOwn(claims, name)) continue
    const value = copy(claims[name], MAX_DEPTH - 1, budget)
    if (value === undefined) return undefined
    copied.set(name, value)
  }
  return copied
}

/** The claims that an expression names literally, or `undefined` when it may look at any (`"x" in claims`). */
export function claimsReadBy(node: CelNode): readonly string[] | undefined {
  const names = new Set<string>()
  return collect(node, names) ? [...names] : undefined
}

function collect(node: CelNode, names: Set<string>): boolean {
  if (node.op === 'id') return node.args !== 'claims'
  const name = claimNamedBy(node)
  if (name === undefined) return childrenOf(node).every((child) => collect(child, names))
  names.add(name)
  return true
}

export type ComparedClaim = { readonly claim: string; readonly text: string }

/** Claims that an expression compares with a literal text, by `==`, `!=` or `in` a list. */
export function claimsComparedBy(node: CelNode): readonly ComparedClaim[] {
  const below = childrenOf(node).flatMap(claimsComparedBy)
  if (node.op !== '==' && node.op !== '!=' && node.op !== 'in') return below
  const [left, right] = node.args
  const here = [...comparedWith(left, right), ...(node.op === 'in' ? [] : comparedWith(right, left))]
  return [...here, ...below]
}

function comparedWith(claimNode: CelNode, other: CelNode): readonly ComparedClaim[] {
  const claim = claimNamedBy(claimNode)
  if (claim === undefined) return []
  const literals = other.op === 'list' ? other.args : [other]
  return literals.flatMap((literal) =>
    literal.op === 'value' && typeof literal.args === 'string' ? [{ claim, text: literal.args }] : [],
  )
}

/** The name in `claims.name` or `claims["name"]`. */
function claimNamedBy(node: CelNode): string | undefined {
  if (node.op !== '.' && node.op !== '[]') return undefined
  const [left, right] = node.args
  if (left.op !== 'id' || left.args !== 'claims') return undefined
  if (typeof right === 'string') return right
  return right.op === 'value' && typeof right.args === 'string' ? right.args : undefined
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
