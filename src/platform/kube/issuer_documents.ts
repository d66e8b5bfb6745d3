// An issuer's discovery document and keys, fetched and read as kube-apiserver 1.36 and 1.37 do (go-oidc v2.5
// `NewProvider`, `updateKeys`; go-jose v2.6; cachecontrol v0.1): 200 only, redirects followed, one odd key spoils all.
import type { JwtIssuer } from '#core/kube/authentication_configuration.ts'
import { goText } from '#core/kube/go_claims.ts'
import { goQuoted, readGoJson } from '#core/kube/go_json.ts'
import type { GoJson } from '#core/kube/go_json.ts'
import { readGoJoseKeySet } from '#core/kube/go_jose_keys.ts'
import type { GoJoseKey, KeySetFailure } from '#core/kube/go_jose_keys.ts'
import type { Result } from '#core/result.ts'
import { createBoundedFetch } from '#platform/egress/bounded_fetch.ts'
import type { BoundedFetch, FetchFailure, Fetched } from '#platform/egress/bounded_fetch.ts'
import type { AddressReach } from '#platform/egress/address_rules.ts'
import type { EgressRules, ResolveHost } from '#platform/egress/egress_guard.ts'

export type IssuerDocuments =
  | { readonly kind: 'not discovered'; readonly failure: DocumentFailure }
  | {
      readonly kind: 'discovered'
      readonly jwksUri: string
      readonly redirects: readonly string[]
      readonly keys: Result<IssuerKeys, DocumentFailure>
    }

export type DocumentFailure = {
  readonly what: 'discovery' | 'keys'
  readonly why:
    | 'unreachable'
    | 'not looked at'
    | 'status'
    | 'unreadable'
    | 'another issuer'
    | 'no jwks_uri'
    | 'odd key'
  readonly url: string
  /** For people; the apiserver's words where it has any. */
  readonly detail: string
  /** Of an odd key: its place in the set. */
  readonly odd: KeySetFailure | undefined
}

export type IssuerKeys = {
  readonly keys: readonly GoJoseKey[]
  readonly body: Buffer
  readonly redirects: readonly string[]
  readonly freshness: Freshness
}

/** How long the apiserver takes the keys for fresh, and which header said so. */
export type Freshness = {
  readonly seconds: number
  readonly from: 's-maxage' | 'max-age' | 'Expires' | 'Last-Modified' | 'nothing'
}

export type IssuerDeps = {
  readonly clock: () => number
  readonly resolve?: ResolveHost
  /** Milliseconds for all requests to one issuer together; 30 s unless said. */
  readonly totalMs?: number
}

/** As long as the apiserver's own client waits; a slow redirect after the other would hold a person ten times the limit of one. */
const TOTAL_MS = 30_000
/** Of one request. */
const LIMITS = { totalMs: 10_000, maxBodyBytes: 1024 * 1024 }
const MAX_REDIRECTS = 10

/**
 * Asks one issuer. Hosts that the file itself names (issuer.url, issuer.discoveryURL) may lie in a private network and
 * on loopback: the operator wrote them, and clusters keep their issuers there. Hosts that only the issuer's documents
 * name (jwks_uri, redirects) are reached at public addresses alone, so that an issuer cannot make an administrator's
 * machine knock at its neighbours; the apiserver would go there, so that is told as `not looked at`. Nothing of what
 * comes back is printed but names and numbers. Plain http is followed, as the apiserver does, and told by the caller.
 * The system's roots are Node's and those of this machine, which may not be the apiserver's.
 */
export async function readIssuerDocuments(issuer: JwtIssuer, deps: IssuerDeps): Promise<IssuerDocuments> {
  const open = (hosts: EgressRules['hosts']): BoundedFetch =>
    createBoundedFetch({
      rules: { hosts },
      tls: {
        caPem: issuer.certificateAuthority === '' ? undefined : issuer.certificateAuthority,
        withSystemRoots: false,
        insecureSkipVerify: false,
      },
      limits: LIMITS,
      ...(deps.resolve === undefined ? {} : { resolve: deps.resolve }),
    })
  const named = open(hostsOf([issuer.url, issuer.discoveryURL ?? ''], 'private'))
  const { totalMs = TOTAL_MS } = deps
  const deadline = performance.now() + totalMs
  const get: GetOnce = async (url) => {
    const timeoutMs = deadline - performance.now()
    if (timeoutMs <= 0)
      return {
        ok: false,
        kind: 'timeout',
        detail: `everything together took longer than ${totalMs / 1000} s`,
      }
    const answer = await named.get(url, { timeoutMs })
    if (answer.ok || answer.kind !== 'host') return answer
    const abroad = open(hostsOf([url], 'public'))
    try {
      return await abroad.get(url, { timeoutMs })
    } finally {
      abroad.close()
    }
  }
  try {
    return await discover(issuer, { get: (url) => follow(url, get), clock: deps.clock })
  } finally {
    named.close()
  }
}

/** Where the apiserver looks for the discovery document. */
export function kubeDiscoveryUrl({ url, discoveryURL }: JwtIssuer): string {
  return discoveryURL === undefined || discoveryURL === ''
    ? `${url.replace(/\/$/, '')}/.well-known/openid-configuration`
    : discoveryURL
}

function hostsOf(urls: readonly string[], reach: AddressReach): EgressRules['hosts'] {
  const named = urls.filter((url) => URL.canParse(url)).map((url) => new URL(url).hostname)
  return new Map(named.map((host) => [host, { reach, http: true }]))
}

type GetOnce = (url: string) => Promise<Fetched | FetchFailure>
type Answer = Fetched & { readonly redirects: readonly string[] }
type Asking = {
  readonly get: (
    url: string,
  ) => Promise<Result<Answer, { readonly isGuarded: boolean; readonly detail: string }>>
  readonly clock: () => number
}

async function follow(url: string, get: GetOnce): ReturnType<Asking['get']> {
  const redirects: string[] = []
  let next = url
  for (;;) {
    const answer = await get(next)
    if (answer.ok) return { ok: true, value: { ...answer, redirects } }
    const { kind, detail, location = '' } = answer
    if (kind !== 'redirect' || !URL.canParse(location, next)) {
      return {
        ok: false,
        denial: { isGuarded: kind === 'address' || kind === 'url', detail: `${kind}: ${detail}` },
      }
    }
    if (redirects.length === MAX_REDIRECTS)
      return { ok: false, denial: { isGuarded: false, detail: `stopped after ${MAX_REDIRECTS} redirects` } }
    next = new URL(location, next).href
    redirects.push(next)
  }
}

async function discover(issuer: JwtIssuer, asking: Asking): Promise<IssuerDocuments> {
  const url = kubeDiscoveryUrl(issuer)
  const fail = (why: DocumentFailure['why'], detail: string): IssuerDocuments => ({
    kind: 'not discovered',
    failure: { what: 'discovery', why, url, detail, odd: undefined },
  })
  const answer = await asking.get(url)
  if (!answer.ok) return fail(answer.denial.isGuarded ? 'not looked at' : 'unreachable', answer.denial.detail)
  if (answer.value.status !== 200) return fail('status', `status ${answer.value.status}`)
  const json = readGoJson(answer.value.body)
  if (!json.ok) return fail('unreadable', decodeFailure(answer.value.contentType, json.denial))
  const named = member(json.value, 'issuer')
  const jwksUri = member(json.value, 'jwks_uri')
  if (!named.ok || !jwksUri.ok)
    return fail('unreadable', named.ok ? (jwksUri.ok ? '' : jwksUri.denial) : named.denial)
  if (named.value !== issuer.url)
    return fail(
      'another issuer',
      `oidc: issuer did not match the issuer returned by provider, expected ${goQuoted(issuer.url)} got ${goQuoted(named.value)}`,
    )
  if (jwksUri.value === '') return fail('no jwks_uri', 'provider did not return JWKS URL')
  return {
    kind: 'discovered',
    jwksUri: jwksUri.value,
    redirects: answer.value.redirects,
    keys: await readKeys(jwksUri.value, asking),
  }
}

async function readKeys(url: string, asking: Asking): Promise<Result<IssuerKeys, DocumentFailure>> {
  const fail = (
    why: DocumentFailure['why'],
    detail: string,
    odd?: KeySetFailure,
  ): Result<never, DocumentFailure> => ({ ok: false, denial: { what: 'keys', why, url, detail, odd } })
  const answer = await asking.get(url)
  if (!answer.ok) return fail(answer.denial.isGuarded ? 'not looked at' : 'unreachable', answer.denial.detail)
  const { status, body, contentType, redirects } = answer.value
  if (status !== 200) return fail('status', `status ${status}`)
  const keys = readGoJoseKeySet(body)
  if (!keys.ok)
    return fail(
      keys.denial.index === undefined ? 'unreadable' : 'odd key',
      keySetFailureText(keys.denial, contentType),
      keys.denial,
    )
  const freshness = freshnessOf(answer.value, asking.clock())
  return { ok: true, value: { keys: keys.value, body, redirects, freshness } }
}

/** What the apiserver logs of such a set, behind `failed to verify signature: `; it puts the whole body after it. */
export function keySetFailureText({ message }: KeySetFailure, contentType: string): string {
  return `fetching keys oidc: failed to decode keys: ${decodeFailure(contentType, message)}`
}

function decodeFailure(contentType: string, message: string): string {
  return /^\s*application\/json\s*(?:;|$)/i.test(contentType)
    ? `got Content-Type = application/json, but could not unmarshal as JSON: ${message}`
    : `expected Content-Type = application/json, got ${goQuoted(contentType)}: ${message}`
}

function member(document: GoJson, name: string): Result<string, string> {
  if (document.kind !== 'object') return { ok: false, denial: 'not an object' }
  const value = document.members.findLast(([key]) => key.toLowerCase() === name)?.[1]
  return value === undefined ? { ok: true, value: '' } : goText(value)
}

const HEURISTIC_SHARE = 0.1
const HEURISTIC_MAX_SECONDS = 86_400

/**
 * RFC 9111 §4.2 as cachecontrol v0.1 reckons it for go-oidc, which asks for the moment of expiry alone: no-store and
 * no-cache beside a max-age change nothing, and without any of them a Last-Modified makes a tenth of its age, at most
 * a day. A header that it cannot read means: expired at once.
 */
export function freshnessOf(
  { cacheControl, dates }: Pick<Fetched, 'cacheControl' | 'dates'>,
  now: number,
): Freshness {
  const nothing: Freshness = { seconds: 0, from: 'nothing' }
  const dateMs = dates.date === '' ? now : httpTime(dates.date)
  const modifiedMs = dates.lastModified === '' ? undefined : httpTime(dates.lastModified)
  if (Number.isNaN(dateMs) || Number.isNaN(modifiedMs)) return nothing
  for (const directive of ['s-maxage', 'max-age'] as const) {
    const value = directiveOf(cacheControl, directive)
    if (value === undefined) continue
    return /^\d+$/.test(value) ? { seconds: Math.min(Number(value), 2 ** 31 - 1), from: directive } : nothing
  }
  const expiresMs = dates.expires === '' ? Number.NaN : httpTime(dates.expires)
  if (!Number.isNaN(expiresMs)) return { seconds: Math.max(0, (expiresMs - dateMs) / 1000), from: 'Expires' }
  if (modifiedMs === undefined) return nothing
  const share = Math.max(0, ((now - modifiedMs) / 1000) * HEURISTIC_SHARE)
  return { seconds: Math.min(share, HEURISTIC_MAX_SECONDS), from: 'Last-Modified' }
}

/** RFC 9110 §5.6.7; Date.parse alone takes `0` for the year 2000. */
function httpTime(text: string): number {
  return /^[A-Z][a-z]{2,8}, ?\d\d[ -].* GMT$/.test(text) ? Date.parse(text) : Number.NaN
}

function directiveOf(cacheControl: string, name: string): string | undefined {
  const found = new RegExp(`(?:^|[\\s,])${name}\\s*=\\s*"?([^\\s,"]*)`, 'i').exec(cacheControl)
  return found?.[1]
}
