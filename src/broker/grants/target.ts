// Step 5 of both grants: for whom. The client must be trusted for every audience, and a policy must grant it.
import { resolveAudiences } from '#core/audience.ts'
import type { AudienceTable, Target } from '#core/audience.ts'
import type { Client } from '#core/client.ts'
import { requestedAudiences } from '#core/oauth/target.ts'
import type { PolicyGrant } from '#core/policy/trust_policy.ts'
import { deny, ok } from '#core/result.ts'
import type { Result } from '#core/result.ts'
import type { TokenRequest } from './request.ts'

/**
 * Resolves the audiences of one request. A request that names none gets the client's defaults, else the policy's
 * audience when it grants exactly one, else the client itself (Dex).
 */
export function resolveTarget(
  request: TokenRequest,
  client: Client,
  grant: PolicyGrant | undefined,
  table: AudienceTable,
): Result<Target> {
  const requested = requestedAudiences(
    {
      client: client.id,
      byScope: request.scopes.audiences,
      audience: request.audience,
      resource: request.resource,
    },
    table,
  )
  if (!requested.ok) return requested
  const granted = grant?.audiences ?? []
  const named =
    requested.value.length > 0 || client.defaultAudiences.length > 0 ? requested.value : onlyOne(granted)
  const target = resolveAudiences(named, client, table)
  if (!target.ok || grant === undefined || granted.length === 0) return target
  const audiences = target.value.audiences.length > 0 ? target.value.audiences : [client.id]
  const refused = audiences.filter((id) => !granted.includes(id))
  if (refused.length > 0) return deny({ reason: 'audience_not_granted', policy: grant.policy, refused })
  return ok(target.value)
}

/** What the caller named, as it named it, for the audit event. */
export function namedAudiences({ scopes, audience, resource }: TokenRequest): readonly string[] {
  return scopes.audiences.length > 0 ? scopes.audiences : [...audience, ...resource]
}

function onlyOne(granted: readonly string[]): readonly string[] {
  return granted.length === 1 ? granted : []
}
