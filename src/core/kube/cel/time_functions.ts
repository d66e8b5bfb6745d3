// Getters of timestamps and durations. Time zones are UTC and fixed offsets: the names of the IANA database are not
// evaluated, since the apiserver reads its own copy.
import { dateOf, daysFromEpoch, floorDivide } from './conversions.ts'
import { cannot, failure, int, textAt } from './value.ts'
import type { CelFunction, CelValue } from './value.ts'

const NANOS = 1_000_000_000n

type Local = { readonly days: number; readonly secondOfDay: number; readonly milliseconds: number }
type Getter = (local: Local) => number

const GETTERS: readonly (readonly [string, Getter])[] = [
  ['getFullYear', ({ days }) => dateOf(days).year],
  ['getMonth', ({ days }) => dateOf(days).month - 1],
  ['getDayOfYear', ({ days }) => days - daysFromEpoch(dateOf(days).year, 1, 1)],
  ['getDayOfMonth', ({ days }) => dateOf(days).day - 1],
  ['getDate', ({ days }) => dateOf(days).day],
  ['getDayOfWeek', ({ days }) => (((days + 4) % 7) + 7) % 7],
  ['getHours', ({ secondOfDay }) => Math.floor(secondOfDay / 3600)],
  ['getMinutes', ({ secondOfDay }) => Math.floor(secondOfDay / 60) % 60],
  ['getSeconds', ({ secondOfDay }) => secondOfDay % 60],
  ['getMilliseconds', ({ milliseconds }) => milliseconds],
]

/** Of a duration: all of it in that unit, but for milliseconds what is left of a second. */
const DURATION_UNITS: Readonly<Record<string, bigint>> = {
  getHours: 3600n * NANOS,
  getMinutes: 60n * NANOS,
  getSeconds: NANOS,
  getMilliseconds: 1_000_000n,
}

export const TIME_FUNCTIONS: readonly (readonly [string, CelFunction])[] = GETTERS.map(([name, getter]) => [
  name,
  (args: readonly CelValue[]): CelValue => {
    const [value] = args
    if (value?.kind === 'duration') return int(value.value / (DURATION_UNITS[name] ?? 1n))
    if (value?.kind !== 'timestamp') return failure('no such overload')
    const offset = args.length > 1 ? offsetOf(textAt(args, 1)) : 0
    return typeof offset === 'number' ? int(getter(localAt(value.value, offset))) : offset
  },
])

function localAt(nanoseconds: bigint, offset: number): Local {
  const seconds = Number(floorDivide(nanoseconds, NANOS)) + offset
  const days = Math.floor(seconds / 86_400)
  const milliseconds = Number((nanoseconds - floorDivide(nanoseconds, NANOS) * NANOS) / 1_000_000n)
  return { days, secondOfDay: seconds - days * 86_400, milliseconds }
}

/** Seconds east of UTC. */
function offsetOf(zone: string): number | CelValue {
  if (zone === '' || zone === 'UTC') return 0
  const [, sign, hours, minutes] = /^([+-]?)(\d{1,2}):(\d{1,2})$/.exec(zone) ?? []
  if (hours === undefined || minutes === undefined) return cannot(`the time zone '${zone}'`)
  const seconds = (Number(hours) * 60 + Number(minutes)) * 60
  return sign === '-' ? -seconds : seconds
}
