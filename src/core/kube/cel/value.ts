// CEL values at run time as cel-go v0.26 has them, errors among them: an error is a value that most operations pass on.
import { formatDouble } from './go_number.ts'

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
  /** Nanoseconds since the epoch, and the seconds east of UTC it was written with. */
  | { readonly kind: 'timestamp'; readonly value: bigint; readonly offset: number }
  /** Nanoseconds. */
  | { readonly kind: 'duration'; readonly value: bigint }
  | { readonly kind: 'type'; readonly name: string }
  | { readonly kind: 'optional'; readonly value: CelValue | undefined }
  | CelVariable
  | CelError

export type CelList = {
  readonly kind: 'list'
  readonly elements: readonly CelValue[]
  readonly origin: ListOrigin
}

/** How Go holds a list. It makes no difference until groups or extra are read from it: see result.ts. */
export type ListOrigin = 'json' | 'values' | 'strings'

export type CelMap = {
  readonly kind: 'map'
  /** By `keyOf`. */
  readonly entries: ReadonlyMap<string, readonly [CelValue, CelValue]>
  /** Keys written as `__dot__` and the like are found under what they stand for: claims and what is in them. */
  readonly unescapes: boolean
}

/** `claims` or `user` as a whole: a lazy map of Kubernetes, which behaves like no other map. */
type CelVariable = {
  readonly kind: 'variable'
  readonly typeName: string
  readonly entries: ReadonlyMap<string, CelValue>
}

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

export function list(elements: readonly CelValue[], origin: ListOrigin = 'values'): CelList {
  return { kind: 'list', elements, origin }
}

/** What a function gives that makes `[]string` in Go. */
export function texts(values: readonly string[]): CelList {
  return list(values.map(text), 'strings')
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
    case 'variable':
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

/** The code of a function; a receiver is the first argument. */
export type CelFunction = (args: readonly CelValue[]) => CelValue

/** The text of an argument whose type was already looked at. */
export function textAt(args: readonly CelValue[], index: number): string {
  const value = args[index]
  return value?.kind === 'string' ? value.value : ''
}

export function elementsAt(args: readonly CelValue[], index: number): readonly CelValue[] {
  const value = args[index]
  return value?.kind === 'list' ? value.elements : []
}

/** An integer argument as a number; beyond 2^53 it only has to stay out of every range. */
export function numberAt(args: readonly CelValue[], index: number): number {
  const value = args[index]
  return value?.kind === 'int' ? Number(value.value) : Number.NaN
}

/** As Go prints a value in a message: `no such key: x`. */
export function plainText(value: CelValue): string {
  switch (value.kind) {
    case 'string':
      return value.value
    case 'double':
      return formatDouble(value.value)
    case 'bool':
    case 'duration':
    case 'int':
    case 'timestamp':
    case 'uint':
      return String(value.value)
    case 'type':
      return value.name
    case 'bytes':
    case 'error':
    case 'list':
    case 'map':
    case 'null':
    case 'optional':
    case 'variable':
      return typeNameOf(value)
  }
}
