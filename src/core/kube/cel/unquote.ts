// The value of a string or bytes literal, from its token: prefixes, quotes, escapes. As unescape.go of cel-go v0.26 reads
// them; the lexer has already refused escapes that do not exist.

export type Unquoted<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly message: string }

const SIMPLE_ESCAPES: ReadonlyMap<string, number> = new Map([
  ['a', 7],
  ['b', 8],
  ['f', 12],
  ['n', 10],
  ['r', 13],
  ['t', 9],
  ['v', 11],
])

const PIECE = /\\(?:([0-3][0-7][0-7])|[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([^]))|[^\\]+/g

/** The text of a string token; a surrogate or a code point past U+10FFFF is none. */
export function unquoteString(token: string): Unquoted<string> {
  const { body, isRaw } = bodyOf(token)
  if (isRaw) return { ok: true, value: body }
  const parts: string[] = []
  for (const piece of body.matchAll(PIECE)) {
    const code = codeOf(piece)
    if (code !== undefined && !isScalar(code)) return { ok: false, message: 'invalid unicode code point' }
    parts.push(code === undefined ? piece[0] : String.fromCodePoint(code))
  }
  return { ok: true, value: parts.join('') }
}

/** The bytes of a bytes token: `\x` and octal escapes are one byte each, everything else is UTF-8. */
export function unquoteBytes(token: string): Unquoted<Uint8Array> {
  const { body, isRaw } = bodyOf(token.slice(1))
  if (isRaw) return { ok: true, value: Buffer.from(body) }
  const parts: Buffer[] = []
  for (const piece of body.matchAll(PIECE)) {
    if (piece[3] !== undefined || piece[4] !== undefined)
      return { ok: false, message: 'unable to unescape string' }
    const code = codeOf(piece)
    parts.push(code === undefined ? Buffer.from(piece[0]) : Buffer.from([code]))
  }
  return { ok: true, value: Buffer.concat(parts) }
}

function bodyOf(token: string): { readonly body: string; readonly isRaw: boolean } {
  const normal = token.replaceAll(/\r\n?/g, '\n')
  const isRaw = /^[rR]/.test(normal)
  const quoted = isRaw ? normal.slice(1) : normal
  const width = quoted.length >= 6 && /^(?:"""|''')/.test(quoted) ? 3 : 1
  return { body: quoted.slice(width, -width), isRaw }
}

/** The code of an escape; `undefined` of plain text. */
function codeOf(piece: RegExpExecArray): number | undefined {
  const [, octal, byte, short, long, simple] = piece
  if (octal !== undefined) return Number.parseInt(octal, 8)
  const hex = byte ?? short ?? long
  if (hex !== undefined) return Number.parseInt(hex, 16)
  return simple === undefined ? undefined : (SIMPLE_ESCAPES.get(simple) ?? simple.charCodeAt(0))
}

function isScalar(code: number): boolean {
  return code <= 0x10ffff && (code < 0xd800 || code > 0xdfff)
}
