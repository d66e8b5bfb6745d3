// What Kubernetes calls whoever the broker lets in: the names of a policy's grant with the prefixes that the
// AuthenticationConfiguration puts before them. auth-config writes the prefixes, rbac binds the names, explain shows them.
import type { AudienceProfile } from '#core/audience.ts'
import { isJsonObject, stringClaim } from '#core/claims.ts'
import type { Claims, JsonObject } from '#core/claims.ts'
import type { Connector } from '#core/connector.ts'
import { encodeSubject } from '#core/dex/subject.ts'
import { presetOf } from '#core/issuer/presets.ts'
import type { IssuerPreset } from '#core/issuer/preset.ts'
import { everyGroup } from '#core/policy/compile_grant.ts'
import { parseTemplate } from '#core/policy/template.ts'
import type { ClaimPin, PolicySource } from '#core/policy/trust_policy.ts'

/** The claims of our tokens that can name the user; the first of a profile is its default. */
export const USERNAME_CLAIMS = {
  kubernetes: ['username', 'sub'],
  dex: ['email', 'name', 'preferred_username', 'sub'],
} as const satisfies Readonly<Record<Exclude<AudienceProfile, 'rfc9068'>, readonly string[]>>
export type KubeProfile = keyof typeof USERNAME_CLAIMS
export type UsernameClaim = (typeof USERNAME_CLAIMS)[KubeProfile][number]

/** How an AuthenticationConfiguration makes Kubernetes names of our claims. */
export type KubeNaming = {
  readonly usernameClaim: UsernameClaim
  readonly usernamePrefix: string
  readonly groupsPrefix: string
}

export function kubeUsername(name: string, naming: KubeNaming): string {
  return `${naming.usernamePrefix}${name}`
}

export function kubeGroup(name: string, naming: KubeNaming): string {
  return `${naming.groupsPrefix}${name}`
}

const MAX_PREFIX_LENGTH = 64

/** What is wrong with a prefix, or `undefined`. An empty one is a choice, and a warning elsewhere. */
export function prefixProblem(prefix: string): string | undefined {
  if (prefix.startsWith('system:')) return 'names that begin with system: belong to Kubernetes'
  if (prefix.length > MAX_PREFIX_LENGTH) return `it is longer than ${MAX_PREFIX_LENGTH} characters`
  // A blank or a control character in a name is invisible in a binding; a lone surrogate is no text.
  return /[\s\p{C}]/u.test(prefix) ? 'it has blanks, control characters or broken text' : undefined
}

/** Who a policy makes somebody, in Kubernetes' words. */
export type PolicySubjects = {
  readonly user: PolicyUser
  /** Each group that it can give, with the claim that decides where one does (`groupsFrom`). */
  readonly groups: readonly { readonly name: string; readonly decidedBy: string | undefined }[]
}

export type PolicyUser =
  | {
      readonly kind: 'exact'
      readonly names: readonly string[]
      /** Claims in the name that can be given up and registered again by somebody else. */
      readonly mutable: readonly string[]
    }
  /** Claims decide that neither a pin nor the caller gives: no binding can say who that is. */
  | { readonly kind: 'open'; readonly text: string; readonly asks: readonly string[] }
  /** The name stands in a claim of the dex profile that the issuer fills, not the policy. */
  | { readonly kind: 'issuer'; readonly claim: string }

/** Names that the values of pinned lists make: more are no longer a binding that somebody reads. */
const MAX_NAMES = 32

/** Values of claims by name or JSON pointer, as the caller states them. */
export type GivenClaims = Readonly<Record<string, string>>

export function policySubjects(
  policy: PolicySource,
  connector: Connector,
  profile: KubeProfile,
  naming: KubeNaming,
  given: GivenClaims = {},
): PolicySubjects {
  return {
    user: policyUser(policy, connector, profile, naming, given),
    groups: policyGroups(policy, naming),
  }
}

function policyGroups(policy: PolicySource, naming: KubeNaming): PolicySubjects['groups'] {
  const groups = new Map<string, string | undefined>()
  for (const { group, keys } of everyGroup(policy.grant)) {
    const name = kubeGroup(group, naming)
    const decidedBy = keys[1] === 'groupsFrom' ? policy.grant.groupsFrom?.claim : undefined
    // A group that is given anyway is not decided by a claim.
    if (!groups.has(name) || decidedBy === undefined) groups.set(name, decidedBy)
  }
  return [...groups].map(([name, decidedBy]) => ({ name, decidedBy }))
}

function policyUser(
  policy: PolicySource,
  connector: Connector,
  profile: KubeProfile,
  naming: KubeNaming,
  given: GivenClaims,
): PolicyUser {
  const { usernameClaim } = naming
  // The claim `sub` is made of ids, whatever the policy calls somebody.
  const template = usernameClaim === 'sub' ? undefined : policy.grant.username
  const isIssuers = usernameClaim === 'email' || (usernameClaim !== 'sub' && template === undefined)
  if (profile === 'dex' && isIssuers) return { kind: 'issuer', claim: usernameClaim }
  const known = knownClaims(policy, given)
  const preset = presetOf(connector.preset)
  const user =
    template === undefined ? idUser(connector, preset, known, profile) : templateUser(template, preset, known)
  if (user.kind !== 'exact') return { ...user, text: kubeUsername(user.text, naming) }
  return { ...user, names: user.names.map((name) => kubeUsername(name, naming)) }
}

type LocalUser = Exclude<PolicyUser, { kind: 'issuer' }>

/** The text of `grant.username` for every combination of known values. */
function templateUser(text: string, preset: IssuerPreset, known: KnownClaims): LocalUser {
  const parsed = parseTemplate(text)
  // The loader has refused such a policy.
  if (!parsed.ok) throw new Error(`a username that is no template was let in: ${parsed.problem.message}`)
  const { claims, render } = parsed.template
  const asks = claims.filter((claim) => !known.has(claim))
  const sets = combinations(known, claims)
  if (asks.length > 0 || sets === undefined)
    return { kind: 'open', text, asks: asks.length > 0 ? asks : claims }
  const names = sets.flatMap((set) => {
    const rendered = render(set)
    return rendered.ok ? [rendered.text] : []
  })
  const mutable = [...new Set(claims)].filter((claim) => preset.mutablePins.includes(claim))
  return { kind: 'exact', names: [...new Set(names)], mutable }
}

/**
 * What the broker writes as `sub`, and as `username` where the policy says none: `<connector>:<immutable id>`, or Dex's encoding
 * of the two.
 */
function idUser(
  connector: Connector,
  preset: IssuerPreset,
  known: KnownClaims,
  profile: KubeProfile,
): LocalUser {
  const named = (ids: readonly string[], mutable: readonly string[]): LocalUser => ({
    kind: 'exact',
    names: [...new Set(ids)].map((id) =>
      profile === 'dex' ? encodeSubject(id, connector.id) : `${connector.id}:${id}`,
    ),
    mutable,
  })
  const { userIdKey } = connector.mapping
  const wanted = userIdKey === 'sub' ? idClaims(preset) : [userIdKey]
  const read = (claims: Claims): string | undefined =>
    userIdKey === 'sub' ? preset.immutableId(claims) : stringClaim(claims, userIdKey)
  if (wanted.every((claim) => known.has(claim))) {
    const ids =
      combinations(known, wanted)
        ?.map(read)
        .filter((id) => id !== undefined) ?? []
    if (ids.length > 0)
      return named(
        ids,
        userIdKey === 'sub' ? [] : wanted.filter((claim) => preset.mutablePins.includes(claim)),
      )
  }
  // Forgejo 15 and Buildkite have a second best: names, where the token carries no id.
  const names = preset.mutablePins.filter((claim) => known.has(claim))
  const ids =
    userIdKey === 'sub'
      ? combinations(known, names)
          ?.map(read)
          .filter((id) => id !== undefined)
      : undefined
  if (ids !== undefined && ids.length > 0) return named(ids, names)
  const text = `${connector.id}:${wanted.map((claim) => `\${${claim}}`).join('/')}`
  return { kind: 'open', text, asks: wanted.filter((claim) => !known.has(claim)) }
}

/** The claims that the preset's id is made of: the first set of pins that gives one. */
function idClaims(preset: IssuerPreset): readonly string[] {
  const set = preset.immutablePins.find(
    (claims) => preset.immutableId(nested(claims.map((claim) => [claim, 'x']))) !== undefined,
  )
  return set ?? ['sub']
}

/** Values that a claim can have when the policy holds; claims that may have any are absent. */
type KnownClaims = ReadonlyMap<string, readonly string[]>

function knownClaims(policy: PolicySource, given: GivenClaims): KnownClaims {
  const known = new Map<string, readonly string[]>()
  for (const [claim, pin] of Object.entries(policy.claims)) {
    const values = pinnedTexts(pin)
    if (values !== undefined) known.set(claim, values)
  }
  for (const [claim, value] of Object.entries(given)) known.set(claim, [value])
  return known
}

/** Whether the policy can hold for a claim of this value; only exact pins tell. */
export function pinAllows(policy: PolicySource, claim: string, value: string): boolean {
  const pin = policy.claims[claim]
  const values = pin === undefined ? undefined : pinnedTexts(pin)
  return values === undefined || values.includes(value)
}

/** Whether every name that the policy gives is tied to an id that nobody can register again. */
export function pinsImmutableId(policy: PolicySource, preset: IssuerPreset): boolean {
  const exact = new Set(
    Object.entries(policy.claims).flatMap(([claim, pin]) => (pinnedTexts(pin) === undefined ? [] : [claim])),
  )
  return preset.immutablePins.some((set) => set.every((claim) => exact.has(claim)))
}

function pinnedTexts(pin: ClaimPin): readonly string[] | undefined {
  switch (pin.kind) {
    case 'exact':
      return [String(pin.value)]
    case 'any_of':
      return pin.values.map(String)
    case 'prefix':
    case 'glob':
    case 're2':
      return undefined
  }
}

/** One set of claims for each combination of the known values of `claims`; `undefined` when they are too many. */
function combinations(known: KnownClaims, claims: readonly string[]): readonly Claims[] | undefined {
  let sets: (readonly (readonly [string, string])[])[] = [[]]
  for (const claim of new Set(claims)) {
    const values = known.get(claim) ?? []
    if (sets.length * values.length > MAX_NAMES) return undefined
    sets = sets.flatMap((set) => values.map((value) => set.concat([[claim, value]])))
  }
  return sets.map(nested)
}

/** Claims by name and by JSON pointer, as the objects in which readers look for them. */
function nested(values: readonly (readonly [string, string])[]): Claims {
  return values.reduce<JsonObject>((claims, [name, value]) => {
    const [first = '', ...rest] = name.startsWith('/') ? pointerSegments(name) : [name]
    return withMember(claims, first, rest, value)
  }, {})
}

/** RFC 6901. */
function pointerSegments(pointer: string): string[] {
  return pointer
    .slice(1)
    .split('/')
    .map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~'))
}

function withMember(object: JsonObject, name: string, path: readonly string[], value: string): JsonObject {
  const [first, ...rest] = path
  const before = Object.hasOwn(object, name) ? object[name] : undefined
  const inner = isJsonObject(before) ? before : {}
  // fromEntries defines members, so that a claim called __proto__ is a claim like any other.
  return Object.fromEntries([
    ...Object.entries(object).filter(([other]) => other !== name),
    [name, first === undefined ? value : withMember(inner, first, rest, value)],
  ])
}
