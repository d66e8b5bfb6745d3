// Claims as go-oidc v2.5 and the apiserver's authenticator decode them, with Go's own words where one has the wrong
// type. encoding/json `Unmarshal` into string, bool, []string and go-oidc's jsonTime; go-oidc verify.go, oidc.go 0.36.4.
import type { Result } from '#core/result.ts'
import { goMember } from './go_json.ts'
import type { GoJson } from './go_json.ts'

/** A JSON null leaves a Go variable as it was: the empty text. */
export function goText(value: GoJson): Result<string, string> {
  if (value.kind === 'string') return { ok: true, value: value.text }
  if (value.kind === 'null') return { ok: true, value: '' }
  return wrongType(value, 'string')
}

export function goFlag(value: GoJson): Result<boolean, string> {
  if (value.kind === 'bool') return { ok: true, value: value.value }
  if (value.kind === 'null') return { ok: true, value: false }
  return wrongType(value, 'bool')
}

function goTexts(value: GoJson): Result<readonly string[], string> {
  if (value.kind === 'null') return { ok: true, value: [] }
  if (value.kind !== 'array') return wrongType(value, '[]string')
  const texts = value.items.map(goText)
  const bad = texts.find((text) => !text.ok)
  if (bad?.ok === false) return bad
  return { ok: true, value: texts.flatMap((text) => (text.ok ? [text.value] : [])) }
}

/** A text or a list of texts, as the groups claim may be; what is neither is told as if a text was wanted. */
export function goTextOrTexts(value: GoJson): Result<readonly string[], string> {
  const texts = goTexts(value)
  if (texts.ok) return texts
  const text = goText(value)
  return text.ok ? { ok: true, value: [text.value] } : text
}

/** The same for `aud`, where go-oidc tries the text first. */
function goAudience(value: GoJson): Result<readonly string[], string> {
  const text = goText(value)
  return text.ok ? { ok: true, value: [text.value] } : goTexts(value)
}

const MAX_INT64 = 2n ** 63n
const FIRST_SECOND = -9_223_371_966_579_724_800n

/** Seconds since the epoch: whole numbers, fractions (cut off) and texts that hold a number. */
function goSeconds(value: GoJson): Result<bigint, string> {
  if (value.kind === 'null') return { ok: false, denial: 'strconv.ParseFloat: parsing "": invalid syntax' }
  if (value.kind !== 'number' && value.kind !== 'string') return wrongType(value, 'json.Number')
  if (value.kind === 'string' && !/^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(value.text)) {
    const item = JSON.stringify(JSON.stringify(value.text))
    return { ok: false, denial: `json: invalid number literal, trying to unmarshal ${item} into Number` }
  }
  if (/^-?\d+$/.test(value.text)) {
    const whole = BigInt(value.text)
    if (whole < MAX_INT64 && whole >= -MAX_INT64) return { ok: true, value: whole }
  }
  const number = Number(value.text)
  if (!Number.isFinite(number)) {
    return { ok: false, denial: `strconv.ParseFloat: parsing "${value.text}": value out of range` }
  }
  // What amd64 makes of a double that int64 cannot hold.
  const isWithin = Math.abs(number) < Number(MAX_INT64)
  return { ok: true, value: isWithin ? BigInt(Math.trunc(number)) : -MAX_INT64 }
}

function wrongType(value: GoJson, wanted: string): Result<never, string> {
  return { ok: false, denial: `json: cannot unmarshal ${value.kind} into Go value of type ${wanted}` }
}

export type IdToken = {
  readonly issuer: string
  readonly audience: readonly string[]
  /** Seconds; `undefined` when the token has none, which go-oidc takes for the year 1. */
  readonly expiry: bigint | undefined
  readonly issuedAt: bigint | undefined
  readonly notBefore: bigint | undefined
  /** `_claim_names`: claim to source. */
  readonly claimNames: ReadonlyMap<string, string>
  readonly claimSources: ReadonlySet<string>
}

/**
 * The claims that go-oidc itself looks at. The denial is what stands behind `oidc: failed to unmarshal claims: `.
 * Names are matched without regard to case, as encoding/json does for the fields of a struct.
 */
export function readIdToken(payload: GoJson): Result<IdToken, string> {
  if (payload.kind !== 'object') return wrongType(payload, 'oidc.idToken')
  const token: Writable<IdToken> = {
    issuer: '',
    audience: [],
    expiry: undefined,
    issuedAt: undefined,
    notBefore: undefined,
    claimNames: new Map(),
    claimSources: new Set(),
  }
  let first: string | undefined
  for (const [name, value] of payload.members) {
    const read = readField(token, folded(name), value)
    if (read.ok) continue
    const field = inField(read.denial, folded(name))
    // A field with a decoder of its own stops the reading, the others are told at the end.
    if (STOPPING.has(folded(name))) return { ok: false, denial: field }
    first ??= field
  }
  return first === undefined ? { ok: true, value: token } : { ok: false, denial: first }
}

/** The issuer that nobody has verified: what decides which authenticator looks at a token. */
export function untrustedIssuer(payload: GoJson): string | undefined {
  if (payload.kind === 'null') return ''
  if (payload.kind !== 'object') return undefined
  let issuer = ''
  for (const [name, value] of payload.members) {
    if (folded(name) !== 'iss' || value.kind === 'null') continue
    if (value.kind !== 'string') return undefined
    issuer = value.text
  }
  return issuer === 'accounts.google.com' ? 'https://accounts.google.com' : issuer
}

type Writable<T> = { -readonly [K in keyof T]: T[K] }
const STOPPING = new Set(['aud', 'exp', 'iat', 'nbf'])

function readField(token: Writable<IdToken>, name: string, value: GoJson): Result<unknown, string> {
  switch (name) {
    case 'iss':
      return keep(goText(value), (text) => {
        if (value.kind !== 'null') token.issuer = text
      })
    case 'aud':
      return keep(goAudience(value), (texts) => {
        token.audience = texts
      })
    case 'exp':
      return keep(goSeconds(value), (seconds) => {
        token.expiry = seconds
      })
    case 'iat':
      return keep(goSeconds(value), (seconds) => {
        token.issuedAt = seconds
      })
    case 'nbf':
      if (value.kind === 'null') return { ok: true, value: undefined }
      return keep(goSeconds(value), (seconds) => {
        token.notBefore = seconds
      })
    case '_claim_names':
      return keep(goTextMap(value), (names) => {
        token.claimNames = names
      })
    case '_claim_sources':
      token.claimSources = new Set(value.kind === 'object' ? value.members.map(([source]) => source) : [])
      return value.kind === 'object' || value.kind === 'null'
        ? { ok: true, value: undefined }
        : wrongType(value, 'map[string]oidc.claimSource')
    case 'sub':
    case 'nonce':
    case 'at_hash':
      return goText(value)
    default:
      return { ok: true, value: undefined }
  }
}

function goTextMap(value: GoJson): Result<ReadonlyMap<string, string>, string> {
  if (value.kind === 'null') return { ok: true, value: new Map() }
  if (value.kind !== 'object') return wrongType(value, 'map[string]string')
  const map = new Map<string, string>()
  for (const [name, member] of value.members) {
    const text = goText(member)
    if (!text.ok) return text
    map.set(name, text.value)
  }
  return { ok: true, value: map }
}

function keep<T>(read: Result<T, string>, use: (value: T) => void): Result<T, string> {
  if (read.ok) use(read.value)
  return read
}

/** encoding/json names the field of the struct in errors about types, and in no others. */
function inField(denial: string, field: string): string {
  return denial.replace(/ into Go value of type /, ` into Go struct field idToken.${field} of type `)
}

/** Unicode's simple folding, as far as it meets ASCII. */
function folded(name: string): string {
  return name.toLowerCase().replaceAll('\u017f', 's').replaceAll('\u212a', 'k')
}

/** A claim by its exact name; `undefined` when the token has none. */
export function claimOf(payload: GoJson, name: string): GoJson | undefined {
  return goMember(payload, name)
}

/** Go's `time.Time` as `%v` writes it in UTC: `2026-11-21 11:36:34 +0000 UTC`. */
export function goTime(seconds: bigint | undefined): string {
  if (seconds === undefined) return '0001-01-01 00:00:00 +0000 UTC'
  // Go counts from the year -292277022399 in 64 bits, and begins anew where they end.
  const counted = seconds < FIRST_SECOND ? seconds + 2n * MAX_INT64 : seconds
  const day = floorDiv(counted, 86_400n)
  const rest = counted - day * 86_400n
  const clock = [rest / 3600n, (rest / 60n) % 60n, rest % 60n].map(two).join(':')
  return `${civilDate(day)} ${clock} +0000 UTC`
}

/** Days since 1970-01-01 to year-month-day, by eras of 400 years (146097 days) that begin in March. */
function civilDate(day: bigint): string {
  const shifted = day + 719_468n
  const era = floorDiv(shifted, 146_097n)
  const ofEra = shifted - era * 146_097n
  const yearOfEra = (ofEra - ofEra / 1460n + ofEra / 36_524n - ofEra / 146_096n) / 365n
  const ofYear = ofEra - (365n * yearOfEra + yearOfEra / 4n - yearOfEra / 100n)
  const march = (5n * ofYear + 2n) / 153n
  const month = march < 10n ? march + 3n : march - 9n
  const year = yearOfEra + era * 400n + (month <= 2n ? 1n : 0n)
  const sign = year < 0n ? '-' : ''
  const digits = (year < 0n ? -year : year).toString().padStart(4, '0')
  return `${sign}${digits}-${two(month)}-${two(ofYear - (153n * march + 2n) / 5n + 1n)}`
}

function floorDiv(value: bigint, by: bigint): bigint {
  const quotient = value / by
  return value % by < 0n ? quotient - 1n : quotient
}

function two(value: bigint): string {
  return value.toString().padStart(2, '0')
}
