// From tokens to a tree, as expr-lang 1.17 reads them (parser/parser.go): precedence climbing, `a < b < c` means both,
// `x | f()` passes x as the first argument, a predicate needs no braces.
import { BUILTINS, PREDICATES, UNSUPPORTED } from './builtins.ts'
import type { PredicateArguments } from './builtins.ts'
import { tokensOf } from './lexer.ts'
import type { Token, TokenKind } from './lexer.ts'
import { ExpressionFault } from './syntax.ts'
import type { At, Binary, Node } from './syntax.ts'

/** A binding is a sentence; deeper than this it is a program, and the reader's own stack has an end. */
const MAX_DEPTH = 64

const UNARY: ReadonlyMap<string, number> = new Map([
  ['not', 50],
  ['!', 50],
  ['-', 90],
  ['+', 90],
])

const BINARY: ReadonlyMap<string, number> = new Map([
  ['|', 0],
  ['or', 10],
  ['||', 10],
  ['and', 15],
  ['&&', 15],
  ...['==', '!=', '<', '>', '>=', '<=', 'in', 'matches', 'contains', 'startsWith', 'endsWith'].map(
    (operator) => [operator, 20] as const,
  ),
  ['..', 25],
  ['+', 30],
  ['-', 30],
  ['*', 60],
  ['/', 60],
  ['%', 60],
  ['**', 100],
  ['^', 100],
  ['??', 500],
])

const RIGHT_ASSOCIATIVE: ReadonlySet<string> = new Set(['**', '^'])
const COMPARISONS: ReadonlySet<string> = new Set(['<', '>', '<=', '>='])
const NEGATED: ReadonlySet<string> = new Set(['contains', 'matches', 'startsWith', 'endsWith', 'in'])

/** @throws ExpressionFault */
export function parse(text: string): Node {
  const parser = new Parser(tokensOf(text))
  return parser.whole()
}

class Parser {
  readonly #tokens: readonly Token[]
  #index = 0
  #depth = 0
  #predicates = 0

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens
  }

  whole(): Node {
    const node = this.#sequence()
    if (!this.#is('EOF')) throw this.#unexpected()
    return node
  }

  get #current(): Token {
    return this.#tokens[this.#index] ?? { kind: 'EOF', text: '', at: 0 }
  }

  #is(kind: TokenKind, text?: string): boolean {
    return this.#current.kind === kind && (text === undefined || this.#current.text === text)
  }

  #next(): Token {
    const token = this.#current
    if (token.kind === 'EOF') throw new ExpressionFault('unexpected end of expression', token.at)
    this.#index += 1
    return token
  }

  #expect(kind: TokenKind, text?: string): Token {
    if (!this.#is(kind, text)) throw this.#unexpected()
    return this.#next()
  }

  #accept(kind: TokenKind, text: string): boolean {
    if (!this.#is(kind, text)) return false
    this.#next()
    return true
  }

  #unexpected(token = this.#current): ExpressionFault {
    const { kind, text, at } = token
    const named = text === '' ? kind : `${kind}(${JSON.stringify(text)})`
    return new ExpressionFault(`unexpected token ${named}`, at)
  }

  #deeper<T>(read: () => T): T {
    this.#depth += 1
    if (this.#depth > MAX_DEPTH)
      throw new ExpressionFault(`nested more than ${MAX_DEPTH} levels deep`, this.#current.at)
    const value = read()
    this.#depth -= 1
    return value
  }

  #sequence(): Node {
    const first = this.#expression(0)
    const parts = [first]
    while (this.#accept('Operator', ';')) {
      if (this.#is('EOF')) break
      parts.push(this.#expression(0))
    }
    return parts.length === 1 ? first : { is: 'sequence', parts, at: first.at }
  }

  #expression(precedence: number): Node {
    return this.#deeper(() => {
      if (precedence === 0 && this.#is('Operator', 'let')) return this.#let()
      if (precedence === 0 && this.#is('Operator', 'if')) return this.#if()
      const node = this.#binaries(this.#primary(), precedence)
      return precedence === 0 ? this.#ternary(node) : node
    })
  }

  #binaries(first: Node, precedence: number): Node {
    let left = first
    let previous = ''
    while (this.#current.kind === 'Operator') {
      const not = this.#is('Operator', 'not') ? this.#current : undefined
      const token = not === undefined ? this.#current : (this.#tokens[this.#index + 1] ?? this.#current)
      if (not !== undefined && !(token.kind === 'Operator' && NEGATED.has(token.text))) {
        this.#next()
        throw this.#unexpected()
      }
      const own = BINARY.get(token.text)
      if (own === undefined || own < precedence) return left
      if (not !== undefined) this.#next()
      this.#next()
      if (token.text === '|') {
        left = this.#call(this.#expect('Identifier'), [left])
      } else if (previous === '??' && token.text !== '??') {
        throw new ExpressionFault(
          `Operator (${token.text}) and coalesce expressions (??) cannot be mixed. Wrap either by parentheses.`,
          token.at,
        )
      } else if (COMPARISONS.has(token.text)) {
        left = this.#comparison(left, token, own)
      } else {
        const right = this.#expression(RIGHT_ASSOCIATIVE.has(token.text) ? own : own + 1)
        left = binary(token, left, right)
        if (not !== undefined) left = { is: 'unary', operator: 'not', operand: left, at: token.at }
      }
      previous = token.text
    }
    return left
  }

  /** `a < b < c` is `a < b && b < c`. */
  #comparison(first: Node, operator: Token, precedence: number): Node {
    let token = operator
    let left = first
    let whole: Node | undefined
    for (;;) {
      const right = this.#expression(precedence + 1)
      const one = binary(token, left, right)
      whole = whole === undefined ? one : { ...binary(token, whole, one), operator: '&&' }
      left = right
      if (this.#current.kind !== 'Operator' || !COMPARISONS.has(this.#current.text)) return whole
      token = this.#next()
    }
  }

  #let(): Node {
    this.#next()
    const name = this.#expect('Identifier')
    this.#expect('Operator', '=')
    const value = this.#expression(0)
    this.#expect('Operator', ';')
    return { is: 'let', name: name.text, value, body: this.#sequence(), at: name.at }
  }

  #if(): Node {
    this.#next()
    const condition = this.#expression(0)
    const yes = this.#block()
    this.#expect('Operator', 'else')
    const no = this.#is('Operator', 'if') ? this.#deeper(() => this.#if()) : this.#block()
    return { is: 'conditional', condition, yes, no, at: 0 }
  }

  #block(): Node {
    this.#expect('Bracket', '{')
    const node = this.#sequence()
    this.#expect('Bracket', '}')
    return node
  }

  #ternary(first: Node): Node {
    let node = first
    while (this.#accept('Operator', '?')) {
      const isShort = this.#accept('Operator', ':')
      const yes = isShort ? node : this.#expression(0)
      if (!isShort) this.#expect('Operator', ':')
      const no = this.#expression(0)
      node = { is: 'conditional', condition: node, yes, no, at: this.#current.at }
    }
    return node
  }

  #primary(): Node {
    const token = this.#current
    const unary = token.kind === 'Operator' ? UNARY.get(token.text) : undefined
    if (unary !== undefined) {
      this.#next()
      const operand = this.#expression(unary)
      return this.#postfix({ is: 'unary', operator: token.text, operand, at: token.at })
    }
    if (this.#accept('Bracket', '(')) {
      const node = this.#deeper(() => this.#sequence())
      this.#expect('Bracket', ')')
      return this.#postfix(node)
    }
    if (this.#predicates > 0 && token.kind === 'Operator' && (token.text === '#' || token.text === '.')) {
      // `.name` is `#.name`: the dot is read as what follows.
      const isPointer = this.#accept('Operator', '#')
      const name = isPointer && this.#is('Identifier') ? this.#next().text : ''
      return this.#postfix({ is: 'pointer', name, at: token.at })
    }
    if (this.#accept('Operator', '::')) return this.#postfix(this.#call(this.#expect('Identifier'), []))
    return this.#secondary()
  }

  #secondary(): Node {
    const token = this.#current
    const { at } = token
    switch (token.kind) {
      case 'Identifier':
        this.#next()
        if (token.text === 'true' || token.text === 'false') return { is: 'bool', at }
        if (token.text === 'nil') return { is: 'nil', at }
        return this.#postfix(
          this.#is('Bracket', '(') ? this.#call(token, []) : { is: 'name', name: token.text, at },
        )
      case 'Number':
        this.#next()
        return { is: numberKind(token.text, this.#current.at), at }
      case 'String':
        this.#next()
        return this.#postfix({ is: 'string', value: token.text, at })
      case 'Bracket':
        if (token.text === '[') return this.#postfix(this.#array())
        if (token.text === '{') return this.#postfix(this.#map())
        throw this.#unexpected()
      case 'Operator':
      case 'EOF':
        throw this.#unexpected()
    }
  }

  #array(): Node {
    const { at } = this.#expect('Bracket', '[')
    return { is: 'array', elements: this.#list(']', () => this.#expression(0)), at }
  }

  #map(): Node {
    const { at } = this.#expect('Bracket', '{')
    const pairs = this.#list('}', () => {
      const key = this.#mapKey()
      this.#expect('Operator', ':')
      return [key, this.#expression(0)] as const
    })
    return { is: 'map', pairs, at }
  }

  #mapKey(): Node {
    const { kind, text, at } = this.#current
    if (this.#is('Bracket', '(')) return this.#expression(0)
    if (kind !== 'Number' && kind !== 'String' && kind !== 'Identifier') {
      const { message } = this.#unexpected()
      throw new ExpressionFault(
        `a map key must be a quoted string, a number, a identifier, or an expression enclosed in parentheses (${message})`,
        at,
      )
    }
    this.#next()
    return { is: 'string', value: text, at }
  }

  /** Up to the closing bracket; one comma may stand before it. */
  #list<T>(closing: string, read: () => T): readonly T[] {
    const items: T[] = []
    while (!this.#is('Bracket', closing)) {
      if (items.length > 0) this.#expect('Operator', ',')
      if (items.length > 0 && this.#is('Bracket', closing)) break
      items.push(read())
    }
    this.#expect('Bracket', closing)
    return items
  }

  #call(name: Token, before: readonly Node[]): Node {
    const { text, at } = name
    const predicate = PREDICATES.get(text)
    if (UNSUPPORTED.has(text)) throw new ExpressionFault(`Sallyport does not evaluate ${text}()`, at)
    if (predicate !== undefined)
      return { is: 'builtin', name: text, given: this.#predicateCall(predicate, before), at }
    this.#expect('Bracket', '(')
    const given = [...before, ...this.#list(')', () => this.#expression(0))]
    if (BUILTINS.has(text)) return { is: 'builtin', name: text, given, at }
    return { is: 'call', callee: { is: 'name', name: text, at }, given, at }
  }

  #predicateCall(shape: PredicateArguments, before: readonly Node[]): readonly Node[] {
    this.#expect('Bracket', '(')
    const given = [...before]
    const wanted = shape.slice(before.length)
    for (const [index, kind] of wanted.entries()) {
      const isOptional = kind === 'expression?' || kind === 'predicate?'
      if (this.#is('Bracket', ')')) {
        if (isOptional) break
        throw new ExpressionFault(`expected at least ${wanted.length} arguments`, this.#current.at)
      }
      if (index > 0) this.#expect('Operator', ',')
      given.push(kind.startsWith('predicate') ? this.#predicate() : this.#expression(0))
    }
    this.#accept('Operator', ',')
    this.#expect('Bracket', ')')
    return given
  }

  #predicate(): Node {
    const { at } = this.#current
    const isBlock = this.#accept('Bracket', '{')
    this.#predicates += 1
    const body = isBlock ? this.#sequence() : this.#expression(0)
    if (!isBlock && this.#is('Operator', ';'))
      throw new ExpressionFault('wrap predicate with brackets { and }', this.#current.at)
    this.#predicates -= 1
    if (isBlock) this.#expect('Bracket', '}')
    return { is: 'predicate', body, at }
  }

  #postfix(first: Node): Node {
    let node = first
    for (;;) {
      const isOptional = this.#is('Operator', '?.')
      if (isOptional || this.#is('Operator', '.')) {
        this.#next()
        node =
          isOptional && this.#is('Bracket', '[')
            ? this.#indexed(node, true)
            : this.#property(node, isOptional)
      } else if (this.#is('Bracket', '[')) {
        node = this.#indexed(node, false)
      } else {
        return node
      }
    }
  }

  #property(of: Node, isOptional: boolean): Node {
    const { kind, text, at } = this.#next()
    const isName = kind === 'Identifier' || (kind === 'Operator' && /^[\p{L}_$]/u.test(text))
    if (!isName) throw new ExpressionFault('expected name', this.#current.at)
    const isMethod = this.#accept('Bracket', '(')
    const property: Node = { is: 'string', value: text, at }
    const node: Node = { is: 'member', of, property, isOptional, isMethod, at }
    if (!isMethod) return node
    return { is: 'call', callee: node, given: this.#list(')', () => this.#expression(0)), at }
  }

  #indexed(of: Node, isOptional: boolean): Node {
    const { at } = this.#expect('Bracket', '[')
    const from = this.#is('Operator', ':') ? undefined : this.#expression(0)
    const isSlice = this.#accept('Operator', ':')
    const to = isSlice && !this.#is('Bracket', ']') ? this.#expression(0) : undefined
    this.#expect('Bracket', ']')
    return from === undefined || isSlice
      ? { is: 'slice', of, from, to, at }
      : { is: 'member', of, property: from, isOptional, isMethod: false, at }
  }
}

function binary(token: Token, left: Node, right: Node): Binary {
  return { is: 'binary', operator: token.text, left, right, at: token.at }
}

/** As strconv.ParseInt and ParseFloat take it; `at` is what follows, where expr-lang points. */
function numberKind(text: string, at: At): 'int' | 'float' {
  const value = text.replaceAll('_', '').toLowerCase()
  const base = /^0[xbo]/.exec(value)?.[0]
  if (base !== '0x' && /[.e]/.test(value)) {
    const isNumber = /^(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/.test(value) && Number.isFinite(Number(value))
    if (!isNumber) throw new ExpressionFault('invalid float literal', at)
    return 'float'
  }
  const isInteger = base === undefined ? /^\d+$/.test(value) : /^0[xbo][0-9a-f]+$/.test(value)
  if (!isInteger || BigInt(value.replace(/^0+(?=\d)/, '')) > 9_223_372_036_854_775_807n)
    throw new ExpressionFault('invalid integer literal', at)
  return 'int'
}
