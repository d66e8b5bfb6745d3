// The tree of an expr-lang expression (github.com/expr-lang/expr 1.17), and where in the text each part of it stands.

/** Code points from the beginning; what a message points at. */
export type At = number

export type Node =
  | { readonly is: 'nil' | 'bool' | 'int' | 'float'; readonly at: At }
  | { readonly is: 'string'; readonly value: string; readonly at: At }
  | { readonly is: 'name'; readonly name: string; readonly at: At }
  | { readonly is: 'unary'; readonly operator: string; readonly operand: Node; readonly at: At }
  | Binary
  /** `a.b`, `a[b]`; `isOptional` of `a?.b`, `isMethod` of `a.b()`. */
  | {
      readonly is: 'member'
      readonly of: Node
      readonly property: Node
      readonly isOptional: boolean
      readonly isMethod: boolean
      readonly at: At
    }
  | {
      readonly is: 'slice'
      readonly of: Node
      readonly from: Node | undefined
      readonly to: Node | undefined
      readonly at: At
    }
  /** Of what is no function of the language. */
  | { readonly is: 'call'; readonly callee: Node; readonly given: readonly Node[]; readonly at: At }
  | { readonly is: 'builtin'; readonly name: string; readonly given: readonly Node[]; readonly at: At }
  /** What `filter` and its like run for each element; `#` is the element. */
  | { readonly is: 'predicate'; readonly body: Node; readonly at: At }
  /** `#`, `#index`, `#acc`. */
  | { readonly is: 'pointer'; readonly name: string; readonly at: At }
  | { readonly is: 'let'; readonly name: string; readonly value: Node; readonly body: Node; readonly at: At }
  | { readonly is: 'sequence'; readonly parts: readonly Node[]; readonly at: At }
  | {
      readonly is: 'conditional'
      readonly condition: Node
      readonly yes: Node
      readonly no: Node
      readonly at: At
    }
  | { readonly is: 'array'; readonly elements: readonly Node[]; readonly at: At }
  | { readonly is: 'map'; readonly pairs: readonly (readonly [Node, Node])[]; readonly at: At }

export type Binary = {
  readonly is: 'binary'
  readonly operator: string
  readonly left: Node
  readonly right: Node
  readonly at: At
}

/** Why a text is no expression. The message is expr-lang's own where it has one. */
export class ExpressionFault extends Error {
  readonly at: At

  constructor(message: string, at: At) {
    super(message)
    this.name = 'ExpressionFault'
    this.at = at
  }
}
