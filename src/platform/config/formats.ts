// The small languages inside configuration values: durations, URLs, listen addresses, times. One parser each; the
// schema names them by `format`, the loader calls them again for the value.
import { isIP } from 'node:net'
import { secondsOfTime } from '#core/date_time.ts'
import { parseDuration } from './duration.ts'
import type { FormatProblem, Formats } from './schema_check.ts'

export const CONFIG_FORMATS: Formats = {
  'go-duration': (text) => checkDuration(text, 1),
  'go-duration-or-zero': (text) => checkDuration(text, 0),
  'https-or-http-url': checkUrl,
  'listen-address': checkListenAddress,
  'listen-address-or-off': (text) => (text === 'off' ? undefined : checkListenAddress(text)),
  cidr: checkCidr,
  'host-name': checkHostName,
  'resource-uri': checkResource,
  'rfc3339-time': checkTime,
}

export type HostPort = { readonly host: string; readonly port: number }

/** `0.0.0.0:8443`, `[::1]:9090`, `:8443` (every address). Go's net.Listen spelling, numeric port. */
export function parseListenAddress(text: string): HostPort | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]]*)):(\d{1,5})$/.exec(text)
  const port = Number(match?.[3])
  if (match === null || port > 65535) return undefined
  const host = match[1] ?? match[2] ?? ''
  return { host: host === '' ? '::' : host, port }
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host)
}

/** Whether what is sent to this URL leaves the machine unencrypted. */
export function isPlainHttp(url: string): boolean {
  const parsed = URL.parse(url)
  return parsed?.protocol === 'http:' && !isLoopback(parsed.hostname.replace(/^\[(.*)\]$/, '$1'))
}

/** Milliseconds since the epoch of an RFC 3339 time that says its offset, whole seconds; `undefined` for anything else. */
export function parseTime(text: string): number | undefined {
  const seconds = secondsOfTime(text)
  return seconds === undefined ? undefined : seconds * 1000
}

/** Whole seconds: JWT times have no room for less (RFC 7519 §2 allows fractions, few verifiers do). */
function checkDuration(text: string, leastSeconds: number): FormatProblem | undefined {
  const seconds = parseDuration(text)
  if (Number.isSafeInteger(seconds) && (seconds ?? -1) >= leastSeconds) return undefined
  const days = /^(\d+)d$/.exec(text)?.[1]
  const bare = /^\d+$/.test(text)
  const spelled = bare ? `write its unit: ${text}s or ${text}m` : 'write it as 90s, 10m, 1h30m or 24h'
  return {
    code: 'duration_malformed',
    message: `${JSON.stringify(text)} is not a duration of whole seconds${leastSeconds > 0 ? ', one or more' : ''}`,
    wayOut: days === undefined ? spelled : `write ${Number(days) * 24}h`,
  }
}

function checkUrl(text: string): FormatProblem | undefined {
  const url = URL.parse(text)
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    const wayOut = 'write it with its scheme: https://host/path'
    return { code: 'url_malformed', message: `${JSON.stringify(text)} is not an http or https URL`, wayOut }
  }
  if (
    url.username !== '' ||
    url.password !== '' ||
    text.includes('?') ||
    text.includes('#') ||
    /\s/.test(text)
  ) {
    const message = 'has a user name, a query, a fragment or a space in it'
    return { code: 'url_malformed', message, wayOut: `write ${url.origin}${url.pathname}` }
  }
  // Two letters that look alike are two hosts: the one that is asked has to be readable.
  if (!/^https?:\/\/[!-.0-~]+(?:\/|$)/i.test(text)) {
    const message = 'has a host that is not written in ASCII'
    return {
      code: 'url_malformed',
      message,
      wayOut: `if it is the host you mean, write ${url.origin}${url.pathname}`,
    }
  }
  return undefined
}

function checkListenAddress(text: string): FormatProblem | undefined {
  if (parseListenAddress(text) !== undefined) return undefined
  const message = `${JSON.stringify(text)} is not an address to listen on`
  return { code: 'address_malformed', message, wayOut: 'write host:port, as 0.0.0.0:8443 or [::1]:9090' }
}

/** Compared with the host of a URL, so in the spelling that a URL parser gives it. */
function checkHostName(text: string): FormatProblem | undefined {
  const host = URL.parse(`https://${text}/`)?.hostname
  if (host !== undefined && host === text.toLowerCase()) return undefined
  const message = `${JSON.stringify(text)} is not the name of a host`
  const meant = URL.parse(text)?.hostname ?? host
  const wayOut = meant === undefined || meant === '' ? 'write it as keys.example.com' : `write ${meant}`
  return { code: 'address_malformed', message, wayOut }
}

function checkCidr(text: string): FormatProblem | undefined {
  const match = /^([0-9a-fA-F:.]+)(?:\/(\d{1,3}))?$/.exec(text)
  const family = isIP(match?.[1] ?? '')
  if (family !== 0 && Number(match?.[2] ?? 0) <= (family === 4 ? 32 : 128)) return undefined
  const message = `${JSON.stringify(text)} is not a network`
  return { code: 'address_malformed', message, wayOut: 'write it as 10.0.0.0/8 or 2001:db8::/32' }
}

/** RFC 8707 §2: an absolute URI without a fragment. */
function checkResource(text: string): FormatProblem | undefined {
  if (URL.canParse(text) && !text.includes('#') && !/\s/.test(text)) return undefined
  const message = `${JSON.stringify(text)} is not an absolute URI without fragment (RFC 8707 §2)`
  return {
    code: 'resource_malformed',
    message,
    wayOut: 'write it with its scheme: https://registry.example.com',
  }
}

function checkTime(text: string): FormatProblem | undefined {
  if (parseTime(text) !== undefined) return undefined
  const message = `${JSON.stringify(text)} is not a time`
  return { code: 'time_malformed', message, wayOut: 'write it as 2027-01-01T00:00:00Z' }
}
