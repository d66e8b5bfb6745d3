// What issued tokens say: the three audience profiles, lifetimes, single use, and what a policy adds.
import { createPublicKey, verify } from 'node:crypto'
import t from 'tap'
import { ID_TOKEN_TYPE } from '../../src/core/oauth/names.ts'
import { BROKER_ISSUER, START, startTestBroker } from '../support/test_broker.ts'
import type { Config, TestBroker } from '../support/test_broker.ts'

const broker = await startTestBroker(t)
const { issuer } = broker
const seconds = START / 1000
const audience = (id: string): string => `audience:server:client_id:${id}`

const SOURCE = {
  ci: 'gitlab-ci',
  repository: 'acme-platform/terraform-aws-eks',
  repository_id: '48291',
  ref: 'refs/heads/main',
  ref_type: 'branch',
  sha: '8fe1b322a576d59fe6257052a4107df7dc1b8c78',
  run_id: '1519139981',
  environment: 'production',
}

t.test(
  'a kubernetes token is for that audience alone, flat, untyped and at most 15 minutes old',
  async (t) => {
    const answer = await broker.exchange({ scope: audience('kubernetes') })
    t.same(Object.keys(answer.token?.header ?? {}), ['alg', 'kid'])
    const { jti, ...claims } = answer.token?.claims ?? {}
    t.type(jti, 'string')
    t.same(claims, {
      iss: BROKER_ISSUER,
      sub: 'gitlab:48291',
      aud: 'kubernetes',
      exp: seconds - 5 + 600,
      iat: seconds - 5,
      nbf: seconds - 5,
      azp: 'ci',
      token_use: 'kube',
      username: 'gitlab:acme-platform/terraform-aws-eks',
      uid: '48291',
      groups: ['deployers'],
      ...SOURCE,
      source: `localhost:${new URL(issuer.url).port}/acme-platform/terraform-aws-eks`,
      policy: 'acme-main',
    })
    t.equal(answer.json['expires_in'], 595)
    for (const value of Object.values(claims)) t.ok(typeof value !== 'object' || Array.isArray(value), 'flat')
  },
)

t.test('a kubernetes token says its audience once, however often it was named', async (t) => {
  const twice = await broker.exchange({ scope: `${audience('kubernetes')} ${audience('kubernetes')}` })
  t.equal(twice.token?.claims['aud'], 'kubernetes')
  const byParameter = await broker.exchange({ scope: undefined, audience: ['kubernetes', 'kubernetes'] })
  t.equal(byParameter.token?.claims['aud'], 'kubernetes')
})

t.test('an RFC 9068 token says at+jwt, whose client asked and by which grant', async (t) => {
  const answer = await broker.exchange({
    scope: `openid ${audience('registry')}`,
    requested_token_type: ID_TOKEN_TYPE,
  })
  t.equal(answer.token?.header['typ'], 'at+jwt')
  t.match(answer.token?.claims, {
    sub: 'gitlab:48291',
    aud: 'registry',
    client_id: 'ci',
    scope: 'openid',
    grant: 'token-exchange',
    policy: 'acme-main',
    repository_id: '48291',
  })
  t.match(answer.json['issued_token_type'], /access_token$/, 'whatever was asked for')
})

t.test('an RFC 9068 token states scopes that were granted, never what a caller made up', async (t) => {
  const asked = `openid registry:admin groups offline_access ${audience('registry')} ${audience('registry')}`
  const free = await broker.exchange({ scope: asked })
  t.equal(free.token?.claims['scope'], 'openid groups')
  t.equal(free.token?.claims['aud'], 'registry', 'named twice, said once')
  const world = await startTestBroker(t, {
    issuer,
    change: (config) => void Object.assign(grantOf(config), { scopes: ['registry:read', 'openid'] }),
  })
  const narrowed = await world.exchange({ scope: `${asked} registry:read` })
  t.equal(narrowed.token?.claims['scope'], 'openid registry:read')
})

t.test('every token verifies with the key that its kid names in the key set', async (t) => {
  const { keys } = JSON.parse((await broker.get('/keys')).text)
  for (const id of ['app', 'kubernetes', 'registry']) {
    const token = String((await broker.exchange({ scope: audience(id) })).json['access_token'])
    const [header = '', payload = '', signature = ''] = token.split('.')
    const { kid } = JSON.parse(Buffer.from(header, 'base64url').toString())
    const jwk = keys.find((key: { kid: string }) => key.kid === kid)
    const key = createPublicKey({ key: jwk, format: 'jwk' })
    const data = Buffer.from(`${header}.${payload}`)
    t.ok(verify('sha256', data, { key, dsaEncoding: 'ieee-p1363' }, Buffer.from(signature, 'base64url')))
  }
})

type Ttl = {
  readonly says: string
  readonly policy?: string
  readonly client?: string
  readonly audience?: string
  readonly own?: string
  readonly to: string
  readonly expect: number
}

const TTLS: readonly Ttl[] = [
  { says: 'nothing said: the default', to: 'app', expect: 600 },
  { says: 'the policy may say more than the default', policy: '1h', to: 'app', expect: 3600 },
  { says: 'the client makes it shorter', policy: '1h', client: '5m', to: 'app', expect: 300 },
  {
    says: 'a client’s longer limit does not lengthen it',
    policy: '2m',
    client: '1h',
    to: 'app',
    expect: 120,
  },
  { says: 'the audience makes it shorter', policy: '1h', audience: '3m', to: 'app', expect: 180 },
  {
    says: 'kubernetes ends after 15 minutes whatever the client says',
    client: '1h',
    to: 'kubernetes',
    expect: 900,
  },
  {
    says: 'the client’s own audience counts, since the token is for it, too',
    policy: '1h',
    own: '1m',
    to: 'app',
    expect: 60,
  },
]
for (const row of TTLS) {
  t.test(`lifetime: ${row.says}`, async (t) => {
    const world = await startTestBroker(t, { issuer, change: (config) => setTtls(config, row) })
    const { token } = await world.exchange({ scope: audience(row.to) })
    t.equal(Number(token?.claims['exp']) - Number(token?.claims['iat']), row.expect)
  })
}

function setTtls(config: Config, { policy, client, audience: limit, own, to }: Ttl): void {
  const set = (list: string, id: string, change: object): void => {
    const entries: unknown = config[list]
    if (!Array.isArray(entries)) throw new Error(`no ${list}`)
    const entry: unknown = entries.find((item: unknown) => [Object(item).id, Object(item).name].includes(id))
    if (entry === undefined) entries.push({ id, ...change })
    else Object.assign(Object(entry), change)
  }
  if (policy !== undefined) Object.assign(grantOf(config), { ttl: policy, audiences: [to] })
  if (client !== undefined) set('clients', 'ci', { ttl: client })
  if (limit !== undefined) set('audiences', 'app', { maxTtl: limit })
  if (own !== undefined) set('audiences', 'ci', { maxTtl: own })
}

function grantOf(config: Config): object {
  const { policies } = config
  if (!Array.isArray(policies)) throw new Error('no policies')
  return Object(policies[0]).grant
}

t.test(
  'a policy adds flat claims and narrows scopes; it never replaces what the profile states',
  async (t) => {
    const world = await startTestBroker(t, {
      issuer,
      change: (config) =>
        void Object.assign(grantOf(config), {
          claims: { team: '${namespace_path}' },
          scopes: ['openid', 'groups'],
        }),
    })
    const answer = await world.exchange({ scope: `openid email profile groups ${audience('app')}` })
    t.match(answer.token?.claims, {
      team: 'acme-platform',
      groups: ['deployers'],
      sub: 'CgU0ODI5MRIGZ2l0bGFi',
    })
    t.notOk('email_verified' in (answer.token?.claims ?? {}))
    t.notOk('name' in (answer.token?.claims ?? {}))
  },
)

t.test('a request may name the policy that it wants to be judged by', async (t) => {
  t.equal((await broker.exchange({ policy: 'acme-main' })).status, 200)
  t.equal((await broker.exchange({ policy: 'other' })).status, 401)
  t.match(broker.audit(), { reason: 'policy_unknown', evidence: { policy: 'other' } })
})

t.test(
  'a request without audiences gets the client’s defaults, else the one that the policy grants',
  async (t) => {
    const world = await startTestBroker(t, {
      issuer,
      change: (config) => void Object.assign(grantOf(config), { audiences: ['kubernetes'] }),
    })
    t.equal((await world.exchange({ scope: 'openid' })).token?.claims['aud'], 'kubernetes')
    t.equal((await world.exchange({ scope: audience('app') })).status, 401)
    t.match(world.audit(), {
      reason: 'audience_not_granted',
      evidence: { policy: 'acme-main', refused: ['app'] },
    })
  },
)

async function singleUse(t: Parameters<typeof startTestBroker>[0], mode: string): Promise<TestBroker> {
  return startTestBroker(t, {
    issuer,
    change: (config) => void Object.assign(grantOf(config), { singleUse: mode }),
  })
}

t.test('single use per audience: each place once, also beside another', async (t) => {
  const world = await singleUse(t, 'per_audience')
  const token = world.mint()
  const ask = async (...ids: readonly string[]): Promise<number> =>
    (await world.exchange({ subject_token: token, scope: ids.map(audience).join(' ') })).status
  t.equal(await ask('app'), 200)
  t.equal(await ask('app'), 401)
  t.match(world.audit(), { reason: 'subject_replayed', evidence: { scope: 'per_audience' } })
  t.equal(await ask('app', 'ci'), 401, 'the own id, which a dex token names anyway, makes no difference')
  t.equal(await ask('app', 'second'), 401, 'a used place is not good again beside a new one')
  t.equal(await ask('registry'), 200, 'another place is another use')
  t.equal(await ask('app'), 401)
})

function policyOf(connector: string): object {
  return { name: connector, connector, claims: { project_id: '48291' }, grant: { audiences: ['app'] } }
}

t.test('a used token stays used when another connector has the same issuer', async (t) => {
  const connector = { type: 'gitlab-ci', issuer: issuer.url, caFile: 'ca.pem', singleUse: 'once' }
  const world = await startTestBroker(t, {
    issuer,
    change: (config) => {
      const { clients } = config
      if (!Array.isArray(clients)) throw new Error('no clients')
      Object.assign(config, {
        connectors: [
          { ...connector, id: 'gitlab' },
          { ...connector, id: 'again' },
        ],
        policies: [policyOf('gitlab'), policyOf('again')],
        clients: clients.filter((client: unknown) => Object(client).id !== 'job'),
        audiences: [{ id: 'app', clients: ['ci'] }],
      })
    },
  })
  const token = world.mint()
  t.equal((await world.exchange({ subject_token: token })).status, 200)
  t.equal((await world.exchange({ subject_token: token, connector_id: 'again' })).status, 401)
  t.equal(world.audit()?.reason, 'subject_replayed')
  t.equal((await world.exchange({ connector_id: 'again' })).status, 200)
})

t.test('single use once: one exchange, whatever for', async (t) => {
  const world = await singleUse(t, 'once')
  const token = world.mint()
  t.equal((await world.exchange({ subject_token: token })).status, 200)
  t.equal((await world.exchange({ subject_token: token, scope: audience('registry') })).status, 401)
  t.equal(world.audit()?.reason, 'subject_replayed')
  t.equal((await world.exchange()).status, 200, 'another token')
})

t.test('a refused request burns nothing', async (t) => {
  const world = await singleUse(t, 'once')
  const token = world.mint()
  for (const change of [
    { scope: audience('stranger') },
    { requested_token_type: 'x' },
    { client_secret: 'x' },
    { policy: 'x' },
  ])
    t.not((await world.exchange({ subject_token: token, ...change })).status, 200)
  t.equal((await world.exchange({ subject_token: token })).status, 200)
})

t.test('a token without jti is known by what was signed, in every spelling', async (t) => {
  const world = await singleUse(t, 'once')
  const token = world.mint({ jti: undefined })
  t.equal((await world.exchange({ subject_token: token })).status, 200)
  t.equal((await world.exchange({ subject_token: token })).status, 401)
  t.equal(world.audit()?.reason, 'subject_replayed')
})

t.test('of a hundred requests with one token at the same moment exactly one wins', async (t) => {
  const world = await singleUse(t, 'per_audience')
  const token = world.mint()
  const answers = await Promise.all(
    Array.from({ length: 100 }, () => world.exchange({ subject_token: token })),
  )
  t.equal(answers.filter(({ status }) => status === 200).length, 1)
  t.equal(world.events.filter(({ reason }) => reason === 'subject_replayed').length, 99)
})

t.test('a claim is forgotten when the token could not be used any more (TH-G09)', async (t) => {
  const world = await singleUse(t, 'once')
  const token = world.mint()
  t.equal((await world.exchange({ subject_token: token })).status, 200)
  t.equal((await world.broker.parts.store.list('replay/')).length, 1)
  world.clock.now = START + 332_000
  t.equal((await world.broker.parts.store.list('replay/')).length, 0)
})
