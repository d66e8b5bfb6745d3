// CEL values at run time as cel-go v0.26 has them, errors among them: an error is a value that most operations pass on.

export type CelValue =
  | { readonly kind: 'null' }
  | { readonly kind: 'bool'; readonly value: boolean }
  | { readonly kind: 'int'; readonly value: bigint }
  | { readonly kind: 'uint'; readonly value: bigint }
  | { readonly kind: 'double'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'bytes'; readonly value: Uint8Array }
  | CelList
  | CelMap
  /** Nanoseconds since the epoch. */
  | { readonly kind: 'timestamp'; readonly value: bigint }
  /** Nanoseconds. */
  | { readonly kind: 'duration'; readonly value: bigint }
  | { readonly kind: 'type'; readonly name: string }
  | { readonly kind: 'optional'; readonly value: CelValue | undefined }
  | CelObject
  | CelError

export type CelList = {
  readonly kind: 'list'
  readonly elements: readonly CelValue[]
  /** How Go holds it: a `[]string` cannot be read as groups, see result.ts. */
  readonly isTexts: boolean
}

export type CelMap = {
  readonly kind: 'map'
  /** By `keyOf`. */
  readonly entries: ReadonlyMap<string, readonly [CelValue, CelValue]>
  /** Keys written as `__dot__` and the like are found under what they stand for: claims and what is in them. */
  readonly unescapes: boolean
}

/** A value of one of Kubernetes' libraries, or a variable: `state` is the library's own. */
export type CelObject = { readonly kind: 'object'; readonly typeName: string; readonly state: unknown }

export type CelError = {
  readonly kind: 'error'
  readonly message: string
  /** Ours, not the apiserver's: nothing may turn it into a value, since the value would be a guess. */
  readonly isFatal: boolean
}

export const NULL_VALUE: CelValue = { kind: 'null' }
export const TRUE: CelValue = { kind: 'bool', value: true }
export const FALSE: CelValue = { kind: 'bool', value: false }

export function bool(value: boolean): CelValue {
  return value ? TRUE : FALSE
}

export function int(value: bigint | number): CelValue {
  return { kind: 'int', value: BigInt(value) }
}

export function text(value: string): CelValue {
  return { kind: 'string', value }
}

export function list(elements: readonly CelValue[], isTexts = false): CelValue {
  return { kind: 'list', elements, isTexts }
}

export function optional(value: CelValue | undefined): CelValue {
  return { kind: 'optional', value }
}

export function failure(message: string): CelError {
  return { kind: 'error', message, isFatal: false }
}

/** What this evaluator does not do, so that no value may come out. */
export function cannot(what: string): CelError {
  return { kind: 'error', message: `cannot be evaluated here: ${what}`, isFatal: true }
}

/** The name of a value's type, as `type()` and errors give it. */
export function typeNameOf(value: CelValue): string {
  switch (value.kind) {
    case 'null':
      return 'null_type'
    case 'timestamp':
      return 'google.protobuf.Timestamp'
    case 'duration':
      return 'google.protobuf.Duration'
    case 'optional':
      return 'optional_type'
    case 'object':
      return value.typeName
    case 'bool':
    case 'bytes':
    case 'double':
    case 'error':
    case 'int':
    case 'list':
    case 'map':
    case 'string':
    case 'type':
    case 'uint':
      return value.kind
  }
}
