// Reads a URL as Go's net/url does (Go 1.26, which kube-apiserver 1.36 and 1.37 are built with), as far as a validator
// needs it: the scheme, which parts are there, and why Go would not read it at all. WHATWG's `URL` mends and refuses
// other things than Go, so it cannot stand in.

type GoUrl = {
  readonly scheme: string
  readonly hasUser: boolean
  readonly query: string
  readonly fragment: string
  /** With the port; '' in `https:x` and `https:///x`. */
  readonly host: string
}

export type GoUrlRead =
  | { readonly ok: true; readonly url: GoUrl }
  | { readonly ok: false; readonly reason: string }

class Unreadable extends Error {}

/** Reads `text`; the reason of a refusal is a phrase. */
export function parseGoUrl(text: string): GoUrlRead {
  const hash = text.indexOf('#')
  const fragment = hash === -1 ? '' : text.slice(hash + 1)
  try {
    const url = parse(hash === -1 ? text : text.slice(0, hash))
    checkEscapes(fragment, 'path')
    return { ok: true, url: { ...url, fragment } }
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error
    return { ok: false, reason: error.message }
  }
}

function parse(text: string): Omit<GoUrl, 'fragment'> {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(text)) throw new Unreadable('a control character stands in it')
  const { scheme, rest } = splitScheme(text)
  const question = rest.indexOf('?')
  const query = question === -1 ? '' : rest.slice(question + 1)
  const path = question === -1 ? rest : rest.slice(0, question)
  const nothing = { scheme, query, hasUser: false, host: '' }
  if (!path.startsWith('/')) {
    // `https:x` is opaque to Go and nothing further is checked
    if (scheme !== '') return nothing
    if (/^[^/]*:/.test(path)) throw new Unreadable('its first part has a colon but no scheme')
  }
  const hasAuthority = path.startsWith('//') && (scheme !== '' || !path.startsWith('///'))
  if (!hasAuthority) {
    checkEscapes(path, 'path')
    return nothing
  }
  const slash = path.indexOf('/', 2)
  const authority = slash === -1 ? path.slice(2) : path.slice(2, slash)
  const at = authority.lastIndexOf('@')
  const host = authority.slice(at + 1)
  checkHost(scheme, host)
  if (at !== -1) checkUser(authority.slice(0, at))
  checkEscapes(slash === -1 ? '' : path.slice(slash), 'path')
  return { scheme, query, hasUser: at !== -1, host }
}

function splitScheme(text: string): { scheme: string; rest: string } {
  if (text.startsWith(':')) throw new Unreadable('the scheme before the colon is missing')
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(text)?.[1]
  return scheme === undefined
    ? { scheme: '', rest: text }
    : { scheme: scheme.toLowerCase(), rest: text.slice(scheme.length + 1) }
}

function checkUser(user: string): void {
  if (!/^[\w\-.:~!$&'()*+,;=%@]*$/.test(user))
    throw new Unreadable('what stands before the @ is no user name')
  checkEscapes(user, 'path')
}

function checkHost(scheme: string, host: string): void {
  const bracket = host.lastIndexOf('[')
  if (bracket > 0) throw new Unreadable('a [ stands inside the host')
  if (bracket === 0) return checkIpLiteral(host)
  const first = host.indexOf(':')
  if (first !== -1) {
    // several colons: Go holds http(s) to one since 1.26
    const colon = scheme === 'http' || scheme === 'https' ? first : host.lastIndexOf(':')
    checkPort(host.slice(colon))
  }
  checkEscapes(host, 'host')
}

function checkIpLiteral(host: string): void {
  const close = host.lastIndexOf(']')
  if (close === -1) throw new Unreadable('the ] of the host is missing')
  checkPort(host.slice(close + 1))
  const inside = host.slice(1, close)
  const zone = inside.indexOf('%25')
  const address = zone === -1 ? inside : inside.slice(0, zone)
  if (zone !== -1 && inside.length === zone + 3) throw new Unreadable('the zone of the address is empty')
  if (!isIpv6(address)) throw new Unreadable('no IPv6 address stands between the brackets')
}

function checkPort(port: string): void {
  if (port !== '' && !/^:[0-9]*$/.test(port)) throw new Unreadable('what follows the host is no port')
}

/** RFC 4291 §2.2, with an IPv4 tail as netip.ParseAddr takes it. */
function isIpv6(text: string): boolean {
  const tail = /(?<=:)\d+\.\d+\.\d+\.\d+$/.exec(text)?.[0]
  if (tail !== undefined && !tail.split('.').every(isOctet)) return false
  const plain = tail === undefined ? text : `${text.slice(0, -tail.length)}0:0`
  const halves = plain.split('::')
  if (halves.length > 2) return false
  const groups = halves.flatMap((half) => (half === '' ? [] : half.split(':')))
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return false
  return halves.length === 2 ? groups.length < 8 : groups.length === 8
}

function isOctet(text: string): boolean {
  return /^(?:0|[1-9]\d{0,2})$/.test(text) && Number(text) <= 255
}

function checkEscapes(text: string, part: 'path' | 'host'): void {
  if (/%(?![0-9a-f]{2})/i.test(text)) throw new Unreadable('a % stands without two hexadecimal digits')
  if (part === 'path') return
  // RFC 3986 §3.2.2 as Go reads it: a host escapes nothing but what is not ASCII
  if (/%(?!25)[0-7]/i.test(text)) throw new Unreadable('an escaped ASCII character stands in the host')
  // oxlint-disable-next-line no-control-regex -- every ASCII character that is not named
  if (/[\u0000-\u007f]/.test(text.replaceAll(/[\w\-.~!$&'()*+,;=:[\]<>"%]/g, ''))) {
    throw new Unreadable('a character stands in the host that none may have')
  }
}
