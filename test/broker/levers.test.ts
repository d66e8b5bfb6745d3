// What an emergency changes for those who ask this broker: what is switched off buys nothing, what is denied is refused,
// a client takes its own tokens back, and each says in the audit log why.
import t from 'tap'
import type { Test } from 'tap'
import { SECRETS } from '../support/broker_config.ts'
import { lift, pull } from '../support/levers.ts'
import { basic, startTestBroker } from '../support/test_broker.ts'
import type { Reply, TestBroker } from '../support/test_broker.ts'

const wrongClient = {
  status: 401,
  text: '{"error":"invalid_client","error_description":"Invalid client credentials."}',
}
const scope = (id: string): string => `openid audience:server:client_id:${id}`
const tokenOf = ({ json }: Reply): string => String(json['access_token'])
const userinfo = (world: TestBroker, token: string): Promise<Reply> =>
  world.get('/userinfo', { authorization: `Bearer ${token}` })
const introspect = (world: TestBroker, token: string): Promise<Reply> =>
  world.post({ token }, { path: '/token/introspect', headers: basic('ci-pipeline', SECRETS.pipeline) })
const revoke = (world: TestBroker, token: string, form: object = {}): Promise<Reply> =>
  world.post({ token, client_id: 'ci', client_secret: SECRETS.ci, ...form }, { path: '/token/revoke' })

async function isGood(world: TestBroker, token: string): Promise<boolean> {
  const [asked, told] = [await userinfo(world, token), await introspect(world, token)]
  const isActive = told.json['active'] === true
  if ((asked.status === 200) !== isActive) throw new Error('userinfo and introspection differ')
  return isActive
}

async function assertOneEvent(
  t: Test,
  world: TestBroker,
  ask: () => Promise<Reply>,
  event: object,
): Promise<Reply> {
  const before = world.events.length
  const reply = await ask()
  t.equal(world.events.length, before + 1, 'one event')
  t.match(world.audit(), event)
  return reply
}

t.test('a client that is switched off is answered as one with a wrong secret (TH-D16)', async (t) => {
  const world = await startTestBroker(t)
  t.equal((await world.exchange()).status, 200)
  await pull(world, 'disable client ci')
  t.match(world.audit(), {
    event: 'emergency',
    decision: 'allow',
    lever: { did: 'disabled', kind: 'client', id: 'ci', by: 'jane', why: 'INC-42' },
  })
  const wrong = await world.exchange({ client_secret: 'wrong' })
  const denied = { decision: 'deny', step: 'client', reason: 'client_disabled', evidence: { client: 'ci' } }
  const off = await assertOneEvent(t, world, () => world.exchange(), denied)
  t.match(off, wrongClient)
  t.equal(off.text, wrong.text)
  const asking = () =>
    world.post({ token: 'x' }, { path: '/token/introspect', headers: basic('ci', SECRETS.ci) })
  t.match(await assertOneEvent(t, world, asking, denied), wrongClient)
  await world.exchange({ client_secret: 'wrong' })
  t.match(world.audit(), { reason: 'client_secret_wrong' }, 'only who proves it is told of in the event')
  t.equal((await world.credentials()).status, 200, 'another client goes on')
  await lift(world, 'disable client ci')
  t.equal((await world.exchange()).status, 200)
})

t.test('a connector that is switched off buys nothing, and its issuer is not asked', async (t) => {
  const world = await startTestBroker(t)
  await pull(world, 'disable connector gitlab')
  const denied = { step: 'connector', reason: 'connector_disabled', connector: 'gitlab' }
  for (const change of [{}, { connector_id: undefined }]) {
    const reply = await assertOneEvent(t, world, () => world.exchange(change), denied)
    t.match(reply, { status: 400, json: { error_description: 'Requested connector does not exist.' } })
  }
  const job = { client_id: 'job', client_secret: undefined }
  const asJob = await world.exchange(job)
  t.match(asJob, wrongClient)
  t.match(world.audit(), {
    reason: 'client_assertion_invalid',
    evidence: { cause: { reason: 'connector_disabled', connector: 'gitlab' } },
  })
  t.same(world.issuer.fetches, { discovery: 0, jwks: 0, userinfo: 0, other: 0 })
  await lift(world, 'disable connector gitlab')
  t.equal((await world.exchange(job)).status, 200)
})

t.test('a policy that is switched off grants nothing, and one after it may', async (t) => {
  const second = { name: 'narrow', connector: 'gitlab', claims: { project_id: '48291' } }
  const world = await startTestBroker(t)
  await pull(world, 'disable policy acme-main')
  const reply = await assertOneEvent(t, world, () => world.exchange(), {
    step: 'policy',
    reason: 'policy_disabled',
    evidence: { policy: 'acme-main' },
  })
  t.match(reply, { status: 401, text: '{"error":"access_denied"}' })
  await world.exchange({ subject_token: world.mint({ ref: 'feature' }) })
  t.match(world.audit(), { reason: 'policy_none_matched' }, 'it is named only where it would have held')
  world.reload((config) => {
    const { policies } = config
    if (Array.isArray(policies)) policies.push({ ...second, grant: { audiences: ['app'] } })
  })
  t.equal((await world.exchange()).status, 200)
  t.match(world.audit(), { policy: 'narrow' })
})

t.test('a denied token is refused wherever this broker is asked, by id, client and policy', async (t) => {
  const world = await startTestBroker(t)
  for (const profile of ['app', 'kubernetes', 'registry']) {
    for (const by of ['token', 'client', 'policy'] as const) {
      const issued = await world.exchange({ scope: scope(profile) })
      const token = tokenOf(issued)
      const jti = String(issued.token?.claims['jti'])
      const lever = `deny ${by} ${{ token: jti, client: 'ci', policy: 'acme-main' }[by]}`
      t.equal(await isGood(world, token), true)
      await pull(world, lever)
      const event = { decision: 'deny', reason: 'token_denied', evidence: { by, jti } }
      const asked = await assertOneEvent(t, world, () => userinfo(world, token), {
        ...event,
        event: 'userinfo',
      })
      t.match(asked, { status: 403, json: { error_description: 'Invalid bearer token.' } })
      const told = await assertOneEvent(t, world, () => introspect(world, token), {
        ...event,
        event: 'introspection',
      })
      t.match(told, { status: 200, text: '{"active":false}\n' })
      const younger = await world.exchange({ scope: scope(profile) })
      t.equal(younger.status, 200, 'it is not switched off')
      world.clock.now += 70_000
      t.equal(
        await isGood(world, tokenOf(await world.exchange({ scope: scope(profile) }))),
        true,
        'a younger one',
      )
      await lift(world, lever)
      t.equal(await isGood(world, token), true, `${profile} by ${by}`)
    }
  }
})

t.test(
  'what is denied stays denied while the store is away, and what is pulled is seen when it is back',
  async (t) => {
    const world = await startTestBroker(t)
    const token = tokenOf(await world.exchange())
    await pull(world, 'deny client ci')
    await pull(world, 'disable policy acme-main')
    world.faults.store = true
    await t.rejects(world.broker.parts.levers.refresh(), /the database is locked/)
    t.equal(await isGood(world, token), false)
    t.equal((await world.exchange()).status, 401)
    t.match(world.audit(), { reason: 'policy_disabled' })
    world.faults.store = false
    await lift(world, 'disable policy acme-main')
    t.equal((await world.exchange()).status, 200)
  },
)

t.test(
  'what a person did is told once, by one of the brokers, and again when it could not be written',
  async (t) => {
    const world = await startTestBroker(t)
    const { store, levers } = world.broker.parts
    const other = await startTestBroker(t, { store, clock: world.clock })
    world.faults.audit = true
    await pull(world, 'disable client ci')
    t.equal(world.events.length + other.events.length, 0)
    t.match((await world.exchange()).status, 503, 'and it is obeyed')
    world.faults.audit = false
    await Promise.all([levers.refresh(), other.broker.parts.levers.refresh()])
    const told = [...world.events, ...other.events].filter(({ event }) => event === 'emergency')
    t.equal(told.length, 1)
    t.same((await store.list('emergency/event/')).length, 0)
  },
)

t.test('a client takes its own token back, with one event, and nobody else’s', async (t) => {
  const world = await startTestBroker(t)
  for (const profile of ['app', 'kubernetes', 'registry']) {
    const issued = await world.exchange({ scope: scope(profile) })
    const token = tokenOf(issued)
    const foreign = () => revoke(world, token, { client_id: 'ci-pipeline', client_secret: SECRETS.pipeline })
    const kept = await assertOneEvent(t, world, foreign, {
      event: 'revocation',
      decision: 'deny',
      reason: 'token_of_another_client',
      evidence: { client: 'ci-pipeline', issuedTo: 'ci' },
    })
    t.match(kept, { status: 200, text: '' })
    t.equal(await isGood(world, token), true)
    const jti = String(issued.token?.claims['jti'])
    const gone = await assertOneEvent(t, world, () => revoke(world, token), {
      event: 'revocation',
      decision: 'allow',
      client: 'ci',
      subject: { jti },
    })
    t.match(gone, { status: 200, text: '' })
    t.same(
      { ...gone.headers, 'x-request-id': '', date: '' },
      { ...kept.headers, 'x-request-id': '', date: '' },
      'byte for byte',
    )
    t.equal(await isGood(world, token), false)
    t.equal((await revoke(world, token)).status, 200, 'twice is no error')
  }
})

t.test('a public client takes its own token back', async (t) => {
  const world = await startTestBroker(t)
  const open = { client_id: 'open', client_secret: undefined }
  const token = tokenOf(await world.exchange(open))
  t.equal((await revoke(world, token, open)).status, 200)
  t.equal((await userinfo(world, token)).status, 403)
})

t.test(
  'whatever is wrong with the token is the same 200; what is wrong with the client is not',
  async (t) => {
    const world = await startTestBroker(t)
    const token = tokenOf(await world.exchange())
    for (const [text, reason] of [
      ['nonsense', 'subject_malformed'],
      [`${token.slice(0, -8)}AAAAAAAA`, 'subject_signature_invalid'],
      [world.mint(), 'subject_issuer_mismatch'],
    ] as const) {
      const reply = await assertOneEvent(t, world, () => revoke(world, text), { event: 'revocation', reason })
      t.match(reply, { status: 200, text: '', headers: { 'cache-control': 'no-store' } })
    }
    for (const form of [{ client_secret: 'wrong' }, { client_id: 'nobody' }]) {
      t.match(await revoke(world, token, form), wrongClient)
    }
    t.equal(await isGood(world, token), true)
    t.match(await revoke(world, ''), { status: 400, json: { error: 'invalid_request' } })
    t.match(await world.get('/token/revoke'), { status: 400 })
    t.match(world.audit(), { event: 'revocation', reason: 'method_not_allowed' })
    world.clock.now += 3_600_000
    await revoke(world, token)
    t.match(world.audit(), { reason: 'subject_expired' })
  },
)

t.test('a revocation that the store does not take is 503, never a 200', async (t) => {
  const world = await startTestBroker(t)
  const token = tokenOf(await world.exchange())
  world.faults.store = true
  const reply = await assertOneEvent(t, world, () => revoke(world, token), {
    event: 'revocation',
    decision: 'fail',
    reason: 'store_unavailable',
  })
  t.match(reply, { status: 503, headers: { 'retry-after': '5' } })
  world.faults.store = false
  t.equal(await isGood(world, token), true)
})

t.test('discovery names the endpoint', async (t) => {
  const world = await startTestBroker(t)
  for (const path of ['/.well-known/openid-configuration'])
    t.match((await world.get(path)).json, { revocation_endpoint: `${world.config.issuer}/token/revoke` })
})
