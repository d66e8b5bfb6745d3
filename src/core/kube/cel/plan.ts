// What can still go wrong when the apiserver turns a checked expression into a program: it converts constants at once,
// compiles constant patterns and builds constant lists and maps. cel-go v0.26 interpreter/planner.go and decorators.go.
import { convert, isConversion } from './conversions.ts'
import { compileRegex } from './regex.ts'
import { int, list, typeNameOf } from './value.ts'
import type { TypedTree } from './checker.ts'
import type { CallNode, CelExpression, ListNode, MapNode, Place } from './syntax.ts'
import type { CelValue } from './value.ts'

export type PlanProblem = {
  readonly message: string
  readonly place: Place
  /** The apiserver does not say no, it dies of this. */
  readonly isCrash: boolean
}

/** The first thing that makes the apiserver refuse the program, in its own order. */
export function findPlanProblem(typed: TypedTree): PlanProblem | undefined {
  const planner = new Planner(typed)
  planner.plan(typed.tree)
  return planner.problem
}

const PATTERN_FUNCTIONS: ReadonlySet<string> = new Set(['matches', 'find', 'findAll'])
const INDEXING: ReadonlySet<string> = new Set(['_[_]', '_[?_]', '_?._'])
const QUALIFIERS: ReadonlySet<string> = new Set(['string', 'int', 'uint', 'bool', 'double'])

/** Go's names of what may not stand in brackets. */
const GO_TYPES: Readonly<Record<string, string>> = {
  null: 'types.Null',
  bytes: 'types.Bytes',
  list: '*types.baseList',
  map: '*types.baseMap',
  timestamp: 'types.Timestamp',
  duration: 'types.Duration',
  type: '*types.Type',
}

class Planner {
  readonly #typed: TypedTree
  problem: PlanProblem | undefined

  constructor(typed: TypedTree) {
    this.#typed = typed
  }

  /** The value of a node that is constant to the apiserver; `undefined` of all others. */
  plan(node: CelExpression): CelValue | undefined {
    if (this.problem !== undefined) return undefined
    switch (node.kind) {
      case 'literal':
        return node.literal
      case 'identifier':
        return this.#named(node)
      case 'select': {
        if (this.#typed.references.has(node)) return this.#named(node)
        this.plan(node.operand)
        return undefined
      }
      case 'call':
        return this.#call(node)
      case 'list':
        return this.#list(node)
      case 'map':
        return this.#map(node)
      case 'struct':
        for (const field of node.fields) this.plan(field.value)
        return undefined
      case 'comprehension':
        for (const part of [node.initial, node.range, node.condition, node.step, node.result]) this.plan(part)
        return undefined
    }
  }

  #named(node: CelExpression): CelValue | undefined {
    const reference = this.#typed.references.get(node)
    if (reference?.kind === 'constant') return int(reference.value)
    if (reference?.kind !== 'type') return undefined
    if (reference.isRegistered) return { kind: 'type', name: reference.name }
    return this.#refuse(node.place, `reference to undefined type: ${reference.name}`)
  }

  #call(node: CallNode): CelValue | undefined {
    const reference = this.#typed.references.get(node)
    if (reference?.kind !== 'function') return undefined
    const target = reference.isQualified ? undefined : node.target
    const operands = target === undefined ? node.arguments : [target, ...node.arguments]
    const values = operands.map((operand) => this.plan(operand))
    const [first, second] = values
    if (this.problem !== undefined) return undefined
    if (INDEXING.has(reference.name)) return this.#index(node, second)
    if (PATTERN_FUNCTIONS.has(reference.name)) return this.#pattern(node, second)
    if (reference.name === '@in') return this.#membership(node, second, reference.overloads)
    if (first === undefined || values.length !== 1 || !isConversion(reference.name)) return undefined
    const converted = convert(reference.name, first)
    return converted.kind === 'error' ? this.#refuse(node.place, converted.message) : converted
  }

  #index(node: CallNode, key: CelValue | undefined): undefined {
    if (key === undefined || QUALIFIERS.has(key.kind)) return undefined
    return this.#refuse(node.place, `invalid qualifier type: ${GO_TYPES[key.kind] ?? typeNameOf(key)}`)
  }

  #pattern(node: CallNode, pattern: CelValue | undefined): undefined {
    if (pattern?.kind !== 'string') return undefined
    const compiled = compileRegex(pattern.value)
    return compiled.ok ? undefined : this.#refuse(node.place, compiled.message)
  }

  /** `x in []` is false whatever x is; a constant that is an error is no list, and cel-go takes it for one. */
  #membership(
    node: CallNode,
    range: CelValue | undefined,
    overloads: readonly number[],
  ): CelValue | undefined {
    if (range === undefined || overloads.length !== 1 || overloads[0] !== 0) return undefined
    if (range.kind === 'error') return this.#crash(node.place, 'interface conversion: not a list')
    return range.kind === 'list' && range.elements.length === 0 ? { kind: 'bool', value: false } : undefined
  }

  #list(node: ListNode): CelValue | undefined {
    const values = node.elements.map((element) => this.plan(element.value))
    const constants = values.filter((value) => value !== undefined)
    if (constants.length !== values.length) return undefined
    return constants.find((value) => value.kind === 'error') ?? list(constants)
  }

  #map(node: MapNode): CelValue | undefined {
    const entries = new Map<string, readonly [CelValue, CelValue]>()
    let failed: CelValue | undefined
    let isConstant = true
    for (const [index, entry] of node.entries.entries()) {
      const key = this.plan(entry.key)
      const value = this.plan(entry.value)
      if (key === undefined || value === undefined) isConstant = false
      else {
        if (key.kind === 'bytes' && isConstant) failed ??= key
        failed ??= [key, value].find((each) => each.kind === 'error')
        entries.set(String(index), [key, value])
      }
    }
    if (!isConstant) return undefined
    if (failed?.kind === 'bytes') return this.#crash(node.place, 'hash of unhashable type types.Bytes')
    return failed ?? { kind: 'map', entries, unescapes: false }
  }

  #refuse(place: Place, message: string): undefined {
    this.problem ??= { message, place, isCrash: false }
  }

  #crash(place: Place, message: string): undefined {
    this.problem ??= { message, place, isCrash: true }
  }
}
