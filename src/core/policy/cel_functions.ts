// The functions of our CEL profile: which names exist, and the strict versions that stand in for the engine's own.
// An argument that the strict version refuses is an exception, and an exception means that the condition does not hold.
import { secondsOfTime } from '#core/date_time.ts'

/** How a call is rewritten: `plain` stays, `strict` goes to `__name`, `check` wraps the argument in `__name`. */
type Rewrite = 'plain' | 'charge' | 'strict' | 'pattern' | 'comprehension' | 'check'
type Shape = { readonly rewrite: Rewrite; readonly arity: readonly number[] }

/** Global functions. Everything else is refused: an allow list, since a deny list forgets. */
export const CEL_FUNCTIONS: ReadonlyMap<string, Shape> = new Map<string, Shape>([
  ['has', { rewrite: 'plain', arity: [1] }],
  ['size', { rewrite: 'charge', arity: [1] }],
  ['type', { rewrite: 'plain', arity: [1] }],
  ['dyn', { rewrite: 'plain', arity: [1] }],
  ['string', { rewrite: 'plain', arity: [1] }],
  ['int', { rewrite: 'check', arity: [1] }],
  ['double', { rewrite: 'check', arity: [1] }],
  ['timestamp', { rewrite: 'check', arity: [1] }],
  ['duration', { rewrite: 'check', arity: [1] }],
])

export const CEL_METHODS: ReadonlyMap<string, Shape> = new Map<string, Shape>([
  ['startsWith', { rewrite: 'plain', arity: [1] }],
  ['endsWith', { rewrite: 'plain', arity: [1] }],
  ['contains', { rewrite: 'charge', arity: [1] }],
  ['size', { rewrite: 'charge', arity: [0] }],
  ['join', { rewrite: 'charge', arity: [0, 1] }],
  ['matches', { rewrite: 'pattern', arity: [1] }],
  ['lowerAscii', { rewrite: 'strict', arity: [0] }],
  ['upperAscii', { rewrite: 'strict', arity: [0] }],
  ['trim', { rewrite: 'strict', arity: [0] }],
  ['indexOf', { rewrite: 'strict', arity: [1] }],
  ['substring', { rewrite: 'strict', arity: [1, 2] }],
  ['split', { rewrite: 'strict', arity: [1] }],
  ['all', { rewrite: 'comprehension', arity: [2] }],
  ['exists', { rewrite: 'comprehension', arity: [2] }],
  ['exists_one', { rewrite: 'comprehension', arity: [2] }],
  ['map', { rewrite: 'comprehension', arity: [2, 3] }],
  ['filter', { rewrite: 'comprehension', arity: [2] }],
  // Of a timestamp, in UTC; the variants with a time zone are wrong around clock changes.
  ...['getFullYear', 'getMonth', 'getDate', 'getDayOfMonth', 'getDayOfWeek', 'getHours', 'getMinutes'].map(
    (name): [string, Shape] => [name, { rewrite: 'plain', arity: [0] }],
  ),
])

/** Names that an expression may use beside the variables: what `type()` gives. */
export const CEL_TYPE_NAMES: ReadonlySet<string> = new Set(
  'string bool int double list map null_type'.split(' '),
)

/** An argument outside what the profile defines. The message never holds the argument. */
export class CelArgumentError extends Error {
  readonly code: string
  constructor(code: string) {
    super(code)
    this.code = code
  }
}

/** ASCII only: Unicode folding turns KELVIN SIGN into `k`. */
export function lowerAscii(text: string): string {
  return text.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase())
}

export function upperAscii(text: string): string {
  return text.replaceAll(/[a-z]+/g, (letters) => letters.toUpperCase())
}

/** Strips Unicode White_Space, which JavaScript's own trim does not quite do. */
export function trim(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isWhiteSpace(text.charAt(start))) start += 1
  while (end > start && isWhiteSpace(text.charAt(end - 1))) end -= 1
  return text.slice(start, end)
}

function isWhiteSpace(character: string): boolean {
  return /^\p{White_Space}$/u.test(character)
}

/** Counts code points, as CEL does, not UTF-16 units. */
export function indexOf(text: string, search: string): bigint {
  const at = text.indexOf(search)
  return at === -1 ? -1n : BigInt(Array.from(text.slice(0, at)).length)
}

export function substring(text: string, start: bigint, end: bigint | undefined): string {
  const points = Array.from(text)
  const last = end ?? BigInt(points.length)
  if (start < 0n || last > BigInt(points.length) || start > last)
    throw new CelArgumentError('index_out_of_range')
  return points.slice(Number(start), Number(last)).join('')
}

export function split(text: string, separator: string): string[] {
  return separator === '' ? Array.from(text) : text.split(separator)
}

const INT64 = 2 ** 63

/** Lets through what `int()` may convert: int, a double within int64, a string of decimal digits. */
function checkInt(value: unknown): unknown {
  if (typeof value === 'string' && !/^-?\d{1,19}$/.test(value)) throw new CelArgumentError('int_malformed')
  if (typeof value === 'number' && !(value > -INT64 && value < INT64))
    throw new CelArgumentError('int_out_of_range')
  return value
}

/** A decimal number; not `0x10`, not ` 1`, not `inf`. */
function checkDouble(value: unknown): unknown {
  if (typeof value === 'string' && !/^-?\d{1,40}(?:\.\d{1,40})?(?:[eE][+-]?\d{1,3})?$/.test(value)) {
    throw new CelArgumentError('double_malformed')
  }
  return value
}

/** RFC 3339 with a zone, a day that exists, and at most milliseconds (the engine would cut the rest off). */
function checkTimestamp(value: unknown): unknown {
  if (typeof value !== 'string') return value
  if (/\.\d{4}/.test(value) || secondsOfTime(value) === undefined) {
    throw new CelArgumentError('timestamp_malformed')
  }
  return value
}

/** `1h30m`, whole numbers of h, m, s and ms in that order; signs and fractions are not summed right by the engine. */
function checkDuration(value: unknown): unknown {
  if (
    typeof value === 'string' &&
    !/^(?=.)(?:\d{1,6}h)?(?:\d{1,8}m)?(?:\d{1,9}s)?(?:\d{1,9}ms)?$/.test(value)
  ) {
    throw new CelArgumentError('duration_malformed')
  }
  return value
}

/** What stands in front of the engine's conversions. */
export const CEL_CHECKS: ReadonlyMap<string, (value: unknown) => unknown> = new Map([
  ['int', checkInt],
  ['double', checkDouble],
  ['timestamp', checkTimestamp],
  ['duration', checkDuration],
])
