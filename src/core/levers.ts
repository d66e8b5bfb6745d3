// What an operator pulls in an emergency, and what that means for a request or for a token that was issued. Disabling is
// for what is asked from now on; denying is for tokens that are out already. Kept in the store by platform/levers.
import type { Claims, JsonValue } from '#core/claims.ts'
import type { Denial } from '#core/denial.ts'

export const DISABLED_KINDS = ['client', 'connector', 'policy'] as const
export const DENIED_KINDS = ['token', 'client', 'policy'] as const
export type DisabledKind = (typeof DISABLED_KINDS)[number]
export type DeniedKind = (typeof DENIED_KINDS)[number]

/** `id`: as configured; of a token its `jti`. */
export type LeverName =
  | { readonly action: 'disable'; readonly kind: DisabledKind; readonly id: string }
  | { readonly action: 'deny'; readonly kind: DeniedKind; readonly id: string }

/** Times in milliseconds since the epoch. */
export type Lever = LeverName & {
  readonly at: number
  /** When what is denied has expired by itself; `undefined`: until somebody lifts it. */
  readonly until: number | undefined
  /** Who pulled it and why, as that person says. Of a revocation (RFC 7009): the client. */
  readonly by: string
  readonly why: string
}

/** Longest id, and longest reason, in characters. */
export const MAX_LEVER_TEXT = 256

/** Levers that people pull; more than these at once is a change of the configuration. */
export const MAX_LEVERS = 1000
/** Tokens that clients revoked and that have not expired: in all, and of one client, so that none takes the room of all. */
export const MAX_REVOKED = 10_000
export const MAX_REVOKED_BY_CLIENT = 1000

/** What clocks of replicas may be apart, and what a replica needs to follow. */
const MARGIN_MS = 60_000

/**
 * Denying a client or a policy denies what was issued until then. A replica that follows a moment later, or whose clock is
 * ahead, issues with a later time, so tokens of the next minute are denied as well.
 */
export function deniedThrough(at: number): number {
  return at + MARGIN_MS
}

/** When the last token that a denial of `at` concerns has expired. */
export function denialEnds(at: number, longestTokenSeconds: number): number {
  return deniedThrough(at) + longestTokenSeconds * 1000 + MARGIN_MS
}

/** When a denial of this one token can be forgotten: once every replica holds it for expired. `exp` in seconds. */
export function tokenDenialEnds(exp: number): number {
  return exp * 1000 + MARGIN_MS
}

/** Everything that is pulled at one moment. Needs no clock: what has expired is refused for that, denied or not. */
export class Levers {
  readonly all: readonly Lever[]
  readonly #disabled: Readonly<Record<DisabledKind, ReadonlySet<string>>>
  readonly #denied: Readonly<Record<DeniedKind, ReadonlyMap<string, Lever>>>

  constructor(all: readonly Lever[]) {
    this.all = all
    const disabled = { client: new Set<string>(), connector: new Set<string>(), policy: new Set<string>() }
    const denied = {
      token: new Map<string, Lever>(),
      client: new Map<string, Lever>(),
      policy: new Map<string, Lever>(),
    }
    for (const lever of all) {
      if (lever.action === 'disable') disabled[lever.kind].add(lever.id)
      else denied[lever.kind].set(lever.id, lever)
    }
    this.#disabled = disabled
    this.#denied = denied
  }

  /** Ids of this kind that are switched off. */
  disabled(kind: DisabledKind): ReadonlySet<string> {
    return this.#disabled[kind]
  }

  /** Why a verified token of ours is no longer good; `undefined` when no lever concerns it. */
  denialOf(claims: Claims): Extract<Denial, { reason: 'token_denied' }> | undefined {
    const { jti, policy, iat } = claims
    if (typeof jti === 'string' && this.#denied.token.has(jti)) return tokenDenied('token', jti, jti)
    const client = issuedFor(claims)
    if (client !== undefined && isIssuedBefore(iat, this.#denied.client.get(client)))
      return tokenDenied('client', client, jti)
    if (typeof policy === 'string' && isIssuedBefore(iat, this.#denied.policy.get(policy)))
      return tokenDenied('policy', policy, jti)
    return undefined
  }
}

export const NO_LEVERS = new Levers([])

/**
 * The client that a token was issued to: `client_id` (RFC 9068), `azp`, else its only audience, as in Dex. `undefined` for
 * a token for Kubernetes that a release made which named no client there.
 */
export function issuedFor({ azp, aud, client_id: clientId, token_use: use }: Claims): string | undefined {
  if (typeof clientId === 'string') return clientId
  if (typeof azp === 'string') return azp
  if (use === 'kube') return undefined
  const only = Array.isArray(aud) && aud.length === 1 ? aud[0] : aud
  return typeof only === 'string' ? only : undefined
}

function tokenDenied(
  by: DeniedKind,
  id: string,
  jti: JsonValue | undefined,
): Extract<Denial, { reason: 'token_denied' }> {
  return { reason: 'token_denied', by, id, jti: typeof jti === 'string' ? jti : '' }
}

/** A token of ours always has `iat`; without it nobody can say that it is younger. */
function isIssuedBefore(iat: JsonValue | undefined, lever: Lever | undefined): boolean {
  if (lever === undefined) return false
  return typeof iat !== 'number' || iat * 1000 <= deniedThrough(lever.at)
}
