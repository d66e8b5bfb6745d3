// Evaluates a checked expression as cel-go v0.26 does: errors are values, `&&`, `||` and the macros built on them absorb
// errors, optionals are chained, `claims` and `user` behave like Kubernetes' lazy maps, quirks included.
import { FUNCTIONS } from './declarations.ts'
import { find, itemsOf, missing } from './access.ts'
import { callFunction } from './functions.ts'
import { keyOf } from './operators.ts'
import { FALSE, TRUE, bool, cannot, failure, int, list, optional, typeNameOf } from './value.ts'
import type { Reference, TypedTree } from './checker.ts'
import type { CallNode, CelExpression, ComprehensionNode, ListNode, MapNode } from './syntax.ts'
import type { CelError, CelValue } from './value.ts'

/** The apiserver's own limit in its own unit, of which ours is a rough copy: about one for each step. */
const MAX_COST = 1_000_000
/** What a list of this many elements costs when it is copied. */
const COPIES_PER_COST = 32

export class Evaluator {
  readonly #typed: TypedTree
  readonly #variables: ReadonlyMap<string, CelValue>
  readonly #scopes: Scope[] = []
  #cost = 0
  /** Set once something cannot be known here: whatever comes out then is not the apiserver's answer. */
  #unknown: CelError | undefined

  constructor(typed: TypedTree, variables: ReadonlyMap<string, CelValue>) {
    this.#typed = typed
    this.#variables = variables
  }

  run(): CelValue {
    const value = this.#evaluate(this.#typed.tree)
    return this.#unknown ?? value
  }

  #evaluate(node: CelExpression): CelValue {
    this.#charge(1)
    if (this.#unknown !== undefined) return this.#unknown
    const value = this.#valueOf(node)
    if (value.kind === 'error' && value.isFatal) this.#unknown ??= value
    if (value.kind === 'list') this.#charge(value.elements.length / COPIES_PER_COST)
    if (value.kind === 'string') this.#charge(value.value.length / 1000)
    return value
  }

  #valueOf(node: CelExpression): CelValue {
    switch (node.kind) {
      case 'literal':
        return node.literal
      case 'identifier':
        return this.#named(node)
      case 'select': {
        if (this.#typed.references.has(node)) return this.#named(node)
        const operand = this.#evaluate(node.operand)
        const key: CelValue = { kind: 'string', value: node.field }
        return node.isTest ? this.#isPresent(operand, key) : this.#qualify(operand, key, false)
      }
      case 'call':
        return this.#call(node)
      case 'list':
        return this.#list(node)
      case 'map':
        return this.#map(node)
      case 'struct':
        return cannot(`a message of type ${node.typeName}`)
      case 'comprehension':
        return this.#comprehension(node)
    }
  }

  #named(node: CelExpression): CelValue {
    const reference = this.#typed.references.get(node)
    switch (reference?.kind) {
      case 'constant':
        return int(reference.value)
      case 'type':
        return { kind: 'type', name: reference.name }
      case 'variable':
        return this.#lookUp(reference.name)
      case undefined:
      case 'function':
        return cannot('a name without a meaning')
    }
  }

  #lookUp(name: string): CelValue {
    const scope = this.#scopes.findLast((each) => each.has(name))
    return scope?.get(name) ?? this.#variables.get(name) ?? failure(`no such attribute(s): ${name}`)
  }

  /** `operand.key` and `operand[key]`; on an optional, or with `?`, what is missing is no error. */
  #qualify(operand: CelValue, key: CelValue, isOptional: boolean): CelValue {
    if (operand.kind === 'error') return operand
    if (operand.kind === 'optional') {
      return operand.value === undefined ? operand : this.#qualify(operand.value, key, true)
    }
    const found = find(operand, key)
    if (found?.kind === 'error') return found
    if (isOptional) return optional(found)
    return found ?? missing(operand, key)
  }

  #isPresent(operand: CelValue, key: CelValue): CelValue {
    if (operand.kind === 'error') return operand
    if (operand.kind === 'optional')
      return operand.value === undefined ? FALSE : this.#isPresent(operand.value, key)
    const found = find(operand, key)
    return found?.kind === 'error' ? found : bool(found !== undefined)
  }

  #call(node: CallNode): CelValue {
    const reference = this.#typed.references.get(node)
    if (reference?.kind !== 'function') return cannot(`${node.name}()`)
    const target = reference.isQualified ? undefined : node.target
    const operands = target === undefined ? node.arguments : [target, ...node.arguments]
    switch (reference.name) {
      case '_&&_':
        return this.#logic(operands, false)
      case '_||_':
        return this.#logic(operands, true)
      case '_?_:_':
        return this.#conditional(operands)
      case '@not_strictly_false':
        return this.#notFalse(operands)
      case '_[_]':
        return this.#index(operands, false)
      case '_[?_]':
      case '_?._':
        return this.#index(operands, true)
      case 'or':
      case 'orValue':
        return this.#alternative(reference.name, operands)
      default:
        return this.#strict(reference, operands)
    }
  }

  /** `&&` ends at false, `||` at true; an error counts only when nothing ends it. */
  #logic(operands: readonly CelExpression[], end: boolean): CelValue {
    let failed: CelValue | undefined
    for (const operand of operands) {
      const value = this.#evaluate(operand)
      if (value.kind === 'bool') {
        if (value.value === end) return value
      } else failed ??= value.kind === 'error' ? value : failure('no such overload')
    }
    return failed ?? bool(!end)
  }

  #conditional([condition, yes, no]: readonly CelExpression[]): CelValue {
    if (condition === undefined || yes === undefined || no === undefined) return cannot('a ternary')
    const value = this.#evaluate(condition)
    if (value.kind === 'bool') return this.#evaluate(value.value ? yes : no)
    return value.kind === 'error' ? value : failure('no such overload')
  }

  #notFalse([operand]: readonly CelExpression[]): CelValue {
    const value = operand === undefined ? TRUE : this.#evaluate(operand)
    return value.kind === 'bool' ? value : TRUE
  }

  #index([operand, index]: readonly CelExpression[], isOptional: boolean): CelValue {
    if (operand === undefined || index === undefined) return cannot('an index')
    const value = this.#evaluate(operand)
    if (value.kind === 'error') return value
    if (value.kind === 'optional' && value.value === undefined) return value
    const key = this.#evaluate(index)
    if (key.kind === 'error') return key
    const isConstantKey = ['string', 'int', 'uint', 'bool', 'double'].includes(key.kind)
    if (!isConstantKey) return cannot(`an index of type ${typeNameOf(key)}`)
    return this.#qualify(value, key, isOptional)
  }

  #alternative(name: 'or' | 'orValue', [left, right]: readonly CelExpression[]): CelValue {
    if (left === undefined || right === undefined) return cannot(`${name}()`)
    const value = this.#evaluate(left)
    // cel-go gives back what is no optional as it is.
    if (value.kind !== 'optional') return value
    if (value.value === undefined) return this.#evaluate(right)
    return name === 'or' ? value : value.value
  }

  #strict(
    reference: Extract<Reference, { readonly kind: 'function' }>,
    operands: readonly CelExpression[],
  ): CelValue {
    if (reference.name === '@in' && isEmptyList(operands[1]) && reference.overloads.join(',') === '0')
      return FALSE
    const values: CelValue[] = []
    for (const operand of operands) {
      const value = this.#evaluate(operand)
      values.push(value)
      // Only functions of three and more arguments stop at the first error.
      if (value.kind === 'error' && operands.length > 2) return value
    }
    const failed = values.find((value) => value.kind === 'error')
    if (failed !== undefined) return failed
    this.#chargeFor(reference.name, values)
    if (this.#unknown !== undefined) return this.#unknown
    return callFunction(reference.name, values)
  }

  /** What grows faster than its arguments. */
  #chargeFor(name: string, values: readonly CelValue[]): void {
    const sizes = values.map((value) => (value.kind === 'list' ? value.elements.length : 1))
    const isPairwise = name.startsWith('sets.') || name === 'distinct'
    const [first = 1, second = 1] = sizes
    this.#charge(isPairwise ? first * (name === 'distinct' ? first : second) : Math.max(...sizes, 1))
    const characters = values.reduce(
      (sum, value) => sum + (value.kind === 'string' ? value.value.length : 0),
      0,
    )
    this.#charge(characters / 10)
    if (FUNCTIONS.has(name)) return
    this.#unknown ??= cannot(`${name}()`)
  }

  #list(node: ListNode): CelValue {
    const elements: CelValue[] = []
    for (const { value: element, isOptional } of node.elements) {
      const value = this.#evaluate(element)
      if (value.kind === 'error') return value
      if (!isOptional) elements.push(value)
      else if (value.kind !== 'optional') return cannot('a list with an entry that is no optional')
      else if (value.value !== undefined) elements.push(value.value)
    }
    return list(elements)
  }

  #map(node: MapNode): CelValue {
    const entries = new Map<string, readonly [CelValue, CelValue]>()
    for (const entry of node.entries) {
      const key = this.#evaluate(entry.key)
      if (key.kind === 'error') return key
      const place = keyOf(key)
      if (place === 'none') return cannot(`a map with a key of type ${typeNameOf(key)}`)
      const value = this.#evaluate(entry.value)
      if (value.kind === 'error') return value
      if (entry.isOptional && value.kind !== 'optional')
        return cannot('a map with an entry that is no optional')
      if (!entry.isOptional) entries.set(place, [key, value])
      else if (value.kind === 'optional' && value.value !== undefined) entries.set(place, [key, value.value])
      else entries.delete(place)
    }
    return { kind: 'map', entries, unescapes: false }
  }

  #comprehension(node: ComprehensionNode): CelValue {
    const range = this.#evaluate(node.range)
    if (range.kind === 'error') return range
    const items = itemsOf(range, node.secondVariable !== undefined)
    if ('kind' in items) return items
    const scope = new Scope(node.accumulator, () => this.#outside(scope, node.initial))
    this.#scopes.push(scope)
    for (const [first, second] of items) {
      scope.iterate(node.variable, first, node.secondVariable, second)
      const condition = this.#evaluate(node.condition)
      if (condition.kind === 'bool' && !condition.value) break
      scope.accumulated = this.#evaluate(node.step)
    }
    scope.stop()
    const result = this.#evaluate(node.result)
    this.#scopes.pop()
    return result
  }

  /** The initial value is evaluated when it is first asked for, and sees nothing of the loop. */
  #outside(scope: Scope, node: CelExpression): CelValue {
    const inner = this.#scopes.splice(this.#scopes.indexOf(scope))
    const value = this.#evaluate(node)
    this.#scopes.push(...inner)
    return value
  }

  #charge(cost: number): void {
    this.#cost += cost
    if (this.#cost > MAX_COST) {
      this.#unknown ??= {
        kind: 'error',
        message: 'operation cancelled: actual cost limit exceeded',
        isFatal: true,
      }
    }
  }
}

/** The variables of one comprehension. */
class Scope {
  readonly #accumulator: string
  readonly #initial: () => CelValue
  readonly #loop = new Map<string, CelValue>()
  accumulated: CelValue | undefined

  constructor(accumulator: string, initial: () => CelValue) {
    this.#accumulator = accumulator
    this.#initial = initial
  }

  iterate(variable: string, first: CelValue, secondVariable: string | undefined, second: CelValue): void {
    this.#loop.set(variable, first)
    if (secondVariable !== undefined) this.#loop.set(secondVariable, second)
  }

  /** The result of a comprehension sees its accumulator only. */
  stop(): void {
    this.#loop.clear()
  }

  has(name: string): boolean {
    return name === this.#accumulator || this.#loop.has(name)
  }

  get(name: string): CelValue | undefined {
    if (name !== this.#accumulator) return this.#loop.get(name)
    this.accumulated ??= this.#initial()
    return this.accumulated
  }
}

function isEmptyList(node: CelExpression | undefined): boolean {
  return node?.kind === 'list' && node.elements.length === 0
}
