// The value of a literal, from its token: numbers within their 64 bits, texts and bytes without quotes and escapes.
import { unquoteBytes, unquoteString } from './unquote.ts'
import type { CelToken } from './lexer.ts'
import type { CelLiteral } from './syntax.ts'
import type { Unquoted } from './unquote.ts'

const MAX_INT = 2n ** 63n - 1n
const MAX_UINT = 2n ** 64n - 1n

/** `undefined` when `token`, with `sign` before it, begins no literal. */
export function literalOf(token: CelToken, sign: '' | '-'): Unquoted<CelLiteral> | undefined {
  switch (token.kind) {
    case 'int':
      return intOf(token.text, sign)
    case 'float': {
      const value = Number(sign + token.text)
      return Number.isFinite(value) ? literal({ kind: 'double', value }) : refuse('invalid double literal')
    }
    case 'uint': {
      if (sign === '-') return undefined
      const value = BigInt(token.text.slice(0, -1))
      return value > MAX_UINT ? refuse('invalid uint literal') : literal({ kind: 'uint', value })
    }
    case 'string': {
      const value = unquoteString(token.text)
      return value.ok ? literal({ kind: 'string', value: value.value }) : value
    }
    case 'bytes': {
      const value = unquoteBytes(token.text)
      return value.ok ? literal({ kind: 'bytes', value: value.value }) : value
    }
    case 'identifier':
    case 'escaped':
    case 'symbol':
    case 'end':
    case 'invalid':
      return undefined
  }
}

/** The smallest integer has no positive counterpart, so the sign belongs to the literal. */
function intOf(text: string, sign: '' | '-'): Unquoted<CelLiteral> {
  const value = sign === '' ? BigInt(text) : -BigInt(text)
  const isWithin = value <= MAX_INT && value >= -MAX_INT - 1n
  return isWithin ? literal({ kind: 'int', value }) : refuse('invalid int literal')
}

function literal(value: CelLiteral): Unquoted<CelLiteral> {
  return { ok: true, value }
}

function refuse(message: string): Unquoted<CelLiteral> {
  return { ok: false, message }
}
