// Whether rules hold names to a beginning of their own, which is as good as a prefix:
// `claims.sub.startsWith("repo:acme/")`, `user.groups.all(g, g.startsWith("ci:"))`.
import type { AuthenticatorFacts } from './authenticator_facts.ts'
import type { CallNode, CelExpression } from './cel/syntax.ts'
import { isNamed, memberRead, textOf } from './expression_facts.ts'

type Names = 'username' | 'groups'

/** One rule that always applies is enough. */
export function isHeldToBeginning(facts: AuthenticatorFacts, names: Names): boolean {
  const { claims } = facts[names]
  const isName = (node: CelExpression): boolean =>
    memberRead(node, 'user')?.name === names || claims.includes(memberRead(node, 'claims')?.name ?? '')
  return facts.expressions
    .filter(({ use }) => use === 'claim_validation' || use === 'user_validation')
    .some((rule) => holds(rule.facts.tree, isName))
}

type IsName = (node: CelExpression) => boolean

function holds(node: CelExpression, isName: IsName): boolean {
  if (node.kind === 'comprehension') {
    const isAll = node.initial.kind === 'literal' && node.step.kind === 'call' && node.step.name === '_&&_'
    return isAll && isName(undone(node.range)) && holds(node.step, (one) => isNamed(one, node.variable))
  }
  if (node.kind !== 'call') return false
  if (node.name === '_&&_') return node.arguments.some((part) => holds(part, isName))
  if (node.name === '_||_') return node.arguments.every((part) => holds(part, isName))
  return node.target !== undefined && isName(node.target) && isBeginning(node)
}

function isBeginning(node: CallNode): boolean {
  const [argument] = node.arguments
  const text = argument === undefined ? '' : (textOf(argument) ?? '')
  if (node.name === 'startsWith') return text !== '' && text !== 'system:'
  return node.name === 'matches' && /^\^[A-Za-z0-9]/.test(text)
}

/** What stands in `dyn()`. */
function undone(node: CelExpression): CelExpression {
  const [inside] = node.kind === 'call' && node.name === 'dyn' ? node.arguments : []
  return inside ?? node
}
