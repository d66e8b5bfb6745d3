// Audiences as sets, said a second time.
import type { Audience } from '../../../src/core/audience.ts'

type SlowTarget = {
  readonly audiences: readonly string[]
  readonly profile: string
  readonly maxTtlSeconds: number | undefined
}

/** `undefined`: must be refused. Audiences are sorted, once each. */
export function slowResolved(
  requested: readonly string[],
  defaults: readonly string[],
  client: string,
  known: readonly Audience[],
): SlowTarget | undefined {
  const find = (id: string) => known.find((one) => one.id === id)
  const asked = new Set(requested.length > 0 ? requested : defaults)
  for (const id of asked)
    if (id !== client && find(id)?.trustedPeers.includes(client) !== true) return undefined
  const profileOf = (id: string) => find(id)?.profile ?? 'dex'
  // Of the dex profile, the client's own id stands in the token as well.
  const meant = new Set(asked)
  if (asked.size === 0 || [...asked].some((id) => profileOf(id) === 'dex')) meant.add(client)
  const [profile = 'dex', ...others] = new Set([...meant].map(profileOf))
  if (others.length > 0 || (profile === 'kubernetes' && asked.size > 1)) return undefined
  const limits = [...meant].flatMap((id) => find(id)?.maxTtlSeconds ?? [])
  return {
    audiences: [...asked].sort(),
    profile,
    maxTtlSeconds: limits.length === 0 ? undefined : Math.min(...limits),
  }
}

/** The set that is asked for, sorted; `undefined`: must be refused. */
export function slowRequested(
  byScope: readonly string[],
  named: readonly string[],
  resources: readonly string[],
  known: readonly Audience[],
): readonly string[] | undefined {
  const scopes = [...new Set(byScope)].sort()
  if (named.length + resources.length === 0) return scopes
  const parameters = new Set(named)
  for (const resource of resources) {
    const isUri = URL.canParse(resource) && !resource.includes('#') && !/\s/.test(resource)
    const audience = known.find((one) => one.resources.includes(resource))
    if (!isUri || audience === undefined) return undefined
    parameters.add(audience.id)
  }
  const sorted = [...parameters].sort()
  if (scopes.length === 0) return sorted
  return JSON.stringify(scopes) === JSON.stringify(sorted) ? scopes : undefined
}
