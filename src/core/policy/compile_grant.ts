// What a policy gives, built from scratch out of constants and verified claims. What does not depend on claims is
// made once and shared by every request.
import type { Claims, JsonValue } from '#core/claims.ts'
import { deny, ok } from '#core/result.ts'
import type { Result } from '#core/result.ts'
import { checkClaimReference, claimReader } from './claim_reference.ts'
import { checkOutputClaim, reservedOutput, reservedPrefix } from './outputs.ts'
import { problemAt } from './problem.ts'
import type { LocalProblem, PolicyProblem } from './problem.ts'
import { parseTemplate } from './template.ts'
import type { Template } from './template.ts'
import type { GrantSource, PolicyGrant, PolicySource } from './trust_policy.ts'

/** Gives the grant, or denies with `policy_output_refused`: a policy that holds has decided, there is no next one. */
export type GrantMaker = (claims: Claims) => Result<PolicyGrant>

type Parts = {
  readonly username: Template | undefined
  readonly claims: readonly (readonly [string, Template])[]
}

export function compileGrant(source: PolicySource, problems: PolicyProblem[]): GrantMaker {
  const { grant } = source
  for (const problem of groupProblems(grant)) problems.push(problem)
  const parts = compileTemplates(grant, problems)
  const fixed: PolicyGrant = {
    policy: source.name,
    audiences: Object.freeze([...grant.audiences]),
    groups: Object.freeze([...new Set(grant.groups)]),
    username: undefined,
    claims: Object.freeze({}),
    scopes: grant.scopes === undefined ? undefined : Object.freeze([...grant.scopes]),
    ttlSeconds: grant.ttlSeconds,
    singleUse: grant.singleUse,
  }
  if (grant.groupsFrom === undefined && parts.username === undefined && parts.claims.length === 0) {
    const shared = ok(Object.freeze(fixed))
    return () => shared
  }
  const groupsOf = groupMapper(grant, fixed.groups)
  return (claims) => makeGrant(fixed, parts, groupsOf, claims)
}

function makeGrant(
  fixed: PolicyGrant,
  parts: Parts,
  groupsOf: (claims: Claims) => readonly string[],
  claims: Claims,
): Result<PolicyGrant> {
  const { policy } = fixed
  const username = parts.username?.render(claims)
  if (username?.ok === false) return refused(policy, `grant.username: ${username.detail}`)
  const prefix = username === undefined ? undefined : reservedPrefix(username.text)
  if (prefix !== undefined) return refused(policy, `grant.username: begins with the reserved "${prefix}"`)
  const flat: Record<string, string> = {}
  for (const [name, template] of parts.claims) {
    const rendered = template.render(claims)
    if (!rendered.ok) return refused(policy, `grant.claims.${name}: ${rendered.detail}`)
    flat[name] = rendered.text
  }
  return ok({ ...fixed, groups: groupsOf(claims), username: username?.text, claims: flat })
}

function refused(policy: string, detail: string): Result<PolicyGrant> {
  return deny({ reason: 'policy_output_refused', policy, detail })
}

/** Static groups and those that the claim's value or values stand for. Values without an entry give nothing. */
function groupMapper(grant: GrantSource, fixed: readonly string[]): (claims: Claims) => readonly string[] {
  if (grant.groupsFrom === undefined) return () => fixed
  const read = claimReader(grant.groupsFrom.claim)
  const table: ReadonlyMap<JsonValue | undefined, readonly string[]> = new Map(
    Object.entries(grant.groupsFrom.groups),
  )
  return (claims) => {
    const value = read(claims)
    const values: readonly (JsonValue | undefined)[] = isList(value) ? value : [value]
    return [...new Set([...fixed, ...values.flatMap((one) => table.get(one) ?? [])])]
  }
}

function isList(value: JsonValue | undefined): value is readonly JsonValue[] {
  return Array.isArray(value)
}

function compileTemplates(grant: GrantSource, problems: PolicyProblem[]): Parts {
  const found = (keys: readonly string[], problem: LocalProblem): void => {
    problems.push(problemAt('error', ['grant', ...keys], problem))
  }
  const compile = (keys: readonly string[], text: string): Template | undefined => {
    const parsed = parseTemplate(text)
    if (parsed.ok) return parsed.template
    found(keys, parsed.problem)
    return undefined
  }
  const username = grant.username === undefined ? undefined : compile(['username'], grant.username)
  const prefix = username === undefined ? undefined : reservedPrefix(username.head)
  if (username !== undefined && prefix !== undefined) {
    found(['username'], reservedOutput(username.text, prefix))
  }
  const claims: (readonly [string, Template])[] = []
  for (const [name, text] of Object.entries(grant.claims)) {
    const problem = checkOutputClaim(name)
    if (problem !== undefined) found(['claims', name], problem)
    const template = compile(['claims', name], text)
    if (template !== undefined) claims.push([name, template])
  }
  return { username, claims }
}

/** Groups are constants, so every reserved name is found here and none can come out at run time. */
function* groupProblems(grant: GrantSource): Generator<PolicyProblem> {
  for (const { group, keys } of everyGroup(grant)) {
    const prefix = reservedPrefix(group)
    if (prefix !== undefined) yield problemAt('error', keys, reservedOutput(group, prefix))
    if (group.includes('${')) {
      yield problemAt('error', keys, {
        code: 'output_group_template',
        message: `"${group}" would be a group of that very name: groups are not templates`,
        wayOut: 'list the groups of each value under groupsFrom, so that no free text becomes a group',
      })
    }
  }
  const reference = grant.groupsFrom === undefined ? undefined : checkClaimReference(grant.groupsFrom.claim)
  if (reference !== undefined) yield problemAt('error', ['grant', 'groupsFrom', 'claim'], reference)
}

/** Every group that a grant can give, and where it stands below the policy. */
export function* everyGroup(
  grant: GrantSource,
): Generator<{ readonly group: string; readonly keys: readonly (string | number)[] }> {
  for (const [index, group] of grant.groups.entries()) yield { group, keys: ['grant', 'groups', index] }
  for (const [value, groups] of Object.entries(grant.groupsFrom?.groups ?? {})) {
    for (const [index, group] of groups.entries()) {
      yield { group, keys: ['grant', 'groupsFrom', 'groups', value, index] }
    }
  }
}
