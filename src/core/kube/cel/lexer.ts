// The tokens of CEL: the lexer rules of cel-go v0.26 (parser/gen/CEL.g4), longest match first. Stricter than most CEL
// engines: `"\d"` is no string, `'` and `"` may hold no line break, `0X1` and `1.` are no numbers.
import type { Place } from './syntax.ts'

type CelTokenKind =
  | 'int'
  | 'uint'
  | 'float'
  | 'string'
  | 'bytes'
  | 'identifier'
  | 'escaped'
  | 'symbol'
  | 'end'
  | 'invalid'

/** `symbol` covers operators and the words `in`, `true`, `false`, `null`, which are never names. */
export type CelToken = { readonly kind: CelTokenKind; readonly text: string; readonly place: Place }

const ESCAPE = String.raw`\\(?:[abfnrtv"'\\?${'`'}]|[0-3][0-7][0-7]|[xX][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})`
const PLAIN_STRING = [
  String.raw`"""(?:${ESCAPE}|[^\\])*?"""`,
  String.raw`'''(?:${ESCAPE}|[^\\])*?'''`,
  String.raw`"(?:${ESCAPE}|[^\\"\n\r])*"`,
  String.raw`'(?:${ESCAPE}|[^\\'\n\r])*'`,
].join('|')
const RAW_STRING = String.raw`[rR](?:"""[^]*?"""|'''[^]*?'''|"[^"\n\r]*"|'[^'\n\r]*')`
const STRING = `(?:${RAW_STRING}|${PLAIN_STRING})`

const HIDDEN = /(?:[\t \r\n\f]+|\/\/[^\n]*)+/y

/** In the order in which a tie is decided; a longer match always wins. */
const RULES: readonly (readonly [CelTokenKind, RegExp])[] = [
  ['symbol', /==|!=|<=|>=|&&|\|\||[<>[\]{}().,\-!?:+*/%]|(?:in|true|false|null)(?![A-Za-z0-9_])/y],
  ['float', /\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?/y],
  ['uint', /(?:0x[0-9a-fA-F]+|\d+)[uU]/y],
  ['int', /0x[0-9a-fA-F]+|\d+/y],
  ['string', new RegExp(STRING, 'y')],
  ['bytes', new RegExp(`[bB]${STRING}`, 'y')],
  ['identifier', /[A-Za-z_][A-Za-z0-9_]*/y],
  ['escaped', /`[A-Za-z0-9_./ -]+`/y],
]

/** All tokens of `text`. The last one is of kind `end`, or `invalid` with what no rule could read. */
export function tokensOf(text: string): readonly CelToken[] {
  const tokens: CelToken[] = []
  const placeAt = placesIn(text)
  let at = skipHidden(text, 0)
  while (at < text.length) {
    const token = longestAt(text, at)
    const place = placeAt(at)
    if (token === undefined) return [...tokens, { kind: 'invalid', text: unreadable(text, at), place }]
    tokens.push({ ...token, place })
    at = skipHidden(text, at + token.text.length)
  }
  tokens.push({ kind: 'end', text: '<EOF>', place: placeAt(text.length) })
  return tokens
}

function skipHidden(text: string, at: number): number {
  HIDDEN.lastIndex = at
  return HIDDEN.test(text) ? HIDDEN.lastIndex : at
}

function longestAt(text: string, at: number): { kind: CelTokenKind; text: string } | undefined {
  let longest: { kind: CelTokenKind; text: string } | undefined
  for (const [kind, rule] of RULES) {
    rule.lastIndex = at
    const found = rule.exec(text)?.[0]
    if (found !== undefined && found.length > (longest?.text.length ?? 0)) longest = { kind, text: found }
  }
  return longest
}

/** Up to where a string that is none goes wrong: its bad escape, its line break or its end. */
function unreadable(text: string, at: number): string {
  const opening = /(?:[bB]?[rR]?)("""|'''|"|')/y
  opening.lastIndex = at
  const quote = opening.exec(text)?.[1]
  if (quote === undefined) return String.fromCodePoint(text.codePointAt(at) ?? 0)
  const readable = new RegExp(String.raw`(?:${ESCAPE}|[^\\\n\r${quote.charAt(0)}])*`, 'y')
  readable.lastIndex = opening.lastIndex
  readable.test(text)
  const bad = text.charAt(readable.lastIndex) === '\\' ? 2 : 0
  return text.slice(at, readable.lastIndex + bad)
}

/** Line and column of an offset; offsets must be asked for in rising order. */
function placesIn(text: string): (offset: number) => Place {
  let line = 1
  let lineStart = 0
  return (offset) => {
    for (;;) {
      const end = text.indexOf('\n', lineStart)
      if (end < 0 || end >= offset) return { line, column: offset - lineStart + 1 }
      line += 1
      lineStart = end + 1
    }
  }
}
