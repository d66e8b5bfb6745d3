// CEL's operators on values: arithmetic with Go's overflow rules, order and equality across number types, membership.
// cel-go v0.26 common/types; a missing operation is an error in its words.
import { isTimestamp } from './conversions.ts'
import { bool, failure, int, list, text } from './value.ts'
import type { CelMap, CelValue } from './value.ts'

const MAX_INT = 2n ** 63n - 1n
const MIN_INT = -(2n ** 63n)
const MAX_UINT = 2n ** 64n - 1n

type Kind = CelValue['kind']
type Binary = (left: CelValue, right: CelValue) => CelValue

const NO_OVERLOAD = failure('no such overload')

/** Which values an operator may start with; the rest are refused by its name. */
const ADDERS: readonly Kind[] = ['bytes', 'double', 'duration', 'int', 'list', 'string', 'timestamp', 'uint']
const SUBTRACTORS: readonly Kind[] = ['double', 'duration', 'int', 'timestamp', 'uint']
const FACTORS: readonly Kind[] = ['double', 'int', 'uint']
const COMPARERS: readonly Kind[] = [
  'bool',
  'bytes',
  'double',
  'duration',
  'int',
  'string',
  'timestamp',
  'uint',
]

export const BINARY_OPERATORS: ReadonlyMap<string, Binary> = new Map<string, Binary>([
  ['_+_', guarded('_+_', ADDERS, add)],
  ['_-_', guarded('_-_', SUBTRACTORS, subtract)],
  [
    '_*_',
    guarded('_*_', FACTORS, (a, b) =>
      calculate(
        a,
        b,
        (x, y) => x * y,
        (x, y) => x * y,
      ),
    ),
  ],
  ['_/_', guarded('_/_', FACTORS, divide)],
  ['_%_', guarded('_%_', ['int', 'uint'], modulo)],
  ['_<_', guarded('_<_', COMPARERS, (a, b) => ordered(a, b, (order) => order < 0))],
  ['_<=_', guarded('_<=_', COMPARERS, (a, b) => ordered(a, b, (order) => order <= 0))],
  ['_>_', guarded('_>_', COMPARERS, (a, b) => ordered(a, b, (order) => order > 0))],
  ['_>=_', guarded('_>=_', COMPARERS, (a, b) => ordered(a, b, (order) => order >= 0))],
  ['_==_', equals],
  ['_!=_', (a, b) => differs(equals(a, b))],
  ['@in', isIn],
])

/** `!x` and `-x`. */
export const UNARY_OPERATORS: ReadonlyMap<string, (value: CelValue) => CelValue> = new Map([
  ['!_', (value: CelValue) => (value.kind === 'bool' ? bool(!value.value) : NO_OVERLOAD)],
  ['-_', negate],
])

function guarded(name: string, kinds: readonly Kind[], operate: Binary): Binary {
  return (left, right) => {
    if (kinds.includes(left.kind)) return operate(left, right)
    const isReceiver = left.kind === 'string' || left.kind === 'timestamp' || left.kind === 'duration'
    return isReceiver ? NO_OVERLOAD : failure(`no such overload: ${name}`)
  }
}

function differs(equal: CelValue): CelValue {
  return equal.kind === 'bool' ? bool(!equal.value) : bool(true)
}

function calculate(
  left: CelValue,
  right: CelValue,
  whole: (a: bigint, b: bigint) => bigint,
  broken: (a: number, b: number) => number,
): CelValue {
  if (left.kind === 'int' && right.kind === 'int') return wholeInt(whole(left.value, right.value))
  if (left.kind === 'uint' && right.kind === 'uint') return wholeUint(whole(left.value, right.value))
  if (left.kind === 'double' && right.kind === 'double') {
    return { kind: 'double', value: broken(left.value, right.value) }
  }
  return NO_OVERLOAD
}

function wholeInt(value: bigint): CelValue {
  return value > MAX_INT || value < MIN_INT ? failure('integer overflow') : int(value)
}

function wholeUint(value: bigint): CelValue {
  return value > MAX_UINT || value < 0n ? failure('unsigned integer overflow') : { kind: 'uint', value }
}

function duration(value: bigint): CelValue {
  return value > MAX_INT || value < MIN_INT ? failure('duration overflow') : { kind: 'duration', value }
}

function timestamp(value: bigint, offset: number): CelValue {
  return isTimestamp(value) ? { kind: 'timestamp', value, offset } : failure('timestamp overflow')
}

/** `left + right`, also for sums of lists. */
export function add(left: CelValue, right: CelValue): CelValue {
  if (left.kind === 'string' && right.kind === 'string') return text(left.value + right.value)
  if (left.kind === 'list' && right.kind === 'list') {
    if (left.elements.length === 0) return right
    if (right.elements.length === 0) return left
    return list([...left.elements, ...right.elements])
  }
  if (left.kind === 'bytes' && right.kind === 'bytes') {
    return { kind: 'bytes', value: Buffer.concat([left.value, right.value]) }
  }
  if (left.kind === 'duration' && right.kind === 'duration') return duration(left.value + right.value)
  if (left.kind === 'timestamp' && right.kind === 'duration') {
    return timestamp(left.value + right.value, left.offset)
  }
  if (left.kind === 'duration' && right.kind === 'timestamp') {
    return timestamp(left.value + right.value, right.offset)
  }
  return calculate(
    left,
    right,
    (a, b) => a + b,
    (a, b) => a + b,
  )
}

function subtract(left: CelValue, right: CelValue): CelValue {
  if (left.kind === 'timestamp' && right.kind === 'timestamp') return duration(left.value - right.value)
  if (left.kind === 'timestamp' && right.kind === 'duration') {
    return timestamp(left.value - right.value, left.offset)
  }
  if (left.kind === 'duration' && right.kind === 'duration') return duration(left.value - right.value)
  return calculate(
    left,
    right,
    (a, b) => a - b,
    (a, b) => a - b,
  )
}

function divide(left: CelValue, right: CelValue): CelValue {
  if (left.kind !== 'double' && left.kind === right.kind && isZero(right)) return failure('division by zero')
  return calculate(
    left,
    right,
    (a, b) => a / b,
    (a, b) => a / b,
  )
}

function modulo(left: CelValue, right: CelValue): CelValue {
  if (left.kind === right.kind && isZero(right)) return failure('modulus by zero')
  // Go checks the quotient: the smallest integer by -1 has none.
  if (left.kind === 'int' && right.kind === 'int' && left.value === MIN_INT && right.value === -1n) {
    return failure('integer overflow')
  }
  return left.kind === 'double'
    ? NO_OVERLOAD
    : calculate(
        left,
        right,
        (a, b) => a % b,
        (a, b) => a % b,
      )
}

function isZero(value: CelValue): boolean {
  return (value.kind === 'int' || value.kind === 'uint') && value.value === 0n
}

function negate(value: CelValue): CelValue {
  if (value.kind === 'double') return { kind: 'double', value: -value.value }
  if (value.kind === 'int') return wholeInt(-value.value)
  if (value.kind === 'duration') return duration(-value.value)
  const isKnown = value.kind === 'bool' || value.kind === 'string' || value.kind === 'timestamp'
  return isKnown ? NO_OVERLOAD : failure('no such overload: -_')
}

function ordered(left: CelValue, right: CelValue, holds: (order: number) => boolean): CelValue {
  const order = compare(left, right)
  return typeof order === 'number' ? bool(holds(order)) : order
}

/** Negative, zero or positive; an error of what has no order. */
export function compare(left: CelValue, right: CelValue): number | CelValue {
  if (isNumber(left) && isNumber(right)) {
    if (Number.isNaN(Number(left.value)) || Number.isNaN(Number(right.value))) {
      return failure('NaN values cannot be ordered')
    }
    return sign(left.value < right.value, left.value > right.value)
  }
  if (left.kind === 'string' && right.kind === 'string') {
    // By bytes of UTF-8, as Go compares; JavaScript's own order is by UTF-16 units.
    return Buffer.compare(Buffer.from(left.value), Buffer.from(right.value))
  }
  if (left.kind === 'bytes' && right.kind === 'bytes') return Buffer.compare(left.value, right.value)
  if (left.kind === 'bool' && right.kind === 'bool') return Number(left.value) - Number(right.value)
  if (left.kind === 'timestamp' && right.kind === 'timestamp') {
    return sign(left.value < right.value, left.value > right.value)
  }
  if (left.kind === 'duration' && right.kind === 'duration') {
    return sign(left.value < right.value, left.value > right.value)
  }
  return NO_OVERLOAD
}

function sign(isLess: boolean, isMore: boolean): number {
  return Number(isMore) - Number(isLess)
}

type NumberValue = Extract<CelValue, { readonly kind: 'int' | 'uint' | 'double' }>

function isNumber(value: CelValue): value is NumberValue {
  return value.kind === 'int' || value.kind === 'uint' || value.kind === 'double'
}

/** `left == right`: values of different types are unequal, numbers compare across their types. */
function equals(left: CelValue, right: CelValue): CelValue {
  // A variable as a whole equals itself and cannot be compared with anything else.
  if (left.kind === 'variable') return right.kind === 'variable' ? bool(left === right) : NO_OVERLOAD
  return bool(isEqual(left, right))
}

export function isEqual(left: CelValue, right: CelValue): boolean {
  if (isNumber(left) && isNumber(right)) {
    // oxlint-disable-next-line eqeqeq -- a bigint and a number compare by value
    return left.value == right.value
  }
  switch (left.kind) {
    case 'null':
      return right.kind === 'null'
    case 'bool':
    case 'string':
    case 'duration':
      return right.kind === left.kind && right.value === left.value
    case 'timestamp':
      return right.kind === 'timestamp' && right.value === left.value
    case 'bytes':
      return right.kind === 'bytes' && Buffer.compare(left.value, right.value) === 0
    case 'type':
      return right.kind === 'type' && right.name === left.name
    case 'optional':
      return right.kind === 'optional' && isEqualInside(left.value, right.value)
    case 'list':
      return right.kind === 'list' && areEqual(left.elements, right.elements)
    case 'map':
      return right.kind === 'map' && areEqualMaps(left, right)
    case 'variable':
      return left === right
    case 'double':
    case 'error':
    case 'int':
    case 'uint':
      return false
  }
}

function isEqualInside(left: CelValue | undefined, right: CelValue | undefined): boolean {
  if (left === undefined || right === undefined) return left === right
  return isEqual(left, right)
}

function areEqual(left: readonly CelValue[], right: readonly CelValue[]): boolean {
  if (left.length !== right.length) return false
  return left.every((element, index) => isEqualInside(element, right[index]))
}

function areEqualMaps(left: CelMap, right: CelMap): boolean {
  if (left.entries.size !== right.entries.size) return false
  for (const [key, [, value]] of left.entries) {
    const other = right.entries.get(key)
    if (other === undefined || !isEqual(value, other[1])) return false
  }
  return true
}

function isIn(element: CelValue, range: CelValue): CelValue {
  if (range.kind === 'list') return bool(range.elements.some((each) => isEqual(element, each)))
  if (range.kind === 'map') return bool(range.entries.has(keyOf(element)))
  return NO_OVERLOAD
}

/** Where a value stands as the key of a map: numbers that are equal stand in one place. */
export function keyOf(value: CelValue): string {
  switch (value.kind) {
    case 'string':
      return `s${value.value}`
    case 'int':
    case 'uint':
      return `n${value.value}`
    case 'double':
      return Number.isInteger(value.value) ? `n${BigInt(value.value)}` : `d${value.value}`
    case 'bool':
    case 'duration':
    case 'timestamp':
      return `${value.kind}${value.value}`
    case 'null':
      return 'null'
    case 'type':
      return `type${value.name}`
    case 'bytes':
    case 'error':
    case 'list':
    case 'map':
    case 'variable':
    case 'optional':
      return 'none'
  }
}
