// Who a verified token speaks of. Dex's `oidc` connector mapping, rule for rule (reference: dex connector/oidc
// createIdentity); for the other presets the issuer's immutable id is the user. Built from scratch, never a spread.
import { claimAt } from '#core/claims.ts'
import type { Claims } from '#core/claims.ts'
import type { Connector, IdentityMapping } from '#core/connector.ts'
import { checkReservedNames } from '#core/identity.ts'
import type { Identity } from '#core/identity.ts'
import type { PresetName } from '#core/issuer/preset.ts'
import { presetOf } from '#core/issuer/presets.ts'
import { reservedPrefix } from '#core/policy/outputs.ts'
import { deny, ok } from '#core/result.ts'
import type { Denied, Result } from '#core/result.ts'
import type { SubjectDenial } from '#core/denial.ts'
import { mapGroups } from './map_groups.ts'

/**
 * Claim names are literal, or JSON pointers when they begin with `/` (claims.ts). An empty string is a present claim,
 * as in Dex, except for `sub` and the user id.
 */
export function mapIdentity(claims: Claims, connector: Connector): Result<Identity> {
  const { mapping } = connector
  // 1. the subject, which must be there even when another claim is the user id
  const sub = textAt(claims, 'sub')
  if (sub === undefined || sub === '') return missing('sub', 'must be a non-empty string')
  // 2. names
  const username = usernameOf(claims, connector, sub)
  if (!username.ok) return username
  // 3. e-mail
  const email = emailOf(claims, mapping)
  if (!email.ok) return email
  const emailVerified = emailVerifiedOf(claims, mapping)
  if (!emailVerified.ok) return emailVerified
  if (isNamedByEmail(mapping) && !emailVerified.value) {
    const detail = 'must be true where the e-mail names the user'
    return deny({ reason: 'subject_claim_invalid', claim: 'email_verified', detail })
  }
  // 4. groups
  const groups = mapGroups(claims, mapping)
  if (!groups.ok) return groups
  // 5. the user id
  const userId = userIdOf(claims, connector, sub)
  if (!userId.ok) return userId
  const identity = {
    userId: userId.value,
    username: username.value,
    preferredUsername: preferredUsernameOf(claims, mapping),
    email: email.value,
    emailVerified: emailVerified.value,
    groups: groups.value,
  }
  // 6. no name that means something to others
  const reserved = checkReservedNames(identity)
  return reserved === undefined ? ok(identity) : deny(reserved)
}

/**
 * The mapping of a connector that configures none. Lenient on purpose: a job has neither name nor e-mail. A Dex
 * configuration has its own defaults (name required; e-mail required with the scope `email`, which is a default).
 */
export function defaultMapping(): IdentityMapping {
  return {
    userIdKey: 'sub',
    userNameKey: 'name',
    userNameRequired: false,
    preferredUsernameKey: undefined,
    emailKey: undefined,
    groupsKey: undefined,
    overrideClaimMapping: false,
    emailRequired: false,
    insecureSkipEmailVerified: false,
    emailNamesVerified: true,
    groupsEnabled: false,
    allowedGroups: [],
    groupsFilter: undefined,
    groupPrefix: '',
    groupSuffix: '',
    newGroups: [],
  }
}

/** The configured claim; else, where the mapping allows, what a person would call the workload. */
function usernameOf(claims: Claims, connector: Connector, sub: string): Result<string> {
  const { userNameKey, userNameRequired } = connector.mapping
  const configured = textAt(claims, userNameKey)
  if (configured !== undefined) return ok(configured)
  if (userNameRequired) return missing(userNameKey, 'must be a string')
  const preset = presetOf(connector.preset)
  // Nobody asked for `sub` as the name, so a ServiceAccount's (`system:serviceaccount:...`) need not be refused.
  const plain = reservedPrefix(sub) === undefined ? sub : `${connector.id}:${sub}`
  return ok(preset.displayName?.(claims) ?? preset.facts(claims, connector.issuer).source ?? plain)
}

function preferredUsernameOf(claims: Claims, mapping: IdentityMapping): string {
  return (
    mapped(claims, 'preferred_username', mapping.preferredUsernameKey, mapping.overrideClaimMapping).text ??
    ''
  )
}

function emailOf(claims: Claims, mapping: IdentityMapping): Result<string> {
  const email = mapped(claims, 'email', mapping.emailKey, mapping.overrideClaimMapping)
  if (email.text === undefined && mapping.emailRequired) return missing(email.claim, 'must be a string')
  return ok(email.text ?? '')
}

/** Only JSON true is verified. The string "true" counts as absent, and absent as true only when told so. */
function emailVerifiedOf(claims: Claims, mapping: IdentityMapping): Result<boolean> {
  const verified = claimAt(claims, 'email_verified')
  if (typeof verified === 'boolean') return ok(verified)
  if (mapping.insecureSkipEmailVerified) return ok(true)
  return mapping.emailRequired ? missing('email_verified', 'must be a boolean') : ok(false)
}

/** Anybody can write anybody's address into an account; only a verified one says who it is. */
function isNamedByEmail(mapping: IdentityMapping): boolean {
  if (mapping.emailNamesVerified !== true) return false
  return [mapping.userIdKey, mapping.userNameKey, mapping.preferredUsernameKey].includes('email')
}

/** A configured key counts for every preset; without one a preset knows a better id than `sub`. */
function userIdOf(claims: Claims, connector: Connector, sub: string): Result<string> {
  const { userIdKey } = connector.mapping
  const userId = userIdKey === 'sub' ? immutableId(claims, connector.preset, sub) : textAt(claims, userIdKey)
  if (userId === undefined || userId === '') return missing(userIdKey, 'must be a non-empty string')
  // Dex's `sub` is protobuf, whose strings are UTF-8.
  if (userId.isWellFormed()) return ok(userId)
  return deny({ reason: 'subject_claim_invalid', claim: userIdKey, detail: 'not well-formed Unicode' })
}

function immutableId(claims: Claims, preset: PresetName, sub: string): string {
  return presetOf(preset).immutableId(claims) ?? sub
}

/** Dex's precedence: the standard claim, unless it is absent or the configured key overrides it. */
function mapped(
  claims: Claims,
  standard: string,
  configured: string | undefined,
  override: boolean,
): { readonly claim: string; readonly text: string | undefined } {
  const text = textAt(claims, standard)
  if (configured === undefined || (text !== undefined && !override)) return { claim: standard, text }
  return { claim: configured, text: textAt(claims, configured) }
}

function textAt(claims: Claims, name: string): string | undefined {
  const value = claimAt(claims, name)
  return typeof value === 'string' ? value : undefined
}

function missing(claim: string, detail: string): Denied<SubjectDenial> {
  return deny({ reason: 'identity_claim_missing', claim, detail })
}
