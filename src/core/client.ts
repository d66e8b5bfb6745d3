// A client authenticates to the broker. Plain data; how its credential is checked stands in broker/clients.
import type { GrantType } from './oauth/names.ts'

export type Client = {
  readonly id: string
  /** Dex's client name: the `name` of a client_credentials token. */
  readonly name: string
  readonly auth: ClientAuth
  /** Dex `public: true`: no client_credentials, also when it has a secret. A client of method `none` is public anyway. */
  readonly isPublic?: boolean
  /** Grants this client may use; `undefined` means every served grant (Dex has no such list). */
  readonly grants: readonly GrantType[] | undefined
  /** Connectors whose tokens it may exchange; empty means all (Dex `allowedConnectors`). */
  readonly connectors: readonly string[]
  /** Audiences of a request that names none. Empty: the client itself, as Dex does. */
  readonly defaultAudiences: readonly string[]
  /** `sub` of its client_credentials tokens: Dex's protobuf, or the plain client id (seed 000's GroupBinding). */
  readonly subject: 'dex' | 'plain'
  /** Groups of its client_credentials tokens (Dex `clientCredentialsClaims.groups`). */
  readonly groups: readonly string[]
  /** Lifetime of its tokens; `undefined` means the broker's default. */
  readonly ttlSeconds: number | undefined
}

export type ClientAuth =
  | { readonly method: 'none' }
  /** PHC strings (core/secret_hash.ts), one or two: two while a secret is rotated. */
  | { readonly method: 'client_secret'; readonly hashes: readonly string[] }
  /** RFC 7523 §2.2; `jwks` holds public JWKs. */
  | { readonly method: 'private_key_jwt'; readonly jwks: readonly Readonly<Record<string, unknown>>[] }
  /** The CI token itself is the credential: it must verify at `connector` and hold `policy`. */
  | { readonly method: 'federated_jwt'; readonly connector: string; readonly policy: string }
