// The tokens of expr-lang 1.17 (parser/lexer). `not in` is two tokens, `..` and `?.` are one, `#index` is `#` and a name.
import { ExpressionFault } from './syntax.ts'
import type { At } from './syntax.ts'

export type TokenKind = 'Identifier' | 'Number' | 'String' | 'Operator' | 'Bracket' | 'EOF'

/** `text` of a string is its value. */
export type Token = { readonly kind: TokenKind; readonly text: string; readonly at: At }

const WORD = /[\p{L}\p{Nd}_$]/u
const SPACE = /[\t\n\v\f\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/u
const WORD_OPERATORS: ReadonlySet<string> = new Set(
  'not in or and matches contains startsWith endsWith let if else'.split(' '),
)

/** All tokens of a text, the last one of kind `EOF`. */
export function tokensOf(text: string): readonly Token[] {
  const reader = new Reader(Array.from(text))
  const tokens: Token[] = []
  for (;;) {
    const token = reader.next()
    tokens.push(token)
    if (token.kind === 'EOF') return tokens
  }
}

class Reader {
  readonly #points: readonly string[]
  #at = 0
  /** `#index` gives two tokens. */
  #pending: Token | undefined

  constructor(points: readonly string[]) {
    this.#points = points
  }

  next(): Token {
    const pending = this.#pending
    this.#pending = undefined
    if (pending !== undefined) return pending
    this.#skipHidden()
    const at = this.#at
    const first = this.#points[at]
    if (first === undefined) return { kind: 'EOF', text: '', at: Math.max(0, at - 1) }
    if (first === '"' || first === "'") return { kind: 'String', text: this.#quoted(first), at }
    if (first === '`') return { kind: 'String', text: this.#raw(), at }
    if (/[bB]/.test(first) && /["']/.test(this.#points[at + 1] ?? ''))
      throw new ExpressionFault('Sallyport evaluates no bytes literals', at)
    if (/[0-9]/.test(first) || (first === '.' && /[0-9]/.test(this.#points[at + 1] ?? '')))
      return { kind: 'Number', text: this.#number(), at }
    if (/[()[\]{}]/.test(first)) return { kind: 'Bracket', text: this.#take(1), at }
    if (first === '#') return this.#pointer()
    const symbol = this.#symbolLength(first)
    if (symbol > 0) return { kind: 'Operator', text: this.#take(symbol), at }
    if (!WORD.test(first)) throw new ExpressionFault(`unrecognized character: ${shown(first)}`, at)
    const word = this.#word()
    return { kind: WORD_OPERATORS.has(word) ? 'Operator' : 'Identifier', text: word, at }
  }

  #take(count: number): string {
    const from = this.#at
    this.#at += count
    return this.#points.slice(from, this.#at).join('')
  }

  #takeWhile(isWanted: (point: string) => boolean): string {
    let end = this.#at
    while (end < this.#points.length && isWanted(this.#points[end] ?? '')) end += 1
    return this.#take(end - this.#at)
  }

  #word(): string {
    return this.#takeWhile((point) => WORD.test(point))
  }

  #skipHidden(): void {
    for (;;) {
      this.#takeWhile((point) => SPACE.test(point))
      if (this.#points[this.#at] !== '/') return
      const kind = this.#points[this.#at + 1]
      if (kind === '/') this.#takeWhile((point) => point !== '\n')
      else if (kind === '*') this.#skipBlockComment()
      else return
    }
  }

  #skipBlockComment(): void {
    this.#take(2)
    while (this.#points[this.#at] !== '*' || this.#points[this.#at + 1] !== '/') {
      if (this.#at >= this.#points.length) throw new ExpressionFault('unclosed comment', this.#points.length)
      this.#take(1)
    }
    this.#take(2)
  }

  #symbolLength(first: string): number {
    const second = this.#points[this.#at + 1] ?? ''
    if (first === '|' || first === ':' || first === '.') return second === first ? 2 : 1
    if (first === '?') return second === '.' || second === '?' ? 2 : 1
    if ('&!=*<>'.includes(first)) return second !== '' && '&=*'.includes(second) ? 2 : 1
    return ',;%+-^/'.includes(first) ? 1 : 0
  }

  #pointer(): Token {
    const at = this.#at
    const text = this.#take(this.#points[at + 1] === '#' ? 2 : 1)
    const nameAt = this.#at
    const name = this.#word()
    if (name !== '') this.#pending = { kind: 'Identifier', text: name, at: nameAt }
    return { kind: 'Operator', text, at }
  }

  #number(): string {
    const from = this.#at
    let digits = /[0-9_]/
    if (this.#points[this.#at] === '0') {
      this.#take(1)
      const base = this.#points[this.#at]?.toLowerCase()
      if (base === 'x') digits = /[0-9a-fA-F_]/
      if (base === 'o') digits = /[0-7_]/
      if (base === 'b') digits = /[01_]/
      if (base === 'x' || base === 'o' || base === 'b') this.#take(1)
    }
    const run = (): string => this.#takeWhile((point) => digits.test(point))
    run()
    // 1..2 is a range.
    if (this.#points[this.#at] === '.') {
      if (this.#points[this.#at + 1] === '.') return this.#points.slice(from, this.#at).join('')
      this.#take(1)
      run()
    }
    if (/[eE]/.test(this.#points[this.#at] ?? '')) {
      this.#take(1)
      if (/[+-]/.test(this.#points[this.#at] ?? '')) this.#take(1)
      run()
    }
    if (WORD.test(this.#points[this.#at] ?? '')) {
      this.#take(1)
      const bad = this.#points.slice(from, this.#at).join('')
      throw new ExpressionFault(`bad number syntax: ${JSON.stringify(bad)}`, this.#at - 1)
    }
    return this.#points.slice(from, this.#at).join('')
  }

  #raw(): string {
    this.#take(1)
    let value = ''
    for (;;) {
      const point = this.#points[this.#at]
      if (point === undefined) throw new ExpressionFault('literal not terminated', this.#at)
      this.#take(1)
      if (point !== '`') value += point
      else if (this.#points[this.#at] === '`') value += this.#take(1)
      else return value
    }
  }

  #quoted(quote: string): string {
    this.#take(1)
    let value = ''
    for (;;) {
      const point = this.#points[this.#at]
      if (point === undefined || point === '\n') throw new ExpressionFault('literal not terminated', this.#at)
      if (point === '\\') value += this.#escape(quote)
      else this.#take(1)
      if (point === quote) return value
      if (point !== '\\') value += point === '\r' ? '\n' : point
    }
  }

  #escape(quote: string): string {
    this.#take(1)
    const letter = this.#points[this.#at] ?? ''
    if (letter === quote) return this.#take(1)
    const plain = PLAIN_ESCAPES.get(letter)
    if (plain !== undefined) {
      this.#take(1)
      return plain
    }
    const rest = this.#points.slice(this.#at, this.#at + 12).join('')
    const found =
      /^(?:[0-3][0-7]{2}|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|u\{[0-9a-fA-F]{1,6}\}|U[0-9a-fA-F]{8})/.exec(rest)
    if (found === null) throw new ExpressionFault('invalid char escape', this.#at)
    this.#take(found[0].length)
    const isOctal = /^[0-3]/.test(found[0])
    const code = isOctal
      ? Number.parseInt(found[0], 8)
      : Number.parseInt(found[0].replaceAll(/[xuU{}]/g, ''), 16)
    if (code > 0x10_ff_ff) throw new ExpressionFault('unable to unescape string', this.#at)
    // As Go writes what is no character.
    return code >= 0xd8_00 && code <= 0xdf_ff ? '\ufffd' : String.fromCodePoint(code)
  }
}

const PLAIN_ESCAPES: ReadonlyMap<string, string> = new Map([
  ['a', '\u0007'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['v', '\v'],
  ['\\', '\\'],
])

/** As Go's %#U. */
function shown(point: string): string {
  const code = (point.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')
  return `U+${code} '${point}'`
}
