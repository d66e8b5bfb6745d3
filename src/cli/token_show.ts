// Takes a token apart with the broker's own strict parser and says in words what is in it.
import type { Claims, JsonObject } from '#core/claims.ts'
import { stringClaim } from '#core/claims.ts'
import { decodeSegment, parseCompact } from '#core/jwt/compact.ts'
import { readStrictJsonObject, TOKEN_JSON_LIMITS } from '#core/jwt/strict_json.ts'
import { EXIT } from './command.ts'
import type { CommandIo, ExitCode } from './command.ts'
import { InputFailure } from './input_failure.ts'
import { printable, printableLines } from './printable.ts'
import { readSecret } from './secret_input.ts'

/** Exit code `denied` when the file cannot be read or holds nothing that the broker would read as a token. */
export async function showToken(file: string, asJson: boolean, io: CommandIo): Promise<ExitCode> {
  try {
    const text = (await readSecret(file, io)).trim()
    const parsed = parseCompact(text)
    if (!parsed.ok) {
      const detail = 'detail' in parsed.denial ? ` (${printable(parsed.denial.detail)})` : ''
      io.stderr.write(`sallyport: not a token that the broker would read: ${parsed.denial.reason}${detail}\n`)
      return EXIT.denied
    }
    const { claims } = parsed.value
    io.stdout.write(
      asJson ? asDocument(headerOf(text), claims, io.clock()) : inWords(headerOf(text), claims, io.clock()),
    )
    return EXIT.ok
  } catch (error) {
    if (!(error instanceof InputFailure)) throw error
    io.stderr.write(`sallyport: failed: ${error.message}\n`)
    return EXIT.denied
  }
}

/** All of the header, not only what the verifier looks at. */
function headerOf(text: string): JsonObject {
  const bytes = decodeSegment(text.slice(0, text.indexOf('.')))
  const header = bytes === undefined ? undefined : readStrictJsonObject(bytes, TOKEN_JSON_LIMITS)
  return header?.ok === true ? header.value : {}
}

function asDocument(header: JsonObject, claims: Claims, now: number): string {
  const { exp } = claims
  const ends = typeof exp === 'number' && isDate(exp) ? exp : undefined
  const document = {
    header,
    claims,
    expires_at: ends === undefined ? null : new Date(ends * 1000).toISOString(),
    seconds_left: ends === undefined ? null : ends - Math.floor(now / 1000),
    verified: false,
  }
  return `${JSON.stringify(document)}\n`
}

function inWords(header: JsonObject, claims: Claims, now: number): string {
  return [
    'header',
    printableLines(JSON.stringify(header, undefined, 2)),
    'claims',
    printableLines(JSON.stringify(claims, undefined, 2)),
    '',
    `issued by  ${printable(stringClaim(claims, 'iss') ?? 'nobody (no iss)')}`,
    `good for   ${printable(audiencesInWords(claims))}`,
    `lifetime   ${lifetimeInWords(claims, now)}`,
    '(decoded, not verified)',
    '',
  ].join('\n')
}

function audiencesInWords(claims: Claims): string {
  const aud = claims['aud']
  const azp = stringClaim(claims, 'azp')
  const asked = azp === undefined ? '' : `, asked for by ${azp}`
  const list = typeof aud === 'string' ? [aud] : Array.isArray(aud) ? aud.map(String) : []
  if (list.length === 0) return 'no audience: anybody may take it for meant'
  const last = list.at(-1) ?? ''
  return list.length === 1 ? `${last} alone${asked}` : `${list.slice(0, -1).join(', ')} and ${last}${asked}`
}

function lifetimeInWords(claims: Claims, now: number): string {
  const { exp, nbf } = claims
  if (typeof exp !== 'number' || !isDate(exp)) return 'no end (no exp)'
  const left = exp - Math.floor(now / 1000)
  const at = new Date(exp * 1000).toISOString()
  if (left <= 0) return `expired ${durationInWords(-left)} ago (${at})`
  const early = typeof nbf === 'number' ? nbf - Math.floor(now / 1000) : 0
  const wait = early > 0 ? `, not valid for another ${durationInWords(early)}` : ''
  return `${durationInWords(left)} left (until ${at})${wait}`
}

/** NumericDates that a Date can hold. */
function isDate(seconds: number): boolean {
  return Math.abs(seconds) < 8.64e12
}

function durationInWords(seconds: number): string {
  const whole = Math.floor(seconds)
  const parts = [
    [Math.floor(whole / 86_400), 'd'],
    [Math.floor(whole / 3600) % 24, 'h'],
    [Math.floor(whole / 60) % 60, 'min'],
    [whole % 60, 's'],
  ] as const
  const shown = parts.filter(([amount]) => amount > 0).slice(0, 2)
  return shown.length === 0 ? '0 s' : shown.map(([amount, unit]) => `${amount} ${unit}`).join(' ')
}
