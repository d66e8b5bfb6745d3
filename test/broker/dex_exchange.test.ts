// The exchange on a Dex configuration: Dex's own test rows, Dex mode without policies, userinfo and opaque tokens.
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { ACCESS_TOKEN_TYPE, ID_TOKEN_TYPE } from '../../src/core/oauth/names.ts'
import { LOOKUP_LIMITS } from '../../src/platform/upstream_lookups.ts'
import { SECRETS } from '../support/broker_config.ts'
import { BROKER_ISSUER, START, startTestBroker } from '../support/test_broker.ts'
import type { Config, Form, Reply, TestBroker } from '../support/test_broker.ts'
import { startTestIssuer } from '../support/test_issuer.ts'
import type { TestIssuer } from '../support/test_issuer.ts'

const issuer = await startTestIssuer({ now: () => START })
t.teardown(() => issuer.close())

const oidc = (id: string, upstream: TestIssuer, config: Config = {}): Config => ({
  type: 'oidc',
  id,
  name: id,
  config: {
    issuer: upstream.url,
    clientID: 'x',
    clientSecret: 'x',
    redirectURI: 'x',
    rootCAs: [upstream.caFile],
    ...config,
  },
})

function dexFile(upstream: TestIssuer, client: Config = {}, mock: Config = {}): Config {
  return {
    issuer: BROKER_ISSUER,
    storage: { type: 'memory' },
    web: { http: '127.0.0.1:0' },
    staticClients: [
      { id: 'ci', name: 'CI', secret: SECRETS.ci, ...client },
      { id: 'kubernetes', name: 'Kubernetes', secret: SECRETS.other, trustedPeers: ['ci'] },
    ],
    connectors: [
      { type: 'mockCallback', id: 'mock', name: 'Mock', ...mock },
      {
        type: 'ldap',
        id: 'ldap',
        name: 'LDAP',
        config: {
          host: 'ldap.example.test:636',
          userSearch: { baseDN: 'x', username: 'uid', idAttr: 'uid', emailAttr: 'mail', nameAttr: 'cn' },
        },
      },
      oidc('keycloak', upstream, {
        scopes: ['openid'],
        getUserInfo: true,
        userNameKey: 'preferred_username',
        insecureEnableGroups: true,
      }),
      oidc('plain', upstream, { scopes: ['openid'], userNameKey: 'sub' }),
    ],
  }
}

const dex = await startTestBroker(t, { issuer, dex: (upstream) => dexFile(upstream) })
const mock = { connector_id: 'mock', scope: 'openid', subject_token: 'foobar' }

t.test('Dex’s own rows for the mock connector', async (t) => {
  const rows: readonly (readonly [Form, number, string | undefined])[] = [
    [{ requested_token_type: ACCESS_TOKEN_TYPE }, 200, ACCESS_TOKEN_TYPE],
    [{ requested_token_type: ID_TOKEN_TYPE }, 200, ID_TOKEN_TYPE],
    [{ requested_token_type: undefined }, 200, ACCESS_TOKEN_TYPE],
    [
      { requested_token_type: ACCESS_TOKEN_TYPE, subject_token_type: ACCESS_TOKEN_TYPE },
      200,
      ACCESS_TOKEN_TYPE,
    ],
    [{ subject_token_type: undefined }, 400, undefined],
    [{ subject_token: undefined }, 400, undefined],
  ]
  for (const [change, status, issued] of rows) {
    const answer = await dex.exchange({ ...mock, ...change })
    t.equal(answer.status, status)
    t.equal(answer.json['issued_token_type'], issued)
    t.equal(answer.headers['content-type'], 'application/json')
  }
  const { token } = await dex.exchange({ ...mock, scope: 'openid email profile groups' })
  t.match(token?.claims, {
    sub: 'Cg0wLTM4NS0yODA4OS0wEgRtb2Nr',
    name: 'Kilgore Trout',
    email: 'kilgore@kilgore.trout',
    groups: ['authors'],
    aud: 'ci',
  })
})

t.test('Dex’s rows for allowedConnectors and a connector’s grantTypes', async (t) => {
  const status = async (client: Config, connector: Config = {}): Promise<readonly [number, unknown]> => {
    const world = await startTestBroker(t, {
      issuer,
      dex: (upstream) => dexFile(upstream, client, connector),
    })
    const answer = await world.exchange(mock)
    return [answer.status, world.audit()?.reason]
  }
  t.same(await status({ allowedConnectors: ['mock'] }), [200, undefined])
  t.same(await status({ allowedConnectors: ['keycloak', 'mock'] }), [200, undefined])
  t.same(await status({ allowedConnectors: ['keycloak'] }), [400, 'connector_not_allowed'])
  t.same(await status({ allowedConnectors: [] }), [200, undefined])
  t.same(await status({}, { grantTypes: ['authorization_code'] }), [400, 'connector_grant_not_allowed'])
})

t.test('a connector whose type has no exchange does not exist for one', async (t) => {
  const answer = await dex.exchange({ connector_id: 'ldap' })
  t.equal(
    answer.text,
    '{"error":"invalid_request","error_description":"Requested connector does not exist."}',
  )
  t.match(dex.audit(), { reason: 'connector_without_exchange', evidence: { type: 'ldap' } })
  t.equal(
    (await dex.exchange({ ...mock, connector_id: 'ldap', subject_token_type: 'x' })).json['error'],
    'request_not_supported',
    'after the type, as Dex',
  )
})

const job = { sub: 'project_path:acme/vpc', aud: BROKER_ISSUER }

t.test(
  'without policies a verified token meant for this broker is enough, and one for another is not',
  async (t) => {
    const ask = async (claims: Config): Promise<number> =>
      (
        await dex.exchange({
          connector_id: 'plain',
          scope: 'openid',
          subject_token: issuer.mint({ ...job, ...claims }),
        })
      ).status
    t.equal(await ask({}), 200)
    t.match(dex.audit(), { decision: 'allow', policy: undefined })
    t.equal(await ask({ aud: `${BROKER_ISSUER}/` }), 200, 'seed 002 writes the slash')
    t.equal(await ask({ aud: 'https://vault.example.test' }), 401)
    t.equal(dex.audit()?.reason, 'subject_audience_mismatch')
    t.equal(
      (await dex.exchange({ connector_id: 'plain', policy: 'x', subject_token: issuer.mint(job) })).status,
      401,
    )
    t.equal(dex.audit()?.reason, 'policy_unknown')
  },
)

function forAudience(id: string): Promise<Reply> {
  return dex.exchange({ ...mock, scope: `openid audience:server:client_id:${id}` })
}

t.test('an untrusted audience is 400 invalid_target where Dex answers 500', async (t) => {
  t.match((await forAudience('kubernetes')).token?.claims, { aud: ['kubernetes', 'ci'], azp: 'ci' })
  t.match(await forAudience('nobody'), { status: 400, json: { error: 'invalid_target' } })
})

const bearer = {
  sub: 'service-1',
  azp: 'ci',
  typ: 'Bearer',
  aud: BROKER_ISSUER,
  preferred_username: 'service-account-ci',
}
const keycloak = {
  connector_id: 'keycloak',
  subject_token_type: ACCESS_TOKEN_TYPE,
  scope: 'openid profile groups',
}

t.test('seed 002: Keycloak’s access token is verified here, without its userinfo', async (t) => {
  const before = issuer.fetches.userinfo
  const answer = await dex.exchange({ ...keycloak, subject_token: issuer.mint(bearer) })
  t.equal(answer.status, 200)
  t.equal(answer.token?.claims['name'], 'service-account-ci')
  t.equal(issuer.fetches.userinfo, before)
})

async function reasonFor(type: string, claims: Config): Promise<unknown> {
  const token = issuer.mint({ ...bearer, ...claims })
  await dex.exchange({ ...keycloak, subject_token_type: type, subject_token: token })
  return dex.audit()?.reason
}

t.test('the label does not decide what a token is', async (t) => {
  t.equal(await reasonFor(ACCESS_TOKEN_TYPE, {}), undefined)
  t.equal(await reasonFor(ID_TOKEN_TYPE, {}), 'subject_type_mismatch')
  t.equal(await reasonFor(ACCESS_TOKEN_TYPE, { typ: 'ID' }), 'subject_type_mismatch')
  t.equal(await reasonFor(ID_TOKEN_TYPE, { typ: 'ID' }), undefined)
  t.equal(await reasonFor(ACCESS_TOKEN_TYPE, { typ: 'Refresh' }), 'subject_type_mismatch')
})

t.test('an opaque access token is proven by one GET at userinfo', async (t) => {
  issuer.setUserinfo({ sub: 'alice-1', preferred_username: 'alice', groups: ['dev'] })
  const before = issuer.fetches.userinfo
  const answer = await dex.exchange({ ...keycloak, subject_token: 'opaque-token-1' })
  t.equal(answer.status, 200)
  t.match(answer.token?.claims, { name: 'alice', groups: ['dev'] })
  t.equal(issuer.fetches.userinfo, before + 1)
  t.match(dex.audit(), { subject: { sub: 'alice-1', hash: /^[\w-]{43}$/ } })
})

const MISSPELT: readonly (readonly [string, (jwt: string) => string])[] = [
  ['a dot at its end', (jwt) => `${jwt}.`],
  ['a dot before it', (jwt) => `.${jwt}`],
  ['dots around it', (jwt) => `..${jwt}..`],
  ['a doubled dot', (jwt) => jwt.replace('.', '..')],
  ['both dots doubled', (jwt) => jwt.replaceAll('.', '..')],
  ['a fourth segment', (jwt) => `${jwt}.x`],
  ['no signature', (jwt) => jwt.slice(0, jwt.lastIndexOf('.'))],
  ['its header alone', (jwt) => jwt.slice(0, jwt.indexOf('.'))],
]
for (const [says, misspell] of MISSPELT) {
  t.test(`a JWT with ${says} is no opaque token, whatever userinfo makes of it`, async (t) => {
    issuer.setUserinfo({ sub: 'service-1', preferred_username: 'service-account-ci' })
    const before = issuer.fetches.userinfo
    const foreign = issuer.mint({ ...bearer, aud: 'https://vault.example.test' })
    for (const jwt of [foreign, issuer.mint(bearer)]) {
      t.equal((await dex.exchange({ ...keycloak, subject_token: misspell(jwt) })).status, 401)
      t.match(dex.audit(), { reason: 'subject_malformed', step: 'subject' })
    }
    t.equal(issuer.fetches.userinfo, before, 'userinfo is not asked')
    t.equal((await dex.exchange({ ...keycloak, subject_token: issuer.mint(bearer) })).status, 200)
  })
}

t.test('an opaque token has one spelling: no dot that separates nothing', async (t) => {
  issuer.setUserinfo({ sub: 'alice-1', preferred_username: 'alice' })
  for (const token of ['opaque.', '.opaque', 'ya29..op.aque', '....']) {
    t.equal((await dex.exchange({ ...keycloak, subject_token: token })).status, 401, token)
    t.match(dex.audit(), {
      reason: 'subject_malformed',
      evidence: { detail: 'a dot that separates nothing' },
    })
  }
  for (const token of ['ya29.opaque', 'opaque', 'e30x', 'a.b.c.d'])
    t.equal((await dex.exchange({ ...keycloak, subject_token: token })).status, 200, token)
})

t.test('a token that is spent stays spent under another spelling', async (t) => {
  const connector = { id: 'kc', type: 'oidc', issuer: issuer.url, caFile: 'ca.pem' }
  const world = await startTestBroker(t, {
    issuer,
    change: (config) =>
      void Object.assign(config, {
        connectors: [{ ...connector, userinfo: true, singleUse: 'once' }],
        clients: [{ id: 'ci', auth: { method: 'client_secret', secretEnv: 'CI_SECRET' } }],
        audiences: [{ id: 'app', clients: ['ci'] }],
        policies: [
          { name: 'any', connector: 'kc', claims: { sub: 'alice-1' }, grant: { audiences: ['app'] } },
        ],
      }),
  })
  issuer.setUserinfo({ sub: 'alice-1', preferred_username: 'alice' })
  const ask = async (token: string): Promise<unknown> => {
    await world.exchange({
      connector_id: 'kc',
      subject_token_type: ACCESS_TOKEN_TYPE,
      subject_token: token,
    })
    return world.audit()?.reason
  }
  const jwt = issuer.mint({ sub: 'alice-1', aud: BROKER_ISSUER })
  t.equal(await ask(jwt), undefined)
  t.equal(await ask(jwt), 'subject_replayed')
  t.equal(await ask(`${jwt}.`), 'subject_malformed')
  t.equal(await ask('opaque-1'), undefined)
  t.equal(await ask('opaque-1'), 'subject_replayed')
  t.equal(await ask('opaque-1.'), 'subject_malformed')
  t.equal(await ask('opaque-2'), undefined)
})

const USERINFO_FAULTS: readonly (readonly [string, (upstream: TestIssuer) => void, number, string])[] = [
  ['401', (upstream) => upstream.setUserinfo(undefined), 401, 'subject_userinfo_failed'],
  ['500', (upstream) => upstream.behave({ userinfo: 'status500' }), 503, 'issuer_keys_unavailable'],
  ['HTML', (upstream) => upstream.behave({ userinfo: 'not_json' }), 401, 'subject_userinfo_failed'],
  ['a redirect', (upstream) => upstream.behave({ userinfo: 'redirect' }), 503, 'issuer_keys_unavailable'],
  [
    'a claim set without sub',
    (upstream) => upstream.setUserinfo({ preferred_username: 'alice' }),
    401,
    'subject_userinfo_failed',
  ],
  [
    'a reserved group',
    (upstream) => upstream.setUserinfo({ sub: 'a', preferred_username: 'a', groups: ['system:masters'] }),
    401,
    'identity_group_reserved',
  ],
]
for (const [says, set, status, reason] of USERINFO_FAULTS) {
  t.test(`a userinfo that answers ${says} proves nothing`, async (t) => {
    set(issuer)
    const answer = await dex.exchange({ ...keycloak, subject_token: 'opaque-token-1' })
    issuer.behave({})
    issuer.setUserinfo({ sub: 'alice-1', preferred_username: 'alice' })
    t.equal(answer.status, status)
    t.equal(dex.audit()?.reason, reason)
    t.equal((await dex.exchange({ ...keycloak, subject_token: 'opaque-token-1' })).status, 200)
  })
}

t.test(
  'an opaque token is nothing where userinfo is off, or when it is declared as an id token',
  async (t) => {
    t.equal((await dex.exchange({ ...keycloak, connector_id: 'plain', subject_token: 'opaque' })).status, 401)
    t.equal(dex.audit()?.reason, 'subject_malformed')
    t.equal(
      (await dex.exchange({ ...keycloak, subject_token_type: ID_TOKEN_TYPE, subject_token: 'opaque' }))
        .status,
      401,
    )
    t.equal(dex.audit()?.reason, 'subject_malformed')
  },
)

t.test(
  'userinfo fills a gap in a verified token only for the same subject, and replaces nothing',
  async (t) => {
    const bare = { ...bearer, preferred_username: undefined }
    const ask = async (userinfo: Config): Promise<Awaited<ReturnType<TestBroker['exchange']>>> => {
      issuer.setUserinfo(userinfo)
      return dex.exchange({ ...keycloak, subject_token: issuer.mint(bare) })
    }
    const filled = await ask({ sub: 'service-1', preferred_username: 'filled', aud: 'evil', iss: 'evil' })
    t.equal(filled.token?.claims['name'], 'filled')
    t.equal((await ask({ sub: 'somebody-else', preferred_username: 'filled' })).status, 401)
    t.match(dex.audit(), {
      reason: 'subject_userinfo_failed',
      evidence: { detail: 'sub differs from the token' },
    })
  },
)

t.test(
  'who shows opaque tokens by the dozen has a share of the issuer, and others have theirs',
  async (t) => {
    const slow = await startTestIssuer({ now: () => START })
    const world = await startTestBroker(t, { issuer: slow, dex: (upstream) => dexFile(upstream) })
    t.teardown(() => slow.close())
    slow.behave({ userinfo: 'hang' })
    const show = (token: string, address: string): ReturnType<TestBroker['exchange']> =>
      world.exchange({ ...keycloak, subject_token: token }, { address })
    const asked = async (count: number): Promise<void> => {
      while (slow.fetches.userinfo < count) await sleep(5)
    }
    const flood = Array.from({ length: LOOKUP_LIMITS.maxOfCaller }, (_, nth) =>
      show(`bad-${nth}`, '203.0.113.7'),
    )
    await asked(LOOKUP_LIMITS.maxOfCaller)
    const beyond = show('bad-beyond', '203.0.113.7')
    const other = show('good', '198.51.100.9')
    await asked(LOOKUP_LIMITS.maxOfCaller + 1)
    t.match(await beyond, {
      status: 429,
      headers: { 'retry-after': '1' },
      json: { error: 'temporarily_unavailable' },
    })
    t.match(world.audit(), {
      reason: 'issuer_busy',
      step: 'subject',
      decision: 'fail',
      evidence: { connector: 'keycloak' },
      peer: '203.0.113.7',
    })
    t.equal(slow.fetches.userinfo, LOOKUP_LIMITS.maxOfCaller + 1, 'it was not asked about')
    await slow.close()
    for (const { status } of await Promise.all([...flood, other])) t.equal(status, 503)
  },
)
