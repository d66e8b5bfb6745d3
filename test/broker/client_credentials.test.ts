// client_credentials on the wire: Dex's rows, and what we add to them.
import t from 'tap'
import { encodeSubject } from '../../src/core/dex/subject.ts'
import { SECRETS } from '../support/broker_config.ts'
import { START, basic, startTestBroker } from '../support/test_broker.ts'
import type { Config, Form } from '../support/test_broker.ts'

const broker = await startTestBroker(t)
const { issuer } = broker
const audience = (id: string): string => `audience:server:client_id:${id}`

t.test('Dex’s rows of accepted scopes', async (t) => {
  const named = { name: 'CI Pipeline', preferred_username: 'CI Pipeline' }
  const rows: readonly (readonly [string | undefined, object])[] = [
    [undefined, {}],
    ['openid', {}],
    ['openid profile', named],
    ['openid email profile groups', { ...named, email_verified: false, groups: ['pipelines', 'builders'] }],
    ['openid groups', { groups: ['pipelines', 'builders'] }],
  ]
  for (const [scope, claims] of rows) {
    const answer = await broker.credentials({ scope })
    t.equal(answer.status, 200)
    t.equal(answer.json['token_type'], 'bearer')
    t.equal(answer.json['expires_in'], 600)
    const openid = scope?.includes('openid') ?? false
    const members = ['access_token', 'token_type', 'expires_in', ...(openid ? ['id_token'] : [])]
    t.same(Object.keys(answer.json), members)
    for (const token of openid ? [answer.token, answer.idToken] : [answer.token]) {
      const { iss: _iss, exp: _exp, iat, jti: _jti, at_hash: atHash, sub, aud, ...rest } = token?.claims ?? {}
      t.same(rest, claims)
      t.equal(sub, encodeSubject('ci-pipeline', ''))
      t.equal(aud, 'ci-pipeline')
      t.equal(iat, START / 1000)
      t.match(atHash, /^[A-Za-z0-9_-]{22}$/)
    }
  }
  t.match(broker.audit(), {
    decision: 'allow',
    grant: 'client_credentials',
    client: 'ci-pipeline',
    profile: 'dex',
  })
})

t.test('a client without configured groups has none', async (t) => {
  const answer = await broker.credentials({
    client_id: 'ci',
    client_secret: SECRETS.ci,
    scope: 'openid groups',
  })
  t.equal(answer.status, 200)
  t.notOk('groups' in (answer.token?.claims ?? {}))
})

t.test('a nonce may have 512 characters', async (t) => {
  const answer = await broker.credentials({ nonce: 'n'.repeat(512) })
  t.equal(answer.status, 200)
  t.ok(String(answer.json['access_token']).length < 8192)
  const longer = await broker.credentials({ nonce: 'n'.repeat(513) })
  t.match(longer, { status: 400, text: '{"error":"invalid_request"}' })
  t.match(broker.audit(), {
    reason: 'form_malformed',
    evidence: { detail: 'nonce is longer than 512 characters' },
  })
})

t.test('a nonce comes back in both tokens', async (t) => {
  const answer = await broker.credentials({ nonce: 'n-<1>' })
  t.equal(answer.token?.claims['nonce'], 'n-<1>')
  t.equal(answer.idToken?.claims['nonce'], 'n-<1>')
  const payload = String(answer.json['access_token']).split('.')[1] ?? ''
  t.match(Buffer.from(payload, 'base64url').toString(), '"nonce":"n-\\u003c1\\u003e"', 'as Go writes it')
})

const REFUSED: readonly (readonly [Form, number, object, string])[] = [
  [
    { client_secret: 'wrong' },
    401,
    { error: 'invalid_client', error_description: 'Invalid client credentials.' },
    'client_secret_wrong',
  ],
  [
    { client_id: 'nonexistent' },
    401,
    { error: 'invalid_client', error_description: 'Invalid client credentials.' },
    'client_unknown',
  ],
  [
    { scope: 'openid offline_access' },
    400,
    {
      error: 'invalid_scope',
      error_description: 'client_credentials grant does not support offline_access scope.',
    },
    'scope_not_supported',
  ],
  [
    { scope: 'federated:id offline_access' },
    400,
    {
      error: 'invalid_scope',
      error_description: 'client_credentials grant does not support federated:id scope.',
    },
    'scope_not_supported',
  ],
  [
    { scope: 'openid bogus "x" bogus' },
    400,
    { error: 'invalid_scope', error_description: 'Unrecognized scope(s) ["bogus" "\\"x\\"" "bogus"]' },
    'scope_unrecognized',
  ],
  [
    { scope: `bogus ${audience('stranger-2')}` },
    400,
    { error: 'invalid_scope', error_description: 'Unrecognized scope(s) ["bogus"]' },
    'scope_unrecognized',
  ],
  [
    { scope: `${audience('app')} ${audience('registry')}` },
    400,
    {
      error: 'invalid_scope',
      error_description: 'Client can\'t request scope(s) ["audience:server:client_id:app"]',
    },
    'scope_audience_not_trusted',
  ],
  [
    { audience: 'app' },
    400,
    { error: 'invalid_target', error_description: 'The client may not request this audience.' },
    'audience_not_trusted',
  ],
  [
    { resource: 'https://app.example.test/api' },
    400,
    { error: 'invalid_target', error_description: 'The client may not request this audience.' },
    'audience_not_trusted',
  ],
]
for (const [change, status, body, reason] of REFUSED) {
  t.test(`client_credentials with ${JSON.stringify(change)} is refused: ${reason}`, async (t) => {
    const answer = await broker.credentials(change)
    t.equal(answer.status, status)
    t.equal(answer.text, JSON.stringify(body))
    t.equal(broker.audit()?.reason, reason)
    t.equal((await broker.credentials()).status, 200)
  })
}

t.test('a public client has no credentials to be asked for', async (t) => {
  const dex = await startTestBroker(t, { issuer, dex: () => DEX })
  const answer = await dex.credentials({ client_id: 'open', client_secret: undefined })
  t.equal(answer.status, 400)
  t.same(answer.json, {
    error: 'unauthorized_client',
    error_description: 'Public clients cannot use client_credentials grant.',
  })
  t.equal(dex.audit()?.reason, 'client_public')
  t.equal(
    (await dex.credentials({ client_id: 'open', client_secret: undefined, scope: 'bogus' })).json['error'],
    'invalid_scope',
    'scopes come first',
  )
  t.equal((await dex.credentials()).status, 200)
})

t.test(
  'a grant that the configuration does not enable is unsupported before anybody is authenticated',
  async (t) => {
    const dex = await startTestBroker(t, {
      issuer,
      dex: () => ({ ...DEX, oauth2: { grantTypes: ['authorization_code'] } }),
    })
    for (const headers of [basic('nobody', 'x'), basic('ci-pipeline', SECRETS.pipeline)]) {
      const answer = await dex.credentials({ client_id: undefined, client_secret: undefined }, { headers })
      t.equal(answer.text, '{"error":"unsupported_grant_type"}')
      t.match(dex.audit(), { reason: 'grant_type_unsupported', step: 'request' })
    }
  },
)

const DEX: Config = {
  issuer: 'https://broker.example.test/dex',
  storage: { type: 'memory' },
  web: { http: '127.0.0.1:0' },
  oauth2: { grantTypes: ['client_credentials', 'urn:ietf:params:oauth:grant-type:token-exchange'] },
  staticClients: [
    { id: 'ci-pipeline', name: 'CI Pipeline', secret: SECRETS.pipeline },
    { id: 'open', name: 'Open', public: true },
  ],
}

t.test('Dex’s default lifetime is a day, and its own is kept', async (t) => {
  const dex = await startTestBroker(t, { issuer, dex: () => DEX })
  t.equal((await dex.credentials()).json['expires_in'], 86_400)
  const short = await startTestBroker(t, { issuer, dex: () => ({ ...DEX, expiry: { idTokens: '10m' } }) })
  t.equal((await short.credentials()).json['expires_in'], 600)
})

t.test(
  'seed 000: scope=openid, a default audience and a plain subject give a token the registry accepts',
  async (t) => {
    const plain = await startTestBroker(t, {
      issuer,
      change: (config) => changeClient(config, { subject: 'plain', defaultAudiences: ['registry'] }),
    })
    const answer = await plain.credentials()
    t.equal(answer.status, 200)
    t.same(answer.token?.header['typ'], 'at+jwt')
    t.match(answer.token?.claims, {
      sub: 'ci-pipeline',
      aud: 'registry',
      client_id: 'ci-pipeline',
      grant: 'client_credentials',
    })
    t.notOk('id_token' in answer.json, 'an access token for a registry is no login')
  },
)

t.test('a plain subject in a dex token is the client id itself', async (t) => {
  const plain = await startTestBroker(t, {
    issuer,
    change: (config) => changeClient(config, { subject: 'plain' }),
  })
  t.equal((await plain.credentials()).token?.claims['sub'], 'ci-pipeline')
  t.equal(
    (await broker.credentials()).token?.claims['sub'],
    'CgtjaS1waXBlbGluZQ',
    'Dex’s form stays the default',
  )
})

function changeClient(config: Config, change: object): void {
  const { clients } = config
  if (!Array.isArray(clients)) throw new Error('no clients')
  Object.assign(clients[1], change)
}

t.test('a public client that has a secret must send it, and still gets no token for itself', async (t) => {
  const open = { id: 'open', name: 'Open', public: true, secret: SECRETS.other }
  for (const grantTypes of [undefined, ['client_credentials']]) {
    const dex = await startTestBroker(t, {
      issuer,
      dex: () => ({ ...DEX, staticClients: [grantTypes === undefined ? open : { ...open, grantTypes }] }),
    })
    const answer = await dex.credentials({ client_id: 'open', client_secret: SECRETS.other })
    t.equal(answer.json['error_description'], 'Public clients cannot use client_credentials grant.')
    t.equal(dex.audit()?.reason, 'client_public')
    t.equal((await dex.credentials({ client_id: 'open', client_secret: undefined })).status, 401)
  }
})
