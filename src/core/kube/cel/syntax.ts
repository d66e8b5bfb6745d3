// The syntax tree of a CEL expression after macro expansion, in cel-go's shape (common/ast of v0.26): its checks and its
// rule about email_verified are defined over this shape.

/** Where a node stands: both from 1, columns in UTF-16 units as editors count. */
export type Place = { readonly line: number; readonly column: number }

export type CelLiteral =
  | { readonly kind: 'null' }
  | { readonly kind: 'bool'; readonly value: boolean }
  | { readonly kind: 'int'; readonly value: bigint }
  | { readonly kind: 'uint'; readonly value: bigint }
  | { readonly kind: 'double'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'bytes'; readonly value: Uint8Array }

export type CelExpression =
  | LiteralNode
  | IdentifierNode
  | SelectNode
  | CallNode
  | ListNode
  | MapNode
  | StructNode
  | ComprehensionNode

export type LiteralNode = { readonly kind: 'literal'; readonly place: Place; readonly literal: CelLiteral }

/** The name may begin with a dot: looked up in the root, where everything stands here. */
type IdentifierNode = { readonly kind: 'identifier'; readonly place: Place; readonly name: string }

/** `operand.field`; with `isTest` the macro has(operand.field). */
export type SelectNode = {
  readonly kind: 'select'
  readonly place: Place
  readonly operand: CelExpression
  readonly field: string
  readonly isTest: boolean
}

/** Operators are calls too, under cel-go's names: `_&&_`, `_[_]`, `_?._`. */
export type CallNode = {
  readonly kind: 'call'
  readonly place: Place
  readonly name: string
  readonly target: CelExpression | undefined
  readonly arguments: readonly CelExpression[]
}

export type ListNode = {
  readonly kind: 'list'
  readonly place: Place
  readonly elements: readonly { readonly value: CelExpression; readonly isOptional: boolean }[]
}

export type MapNode = {
  readonly kind: 'map'
  readonly place: Place
  readonly entries: readonly {
    readonly key: CelExpression
    readonly value: CelExpression
    readonly isOptional: boolean
  }[]
}

export type StructNode = {
  readonly kind: 'struct'
  readonly place: Place
  readonly typeName: string
  readonly fields: readonly {
    readonly place: Place
    readonly name: string
    readonly value: CelExpression
    readonly isOptional: boolean
  }[]
}

export type ComprehensionNode = {
  readonly kind: 'comprehension'
  readonly place: Place
  readonly range: CelExpression
  readonly variable: string
  readonly secondVariable: string | undefined
  readonly accumulator: string
  readonly initial: CelExpression
  readonly condition: CelExpression
  readonly step: CelExpression
  readonly result: CelExpression
}

/** What stands directly below a node, in the order of cel-go's walks. */
export function childrenOf(node: CelExpression): readonly CelExpression[] {
  switch (node.kind) {
    case 'literal':
    case 'identifier':
      return []
    case 'select':
      return [node.operand]
    case 'call':
      return node.target === undefined ? node.arguments : [node.target, ...node.arguments]
    case 'list':
      return node.elements.map((element) => element.value)
    case 'map':
      return node.entries.flatMap((entry) => [entry.key, entry.value])
    case 'struct':
      return node.fields.map((field) => field.value)
    case 'comprehension':
      return [node.range, node.initial, node.condition, node.step, node.result]
  }
}

/** `a.b.c` as one name when the node is made of nothing but names. */
export function qualifiedName(node: CelExpression): string | undefined {
  if (node.kind === 'identifier') return node.name
  if (node.kind !== 'select' || node.isTest) return undefined
  const operand = qualifiedName(node.operand)
  return operand === undefined ? undefined : `${operand}.${node.field}`
}

/** The same node with other children, in the order of `childrenOf`. */
export function withChildren(
  node: CelExpression,
  place: Place,
  children: readonly CelExpression[],
): CelExpression {
  const child = (index: number): CelExpression => children[index] ?? node
  switch (node.kind) {
    case 'literal':
    case 'identifier':
      return { ...node, place }
    case 'select':
      return { ...node, place, operand: child(0) }
    case 'call': {
      const offset = node.target === undefined ? 0 : 1
      const target = node.target === undefined ? undefined : child(0)
      return { ...node, place, target, arguments: children.slice(offset) }
    }
    case 'list':
      return {
        ...node,
        place,
        elements: node.elements.map((element, i) => ({ ...element, value: child(i) })),
      }
    case 'map': {
      const entries = node.entries.map((entry, i) => ({
        ...entry,
        key: child(2 * i),
        value: child(2 * i + 1),
      }))
      return { ...node, place, entries }
    }
    case 'struct':
      return { ...node, place, fields: node.fields.map((field, i) => ({ ...field, value: child(i) })) }
    case 'comprehension':
      return {
        ...node,
        place,
        range: child(0),
        initial: child(1),
        condition: child(2),
        step: child(3),
        result: child(4),
      }
  }
}
