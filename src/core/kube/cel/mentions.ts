// Which claims an expression names. The first set is the apiserver's own notion (hasSelectExp in 1.36
// pkg/apis/apiserver/validation/validation.go): by the shape of the tree alone, even below a variable called `claims`.
import { childrenOf } from './syntax.ts'
import type { TypedTree } from './checker.ts'
import type { CelExpression } from './syntax.ts'

export type MentionedClaims = {
  readonly claimsRead: ReadonlySet<string>
  readonly claimsIndexed: ReadonlySet<string>
}

export function mentionedClaims(typed: TypedTree): MentionedClaims {
  const claimsRead = new Set<string>()
  const claimsIndexed = new Set<string>()
  const visit = (node: CelExpression): void => {
    if (node.kind === 'select' && isClaims(typed, node.operand)) claimsRead.add(node.field)
    if (node.kind === 'call' && node.target === undefined) {
      const [operand, key] = node.arguments
      const name = key?.kind === 'literal' && key.literal.kind === 'string' ? key.literal.value : undefined
      if (name !== undefined && operand !== undefined && isClaims(typed, operand)) {
        if (node.name === '_?._') claimsRead.add(name)
        if (node.name === '_[_]' || node.name === '_[?_]') claimsIndexed.add(name)
      }
    }
    for (const child of childrenOf(node)) visit(child)
  }
  visit(typed.tree)
  return { claimsRead, claimsIndexed }
}

function isClaims(typed: TypedTree, node: CelExpression): boolean {
  if (node.kind !== 'identifier') return false
  const reference = typed.references.get(node)
  return reference?.kind === 'variable' && reference.name === 'claims'
}
