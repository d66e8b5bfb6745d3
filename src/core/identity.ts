// Who a subject token speaks of, in Dex's terms (connector.Identity). Built from scratch from verified claims;
// never a spread of the token.
import type { SubjectDenial } from './denial.ts'
import { reservedPrefix } from './policy/outputs.ts'

export type Identity = {
  /** Dex's user id: field 1 of the encoded `sub`. For presets the issuer's immutable id. */
  readonly userId: string
  /** Becomes the claim `name`. */
  readonly username: string
  readonly preferredUsername: string
  readonly email: string
  readonly emailVerified: boolean
  readonly groups: readonly string[]
}

/**
 * The denial of an identity that bears a reserved name. Everything that a relying party may take for a user or a group
 * counts, the e-mail too: kube-apiserver puts no prefix before it.
 */
export function checkReservedNames(identity: Identity): SubjectDenial | undefined {
  const group = identity.groups.find((name) => reservedPrefix(name) !== undefined)
  if (group !== undefined) return { reason: 'identity_group_reserved', group }
  const { username, preferredUsername, email } = identity
  for (const [claim, name] of Object.entries({
    name: username,
    preferred_username: preferredUsername,
    email,
  }))
    if (reservedPrefix(name) !== undefined) return { reason: 'identity_name_reserved', claim, name }
  return undefined
}
