// What the demo shows: real requests by curl, each with the answer it must get and, for a denial, the reason that must
// stand in the audit log. A scene that is denied differs in one thing from the scene that is granted.
import type { TestIssuer } from '../../support/test_issuer.ts'
import { issuerClaims } from '../../support/issuer_fixtures.ts'
import { SECRETS } from './world.ts'
import type { DemoBroker, World } from './world.ts'

export type Scene = {
  readonly title: string
  readonly broker: DemoBroker
  /** Shell lines, run by sh; they leave the answer in $RESPONSE. */
  readonly script: string
  readonly env: Readonly<Record<string, string>>
  readonly expect:
    | { readonly claims: Readonly<Record<string, unknown>> }
    | { readonly status: number; readonly reason: string }
}

/** Seed 002's request, word for word (Deckhouse: Access for CI/CD, Token exchange). */
const SEED_002_GITLAB = `RESPONSE=$(curl -q -s -X POST "https://\${DEX_HOST}/token" \\
  -u "\${DEX_CLIENT_ID}:\${DEX_CLIENT_SECRET}" \\
  -H "Content-Type: application/x-www-form-urlencoded" \\
  -d "grant_type=urn:ietf:params:oauth:grant-type:token-exchange" \\
  -d "subject_token=\${GITLAB_OIDC_TOKEN}" \\
  -d "subject_token_type=urn:ietf:params:oauth:token-type:id_token" \\
  -d "connector_id=gitlab" \\
  -d "scope=openid profile email groups audience:server:client_id:kubernetes" \\
  -d "requested_token_type=urn:ietf:params:oauth:token-type:id_token")`

const SEED_002_KEYCLOAK = `RESPONSE=$(curl -q -s -X POST "https://\${DEX_HOST}/token" \\
  -u "\${DEX_CLIENT_ID}:\${DEX_CLIENT_SECRET}" \\
  -H "Content-Type: application/x-www-form-urlencoded" \\
  -d "grant_type=urn:ietf:params:oauth:grant-type:token-exchange" \\
  -d "subject_token=\${KEYCLOAK_TOKEN}" \\
  -d "subject_token_type=urn:ietf:params:oauth:token-type:access_token" \\
  -d "connector_id=keycloak" \\
  -d "scope=openid profile email groups audience:server:client_id:kubernetes" \\
  -d "requested_token_type=urn:ietf:params:oauth:token-type:id_token")`

/** Seed 000's request, word for word but the host (OpenDepot: Registry reads with client credentials). */
const SEED_000 = `RESPONSE=$(curl -sf -X POST https://\${DEX_HOST}/token \\
            -d grant_type=client_credentials \\
            -d client_id=ci-pipeline \\
            -d "client_secret=\${CC_CLIENT_SECRET}" \\
            -d scope=openid)`

/** Plain RFC 8693, without a connector and without any secret: the job's token is all there is. */
const SECRETLESS = `RESPONSE=$(curl -s "https://\${HOST}/token" \\
  -d grant_type=urn:ietf:params:oauth:grant-type:token-exchange \\
  -d client_id=ci \\
  -d "subject_token=\${JOB_TOKEN}" \\
  -d subject_token_type=urn:ietf:params:oauth:token-type:\${JOB_TOKEN_TYPE} \\
  -d audience=\${AUDIENCE})`

export function dexScenes({ dex, issuers }: World): readonly Scene[] {
  const client = {
    DEX_HOST: dex.host,
    DEX_CLIENT_ID: 'dex-client-ci-token-exchange@d8-user-authn',
    DEX_CLIENT_SECRET: SECRETS.exchange,
  }
  const gitlab = (
    title: string,
    token: string,
    expect: Scene['expect'],
    env: Readonly<Record<string, string>> = {},
  ): Scene => ({
    title,
    broker: dex,
    script: SEED_002_GITLAB,
    env: { ...client, GITLAB_OIDC_TOKEN: token, ...env },
    expect,
  })
  const good = jobToken(issuers.gitlab, 'gitlab-push-main', dex.issuer)
  const keycloak = (title: string, token: string, expect: Scene['expect']): Scene => ({
    title,
    broker: dex,
    script: SEED_002_KEYCLOAK,
    env: { ...client, KEYCLOAK_TOKEN: token },
    expect,
  })
  return [
    gitlab("Deckhouse's GitLab job, its curl line unchanged", good, {
      claims: {
        aud: ['kubernetes', client.DEX_CLIENT_ID],
        azp: client.DEX_CLIENT_ID,
        name: 'acme-platform/terraform-aws-eks',
      },
    }),
    gitlab(
      'the same token, made for somebody else',
      jobToken(issuers.gitlab, 'gitlab-push-main', 'https://vault.example.test'),
      {
        status: 401,
        reason: 'subject_audience_mismatch',
      },
    ),
    gitlab('the same token, one character of its payload changed', tampered(good), {
      status: 401,
      reason: 'subject_signature_invalid',
    }),
    gitlab('the same token without a signature (alg none)', unsigned(good), {
      status: 401,
      reason: 'subject_algorithm_not_allowed',
    }),
    gitlab(
      'the same job with a wrong client secret',
      good,
      { status: 401, reason: 'client_secret_wrong' },
      { DEX_CLIENT_SECRET: 'guessed' },
    ),
    keycloak(
      "Deckhouse's Keycloak client, its curl line unchanged",
      jobToken(issuers.keycloak, 'keycloak-service-account', [dex.issuer, 'account']),
      {
        claims: { aud: ['kubernetes', client.DEX_CLIENT_ID], name: 'service-account-ci-deployer' },
      },
    ),
    keycloak(
      'a Keycloak token for account alone',
      jobToken(issuers.keycloak, 'keycloak-aud-account-only', 'account'),
      {
        status: 401,
        reason: 'subject_audience_mismatch',
      },
    ),
    {
      title: "OpenDepot's pipeline, its curl line unchanged",
      broker: dex,
      script: SEED_000,
      env: { DEX_HOST: dex.host, CC_CLIENT_SECRET: SECRETS.pipeline },
      expect: { claims: { sub: 'ci-pipeline', aud: ['opendepot', 'ci-pipeline'] } },
    },
  ]
}

export function nativeScenes({ native, issuers }: World): readonly Scene[] {
  const job = (
    title: string,
    token: string,
    audience: string,
    expect: Scene['expect'],
    type: 'id_token' | 'access_token' = 'id_token',
  ): Scene => ({
    title,
    broker: native,
    script: SECRETLESS,
    env: { HOST: native.host, JOB_TOKEN: token, JOB_TOKEN_TYPE: type, AUDIENCE: audience },
    expect,
  })
  const at = (issuer: TestIssuer, fixture: string, over: Readonly<Record<string, unknown>> = {}): string =>
    jobToken(issuer, fixture, native.issuer, over)
  const github = at(issuers.github, 'github-legacy-main')
  return [
    job('a GitLab job, for one cluster', at(issuers.gitlab, 'gitlab-push-main'), 'production', {
      claims: {
        aud: 'production',
        token_use: 'kube',
        username: 'gitlab:acme-platform/terraform-aws-eks',
        groups: ['deployers'],
        policy: 'eks-from-gitlab',
      },
    }),
    job('the same, from a merge request of a fork', at(issuers.gitlab, 'gitlab-fork-mr'), 'production', {
      status: 401,
      reason: 'subject_shape_wrong',
    }),
    job(
      'a person who logged in with the same GitLab',
      at(issuers.gitlab, 'gitlab-user-login-idtoken'),
      'production',
      {
        status: 401,
        reason: 'subject_shape_wrong',
      },
    ),
    job(
      'the same job from another branch',
      at(issuers.gitlab, 'gitlab-push-main', { ref_protected: 'false' }),
      'production',
      {
        status: 401,
        reason: 'policy_none_matched',
      },
    ),
    job(
      'the same job for a cluster that does not trust the client',
      at(issuers.gitlab, 'gitlab-push-main'),
      'staging',
      {
        status: 400,
        reason: 'audience_not_trusted',
      },
    ),
    job('an expired token', at(issuers.gitlab, 'gitlab-push-main', timesAgo(7200, 3600)), 'production', {
      status: 401,
      reason: 'subject_expired',
    }),
    job('a GitHub job, for the registry', github, 'registry', {
      claims: { aud: 'registry', client_id: 'ci', repository_id: '739500857', groups: ['publishers'] },
    }),
    job('the same token once more', github, 'registry', { status: 401, reason: 'subject_replayed' }),
    job(
      'pull_request_target, the branch says main',
      at(issuers.github, 'github-pull-request-target'),
      'registry',
      {
        status: 401,
        reason: 'policy_none_matched',
      },
    ),
    job('a Forgejo job', at(issuers.forgejo, 'forgejo16-immutable-main'), 'production', {
      claims: { aud: 'production', groups: ['deployers'], policy: 'dns-from-forgejo' },
    }),
    job(
      "another repository whose sub reads like this one's",
      at(issuers.forgejo, 'forgejo-hyphen-collision'),
      'production',
      {
        status: 401,
        reason: 'policy_none_matched',
      },
    ),
    job(
      'a Keycloak service account',
      at(issuers.keycloak, 'keycloak-service-account'),
      'production',
      { claims: { aud: 'production', policy: 'deployer-from-keycloak' } },
      'access_token',
    ),
    job(
      'a Keycloak ID token passed off as an access token',
      at(issuers.keycloak, 'keycloak-id-token-typ'),
      'production',
      { status: 401, reason: 'subject_type_mismatch' },
      'access_token',
    ),
  ]
}

/** A fixture's claims, signed now by a local issuer, for `audience`. */
function jobToken(
  issuer: TestIssuer,
  fixture: string,
  audience: string | readonly string[],
  over: Readonly<Record<string, unknown>> = {},
): string {
  const { iat: _iat, nbf: _nbf, exp: _exp, jti: _jti, iss: _iss, ...claims } = issuerClaims(fixture)
  return issuer.mint({ ...claims, aud: audience, ...over })
}

function timesAgo(issuedSeconds: number, expiredSeconds: number): Readonly<Record<string, number>> {
  const now = Math.floor(Date.now() / 1000)
  return { iat: now - issuedSeconds, nbf: now - issuedSeconds, exp: now - expiredSeconds }
}

function tampered(token: string): string {
  const [header = '', payload = '', signature = ''] = token.split('.')
  const claims = Buffer.from(payload, 'base64url').toString('utf8').replace('48291', '48292')
  return [header, Buffer.from(claims).toString('base64url'), signature].join('.')
}

function unsigned(token: string): string {
  const [, payload = ''] = token.split('.')
  return `${Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url')}.${payload}.AA`
}
