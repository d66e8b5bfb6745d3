// What can be told of a CEL expression by its form: which claims it reads and whether their absence is allowed for, with
// which constant its value begins. Works on the tree after macro expansion, as the apiserver's own rule about
// email_verified does.
import { childrenOf } from './cel/syntax.ts'
import type { CallNode, CelExpression, Place } from './cel/syntax.ts'
import type { KubeProblem } from './kube_problem.ts'

/** `isSafe`: asked for with has(), `.?` or `[?]`, so that its absence is no error. */
export type MemberRead = { readonly name: string; readonly isSafe: boolean; readonly place: Place }

export type ExpressionFacts = {
  readonly tree: CelExpression
  /** Every node, parents first. */
  readonly nodes: readonly CelExpression[]
  /** Members of `claims`. */
  readonly claims: readonly MemberRead[]
  /** Members of `user`. */
  readonly user: readonly MemberRead[]
  readonly texts: readonly string[]
}

export function factsOf(tree: CelExpression): ExpressionFacts {
  const nodes = [...walk(tree)]
  return {
    tree,
    nodes,
    claims: nodes.flatMap((node) => memberRead(node, 'claims') ?? []),
    user: nodes.flatMap((node) => memberRead(node, 'user') ?? []),
    texts: textsIn(nodes),
  }
}

/** A node and all below it, parents first. */
export function* walk(tree: CelExpression): Generator<CelExpression> {
  const open = [tree]
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    yield node
    open.push(...childrenOf(node).toReversed())
  }
}

/** `NAME.member`, `NAME["member"]` and their optional forms. */
export function memberRead(node: CelExpression, name: string): MemberRead | undefined {
  if (node.kind === 'select') {
    if (!isNamed(node.operand, name)) return undefined
    return { name: node.field, isSafe: node.isTest, place: node.place }
  }
  if (node.kind !== 'call' || !['_?._', '_[_]', '_[?_]'].includes(node.name)) return undefined
  const [operand, field] = node.arguments
  const member = field === undefined ? undefined : textOf(field)
  if (operand === undefined || member === undefined || !isNamed(operand, name)) return undefined
  return { name: member, isSafe: node.name !== '_[_]', place: node.place }
}

export function textOf(node: CelExpression): string | undefined {
  return node.kind === 'literal' && node.literal.kind === 'string' ? node.literal.value : undefined
}

export function textsIn(nodes: readonly CelExpression[]): readonly string[] {
  return nodes.flatMap((node) => textOf(node) ?? [])
}

/** Where a finding about a part of an expression stands. */
export function regretAt(
  { keys }: Pick<KubeProblem, 'keys'>,
  { line, column }: Place,
): Pick<KubeProblem, 'keys' | 'inExpression'> {
  return { keys, inExpression: { line, column } }
}

export function isNamed(node: CelExpression, name: string): boolean {
  return node.kind === 'identifier' && node.name === name
}

/**
 * The constants with which the value can begin, one for each branch; `undefined` when some value begins with anything.
 * Of a list: of each of its items.
 */
export function beginnings(node: CelExpression): readonly string[] | undefined {
  switch (node.kind) {
    case 'literal':
      return node.literal.kind === 'string'
        ? [node.literal.value]
        : node.literal.kind === 'null'
          ? []
          : undefined
    case 'list':
      return all(node.elements.map(({ value }) => value))
    case 'call':
      return beginningsOfCall(node)
    case 'comprehension': {
      // map() adds its items to the accumulator as lists of one
      const items = [...walk(node.step)].flatMap((step) => (step.kind === 'list' ? [step] : []))
      return node.initial.kind === 'list' && items.length > 0 ? all(items) : undefined
    }
    case 'identifier':
    case 'select':
    case 'map':
    case 'struct':
      return undefined
  }
}

function beginningsOfCall(node: CallNode): readonly string[] | undefined {
  const [first, second, third] = node.arguments
  if (node.name === '_?_:_' && second !== undefined && third !== undefined) return all([second, third])
  return node.name === '_+_' && first !== undefined ? beginnings(first) : undefined
}

function all(nodes: readonly CelExpression[]): readonly string[] | undefined {
  const each = nodes.map(beginnings)
  const found = each.filter((one) => one !== undefined)
  return found.length === each.length ? found.flat() : undefined
}

/** The constant with which the value ends, in `claims.sub + ":ci"`. */
export function ending(node: CelExpression): string | undefined {
  if (node.kind !== 'call' || node.name !== '_+_') return undefined
  const last = node.arguments[1]
  return last === undefined ? undefined : textOf(last)
}

/** The parts of `a && b && c`, each of which must hold. */
export function conjuncts(node: CelExpression): readonly CelExpression[] {
  return node.kind === 'call' && node.name === '_&&_' ? node.arguments.flatMap(conjuncts) : [node]
}
