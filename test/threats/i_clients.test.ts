// Group I: who asks, how often, and what somebody who guesses can learn.
import t from 'tap'
import { CLIENT_CREDENTIALS, JWT_BEARER_ASSERTION } from '../../src/core/oauth/names.ts'
import { SECRETS } from '../support/broker_config.ts'
import { asSigner, assertion } from '../support/client_assertion.ts'
import type { Assertion } from '../support/client_assertion.ts'
import { BROKER_ISSUER, startTestBroker } from '../support/test_broker.ts'
import type { Config, Form, Reply, TestBroker } from '../support/test_broker.ts'
import { makeKey } from '../support/test_issuer.ts'
import { FREE_GUESSES } from '../../src/platform/guess_limit.ts'
import { WRONG_CLIENT, countOf, invalid, threatTable } from '../support/threat_case.ts'
import type { RefusedRow } from '../support/threat_case.ts'
import { entryOf, nowOf } from '../support/threat_world.ts'

const BURST = 20
const broker = await startTestBroker(t, {
  env: { CI_NEXT: SECRETS.next, EMPTY: '' },
  change: (config) =>
    Object.assign(config, { limits: { clientRate: 1, clientBurst: BURST, addressRate: 0 } }),
})
const { refuses, accepts, refusesConfig } = threatTable(t, broker)
const changed =
  (change: Form, headers: Readonly<Record<string, string>> = {}): RefusedRow['attack'] =>
  (world) =>
    world.exchange(change, { headers })
const none: Form = { client_id: undefined, client_secret: undefined }

const shapes: unknown[] = []
/** What a caller sees of a refusal, apart from the request's id. */
const looksAlike: NonNullable<RefusedRow['also']> = (t, { status, text, headers }) => {
  shapes.push([status, text, Object.keys(headers)])
  t.same(shapes.at(-1), shapes[0])
}
for (const [says, change, reason] of [
  ['a wrong secret', { client_secret: SECRETS.other }, 'client_secret_wrong'],
  ['an unknown client', { client_id: 'nobody' }, 'client_unknown'],
  ['no secret', { client_secret: undefined }, 'client_secret_missing'],
  ['no client', none, 'client_unknown'],
] as const)
  refuses({ id: 'I01', says, reason, answer: WRONG_CLIENT, attack: changed(change), also: looksAlike })

const secretOf = (auth: object) => (config: Config) =>
  Object.assign(Object(entryOf(config, 'clients', 'ci')['auth']), auth)
refusesConfig({
  id: 'I03',
  says: 'an empty secret',
  change: secretOf({ secretEnv: 'EMPTY' }),
  finding: /client_secret_empty/,
  twin: secretOf({ secretEnv: 'CI_NEXT' }),
})
refuses({
  id: 'I03',
  says: 'an empty secret in a request',
  reason: 'client_secret_missing',
  answer: WRONG_CLIENT,
  attack: changed({ client_secret: '' }),
})

const tooMany = {
  status: 429,
  text: '{"error":"temporarily_unavailable","error_description":"Too many requests."}',
}
const guesses =
  (address: string, client = 'ci') =>
  async (world: TestBroker): Promise<Reply> => {
    let reply = await world.exchange({ client_id: client, client_secret: 'guess' }, { address })
    for (let count = 0; count < BURST; count += 1)
      reply = await world.exchange({ client_id: client, client_secret: 'guess' }, { address })
    return reply
  }
refuses({
  id: 'I04',
  says: 'guess after guess at a client’s secret, without locking the client out,',
  reason: 'rate_limited',
  answer: tooMany,
  evidence: { key: 'client' },
  requests: BURST + 1,
  attack: guesses('192.0.2.1'),
  also: async (t, reply, world) => {
    t.equal(reply.headers['retry-after'], '1')
    t.equal(
      (await world.exchange({}, { address: '192.0.2.1' })).status,
      429,
      'nor does the right one pass there',
    )
    t.equal(
      (await world.exchange({}, { address: '192.0.2.2' })).status,
      200,
      'elsewhere the client is served',
    )
  },
})
refuses({
  id: 'I04',
  says: 'guess after guess at clients that do not exist',
  reason: 'rate_limited',
  answer: tooMany,
  requests: BURST + 1,
  attack: async (world) => {
    let reply: Reply | undefined
    for (let count = 0; count <= BURST; count += 1)
      reply = await world.exchange({ client_id: `nobody-${count}` }, { address: '192.0.2.3' })
    return reply ?? world.exchange()
  },
})

const WRONG_SECRETS = FREE_GUESSES + 1
const differentGuesses = async (world: TestBroker, address: string, client = 'ci'): Promise<Reply> => {
  const guess = (count: number): Promise<Reply> =>
    world.exchange({ client_id: client, client_secret: `a-guess-of-some-length-${count}` }, { address })
  for (let count = 1; count <= WRONG_SECRETS; count += 1) await guess(count)
  return guess(0)
}
for (const [says, client, address] of [
  ['one wrong secret of a client after the other', 'ci', '192.0.2.10'],
  ['one secret after the other for a client that does not exist', 'nobody', '192.0.2.11'],
] as const)
  refuses({
    id: 'I04',
    says,
    reason: 'client_held_off',
    answer: tooMany,
    evidence: { client },
    requests: WRONG_SECRETS + 1,
    attack: (world) => differentGuesses(world, address, client),
    also: async (t, reply, world) => {
      t.equal(reply.headers['retry-after'], '1')
      t.equal((await world.exchange({}, { address: '192.0.2.2' })).status, 200, 'elsewhere ci is served')
      t.equal((await world.credentials({}, { address })).status, 200, 'there another client is')
    },
  })
refuses({
  id: 'I04',
  says: 'guesses from where the client asks, which is served on,',
  reason: 'client_held_off',
  answer: tooMany,
  requests: WRONG_SECRETS + 2,
  attack: async (world) => {
    await world.exchange({}, { address: '192.0.2.12' })
    return differentGuesses(world, '192.0.2.12')
  },
  also: async (t, _reply, world) => {
    t.equal((await world.exchange({}, { address: '192.0.2.12' })).status, 200)
    const introspect = { client_id: 'ci', client_secret: 'a-guess-at-another-endpoint', token: 'x' }
    const elsewhere = { path: '/token/introspect', address: '192.0.2.12' }
    t.equal((await world.post(introspect, elsewhere)).status, 429, 'a guess is one at each endpoint')
    world.reload(() => {})
    t.equal((await world.post(introspect, elsewhere)).status, 429, 'also after a reload')
  },
})
t.test('TH-I04: guesses from many networks lock nobody out, and are counted for the client', async (t) => {
  const guessed = { reason: 'client_secret_wrong', client: 'ci' }
  const before = await countOf(broker, 'sallyport_token_decisions_total', guessed)
  for (let host = 1; host <= 100; host += 1)
    await broker.exchange({ client_secret: `guess-${host}` }, { address: `198.51.100.${host}` })
  t.equal((await countOf(broker, 'sallyport_token_decisions_total', guessed)) - before, 100)
  t.equal((await broker.exchange({}, { address: '192.0.2.13' })).status, 200)
})

accepts({
  id: 'I05',
  says: 'while a secret is rotated the next one works beside it',
  requests: 2,
  ask: async (world) => {
    world.reload(secretOf({ secretEnv: ['CI_SECRET', 'CI_NEXT'] }))
    await world.exchange()
    return world.exchange({ client_secret: SECRETS.next })
  },
})
refuses({
  id: 'I05',
  says: 'the old secret after its rotation',
  reason: 'client_secret_wrong',
  answer: WRONG_CLIENT,
  attack: (world) => {
    world.reload(secretOf({ secretEnv: 'CI_NEXT' }))
    return world.exchange()
  },
  twin: (world) => {
    world.reload(secretOf({ secretEnv: ['CI_SECRET', 'CI_NEXT'] }))
    return world.exchange({ client_secret: SECRETS.next })
  },
  also: (_t, _reply, world) => void world.reload(() => {}),
})

refuses({
  id: 'I06',
  says: 'a secret in the URL',
  reason: 'client_secret_missing',
  answer: WRONG_CLIENT,
  attack: (world) =>
    world.exchange({ client_secret: undefined }, { path: `/token?client_secret=${SECRETS.ci}` }),
})
accepts({
  id: 'I06',
  says: 'a secret in a Referer is written down nowhere',
  ask: changed({}, { referer: `https://example.test/?client_secret=${SECRETS.ci}` }),
})

const failed = { reason: 'client_assertion_invalid', answer: WRONG_CLIENT } as const
const signed =
  (make: (now: number) => Assertion) =>
  (world: TestBroker): Promise<Reply> =>
    world.exchange(asSigner(assertion({ now: nowOf(world), ...make(nowOf(world)) })))
const asItIs = signed(() => ({}))
for (const [says, make] of [
  ['for the token endpoint', () => ({ claims: { aud: `${BROKER_ISSUER}/token` } })],
  ['for a list', () => ({ claims: { aud: [BROKER_ISSUER] } })],
  ['for another server', () => ({ claims: { aud: 'https://other.example.test' } })],
  ['of another client', () => ({ claims: { iss: 'ci' } })],
  ['about another client', () => ({ claims: { sub: 'ci' } })],
  ['that lives a day', (now: number) => ({ claims: { exp: now + 86_400 } })],
  ['that has ended', (now: number) => ({ claims: { exp: now - 60, iat: now - 120 } })],
  ['without exp', () => ({ claims: { exp: undefined } })],
  ['without jti', () => ({ claims: { jti: undefined } })],
  ['of a key that is not the client’s', () => ({ key: makeKey('ES256') })],
  ['under another kid', () => ({ header: { kid: 'other' } })],
  ['that is an HMAC', () => ({ header: { alg: 'HS256' } })],
  ['that is not signed', () => ({ header: { alg: 'none' } })],
  ['that is another kind of token', () => ({ header: { typ: 'at+jwt' } })],
] as const)
  refuses({ id: 'I07', says: `an assertion ${says}`, ...failed, attack: signed(make), twin: asItIs })
refuses({
  id: 'I07',
  says: 'an assertion that was used before',
  ...failed,
  requests: 2,
  attack: async (world) => {
    const once = assertion({ now: nowOf(world) })
    await world.exchange(asSigner(once))
    return world.exchange(asSigner(once))
  },
  twin: asItIs,
})
refuses({
  id: 'I07',
  says: 'the assertion of one client for another',
  reason: 'client_auth_method_wrong',
  answer: WRONG_CLIENT,
  attack: (world) => world.exchange(asSigner(assertion({ now: nowOf(world) }), { client_id: 'ci' })),
  twin: asItIs,
})

const asJob =
  (claims: Readonly<Record<string, unknown>>) =>
  (world: TestBroker): Promise<Reply> =>
    world.credentials({
      client_id: 'job',
      client_secret: undefined,
      client_assertion_type: JWT_BEARER_ASSERTION,
      client_assertion: world.mint(claims),
    })
for (const [says, claims] of [
  ['whose policy it does not hold', { ref: 'feature' }],
  ['that is over', { exp: 1_795_000_000, iat: 1_794_999_000, nbf: 1_794_999_000 }],
  ['of another audience', { aud: 'https://elsewhere.example.test' }],
] as const)
  refuses({
    id: 'I08',
    says: `a CI token as a credential ${says}`,
    ...failed,
    attack: asJob(claims),
    twin: asJob({}),
    also: looksAlike,
  })
refuses({
  id: 'I08',
  says: 'a CI token as a credential of no named client',
  reason: 'client_unknown',
  answer: WRONG_CLIENT,
  attack: (world) =>
    world.credentials({
      ...none,
      client_assertion_type: JWT_BEARER_ASSERTION,
      client_assertion: world.mint({ sub: 'job' }),
    }),
  twin: asJob({}),
})

for (const header of ['x-client-cert', 'x-ssl-client-verify', 'client-cert', 'x-forwarded-client-cert'])
  refuses({
    id: 'I10',
    says: `a certificate that is only told, in ${header},`,
    reason: 'client_secret_missing',
    answer: WRONG_CLIENT,
    attack: changed({ client_secret: undefined }, { [header]: 'SUCCESS;CN=ci' }),
    twin: changed({}, { [header]: 'SUCCESS;CN=ci' }),
  })

const noDpop = {
  reason: 'dpop_unsupported',
  answer: invalid('invalid_dpop_proof', 'DPoP is not supported.'),
} as const
for (const [says, attack] of [
  ['an exchange', (world: TestBroker) => changed({}, { dpop: world.mint() })(world)],
  ['client credentials', (world: TestBroker) => world.credentials({}, { headers: { dpop: world.mint() } })],
  ['an exchange, empty,', changed({}, { dpop: '' })],
] as const)
  refuses({ id: 'I11', says: `a proof of possession beside ${says}`, ...noDpop, attack })

refuses({
  id: 'I12',
  says: 'a client with a secret that does not send it',
  reason: 'client_secret_missing',
  answer: WRONG_CLIENT,
  attack: changed({ client_secret: undefined }),
})
refuses({
  id: 'I12',
  says: 'a public client that wants a token for itself',
  reason: 'client_grant_not_allowed',
  answer: invalid('unauthorized_client', 'Client is not allowed to use this grant type.'),
  attack: changed({
    grant_type: CLIENT_CREDENTIALS,
    client_id: 'open',
    client_secret: undefined,
    scope: undefined,
  }),
  twin: changed({ client_id: 'open', client_secret: undefined }),
})

refuses({
  id: 'I13',
  says: 'a flood of forged signatures, before they are looked at,',
  reason: 'rate_limited',
  answer: tooMany,
  requests: BURST + 1,
  attack: async (world) => {
    const [head = '', body = ''] = world.mint().split('.')
    let reply: Reply | undefined
    for (let count = 0; count <= BURST; count += 1) {
      const forged = Buffer.alloc(256, count + 1).toString('base64url')
      reply = await world.exchange({ subject_token: `${head}.${body}.${forged}` }, { address: '192.0.2.9' })
    }
    return reply ?? world.exchange()
  },
})

for (const [says, change] of [
  ['a client', { client_id: 'nobody', connector_id: 'gitlab' }],
  ['a client and a connector', { client_id: 'nobody', connector_id: 'nowhere' }],
  ['a client and a policy', { client_id: 'nobody', policy: 'nowhere' }],
] as const)
  refuses({
    id: 'I14',
    says: `a guess at ${says}`,
    reason: 'client_unknown',
    answer: WRONG_CLIENT,
    attack: changed(change),
    also: looksAlike,
  })
