// Step 6: a token that may be used once is claimed atomically in the store. The key is the hash of what was signed, so
// that an issuer without `jti` (Forgejo) is covered and a second spelling of the signature is the same token.
import type { Target } from '#core/audience.ts'
import type { Clock } from '#core/clock.ts'
import type { DecisionFacts } from '#core/audit_event.ts'
import type { Connector, WhenStoreFails } from '#core/connector.ts'
import type { SingleUse } from '#core/issuer/preset.ts'
import type { PolicyGrant } from '#core/policy/trust_policy.ts'
import { deny, ok } from '#core/result.ts'
import type { Result } from '#core/result.ts'
import { StoreFailure } from '#platform/store/store.ts'
import type { SpareClaims } from '#platform/store/spare_claims.ts'
import type { Store } from '#platform/store/store.ts'
import type { Subject } from '../connectors/subject.ts'

/** A token that this request uses, and how often that may be done. */
export type TokenUse = {
  readonly hash: string
  /** `off`: as often as one likes. */
  readonly singleUse: SingleUse
  readonly whenStoreFails: WhenStoreFails
  /** Milliseconds since the epoch after which the token is worth nothing. */
  readonly endsAt: number
}

/** `spare`: what was taken while the store was away; left out where nothing is given then. */
export type ClaimDeps = {
  readonly store: Pick<Store, 'claimAllOnce'>
  readonly spare?: SpareClaims
}

/** How long an opaque token, whose expiry nobody tells us, stays claimed. */
const OPAQUE_CLAIM_SECONDS = 24 * 60 * 60

/** A token as a connector and a policy let it be used. */
export function useOf(
  { token }: Subject,
  connector: Connector,
  grant: PolicyGrant | undefined,
  clock: Clock,
): TokenUse {
  const exp = token.exp ?? Math.floor(clock() / 1000) + OPAQUE_CLAIM_SECONDS
  return {
    hash: token.hash,
    singleUse: grant?.singleUse ?? connector.singleUse,
    whenStoreFails: connector.whenStoreFails ?? 'refuse',
    endsAt: (exp + connector.clockSkewSeconds + 1) * 1000,
  }
}

/** What a request for this target takes of a token: one token may be both credential and subject, and is used once then. */
export function strictestUse(first: TokenUse, second: TokenUse | undefined): readonly TokenUse[] {
  if (second === undefined) return [first]
  if (first.hash !== second.hash) return [first, second]
  return STRICTNESS.indexOf(second.singleUse) > STRICTNESS.indexOf(first.singleUse) ? [second] : [first]
}

const STRICTNESS: readonly SingleUse[] = ['off', 'per_audience', 'once']

/**
 * Claims what may be used only once, all of it or nothing, so that a refused request burns nothing. `per_audience`: a
 * token used for A is not good for "A and B" again; one that was spent `once` is spent for every audience, and the other
 * way round. A claim stays when signing fails afterwards: replay safety before a retry on a rare fault.
 *
 * Without an answer of the store nothing is given, unless all connectors that the tokens come from accept replays then; what
 * was given meanwhile stands in `spare` and in the facts.
 */
export async function claimUses(
  uses: readonly TokenUse[],
  places: readonly string[],
  { store, spare }: ClaimDeps,
  facts: Pick<DecisionFacts, 'replayScope'> = {},
): Promise<Result<undefined>> {
  const limited = uses.filter(({ singleUse }) => singleUse !== 'off')
  const [first] = limited
  if (first === undefined) return ok(undefined)
  // Without the connector: two of them may share an issuer, and the token is one.
  const claims = limited.map(({ hash, singleUse, endsAt }) => ({
    key: `replay/${hash}`,
    parts: singleUse === 'once' ? [] : places,
    expiresAt: endsAt,
  }))
  const goesOn =
    spare !== undefined && limited.every(({ whenStoreFails }) => whenStoreFails === 'accept_replays')
  const replayed = deny({
    reason: 'subject_replayed',
    scope: first.singleUse === 'once' ? 'once' : 'per_audience',
  })
  try {
    if (spare?.holds(claims) === true) return replayed
    return (await store.claimAllOnce(claims)) ? ok(undefined) : replayed
  } catch (error) {
    if (!(error instanceof StoreFailure)) throw error
    if (!goesOn) return deny({ reason: 'store_unavailable', detail: error.message })
  }
  try {
    if (!spare.take(claims)) return replayed
    facts.replayScope = 'local'
    return ok(undefined)
  } catch (error) {
    if (error instanceof StoreFailure) return deny({ reason: 'store_unavailable', detail: error.message })
    throw error
  }
}

/** The named audiences without the client's own id, which the dex profile adds anyway; the client when it is all. */
export function placesOf(target: Target, client: string): readonly string[] {
  const others = [...new Set(target.audiences)].filter((id) => id !== client)
  return others.length === 0 ? [client] : others
}
