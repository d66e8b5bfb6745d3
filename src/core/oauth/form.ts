// The strict form parser of the token, introspection and other POST endpoints: application/x-www-form-urlencoded
// (RFC 6749 appendix B), with Go's refusals (bad escapes, raw `;`) because Dex clients meet them today, and ours:
// every parameter once (RFC 6749 §3.2), `audience` and `resource` as often as one likes (RFC 8693 §2.1).
import { rememberTexts } from '#core/known_texts.ts'
import { deny, ok } from '#core/result.ts'
import { ACCESS_TOKEN_TYPE, ID_TOKEN_TYPE, TOKEN_EXCHANGE } from './names.ts'
import type { Result } from '#core/result.ts'

/** More parameters than any grant has by far; a longer form is noise or an attack. */
const MAX_PARAMETERS = 64
const MAX_NAME_LENGTH = 64
const isRepeatable = (name: string): boolean => name === 'audience' || name === 'resource'
const NONE: readonly string[] = Object.freeze([])

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
  // A form has a handful of names: to look through a list takes less than to hash each name for a table.
  const names: string[] = []
  const values: string[] = []
  const repeated = new Map<string, string[]>()
  let count = 0
  for (let from = 0, end = 0; from <= body.length; from = end + 1) {
    end = endOf(body, '&', from, body.length)
    if (end === from) continue
    count += 1
    if (count > MAX_PARAMETERS)
      return deny({ reason: 'form_malformed', detail: `more than ${MAX_PARAMETERS} parameters` })
    const equals = endOf(body, '=', from, end)
    const name = decode(body.slice(from, equals))
    const text = body.slice(equals + 1, end)
    const value = name === 'scope' ? decodeScope(text) : decode(text)
    if (name === undefined || value === undefined) {
      return deny({ reason: 'form_malformed', detail: 'a percent escape is not valid UTF-8' })
    }
    if (name.length > MAX_NAME_LENGTH)
      return deny({ reason: 'form_malformed', detail: 'a parameter name is too long' })
    if (isRepeatable(name)) {
      const all = repeated.get(name) ?? []
      if (value !== '') all.push(value)
      repeated.set(name, all)
    } else if (names.includes(name)) {
      return deny({ reason: 'parameter_repeated', name })
    } else {
      names.push(name)
      values.push(value)
    }
  }
  return ok({
    get(name) {
      const at = names.indexOf(name)
      return at === -1 ? '' : (values[at] ?? '')
    },
    all: (name) => repeated.get(name) ?? NONE,
    has: (name) => names.includes(name) || repeated.has(name),
    isEmpty: count === 0,
  })
}

/** Where `mark` stands in `text`, from one place up to another; that one when it does not. */
function endOf(text: string, mark: string, from: number, end: number): number {
  const at = text.indexOf(mark, from)
  return at === -1 || at > end ? end : at
}

/** Whether a query string would make Go's form parsing fail; its parameters are ignored otherwise (Dex HEAD). */
export function isMalformedQuery(query: string): boolean {
  return query.includes(';') || query.split('&').some((part) => decode(part) === undefined)
}

/** The names of grants and token types as forms spell them: nearly every request has three, and decoding is dear. */
const KNOWN: ReadonlyMap<string, string> = new Map(
  [TOKEN_EXCHANGE, ID_TOKEN_TYPE, ACCESS_TOKEN_TYPE].map((name) => [encodeURIComponent(name), name]),
)

/** A job asks for the same scopes each time. */
const decodeScope = rememberTexts(decode, (decoded) => decoded !== undefined)

/** Decodes one form component: `+` is a space. `undefined` for a bad escape or invalid UTF-8. */
export function decode(text: string): string | undefined {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text
  if (!spaced.includes('%')) return spaced
  const known = KNOWN.get(text)
  if (known !== undefined) return known
  try {
    return decodeURIComponent(spaced)
  } catch {
    // decodeURIComponent throws for exactly the inputs that are refused here.
    return undefined
  }
}
