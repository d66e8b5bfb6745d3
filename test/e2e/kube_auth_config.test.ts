// What auth-config makes, before the apiserver's own loader, validator and authenticator: each rule refuses its mutation for its
// own reason and lets the twin pass, and whatever the flags say, what we print it loads.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { stringify } from 'yaml'
import { folder, runCli } from '../support/cli.ts'
import { issuerClaims } from '../support/issuer_fixtures.ts'
import { oddRequests } from '../support/kube_odd_requests.ts'
import { startKubeOracle } from '../support/kube_oracle.ts'
import type { KubeOracle, OracleVerdict } from '../support/kube_oracle.ts'
import { peerOrSkip } from '../support/peers.ts'
import { BROKER_ISSUER, START, startTestBroker } from '../support/test_broker.ts'
import type { Config, TestBroker } from '../support/test_broker.ts'
import { SECRETS } from '../support/broker_config.ts'
import { startTestIssuer } from '../support/test_issuer.ts'
import type { TestIssuer } from '../support/test_issuer.ts'
import { lintText } from '../../src/cli/kube/own_linter.ts'
import { planAuthConfig } from '../../src/core/kube/auth_config_plan.ts'
import { printAuthConfig } from '../../src/core/kube/print_auth_config.ts'

t.setTimeout(300_000)
const peer = await peerOrSkip(startKubeOracle)
const started = 'value' in peer ? peer.value : undefined
const { skip } = peer
t.teardown(() => started?.close())
const issuer = await startTestIssuer({ now: () => START, algorithms: ['RS256', 'ES256'] })
t.teardown(() => issuer.close())
const dir = folder(t)

/** The broker that mints, and beside it the file that auth-config reads: the same issuer, audience and policy. */
const NATIVE: Config = {
  issuer: BROKER_ISSUER,
  listen: { public: '127.0.0.1:0' },
  store: { type: 'memory' },
  connectors: [{ id: 'gitlab', type: 'gitlab-ci', issuer: issuer.url }],
  clients: [{ id: 'ci', auth: { method: 'none' }, connectors: ['gitlab'] }],
  audiences: [{ id: 'kubernetes', profile: 'kubernetes', clients: ['ci'] }],
  policies: [
    {
      name: 'acme-main',
      connector: 'gitlab',
      claims: { project_id: '48291', ref: 'main' },
      grant: { audiences: ['kubernetes'], groups: ['deployers'], username: 'gitlab:${project_path}' },
    },
  ],
}

function oracle(): KubeOracle {
  if (started === undefined) throw new Error('the test should have been skipped')
  return started
}

async function authConfig(...flags: readonly string[]): Promise<string> {
  writeFileSync(join(dir, 'sallyport.yaml'), stringify(NATIVE))
  const run = await runCli(['kube', 'auth-config', ...flags], { cwd: dir })
  if (run.code !== 0) throw new Error(run.stderr)
  return run.stdout
}

/** As the apiserver sees a token of these claims, signed by a key that the issuer publishes. */
function authenticate(config: string, claims: Readonly<Record<string, unknown>>): Promise<OracleVerdict> {
  return oracle().authenticate({
    config,
    token: issuer.mint(claims, { alg: 'ES256' }),
    jwks: issuer.publicJwks(),
    nowSeconds: START / 1000,
  })
}

type Row = {
  readonly title: string
  readonly claims: Readonly<Record<string, unknown>>
  readonly error?: RegExp
  readonly user?: Readonly<Record<string, unknown>>
}

async function play(
  t: Test,
  config: string,
  good: Readonly<Record<string, unknown>>,
  rows: readonly Row[],
): Promise<void> {
  for (const { title, claims, error, user } of rows) {
    const verdict = await authenticate(config, { ...good, ...claims })
    if (error === undefined) t.match(verdict, { user: user ?? { username: String } }, title)
    else t.match(verdict, { error }, title)
  }
}

async function kubeClaims(broker: TestBroker): Promise<Readonly<Record<string, unknown>>> {
  const answer = await broker.exchange({ scope: 'openid audience:server:client_id:kubernetes' })
  if (answer.token === undefined) throw new Error(answer.text)
  return answer.token.claims
}

t.test('a token as the broker signs it is a user with uid, groups and extra', { skip }, async (t) => {
  const broker = await startTestBroker(t, { issuer })
  const answer = await broker.exchange({ scope: 'openid audience:server:client_id:kubernetes' })
  const keys = await broker.get('/keys')
  const verdict = await oracle().authenticate({
    config: await authConfig(),
    token: String(answer.json['access_token']),
    jwks: keys.json,
    nowSeconds: START / 1000,
  })
  t.strictSame(verdict.user, {
    username: 'ci:gitlab:acme-platform/terraform-aws-eks',
    uid: '48291',
    groups: ['ci:deployers'],
    extra: {
      'authentication.kubernetes.io/credential-id': [`JTI=${String(answer.token?.claims['jti'])}`],
      'sallyport.dev/source': [`${new URL(issuer.url).host}/acme-platform/terraform-aws-eks`],
      'sallyport.dev/repository': ['acme-platform/terraform-aws-eks'],
      'sallyport.dev/repository-id': ['48291'],
      'sallyport.dev/ref': ['refs/heads/main'],
      'sallyport.dev/sha': ['8fe1b322a576d59fe6257052a4107df7dc1b8c78'],
      'sallyport.dev/environment': ['production'],
      'sallyport.dev/run-id': ['1519139981'],
      'sallyport.dev/policy': ['acme-main'],
    },
  })
})

t.test('each rule for the broker refuses its mutation and nothing else', { skip }, async (t) => {
  const good = await kubeClaims(await startTestBroker(t, { issuer }))
  const iat = Number(good['iat'])
  await play(t, await authConfig(), good, [
    { title: 'as it is', claims: {} },
    {
      title: 'of a registry',
      claims: { token_use: 'registry' },
      error: /required claim token_use value does not match\. Got = registry, want = kube/,
    },
    {
      title: 'of no use at all',
      claims: { token_use: undefined },
      error: /required claim token_use not present/,
    },
    { title: 'for 900 s', claims: { exp: iat + 900 } },
    {
      title: 'for 901 s',
      claims: { exp: iat + 901 },
      error: /failed: the token must not live longer than 900 s/,
    },
    { title: 'of unknown age', claims: { iat: undefined }, error: /no such key: iat/ },
    {
      title: 'of an empty subject',
      claims: { sub: '' },
      error: /failed: sub and username must not be empty/,
    },
    {
      title: 'of an empty name',
      claims: { username: '' },
      error: /failed: sub and username must not be empty/,
    },
    {
      title: 'of no name',
      claims: { username: undefined },
      error: /parse username claims "username": claim not present/,
    },
    { title: 'of a numeric name', claims: { username: 5 }, error: /parse username claims "username": json/ },
    { title: 'without uid', claims: { uid: undefined }, error: /parse uid claim "uid": claim not present/ },
    {
      title: 'for another cluster',
      claims: { aud: 'kube:other' },
      error: /expected audience "kubernetes" got \["kube:other"\]/,
    },
    { title: 'of groups that are numbers', claims: { groups: [1] }, error: /parse groups claim "groups"/ },
    { title: 'without groups', claims: { groups: undefined }, user: { groups: [] } },
    {
      title: 'of a forge that says nothing more',
      claims: Object.fromEntries(
        ['source', 'repository', 'repository_id', 'ref', 'sha', 'environment', 'run_id', 'policy'].map(
          (name) => [name, undefined],
        ),
      ),
      user: { extra: { 'authentication.kubernetes.io/credential-id': [/^JTI=/] } },
    },
    {
      title: 'that calls itself Kubernetes',
      claims: { username: 'system:admin', groups: ['system:masters'] },
      user: { username: 'ci:system:admin', groups: ['ci:system:masters'] },
    },
  ])
})

t.test('with the prefixes taken away the reserved names are still out of reach', { skip }, async (t) => {
  const good = await kubeClaims(await startTestBroker(t, { issuer }))
  await play(t, await authConfig('--username-prefix', '', '--groups-prefix', ''), good, [
    {
      title: 'as it is',
      claims: {},
      user: { username: 'gitlab:acme-platform/terraform-aws-eks', groups: ['deployers'] },
    },
    {
      title: 'a system name',
      claims: { username: 'system:admin' },
      error: /failed: names that begin with system: belong to Kubernetes/,
    },
    {
      title: 'a system group',
      claims: { groups: ['a', 'system:masters'] },
      error: /failed: groups that begin with system: belong to Kubernetes/,
    },
  ])
})

t.test('the name can be the subject, which nobody registers again', { skip }, async (t) => {
  const good = await kubeClaims(await startTestBroker(t, { issuer }))
  await play(t, await authConfig('--username-claim', 'sub'), good, [
    { title: 'as it is', claims: {}, user: { username: 'ci:gitlab:48291' } },
  ])
})

/** The claims of a fixture as a forge of this machine states them now. */
function forgeClaims(fixture: string, iss: string): Readonly<Record<string, unknown>> {
  const now = START / 1000
  return { ...issuerClaims(fixture), iss, aud: 'kubernetes', iat: now - 5, nbf: now - 5, exp: now + 295 }
}

t.test(
  'a GitLab that comes straight is held to ids, jobs, its own project and events',
  { skip },
  async (t) => {
    const url = 'https://gitlab.example.test'
    const config = await authConfig('--gitlab', url, '--gitlab-project', '48291', '--gitlab-project', '77001')
    await play(t, config, forgeClaims('gitlab-push-main', url), [
      {
        title: 'a push',
        claims: {},
        user: {
          username: 'gitlab:48291:branch:main',
          uid: '48291',
          extra: { 'sallyport.dev/source': ['gitlab.example.test/acme-platform/terraform-aws-eks'] },
        },
      },
      {
        title: 'the path registered again',
        claims: { project_id: '99', job_project_id: '99' },
        error: /failed: this project is not trusted here/,
      },
      { title: 'a number is no id', claims: { project_id: 48291 }, error: /username claim expression/ },
      {
        title: 'a merge request',
        claims: { pipeline_source: 'merge_request_event' },
        error: /failed: this event is not trusted here/,
      },
      {
        title: 'a day and a second',
        claims: { exp: START / 1000 - 5 + 86401 },
        error: /longer than 86400 s/,
      },
      {
        title: 'no job',
        claims: { job_id: undefined },
        error: /failed: only the token of a CI job is taken/,
      },
    ])
    await play(t, config, forgeClaims('gitlab-fork-mr', url), [
      {
        title: 'a fork',
        claims: { pipeline_source: 'push' },
        error: /failed: the job of a fork is not taken/,
      },
    ])
    await play(t, config, forgeClaims('gitlab-user-login-idtoken', url), [
      { title: 'a person who logs in', claims: {}, error: /no such key: project_id/ },
    ])
  },
)

t.test(
  'a Forgejo that comes straight is held to ids, or to paths where it sends none',
  { skip },
  async (t) => {
    const url = 'https://git.example.test'
    const iss = `${url}/api/actions`
    const byId = await authConfig('--forgejo', url, '--forgejo-repository', '456')
    await play(t, byId, forgeClaims('forgejo16-immutable-main', iss), [
      { title: 'a push', claims: {}, user: { username: 'forgejo:456:refs/heads/main', uid: '456' } },
      {
        title: 'the path registered again',
        claims: { repository_id: '9999' },
        error: /failed: this repository is not trusted here/,
      },
      {
        title: "a stranger's pull request",
        claims: { event_name: 'pull_request_target' },
        error: /failed: this event is not trusted here/,
      },
      {
        title: 'an hour and a second',
        claims: { exp: START / 1000 - 5 + 3601 },
        error: /longer than 3600 s/,
      },
    ])
    await play(t, byId, forgeClaims('forgejo-hyphen-collision', iss), [
      {
        title: 'a repository that is called like an id',
        claims: {},
        error: /failed: this repository is not trusted here/,
      },
    ])
    await play(t, byId, forgeClaims('forgejo15-main', iss), [
      { title: 'one that sends no ids', claims: {}, error: /no such key: repository_id/ },
    ])
    const byPath = await authConfig('--forgejo', url, '--forgejo-repository', 'acme/terraform-module-net')
    await play(t, byPath, forgeClaims('forgejo15-main', iss), [
      {
        title: 'by path',
        claims: {},
        user: { username: 'forgejo:repo:acme/terraform-module-net:ref:refs/heads/main' },
      },
      {
        title: 'another path',
        claims: { repository: 'acme/other' },
        error: /failed: this repository is not trusted here/,
      },
    ])
  },
)

function dexFile(upstream: TestIssuer): Config {
  return {
    issuer: BROKER_ISSUER,
    storage: { type: 'memory' },
    web: { http: '127.0.0.1:0' },
    expiry: { idTokens: '15m' },
    staticClients: [
      { id: 'ci', name: 'CI', secret: SECRETS.ci },
      { id: 'kubernetes', name: 'Kubernetes', secret: SECRETS.other, trustedPeers: ['ci'] },
    ],
    connectors: [
      {
        type: 'oidc',
        id: 'gitlab',
        name: 'GitLab',
        config: {
          issuer: upstream.url,
          clientID: 'x',
          clientSecret: 'x',
          redirectURI: 'https://broker.example.test/dex/callback',
          rootCAs: [upstream.caFile],
          userNameKey: 'user_login',
          insecureEnableGroups: true,
          claimMapping: { email: 'user_email', groups: 'groups_direct' },
          insecureSkipEmailVerified: true,
        },
      },
    ],
  }
}

t.test(
  "the file of a Dex audience takes seed 002's client, by verified e-mail alone",
  { skip },
  async (t) => {
    const broker = await startTestBroker(t, { issuer, dex: dexFile })
    const answer = await broker.exchange({
      subject_token: broker.mint({ groups_direct: ['acme-platform'] }),
      scope: 'openid profile email groups audience:server:client_id:kubernetes',
    })
    const good = answer.token?.claims
    if (good === undefined) throw new Error(answer.text)
    writeFileSync(join(dir, 'dex.yaml'), stringify(dexFile(issuer)))
    const run = await runCli(['kube', 'auth-config', '--dex-config', 'dex.yaml'], { cwd: dir })
    t.equal(run.code, 0, run.stderr)
    const iat = Number(good['iat'])
    await play(t, run.stdout, good, [
      {
        title: 'as it is',
        claims: {},
        user: { username: 'ci:release-bot@example.test', groups: ['ci:acme-platform'], uid: good['sub'] },
      },
      {
        title: 'unverified',
        claims: { email_verified: false },
        error: /email not verified|the e-mail address must be verified/,
      },
      {
        title: 'not said to be verified',
        claims: { email_verified: undefined },
        error: /failed: the e-mail address must be verified/,
      },
      {
        title: 'without scope email',
        claims: { email: undefined, email_verified: undefined },
        error: /parse username claims "email": claim not present/,
      },
      { title: 'an empty address', claims: { email: '' }, error: /failed: sub and email must not be empty/ },
      {
        title: 'for the client alone',
        claims: { aud: 'ci' },
        error: /expected audience "kubernetes" got \["ci"\]/,
      },
      { title: 'for 15 minutes', claims: { exp: iat + 900 } },
      { title: 'and a second', claims: { exp: iat + 901 }, error: /longer than 900 s/ },
    ])
  },
)

t.test('64 odd configurations all load', { skip }, async (t) => {
  const requests = oddRequests(64, issuer.caPem)
  t.equal(requests.length, 64)
  for (const [index, request] of requests.entries()) {
    const plan = planAuthConfig(request)
    if (!plan.ok) throw new Error(plan.denial.map(({ message }) => message).join())
    const text = printAuthConfig(plan.value)
    const { ok, errors, startErrors } = await oracle().load(text)
    t.ok(ok, `${index}: ${[...errors, ...startErrors].join('; ')}`)
    const refused = lintText(text, request.version).filter(({ severity }) => severity === 'refused')
    t.strictSame(refused, [], `${index}: and our linter refuses nothing that loads`)
  }
})
