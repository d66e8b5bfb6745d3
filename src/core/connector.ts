// A connector is a source of subject tokens (Dex's word). Resolved configuration as plain data.
import type { PresetName, SingleUse } from './issuer/preset.ts'
import type { GrantType } from './oauth/names.ts'

export type Connector = {
  readonly id: string
  readonly name: string
  /** `mock` answers for any token (Dex mockCallback, development flag only); `unserved` has no exchange. */
  readonly kind: 'issuer' | 'mock' | 'unserved'
  /** The type as configured (`oidc`, `gitlab-ci`, `ldap`, ...), for messages. */
  readonly type: string
  readonly preset: PresetName
  /** Compared byte for byte with `iss`; Dex's `issuerAlias` already applied. */
  readonly issuer: string
  readonly keys: KeySource
  readonly tls: { readonly caPem: string | undefined; readonly insecureSkipVerify: boolean }
  /** Hosts other than the issuer's that its documents may point at. */
  readonly trustedHosts: readonly string[]
  /** Values of `aud` one of which a subject token must carry. */
  readonly audiences: readonly string[]
  /** The token must carry exactly one audience. */
  readonly strictAudience: boolean
  readonly algorithms: readonly string[]
  readonly headerTypes: readonly string[]
  readonly clockSkewSeconds: number
  readonly maxAgeSeconds: number | undefined
  readonly maxLifetimeSeconds: number
  readonly singleUse: SingleUse
  /** Left out: `refuse`. */
  readonly whenStoreFails?: WhenStoreFails
  /** Dex `getUserInfo`: opaque tokens are proven by one GET at userinfo. */
  readonly userinfo: boolean
  readonly mapping: IdentityMapping
  /** Grants it serves; empty means all (Dex connectors[].grantTypes). */
  readonly grants: readonly GrantType[]
  /** Whether a token needs a policy that holds. False only in Dex mode for a connector that no policy names. */
  readonly needsPolicy: boolean
  /** Dex type `gitlab`: the token is proven by GitLab's user API instead of by its signature. */
  readonly gitlabApi?: GitlabApi
}

/**
 * What becomes of a token that is good once while nobody can tell whether it was used. `accept_replays`: it is exchanged, once
 * at each broker process that cannot reach the store.
 */
export type WhenStoreFails = 'refuse' | 'accept_replays'

/** Options of Dex's `gitlab` connector that matter to an exchange (dex connector/gitlab). */
export type GitlabApi = {
  readonly baseUrl: string
  readonly useLoginAsId: boolean
  readonly groups: readonly string[]
  readonly getGroupsPermission: boolean
  readonly inheritedGroups: boolean
}

export type KeySource =
  /** Discovery at `<issuer without trailing slash>/.well-known/openid-configuration`, or at `url`. */
  | {
      readonly kind: 'discovery'
      readonly url: string | undefined
      /** Dex providerDiscoveryOverrides.jwksURL / userInfoURL. */
      readonly jwksUri: string | undefined
      readonly userinfoUri: string | undefined
      /** Issuer that the document may carry besides `issuer` (Dex issuerAlias). */
      readonly documentIssuer: string
    }
  | { readonly kind: 'jwks_uri'; readonly uri: string; readonly userinfoUri: string | undefined }
  | { readonly kind: 'file'; readonly path: string }

/** Dex's `oidc` connector options that map claims to an identity (reference: dex connector/oidc createIdentity). */
export type IdentityMapping = {
  readonly userIdKey: string
  readonly userNameKey: string
  /** Dex: the user name claim must exist. Presets fall back to the immutable id. */
  readonly userNameRequired: boolean
  readonly preferredUsernameKey: string | undefined
  readonly emailKey: string | undefined
  readonly groupsKey: string | undefined
  readonly overrideClaimMapping: boolean
  /** Dex: `email` among the connector's scopes makes a missing email fatal. */
  readonly emailRequired: boolean
  readonly insecureSkipEmailVerified: boolean
  /** A name or id that is the e-mail needs a verified one. Native only: Dex takes it as it comes. */
  readonly emailNamesVerified?: boolean
  readonly groupsEnabled: boolean
  readonly allowedGroups: readonly string[]
  /** RE2, unanchored, over entries of an array claim. */
  readonly groupsFilter: string | undefined
  readonly groupPrefix: string
  readonly groupSuffix: string
  readonly newGroups: readonly NewGroupFromClaims[]
}

export type NewGroupFromClaims = {
  readonly claims: readonly string[]
  readonly delimiter: string
  readonly clearDelimiter: boolean
  readonly prefix: string
}
