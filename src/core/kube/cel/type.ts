// CEL types as cel-go's checker knows them (common/types/types.go of v0.26, the version in Kubernetes 1.36): kinds, names,
// parameters, and how errors spell them.

type CelKind =
  | 'any'
  | 'bool'
  | 'bytes'
  | 'double'
  | 'duration'
  | 'dyn'
  | 'error'
  | 'int'
  | 'list'
  | 'map'
  | 'null'
  | 'opaque'
  | 'param'
  | 'string'
  | 'struct'
  | 'timestamp'
  | 'type'
  | 'uint'

export type CelType = {
  readonly kind: CelKind
  /** The name at run time: `google.protobuf.Duration`, `optional_type`. Of a type parameter its own name. */
  readonly name: string
  readonly parameters: readonly CelType[]
  /** A protobuf wrapper such as google.protobuf.BoolValue: a bool that may be null. */
  readonly nullable: boolean
}

function simple(kind: CelKind, name: string = kind): CelType {
  return { kind, name, parameters: [], nullable: false }
}

export const ANY = simple('any', 'google.protobuf.Any')
export const BOOL = simple('bool')
export const BYTES = simple('bytes')
export const DOUBLE = simple('double')
export const DURATION = simple('duration', 'google.protobuf.Duration')
export const DYN = simple('dyn')
export const ERROR = simple('error')
export const INT = simple('int')
export const NULL = simple('null', 'null_type')
export const STRING = simple('string')
export const TIMESTAMP = simple('timestamp', 'google.protobuf.Timestamp')
export const UINT = simple('uint')

export function listOf(element: CelType): CelType {
  return { kind: 'list', name: 'list', parameters: [element], nullable: false }
}

export function mapOf(key: CelType, value: CelType): CelType {
  return { kind: 'map', name: 'map', parameters: [key, value], nullable: false }
}

export function optionalOf(value: CelType): CelType {
  return opaque('optional_type', [value])
}

export function typeOf(type: CelType): CelType {
  return { kind: 'type', name: 'type', parameters: [type], nullable: false }
}

export function opaque(name: string, parameters: readonly CelType[] = []): CelType {
  return { kind: 'opaque', name, parameters, nullable: false }
}

export function struct(name: string): CelType {
  return simple('struct', name)
}

export function typeParameter(name: string): CelType {
  return simple('param', name)
}

export function nullable(type: CelType): CelType {
  return { ...type, nullable: true }
}

/** A parameter of `type`, or `dyn` where it has none (`type` alone). */
export function parameterOf(type: CelType, index: number): CelType {
  return type.parameters[index] ?? DYN
}

export function isDynamic(type: CelType): boolean {
  return type.kind === 'dyn' || type.kind === 'any'
}

/** What an optional holds; `undefined` of every other type. */
export function insideOptional(type: CelType): CelType | undefined {
  return type.kind === 'opaque' && type.name === 'optional_type' ? type.parameters[0] : undefined
}

/** The same type, names of type parameters included. Wrappers are told apart only by what may be assigned to them. */
export function isSameType(left: CelType, right: CelType): boolean {
  if (left === right) return true
  return haveSameShape(left, right) && left.name === right.name
}

/** The same type but for the names of type parameters. */
export function isEquivalentType(left: CelType, right: CelType): boolean {
  if (left === right) return true
  if (left.kind !== 'param' && left.name !== right.name) return false
  return (
    left.kind === right.kind &&
    left.parameters.length === right.parameters.length &&
    left.parameters.every((parameter, index) => isEquivalentType(parameter, parameterOf(right, index)))
  )
}

function haveSameShape(left: CelType, right: CelType): boolean {
  return (
    left.kind === right.kind &&
    left.parameters.length === right.parameters.length &&
    left.parameters.every((parameter, index) => isSameType(parameter, parameterOf(right, index)))
  )
}

/** Whether a value of type `from` may stand where `to` is declared, without type parameters in play. */
export function isAssignableType(to: CelType, from: CelType): boolean {
  if (to.nullable && from.kind === 'null') return true
  if (to === from || isDynamic(to) || to.kind === 'param') return true
  return (
    to.kind === from.kind &&
    to.name === from.name &&
    to.parameters.length === from.parameters.length &&
    to.parameters.every((parameter, index) => isAssignableType(parameter, parameterOf(from, index)))
  )
}

/** As the checker's errors spell a type: `map(string, any)`, `google.protobuf.Timestamp` as `timestamp`. */
export function formatType(type: CelType): string {
  switch (type.kind) {
    case 'any':
    case 'duration':
    case 'null':
    case 'timestamp':
      return type.kind
    case 'error':
      return '!error!'
    case 'bool':
    case 'bytes':
    case 'double':
    case 'int':
    case 'string':
    case 'uint':
      return type.nullable ? `wrapper(${type.name})` : type.name
    case 'dyn':
    case 'param':
    case 'struct':
      return type.name
    case 'list':
    case 'map':
    case 'opaque':
    case 'type':
      return type.parameters.length === 0
        ? type.name
        : `${type.name}(${type.parameters.map(formatType).join(', ')})`
  }
}

/** As its errors spell what a function was applied to: `string.(int)`, `(int, string)`. */
export function formatArguments(types: readonly CelType[], isMember: boolean): string {
  const [target, ...rest] = types.map(formatType)
  if (!isMember || target === undefined) return `(${types.map(formatType).join(', ')})`
  return `${target}.(${rest.join(', ')})`
}

/** Types that protobuf defines, and that a literal of their message gives. */
export function isWellKnown(type: CelType): boolean {
  if (['any', 'timestamp', 'duration', 'dyn', 'null'].includes(type.kind) || type.nullable) return true
  if (type.kind === 'list') return parameterOf(type, 0).kind === 'dyn'
  return type.kind === 'map' && parameterOf(type, 0).kind === 'string' && parameterOf(type, 1).kind === 'dyn'
}
