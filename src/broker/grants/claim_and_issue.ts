// The last steps of every grant, with a place at the signer: where it has none nothing is burned.
import type { DecisionFacts } from '#core/audit_event.ts'
import type { Result } from '#core/result.ts'
import type { StepTrace } from '#core/step_trace.ts'
import type { Issued, TokenOrder } from '../tokens/issue.ts'
import type { GrantDeps } from './grant_deps.ts'
import { claimUses, placesOf } from './replay.ts'
import type { TokenUse } from './replay.ts'

/** `uses`: the tokens that this request spends. */
export function claimAndIssue(
  uses: readonly TokenUse[],
  order: TokenOrder,
  deps: GrantDeps,
  facts: DecisionFacts,
  trace: StepTrace,
): Promise<Result<Issued>> {
  return deps.atSigner(async () => {
    const claim = await claimUses(uses, placesOf(order.target, order.client.id), deps, facts)
    if (!claim.ok) return claim
    trace.enter('mint')
    return deps.issue(order, facts)
  })
}
