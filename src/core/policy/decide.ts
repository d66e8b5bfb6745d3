// Which policy decides: in file order the first that holds, and it alone. Grants are never united, so that adding a
// policy can never widen what another gives.
import type { Claims } from '#core/claims.ts'
import type { PolicyMiss } from '#core/denial.ts'
import { deny } from '#core/result.ts'
import type { Result } from '#core/result.ts'
import type { CompiledPolicy } from './compile_policy.ts'
import type { PolicyGrant } from './trust_policy.ts'

export type PolicyInput = {
  /** Verified claims of the subject token. */
  readonly claims: Claims
  readonly client: string
  readonly connector: string
  readonly issuer: string
  /** Milliseconds since the epoch. */
  readonly now: number
  /** The one policy that the request names (`policy=`); only that one is evaluated. */
  readonly named: string | undefined
  /** Policies that are switched off in an emergency, by name. */
  readonly switchedOff?: ReadonlySet<string>
}

/** Compiled policies by connector, each list in file order. */
export type PolicyIndex = ReadonlyMap<string, readonly CompiledPolicy[]>

/** Misses that a denial carries; the rest of a long file says nothing new. */
export const MAX_TRIED = 32

const NONE: readonly CompiledPolicy[] = Object.freeze([])

export function indexPolicies(policies: readonly CompiledPolicy[]): PolicyIndex {
  return Map.groupBy(policies, (policy) => policy.connector)
}

export function policiesOf(index: PolicyIndex, connector: string): readonly CompiledPolicy[] {
  return index.get(connector) ?? NONE
}

/**
 * The grant of the first policy that holds. `policies` may hold those of other connectors; they never take part.
 * Denies with `policy_unknown`, `policy_none_matched` (each policy tried and its first missing step), `policy_disabled` (the
 * only one that holds is switched off) or `policy_output_refused` (it holds, but what it would put out is not fit).
 */
export function decidePolicies(policies: readonly CompiledPolicy[], input: PolicyInput): Result<PolicyGrant> {
  const tried: PolicyMiss[] = []
  let known = false
  let switchedOff: string | undefined
  for (const policy of policies) {
    if (policy.connector !== input.connector) continue
    if (input.named !== undefined && policy.name !== input.named) continue
    known = true
    const miss = missOf(policy, input)
    if (miss === undefined) {
      // As if it were not there, so that another one may hold; remembered, so that the event tells why nothing did.
      if (input.switchedOff?.has(policy.name) !== true) return policy.grant(input.claims)
      switchedOff ??= policy.name
      continue
    }
    if (tried.length < MAX_TRIED) tried.push(miss)
  }
  if (input.named !== undefined && !known) return deny({ reason: 'policy_unknown', policy: input.named })
  if (switchedOff !== undefined) return deny({ reason: 'policy_disabled', policy: switchedOff })
  return deny({ reason: 'policy_none_matched', connector: input.connector, tried })
}

/** The first step of `policy` that does not hold, or `undefined`. Cheap steps first, CEL last. */
function missOf(policy: CompiledPolicy, input: PolicyInput): PolicyMiss | undefined {
  if (policy.disabled) return missed(policy, 'disabled', 'the policy is switched off')
  if (input.now > policy.notAfter) return missed(policy, 'notAfter', 'the policy has ended')
  if (policy.clients !== undefined && !policy.clients.has(input.client)) {
    return missed(policy, 'clients', 'not for this client')
  }
  for (const pin of policy.pins) {
    const detail = pin.check(input.claims)
    if (detail !== undefined) return missed(policy, pin.step, detail)
  }
  const event = policy.events?.(input.claims)
  if (event !== undefined) return missed(policy, 'events', event)
  const condition = policy.condition?.holds(input)
  if (condition?.held === false) return missed(policy, 'condition', condition.detail)
  return undefined
}

function missed(policy: CompiledPolicy, step: string, detail: string): PolicyMiss {
  return { policy: policy.name, step, detail }
}
