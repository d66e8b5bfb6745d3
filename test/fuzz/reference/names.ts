// Versions, sources and times, said a second time from their specifications.

/** SemVer 2.0.0 as semver.org prints it, without build metadata, behind an optional v. */
const SEMVER =
  /^v?(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?$/

type SlowVersion = { readonly core: readonly bigint[]; readonly prerelease: readonly string[] }

/** `undefined`: no version of ours. */
export function slowVersion(text: string): SlowVersion | undefined {
  const [, major = '', minor = '', patch = '', tail] = SEMVER.exec(text) ?? []
  const core = [major, minor, patch]
  if (core.some((number) => number === '' || number.length > 18) || text.length > 64) return undefined
  return { core: core.map(BigInt), prerelease: tail === undefined ? [] : tail.split('.') }
}

/** SemVer 2.0.0 §11, paragraph by paragraph: -1, 0 or 1. */
export function slowOrder(left: SlowVersion, right: SlowVersion): number {
  for (const index of [0, 1, 2]) {
    const [one = 0n, other = 0n] = [left.core[index], right.core[index]]
    if (one !== other) return one < other ? -1 : 1
  }
  if (left.prerelease.length === 0 && right.prerelease.length === 0) return 0
  if (left.prerelease.length === 0) return 1
  if (right.prerelease.length === 0) return -1
  for (let index = 0; ; index += 1) {
    const [one, other] = [left.prerelease[index], right.prerelease[index]]
    if (one === undefined && other === undefined) return 0
    if (one === undefined) return -1
    if (other === undefined) return 1
    const order = partOrder(one, other)
    if (order !== 0) return order
  }
}

const isNumber = (text: string) => /^\d+$/.test(text)

function partOrder(one: string, other: string): number {
  if (isNumber(one) && isNumber(other))
    return BigInt(one) < BigInt(other) ? -1 : BigInt(one) > BigInt(other) ? 1 : 0
  if (isNumber(one)) return -1
  if (isNumber(other)) return 1
  return Math.sign(Buffer.compare(Buffer.from(one), Buffer.from(other)))
}

/** Seconds of an RFC 3339 time by the calendar of `Date`, which has no days that are not there. */
export function slowTime(text: string): number | undefined {
  const parts = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?(Z|([+-])(\d\d):(\d\d))$/.exec(text)
  const [, local = '', , , sign, hours = '0', minutes = '0'] = parts ?? []
  const at = Date.parse(`${local}Z`)
  const isReal = !Number.isNaN(at) && new Date(at).toISOString().slice(0, 19) === local
  if (!isReal || local.startsWith('0000') || Number(hours) > 23 || Number(minutes) > 59) return undefined
  return at / 1000 - (sign === '-' ? -1 : 1) * (Number(hours) * 3600 + Number(minutes) * 60)
}

/** Whether Go's time.ParseDuration reads it, and how many seconds it makes of it. */
export function slowDuration(text: string): number | undefined {
  const units: readonly (readonly [string, number])[] = [
    ['ns', 1e-9],
    ['us', 1e-6],
    ['\u00b5s', 1e-6],
    ['\u03bcs', 1e-6],
    ['ms', 1e-3],
    ['s', 1],
    ['m', 60],
    ['h', 3600],
  ]
  let rest = text.replace(/^[+-]/, '')
  if (rest === '0') return 0
  if (rest === '') return undefined
  let seconds = 0
  while (rest !== '') {
    const digits = /^[0-9]*\.?[0-9]*/.exec(rest)?.[0] ?? ''
    if (!/[0-9]/.test(digits)) return undefined
    const behind = rest.slice(digits.length)
    const unit = units.find(([name]) => behind.startsWith(name))
    if (unit === undefined) return undefined
    seconds += Number(digits) * unit[1]
    rest = behind.slice(unit[0].length)
  }
  return text.startsWith('-') ? -seconds : seconds
}

/** A name of DNS in lower case, four decimal numbers, or anything between brackets; then a port. */
function isPlainHost(text: string): boolean {
  const port = /:[0-9]+$/.exec(text)?.[0] ?? ''
  const host = text.slice(0, text.length - port.length)
  if (host.startsWith('['))
    return host.endsWith(']') && Array.from(host.slice(1, -1)).every((one) => HEX.includes(one))
  const labels = host.split('.')
  const numbers = labels.map((label) => (/^[0-9]+$/.test(label) ? Number(label) : NaN))
  if (!Number.isNaN(numbers.at(-1) ?? NaN))
    return (
      labels.length === 4 && numbers.every((number, nth) => number < 256 && String(number) === labels[nth])
    )
  return labels.every(
    (label) =>
      label !== '' &&
      !label.startsWith('-') &&
      !label.endsWith('-') &&
      Array.from(label).every((one) => NAME.includes(one)),
  )
}

const HEX = '0123456789abcdef:'
const NAME = 'abcdefghijklmnopqrstuvwxyz0123456789_-'

/**
 * Whether a text names one repository by its address, as far as that can be said without parsing it: what a source must
 * keep to whatever it was made of.
 */
export function isPlainSource(source: string): boolean {
  const [host = '', ...path] = source.split('/')
  return (
    isPlainHost(host) &&
    path.length >= 2 &&
    path.every((part) => part !== '' && part !== '.' && part !== '..' && !/[A-Z\s\\?#]/.test(part))
  )
}
