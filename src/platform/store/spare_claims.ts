// Claims that are remembered here alone while the store is away, for those who would rather have a token exchanged twice than
// not at all. They stay until their tokens have expired, so what was taken here is not sold again here once the store is back.
import type { Clock } from '#core/clock.ts'
import { claimedToo, claimedValue } from './claim.ts'
import type { Claim } from './claim.ts'
import { StoreFailure } from './store.ts'

export type SpareClaims = {
  /** Whether anything of it was taken here. */
  readonly holds: (claims: readonly Claim[]) => boolean
  /** Takes all of it, or nothing and says so. Throws StoreFailure when it remembers too many already. */
  readonly take: (claims: readonly Claim[]) => boolean
}

export type SpareClaimsOptions = {
  readonly clock: Clock
  /** 150 bytes each; 50,000 by default. */
  readonly maxClaims?: number
}

const MAX_CLAIMS = 50_000

type Held = { readonly value: string; readonly expiresAt: number }

export function createSpareClaims({ clock, maxClaims = MAX_CLAIMS }: SpareClaimsOptions): SpareClaims {
  const held = new Map<string, Held>()

  /** `undefined`: it cannot be had. */
  function after({ key, parts, expiresAt }: Claim): (Held & { readonly key: string }) | undefined {
    const before = held.get(key)
    if (before === undefined || before.expiresAt <= clock())
      return { key, value: claimedValue(parts), expiresAt }
    const value = claimedToo(before.value, parts)
    return value === undefined ? undefined : { key, value, expiresAt: Math.max(before.expiresAt, expiresAt) }
  }

  function forgetExpired(): void {
    const now = clock()
    for (const [key, { expiresAt }] of held) if (expiresAt <= now) held.delete(key)
  }

  return {
    // Nothing is held as long as the store has always been there.
    holds: (claims) => held.size > 0 && claims.some((claim) => after(claim) === undefined),
    take(claims) {
      const taken = claims.map((claim) => after(claim))
      if (taken.includes(undefined)) return false
      if (held.size + claims.length > maxClaims) forgetExpired()
      if (held.size + claims.length > maxClaims)
        throw new StoreFailure(`the store is away, and ${maxClaims} tokens are remembered here already`)
      for (const one of taken) {
        if (one !== undefined) held.set(one.key, { value: one.value, expiresAt: one.expiresAt })
      }
      return true
    },
  }
}
