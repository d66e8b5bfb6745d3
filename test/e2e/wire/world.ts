// The one Dex configuration that both brokers get, and the subject tokens that the probes name. Only `web.http` and the
// storage differ between the two; the issuer is a fixed string, so that tokens of both carry the same `iss` and `sub`.
import type { SignOptions, Upstream } from './upstream.ts'

/** `main`: RS256, issuer with a path. `es256`: the same with an ES256 signer. `root`: issuer at the root with a trailing slash. */
export type World = 'main' | 'es256' | 'root'

export const tokenExchange = 'urn:ietf:params:oauth:grant-type:token-exchange'

function issuerOf(world: World): string {
  return world === 'root' ? 'https://dex.example.test/' : 'https://broker.example.test/dex'
}

/** Path part of the issuer without trailing slash, in front of every endpoint. */
export function prefixOf(world: World): string {
  return new URL(issuerOf(world)).pathname.replace(/\/+$/, '')
}

export const secrets = {
  ci: 'ci-exchange-secret-0123456789',
  pipeline: 'ci-pipeline-secret-0123456789',
  plain: 'plain-client-secret-0123456789',
  odd: 'p+w d%20&=0123456789',
} as const

/** Deckhouse's spelling of a DexClient's id. */
export const ciClient = 'dex-client-ci-token-exchange@d8-user-authn'

export function dexConfig(
  world: World,
  upstream: Upstream,
  storage: unknown = { type: 'memory' },
): Readonly<Record<string, unknown>> {
  return {
    issuer: issuerOf(world),
    storage,
    web: { http: '127.0.0.1:0' },
    logger: { level: 'debug', format: 'json' },
    oauth2: { grantTypes: ['authorization_code', 'client_credentials', tokenExchange] },
    expiry: { idTokens: world === 'root' ? '10m' : '24h' },
    signer: {
      type: 'local',
      config: { keysRotationPeriod: '6h', algorithm: world === 'es256' ? 'ES256' : 'RS256' },
    },
    staticClients: clients,
    connectors: connectors(upstream),
  }
}

const clients = [
  { id: ciClient, name: 'CI token exchange', secret: secrets.ci },
  {
    id: 'ci-pipeline',
    name: 'CI Pipeline',
    secret: secrets.pipeline,
    clientCredentialsClaims: { groups: ['pipelines', 'builders'] },
  },
  { id: 'plain-client', name: 'Plain <client> & "co"', secret: secrets.plain },
  { id: 'kubernetes', name: 'Kubernetes', secret: 'kubernetes-secret-0123456789', trustedPeers: peers() },
  { id: 'second-target', name: 'Second', secret: 'second-secret-0123456789', trustedPeers: peers() },
  { id: 'untrusted-target', name: 'Untrusted', secret: 'untrusted-secret-0123456789' },
  { id: 'public-ci', name: 'Public CI', public: true },
  { id: 'public-secret', name: 'Public with a secret', public: true, secret: secrets.plain },
  { id: 'only-mock', name: 'Only mock', secret: secrets.plain, allowedConnectors: ['other', 'mock'] },
  { id: 'only-other', name: 'Only other', secret: secrets.plain, allowedConnectors: ['other'] },
  // Seed 000 writes grantTypes for a client; Dex has no such key.
  { id: 'cc-only', name: 'CC only', secret: secrets.plain, grantTypes: ['client_credentials'] },
  { id: 'dex-client-odd:ns', name: 'Odd', secret: secrets.odd },
]

function peers(): string[] {
  return [ciClient, 'ci-pipeline', 'public-ci']
}

function connectors(upstream: Upstream): unknown[] {
  const oidc = (id: string, issuer: string, config: Readonly<Record<string, unknown>>) => ({
    type: 'oidc',
    id,
    name: id,
    config: {
      issuer: upstream.issuer(issuer),
      clientID: 'unused',
      clientSecret: 'unused',
      redirectURI: 'https://broker.example.test/dex/callback',
      rootCAs: [upstream.caFile],
      ...config,
    },
  })
  return [
    oidc('gitlab', 'gitlab', {
      userNameKey: 'user_login',
      insecureSkipEmailVerified: true,
      insecureEnableGroups: true,
      claimMapping: { email: 'user_email', groups: 'groups_direct' },
    }),
    oidc('github', 'github', {
      scopes: ['openid'],
      userNameKey: 'actor',
      claimModifications: {
        newGroupFromClaims: [
          { claims: ['repository', 'ref'], delimiter: '::', prefix: 'gh' },
          { claims: ['environment'], delimiter: ':', prefix: 'env' },
        ],
      },
    }),
    oidc('plain', 'plain', {}),
    oidc('both-algorithms', 'both', { scopes: ['openid'], userNameKey: 'sub' }),
    oidc('keycloak', 'keycloak', {
      scopes: ['openid'],
      userNameKey: 'preferred_username',
      getUserInfo: true,
    }),
    oidc('filtered', 'gitlab', {
      scopes: ['openid'],
      userIDKey: 'project_id',
      userNameKey: 'user_login',
      overrideClaimMapping: true,
      insecureEnableGroups: true,
      allowedGroups: ['team-a', 'team-b'],
      claimMapping: { preferred_username: 'project_path', groups: 'groups_direct' },
      claimModifications: {
        filterGroupClaims: { groupsFilter: '^team-' },
        modifyGroupNames: { prefix: 'gitlab:', suffix: ':ci' },
      },
    }),
    oidc('down', 'nobody-here', {}),
    { type: 'mockCallback', id: 'mock', name: 'Mock' },
    {
      type: 'mockPassword',
      id: 'mock-password',
      name: 'Mock password',
      config: { username: 'a', password: 'b' },
    },
    { type: 'mockCallback', id: 'login-only', name: 'Login only', grantTypes: ['authorization_code'] },
  ]
}

/** Subject tokens by the name that a probe writes after `@`. `now` in seconds; the audience is the broker's issuer. */
export function subjectTokens(world: World, upstream: Upstream, now: number): Record<string, string> {
  const times = { iat: now, nbf: now - 5, exp: now + 3600 }
  const aud = issuerOf(world)
  const gitlab = {
    iss: upstream.issuer('gitlab'),
    ...gitlabClaims,
    aud,
    jti: 'b2b2f3a5-7d9a-4f3b-9a3d-0b6f8c1d2e3f',
    ...times,
  }
  const github = { iss: upstream.issuer('github'), ...githubClaims, aud, ...times }
  const plain = {
    iss: upstream.issuer('plain'),
    sub: 'user-1',
    aud,
    name: 'Jo Example',
    preferred_username: 'jo',
    email: 'jo@example.test',
    email_verified: true,
    groups: ['ignored'],
    ...times,
  }
  const keycloak = {
    iss: upstream.issuer('keycloak'),
    sub: 'd952cf23-bf92-4c8f-a3ff-4972b4f2bc5b',
    typ: 'Bearer',
    azp: 'ci-deployer',
    aud: [aud, 'account'],
    email_verified: false,
    preferred_username: 'service-account-ci-deployer',
    ...times,
  }
  const { exp: _exp, ...gitlabWithoutExp } = gitlab
  const { name: _name, ...plainWithoutName } = plain
  const { email: _email, ...plainWithoutEmail } = plain
  const { sub: _sub, ...githubWithoutSub } = github
  const { email_verified: _verified, ...plainUnverified } = plain
  const sign = (claims: Readonly<Record<string, unknown>>, options: SignOptions = {}) =>
    upstream.sign(claims, options)
  return {
    gitlab: sign(gitlab),
    'gitlab without groups': sign({ ...gitlab, groups_direct: [] }),
    'gitlab of other groups': sign({ ...gitlab, groups_direct: ['other'] }),
    'gitlab with a single group': sign({ ...gitlab, groups_direct: 'team-a' }),
    'gitlab with html': sign({ ...gitlab, user_login: 'Jörg <b>& "co"</b> \u2028' }),
    'gitlab foreign audience': sign({ ...gitlab, aud: 'https://vault.example.test' }),
    'gitlab several audiences': sign({ ...gitlab, aud: [aud, 'https://vault.example.test'] }),
    'gitlab not before in 60 s': sign({ ...gitlab, nbf: now + 60 }),
    'gitlab not before in 600 s': sign({ ...gitlab, nbf: now + 600 }),
    'gitlab exp as string': sign({ ...gitlab, exp: String(now + 3600) }),
    'gitlab without exp': sign(gitlabWithoutExp),
    'gitlab expired': sign({ ...gitlab, iat: now - 7200, nbf: now - 7200, exp: now - 3600 }),
    'gitlab expired 2 s ago': sign({ ...gitlab, iat: now - 7200, nbf: now - 7200, exp: now - 2 }),
    'gitlab bad signature': sign(gitlab, { broken: true }),
    'gitlab unknown kid': sign(gitlab, { kid: 'nobody' }),
    'gitlab of other issuer': sign({ ...gitlab, iss: 'https://gitlab.example.test' }),
    'gitlab issuer with slash': sign({ ...gitlab, iss: `${gitlab.iss}/` }),
    'gitlab alg none': sign(gitlab, { alg: 'none' }),
    'gitlab HS256 with public key': sign(gitlab, { alg: 'HS256' }),
    'gitlab ES256': sign(gitlab, { alg: 'ES256' }),
    'gitlab reserved group': sign({ ...gitlab, groups_direct: ['system:masters'] }),
    'gitlab may_act of this client': sign({ ...gitlab, may_act: { sub: ciClient } }),
    'gitlab may_act of another party': sign({ ...gitlab, may_act: { sub: 'somebody-else' } }),
    'gitlab reserved name': sign({ ...gitlab, user_login: 'system:admin' }),
    'gitlab long sub': sign({ ...gitlab, sub: `project_path:${'x'.repeat(180)}:ref:main` }),
    'gitlab unicode sub': sign({ ...gitlab, sub: 'project_path:gruppe/übung:ref:main' }),
    'both ES256': sign({ ...github, iss: upstream.issuer('both') }, { alg: 'ES256' }),
    github: sign(github),
    'github with environment': sign({ ...github, environment: 'production' }),
    'github without sub': sign(githubWithoutSub),
    plain: sign(plain),
    'plain without name': sign(plainWithoutName),
    'plain without email': sign(plainWithoutEmail),
    'plain without email_verified': sign(plainUnverified),
    'plain email_verified false': sign({ ...plain, email_verified: false }),
    'plain email_verified as string': sign({ ...plain, email_verified: 'true' }),
    keycloak: sign(keycloak),
    'keycloak id token': sign({ ...keycloak, typ: 'ID', aud }),
    'of the unreachable issuer': sign({ ...gitlab, iss: upstream.issuer('nobody-here') }),
    'keycloak broken': sign(keycloak, { broken: true }),
    garbage: 'not-a-token',
    dots: 'a.b.c',
  }
}

const gitlabClaims = {
  namespace_id: '7203',
  namespace_path: 'acme-platform',
  project_id: '48291',
  project_path: 'acme-platform/terraform-aws-eks',
  user_id: '9001',
  user_login: 'release-bot',
  user_email: 'release-bot@example.test',
  pipeline_id: '1519139981',
  pipeline_source: 'push',
  job_id: '8222997048',
  ref: 'main',
  ref_type: 'branch',
  ref_path: 'refs/heads/main',
  ref_protected: 'true',
  groups_direct: ['team-a', 'ops', 'team-b', 'team-a'],
  runner_id: 12270835,
  sha: '8fe1b322a576d59fe6257052a4107df7dc1b8c78',
  sub: 'project_path:acme-platform/terraform-aws-eks:ref_type:branch:ref:main',
}

const githubClaims = {
  sub: 'repo:acme-labs/terraform-aws-eks:ref:refs/heads/main',
  repository: 'acme-labs/terraform-aws-eks',
  repository_id: '739500857',
  repository_owner_id: '41903210',
  ref: 'refs/heads/main',
  ref_type: 'branch',
  sha: 'f43beaff59a2a4d87284cf614f0ba73729b86e17',
  actor: 'release-bot',
  event_name: 'push',
  run_id: '7425234885',
}
