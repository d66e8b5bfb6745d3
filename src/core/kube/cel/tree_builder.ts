// Makes the nodes of a syntax tree: expands macros, and holds the tree to cel-go's limits on nesting and ours on size.
import { macroFor } from './macros.ts'
import { childrenOf, withChildren } from './syntax.ts'
import type { CallNode, CelExpression, CelLiteral, Place } from './syntax.ts'
import type { TokenCursor } from './token_cursor.ts'

/** cel-go's own: nested rules, nested operations. */
const MAX_DEPTH = 250
/** Ours: optMap and optFlatMap copy their target, so a chain of them doubles the tree at each link. */
const MAX_NODES = 50_000

/** Rules of the grammar whose nesting cel-go counts. */
export type NestingRule = 'expression' | 'relation' | 'calculation'

export class TreeBuilder {
  readonly #cursor: TokenCursor
  /** Of Kubernetes: which macros there are. */
  readonly #minor: number
  readonly #depth: Record<NestingRule, number> = { expression: 0, relation: 0, calculation: 0 }
  /** How deeply operations nest below a node, as cel-go counts them; leaves are absent. */
  readonly #heights = new Map<CelExpression, number>()
  #nodes = 0

  constructor(cursor: TokenCursor, minor: number) {
    this.#cursor = cursor
    this.#minor = minor
  }

  nested(rule: NestingRule, parse: () => CelExpression): CelExpression {
    this.#depth[rule] += 1
    if (this.#depth[rule] > MAX_DEPTH) {
      this.#cursor.refuse(`expression recursion limit exceeded: ${MAX_DEPTH}`)
    }
    const node = parse()
    this.#depth[rule] -= 1
    return node
  }

  literal(place: Place, literal: CelLiteral): CelExpression {
    return this.counted({ kind: 'literal', place, literal })
  }

  /** A call as it was written: of a macro, what the macro makes of it. */
  written(
    place: Place,
    name: string,
    target: CelExpression | undefined,
    args: readonly CelExpression[],
  ): CelExpression {
    const heights = args.map((argument) => this.#height(argument))
    const height = Math.max(0, ...heights, ...(target === undefined ? [] : [this.#height(target)]))
    const node = this.#expanded(place, name, target, args)
    return this.withHeight(node, target === undefined ? height : height + 1)
  }

  call(
    place: Place,
    name: string,
    target: CelExpression | undefined,
    args: readonly CelExpression[],
  ): CelExpression {
    return this.counted({ kind: 'call', place, name, target, arguments: args } satisfies CallNode)
  }

  /** An operator that cel-go counts as one level of nesting. */
  operation(place: Place, name: string, operands: readonly CelExpression[]): CelExpression {
    return this.withHeight(this.call(place, name, undefined, operands), this.heightOf(operands) + 1)
  }

  counted(node: CelExpression): CelExpression {
    this.#nodes += 1
    if (this.#nodes > MAX_NODES) {
      const message = `the expression is too large to be checked: more than ${MAX_NODES} nodes`
      this.#cursor.refuse(message, node.place)
    }
    return node
  }

  heightOf(nodes: readonly CelExpression[]): number {
    return Math.max(...nodes.map((node) => this.#height(node)))
  }

  withHeight(node: CelExpression, height: number): CelExpression {
    if (height > MAX_DEPTH) this.#cursor.refuse('max recursion depth exceeded', node.place)
    this.#heights.set(node, height)
    return node
  }

  #expanded(
    place: Place,
    name: string,
    target: CelExpression | undefined,
    args: readonly CelExpression[],
  ): CelExpression {
    const expand = macroFor(name, args.length, target !== undefined, this.#minor)
    if (expand === undefined || this.#cursor.problem !== undefined)
      return this.call(place, name, target, args)
    const copy = (node: CelExpression): CelExpression => this.#copy(node, place)
    const expansion = expand({ place, target, arguments: args, copy })
    if (!expansion.ok) return this.#cursor.refuse(expansion.message, expansion.place)
    return this.counted(expansion.node)
  }

  #copy(node: CelExpression, place: Place): CelExpression {
    this.counted(node)
    if (this.#cursor.problem !== undefined) return node
    const copied = childrenOf(node).map((child) => this.#copy(child, place))
    return withChildren(node, place, copied)
  }

  #height(node: CelExpression): number {
    return this.#heights.get(node) ?? 0
  }
}
