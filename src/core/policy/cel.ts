// The only door to the CEL engine (@marcbachmann/cel-js, pinned). The raw engine is not safe for policies: it bounds
// neither cost nor memory and uses JavaScript's RegExp. docs/decisions/0001-cel-engine.md says what stands around it.
import { Environment, EvaluationError, ParseError, TypeError as CelTypeError } from '@marcbachmann/cel-js'
import type { Claims } from '#core/claims.ts'
import type { Result } from '#core/result.ts'
import type { CelNode } from './cel_ast.ts'
import { guard } from './cel_guard.ts'
import {
  CEL_CHECKS,
  CelArgumentError,
  indexOf,
  lowerAscii,
  split,
  substring,
  trim,
  upperAscii,
} from './cel_functions.ts'
import { claimsComparedBy, claimsReadBy, toCelClaims } from './cel_input.ts'
import type { ComparedClaim } from './cel_input.ts'
import { print } from './cel_print.ts'
import type { Printed } from './cel_print.ts'
import { compileSearch } from './re2.ts'
import type { TextTest } from './re2.ts'

type ConditionInput = { readonly claims: Claims; readonly client: string; readonly connector: string }

export type CompiledCondition = {
  readonly text: string
  /** Claims that it names; `undefined` when it may look at any (`"x" in claims`). */
  readonly claims: readonly string[] | undefined
  readonly compared: readonly ComparedClaim[]
  /** Whether the condition is exactly `true`. `detail` says why not, without any claim's value. */
  readonly holds: (input: ConditionInput) => { readonly held: boolean; readonly detail: string }
}

export type ConditionProblem = {
  readonly message: string
  readonly wayOut: string
  /** Both count from 1; columns in UTF-16 units. */
  readonly line: number
  readonly column: number
}

/** Bytes of one condition. What is longer is a program. */
const MAX_CONDITION_BYTES = 4096
/** Units of work that one evaluation may do; 100,000 take some 10 ms. */
export const COST_BUDGET = 100_000
const MAX_COMPILED = 256
/** Of what a person writes. */
const LIMITS = {
  maxAstNodes: 512,
  maxDepth: 32,
  maxListElements: 256,
  maxMapEntries: 256,
  maxCallArguments: 8,
}
/** Of what print.ts makes of it: parentheses everywhere, and calls that charge. */
const PRINTED_LIMITS = { ...LIMITS, maxAstNodes: 4096, maxDepth: 2048 }
const VARIABLES: ReadonlySet<string> = new Set(['claims', 'client', 'connector'])
const HELD = Object.freeze({ held: true, detail: 'holds' })

/** What the functions of a running evaluation may spend and use. Evaluation is synchronous and never nested. */
const run: { left: number; patterns: readonly TextTest[] } = { left: 0, patterns: [] }

/** Compiled conditions by text, least recently used out. A pure function of the text, so an entry never ages. */
const compiled = new Map<string, CompiledCondition>()
let engine: { readonly author: Environment; readonly runner: Environment } | undefined

/** Compiles a condition over `claims`, `client` and `connector`. Gives the first problem with its place. */
export function compileCondition(text: string): Result<CompiledCondition, ConditionProblem> {
  const known = compiled.get(text)
  if (known !== undefined) {
    compiled.delete(text)
    compiled.set(text, known)
    return { ok: true, value: known }
  }
  const fresh = compileFresh(text)
  if (!fresh.ok) return fresh
  compiled.set(text, fresh.value)
  const oldest = compiled.keys().next().value
  if (compiled.size > MAX_COMPILED && oldest !== undefined) compiled.delete(oldest)
  return fresh
}

function compileFresh(text: string): Result<CompiledCondition, ConditionProblem> {
  if (text.trim() === '') {
    return problem(text, 0, 'the condition is empty', 'leave it out, or write claims.x == "y"')
  }
  if (new TextEncoder().encode(text).length > MAX_CONDITION_BYTES) {
    return problem(text, 0, `longer than ${MAX_CONDITION_BYTES} bytes`, 'split it into several policies')
  }
  const environment = (engine ??= createEngine())
  const read = readWith(environment.author, text)
  return read.ok ? { ok: true, value: build(environment.runner, text, read.value) } : read
}

/** Parses, guards and checks. Whatever the engine throws here is about the text: no claims are at hand yet. */
function readWith(author: Environment, text: string): Result<CelNode, ConditionProblem> {
  try {
    const parsed = author.parse(text)
    const [first] = guard(parsed.ast, VARIABLES)
    if (first !== undefined) return problem(text, first.offset, first.message, first.wayOut)
    const checked = parsed.check()
    if (!checked.valid) return engineProblem(text, checked.error)
    if (checked.type === 'bool') return { ok: true, value: parsed.ast }
    return problem(text, 0, `gives ${checked.type ?? 'nothing'}, not bool`, 'compare it: claims.x == true')
  } catch (error) {
    return engineProblem(text, error)
  }
}

function build(environment: Environment, text: string, ast: CelNode): CompiledCondition {
  const printed = print(ast, text)
  const names = claimsReadBy(ast)
  const program = environment.parse(printed.text)
  if (!program.check().valid) throw new Error('a checked condition does not check once printed')
  const patterns = printed.patterns.map((pattern) => {
    const search = compileSearch(pattern)
    if (!search.ok) throw new Error('a pattern passed the guard and does not compile')
    return search.test
  })
  const holds: CompiledCondition['holds'] = (input) => {
    const claims = toCelClaims(input.claims, names)
    if (claims === undefined) return missed('the claims are too deep or too large for a condition')
    run.left = COST_BUDGET
    run.patterns = patterns
    try {
      const result: unknown = program({ claims, client: input.client, connector: input.connector })
      // `||` absorbs errors, so an overrun can hide behind a true.
      if (run.left < 0) return missed('too much work')
      return result === true ? HELD : missed(result === false ? 'is false' : 'is not a boolean')
    } catch (error) {
      if (run.left < 0) return missed('too much work')
      return missed(describe(error, text, printed))
    } finally {
      run.patterns = []
    }
  }
  return Object.freeze({ text, claims: names, compared: claimsComparedBy(ast), holds })
}

function createEngine(): NonNullable<typeof engine> {
  const environment = new Environment({ limits: LIMITS })
    .registerVariable('claims', 'map<string, dyn>')
    .registerVariable('client', 'string')
    .registerVariable('connector', 'string')
  const add = (signature: string, handler: (...args: never[]) => unknown): void => {
    environment.registerFunction(signature, handler, { async: false })
  }
  add('__each(dyn, int): dyn', (range: unknown, weight: bigint) =>
    spend(range, shallow(range) * Number(weight)),
  )
  add('__charge(dyn): dyn', (value: unknown) => spend(value, shallow(value)))
  // The least int divided by -1 is the one quotient that is no int64, and the engine does not look.
  add('__int64(dyn): dyn', (value: unknown) => {
    if (value === 2n ** 63n) throw new CelArgumentError('numeric_overflow')
    return value
  })
  add('__members(dyn): bool', (value: unknown) => {
    if (!(value instanceof Map)) throw new CelArgumentError('has_of_no_object')
    return true
  })
  add('__deep(dyn): dyn', (value: unknown) => spend(value, deep(value)))
  add('__matches(string, int): bool', (text: string, index: bigint) => {
    spend(text, 1 + text.length / 8)
    const test = run.patterns[Number(index)]
    if (test === undefined) throw new Error('a pattern is missing')
    return test(text)
  })
  add('string.__lowerAscii(): string', (text: string) => lowerAscii(charged(text)))
  add('string.__upperAscii(): string', (text: string) => upperAscii(charged(text)))
  add('string.__trim(): string', (text: string) => trim(charged(text)))
  add('string.__indexOf(string): int', (text: string, search: string) => indexOf(charged(text), search))
  add('string.__substring(int): string', (text: string, start: bigint) =>
    substring(charged(text), start, undefined),
  )
  add('string.__substring(int, int): string', (text: string, start: bigint, end: bigint) =>
    substring(charged(text), start, end),
  )
  add('string.__split(string): list<string>', (text: string, separator: string) => {
    spend(text, 1 + text.length / 8)
    return split(text, separator)
  })
  for (const [name, check] of CEL_CHECKS) add(`__${name}(dyn): dyn`, check)
  const runner = environment.clone({ limits: PRINTED_LIMITS })
  return { author: environment.clone(), runner }
}

function spend<T>(value: T, units: number): T {
  run.left -= units
  if (run.left < 0) throw new CelArgumentError('cost_exceeded')
  return value
}

function charged(text: string): string {
  return spend(text, 1 + text.length / 64)
}

/** Units for walking one level of a value. */
function shallow(value: unknown): number {
  if (typeof value === 'string') return 1 + value.length / 64
  if (Array.isArray(value)) return 1 + value.length
  return value instanceof Map ? 1 + value.size : 1
}

/** Units for comparing a value to the bottom. Inputs are at most MAX_DEPTH deep, literals at most LIMITS.maxDepth. */
function deep(value: unknown): number {
  if (!Array.isArray(value) && !(value instanceof Map)) return shallow(value)
  let units = 1
  for (const item of value.values()) units += deep(item)
  return units
}

/** Why an evaluation failed: the engine's code and the operator's own words, never a value. */
function describe(error: unknown, text: string, printed: Printed): string {
  if (error instanceof CelArgumentError) return error.code
  if (!(error instanceof EvaluationError)) return 'evaluation failed'
  const part = error.range === undefined ? undefined : printed.sourceOf(error.range.start, error.range.end)
  return part === undefined ? error.code : `${error.code}: ${text.slice(part.start, part.end).slice(0, 80)}`
}

function missed(detail: string): { readonly held: boolean; readonly detail: string } {
  return { held: false, detail }
}

/** What the engine says of an expression. Its texts speak of the expression only: no claims are at hand yet. */
function engineProblem(text: string, error: unknown): Result<never, ConditionProblem> {
  const wayOut = 'docs/policies.md describes the conditions'
  // The parser recurses through unary operators without counting them.
  if (error instanceof RangeError) return problem(text, 0, 'nested too deep', wayOut)
  if (error instanceof ParseError || error instanceof CelTypeError || error instanceof EvaluationError) {
    return problem(text, error.range?.start ?? 0, error.summary, wayOut)
  }
  // Its checker throws a bare Error where the item of an empty list could be of several types: [][0] > 1.
  if (error instanceof Error && /^Operator overload .* overlaps with /.test(error.message)) {
    return problem(text, 0, 'the type of an empty list or map is open', 'compare with a value that is there')
  }
  throw error
}

function problem(
  text: string,
  offset: number,
  message: string,
  wayOut: string,
): Result<never, ConditionProblem> {
  const before = text.slice(0, offset).split('\n')
  return {
    ok: false,
    denial: { message, wayOut, line: before.length, column: (before.at(-1)?.length ?? 0) + 1 },
  }
}
