// An issuer's discovery document: its own claim to be that issuer, and where its keys are. Kept for an hour.
// OpenID Connect Discovery 1.0 §3 and §4.3, RFC 8414 §3.3.
import type { Clock } from '#core/clock.ts'
import { readStrictJsonObject } from '#core/jwt/strict_json.ts'
import type { JsonLimits } from '#core/jwt/strict_json.ts'
import type { Result } from '#core/result.ts'
import type { BoundedFetch } from '#platform/egress/bounded_fetch.ts'

type DiscoveryDocument = {
  readonly jwksUri: string
  readonly userinfoEndpoint: string | undefined
}

/** For whole documents of at most 256 KiB: discovery, key sets, userinfo. */
export const DOCUMENT_JSON_LIMITS: JsonLimits = { maxDepth: 16, maxNames: 4000, maxItems: 2000 }

export interface Discovery {
  /** The document at hand, or the one that is being fetched, or a new one. */
  read(): Promise<Result<DiscoveryDocument, string>>
  /** Why the last fetch failed, for a few seconds: an issuer that is down is not asked by every caller in turn. */
  recentFailure(): string | undefined
  forget(): void
}

export type DiscoveryDeps = {
  readonly clock: Clock
  readonly fetch: BoundedFetch
  /** What `issuer` in the document may be, byte for byte. */
  readonly issuers: readonly string[]
}

/** Endpoints move less often than keys do. */
const TTL_MS = 3_600_000
const FAILURE_TTL_MS = 3000

export function createDiscovery(url: string, { clock, fetch, issuers }: DiscoveryDeps): Discovery {
  let held: { readonly document: DiscoveryDocument; readonly at: number } | undefined
  let failed: { readonly detail: string; readonly at: number } | undefined
  let flight: Promise<Result<DiscoveryDocument, string>> | undefined

  const load = async (): Promise<Result<DiscoveryDocument, string>> => {
    try {
      const document = await fetchDiscovery(url, fetch, issuers)
      const at = clock()
      if (document.ok) held = { document: document.value, at }
      failed = document.ok ? undefined : { detail: document.denial, at }
      return document
    } finally {
      flight = undefined
    }
  }
  return {
    async read() {
      if (held !== undefined && isWithin(clock() - held.at, TTL_MS)) return { ok: true, value: held.document }
      flight ??= load()
      return flight
    },
    recentFailure() {
      return failed !== undefined && isWithin(clock() - failed.at, FAILURE_TTL_MS) ? failed.detail : undefined
    },
    forget() {
      held = undefined
    },
  }
}

async function fetchDiscovery(
  url: string,
  fetch: BoundedFetch,
  issuers: readonly string[],
): Promise<Result<DiscoveryDocument, string>> {
  const answer = await fetch.get(url)
  if (!answer.ok) return no(`discovery: ${answer.kind}: ${answer.detail}`)
  if (answer.status !== 200) return no(`discovery: status ${answer.status}`)
  return readDiscovery(answer.body, issuers)
}

/** A clock that jumped back makes an entry look newer than now: then it does not count. */
function isWithin(age: number, limit: number): boolean {
  return age >= 0 && age < limit
}

/** Without a trailing slash of the issuer, as Dex and go-oidc build it. */
export function discoveryUrlOf(issuer: string): string {
  return `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
}

/** `issuers`: what `issuer` in the document may be, byte for byte. Whether its URLs may be reached, egress decides. */
function readDiscovery(body: Buffer, issuers: readonly string[]): Result<DiscoveryDocument, string> {
  const read = readStrictJsonObject(body, DOCUMENT_JSON_LIMITS)
  if (!read.ok) return no(`discovery document: ${read.denial}`)
  const { issuer, jwks_uri: jwksUri, userinfo_endpoint: userinfoEndpoint } = read.value
  if (typeof issuer !== 'string') return no('discovery document names no issuer')
  if (!issuers.includes(issuer)) return no('discovery document names another issuer')
  if (typeof jwksUri !== 'string') return no('discovery document names no jwks_uri')
  if (userinfoEndpoint !== undefined && typeof userinfoEndpoint !== 'string')
    return no('userinfo_endpoint is not a string')
  return { ok: true, value: { jwksUri, userinfoEndpoint } }
}

function no(denial: string): Result<never, string> {
  return { ok: false, denial }
}
