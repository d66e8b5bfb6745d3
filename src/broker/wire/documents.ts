// Discovery (OpenID Connect Discovery 1.0, RFC 8414) and the paths it names. Field order is Dex's; what does not work yet
// is not announced. Built anew whenever the key set or the configuration changes, never cached beyond that.
import { goJson } from '#core/dex/go_text.ts'
import type { BrokerConfig } from '../config/broker_config.ts'

export type BrokerPaths = {
  /** Path of the issuer without a trailing slash: `` or `/dex`. */
  readonly base: string
  readonly discovery: string
  readonly metadata: string
  readonly token: string
  readonly keys: string
  readonly userinfo: string
  readonly introspect: string
  readonly revoke: string
  readonly tokenReview: string
  readonly health: string
}

export function brokerPaths(issuer: string): BrokerPaths {
  const base = new URL(issuer).pathname.replace(/\/+$/, '')
  return {
    base,
    discovery: `${base}/.well-known/openid-configuration`,
    // RFC 8414 §3.1 puts the well-known part before the issuer's path.
    metadata: `/.well-known/oauth-authorization-server${base}`,
    token: `${base}/token`,
    keys: `${base}/keys`,
    userinfo: `${base}/userinfo`,
    introspect: `${base}/token/introspect`,
    revoke: `${base}/token/revoke`,
    tokenReview: `${base}/kubernetes/token-review`,
    health: `${base}/healthz`,
  }
}

/** `algorithms`: of the keys that sign now or next, from live state. */
export function discoveryDocument(config: BrokerConfig, algorithms: readonly string[]): string {
  return goJson(discoveryFields(config, algorithms), 2)
}

/** RFC 8414 metadata: the same facts. */
export function metadataDocument(config: BrokerConfig, algorithms: readonly string[]): string {
  const {
    userinfo_endpoint: _userinfo,
    claims_supported: _claims,
    ...fields
  } = discoveryFields(config, algorithms)
  return goJson(fields, 2)
}

function discoveryFields(config: BrokerConfig, algorithms: readonly string[]) {
  const at = (path: string) => `${config.issuer.replace(/\/+$/, '')}${path}`
  return {
    issuer: config.issuer,
    token_endpoint: at('/token'),
    jwks_uri: at('/keys'),
    userinfo_endpoint: at('/userinfo'),
    introspection_endpoint: at('/token/introspect'),
    revocation_endpoint: at('/token/revoke'),
    grant_types_supported: [...config.grants].sort(),
    // Required by both documents, and there is no authorization endpoint: what Kubernetes' own issuer says here.
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: algorithms,
    scopes_supported: ['openid', 'email', 'groups', 'profile', 'federated:id'],
    token_endpoint_auth_methods_supported: authMethods(config),
    ...(usesAssertions(config)
      ? { token_endpoint_auth_signing_alg_values_supported: ['RS256', 'ES256', 'PS256', 'EdDSA'] }
      : {}),
    claims_supported: CLAIMS,
  }
}

const CLAIMS = [
  'iss',
  'sub',
  'aud',
  'iat',
  'exp',
  'email',
  'email_verified',
  'name',
  'preferred_username',
  'at_hash',
  'groups',
  'federated_claims',
]

function authMethods(config: BrokerConfig): readonly string[] {
  const isPublic = config.clients.some((client) => client.auth.method === 'none')
  return [
    'client_secret_basic',
    'client_secret_post',
    ...(isPublic ? ['none'] : []),
    ...(usesAssertions(config) ? ['private_key_jwt'] : []),
  ]
}

function usesAssertions(config: BrokerConfig): boolean {
  return config.clients.some(
    ({ auth }) => auth.method === 'private_key_jwt' || auth.method === 'federated_jwt',
  )
}
