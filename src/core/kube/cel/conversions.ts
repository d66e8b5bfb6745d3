// CEL's type conversions as cel-go v0.26 does them with Go's strconv and time packages: int('12'), timestamp('…'),
// duration('1h'). One of a constant is done when the expression is loaded, so a bad one is refused there.
import { formatDouble } from './go_number.ts'
import { bool, failure, int, text, typeNameOf } from './value.ts'
import type { CelValue } from './value.ts'

export type Conversion =
  | 'bool'
  | 'bytes'
  | 'double'
  | 'duration'
  | 'dyn'
  | 'int'
  | 'string'
  | 'timestamp'
  | 'type'
  | 'uint'

const MAX_INT = 2n ** 63n - 1n
const MIN_INT = -(2n ** 63n)
const MAX_UINT = 2n ** 64n - 1n
const NANOS = 1_000_000_000n
/** Seconds of 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z. */
const MIN_SECONDS = -62_135_596_800n
const MAX_SECONDS = 253_402_300_799n

const CONVERTERS: Readonly<Record<Conversion, (value: CelValue) => CelValue | undefined>> = {
  bool: toBool,
  bytes: toBytes,
  double: toDouble,
  duration: toDuration,
  dyn: (value) => value,
  int: toInt,
  string: toText,
  timestamp: toTimestamp,
  type: (value) => ({ kind: 'type', name: typeNameOf(value) }),
  uint: toUint,
}

export function isConversion(name: string): name is Conversion {
  return Object.hasOwn(CONVERTERS, name)
}

/** `conversion(value)`; an error value in the apiserver's words when it cannot be done. */
export function convert(conversion: Conversion, value: CelValue): CelValue {
  if (value.kind === 'error') return value
  const converted = CONVERTERS[conversion](value)
  return converted ?? failure(`no such overload: ${conversion}(${typeNameOf(value)})`)
}

function impossible(from: CelValue, to: string): CelValue {
  return failure(`type conversion error from '${typeNameOf(from)}' to '${to}'`)
}

const TRUE_WORDS: ReadonlySet<string> = new Set(['1', 't', 'T', 'TRUE', 'true', 'True'])
const FALSE_WORDS: ReadonlySet<string> = new Set(['0', 'f', 'F', 'FALSE', 'false', 'False'])

function toBool(value: CelValue): CelValue | undefined {
  if (value.kind === 'bool') return value
  if (value.kind !== 'string') return undefined
  if (TRUE_WORDS.has(value.value)) return bool(true)
  return FALSE_WORDS.has(value.value) ? bool(false) : impossible(value, 'bool')
}

function toBytes(value: CelValue): CelValue | undefined {
  if (value.kind === 'bytes') return value
  return value.kind === 'string' ? { kind: 'bytes', value: Buffer.from(value.value) } : undefined
}

function toDouble(value: CelValue): CelValue | undefined {
  if (value.kind === 'double') return value
  if (value.kind === 'int' || value.kind === 'uint') return { kind: 'double', value: Number(value.value) }
  if (value.kind !== 'string') return undefined
  const parsed = parseDouble(value.value)
  return parsed === undefined ? impossible(value, 'double') : { kind: 'double', value: parsed }
}

/** As Go's strconv.ParseFloat; hexadecimal floats are not read. */
function parseDouble(source: string): number | undefined {
  const special = /^([+-]?)(?:(inf|infinity)|nan)$/i.exec(source)
  if (special !== null) {
    if (special[2] === undefined) return special[1] === '' ? Number.NaN : undefined
    return special[1] === '-' ? -Infinity : Infinity
  }
  if (!/^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(source)) return undefined
  const value = Number(source)
  return Number.isFinite(value) ? value : undefined
}

function toInt(value: CelValue): CelValue | undefined {
  switch (value.kind) {
    case 'int':
      return value
    case 'uint':
      return value.value > MAX_INT ? failure('integer overflow') : int(value.value)
    case 'double':
      if (!(Math.abs(value.value) < 2 ** 63)) return failure('integer overflow')
      return int(Math.trunc(value.value))
    case 'string': {
      const parsed = /^[+-]?\d+$/.test(value.value) ? BigInt(value.value.replace(/^\+/, '')) : undefined
      const isWithin = parsed !== undefined && parsed <= MAX_INT && parsed >= MIN_INT
      return isWithin ? int(parsed) : impossible(value, 'int')
    }
    case 'timestamp':
      return int(floorDivide(value.value, NANOS))
    case 'duration':
      return int(value.value)
    case 'bool':
    case 'bytes':
    case 'error':
    case 'list':
    case 'map':
    case 'null':
    case 'variable':
    case 'optional':
    case 'type':
      return undefined
  }
}

function toUint(value: CelValue): CelValue | undefined {
  if (value.kind === 'uint') return value
  if (value.kind === 'int') {
    return value.value < 0n ? failure('unsigned integer overflow') : { kind: 'uint', value: value.value }
  }
  if (value.kind === 'double') {
    if (!(value.value >= 0 && value.value < 2 ** 64)) return failure('unsigned integer overflow')
    return { kind: 'uint', value: BigInt(Math.trunc(value.value)) }
  }
  if (value.kind !== 'string') return undefined
  const parsed = /^\d+$/.test(value.value) ? BigInt(value.value) : undefined
  const isWithin = parsed !== undefined && parsed <= MAX_UINT
  return isWithin ? { kind: 'uint', value: parsed } : impossible(value, 'uint')
}

function toText(value: CelValue): CelValue | undefined {
  switch (value.kind) {
    case 'string':
      return value
    case 'bool':
    case 'int':
    case 'uint':
      return text(String(value.value))
    case 'double':
      return text(formatDouble(value.value))
    case 'bytes':
      return bytesToText(value.value)
    case 'timestamp':
      return text(formatTimestamp(value.value, value.offset))
    case 'duration':
      return text(formatDuration(value.value))
    case 'error':
    case 'list':
    case 'map':
    case 'null':
    case 'variable':
    case 'optional':
    case 'type':
      return undefined
  }
}

function bytesToText(bytes: Uint8Array): CelValue {
  const decoded = Buffer.from(bytes).toString('utf8')
  // A round trip shows what was no UTF-8; a real U+FFFD survives it.
  const isValid = Buffer.from(decoded).equals(bytes)
  return isValid ? text(decoded) : failure('invalid UTF-8 in bytes, cannot convert to string')
}

function toTimestamp(value: CelValue): CelValue | undefined {
  if (value.kind === 'timestamp') return value
  if (value.kind === 'int') {
    const isWithin = value.value >= MIN_SECONDS && value.value <= MAX_SECONDS
    return isWithin ? timestamp(value.value * NANOS, 0) : failure('timestamp overflow')
  }
  if (value.kind !== 'string') return undefined
  const parsed = parseTimestamp(value.value)
  if (parsed === undefined) return impossible(value, 'google.protobuf.Timestamp')
  return isTimestamp(parsed.value) ? timestamp(parsed.value, parsed.offset) : failure('timestamp overflow')
}

function timestamp(value: bigint, offset: number): CelValue {
  return { kind: 'timestamp', value, offset }
}

/** Whether nanoseconds since the epoch lie in the years 1 to 9999. */
export function isTimestamp(nanoseconds: bigint): boolean {
  const seconds = floorDivide(nanoseconds, NANOS)
  return seconds >= MIN_SECONDS && seconds <= MAX_SECONDS
}

const RFC_3339 = /^(\d{4})-(\d\d)-(\d\d)T(\d\d?):(\d\d):(\d\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):(\d\d))$/

/** As Go's time.Parse with RFC 3339: no leap second, no 24:00, an hour may have one digit,
 * digits past the ninth are cut off. */
function parseTimestamp(source: string): { readonly value: bigint; readonly offset: number } | undefined {
  const match = RFC_3339.exec(source)
  if (match === null) return undefined
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1, 7).map(Number)
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return undefined
  if (hour > 23 || minute > 59 || second > 59) return undefined
  const [fraction = '', sign, zoneHour = '0', zoneMinute = '0'] = match.slice(7)
  if (Number(zoneHour) > 24 || Number(zoneMinute) > 60) return undefined
  const offset = (Number(zoneHour) * 60 + Number(zoneMinute)) * 60 * (sign === '-' ? -1 : 1)
  const seconds = daysFromEpoch(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset
  const value = BigInt(seconds) * NANOS + BigInt(fraction.slice(0, 9).padEnd(9, '0'))
  return { value, offset }
}

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
  return [4, 6, 9, 11].includes(month) ? 30 : 31
}

/** Days since 1970-01-01 in the proleptic Gregorian calendar (H. Hinnant's algorithm). */
export function daysFromEpoch(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year
  const era = Math.floor(shifted / 400)
  const yearOfEra = shifted - era * 400
  const dayOfYear = Math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  return era * 146_097 + dayOfEra - 719_468
}

export type CivilDate = { readonly year: number; readonly month: number; readonly day: number }

/** The date that is `days` days after 1970-01-01. */
export function dateOf(days: number): CivilDate {
  const shifted = days + 719_468
  const era = Math.floor(shifted / 146_097)
  const dayOfEra = shifted - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153)
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
  const day = dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day }
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}

/** RFC 3339 in the zone `offset` seconds east of UTC, with as many digits of a second as there are. */
export function formatTimestamp(nanoseconds: bigint, offset: number): string {
  const local = nanoseconds + BigInt(offset) * NANOS
  const seconds = Number(floorDivide(local, NANOS))
  const { year, month, day } = dateOf(Math.floor(seconds / 86_400))
  const time = ((seconds % 86_400) + 86_400) % 86_400
  const clock = [Math.floor(time / 3600), Math.floor(time / 60) % 60, time % 60].map(two).join(':')
  const rest = local - floorDivide(local, NANOS) * NANOS
  const fraction = rest === 0n ? '' : `.${String(rest).padStart(9, '0').replace(/0+$/, '')}`
  return `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}T${clock}${fraction}${formatOffset(offset)}`
}

function formatOffset(offset: number): string {
  if (offset === 0) return 'Z'
  const minutes = Math.floor(Math.abs(offset) / 60)
  return `${offset < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`
}

const UNITS: ReadonlyMap<string, bigint> = new Map([
  ['ns', 1n],
  ['us', 1000n],
  ['\u00B5s', 1000n],
  ['\u03BCs', 1000n],
  ['ms', 1_000_000n],
  ['s', NANOS],
  ['m', 60n * NANOS],
  ['h', 3600n * NANOS],
])

function toDuration(value: CelValue): CelValue | undefined {
  if (value.kind === 'duration') return value
  // Declared, and yet never done by cel-go.
  if (value.kind === 'int') return impossible(value, 'google.protobuf.Duration')
  if (value.kind !== 'string') return undefined
  const parsed = parseDuration(value.value)
  return parsed === undefined
    ? impossible(value, 'google.protobuf.Duration')
    : { kind: 'duration', value: parsed }
}

/** As Go's time.ParseDuration: `1h30m`, `-1.5s`, `0`; nanoseconds within an int64. */
function parseDuration(source: string): bigint | undefined {
  const [, sign = '', body = ''] = /^([+-]?)(.*)$/s.exec(source) ?? []
  if (body === '0') return 0n
  if (!/^(?:(?:\d+\.?\d*|\.\d+)[^\d.]+)+$/.test(body)) return undefined
  let total = 0n
  for (const [, whole = '', fraction = '', name = ''] of body.matchAll(/(\d*)\.?(\d*)([^\d.]+)/g)) {
    const unit = UNITS.get(name)
    if (unit === undefined) return undefined
    // Go adds the fraction as a float of the unit, cut to whole nanoseconds.
    const part =
      fraction === ''
        ? 0n
        : (BigInt(fraction.slice(0, 18)) * unit) / 10n ** BigInt(Math.min(fraction.length, 18))
    total += BigInt(whole === '' ? '0' : whole) * unit + part
    if (total > MAX_INT + 1n) return undefined
  }
  if (sign === '-') return -total
  return total > MAX_INT ? undefined : total
}

/** As cel-go spells it: seconds, however long. */
export function formatDuration(nanoseconds: bigint): string {
  const magnitude = nanoseconds < 0n ? -nanoseconds : nanoseconds
  const fraction = String(magnitude % NANOS)
    .padStart(9, '0')
    .replace(/0+$/, '')
  return `${nanoseconds < 0n ? '-' : ''}${magnitude / NANOS}${fraction === '' ? '' : `.${fraction}`}s`
}

export function floorDivide(value: bigint, by: bigint): bigint {
  const quotient = value / by
  return value % by < 0n ? quotient - 1n : quotient
}
