// Step 6: a token that may be used once is claimed atomically in the store. The key is the hash of what was signed, so
// that an issuer without `jti` (Forgejo) is covered and a second spelling of the signature is the same token.
import type { Target } from '#core/audience.ts'
import type { Clock } from '#core/clock.ts'
import type { Connector } from '#core/connector.ts'
import type { SingleUse } from '#core/issuer/preset.ts'
import { deny, ok } from '#core/result.ts'
import type { Result } from '#core/result.ts'
import { StoreFailure } from '#platform/store/store.ts'
import type { Store } from '#platform/store/store.ts'
import type { Subject } from '../connectors/subject.ts'

/** How long an opaque token, whose expiry nobody tells us, stays claimed. */
const OPAQUE_CLAIM_SECONDS = 24 * 60 * 60

/**
 * Claims the subject token for this target, if it may be used only once. `per_audience`: each named audience is claimed by
 * itself, so that a token used for A is not good for "A and B" again. A claim stays when signing fails afterwards: replay
 * safety before a retry on a rare fault.
 */
export async function claimReplay(
  subject: Subject,
  connector: Connector,
  singleUse: SingleUse,
  target: Target,
  client: string,
  deps: { readonly store: Pick<Store, 'claimOnce'>; readonly clock: Clock },
): Promise<Result<undefined>> {
  if (singleUse === 'off') return ok(undefined)
  const exp = subject.token.exp ?? Math.floor(deps.clock() / 1000) + OPAQUE_CLAIM_SECONDS
  const expiresAt = (exp + connector.clockSkewSeconds + 1) * 1000
  // Without the connector: two of them may share an issuer, and the token is one.
  const token = `replay/${subject.token.hash}`
  const keys = singleUse === 'once' ? [token] : placesOf(target, client).map((place) => `${token}/${place}`)
  try {
    for (const key of keys) {
      const first = await deps.store.claimOnce(key, expiresAt)
      if (!first) return deny({ reason: 'subject_replayed', scope: singleUse })
    }
    return ok(undefined)
  } catch (error) {
    if (error instanceof StoreFailure) return deny({ reason: 'store_unavailable', detail: error.message })
    throw error
  }
}

/** The named audiences without the client's own id, which the dex profile adds anyway; the client when it is all. */
function placesOf(target: Target, client: string): readonly string[] {
  const others = [...new Set(target.audiences)].filter((id) => id !== client).sort()
  return others.length === 0 ? [client] : others
}
