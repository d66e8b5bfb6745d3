// kube-apiserver's AuthenticationConfiguration (apiserver.config.k8s.io, Kubernetes 1.30 to 1.37) as data: what the file
// says, in the words of k8s.io/apiserver/pkg/apis/apiserver. An absent text is '' and an absent list is empty, as Go's
// decoder leaves them; where the apiserver tells absent from empty the type says `undefined`.

export const AUTHENTICATION_API_GROUP = 'apiserver.config.k8s.io'
export const AUTHENTICATION_KIND = 'AuthenticationConfiguration'
export type AuthenticationApiVersion = 'v1alpha1' | 'v1beta1' | 'v1'

export type AuthenticationConfiguration = {
  readonly version: AuthenticationApiVersion
  readonly jwt: readonly JwtAuthenticator[]
  readonly anonymous: AnonymousAuth | undefined
}

export type JwtAuthenticator = {
  readonly issuer: JwtIssuer
  readonly claimValidationRules: readonly ClaimValidationRule[]
  readonly claimMappings: ClaimMappings
  readonly userValidationRules: readonly UserValidationRule[]
}

export type JwtIssuer = {
  readonly url: string
  /** `undefined` and '' are not the same to the apiserver. */
  readonly discoveryURL: string | undefined
  /** PEM; '' means the system's roots. */
  readonly certificateAuthority: string
  readonly audiences: readonly string[]
  readonly audienceMatchPolicy: string
  readonly egressSelectorType: string
}

export type ClaimValidationRule = {
  readonly claim: string
  readonly requiredValue: string
  readonly expression: string
  readonly message: string
}

export type ClaimMappings = {
  readonly username: PrefixedClaimOrExpression
  readonly groups: PrefixedClaimOrExpression
  readonly uid: ClaimOrExpression
  readonly extra: readonly ExtraMapping[]
}

/** `prefix` is `undefined` where the key is absent: with `claim` it must be there, if only as ''. */
export type PrefixedClaimOrExpression = ClaimOrExpression & { readonly prefix: string | undefined }
export type ClaimOrExpression = { readonly claim: string; readonly expression: string }
export type ExtraMapping = { readonly key: string; readonly valueExpression: string }
export type UserValidationRule = { readonly expression: string; readonly message: string }

export type AnonymousAuth = {
  readonly enabled: boolean
  readonly conditions: readonly { readonly path: string }[]
}
