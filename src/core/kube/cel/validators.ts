// What kube-apiserver checks in an expression whose types are right: constants given to duration(), timestamp() and
// matches(), literals of one type throughout, format strings. cel-go v0.26 cel/validator.go and ext/formatting.go.
import { convert } from './conversions.ts'
import { parseFormat } from './format_clauses.ts'
import { compileRegex } from './regex.ts'
import { childrenOf } from './syntax.ts'
import { DYN, formatType, insideOptional, isEquivalentType } from './type.ts'
import type { TypedTree } from './checker.ts'
import type { FormatClause } from './format_clauses.ts'
import type { CallNode, CelExpression, CelLiteral, ListNode, MapNode, Place } from './syntax.ts'
import type { CelType } from './type.ts'

export type ValidationProblem = {
  readonly message: string
  readonly place: Place
  /** The apiserver does not say no, it dies of this. */
  readonly isCrash: boolean
}

/** All problems, in the order of the tree. */
export function validate(typed: TypedTree): readonly ValidationProblem[] {
  return new Validator(typed).run()
}

class Validator {
  readonly #typed: TypedTree
  readonly #problems: ValidationProblem[] = []

  constructor(typed: TypedTree) {
    this.#typed = typed
  }

  run(): readonly ValidationProblem[] {
    this.#visit(this.#typed.tree, false)
    return this.#problems
  }

  /** Lists and maps anywhere below a call of `format` may mix types. */
  #visit(node: CelExpression, mayMix: boolean): void {
    if (node.kind === 'call') this.#checkCall(node)
    if (node.kind === 'list' && !mayMix) this.#checkList(node)
    if (node.kind === 'map' && !mayMix) this.#checkMap(node)
    const below = mayMix || (node.kind === 'call' && node.name === 'format')
    for (const child of childrenOf(node)) this.#visit(child, below)
  }

  #checkCall(node: CallNode): void {
    if (node.name === 'format') this.#checkFormat(node)
    const reference = this.#typed.references.get(node)
    if (reference?.kind !== 'function') return
    const [argument] = node.arguments
    if (argument?.kind !== 'literal') return
    if (!this.#isValidArgument(reference.name, argument.literal)) {
      this.#report(argument, `invalid ${reference.name} argument`)
    }
  }

  /** The first argument, even of matches(text, pattern), where it is the text. */
  #isValidArgument(name: string, literal: CelLiteral): boolean {
    if (name === 'matches') return literal.kind !== 'string' || compileRegex(literal.value).ok
    if (name !== 'duration' && name !== 'timestamp') return true
    return convert(name, literal).kind !== 'error'
  }

  #checkList(node: ListNode): void {
    let expected: CelType | undefined
    for (const { value, isOptional } of node.elements) {
      const type = this.#entryType(value, isOptional)
      if (type === undefined) return
      expected ??= type
      if (!isEquivalentType(expected, type)) return this.#mismatch(value, expected, type)
    }
  }

  #checkMap(node: MapNode): void {
    let expected: { readonly key: CelType; readonly value: CelType } | undefined
    for (const entry of node.entries) {
      const key = this.#typeOf(entry.key)
      const value = this.#entryType(entry.value, entry.isOptional)
      if (value === undefined) return
      expected ??= { key, value }
      if (!isEquivalentType(expected.key, key)) this.#mismatch(entry.key, expected.key, key)
      if (!isEquivalentType(expected.value, value)) this.#mismatch(entry.value, expected.value, value)
    }
  }

  /** The apiserver takes every entry with `?` for an optional; one that is only `dyn` to it is the end of it. */
  #entryType(value: CelExpression, isOptional: boolean): CelType | undefined {
    const type = this.#typeOf(value)
    if (!isOptional) return type
    const inside = insideOptional(type) ?? type.parameters[0]
    if (inside === undefined) {
      const message = 'runtime error: index out of range [0] with length 0'
      this.#problems.push({ message, place: value.place, isCrash: true })
    }
    return inside
  }

  #checkFormat(node: CallNode): void {
    const { target } = node
    const [list] = node.arguments
    if (target?.kind !== 'literal' || target.literal.kind !== 'string') return
    if (list?.kind !== 'list' || node.arguments.length !== 1) return
    const parsed = parseFormat(target.literal.value, list.elements.length, true)
    const clauses = parsed.parts.filter((part) => part.kind === 'clause')
    for (const [index, clause] of clauses.entries()) {
      const argument = list.elements[index]?.value
      const problem = argument === undefined ? undefined : this.#argumentProblem(clause, argument)
      if (problem !== undefined)
        return this.#report(problem.node, `error during formatting: ${problem.message}`)
    }
    if (!parsed.ok) return this.#report(node, parsed.message)
    if (list.elements.length <= clauses.length) return
    const counts = `(expected ${clauses.length}, got ${list.elements.length})`
    this.#report(node, `too many arguments supplied to string.format ${counts}`)
  }

  #argumentProblem(
    clause: FormatClause,
    argument: CelExpression,
  ): { readonly node: CelExpression; readonly message: string } | undefined {
    const { allowed, message } = CLAUSES[clause.verb]
    const bad = clause.verb === 's' ? this.#unprintable(argument) : this.#not(allowed, argument)
    return bad && { node: bad, message: `${message}, was given ${this.#typeOf(bad).name}` }
  }

  #not(allowed: readonly string[], node: CelExpression): CelExpression | undefined {
    const type = this.#typeOf(node)
    return type.kind === 'dyn' || allowed.includes(type.kind) ? undefined : node
  }

  /** The first part of a literal that `%s` does not print. A claim as such is one: it is `any`, not `dyn`. */
  #unprintable(node: CelExpression): CelExpression | undefined {
    const bad = this.#not(CLAUSES.s.allowed, node)
    if (bad !== undefined || (node.kind !== 'list' && node.kind !== 'map')) return bad
    for (const child of childrenOf(node)) {
      const below = this.#unprintable(child)
      if (below !== undefined) return below
    }
    return undefined
  }

  #typeOf(node: CelExpression): CelType {
    return this.#typed.types.get(node) ?? DYN
  }

  #mismatch(node: CelExpression, expected: CelType, actual: CelType): void {
    this.#report(node, `expected type '${formatType(expected)}' but found '${formatType(actual)}'`)
  }

  #report(node: CelExpression, message: string): void {
    this.#problems.push({ message, place: node.place, isCrash: false })
  }
}

const SCALARS = ['int', 'uint', 'double', 'bool', 'string']
const FLOATING = ['double', 'string']
const HEX = {
  allowed: ['int', 'uint', 'string', 'bytes'],
  message: 'only integers, byte buffers, and strings can be formatted as hex',
}

const CLAUSES: Readonly<
  Record<FormatClause['verb'], { readonly allowed: readonly string[]; readonly message: string }>
> = {
  s: {
    allowed: [...SCALARS, 'list', 'map', 'timestamp', 'bytes', 'duration', 'type', 'null'],
    message:
      'string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps',
  },
  d: { allowed: ['int', 'uint'], message: 'decimal clause can only be used on integers' },
  f: { allowed: FLOATING, message: 'fixed-point clause can only be used on doubles' },
  e: { allowed: FLOATING, message: 'scientific clause can only be used on doubles' },
  b: { allowed: ['int', 'uint', 'bool'], message: 'only integers and bools can be formatted as binary' },
  x: HEX,
  X: HEX,
  o: { allowed: ['int', 'uint'], message: 'octal clause can only be used on integers' },
}
