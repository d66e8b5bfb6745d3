// Where the parser stands among the tokens, and the first thing that it could not read. After that it stands at the end of
// the text, so that every rule returns at once.
import type { CelToken } from './lexer.ts'
import type { CelExpression, Place } from './syntax.ts'

export type SyntaxProblem = { readonly message: string; readonly place: Place }

export class TokenCursor {
  readonly #tokens: readonly CelToken[]
  readonly #end: CelToken
  #at = 0
  #problem: SyntaxProblem | undefined

  constructor(tokens: readonly CelToken[]) {
    this.#tokens = tokens
    this.#end = { kind: 'end', text: '<EOF>', place: tokens.at(-1)?.place ?? { line: 1, column: 1 } }
  }

  get problem(): SyntaxProblem | undefined {
    return this.#problem
  }

  current(): CelToken {
    return this.#tokens[this.#at] ?? this.#end
  }

  /** The token that many places further; `undefined` behind the last one. */
  ahead(count: number): CelToken | undefined {
    return this.#tokens[this.#at + count]
  }

  pass(count: number): void {
    this.#at += count
  }

  take(): CelToken {
    const token = this.current()
    this.#at += 1
    return token
  }

  is(symbol: string): boolean {
    const token = this.current()
    return token.kind === 'symbol' && token.text === symbol
  }

  skip(symbol: string): boolean {
    if (!this.is(symbol)) return false
    this.#at += 1
    return true
  }

  expect(symbol: string): void {
    if (!this.skip(symbol)) this.unexpected(this.current(), `'${symbol}'`)
  }

  unexpected(token = this.current(), wanted?: string): CelExpression {
    if (token.kind === 'invalid') {
      return this.refuse(`Syntax error: token recognition error at: '${token.text}'`, token.place)
    }
    const expecting = wanted === undefined ? '' : ` expecting ${wanted}`
    return this.refuse(`Syntax error: mismatched input '${token.text}'${expecting}`, token.place)
  }

  /** Gives a node that stands for nothing, so that a rule can return it. */
  refuse(message: string, place = this.current().place): CelExpression {
    this.#problem ??= { message, place }
    this.#at = this.#tokens.length
    return { kind: 'literal', place, literal: { kind: 'null' } }
  }
}
