// Forms and headers as Go's net/http and mime packages read them, without any of our short cuts.
import { goFields, slowUnescape, utf8Text } from './text.ts'

const REPEATABLE = ['audience', 'resource']

/** Name and values of each parameter in order, empty values of a repeatable one gone; `undefined` when it must be refused. */
export function slowForm(body: string): ReadonlyMap<string, readonly string[]> | undefined {
  if (body.includes(';')) return undefined
  const pairs = body.split('&').filter((pair) => pair !== '')
  if (pairs.length > 64) return undefined
  const form = new Map<string, string[]>()
  for (const pair of pairs) {
    const [rawName = '', ...rawValue] = pair.split('=')
    const name = slowUnescape(rawName)
    const value = slowUnescape(rawValue.join('='))
    if (name === undefined || value === undefined || name.length > 64) return undefined
    const known = form.get(name)
    if (known !== undefined && !REPEATABLE.includes(name)) return undefined
    form.set(name, [...(known ?? []), value])
  }
  for (const name of REPEATABLE) {
    const values = form.get(name)
    if (values !== undefined)
      form.set(
        name,
        values.filter((value) => value !== ''),
      )
  }
  return form
}

/** Whether `url.ParseQuery` gives an error; what is no UTF-8 afterwards counts as one, which is ours. */
export function isQueryRefused(query: string): boolean {
  return query.split('&').some((pair) => pair.includes(';') || slowUnescape(pair) === undefined)
}

const TOKEN_CHARACTER = /^[!#$%&'*+.^_`|~0-9A-Za-z-]$/

/** Go's `mime.ParseMediaType` (1.26), errors as `malformed`; then what `ParseForm` makes of the type. */
export function goContentType(header: string | undefined): 'form' | 'other' | 'malformed' {
  if (header === undefined || header === '') return 'other'
  const semicolon = header.indexOf(';')
  const type = trimGo((semicolon === -1 ? header : header.slice(0, semicolon)).toLowerCase())
  const [major, behind] = takeToken(type)
  if (major === '') return 'malformed'
  if (behind !== '') {
    if (!behind.startsWith('/')) return 'malformed'
    const [minor, end] = takeToken(behind.slice(1))
    if (minor === '' || end !== '') return 'malformed'
  }
  const seen = new Map<string, string>()
  let rest = semicolon === -1 ? '' : header.slice(semicolon)
  while (trimGo(rest) !== '' && trimGo(rest) !== ';') {
    const read = takeParameter(trimStartGo(rest))
    // The same thing twice is let through.
    if (read === undefined || (seen.get(read.name) ?? read.value) !== read.value) return 'malformed'
    seen.set(read.name, read.value)
    rest = read.rest
  }
  return type === 'application/x-www-form-urlencoded' ? 'form' : 'other'
}

type Parameter = { readonly name: string; readonly value: string; readonly rest: string }

function takeParameter(text: string): Parameter | undefined {
  if (!text.startsWith(';')) return undefined
  const [name, behind] = takeToken(trimStartGo(text.slice(1)))
  const equals = trimStartGo(behind)
  if (name === '' || !equals.startsWith('=')) return undefined
  const value = trimStartGo(equals.slice(1))
  if (!value.startsWith('"')) {
    const [token, rest] = takeToken(value)
    return token === '' ? undefined : { name: name.toLowerCase(), value: token, rest }
  }
  let unquoted = ''
  for (let at = 1; at < value.length; at += 1) {
    if (value[at] === '"') return { name: name.toLowerCase(), value: unquoted, rest: value.slice(at + 1) }
    if (value[at] === '\\') at += 1
    else if (value[at] === '\r' || value[at] === '\n') return undefined
    unquoted += value.charAt(at)
  }
  return undefined
}

function takeToken(text: string): readonly [string, string] {
  let end = 0
  while (end < text.length && TOKEN_CHARACTER.test(text.charAt(end))) end += 1
  return [text.slice(0, end), text.slice(end)]
}

/** Header bytes are no UTF-8 to Go where they are not ASCII, and then no white space. */
function trimStartGo(text: string): string {
  return text.replace(/^[\t\n\v\f\r ]+/, '')
}

function trimGo(text: string): string {
  return trimStartGo(text).replace(/[\t\n\v\f\r ]+$/, '')
}

/** Go's `Request.BasicAuth` with the two halves form-decoded (RFC 6749 §2.3.1); `undefined`: no Basic, or malformed. */
export function slowBasic(
  header: string,
): { readonly id: Uint8Array; readonly secret: Uint8Array } | undefined {
  if (!/^basic /i.test(header)) return undefined
  const encoded = header.slice(6)
  if (encoded.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(encoded)) return undefined
  const bytes = Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0))
  const colon = bytes.indexOf(0x3a)
  return colon === -1 ? undefined : { id: bytes.slice(0, colon), secret: bytes.slice(colon + 1) }
}

/** What such a half means; `undefined` when it is no UTF-8 before or after decoding. */
export function slowHalf(bytes: Uint8Array): string | undefined {
  const text = utf8Text(bytes)
  return text === undefined ? undefined : slowUnescape(text)
}

const SWITCHES = new Set(['openid', 'email', 'profile', 'groups', 'federated:id', 'offline_access'])
const AUDIENCE = 'audience:server:client_id:'

/** Dex's scopes, in the shape of `Scopes`. */
export function slowScopes(scope: string) {
  const all = goFields(scope)
  return {
    openid: all.includes('openid'),
    email: all.includes('email'),
    profile: all.includes('profile'),
    groups: all.includes('groups'),
    federatedId: all.includes('federated:id'),
    offlineAccess: all.includes('offline_access'),
    audiences: all.filter((item) => item.startsWith(AUDIENCE)).map((item) => item.slice(AUDIENCE.length)),
    unrecognized: all.filter((item) => !SWITCHES.has(item) && !item.startsWith(AUDIENCE)),
    all,
  }
}
