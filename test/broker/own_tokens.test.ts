// What relying parties ask: discovery, key set, userinfo, introspection, health.
import { hash } from 'node:crypto'
import t from 'tap'
import { SECRETS } from '../support/broker_config.ts'
import { BROKER_ISSUER, START, basic, startTestBroker } from '../support/test_broker.ts'
import type { Form, Reply } from '../support/test_broker.ts'

const broker = await startTestBroker(t)
const { issuer, app } = broker
const bearer = (token: unknown): { authorization: string } => ({ authorization: `Bearer ${String(token)}` })
const INVALID = { error: 'access_denied', error_description: 'Invalid bearer token.' }

async function issued(scope = 'openid audience:server:client_id:app'): Promise<string> {
  return String((await broker.exchange({ scope })).json['access_token'])
}

/** The valid question with one thing changed. */
async function introspect(change: Form): Promise<Reply> {
  const form = { client_id: 'ci', client_secret: SECRETS.ci, ...change }
  return broker.post(form, { path: '/token/introspect' })
}

t.test('discovery names what works, in Dex’s order, with the key that signs', async (t) => {
  const answer = await broker.get('/.well-known/openid-configuration')
  t.equal(answer.headers['content-type'], 'application/json')
  t.notOk(answer.headers['cache-control'])
  t.same(answer.json, {
    issuer: BROKER_ISSUER,
    token_endpoint: `${BROKER_ISSUER}/token`,
    jwks_uri: `${BROKER_ISSUER}/keys`,
    userinfo_endpoint: `${BROKER_ISSUER}/userinfo`,
    introspection_endpoint: `${BROKER_ISSUER}/token/introspect`,
    revocation_endpoint: `${BROKER_ISSUER}/token/revoke`,
    grant_types_supported: ['client_credentials', 'urn:ietf:params:oauth:grant-type:token-exchange'],
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['ES256'],
    scopes_supported: ['openid', 'email', 'groups', 'profile', 'federated:id'],
    token_endpoint_auth_methods_supported: [
      'client_secret_basic',
      'client_secret_post',
      'none',
      'private_key_jwt',
    ],
    token_endpoint_auth_signing_alg_values_supported: ['RS256', 'ES256', 'PS256', 'EdDSA'],
    claims_supported: answer.json['claims_supported'],
  })
  t.ok(answer.text.startsWith('{\n  "issuer"'), 'indented as Dex does')
})

t.test('a reload shows in discovery at once', async (t) => {
  const world = await startTestBroker(t, { issuer })
  const methods = async (): Promise<unknown> =>
    (await world.get('/.well-known/openid-configuration')).json['token_endpoint_auth_methods_supported']
  t.match(await methods(), ['client_secret_basic', 'client_secret_post', 'none', 'private_key_jwt'])
  world.reload(
    (config) =>
      void Object.assign(config, {
        clients: [{ id: 'ci', auth: { method: 'client_secret', secretEnv: 'CI_SECRET' } }],
        audiences: [{ id: 'app', clients: ['ci'] }],
        policies: [
          { name: 'a', connector: 'gitlab', claims: { project_id: '1' }, grant: { audiences: ['app'] } },
        ],
      }),
  )
  t.same(await methods(), ['client_secret_basic', 'client_secret_post'])
})

t.test('RFC 8414 metadata stands before the issuer’s path and says the same', async (t) => {
  const answer = await app.inject({ url: '/.well-known/oauth-authorization-server/dex' })
  t.equal(answer.statusCode, 200)
  t.match(JSON.parse(answer.payload), { issuer: BROKER_ISSUER, token_endpoint: `${BROKER_ISSUER}/token` })
})

t.test('documents answer HEAD and POST as Dex does', async (t) => {
  for (const url of ['/dex/keys', '/dex/.well-known/openid-configuration']) {
    const get = await app.inject({ url })
    const head = await app.inject({ method: 'HEAD', url })
    t.equal(head.statusCode, 200)
    t.equal(head.headers['content-length'], get.headers['content-length'])
    t.equal(
      (await app.inject({ method: 'POST', url, payload: 'x', headers: { 'content-type': 'text/plain' } }))
        .statusCode,
      200,
    )
  }
})

t.test('the key set holds public members only and may be kept for 90 s', async (t) => {
  const answer = await broker.get('/keys')
  t.equal(answer.headers['cache-control'], 'public, max-age=90, must-revalidate')
  t.equal(answer.headers['content-type'], 'application/json')
  const { keys } = JSON.parse(answer.text)
  const members = new Set(['kty', 'crv', 'x', 'y', 'n', 'e', 'kid', 'alg', 'use'])
  for (const key of keys) for (const name of Object.keys(key)) t.ok(members.has(name), name)
  t.equal(answer.text, (await broker.get('/keys')).text, 'the same bytes each time')
})

t.test(
  'metrics name the hash of the key set’s very bytes, as a kube-apiserver that fetched it does',
  async (t) => {
    const named = async (): Promise<string | undefined> => {
      const { payload } = await broker.ops.inject({ url: '/metrics' })
      return /^sallyport_jwks_info\{hash="(.*)"\} 1$/m.exec(payload)?.[1]
    }
    const served = async (): Promise<string> => `sha256:${hash('sha256', (await broker.get('/keys')).text)}`
    const before = await named()
    t.equal(before, await served())
    await broker.broker.parts.keyRing.rotate()
    t.equal(await named(), await served())
    t.not(await named(), before)
  },
)

t.test('the issuer’s trailing slash stays in iss and is not doubled in paths', async (t) => {
  const world = await startTestBroker(t, {
    issuer,
    change: (config) => void Object.assign(config, { issuer: 'https://broker.example.test/' }),
  })
  const { json } = await world.get('/.well-known/openid-configuration')
  t.match(json, {
    issuer: 'https://broker.example.test/',
    token_endpoint: 'https://broker.example.test/token',
  })
  t.equal((await world.exchange()).token?.claims['iss'], 'https://broker.example.test/')
})

t.test('userinfo answers the token’s own payload, byte for byte', async (t) => {
  const token = await issued()
  const answer = await broker.get('/userinfo', bearer(token))
  t.equal(answer.status, 200)
  t.equal(answer.text, Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
  t.match(answer.headers, { 'content-type': 'application/json', 'cache-control': 'no-store' })
  const post = await broker.post({}, { path: '/userinfo', headers: { authorization: `bEaReR ${token}` } })
  t.equal(post.status, 200)
})

t.test('userinfo without a bearer token is 401 with a challenge', async (t) => {
  for (const headers of [{}, basic('ci', SECRETS.ci), { authorization: 'Bearer' }]) {
    const answer = await broker.get('/userinfo', headers)
    t.equal(answer.status, 401)
    t.same(answer.json, INVALID)
    t.equal(answer.headers['www-authenticate'], 'Bearer')
  }
})

t.test('userinfo with a token that is not ours, or is over, is 403', async (t) => {
  const token = await issued()
  const [header = '', payload = '', signature = ''] = token.split('.')
  const flipped = `${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`
  for (const wrong of ['x', broker.mint(), `${header}.${payload}.${flipped}`, `${header}.${payload}.`]) {
    const answer = await broker.get('/userinfo', bearer(wrong))
    t.equal(answer.status, 403)
    t.same(answer.json, INVALID)
    t.notOk(answer.headers['www-authenticate'])
  }
  broker.clock.now = START + 600_000
  t.equal((await broker.get('/userinfo', bearer(token))).status, 403)
  broker.clock.now = START + 599_999
  t.equal((await broker.get('/userinfo', bearer(token))).status, 200)
  broker.clock.now = START
})

t.test('introspection of a living token, for an authenticated client', async (t) => {
  const answer = await introspect({
    token: await issued('openid profile groups audience:server:client_id:app'),
  })
  t.equal(answer.status, 200)
  t.same(answer.json, {
    active: true,
    client_id: 'ci',
    sub: 'CgU0ODI5MRIGZ2l0bGFi',
    exp: START / 1000 + 600,
    iat: START / 1000,
    nbf: START / 1000,
    username: 'gitlab:acme-platform/terraform-aws-eks',
    aud: ['app', 'ci'],
    iss: BROKER_ISSUER,
    token_type: 'Bearer',
    token_use: 'access_token',
    ext: {
      azp: 'ci',
      groups: ['deployers'],
      name: 'gitlab:acme-platform/terraform-aws-eks',
      preferred_username: 'gitlab:acme-platform/terraform-aws-eks',
    },
  })
  t.match(answer.headers, { 'cache-control': 'no-store', pragma: 'no-cache' })
})

t.test('tokens of every profile are active while they live', async (t) => {
  for (const id of ['app', 'kubernetes', 'registry', 'ci']) {
    const answer = await introspect({ token: await issued(`audience:server:client_id:${id}`) })
    t.equal(answer.json['active'], true, id)
    t.equal(answer.json['client_id'], id === 'kubernetes' ? undefined : 'ci', id)
  }
})

t.test('everything else is inactive, with a newline as Dex writes it', async (t) => {
  const token = await issued()
  for (const wrong of ['garbage', '', broker.mint(), token.slice(0, -2)]) {
    const answer = await introspect({ token: wrong })
    t.equal(answer.status, 200)
    t.equal(answer.text, '{"active":false}\n')
    t.equal(answer.headers['cache-control'], 'no-store')
  }
})

t.test('a token of a client that was removed is dead with it', async (t) => {
  const world = await startTestBroker(t, { issuer })
  const ask = async (token: string): Promise<unknown> =>
    (await world.post({ client_id: 'ci', client_secret: SECRETS.ci, token }, { path: '/token/introspect' }))
      .json['active']
  const token = String(
    (await world.exchange({ client_id: 'open', client_secret: undefined })).json['access_token'],
  )
  t.equal(await ask(token), true)
  world.reload((config) => {
    const { clients, audiences, policies } = config
    if (!Array.isArray(clients) || !Array.isArray(audiences) || !Array.isArray(policies))
      throw new Error('no lists')
    clients.splice(
      clients.findIndex((client: unknown) => Object(client).id === 'open'),
      1,
    )
    Object.assign(audiences[0], { clients: ['ci'] })
    Object.assign(policies[0], { grant: { audiences: ['app'] } })
  })
  t.equal(await ask(token), false)
})

t.test('introspection asks who asks; what it refuses is an audit event', async (t) => {
  const token = await issued()
  const rows: readonly (readonly [Form, string])[] = [
    [{ client_secret: SECRETS.other }, 'client_secret_wrong'],
    [{ client_id: 'nobody' }, 'client_unknown'],
    [{ client_id: undefined, client_secret: undefined }, 'client_unknown'],
    [{ client_id: 'open', client_secret: undefined }, 'client_public'],
  ]
  for (const [change, reason] of rows) {
    const answer = await introspect({ token, ...change })
    t.equal(answer.status, 401)
    t.equal(answer.json['error'], 'invalid_client')
    t.match(broker.audit(), { event: 'introspection', decision: 'deny', reason, step: 'client' })
  }
  t.equal((await introspect({ token })).json['active'], true)
})

t.test('Dex’s texts for what is wrong with the question', async (t) => {
  const path = '/token/introspect'
  const texts = async (form: Form, body?: string): Promise<unknown> =>
    (await broker.post(form, { path, ...(body === undefined ? {} : { body }) })).json['error_description']
  t.equal(await texts({}), 'The POST body can not be empty.')
  t.equal(await texts({ x: '1' }), "The POST body doesn't contain 'token' parameter.")
  t.match(await texts({}, 'a=%zz'), /^Unable to parse HTTP body/)
  const get = await broker.get(path)
  t.equal(get.status, 400)
  t.equal(get.json['error_description'], 'HTTP method is "GET", expected "POST".')
  t.equal(broker.audit()?.reason, 'method_not_allowed')
})

t.test('health on the public listener is Dex’s text', async (t) => {
  const answer = await broker.get('/healthz')
  t.equal(answer.status, 200)
  t.equal(answer.text, 'Health check passed')
  t.equal(answer.headers['content-type'], 'text/plain; charset=utf-8')
})
