// Where a character of a YAML scalar's value stands in the text of the file, for every style: folded lines, indentation,
// quotes and escapes lie between.
import type { Scalar } from 'yaml'

/**
 * Offset in the file of the character at `offset` (UTF-16 units) of the scalar's value; of a blank or the end, the
 * place behind the character before it. `undefined` when the scalar was not read from `text`.
 */
export function offsetInScalar(text: string, scalar: Scalar, offset: number): number | undefined {
  const { range, type, value } = scalar
  if (!range || typeof value !== 'string' || type === undefined || type === null) return undefined
  const raw = text.slice(range[0], range[1])
  const reader: Reader = { raw, at: bodyOf(raw, type), type }
  for (let index = 0; index < value.length; index += 1) {
    const character = value[index] ?? ''
    const isWanted = index >= offset
    if (isBlank(character)) {
      if (isWanted) break
      continue
    }
    const step = stepTo(reader, character)
    if (step === undefined) return undefined
    if (isWanted) break
    reader.at += step
  }
  return range[0] + reader.at
}

type Reader = { readonly raw: string; at: number; readonly type: string }

function bodyOf(raw: string, type: string): number {
  if (type.startsWith('BLOCK')) return raw.indexOf('\n') + 1
  return type.startsWith('QUOTE') ? 1 : 0
}

/** Moves to where `character` is written, over blanks, and says how long it is there. */
function stepTo(reader: Reader, character: string): number | undefined {
  const { raw, type } = reader
  for (; reader.at < raw.length; reader.at += 1) {
    const here = raw[reader.at] ?? ''
    if (isBlank(here)) continue
    if (type === 'QUOTE_DOUBLE' && here === '\\') {
      const length = escapeLength(raw, reader.at)
      if (isBlankEscape(raw, reader.at)) {
        reader.at += length - 1
        continue
      }
      return length
    }
    if (here !== character) return undefined
    return type === 'QUOTE_SINGLE' && here === "'" ? 2 : 1
  }
  return undefined
}

function escapeLength(raw: string, at: number): number {
  return { x: 4, u: 6, U: 10 }[raw[at + 1] ?? ''] ?? 2
}

function isBlankEscape(raw: string, at: number): boolean {
  return /^\\[nrt \t\r\n]/.test(raw.slice(at, at + 2))
}

function isBlank(character: string): boolean {
  return character === ' ' || character === '\n' || character === '\t' || character === '\r'
}
