// The condition of a GroupBinding: an expr-lang expression on `groups`, whose answer is yes or no. OpenDepot compiles them
// with expr-lang 1.17.8 (`AsBool`) when somebody asks, goes through the bindings by name, and refuses everybody at the
// first that does not compile: so they are read when they are written.
import type { Result } from '#core/result.ts'
import { typeOf } from './checker.ts'
import { parse } from './parser.ts'
import { ExpressionFault } from './syntax.ts'
import { isUnknown, typeName } from './type.ts'

/** Where and why a text is no condition; line and column count from 1, in code points. */
export type GroupExpressionProblem = {
  readonly message: string
  readonly line: number
  readonly column: number
}

/** A condition is a sentence. */
const MAX_LENGTH = 4096

/** `undefined`: OpenDepot compiles it, and what it asks for can be evaluated. */
export function problemOfGroupExpression(text: string): GroupExpressionProblem | undefined {
  if (text.length > MAX_LENGTH) return { message: `longer than ${MAX_LENGTH} characters`, line: 1, column: 1 }
  const read = readType(text)
  if (!read.ok) return { message: read.denial.message, ...placeAt(text, read.denial.at) }
  const type = read.value
  if (type.is === 'bool' || isUnknown(type)) return undefined
  return { message: `expected bool, but got ${typeName(type)}`, line: 1, column: 1 }
}

function readType(text: string): Result<ReturnType<typeof typeOf>, ExpressionFault> {
  try {
    return { ok: true, value: typeOf(parse(text)) }
  } catch (error) {
    if (error instanceof ExpressionFault) return { ok: false, denial: error }
    throw error
  }
}

function placeAt(text: string, at: number): { readonly line: number; readonly column: number } {
  const lines = Array.from(text).slice(0, at).join('').split('\n')
  return { line: lines.length, column: Array.from(lines.at(-1) ?? '').length + 1 }
}
