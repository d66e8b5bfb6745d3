// `sallyport kube explain` with the issuer and the cluster on this machine.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { stringify } from 'yaml'
import { stringClaim } from '../../src/core/claims.ts'
import { folder, NOW, runCli } from '../support/cli.ts'
import type { CliRun } from '../support/cli.ts'
import { fakeApiserver } from '../support/fake_apiserver.ts'
import type { ApiAnswer, ApiCall, FakeApiserver } from '../support/fake_apiserver.ts'
import { issuerClaims } from '../support/issuer_fixtures.ts'
import { startTestIssuer } from '../support/test_issuer.ts'
import type { TestIssuer } from '../support/test_issuer.ts'

const CLAIMS = {
  aud: 'kube:local',
  sub: 'gitlab:4711',
  token_use: 'kube',
  groups: ['deployers'],
  repository: 'acme/vpc',
}

type House = {
  readonly issuer: TestIssuer
  readonly cwd: string
  /** Runs the command on a token with these claims. */
  readonly explain: (
    claims?: Readonly<Record<string, unknown>>,
    ...flags: readonly string[]
  ) => Promise<CliRun>
}

async function house(t: Test): Promise<House> {
  const issuer = await startTestIssuer({ now: () => NOW, cacheControl: 'max-age=90' })
  t.teardown(() => issuer.close())
  const cwd = folder(t)
  writeFileSync(join(cwd, 'authentication.yaml'), configText(issuer))
  return {
    issuer,
    cwd,
    explain: async (claims = {}, ...flags) => {
      writeFileSync(join(cwd, 'token.jwt'), `${issuer.mint({ ...CLAIMS, ...claims })}\n`)
      const argv = ['kube', 'explain', '--config', 'authentication.yaml', '--token', 'token.jwt', ...flags]
      return runCli(argv, { cwd })
    },
  }
}

function configText(issuer: TestIssuer): string {
  return stringify({
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'AuthenticationConfiguration',
    jwt: [
      {
        issuer: { url: issuer.url, certificateAuthority: issuer.caPem, audiences: ['kube:local'] },
        claimValidationRules: [
          { claim: 'token_use', requiredValue: 'kube' },
          { expression: 'claims.exp - claims.iat <= 900.0', message: 'at most 15 minutes' },
        ],
        claimMappings: {
          username: { claim: 'sub', prefix: 'ci:' },
          groups: { claim: 'groups', prefix: 'ci:' },
          extra: [{ key: 'sallyport.dev/repository', valueExpression: 'claims.repository' }],
        },
      },
    ],
  })
}

t.test('a token that would be taken is shown with each step and the user it becomes', async (t) => {
  const { explain, issuer } = await house(t)
  const run = await explain()
  t.equal(run.stderr, '')
  t.equal(run.code, 0)
  t.match(run.stdout, `yes  authenticator  jwt[0], issuer ${issuer.url}`)
  t.match(run.stdout, /yes {2}signature +by key \S+ of https/)
  t.match(run.stdout, 'yes  claim rule     claims.exp - claims.iat <= 900.0 (at most 15 minutes): true')
  t.match(run.stdout, 'The apiserver would take it as:\n  username  ci:gitlab:4711\n')
  t.match(run.stdout, '  groups    ci:deployers, system:authenticated\n')
  t.match(run.stdout, '  extra     sallyport.dev/repository: acme/vpc\n')
})

t.test('a 401 is told in the words that the client never sees, with the way out', async (t) => {
  const { explain } = await house(t)
  const run = await explain({ aud: 'registry' })
  t.equal(run.code, 1)
  t.match(run.stdout, 'NO   audience       ["registry"]\n -   expiry\n')
  t.match(run.stdout, 'audience_not_accepted: 401 Unauthorized')
  t.match(
    run.stdout,
    '[invalid bearer token, oidc: verify token: oidc: expected audience "kube:local" got ["registry"]]',
  )
  t.match(run.stdout, '  -> ask the exchange for audience kube:local')
})

t.test('the token itself is never printed', async (t) => {
  const { explain, issuer } = await house(t)
  const runs = [
    await explain(),
    await explain({ aud: 'x' }),
    await explain({}, '--json'),
    await explain({ iss: 'https://other.example.test' }),
  ]
  for (const { stdout, stderr } of runs) t.notMatch(stdout + stderr, /eyJ[\w-]+\.eyJ/)
  const cut = issuer.mint(CLAIMS).slice(0, -3)
  const broken = await runCli(['kube', 'explain', '--config', '-', '--token', 'x'], {
    stdin: cut,
    cwd: '/nonexistent',
  })
  t.notMatch(broken.stdout + broken.stderr, /eyJ[\w-]+\.eyJ/)
})

t.test('keys come from the issuer, from a file, or from nobody when asked so', async (t) => {
  const { explain, issuer, cwd } = await house(t)
  const other = await startTestIssuer()
  t.teardown(() => other.close())
  writeFileSync(join(cwd, 'good.json'), JSON.stringify(issuer.publicJwks()))
  writeFileSync(join(cwd, 'other.json'), JSON.stringify(other.publicJwks()))
  writeFileSync(join(cwd, 'odd.json'), JSON.stringify({ keys: [{ kty: 'AKP' }] }))
  t.match(await explain({}, '--jwks', 'good.json'), { code: 0, stdout: /of good.json/ })
  t.match(await explain({}, '--jwks', 'other.json'), {
    code: 1,
    stdout: /failed to verify id token signature\][^]*no key of the issuer has kid/,
  })
  t.match(await explain({}, '--jwks', 'odd.json'), {
    code: 1,
    stdout: /unknown json web key type 'AKP'\][^]*spoils all the others/,
  })
  for (const text of ['', '<html>', '[]']) {
    writeFileSync(join(cwd, 'none.json'), text)
    const run = await explain({}, '--jwks', 'none.json')
    t.match(run, {
      code: 1,
      stdout: /none\.json is no key set: save what the issuer answers at its jwks_uri/,
    })
    t.notMatch(run.stdout, 'spoils all the others')
  }
  t.equal(issuer.fetches.discovery, 0)
  t.match(await explain({}, '--offline'), { code: 0, stdout: / \? {3}signature +not asked for/ })
  t.equal(issuer.fetches.discovery, 0)
  issuer.behave({ discovery: 'status500' })
  t.match(await explain(), { code: 1, stdout: /oidc: authenticator not initialized[^]*status 500/ })
})

t.test('a claim set is walked through the file before any job ran', async (t) => {
  const { cwd, issuer } = await house(t)
  writeFileSync(join(cwd, 'claims.json'), JSON.stringify({ ...CLAIMS, iss: issuer.url }))
  const argv = ['kube', 'explain', '--config', 'authentication.yaml', '--claims', 'claims.json']
  t.match(await runCli(argv, { cwd }), {
    code: 0,
    stdout: / \? {3}algorithm\n \? {3}signature +a claim set has no signature/,
  })
  writeFileSync(join(cwd, 'claims.json'), '[]')
  t.match(await runCli(argv, { cwd }), { code: 2, stderr: /must hold one JSON object/ })
})

t.test('another clock is tried with --now', async (t) => {
  const { explain } = await house(t)
  t.match(await explain({}, '--now', '2026-11-21T00:10:00Z'), { code: 1, stdout: /token_expired/ })
  t.match(await explain({}, '--now', String(NOW / 1000 + 200)), { code: 0 })
  t.match(await explain({}, '--now', 'noon'), { code: 2, stderr: /--now/ })
})

t.test('--json gives a program the same', async (t) => {
  const { explain } = await house(t)
  const { code, stdout } = await explain({ token_use: 'registry' }, '--json')
  t.equal(code, 1)
  t.match(JSON.parse(stdout), {
    authenticator: 0,
    outcome: {
      kind: 'refused',
      refusal: { code: 'required_claim_differs', reason: /Got = registry, want = kube/ },
    },
  })
})

t.test('a file that the apiserver would not load is told with its place', async (t) => {
  const { explain, cwd, issuer } = await house(t)
  const file = join(cwd, 'authentication.yaml')
  const text = configText(issuer)
  for (const [changed, said] of [
    [text.replace(/^(\s+)- kube:local$/m, '$1- ""'), /^authentication.yaml:\d+:\d+: error audience_empty \(/],
    [text.replace('kind: Auth', 'knd: Auth'), /^authentication.yaml:\d+:\d+: error kind_missing \(/],
    [text.replace('url: https', 'url: http'), /^authentication.yaml:\d+:\d+: error url_not_https \(/],
    [
      'jwt: [\u0000',
      /^authentication.yaml:1:7: error yaml_not_readable: .*\n {4}-> .*\nthe apiserver does not load/,
    ],
  ] as const) {
    writeFileSync(file, changed)
    const run = await explain()
    t.match(run, { code: 1, stdout: '', stderr: said })
    t.match(run.stderr, 'the apiserver does not load this file: sallyport kube lint authentication.yaml')
  }
})

t.test('flags that do not go together are usage', async (t) => {
  const { explain, cwd } = await house(t)
  t.match(await explain({}, '--claims', 'x'), { code: 2, stderr: /either --token or --claims/ })
  t.match(await explain({}, '--offline', '--jwks', 'x'), { code: 2, stderr: /either --offline or --jwks/ })
  t.match(await explain({}, '--can', 'get'), { code: 2, stderr: /--can wants VERB and RESOURCE/ })
  const argv = ['kube', 'explain', '--config', '-', '--token', '-']
  t.match(await runCli(argv, { cwd }), { code: 2, stderr: /standard input/ })
  t.match(await runCli(['kube', 'explain', '--token', 'x'], { cwd }), { code: 2, stderr: /--config/ })
})

/** A broker that lets the project of the fixture in, for the audience of `authentication.yaml`. */
async function brokerHouse(t: Test): Promise<{
  readonly cwd: string
  readonly run: (claims?: Readonly<Record<string, unknown>>, ...flags: readonly string[]) => Promise<CliRun>
}> {
  const forge = await startTestIssuer({ now: () => NOW })
  t.teardown(() => forge.close())
  const home = await house(t)
  const issuer = 'https://broker.example.test'
  writeFileSync(join(home.cwd, 'ca.pem'), forge.caPem)
  writeFileSync(join(home.cwd, 'authentication.yaml'), configText({ ...home.issuer, url: issuer }))
  const fixture = issuerClaims('gitlab-push-main')
  const [projectId, ref] = [stringClaim(fixture, 'project_id'), stringClaim(fixture, 'ref')]
  writeFileSync(
    join(home.cwd, 'sallyport.yaml'),
    stringify({
      issuer,
      listen: { public: '127.0.0.1:0' },
      store: { type: 'memory' },
      connectors: [{ id: 'gitlab', type: 'gitlab-ci', issuer: forge.url, caFile: 'ca.pem' }],
      clients: [{ id: 'ci', auth: { method: 'none' }, connectors: ['gitlab'] }],
      audiences: [{ id: 'kube:local', profile: 'kubernetes', clients: ['ci'] }],
      policies: [
        {
          name: 'shop',
          connector: 'gitlab',
          claims: { project_id: projectId, ref },
          grant: { audiences: ['kube:local'], groups: ['deployers'] },
        },
      ],
    }),
  )
  const flags = '--config authentication.yaml --token job.jwt --broker-config sallyport.yaml --client-id ci'
  return {
    cwd: home.cwd,
    run: async (claims = {}, ...more) => {
      const times = { iss: forge.url, aud: issuer, iat: NOW / 1000, nbf: NOW / 1000, exp: NOW / 1000 + 300 }
      const job = forge.mint({ ...fixture, ...times, ...claims }, { alg: 'RS256' })
      writeFileSync(join(home.cwd, 'job.jwt'), job)
      const argv = ['kube', 'explain', ...flags.split(' '), '--connector', 'gitlab', ...more]
      return runCli(argv, { cwd: home.cwd })
    },
  }
}

t.test("the job's own token is followed through the broker and on to the apiserver", async (t) => {
  const { run } = await brokerHouse(t)
  const taken = await run()
  t.equal(taken.code, 0, taken.stderr + taken.stdout)
  t.match(taken.stdout, /^The broker:\nyes {2}request +token-exchange\n/)
  t.match(taken.stdout, 'yes  policy     shop\n')
  t.match(taken.stdout, '\nThe apiserver:\nyes  token          a JWT\n')
  t.match(taken.stdout, ' ?   signature      the broker would sign it')
  t.match(taken.stdout, '  groups    ci:deployers, system:authenticated')
  t.match(JSON.parse((await run({}, '--json')).stdout), {
    broker: { denial: undefined },
    outcome: { kind: 'authenticated' },
  })
})

t.test('where the broker says no, no apiserver is asked', async (t) => {
  const { run } = await brokerHouse(t)
  const denied = await run({ ref: 'feature' })
  t.equal(denied.code, 1)
  t.match(denied.stdout, 'policy_none_matched')
  t.notMatch(denied.stdout, 'The apiserver')
  t.match(await run({}, '--audience', 'other'), { code: 1, stdout: /audience_/ })
  t.match(await run({}, '--broker-dex-config', 'x'), { code: 2, stderr: /either --broker-config or/ })
})

t.test('a broker whose configuration cannot be used is told', async (t) => {
  const { run, cwd } = await brokerHouse(t)
  writeFileSync(join(cwd, 'sallyport.yaml'), 'issuer: 7')
  t.match(await run(), { code: 78, stdout: '' })
})

const USER = {
  username: 'ci:gitlab:4711',
  groups: ['ci:deployers', 'system:authenticated'],
  extra: {},
}
const DISCOVERY = {
  items: [
    {
      metadata: {},
      versions: [{ version: 'v1', resources: [{ resource: 'namespaces', scope: 'Cluster' }] }],
    },
  ],
}

function cluster(
  t: Test,
  { cwd }: House,
  review: unknown,
  allowed: boolean,
  status = 201,
): Promise<FakeApiserver> {
  return fakeApiserver(t, cwd, ({ path, authorization }: ApiCall): ApiAnswer => {
    if (path === '/api' || path === '/apis') return { body: path === '/api' ? DISCOVERY : { items: [] } }
    if (path.endsWith('/tokenreviews'))
      return { status, body: status === 201 ? { status: review } : { message: 'forbidden' } }
    if (path.endsWith('/selfsubjectreviews'))
      return authorization === 'Bearer administrator'
        ? { status: 500, body: {} }
        : { status: 201, body: { status: { userInfo: USER } } }
    return { status: 201, body: { status: { allowed, reason: allowed ? 'RBAC: allowed by x' : '' } } }
  })
}

t.test('with a cluster its own word is shown, and what RBAC allows the bearer', async (t) => {
  const home = await house(t)
  const api = await cluster(t, home, { authenticated: true, user: USER }, true)
  const run = await home.explain({}, '--kubeconfig', api.kubeconfig, '--can', 'get', 'namespaces')
  t.equal(run.code, 0)
  t.match(run.stdout, `The cluster ${api.url} (context local):\nyes  token          taken as\n`)
  t.match(run.stdout, 'yes  may            get namespaces: RBAC: allowed by x')
  const asked = api.calls.find(({ path }) => path.endsWith('selfsubjectaccessreviews'))
  t.match(asked?.authorization, /^Bearer eyJ/)
})

t.test('a 403 names whom to bind', async (t) => {
  const home = await house(t)
  const api = await cluster(t, home, { authenticated: true, user: USER }, false)
  const run = await home.explain({}, '--kubeconfig', api.kubeconfig, '--can', 'list', 'namespaces')
  t.equal(run.code, 1)
  t.match(run.stdout, 'NO   may            list namespaces: 403 Forbidden')
  t.match(run.stdout, 'bind a role that allows it to User "ci:gitlab:4711" or Group "ci:deployers"')
})

t.test('a cluster that refuses what the file takes runs something else', async (t) => {
  const home = await house(t)
  const error = '[invalid bearer token, oidc: authenticator not initialized]'
  const api = await cluster(t, home, { error }, true)
  const run = await home.explain({}, '--kubeconfig', api.kubeconfig, '--can', 'get', 'namespaces')
  t.equal(run.code, 1)
  t.match(run.stdout, `NO   token          ${error}\n  -> it runs another file`)
  t.match(run.stdout, 'yes  may            get namespaces, if it were this user: RBAC')
})

t.test('who may not create TokenReviews still learns whether the token is taken', async (t) => {
  const home = await house(t)
  const api = await cluster(t, home, {}, true, 403)
  const run = await home.explain({}, '--kubeconfig', api.kubeconfig)
  t.match(run, { code: 0, stdout: /yes {2}token +taken as/ })
})

t.test('a cluster that cannot be asked is told, and the rest is shown', async (t) => {
  const home = await house(t)
  const run = await home.explain({}, '--kubeconfig', '/nonexistent/kubeconfig')
  t.match(run, {
    code: 1,
    stdout: /The apiserver would take it as[^]*The cluster could not be asked: .*ENOENT/,
  })
})
