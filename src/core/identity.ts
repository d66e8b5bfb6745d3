// Who a subject token speaks of, in Dex's terms (connector.Identity). Built from scratch from verified claims;
// never a spread of the token.

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
