// From text to syntax tree, as cel-go v0.26 parses it with the options of Kubernetes 1.36: its grammar (CEL.g4) and nothing
// more, optional syntax on, macros expanded, its limits on size and nesting. Of other releases: their macros, and names in
// backquotes, which 1.37 (cel-go v0.29) takes.
import { tokensOf } from './lexer.ts'
import { literalOf } from './literal.ts'
import { TokenCursor } from './token_cursor.ts'
import { TreeBuilder } from './tree_builder.ts'
import type { CelToken } from './lexer.ts'
import type { CelExpression, ListNode, MapNode, Place, StructNode } from './syntax.ts'
import type { SyntaxProblem } from './token_cursor.ts'
import type { NestingRule } from './tree_builder.ts'

export type Parsed =
  | { readonly ok: true; readonly tree: CelExpression }
  | { readonly ok: false; readonly problem: SyntaxProblem }

/** cel-go's own. */
const MAX_CODE_POINTS = 100_000
/** Names in backquotes: `claims.`a/b``. */
const BACKQUOTES_FROM = 37

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

/** @param minor of Kubernetes 1 */
export function parseExpression(text: string, minor: number): Parsed {
  const start = { line: 1, column: 1 }
  const size = text.length > MAX_CODE_POINTS ? codePoints(text) : text.length
  if (size > MAX_CODE_POINTS) {
    const message = `expression code point size exceeds limit: size: ${size}, limit ${MAX_CODE_POINTS}`
    return { ok: false, problem: { message, place: start } }
  }
  return new Parser(text, minor).parse()
}

function codePoints(text: string): number {
  const pairs = text.match(/[\uD800-\uDBFF][\uDC00-\uDFFF]/g)
  return text.length - (pairs?.length ?? 0)
}

class Parser {
  readonly #tokens: TokenCursor
  readonly #tree: TreeBuilder
  readonly #takesBackquotes: boolean

  constructor(text: string, minor: number) {
    this.#tokens = new TokenCursor(tokensOf(text))
    this.#tree = new TreeBuilder(this.#tokens, minor)
    this.#takesBackquotes = minor >= BACKQUOTES_FROM
  }

  parse(): Parsed {
    const tree = this.#expression()
    if (this.#tokens.current().kind !== 'end') this.#tokens.unexpected()
    const { problem } = this.#tokens
    return problem === undefined ? { ok: true, tree } : { ok: false, problem }
  }

  #expression(): CelExpression {
    return this.#tree.nested('expression', () => {
      const condition = this.#disjunction()
      const place = this.#tokens.current().place
      if (!this.#tokens.skip('?')) return condition
      // Between `?` and `:` stands no other ternary, unless in parentheses.
      const yes = this.#disjunction()
      this.#tokens.expect(':')
      const no = this.#expression()
      return this.#tree.operation(place, '_?_:_', [condition, yes, no])
    })
  }

  #disjunction(): CelExpression {
    return this.#logic('||', '_||_', () => this.#logic('&&', '_&&_', () => this.#relation()))
  }

  /** cel-go balances long chains, so that their depth stays small. */
  #logic(symbol: string, name: string, term: () => CelExpression): CelExpression {
    const terms = [term()]
    const places: Place[] = []
    while (this.#tokens.is(symbol)) {
      places.push(this.#tokens.take().place)
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
    const node = this.#tree.call(places[middle - 1] ?? left.place, name, undefined, [left, right])
    return this.#tree.withHeight(node, this.#tree.heightOf([left, right]))
  }

  #relation(): CelExpression {
    return this.#tree.nested('relation', () => this.#chain('relation', RELATIONS, () => this.#sum()))
  }

  /** Sums and products are one rule of the grammar, so their right-hand sides nest in one count. */
  #sum(): CelExpression {
    const product = (): CelExpression => this.#chain('calculation', PRODUCTS, () => this.#unary())
    return this.#tree.nested('calculation', () => this.#chain('calculation', SUMS, product))
  }

  #chain(
    rule: NestingRule,
    operators: ReadonlyMap<string, string>,
    operand: () => CelExpression,
  ): CelExpression {
    let left = operand()
    for (;;) {
      const token = this.#tokens.current()
      const name = token.kind === 'symbol' ? operators.get(token.text) : undefined
      if (name === undefined) return left
      this.#tokens.take()
      left = this.#tree.operation(token.place, name, [left, this.#tree.nested(rule, operand)])
    }
  }

  #unary(): CelExpression {
    const token = this.#tokens.current()
    if (this.#tokens.is('!')) return this.#repeated(token.place, '!', '!_')
    const next = this.#tokens.ahead(1)
    if (this.#tokens.is('-') && next?.kind !== 'int' && next?.kind !== 'float') {
      return this.#repeated(token.place, '-', '-_')
    }
    return this.#member()
  }

  /** An even number of them is none. `--1` is 1, not -(-1). */
  #repeated(place: Place, symbol: string, name: string): CelExpression {
    let count = 0
    while (this.#tokens.skip(symbol)) count += 1
    const operand = this.#member()
    if (count % 2 === 0) return operand
    const node = this.#tree.call(place, name, undefined, [operand])
    return this.#tree.withHeight(node, this.#tree.heightOf([operand]))
  }

  #member(): CelExpression {
    let node = this.#primary()
    for (;;) {
      const place = this.#tokens.current().place
      if (this.#tokens.skip('.')) node = this.#selected(place, node)
      else if (this.#tokens.skip('[')) node = this.#indexed(place, node)
      else return node
    }
  }

  #selected(place: Place, operand: CelExpression): CelExpression {
    const isOptional = this.#tokens.skip('?')
    const token = this.#tokens.take()
    const field = this.#fieldName(token)
    if (isOptional) {
      const name: CelExpression = this.#tree.literal(token.place, { kind: 'string', value: field })
      return this.#tree.operation(place, '_?._', [operand, name])
    }
    if (token.kind === 'identifier' && this.#tokens.is('(')) return this.#method(field, operand)
    const node: CelExpression = { kind: 'select', place, operand, field, isTest: false }
    return this.#tree.withHeight(this.#tree.counted(node), this.#tree.heightOf([operand]) + 1)
  }

  #fieldName(token: CelToken): string {
    if (token.kind === 'escaped' && this.#takesBackquotes) return token.text.slice(1, -1)
    if (token.kind === 'escaped') this.#tokens.refuse("unsupported syntax: '`'", token.place)
    else if (token.kind !== 'identifier') this.#tokens.unexpected(token)
    return token.text
  }

  #method(name: string, target: CelExpression): CelExpression {
    const { place } = this.#tokens.take()
    const args = this.#arguments()
    return this.#tree.written(place, name, target, args)
  }

  #indexed(place: Place, operand: CelExpression): CelExpression {
    const name = this.#tokens.skip('?') ? '_[?_]' : '_[_]'
    const index = this.#expression()
    this.#tokens.expect(']')
    return this.#tree.operation(place, name, [operand, index])
  }

  #primary(): CelExpression {
    const token = this.#tokens.take()
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
        return this.#tokens.unexpected(token)
    }
  }

  #opened(token: CelToken): CelExpression {
    switch (token.text) {
      case '(': {
        const node = this.#expression()
        this.#tokens.expect(')')
        return node
      }
      case '[':
        return this.#list(token.place)
      case '{':
        return this.#map(token.place)
      case '.':
        return this.#rooted()
      case '-':
        return this.#value(this.#tokens.take(), '-', token.place)
      case 'true':
      case 'false':
        return this.#tree.literal(token.place, { kind: 'bool', value: token.text === 'true' })
      case 'null':
        return this.#tree.literal(token.place, { kind: 'null' })
      default:
        return this.#tokens.unexpected(token)
    }
  }

  #rooted(): CelExpression {
    const token = this.#tokens.take()
    return token.kind === 'identifier' ? this.#name(token, '.') : this.#tokens.unexpected(token)
  }

  /** A variable, a global call or the type of a message. */
  #name(token: CelToken, dot: string): CelExpression {
    const message = this.#messageName(token)
    if (message !== undefined) return this.#struct(dot + message)
    if (RESERVED.has(token.text))
      return this.#tokens.refuse(`reserved identifier: ${token.text}`, token.place)
    if (!this.#tokens.is('(')) {
      return this.#tree.counted({ kind: 'identifier', place: token.place, name: dot + token.text })
    }
    const { place } = this.#tokens.take()
    const args = this.#arguments()
    return this.#tree.written(place, dot + token.text, undefined, args)
  }

  /** `a.b.c` when `{` follows, which is then taken. */
  #messageName(first: CelToken): string | undefined {
    let count = 0
    const names = [first.text]
    while (this.#tokens.ahead(count)?.text === '.' && this.#tokens.ahead(count + 1)?.kind === 'identifier') {
      names.push(this.#tokens.ahead(count + 1)?.text ?? '')
      count += 2
    }
    const opening = this.#tokens.ahead(count)
    if (opening?.kind !== 'symbol' || opening.text !== '{') return undefined
    this.#tokens.pass(count)
    return names.join('.')
  }

  #arguments(): readonly CelExpression[] {
    const args: CelExpression[] = []
    if (this.#tokens.skip(')')) return args
    do args.push(this.#expression())
    while (this.#tokens.skip(','))
    this.#tokens.expect(')')
    return args
  }

  #list(place: Place): CelExpression {
    const elements: ListNode['elements'][number][] = []
    this.#items(']', () => {
      const isOptional = this.#tokens.skip('?')
      elements.push({ value: this.#expression(), isOptional })
    })
    return this.#tree.counted({ kind: 'list', place, elements })
  }

  #map(place: Place): CelExpression {
    const entries: MapNode['entries'][number][] = []
    this.#items('}', () => {
      const isOptional = this.#tokens.skip('?')
      const key = this.#expression()
      this.#tokens.expect(':')
      entries.push({ key, value: this.#expression(), isOptional })
    })
    return this.#tree.counted({ kind: 'map', place, entries })
  }

  #struct(typeName: string): CelExpression {
    const { place } = this.#tokens.take()
    const fields: StructNode['fields'][number][] = []
    this.#items('}', () => {
      const isOptional = this.#tokens.skip('?')
      const name = this.#fieldName(this.#tokens.take())
      const colon = this.#tokens.current().place
      this.#tokens.expect(':')
      fields.push({ place: colon, name, value: this.#expression(), isOptional })
    })
    return this.#tree.counted({ kind: 'struct', place, typeName, fields })
  }

  /** Items between brackets; one comma may trail, even alone. */
  #items(close: string, item: () => void): void {
    while (!this.#tokens.is(close) && !this.#tokens.is(',') && this.#tokens.problem === undefined) {
      item()
      if (!this.#tokens.is(',')) break
      const after = this.#tokens.ahead(1)
      if (after?.kind === 'symbol' && (after.text === close || after.text === ',')) break
      this.#tokens.take()
    }
    this.#tokens.skip(',')
    this.#tokens.expect(close)
  }

  #value(token: CelToken, sign: '' | '-', place: Place): CelExpression {
    const value = literalOf(token, sign)
    if (value === undefined) return this.#tokens.unexpected(token)
    return value.ok ? this.#tree.literal(place, value.value) : this.#tokens.refuse(value.message, place)
  }
}
