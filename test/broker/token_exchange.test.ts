// The token exchange on the wire: what a job gets for which request. What is refused, and in which order, exchange_refusals.test.ts has.
import t from 'tap'
import { ACCESS_TOKEN_TYPE, ID_TOKEN_TYPE } from '../../src/core/oauth/names.ts'
import { encodeSubject } from '../../src/core/dex/subject.ts'
import { SECRETS } from '../support/broker_config.ts'
import { BROKER_ISSUER, START, startTestBroker } from '../support/test_broker.ts'
import type { Form } from '../support/test_broker.ts'

const broker = await startTestBroker(t)
const { issuer } = broker
const seconds = START / 1000

function scope(...ids: readonly string[]): string {
  return ids.map((id) => `audience:server:client_id:${id}`).join(' ')
}

t.test('a job exchanges its token for one that is meant for one place', async (t) => {
  const answer = await broker.exchange({ scope: 'openid profile email groups audience:server:client_id:app' })
  t.equal(answer.status, 200)
  t.match(answer.headers, {
    'content-type': /^application\/json$/,
    'cache-control': 'no-store',
    pragma: 'no-cache',
    'x-request-id': broker.audit()?.requestId ?? '',
  })
  t.same(Object.keys(answer.json), ['access_token', 'issued_token_type', 'token_type', 'expires_in'])
  t.equal(answer.json['issued_token_type'], ACCESS_TOKEN_TYPE)
  t.equal(answer.json['token_type'], 'bearer')
  t.equal(answer.json['expires_in'], 600)
  t.same(Object.keys(answer.token?.header ?? {}), ['alg', 'kid'])
  t.same(
    { ...answer.token?.claims, jti: '', at_hash: '' },
    {
      iss: BROKER_ISSUER,
      sub: encodeSubject('48291', 'gitlab'),
      aud: ['app', 'ci'],
      exp: seconds + 600,
      iat: seconds,
      jti: '',
      azp: 'ci',
      at_hash: '',
      email_verified: false,
      groups: ['deployers'],
      name: 'gitlab:acme-platform/terraform-aws-eks',
      preferred_username: 'gitlab:acme-platform/terraform-aws-eks',
      policy: 'acme-main',
    },
  )
  t.match(
    String(answer.token?.claims['jti']),
    /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  )
})

t.test('the decision is recorded with everything that identifies it, and no token (TH-J07)', async (t) => {
  const token = broker.mint()
  const answer = await broker.exchange({ subject_token: token })
  t.match(broker.audit(), {
    time: new Date(START).toISOString(),
    event: 'token',
    decision: 'allow',
    peer: '127.0.0.1',
    grant: 'token-exchange',
    client: 'ci',
    clientAuth: 'client_secret',
    connector: 'gitlab',
    policy: 'acme-main',
    audiencesRequested: ['app'],
    audiences: ['app'],
    profile: 'dex',
    subject: { iss: issuer.url, sub: /^project_path:/, hash: /^[A-Za-z0-9_-]{43}$/ },
    issued: {
      jti: answer.token?.claims['jti'],
      kid: answer.token?.header['kid'],
      sub: answer.token?.claims['sub'],
      exp: seconds + 600,
    },
  })
  t.notMatch(JSON.stringify(broker.audit()), 'eyJ')
})

t.test('requested and declared types give what Dex gives', async (t) => {
  const rows: readonly (readonly [Form, string, boolean])[] = [
    [{ requested_token_type: ACCESS_TOKEN_TYPE }, ACCESS_TOKEN_TYPE, true],
    [{ requested_token_type: ID_TOKEN_TYPE }, ID_TOKEN_TYPE, false],
    [{ requested_token_type: undefined }, ACCESS_TOKEN_TYPE, true],
    [
      { requested_token_type: ACCESS_TOKEN_TYPE, subject_token_type: ACCESS_TOKEN_TYPE },
      ACCESS_TOKEN_TYPE,
      true,
    ],
  ]
  for (const [change, issued, hasAtHash] of rows) {
    const answer = await broker.exchange(change)
    t.equal(answer.status, 200)
    t.equal(answer.json['issued_token_type'], issued)
    t.equal('at_hash' in (answer.token?.claims ?? {}), hasAtHash)
    t.notOk('refresh_token' in answer.json)
    t.notOk('scope' in answer.json)
    t.notOk('id_token' in answer.json)
  }
})

t.test('aud and azp are Dex’s for every set of audience scopes', async (t) => {
  const rows: readonly (readonly [string, unknown, string | undefined])[] = [
    ['openid', 'ci', undefined],
    [scope('app'), ['app', 'ci'], 'ci'],
    [scope('ci'), 'ci', undefined],
    [scope('app', 'second'), ['app', 'second', 'ci'], 'ci'],
    [scope('ci', 'app'), ['ci', 'app'], 'ci'],
    [scope('app', 'app'), ['app', 'app', 'ci'], 'ci'],
  ]
  for (const [scopes, aud, azp] of rows) {
    const answer = await broker.exchange({ scope: scopes })
    t.same(answer.token?.claims['aud'], aud, scopes)
    t.equal(answer.token?.claims['azp'], azp, scopes)
  }
})

t.test('RFC 8693 audience and RFC 8707 resource mean the same place as an audience scope', async (t) => {
  const rows: readonly Form[] = [
    { scope: undefined, audience: 'app' },
    { scope: undefined, resource: 'https://app.example.test/api' },
    { scope: undefined, audience: 'app', resource: 'https://app.example.test/api' },
    { scope: 'audience:server:client_id:app', audience: 'app' },
  ]
  for (const change of rows) {
    const answer = await broker.exchange(change)
    t.same(answer.token?.claims['aud'], ['app', 'ci'])
    t.match(broker.audit(), { audiences: ['app'], audiencesRequested: ['app'] })
  }
  const two = await broker.exchange({ scope: undefined, audience: ['second', 'app'] })
  t.same(two.token?.claims['aud'], ['second', 'app', 'ci'])
  const both = await broker.exchange({
    scope: 'audience:server:client_id:app audience:server:client_id:second',
    audience: ['second', 'app'],
  })
  t.equal(both.status, 200, 'equal sets in any order')
})

t.test('connector_id may be left out when the token’s issuer is exactly one connector', async (t) => {
  const answer = await broker.exchange({ connector_id: undefined })
  t.equal(answer.status, 200)
  t.equal(broker.audit()?.connector, 'gitlab')
})

t.test('with two connectors of one issuer the caller must say which', async (t) => {
  const two = await startTestBroker(t, {
    issuer,
    change: (config, { url }) => {
      Object.assign(config, {
        connectors: [
          { id: 'gitlab', type: 'gitlab-ci', issuer: url, caFile: 'ca.pem' },
          { id: 'again', type: 'gitlab-ci', issuer: url, caFile: 'ca.pem' },
        ],
      })
    },
  })
  const json = { error: 'invalid_request', error_description: 'Requested connector does not exist.' }
  t.match(await two.exchange({ connector_id: undefined }), { status: 400, json })
  t.match(two.audit(), { reason: 'connector_missing', evidence: { candidates: 2 } })
  t.equal((await two.exchange()).status, 200)
  // A client that may use only one of them has said which.
  t.equal(
    (await two.exchange({ connector_id: undefined, client_id: 'open', client_secret: undefined })).status,
    200,
  )
})

t.test('a client uses only the connectors it is allowed', async (t) => {
  const answer = await broker.exchange({ client_id: 'open', client_secret: undefined, connector_id: 'other' })
  t.match(answer, {
    status: 400,
    json: { error: 'invalid_grant', error_description: 'Connector not allowed for this client.' },
  })
  t.match(broker.audit(), { reason: 'connector_not_allowed', client: 'open' })
  t.equal((await broker.exchange({ client_id: 'open', client_secret: undefined })).status, 200)
})

t.test('a client that may not exchange is told so', async (t) => {
  const answer = await broker.exchange({ client_id: 'ci-pipeline', client_secret: SECRETS.pipeline })
  t.match(answer, { status: 400, json: { error: 'unauthorized_client' } })
  t.match(broker.audit(), { reason: 'client_grant_not_allowed', client: 'ci-pipeline' })
  t.equal((await broker.credentials()).status, 200)
})

t.test('unknown scopes, offline_access and nonce change nothing in an exchange', async (t) => {
  const answer = await broker.exchange({
    scope: 'offline_access bogus federated:id audience:server:client_id:app',
    nonce: 'n',
  })
  t.equal(answer.status, 200)
  t.same(answer.token?.claims['federated_claims'], { connector_id: 'gitlab', user_id: '48291' })
  t.notOk('nonce' in (answer.token?.claims ?? {}))
})

t.test('a request for delegation is refused, not answered as if an actor had been checked', async (t) => {
  for (const change of [
    { actor_token: broker.mint() },
    { actor_token_type: ID_TOKEN_TYPE },
    { actor_token: 'x', actor_token_type: ID_TOKEN_TYPE },
  ]) {
    const answer = await broker.exchange(change)
    t.match(answer, {
      status: 400,
      json: { error: 'invalid_request', error_description: 'actor_token is not supported.' },
    })
    t.match(broker.audit(), { reason: 'actor_token_unsupported', step: 'request', decision: 'deny' })
  }
  t.equal((await broker.exchange({ actor_token: '' })).status, 200, 'empty is as if it were not there')
  t.equal((await broker.credentials({ actor_token: 'x' })).status, 200, 'another grant knows no actor')
})

t.test('a proof of possession is refused, not answered with a token that anybody can use', async (t) => {
  for (const ask of [broker.exchange, broker.credentials]) {
    const answer = await ask({}, { headers: { dpop: broker.mint() } })
    t.equal(answer.status, 400)
    t.equal(answer.text, '{"error":"invalid_dpop_proof","error_description":"DPoP is not supported."}')
    t.match(broker.audit(), { reason: 'dpop_unsupported', step: 'request', decision: 'deny' })
    t.equal((await ask()).status, 200)
  }
})

t.test('a subject token that says who may act is exchanged by nobody else', async (t) => {
  const ask = async (may_act: unknown): Promise<number> =>
    (await broker.exchange({ subject_token: broker.mint({ may_act }) })).status
  t.equal(await ask({ sub: 'ci' }), 200)
  t.equal(await ask({ client_id: 'ci' }), 200)
  t.equal(await ask({ sub: 'somebody-else' }), 401)
  t.match(broker.audit(), {
    reason: 'subject_claim_invalid',
    evidence: { claim: 'may_act', detail: 'does not name this client' },
  })
})

function named(count: number): Form {
  return { scope: scope(...Array.from({ length: count }, () => 'app')) }
}

t.test('what a caller chooses makes no token that fits into no header', async (t) => {
  const longest = await broker.exchange(named(136))
  t.equal(longest.status, 200)
  t.ok(String(longest.json['access_token']).length < 8192)
  const parameters = { scope: undefined, audience: Array.from({ length: 58 }, () => 'app') }
  t.equal((await broker.exchange(parameters)).status, 200)
  const rows: readonly (readonly [Form, string])[] = [
    [named(137), 'scope is longer than 4096 characters'],
    [{ scope: 'x'.repeat(4097) }, 'scope is longer than 4096 characters'],
    [
      { audience: 'x'.repeat(2049), resource: 'y'.repeat(2048) },
      'audience and resource are longer than 4096 characters',
    ],
    [{ nonce: 'n'.repeat(513) }, 'nonce is longer than 512 characters'],
  ]
  for (const [change, detail] of rows) {
    const answer = await broker.exchange(change)
    t.equal(answer.status, 400)
    t.equal(answer.text, '{"error":"invalid_request"}')
    t.match(broker.audit(), { reason: 'form_malformed', step: 'request', evidence: { detail } })
  }
})

t.test('a token that this broker issued is no subject token', async (t) => {
  const issued = await broker.exchange()
  const own = String(issued.json['access_token'])
  t.equal((await broker.exchange({ subject_token: own })).status, 401)
  t.equal(broker.audit()?.reason, 'subject_algorithm_not_allowed')
  t.equal((await broker.exchange({ subject_token: own, connector_id: undefined })).status, 400)
  t.equal(broker.audit()?.reason, 'connector_missing')
})

t.test('no claim of the subject token leaks into the issued one', async (t) => {
  const answer = await broker.exchange({
    subject_token: broker.mint({ evil: 'leak', groups: ['system:masters'], act: { sub: 'x' } }),
  })
  t.equal(answer.status, 200)
  t.notMatch(JSON.stringify(answer.token?.claims), /leak|masters|act/)
  t.ok(String(answer.json['access_token']).length < 8192)
})

t.test('expires_in and exp agree to the second, also between two seconds', async (t) => {
  broker.clock.now = START + 999
  const answer = await broker.exchange()
  broker.clock.now = START
  const exp = Number(answer.token?.claims['exp'])
  const left = exp - (START + 999) / 1000
  t.ok(Math.abs(left - Number(answer.json['expires_in'])) <= 1)
  t.equal(answer.json['expires_in'], 599)
})
