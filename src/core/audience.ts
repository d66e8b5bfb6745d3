// Relying parties, and who may name them. RFC 8693 §2.1, RFC 8707, Dex `trustedPeers`.
import type { Client } from './client.ts'
import { deny, ok } from './result.ts'
import type { Result } from './result.ts'

/** `dex`: aud as Dex. `kubernetes`: that audience alone, flat claims, at most 15 min. `rfc9068`: JWT access token. */
export type AudienceProfile = 'dex' | 'kubernetes' | 'rfc9068'

export type Audience = {
  readonly id: string
  readonly profile: AudienceProfile
  /** Clients that may ask for it (Dex keeps this list on the target, too). */
  readonly trustedPeers: readonly string[]
  /** RFC 8707 resource URIs that mean this audience, compared as strings. */
  readonly resources: readonly string[]
  /** Longest lifetime of a token for it; `undefined`: no own limit. */
  readonly maxTtlSeconds: number | undefined
}

export type Target = {
  /** In request order, without the client's own id unless it was asked for; only the dex profile keeps duplicates. */
  readonly audiences: readonly string[]
  readonly profile: AudienceProfile
  /** The shortest `maxTtlSeconds` among them. */
  readonly maxTtlSeconds: number | undefined
}

export type AudienceTable = ReadonlyMap<string, Audience>

/**
 * Resolves the audiences one client asks for. Every refused one is reported, none is dropped. A client always
 * trusts itself; without any request the client's defaults hold, and without those the client itself is meant.
 */
export function resolveAudiences(
  requested: readonly string[],
  client: Client,
  table: AudienceTable,
): Result<Target> {
  const audiences = requested.length > 0 ? requested : client.defaultAudiences
  const refused = audiences.filter((id) => !mayName(client, id, table))
  if (refused.length > 0) return deny({ reason: 'audience_not_trusted', client: client.id, refused })
  // Tokens of the dex profile carry the client's own id, too, so what that id wants counts as well.
  const named = audiences.map((id) => table.get(id)?.profile ?? 'dex')
  const carried = named.includes('dex') || named.length === 0 ? [...audiences, client.id] : audiences
  const profiles = new Set(carried.map((id) => table.get(id)?.profile ?? 'dex'))
  const [profile = 'dex', second] = [...profiles]
  if (second !== undefined) return deny({ reason: 'audience_profiles_mixed', profiles: [...profiles] })
  // kube-apiserver must be able to say "for me alone", so a token of this profile names one audience.
  if (profile === 'kubernetes' && new Set(audiences).size > 1) {
    return deny({ reason: 'audience_profiles_mixed', profiles: audiences.map(() => 'kubernetes') })
  }
  return ok({
    // Dex says an audience as often as it was asked for. To kube-apiserver and RFC 9068 readers two of one are not one.
    audiences: profile === 'dex' ? audiences : [...new Set(audiences)],
    profile,
    maxTtlSeconds: shortest(carried.map((id) => table.get(id)?.maxTtlSeconds)),
  })
}

/** Whether `client` may name `id` as audience: itself, or a known audience that lists it. */
export function mayName(client: Client, id: string, table: AudienceTable): boolean {
  return id === client.id || (table.get(id)?.trustedPeers.includes(client.id) ?? false)
}

function shortest(limits: readonly (number | undefined)[]): number | undefined {
  const set = limits.filter((limit) => limit !== undefined)
  return set.length === 0 ? undefined : Math.min(...set)
}
