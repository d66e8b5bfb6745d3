// What an issued token says, built from scratch for each audience profile. Claim order of the `dex` profile is Dex's
// (server/tokens); the others state what kube-apiserver and RFC 9068 want.
import type { Target } from '#core/audience.ts'
import type { JsonObject, JsonValue } from '#core/claims.ts'
import { grantedScope } from '#core/dex/scopes.ts'
import type { Scopes } from '#core/dex/scopes.ts'
import type { Identity } from '#core/identity.ts'
import type { SourceFacts } from '#core/issuer/preset.ts'
import { reservedPrefix } from '#core/policy/outputs.ts'

export type TokenSubject = {
  /** Dex's encoded `sub`. */
  readonly dex: string
  /** `<connector>:<immutable id>`, or the client id. */
  readonly plain: string
}

export type TokenContents = {
  readonly issuer: string
  readonly client: string
  readonly grant: 'token-exchange' | 'client_credentials'
  readonly target: Target
  readonly subject: TokenSubject
  readonly identity: Identity
  readonly connector: string
  readonly scopes: Scopes
  /** Scopes that the policy lists; `undefined` when it lists none. */
  readonly allowedScopes: readonly string[] | undefined
  readonly nonce: string
  /** The policy that granted it; `undefined` in Dex mode without one, and for client_credentials. */
  readonly policy: string | undefined
  readonly username: string | undefined
  readonly facts: SourceFacts
  /** Flat string claims that the policy adds. */
  readonly extra: Readonly<Record<string, string>>
  readonly times: TokenTimes
  readonly jti: string
  /** `at_hash`; `undefined` leaves it out. */
  readonly atHash: string | undefined
}

/** Seconds since the epoch. */
export type TokenTimes = { readonly iat: number; readonly nbf: number | undefined; readonly exp: number }

/** Outside the dex profile `iat` and `nbf` lie this far back, for verifiers whose clock is a little behind. */
const BACKDATE_SECONDS = 5

export function tokenTimes(profile: Target['profile'], nowSeconds: number, ttlSeconds: number): TokenTimes {
  if (profile === 'dex') return { iat: nowSeconds, nbf: undefined, exp: nowSeconds + ttlSeconds }
  const iat = nowSeconds - BACKDATE_SECONDS
  return { iat, nbf: iat, exp: iat + ttlSeconds }
}

/** The payload; members that are `undefined` are absent (JSON.stringify leaves them out). */
export function tokenClaims(contents: TokenContents): Readonly<Record<string, JsonValue | undefined>> {
  const claims = profileClaims(contents)
  // A policy adds claims; it never replaces one that the profile states (the linter refuses such names at load, too).
  for (const [name, value] of Object.entries(contents.extra))
    if (!Object.hasOwn(claims, name)) claims[name] = value
  return claims
}

function profileClaims(contents: TokenContents): Record<string, JsonValue | undefined> {
  switch (contents.target.profile) {
    case 'dex':
      return dexClaims(contents)
    case 'kubernetes':
      return kubernetesClaims(contents)
    case 'rfc9068':
      return accessTokenClaims(contents)
  }
}

/**
 * Dex's `aud` and `azp`: the requested ids in order, then the client unless it is among them; a string when one,
 * `azp` only when several.
 */
export function dexAudience(
  audiences: readonly string[],
  client: string,
): { aud: JsonValue; azp: string | undefined } {
  const all = audiences.includes(client) ? audiences : [...audiences, client]
  return all.length === 1 ? { aud: all[0] ?? client, azp: undefined } : { aud: all, azp: client }
}

function dexClaims(contents: TokenContents): Record<string, JsonValue | undefined> {
  const { identity, scopes, times } = contents
  const { aud, azp } = dexAudience(contents.target.audiences, contents.client)
  const name = contents.username ?? identity.username
  const preferredUsername = contents.username ?? identity.preferredUsername
  return {
    iss: contents.issuer,
    sub: contents.subject.dex,
    aud,
    exp: times.exp,
    iat: times.iat,
    jti: contents.jti,
    azp,
    nonce: contents.nonce === '' ? undefined : contents.nonce,
    at_hash: contents.atHash,
    email: scopes.email && identity.email !== '' ? identity.email : undefined,
    email_verified: scopes.email ? identity.emailVerified : undefined,
    groups: scopes.groups && identity.groups.length > 0 ? identity.groups : undefined,
    name: scopes.profile && name !== '' ? name : undefined,
    preferred_username: scopes.profile && preferredUsername !== '' ? preferredUsername : undefined,
    federated_claims: scopes.federatedId ? federatedClaims(contents) : undefined,
    // Dex knows no policies, and its configurations without ours give none.
    policy: contents.policy,
  }
}

function federatedClaims(contents: TokenContents): JsonObject {
  return {
    ...(contents.connector === '' ? {} : { connector_id: contents.connector }),
    ...(contents.identity.userId === '' ? {} : { user_id: contents.identity.userId }),
  }
}

function kubernetesClaims(contents: TokenContents): Record<string, JsonValue | undefined> {
  return {
    ...registeredClaims(contents),
    azp: contents.client,
    token_use: 'kube',
    username: contents.username ?? contents.subject.plain,
    uid: contents.identity.userId,
    groups: contents.identity.groups.length > 0 ? contents.identity.groups : undefined,
    ...sourceClaims(contents),
  }
}

function accessTokenClaims(contents: TokenContents): Record<string, JsonValue | undefined> {
  return {
    ...registeredClaims(contents),
    client_id: contents.client,
    scope: grantedScope(contents.scopes, contents.allowedScopes),
    grant: contents.grant,
    username: contents.username,
    groups: contents.identity.groups.length > 0 ? contents.identity.groups : undefined,
    ...sourceClaims(contents),
  }
}

function registeredClaims(contents: TokenContents): Record<string, JsonValue | undefined> {
  const { audiences } = contents.target
  return {
    iss: contents.issuer,
    sub: unreserved(contents.subject.plain),
    aud:
      audiences.length === 1
        ? (audiences[0] ?? contents.client)
        : audiences.length > 1
          ? audiences
          : contents.client,
    exp: contents.times.exp,
    iat: contents.times.iat,
    nbf: contents.times.nbf,
    jti: contents.jti,
  }
}

/** The loaders refuse the ids of which a reserved name could come; should one get past them, nothing is signed. */
function unreserved(subject: string): string {
  const prefix = reservedPrefix(subject)
  if (prefix !== undefined) throw new Error(`a subject that begins with ${prefix} was let in`)
  return subject
}

function sourceClaims(contents: TokenContents): Record<string, JsonValue | undefined> {
  return { ...contents.facts, policy: contents.policy }
}
