// From text to syntax tree, as cel-go v0.26 parses it with the options of Kubernetes 1.36: its grammar (CEL.g4) and nothing
// more, optional syntax on, macros expanded, its limits on size and nesting. After the first error the parser stands at the
// end of the text, so that every rule returns at once.
import { tokensOf } from './lexer.ts'
import { macroFor } from './macros.ts'
import { literalOf } from './literal.ts'
import { childrenOf, withChildren } from './syntax.ts'
import type { CelToken } from './lexer.ts'
import type { CallNode, CelExpression, CelLiteral, ListNode, MapNode, Place, StructNode } from './syntax.ts'

type SyntaxProblem = { readonly message: string; readonly place: Place }
export type Parsed =
  | { readonly ok: true; readonly tree: CelExpression }
  | { readonly ok: false; readonly problem: SyntaxProblem }

/** cel-go's own: code points of the text, nested rules, nested operations. */
const MAX_CODE_POINTS = 100_000
const MAX_DEPTH = 250
/** Ours: optMap and optFlatMap copy their target, so a chain of them doubles the tree at each link. */
const MAX_NODES = 50_000

/** Words that are no variable and no global function, but may be a field. */
const RESERVED: ReadonlySet<string> = new Set(
  'as break const continue else for function if import let loop package namespace return var void while'.split(
    ' ',
  ),
)

const RELATIONS: ReadonlyMap<string, string> = new Map([
  ['<', '_<_'],
  ['<=', '_<=_'],
  ['>', '_>_'],
  ['>=', '_>=_'],
  ['==', '_==_'],
  ['!=', '_!=_'],
  ['in', '@in'],
])
const SUMS: ReadonlyMap<string, string> = new Map([
  ['+', '_+_'],
  ['-', '_-_'],
])
const PRODUCTS: ReadonlyMap<string, string> = new Map([
  ['*', '_*_'],
  ['/', '_/_'],
  ['%', '_%_'],
])

export function parseExpression(text: string): Parsed {
  const start = { line: 1, column: 1 }
  const size = text.length > MAX_CODE_POINTS ? codePoints(text) : text.length
  if (size > MAX_CODE_POINTS) {
    const message = `expression code point size exceeds limit: size: ${size}, limit ${MAX_CODE_POINTS}`
    return { ok: false, problem: { message, place: start } }
  }
  return new Parser(tokensOf(text)).parse()
}

function codePoints(text: string): number {
  const pairs = text.match(/[\uD800-\uDBFF][\uDC00-\uDFFF]/g)
  return text.length - (pairs?.length ?? 0)
}

type Nesting = { expression: number; relation: number; calculation: number }

class Parser {
  readonly #tokens: readonly CelToken[]
  readonly #end: CelToken
  readonly #depth: Nesting = { expression: 0, relation: 0, calculation: 0 }
  /** How deeply operations nest below a node, as cel-go counts them; leaves are absent. */
  readonly #heights = new Map<CelExpression, number>()
  #at = 0
  #nodes = 0
  #problem: SyntaxProblem | undefined

  constructor(tokens: readonly CelToken[]) {
    this.#tokens = tokens
    this.#end = { kind: 'end', text: '<EOF>', place: tokens.at(-1)?.place ?? { line: 1, column: 1 } }
  }

  parse(): Parsed {
    const tree = this.#expression()
    if (this.#current().kind !== 'end') this.#unexpected()
    if (this.#problem !== undefined) return { ok: false, problem: this.#problem }
    return { ok: true, tree }
  }

  #expression(): CelExpression {
    return this.#nested('expression', () => {
      const condition = this.#disjunction()
      const place = this.#current().place
      if (!this.#skip('?')) return condition
      // Between `?` and `:` stands no other ternary, unless in parentheses.
      const yes = this.#disjunction()
      this.#expect(':')
      const no = this.#expression()
      return this.#operation(place, '_?_:_', [condition, yes, no])
    })
  }

  #disjunction(): CelExpression {
    return this.#logic('||', '_||_', () => this.#logic('&&', '_&&_', () => this.#relation()))
  }

  /** cel-go balances long chains, so that their depth stays small. */
  #logic(symbol: string, name: string, term: () => CelExpression): CelExpression {
    const terms = [term()]
    const places: Place[] = []
    while (this.#is(symbol)) {
      places.push(this.#take().place)
      terms.push(term())
    }
    return this.#balanced(name, terms, places)
  }

  #balanced(name: string, terms: readonly CelExpression[], places: readonly Place[]): CelExpression {
    const [first] = terms
    if (terms.length === 1 && first !== undefined) return first
    const middle = Math.ceil(terms.length / 2)
    const left = this.#balanced(name, terms.slice(0, middle), places.slice(0, middle - 1))
    const right = this.#balanced(name, terms.slice(middle), places.slice(middle))
    const node = this.#call(places[middle - 1] ?? left.place, name, undefined, [left, right])
    return this.#withHeight(node, Math.max(this.#height(left), this.#height(right)))
  }

  #relation(): CelExpression {
    return this.#nested('relation', () => this.#chain('relation', RELATIONS, () => this.#sum()))
  }

  /** Sums and products are one rule of the grammar, so their right-hand sides nest in one count. */
  #sum(): CelExpression {
    const product = (): CelExpression => this.#chain('calculation', PRODUCTS, () => this.#unary())
    return this.#nested('calculation', () => this.#chain('calculation', SUMS, product))
  }

  #chain(
    rule: keyof Nesting,
    operators: ReadonlyMap<string, string>,
    operand: () => CelExpression,
  ): CelExpression {
    let left = operand()
    for (;;) {
      const token = this.#current()
      const name = token.kind === 'symbol' ? operators.get(token.text) : undefined
      if (name === undefined) return left
      this.#take()
      left = this.#operation(token.place, name, [left, this.#nested(rule, operand)])
    }
  }

  #unary(): CelExpression {
    const token = this.#current()
    if (this.#is('!')) return this.#repeated(token.place, '!', '!_')
    const next = this.#tokens[this.#at + 1]
    if (this.#is('-') && next?.kind !== 'int' && next?.kind !== 'float') {
      return this.#repeated(token.place, '-', '-_')
    }
    return this.#member()
  }

  /** An even number of them is none. `--1` is 1, not -(-1). */
  #repeated(place: Place, symbol: string, name: string): CelExpression {
    let count = 0
    while (this.#skip(symbol)) count += 1
    const operand = this.#member()
    if (count % 2 === 0) return operand
    const node = this.#call(place, name, undefined, [operand])
    return this.#withHeight(node, this.#height(operand))
  }

  #member(): CelExpression {
    let node = this.#primary()
    for (;;) {
      const place = this.#current().place
      if (this.#skip('.')) node = this.#selected(place, node)
      else if (this.#skip('[')) node = this.#indexed(place, node)
      else return node
    }
  }

  #selected(place: Place, operand: CelExpression): CelExpression {
    const isOptional = this.#skip('?')
    const token = this.#take()
    if (token.kind === 'escaped') return this.#refuse("unsupported syntax: '`'", token.place)
    if (token.kind !== 'identifier') return this.#unexpected(token)
    if (isOptional) {
      const field: CelExpression = this.#literal(token.place, { kind: 'string', value: token.text })
      return this.#operation(place, '_?._', [operand, field])
    }
    if (this.#is('(')) return this.#method(token.text, operand)
    const node: CelExpression = { kind: 'select', place, operand, field: token.text, isTest: false }
    return this.#withHeight(this.#counted(node), this.#height(operand) + 1)
  }

  #method(name: string, target: CelExpression): CelExpression {
    const { place } = this.#take()
    const args = this.#arguments()
    const height = Math.max(this.#height(target), ...args.map((argument) => this.#height(argument))) + 1
    return this.#withHeight(this.#callOrMacro(place, name, target, args), height)
  }

  #indexed(place: Place, operand: CelExpression): CelExpression {
    const name = this.#skip('?') ? '_[?_]' : '_[_]'
    const index = this.#expression()
    this.#expect(']')
    return this.#operation(place, name, [operand, index])
  }

  #primary(): CelExpression {
    const token = this.#take()
    switch (token.kind) {
      case 'int':
      case 'uint':
      case 'float':
      case 'string':
      case 'bytes':
        return this.#value(token, '', token.place)
      case 'identifier':
        return this.#name(token, '')
      case 'symbol':
        return this.#opened(token)
      case 'escaped':
      case 'end':
      case 'invalid':
        return this.#unexpected(token)
    }
  }

  #opened(token: CelToken): CelExpression {
    switch (token.text) {
      case '(': {
        const node = this.#expression()
        this.#expect(')')
        return node
      }
      case '[':
        return this.#list(token.place)
      case '{':
        return this.#map(token.place)
      case '.':
        return this.#rooted()
      case '-':
        return this.#value(this.#take(), '-', token.place)
      case 'true':
      case 'false':
        return this.#literal(token.place, { kind: 'bool', value: token.text === 'true' })
      case 'null':
        return this.#literal(token.place, { kind: 'null' })
      default:
        return this.#unexpected(token)
    }
  }

  #rooted(): CelExpression {
    const token = this.#take()
    return token.kind === 'identifier' ? this.#name(token, '.') : this.#unexpected(token)
  }

  /** A variable, a global call or the type of a message. */
  #name(token: CelToken, dot: string): CelExpression {
    const message = this.#messageName(token)
    if (message !== undefined) return this.#struct(dot + message)
    if (RESERVED.has(token.text)) return this.#refuse(`reserved identifier: ${token.text}`, token.place)
    if (!this.#is('(')) {
      return this.#counted({ kind: 'identifier', place: token.place, name: dot + token.text })
    }
    const { place } = this.#take()
    const args = this.#arguments()
    const height = Math.max(0, ...args.map((argument) => this.#height(argument)))
    return this.#withHeight(this.#callOrMacro(place, dot + token.text, undefined, args), height)
  }

  /** `a.b.c` when `{` follows, which is then taken. */
  #messageName(first: CelToken): string | undefined {
    let at = this.#at
    const names = [first.text]
    while (this.#tokens[at]?.text === '.' && this.#tokens[at + 1]?.kind === 'identifier') {
      names.push(this.#tokens[at + 1]?.text ?? '')
      at += 2
    }
    const opening = this.#tokens[at]
    if (opening?.kind !== 'symbol' || opening.text !== '{') return undefined
    this.#at = at
    return names.join('.')
  }

  #arguments(): readonly CelExpression[] {
    const args: CelExpression[] = []
    if (this.#skip(')')) return args
    do args.push(this.#expression())
    while (this.#skip(','))
    this.#expect(')')
    return args
  }

  #list(place: Place): CelExpression {
    const elements: ListNode['elements'][number][] = []
    this.#items(']', () => {
      const isOptional = this.#skip('?')
      elements.push({ value: this.#expression(), isOptional })
    })
    return this.#counted({ kind: 'list', place, elements })
  }

  #map(place: Place): CelExpression {
    const entries: MapNode['entries'][number][] = []
    this.#items('}', () => {
      const isOptional = this.#skip('?')
      const key = this.#expression()
      this.#expect(':')
      entries.push({ key, value: this.#expression(), isOptional })
    })
    return this.#counted({ kind: 'map', place, entries })
  }

  #struct(typeName: string): CelExpression {
    const { place } = this.#take()
    const fields: StructNode['fields'][number][] = []
    this.#items('}', () => {
      const isOptional = this.#skip('?')
      const token = this.#take()
      if (token.kind === 'escaped') this.#refuse("unsupported syntax: '`'", token.place)
      else if (token.kind !== 'identifier') this.#unexpected(token)
      const colon = this.#current().place
      this.#expect(':')
      fields.push({ place: colon, name: token.text, value: this.#expression(), isOptional })
    })
    return this.#counted({ kind: 'struct', place, typeName, fields })
  }

  /** Items between brackets; one comma may trail, even alone. */
  #items(close: string, item: () => void): void {
    while (!this.#is(close) && !this.#is(',') && this.#problem === undefined) {
      item()
      if (!this.#is(',')) break
      const after = this.#tokens[this.#at + 1]
      if (after?.kind === 'symbol' && (after.text === close || after.text === ',')) break
      this.#take()
    }
    this.#skip(',')
    this.#expect(close)
  }

  #value(token: CelToken, sign: '' | '-', place: Place): CelExpression {
    const value = literalOf(token, sign)
    if (value === undefined) return this.#unexpected(token)
    return value.ok ? this.#literal(place, value.value) : this.#refuse(value.message, place)
  }

  #callOrMacro(
    place: Place,
    name: string,
    target: CelExpression | undefined,
    args: readonly CelExpression[],
  ): CelExpression {
    const expand = macroFor(name, args.length, target !== undefined)
    if (expand === undefined || this.#problem !== undefined) return this.#call(place, name, target, args)
    const copy = (node: CelExpression): CelExpression => this.#copy(node, place)
    const expansion = expand({ place, target, arguments: args, copy })
    if (!expansion.ok) return this.#refuse(expansion.message, expansion.place)
    return this.#counted(expansion.node)
  }

  #copy(node: CelExpression, place: Place): CelExpression {
    this.#counted(node)
    if (this.#problem !== undefined) return node
    const copied = childrenOf(node).map((child) => this.#copy(child, place))
    return withChildren(node, place, copied)
  }

  #call(
    place: Place,
    name: string,
    target: CelExpression | undefined,
    args: readonly CelExpression[],
  ): CelExpression {
    return this.#counted({ kind: 'call', place, name, target, arguments: args } satisfies CallNode)
  }

  /** An operator that cel-go counts as one level of nesting. */
  #operation(place: Place, name: string, operands: readonly CelExpression[]): CelExpression {
    const height = Math.max(...operands.map((operand) => this.#height(operand))) + 1
    return this.#withHeight(this.#call(place, name, undefined, operands), height)
  }

  #literal(place: Place, literal: CelLiteral): CelExpression {
    return this.#counted({ kind: 'literal', place, literal })
  }

  #counted(node: CelExpression): CelExpression {
    this.#nodes += 1
    if (this.#nodes > MAX_NODES) {
      this.#refuse(`the expression is too large to be checked: more than ${MAX_NODES} nodes`, node.place)
    }
    return node
  }

  #height(node: CelExpression): number {
    return this.#heights.get(node) ?? 0
  }

  #withHeight(node: CelExpression, height: number): CelExpression {
    if (height > MAX_DEPTH) this.#refuse('max recursion depth exceeded', node.place)
    this.#heights.set(node, height)
    return node
  }

  #nested(rule: keyof Nesting, parse: () => CelExpression): CelExpression {
    this.#depth[rule] += 1
    if (this.#depth[rule] > MAX_DEPTH) this.#refuse(`expression recursion limit exceeded: ${MAX_DEPTH}`)
    const node = parse()
    this.#depth[rule] -= 1
    return node
  }

  #current(): CelToken {
    return this.#tokens[this.#at] ?? this.#end
  }

  #take(): CelToken {
    const token = this.#current()
    this.#at += 1
    return token
  }

  #is(symbol: string): boolean {
    const token = this.#current()
    return token.kind === 'symbol' && token.text === symbol
  }

  #skip(symbol: string): boolean {
    if (!this.#is(symbol)) return false
    this.#at += 1
    return true
  }

  #expect(symbol: string): void {
    if (!this.#skip(symbol)) this.#unexpected(this.#current(), `'${symbol}'`)
  }

  #unexpected(token = this.#current(), wanted?: string): CelExpression {
    if (token.kind === 'invalid') {
      return this.#refuse(`Syntax error: token recognition error at: '${token.text}'`, token.place)
    }
    const expecting = wanted === undefined ? '' : ` expecting ${wanted}`
    return this.#refuse(`Syntax error: mismatched input '${token.text}'${expecting}`, token.place)
  }

  #refuse(message: string, place = this.#current().place): CelExpression {
    this.#problem ??= { message, place }
    this.#at = this.#tokens.length
    return { kind: 'literal', place, literal: { kind: 'null' } }
  }
}
