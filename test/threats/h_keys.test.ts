// Group H: the keys that this broker signs with. The ring itself has its tests in test/platform/key_ring.test.ts.
import { createPublicKey, verify } from 'node:crypto'
import type { JsonWebKey } from 'node:crypto'
import t from 'tap'
import { SECRETS } from '../support/broker_config.ts'
import { whilePulled } from '../support/levers.ts'
import { basic, startTestBroker } from '../support/test_broker.ts'
import type { Config, Reply, TestBroker } from '../support/test_broker.ts'
import { NO_CONNECTOR, UNAVAILABLE, WRONG_CLIENT, countOf, threatTable } from '../support/threat_case.ts'
import { entryOf } from '../support/threat_world.ts'

const broker = await startTestBroker(t)
const { refuses, accepts, refusesConfig } = threatTable(t, broker)
const ring = broker.broker.parts.keyRing
const userinfo = (world: TestBroker, reply: Reply): Promise<Reply> =>
  world.get('/userinfo', { authorization: `Bearer ${String(reply.json['access_token'])}` })

type PublicKeys = { readonly keys: readonly (JsonWebKey & { readonly kid: string })[] }
type StoredKeys = { readonly keys: readonly { readonly privateKey?: string }[] }

/** Whether a relying party that has the key set of now verifies the token. */
async function verifies(world: TestBroker, reply: Reply): Promise<boolean> {
  const token = String(reply.json['access_token'])
  const at = token.lastIndexOf('.')
  const { keys }: PublicKeys = JSON.parse((await world.get('/keys')).text)
  const jwk = keys.find(({ kid }) => kid === reply.token?.header['kid'])
  if (jwk === undefined) return false
  const key = { key: createPublicKey({ key: jwk, format: 'jwk' }), dsaEncoding: 'ieee-p1363' } as const
  const signature = Buffer.from(token.slice(at + 1), 'base64url')
  return verify('sha256', Buffer.from(token.slice(0, at)), key, signature)
}

/** Longer than until a published key signs. */
const LEAD_MS = 200_000
accepts({
  id: 'H01',
  says: 'tokens of the old and of the new key verify before, during and after a rotation',
  requests: 2,
  ask: async (world) => {
    const before = await world.exchange()
    await ring.rotate()
    t.equal(await verifies(world, before), true)
    world.clock.now += LEAD_MS
    await ring.refresh()
    t.equal(await verifies(world, before), true)
    const after = await world.exchange()
    t.not(after.token?.header['kid'], before.token?.header['kid'])
    return after
  },
  also: async (t, reply, world) => {
    t.equal(await verifies(world, reply), true)
    t.equal((await userinfo(world, reply)).status, 200)
  },
})

t.test('TH-H02: a key that is revoked is refused at once by everything that asks this broker', async (t) => {
  const issued = await broker.exchange()
  t.equal((await userinfo(broker, issued)).status, 200)
  const introspect = {
    client_id: 'ci',
    client_secret: SECRETS.ci,
    token: String(issued.json['access_token']),
  }
  const active = async (): Promise<unknown> =>
    (await broker.post(introspect, { path: '/token/introspect' })).json['active']
  t.equal(await active(), true)
  t.equal(await ring.revoke(String(issued.token?.header['kid'])), true)
  t.equal(await verifies(broker, issued), false)
  t.equal((await userinfo(broker, issued)).status, 403)
  t.equal(await active(), false)
  const next = await broker.exchange()
  t.equal(next.status, 200)
  t.equal(await verifies(broker, next), true)
})

for (const [lever, says, row] of [
  ['disable client ci', 'a client that is switched off', { reason: 'client_disabled', answer: WRONG_CLIENT }],
  [
    'disable connector gitlab',
    'a token of a connector that is switched off',
    { reason: 'connector_disabled', answer: NO_CONNECTOR },
  ],
  ['disable policy acme-main', 'a job of a policy that is switched off', { reason: 'policy_disabled' }],
] as const)
  refuses({ id: 'H02', says, ...row, attack: (world) => whilePulled(world, lever, () => world.exchange()) })

for (const by of ['token', 'client', 'policy'] as const)
  t.test(
    `TH-H02: a token that is denied by its ${by} is refused by userinfo and introspection`,
    async (t) => {
      const issued = await broker.exchange()
      const jti = String(issued.token?.claims['jti'])
      const lever = `deny ${by} ${{ token: jti, client: 'ci', policy: 'acme-main' }[by]}`
      const token = String(issued.json['access_token'])
      const ask = {
        userinfo: () => userinfo(broker, issued),
        introspection: () =>
          broker.post({ token }, { path: '/token/introspect', headers: basic('ci', SECRETS.ci) }),
      }
      for (const endpoint of ['userinfo', 'introspection'] as const) {
        const before = await countOf(broker, 'sallyport_token_decisions_total', { reason: 'token_denied' })
        const events = broker.events.length
        const refused = await whilePulled(broker, lever, ask[endpoint])
        t.match(refused, endpoint === 'userinfo' ? { status: 403 } : { text: '{"active":false}\n' })
        t.equal(broker.events.length, events + 1)
        t.match(broker.audit(), { event: endpoint, reason: 'token_denied', evidence: { by, jti } })
        t.equal(
          await countOf(broker, 'sallyport_token_decisions_total', { reason: 'token_denied' }),
          before + 1,
        )
        const lifted = await ask[endpoint]()
        t.match(lifted, endpoint === 'userinfo' ? { status: 200 } : { json: { active: true } })
      }
      t.notOk(broker.said.join('\n').includes(token.slice(0, 40)))
    },
  )

for (const [says, file] of [
  ['that is not there', { sealingKeyFile: '/nowhere/sealing.key' }],
  ['of foreign public keys that is not there', { extraPublicKeysFile: '/nowhere/keys.json' }],
] as const)
  refusesConfig({
    id: 'H04',
    says: `a key file ${says}`,
    change: (config: Config) => Object.assign(config, { keys: file }),
    finding: /\/nowhere\//,
  })

t.test('TH-H05: no private key is in anything that leaves', async (t) => {
  await broker.credentials()
  await broker.exchange({ client_secret: 'wrong' })
  broker.faults.signing = true
  await broker.exchange()
  broker.faults.signing = false
  const { store } = broker.broker.parts
  const stored: StoredKeys = JSON.parse((await store.get('keys/ring')) ?? '{}')
  const secrets = stored.keys.flatMap(({ privateKey }) => (privateKey === undefined ? [] : [privateKey]))
  t.ok(secrets.length > 0)
  const left = [
    ...broker.said,
    (await broker.get('/keys')).text,
    (await broker.get('/.well-known/openid-configuration')).text,
    ...(await Promise.all(
      ['/metrics', '/healthz', '/readyz'].map(async (url) => (await broker.ops.inject({ url })).payload),
    )),
  ].join('\n')
  for (const secret of secrets) {
    const key = secret.slice(secret.indexOf(':') + 1)
    for (let at = 0; at + 24 <= key.length; at += 24) t.notOk(left.includes(key.slice(at, at + 24)))
  }
  t.notMatch(left, /"d":|PRIVATE KEY/)
})

let finishWaiting = (): void => {}
let waiting: Promise<Reply> | undefined
refuses({
  id: 'H07',
  says: 'a request above those that may be in work at once',
  reason: 'too_busy',
  decision: 'fail',
  answer: UNAVAILABLE,
  fetches: { discovery: 1, jwks: 1 },
  twin: (world) => world.credentials(),
  attack: async (world) => {
    const { promise: held, resolve: finish } = Promise.withResolvers<void>()
    const { promise: asked, resolve: ask } = Promise.withResolvers<void>()
    const keys = JSON.stringify(world.issuer.publicJwks())
    world.issuer.behave({
      jwks: (_request, response) => {
        ask()
        void held.then(() => response.end(keys))
      },
    })
    world.reload((config) => {
      Object.assign(config, { limits: { maxConcurrentRequests: 1 } })
      // Keys of its own, for which the first request has to wait.
      Object.assign(entryOf(config, 'connectors', 'gitlab'), { trustedHosts: ['keys.example.test'] })
    })
    finishWaiting = finish
    waiting = world.exchange()
    await asked
    return world.credentials()
  },
  also: async (t, reply, world) => {
    t.equal(reply.headers['retry-after'], '1')
    finishWaiting()
    t.equal((await waiting)?.status, 200)
    world.issuer.behave({})
    world.reload(() => {})
  },
})

refuses({
  id: 'H08',
  says: 'an exchange that cannot be signed',
  reason: 'signing_failed',
  decision: 'fail',
  answer: { status: 500, text: '{"error":"server_error"}' },
  attack: async (world) => {
    world.faults.signing = true
    const reply = await world.exchange()
    world.faults.signing = false
    return reply
  },
})

const ofAudience = (id: string) => ({ scope: `audience:server:client_id:${id}` })
t.test('TH-H06: every audience is told by aud, since one key signs for all of them', async (t) => {
  const kube = await broker.exchange(ofAudience('kubernetes'))
  const registry = await broker.exchange(ofAudience('registry'))
  t.equal(kube.token?.header['kid'], registry.token?.header['kid'])
  t.equal(kube.token?.claims['aud'], 'kubernetes')
  t.equal(registry.token?.claims['aud'], 'registry')
  t.not(kube.token?.header['typ'], registry.token?.header['typ'])
})
