// Unification of CEL types: which type stands for which type parameter, and whether one type may be used where another
// is expected. The rules of cel-go v0.26 (checker/types.go), its leniency with `dyn` and null included.
import {
  DYN,
  formatType,
  insideOptional,
  isAssignableType,
  isDynamic,
  isSameType,
  parameterOf,
} from './type.ts'
import type { CelType } from './type.ts'

/** Types can double in size at each step of a chain: past this many visited types a check gives up. */
const MAX_STEPS = 2_000_000

export class Substitution {
  readonly #bound = new Map<string, CelType>()
  readonly #journal: (readonly [string, CelType | undefined])[] = []
  #steps = 0
  #parameters = 0

  /** Whether the expression asked for more than the limit; nothing that was answered since is to be trusted. */
  get isExhausted(): boolean {
    return this.#steps > MAX_STEPS
  }

  freshParameter(): CelType {
    this.#parameters += 1
    return { kind: 'param', name: `_var${this.#parameters - 1}`, parameters: [], nullable: false }
  }

  /** Whether each of `left` is assignable to its counterpart; binds what that needs, and nothing when it is not. */
  isAssignableList(left: readonly CelType[], right: readonly CelType[]): boolean {
    const mark = this.#journal.length
    if (this.#areAssignable(left, right)) return true
    for (const [name, previous] of this.#journal.splice(mark).reverse()) {
      if (previous === undefined) this.#bound.delete(name)
      else this.#bound.set(name, previous)
    }
    return false
  }

  isAssignable(left: CelType, right: CelType): boolean {
    return this.isAssignableList([left], [right])
  }

  /** `type` with all bound parameters replaced; unbound ones become `dyn` when `isFinal`. */
  apply(type: CelType, isFinal = false): CelType {
    this.#steps += 1
    if (this.isExhausted) return DYN
    if (type.kind === 'param') {
      const bound = this.#bound.get(type.name)
      if (bound !== undefined) return this.apply(bound, isFinal)
      return isFinal ? DYN : type
    }
    if (type.parameters.length === 0) return type
    return { ...type, parameters: type.parameters.map((parameter) => this.apply(parameter, isFinal)) }
  }

  /** `types` with the parameters `names` replaced by new ones. */
  instantiate(names: readonly string[], types: readonly CelType[]): readonly CelType[] {
    if (names.length === 0) return types
    const fresh = new Map(names.map((name) => [name, this.freshParameter()]))
    const renew = (type: CelType): CelType => {
      if (type.kind === 'param') return fresh.get(type.name) ?? type
      return type.parameters.length === 0 ? type : { ...type, parameters: type.parameters.map(renew) }
    }
    return types.map(renew)
  }

  #areAssignable(left: readonly CelType[], right: readonly CelType[]): boolean {
    if (left.length !== right.length) return false
    return left.every((type, index) => this.#fits(type, parameterAt(right, index)))
  }

  #fits(left: CelType, right: CelType): boolean {
    this.#steps += 1
    if (this.isExhausted) return false
    if (right.kind === 'param') {
      const { isValid, wasBound } = this.#bind(left, right)
      if (isValid) return true
      if (wasBound) return false
    }
    if (left.kind === 'param') return this.#bind(right, left).isValid
    if (isDynamicOrError(left) || isDynamicOrError(right)) return true
    if (left.kind === 'null') return isNullable(right)
    if (right.kind === 'null') return isNullable(left)
    switch (left.kind) {
      case 'type':
        return right.kind === 'type'
      case 'opaque':
      case 'list':
      case 'map':
        return (
          left.kind === right.kind &&
          left.name === right.name &&
          this.#areAssignable(left.parameters, right.parameters)
        )
      case 'any':
      case 'bool':
      case 'bytes':
      case 'double':
      case 'duration':
      case 'dyn':
      case 'error':
      case 'int':
      case 'string':
      case 'struct':
      case 'timestamp':
      case 'uint':
        return isAssignableType(right, left)
    }
  }

  /** Whether `parameter` can stand for `type`, and whether it already stood for something. */
  #bind(type: CelType, parameter: CelType): { readonly isValid: boolean; readonly wasBound: boolean } {
    if (isSameType(type, parameter)) return { isValid: true, wasBound: true }
    const bound = this.#bound.get(parameter.name)
    if (bound === undefined) {
      if (!this.#isFreeOf(parameter, type)) return { isValid: false, wasBound: false }
      this.#set(parameter, type)
      return { isValid: true, wasBound: false }
    }
    if (type.kind === bound.kind && isSameType(type, bound)) return { isValid: true, wasBound: true }
    if (!this.#fits(type, bound)) return { isValid: false, wasBound: true }
    const general = moreGeneral(type, bound)
    if (this.#isFreeOf(parameter, general)) this.#set(parameter, general)
    return { isValid: true, wasBound: true }
  }

  #set(parameter: CelType, type: CelType): void {
    this.#journal.push([parameter.name, this.#bound.get(parameter.name)])
    this.#bound.set(parameter.name, type)
  }

  /** Whether `parameter` does not occur within `type`: a type that contains itself is none. */
  #isFreeOf(parameter: CelType, type: CelType): boolean {
    this.#steps += 1
    if (this.isExhausted || isSameType(parameter, type)) return false
    if (type.kind === 'param') {
      const bound = this.#bound.get(type.name)
      return bound === undefined || this.#isFreeOf(parameter, bound)
    }
    return type.parameters.every((inner) => this.#isFreeOf(parameter, inner))
  }
}

/** The more general of two types that unify. */
export function moreGeneral(left: CelType, right: CelType): CelType {
  return isNotMoreSpecific(left, right) ? left : right
}

function isNotMoreSpecific(left: CelType, right: CelType): boolean {
  if (isDynamic(left) || left.kind === 'param') return true
  if (isDynamic(right) || right.kind === 'param' || left.kind !== right.kind) return false
  if (left.kind === 'type') return true
  if (left.parameters.length === 0 || left.kind === 'struct') return isSameType(left, right)
  if (left.name !== right.name || left.parameters.length !== right.parameters.length) return false
  return left.parameters.every((parameter, index) => isNotMoreSpecific(parameter, parameterOf(right, index)))
}

export function isDynamicOrError(type: CelType): boolean {
  return type.kind === 'error' || isDynamic(type)
}

/** Optionals and everything opaque count as nullable too, as they did in cel-go's first checker. */
function isNullable(type: CelType): boolean {
  const legacy = ['opaque', 'struct', 'any', 'duration', 'timestamp'].includes(type.kind)
  return legacy || type.nullable || type.kind === 'null'
}

function parameterAt(types: readonly CelType[], index: number): CelType {
  return types[index] ?? DYN
}

/** As an error names what is wanted inside an optional. */
export function unwrapped(type: CelType): { readonly type: CelType; readonly isOptional: boolean } {
  const inside = insideOptional(type)
  return inside === undefined ? { type, isOptional: false } : { type: inside, isOptional: true }
}

export function mismatch(expected: CelType, actual: CelType): string {
  return `expected type '${formatType(expected)}' but found '${formatType(actual)}'`
}
