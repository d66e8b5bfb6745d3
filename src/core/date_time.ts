// Times as texts, without a clock and without Date.

const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d{1,9})?(?:Z|([+-])(\d\d):(\d\d))$/

/**
 * Whole seconds since the epoch of an RFC 3339 time with its offset, fractions cut off; `undefined` for anything else and for days
 * that no calendar has. A leap second is none that a token or a policy needs.
 */
export function secondsOfTime(text: string): number | undefined {
  const match = RFC3339.exec(text)
  if (match === null) return undefined
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1, 7).map(Number)
  const [sign, zoneHour = '0', zoneMinute = '0'] = match.slice(7)
  if (year < 1 || day < 1 || day > daysIn(year, month)) return undefined
  if (hour > 23 || minute > 59 || second > 59 || Number(zoneHour) > 23 || Number(zoneMinute) > 59)
    return undefined
  const offset = (Number(zoneHour) * 60 + Number(zoneMinute)) * (sign === '-' ? -60 : 60)
  return ((daysSinceEpoch(year, month, day) * 24 + hour) * 60 + minute) * 60 + second - offset
}

function isLeap(year: number): boolean {
  return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0
}

/** 0 of a month that does not exist. */
function daysIn(year: number, month: number): number {
  return [31, isLeap(year) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1] ?? 0
}

function daysSinceEpoch(year: number, month: number, day: number): number {
  let days = day - 1
  for (let earlier = 1; earlier < month; earlier += 1) days += daysIn(year, earlier)
  return days + daysBeforeYear(year) - daysBeforeYear(1970)
}

/** Days from the first of January of year 1, in the Gregorian calendar. */
function daysBeforeYear(year: number): number {
  const before = year - 1
  return before * 365 + Math.floor(before / 4) - Math.floor(before / 100) + Math.floor(before / 400)
}

/** `2026-11-21T12:00:00Z`; of years that RFC 3339 can write. */
export function timeOfSeconds(seconds: number): string {
  const days = Math.floor(seconds / 86_400)
  const rest = Math.floor(seconds - days * 86_400)
  const { year, month, day } = dateOf(days)
  const time = [Math.floor(rest / 3600), Math.floor(rest / 60) % 60, rest % 60]
  const date = [String(year).padStart(4, '0'), ...[month, day].map(twoDigits)]
  return `${date.join('-')}T${time.map(twoDigits).join(':')}Z`
}

/** A year is at most one off from the mean length of one. */
function dateOf(days: number): { readonly year: number; readonly month: number; readonly day: number } {
  let year = 1970 + Math.floor(days / 365.2425)
  while (daysSinceEpoch(year + 1, 1, 1) <= days) year += 1
  while (daysSinceEpoch(year, 1, 1) > days) year -= 1
  let month = 1
  while (month < 12 && daysSinceEpoch(year, month + 1, 1) <= days) month += 1
  return { year, month, day: days - daysSinceEpoch(year, month, 1) + 1 }
}

function twoDigits(number: number): string {
  return String(number).padStart(2, '0')
}
