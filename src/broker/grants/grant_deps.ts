// What the grants are given. createApp (broker/app.ts) builds it once for each configuration; explain builds it with a
// store that refuses to write and an `issue` that signs nothing.
import type { AudienceTable } from '#core/audience.ts'
import type { DecisionFacts } from '#core/audit_event.ts'
import type { Clock } from '#core/clock.ts'
import type { PolicyIndex } from '#core/policy/decide.ts'
import type { Result } from '#core/result.ts'
import type { SpareClaims } from '#platform/store/spare_claims.ts'
import type { Store } from '#platform/store/store.ts'
import type { ClientDeps } from '../clients/authenticate_client.ts'
import type { Issued, TokenOrder } from '../tokens/issue.ts'

export type GrantDeps = ClientDeps & {
  readonly audiences: AudienceTable
  readonly policies: PolicyIndex
  readonly store: Pick<Store, 'claimAllOnce'>
  /** What was taken while the store was away. */
  readonly spare: SpareClaims
  readonly clock: Clock
  /** Runs what burns a token and signs one with a place at the signer; denies `signer_busy` before anything is burned. */
  readonly atSigner: <T>(work: () => Promise<Result<T>>) => Promise<Result<T>>
  readonly issue: (order: TokenOrder, facts: DecisionFacts) => Promise<Result<Issued>>
}
