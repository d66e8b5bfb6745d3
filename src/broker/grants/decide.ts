// Step 4 of both grants: what a verified subject is worth here. A connector that a policy names needs one that holds;
// only a Dex configuration without policies for a connector falls back to Dex's rule, "who is verified may ask".
import type { Client } from '#core/client.ts'
import type { Clock } from '#core/clock.ts'
import type { Connector } from '#core/connector.ts'
import type { Levers } from '#core/levers.ts'
import { decidePolicies, policiesOf } from '#core/policy/decide.ts'
import type { PolicyIndex } from '#core/policy/decide.ts'
import type { PolicyGrant } from '#core/policy/trust_policy.ts'
import { deny, ok } from '#core/result.ts'
import type { Result } from '#core/result.ts'
import type { Subject } from '../connectors/subject.ts'

export type DecideDeps = {
  readonly policies: PolicyIndex
  readonly clock: Clock
  readonly levers: () => Levers
}

/** The grant of the first policy that holds; `undefined` where no policy is needed. */
export function decideGrant(
  subject: Subject,
  client: Client,
  connector: Connector,
  named: string,
  deps: DecideDeps,
): Result<PolicyGrant | undefined> {
  const policies = policiesOf(deps.policies, connector.id)
  if (policies.length === 0 && !connector.needsPolicy) {
    return named === '' ? ok(undefined) : deny({ reason: 'policy_unknown', policy: named })
  }
  return decidePolicies(policies, {
    claims: subject.claims,
    client: client.id,
    connector: connector.id,
    issuer: connector.issuer,
    now: deps.clock(),
    named: named === '' ? undefined : named,
    switchedOff: deps.levers().disabled('policy'),
  })
}

/** As `decideGrant`, for a client whose very credential is the policy it names. */
export function decideNamed(
  subject: Subject,
  client: Client,
  connector: Connector,
  named: string,
  deps: DecideDeps,
): Result<PolicyGrant> {
  const grant = decideGrant(subject, client, connector, named, deps)
  if (!grant.ok) return grant
  return grant.value === undefined ? deny({ reason: 'policy_unknown', policy: named }) : ok(grant.value)
}
