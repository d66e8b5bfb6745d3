// Policies of a Dex configuration in native form: those of the overlay, and for each connector without one a policy
// that says openly what Dex does: whoever has a token of this issuer for this broker may ask for everything.
import type { Client } from '#core/client.ts'
import type { Connector } from '#core/connector.ts'
import { presetOf, sharedPreset } from '#core/issuer/presets.ts'
import type { ClaimPin, GrantSource, PolicySource } from '#core/policy/trust_policy.ts'
import { formatDuration } from '#platform/config/duration.ts'
import type { BrokerConfig } from '../broker_config.ts'

/** Name of the policy that stands for Dex's rule. */
export function openPolicyName(connector: string): string {
  return `dex-${connector}`
}

export function nativePolicies(
  config: BrokerConfig,
  connectors: readonly Connector[],
  clients: readonly Client[],
  audiences: readonly string[],
  left: string[],
): readonly unknown[] {
  const everything = [...new Set([...audiences, ...clients.map(({ id }) => id)])]
  const served = new Set(connectors.map(({ id }) => id))
  const kept = config.policies.filter(({ connector }) => served.has(connector))
  const open = connectors
    .filter((connector) => !connector.needsPolicy && everything.length > 0 && mayStayOpen(connector, left))
    .map((connector) => ({
      name: openPolicyName(connector.id),
      connector: connector.id,
      claims: anyToken(connector),
      grant: { audiences: everything },
    }))
  return [...kept.map((policy) => nativePolicy(policy, everything)), ...open]
}

/** sallyport.yaml has no word for letting strangers in. */
function mayStayOpen(connector: Connector, left: string[]): boolean {
  if (!admitsStrangers(connector)) return true
  left.push(
    `connector ${connector.id}: strangers get tokens from its issuer, so it needs a policy; until then it denies all`,
  )
  return false
}

/** Whether strangers' jobs get tokens of its issuer, or ones whose audience cannot be this broker. */
export function admitsStrangers({ preset, issuer }: Connector): boolean {
  return sharedPreset(issuer) !== undefined || presetOf(preset).fixedAudience !== undefined
}

/** A pin that every verified token holds. What userinfo answers has no issuer in it, but always a subject. */
function anyToken({ userinfo, issuer }: Connector): unknown {
  return userinfo ? { sub: { re2: String.raw`[\s\S]+` } } : { iss: issuer }
}

/** In Dex mode a policy without audiences grants every one; sallyport.yaml has them listed. */
function nativePolicy(policy: PolicySource, everything: readonly string[]): unknown {
  return {
    name: policy.name,
    connector: policy.connector,
    clients: policy.clients,
    claims: Object.fromEntries(Object.entries(policy.claims).map(([claim, pin]) => [claim, nativePin(pin)])),
    condition: policy.condition,
    events: policy.events,
    disabled: policy.disabled || undefined,
    notAfter: policy.notAfter === undefined ? undefined : new Date(policy.notAfter).toISOString(),
    grant: nativeGrant(policy.grant, everything),
  }
}

function nativePin(pin: ClaimPin): unknown {
  switch (pin.kind) {
    case 'exact':
      return pin.value
    case 'any_of':
      return pin.values
    case 'prefix':
      return { prefix: pin.prefix }
    case 'glob':
      return { glob: pin.pattern }
    case 're2':
      return { re2: pin.pattern }
  }
}

function nativeGrant(grant: GrantSource, everything: readonly string[]): unknown {
  return {
    audiences: grant.audiences.length === 0 ? everything : grant.audiences,
    groups: grant.groups.length === 0 ? undefined : grant.groups,
    groupsFrom: grant.groupsFrom,
    username: grant.username,
    claims: Object.keys(grant.claims).length === 0 ? undefined : grant.claims,
    scopes: grant.scopes,
    ttl: grant.ttlSeconds === undefined ? undefined : formatDuration(grant.ttlSeconds),
    singleUse: grant.singleUse,
  }
}
