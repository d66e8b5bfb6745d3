// Groups of an identity, by the rules of Dex's `oidc` connector (reference: dex connector/oidc createIdentity), plus two
// of ours: a token never brings a reserved group, and never more than MAX_GROUPS.
import { RE2JS } from 're2js'
import { claimAt, isJsonObject } from '#core/claims.ts'
import type { Claims, JsonValue } from '#core/claims.ts'
import type { IdentityMapping, NewGroupFromClaims } from '#core/connector.ts'
import { reservedPrefix } from '#core/policy/outputs.ts'
import { deny, ok } from '#core/result.ts'
import type { Result } from '#core/result.ts'

/** A token for a place carries its groups in a header; 200 names of 40 characters are the usual 8 KiB. */
export const MAX_GROUPS = 200

type GroupsFilter = (group: string) => boolean
export type GroupsFilterCompiled =
  | { readonly ok: true; readonly test: GroupsFilter }
  | { readonly ok: false; readonly detail: string }

/** RE2, unanchored, flags allowed: what Go's regexp accepts. Loaders refuse a pattern that does not compile. */
export function compileGroupsFilter(pattern: string): GroupsFilterCompiled {
  try {
    const compiled = RE2JS.compile(pattern)
    return { ok: true, test: (group) => compiled.test(group) }
  } catch (error) {
    return { ok: false, detail: error instanceof Error ? error.message : String(error) }
  }
}

/** In Dex's order: claim, filter, allowed groups, prefix and suffix, new groups from claims. */
export function mapGroups(claims: Claims, mapping: IdentityMapping): Result<readonly string[]> {
  const given = mapping.groupsEnabled ? givenGroups(claims, mapping) : ok<readonly string[]>([])
  if (!given.ok) return given
  const allowed = mapping.groupsEnabled ? allowedGroups(given.value, mapping) : given
  if (!allowed.ok) return allowed
  const { groupPrefix: prefix, groupSuffix: suffix } = mapping
  const renamed = allowed.value.map((group) => `${prefix}${group}${suffix}`)
  const added = mapping.newGroups.map((rule) => newGroup(claims, rule)).filter((group) => group !== undefined)
  const groups = [...renamed, ...added]
  // Before renaming as well: neither the claim nor what is made of it (identity.ts) may be a reserved name.
  const reserved = allowed.value.find((group) => reservedPrefix(group) !== undefined)
  if (reserved !== undefined) return deny({ reason: 'identity_group_reserved', group: reserved })
  return groups.length > MAX_GROUPS ? tooMany('groups', groups.length) : ok(groups)
}

/** An array of names or of objects with a `name`, filtered; or a single name, which Dex does not filter. */
function givenGroups(claims: Claims, mapping: IdentityMapping): Result<readonly string[]> {
  const { claim, value } = groupsClaim(claims, mapping)
  if (typeof value === 'string') return ok([value])
  if (!Array.isArray(value)) return ok([])
  const keep = groupsFilterOf(mapping)
  const groups: string[] = []
  for (const entry of value) {
    const group = groupName(entry)
    if (group === 'malformed') {
      return deny({
        reason: 'subject_claim_invalid',
        claim,
        detail: 'an entry is neither a string nor an object',
      })
    }
    if (group.name !== undefined && keep(group.name)) groups.push(group.name)
  }
  return groups.length > MAX_GROUPS ? tooMany(claim, groups.length) : ok(groups)
}

/** `groups`, unless it is no array or the configuration prefers its own key. */
function groupsClaim(
  claims: Claims,
  mapping: IdentityMapping,
): { claim: string; value: JsonValue | undefined } {
  const native = claimAt(claims, 'groups')
  if (mapping.groupsKey !== undefined && (mapping.overrideClaimMapping || !Array.isArray(native))) {
    return { claim: mapping.groupsKey, value: claimAt(claims, mapping.groupsKey) }
  }
  return { claim: 'groups', value: native }
}

/** An object without a string `name` gives nothing, as in Dex; a number or null spoils the claim. */
function groupName(entry: JsonValue): { name: string | undefined } | 'malformed' {
  if (typeof entry === 'string') return { name: entry }
  if (!isJsonObject(entry)) return 'malformed'
  const name = claimAt(entry, 'name')
  return { name: typeof name === 'string' ? name : undefined }
}

function allowedGroups(groups: readonly string[], mapping: IdentityMapping): Result<readonly string[]> {
  if (mapping.allowedGroups.length === 0) return ok(groups)
  const allowed = groups.filter((group) => mapping.allowedGroups.includes(group))
  if (allowed.length > 0) return ok(allowed)
  return deny({ reason: 'identity_groups_not_allowed', allowed: mapping.allowedGroups })
}

/** `prefix`, then every named claim that is a string, joined; `undefined` when none is. */
function newGroup(claims: Claims, rule: NewGroupFromClaims): string | undefined {
  const values = rule.claims
    .map((name) => claimAt(claims, name))
    .filter((value) => typeof value === 'string')
    // A value that holds the delimiter could pass for two segments.
    .map((value) => (rule.clearDelimiter ? value.replaceAll(rule.delimiter, '') : value))
  return values.length === 0 ? undefined : [rule.prefix, ...values].join(rule.delimiter)
}

function tooMany(claim: string, count: number): Result<never> {
  return deny({ reason: 'subject_claim_invalid', claim, detail: `${count} groups, at most ${MAX_GROUPS}` })
}

/** Compiled once for each mapping; an entry goes with the configuration that held it. */
const filters = new WeakMap<IdentityMapping, GroupsFilter>()

function groupsFilterOf(mapping: IdentityMapping): GroupsFilter {
  const pattern = mapping.groupsFilter
  if (pattern === undefined) return () => true
  const known = filters.get(mapping)
  if (known !== undefined) return known
  const compiled = compileGroupsFilter(pattern)
  // Dex would go on without a filter and let every group through.
  if (!compiled.ok) throw new Error(`a groups filter that does not compile was let in: ${compiled.detail}`)
  filters.set(mapping, compiled.test)
  return compiled.test
}
