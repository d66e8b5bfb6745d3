// Where the broker may send a request. An issuer's own documents may point at hosts that the operator configured, or
// that are known to belong to that issuer, and nowhere else; the address is judged when the socket connects, so that
// a name that resolves differently the second time gains nothing. Issue: SSRF through discovery and JWKS.
import { lookup as dnsLookup } from 'node:dns'
import type { LookupAddress } from 'node:dns'
import { isIP } from 'node:net'
import type { LookupFunction } from 'node:net'
import type { Connector } from '#core/connector.ts'
import { mayReach } from './address_rules.ts'
import type { AddressReach } from './address_rules.ts'

export type EgressRules = {
  /** Host (with port when it was configured with one) -> what holds for it. */
  readonly hosts: ReadonlyMap<string, HostRule>
}

type HostRule = {
  readonly reach: AddressReach
  /** Plain HTTP: only for a host that was configured with it. */
  readonly http: boolean
}

export type EgressRefusal = { readonly kind: 'url' | 'host' | 'address'; readonly detail: string }
export type Permit = { readonly url: URL; readonly reach: AddressReach }

/** Hosts that documents of well-known issuers point at; by the issuer's host. */
const KNOWN_HOSTS: ReadonlyMap<string, readonly string[]> = new Map([
  ['accounts.google.com', ['www.googleapis.com', 'openidconnect.googleapis.com']],
  ['securetoken.google.com', ['www.googleapis.com']],
  ['login.microsoftonline.com', ['graph.microsoft.com', 'login.windows.net']],
  ['login.microsoftonline.us', ['graph.microsoft.com', 'graph.microsoft.us']],
  ['sts.windows.net', ['login.microsoftonline.com', 'login.windows.net', 'graph.microsoft.com']],
])

/** What a connector's configuration allows. */
export function egressRulesOf(connector: Connector): EgressRules {
  const hosts = new Map<string, HostRule>()
  for (const host of knownHostsOf(connector.issuer)) hosts.set(host, { reach: 'public', http: false })
  for (const host of connector.trustedHosts) hosts.set(host.toLowerCase(), { reach: 'private', http: false })
  for (const raw of configuredUrls(connector)) {
    const url = URL.canParse(raw) ? new URL(raw) : undefined
    if (url === undefined || url.host === '') continue
    const http = url.protocol === 'http:' || (hosts.get(url.hostname)?.http ?? false)
    hosts.set(url.hostname, { reach: 'private', http })
  }
  return { hosts }
}

function configuredUrls({ issuer, keys }: Connector): readonly string[] {
  switch (keys.kind) {
    case 'discovery':
      return [issuer, keys.documentIssuer, keys.url, keys.jwksUri, keys.userinfoUri].filter(isString)
    case 'jwks_uri':
      return [issuer, keys.uri, keys.userinfoUri].filter(isString)
    case 'file':
      return []
  }
}

function knownHostsOf(issuer: string): readonly string[] {
  return (URL.canParse(issuer) ? KNOWN_HOSTS.get(new URL(issuer).hostname) : undefined) ?? []
}

function isString(value: string | undefined): value is string {
  return value !== undefined
}

/** The authority as written must be the one that the parser understood: no other spelling of a host gets through. */
const WRITTEN_URL = /^(https?):\/\/([^/?#\\]+)([/?][!-~]*)?$/i
const MAX_URL_LENGTH = 2048

/** Judges a URL before anything is sent. */
export function permitUrl(raw: string, rules: EgressRules): Permit | EgressRefusal {
  const written = raw.length <= MAX_URL_LENGTH ? WRITTEN_URL.exec(raw) : null
  const url = written !== null && URL.canParse(raw) ? new URL(raw) : undefined
  if (written === null || url === undefined) return refuse('url', 'not a plain http or https URL')
  if (raw.includes('#') || url.username !== '' || url.password !== '')
    return refuse('url', 'userinfo or fragment')
  const authority = written[2]?.toLowerCase() ?? ''
  if (authority !== url.host && authority !== `${url.hostname}:${defaultPort(url)}`)
    return refuse('url', 'another spelling of a host')
  const rule = ruleOf(url, rules)
  if (rule === undefined) return refuse('host', `${url.hostname} is neither the issuer's host nor trusted`)
  if (url.protocol === 'http:' && !rule.http) return refuse('url', 'plain http')
  // A literal address never passes through the look-up below.
  const literal = url.hostname.replace(/^\[(.*)\]$/, '$1')
  if (isIP(literal) !== 0 && !mayReach(literal, rule.reach))
    return refuse('address', `${literal} must not be reached`)
  return { url, reach: rule.reach }
}

/** What holds for a host with and without its port, taken together. */
function ruleOf(url: URL, { hosts }: EgressRules): HostRule | undefined {
  const [exact, any] = [hosts.get(url.host), hosts.get(url.hostname)]
  if (exact === undefined || any === undefined) return exact ?? any
  const reach = exact.reach === 'private' ? 'private' : any.reach
  return { reach, http: exact.http || any.http }
}

function defaultPort(url: URL): string {
  return url.protocol === 'https:' ? '443' : '80'
}

function refuse(kind: EgressRefusal['kind'], detail: string): EgressRefusal {
  return { kind, detail }
}

/** The name resolved to an address that must not be reached; comes out of the socket. */
export class AddressRefused extends Error {
  readonly code = 'SALLYPORT_ADDRESS_REFUSED'
  constructor(hostname: string, address: string) {
    super(`${hostname} resolves to ${address}`)
    this.name = 'AddressRefused'
  }
}

/** Resolves every address of a host at once, as `dns.lookup` does with `all: true`. */
export type ResolveHost = (
  hostname: string,
  done: (error: Error | null, addresses: readonly LookupAddress[]) => void,
) => void

const resolveHost: ResolveHost = (hostname, done) => dnsLookup(hostname, { all: true }, done)

/**
 * One resolution of a name at a time, shared: getaddrinfo cannot be cancelled and runs on the thread pool, so a name
 * server that hangs must not collect a thread for every attempt.
 */
export function sharedResolve(resolve: ResolveHost = resolveHost): ResolveHost {
  const waiting = new Map<string, Parameters<ResolveHost>[1][]>()
  return (hostname, done) => {
    const others = waiting.get(hostname)
    if (others !== undefined) {
      others.push(done)
      return
    }
    waiting.set(hostname, [done])
    resolve(hostname, (error, addresses) => {
      const all = waiting.get(hostname) ?? []
      waiting.delete(hostname)
      for (const each of all) each(error, addresses)
    })
  }
}

/**
 * A `lookup` for node's sockets that refuses a name if any of its addresses is out of reach: the very addresses that it
 * hands over are the ones connected to.
 */
export function guardedLookup(reach: AddressReach, resolve: ResolveHost): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, (error, addresses) => {
      if (error !== null) return callback(error, '', 0)
      const refused = addresses.find(({ address }) => !mayReach(address, reach))
      if (refused !== undefined) return callback(new AddressRefused(hostname, refused.address), '', 0)
      if (options.all === true) return callback(null, [...addresses])
      const [first] = addresses
      return callback(null, first?.address ?? '', first?.family ?? 0)
    })
  }
}
