// The strict form parser of the token, introspection and other POST endpoints: application/x-www-form-urlencoded
// (RFC 6749 appendix B), with Go's refusals (bad escapes, raw `;`) because Dex clients meet them today, and ours:
// every parameter once (RFC 6749 §3.2), `audience` and `resource` as often as one likes (RFC 8693 §2.1).
import { deny, ok } from '#core/result.ts'
import { ACCESS_TOKEN_TYPE, ID_TOKEN_TYPE, TOKEN_EXCHANGE } from './names.ts'
import type { Result } from '#core/result.ts'

/** More parameters than any grant has by far; a longer form is noise or an attack. */
const MAX_PARAMETERS = 64
const MAX_NAME_LENGTH = 64
const REPEATABLE = new Set(['audience', 'resource'])

/** A parsed form. An absent parameter and an empty one are told apart only by `has`. */
export type Form = {
  /** The value, `''` when absent (Go's `PostFormValue`). */
  readonly get: (name: string) => string
  /** Every value of a repeatable parameter, empty values left out. */
  readonly all: (name: 'audience' | 'resource') => readonly string[]
  readonly has: (name: string) => boolean
  readonly isEmpty: boolean
}

/** Parses a body that was declared as a form. `body` is valid UTF-8 already. */
export function parseForm(body: string): Result<Form> {
  if (body.includes(';')) return deny({ reason: 'form_malformed', detail: 'a raw ";" separates nothing' })
  const single = new Map<string, string>()
  const repeated = new Map<string, string[]>()
  let count = 0
  for (const pair of body.split('&')) {
    if (pair === '') continue
    count += 1
    if (count > MAX_PARAMETERS)
      return deny({ reason: 'form_malformed', detail: `more than ${MAX_PARAMETERS} parameters` })
    const equals = pair.indexOf('=')
    const split = equals === -1 ? pair.length : equals
    // Most pairs are plain, a token of a kilobyte among them: one look saves four.
    const isPlain = !pair.includes('%') && !pair.includes('+')
    const name = isPlain ? pair.slice(0, split) : decode(pair.slice(0, split))
    const value = isPlain ? pair.slice(split + 1) : decode(pair.slice(split + 1))
    if (name === undefined || value === undefined) {
      return deny({ reason: 'form_malformed', detail: 'a percent escape is not valid UTF-8' })
    }
    if (name.length > MAX_NAME_LENGTH)
      return deny({ reason: 'form_malformed', detail: 'a parameter name is too long' })
    if (REPEATABLE.has(name)) {
      const values = repeated.get(name) ?? []
      if (value !== '') values.push(value)
      repeated.set(name, values)
    } else if (single.has(name)) {
      return deny({ reason: 'parameter_repeated', name })
    } else {
      single.set(name, value)
    }
  }
  return ok({
    get: (name) => single.get(name) ?? '',
    all: (name) => repeated.get(name) ?? [],
    has: (name) => single.has(name) || repeated.has(name),
    isEmpty: count === 0,
  })
}

/** Whether a query string would make Go's form parsing fail; its parameters are ignored otherwise (Dex HEAD). */
export function isMalformedQuery(query: string): boolean {
  return query.includes(';') || query.split('&').some((part) => decode(part) === undefined)
}

/** The names of grants and token types as forms spell them: nearly every request has three, and decoding is dear. */
const KNOWN: ReadonlyMap<string, string> = new Map(
  [TOKEN_EXCHANGE, ID_TOKEN_TYPE, ACCESS_TOKEN_TYPE].map((name) => [encodeURIComponent(name), name]),
)

/** Decodes one form component: `+` is a space. `undefined` for a bad escape or invalid UTF-8. */
export function decode(text: string): string | undefined {
  const known = KNOWN.get(text)
  if (known !== undefined) return known
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text
  if (!spaced.includes('%')) return spaced
  try {
    return decodeURIComponent(spaced)
  } catch {
    // decodeURIComponent throws for exactly the inputs that are refused here.
    return undefined
  }
}
