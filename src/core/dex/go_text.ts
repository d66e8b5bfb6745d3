// Go's spellings that stand in Dex's answers: encoding/json's HTML escapes and fmt's %q of a list.

/** JSON as Go's encoder writes it: `<`, `>`, `&`, U+2028 and U+2029 as \u escapes. Values must be plain JSON data. */
export function goJson(value: unknown, indent?: number): string {
  const text = JSON.stringify(value, undefined, indent)
  // Five looks for one character each cost a third of one look for any of five.
  return ESCAPED.some((char) => text.includes(char)) ? text.replaceAll(ALL_ESCAPES, escape) : text
}

const ESCAPED = ['<', '>', '&', '\u2028', '\u2029'] as const
const ALL_ESCAPES = /[<>&\u2028\u2029]/g

function escape(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`
}

/** fmt's `%q` of a string list: `["a" "b"]`. */
export function goQuoteList(items: readonly string[]): string {
  return `[${items.map(goQuote).join(' ')}]`
}

const GO_ESCAPES: Readonly<Record<string, string>> = {
  '\u0007': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '"': '\\"',
  '\\': '\\\\',
}

/** fmt's `%q` of one string: double quotes, printable characters as they are. */
export function goQuote(text: string): string {
  return `"${text.replaceAll(/["\\]|[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, escapeForGo)}"`
}

function escapeForGo(char: string): string {
  const known = GO_ESCAPES[char]
  if (known !== undefined) return known
  const point = char.codePointAt(0) ?? 0
  if (point < 0x20 || point === 0x7f) return `\\x${point.toString(16).padStart(2, '0')}`
  return point > 0xffff
    ? `\\U${point.toString(16).padStart(8, '0')}`
    : `\\u${point.toString(16).padStart(4, '0')}`
}
