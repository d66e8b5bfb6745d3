// Our own faults and the network's: a clear 503 or 500, after the client is known, recorded, and over when they are over.
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { createOpsApp } from '../../src/broker/ops_app.ts'
import type { IssuerKeysStatus } from '../../src/platform/issuer_keys/issuer_keys.ts'
import { LOOKUP_LIMITS } from '../../src/platform/upstream_lookups.ts'
import { SECRETS } from '../support/broker_config.ts'
import { START, startTestBroker } from '../support/test_broker.ts'
import type { Config, TestBroker } from '../support/test_broker.ts'
import { startTestIssuer } from '../support/test_issuer.ts'

const broker = await startTestBroker(t, { change: singleUse })
const { issuer, faults } = broker

function singleUse(config: Config): void {
  const { policies } = config
  if (!Array.isArray(policies)) throw new Error('no policies')
  Object.assign(Object(policies[0]).grant, { singleUse: 'per_audience' })
}

t.afterEach(() => {
  Object.assign(faults, { store: false, audit: false, signing: false, broken: false })
  issuer.behave({})
})

t.test('a store that is down is 503 with Retry-After, and no token', async (t) => {
  faults.store = true
  const answer = await broker.exchange()
  t.equal(answer.status, 503)
  t.equal(answer.text, '{"error":"temporarily_unavailable"}')
  t.equal(answer.headers['retry-after'], '5')
  t.match(broker.audit(), { decision: 'fail', reason: 'store_unavailable', client: 'ci' })
  t.equal(
    (await broker.exchange({ client_secret: SECRETS.other })).status,
    401,
    'strangers do not learn of it',
  )
  faults.store = false
  t.equal((await broker.exchange()).status, 200)
})

t.test('a store that is down does not stop what needs none', async (t) => {
  faults.store = true
  t.equal((await broker.credentials()).status, 200)
  t.equal((await broker.get('/keys')).status, 200)
})

t.test('an event that cannot be written is no token, but 503 (TH-J07)', async (t) => {
  faults.audit = true
  const before = broker.events.length
  for (const answer of [
    await broker.exchange(),
    await broker.credentials(),
    await broker.exchange({ client_secret: 'x' }),
  ]) {
    t.equal(answer.status, 503)
    t.equal(answer.headers['retry-after'], '5')
    t.notOk(answer.token)
  }
  t.equal(broker.events.length, before)
  t.match(broker.lines.at(-1), 'audit event not written')
  const metrics = await broker.broker.parts.metrics.registry.metrics()
  t.match(
    metrics,
    /sallyport_token_decisions_total\{[^}]*decision="fail"[^}]*reason="audit_unavailable"[^}]*\} /,
  )
  faults.audit = false
  t.equal((await broker.exchange()).status, 200)
})

t.test('a signer that fails is 500 with a constant body', async (t) => {
  faults.signing = true
  const answer = await broker.credentials()
  t.equal(answer.status, 500)
  t.equal(answer.text, '{"error":"server_error"}')
  t.match(broker.audit(), { decision: 'fail', reason: 'signing_failed', step: 'mint' })
  faults.signing = false
  t.equal((await broker.credentials()).status, 200)
})

t.test(
  'an error that nobody expected is a constant 500; the log has the request id and the stack (TH-J05)',
  async (t) => {
    faults.broken = true
    const answer = await broker.exchange()
    faults.broken = false
    t.equal(answer.status, 500)
    t.equal(answer.text, '{"error":"server_error"}')
    t.match(broker.lines.at(-1), 'secret /path/to/db')
    t.match(broker.lines.at(-1), String(answer.headers['x-request-id']))
    t.equal((await broker.exchange()).status, 200)
  },
)

async function withIssuer(t: Parameters<typeof startTestBroker>[0]): Promise<TestBroker> {
  const own = await startTestIssuer({ now: () => START })
  t.teardown(() => own.close())
  return startTestBroker(t, { issuer: own })
}

t.test(
  'an issuer whose keys cannot be had is 503 with Retry-After, only after the client is known',
  async (t) => {
    for (const behaviour of ['status500', 'not_json', 'redirect', 'empty'] as const) {
      const world = await withIssuer(t)
      world.issuer.behave({ jwks: behaviour })
      const answer = await world.exchange()
      t.equal(answer.status, 503, behaviour)
      t.equal(answer.text, '{"error":"temporarily_unavailable"}')
      t.equal(answer.headers['retry-after'], '5')
      t.match(world.audit(), {
        decision: 'fail',
        reason: 'issuer_keys_unavailable',
        step: 'subject',
        client: 'ci',
        connector: 'gitlab',
      })
      t.equal((await world.exchange({ client_secret: SECRETS.other })).status, 401)
      t.equal((await world.exchange({ connector_id: 'nowhere' })).status, 400)
      world.issuer.behave({})
      world.clock.now += 5000
      t.equal((await world.exchange()).status, 200, 'well again')
    }
  },
)

t.test(
  'a job whose issuer’s keys cannot be had is told what every failed proof is told; the audit says whose fault it is',
  async (t) => {
    const world = await withIssuer(t)
    world.issuer.behave({ jwks: 'status500' })
    const job = { client_id: 'job', client_secret: undefined }
    const answer = await world.exchange(job)
    t.equal(answer.status, 401)
    t.equal(answer.json['error'], 'invalid_client')
    t.match(world.audit(), {
      decision: 'fail',
      step: 'client',
      reason: 'client_assertion_invalid',
      evidence: { client: 'job', cause: { reason: 'issuer_keys_unavailable', connector: 'gitlab' } },
    })
    world.issuer.behave({})
    world.clock.now += 5000
    t.equal((await world.exchange({ ...job, subject_token: world.mint({ ref: 'feature' }) })).status, 401)
    t.match(world.audit(), { decision: 'deny', reason: 'client_assertion_invalid' })
    t.equal((await world.exchange(job)).status, 200)
  },
)

t.test(
  'a job that finds no place at its issuer is told to come back; other networks have places of their own',
  async (t) => {
    const slow = await startTestIssuer({ now: () => START })
    t.teardown(() => slow.close())
    slow.behave({ userinfo: 'hang' })
    const world = await startTestBroker(t, { issuer: slow, change: askUserinfo })
    // A job of the same issuer that the policy does not let in: before it says so, the issuer has been asked.
    const show = (address: string, claims = {}): ReturnType<TestBroker['exchange']> =>
      world.exchange(
        { client_id: 'job', client_secret: undefined, subject_token: world.mint(claims) },
        { address },
      )
    const asked = async (count: number): Promise<void> => {
      while (slow.fetches.userinfo < count) await sleep(5)
    }
    const flood = Array.from({ length: LOOKUP_LIMITS.maxOfCaller }, () =>
      show('203.0.113.7', { ref: 'feature' }),
    )
    await asked(LOOKUP_LIMITS.maxOfCaller)
    const other = show('198.51.100.9')
    await asked(LOOKUP_LIMITS.maxOfCaller + 1)
    const beyond = show('203.0.113.7')
    t.match(await beyond, {
      status: 429,
      headers: { 'retry-after': '1' },
      json: { error: 'temporarily_unavailable' },
    })
    t.match(world.audit(), {
      decision: 'fail',
      reason: 'issuer_busy',
      evidence: { connector: 'gitlab' },
      peer: '203.0.113.7',
    })
    t.equal(slow.fetches.userinfo, LOOKUP_LIMITS.maxOfCaller + 1, 'it was not asked about')
    await slow.close()
    await Promise.all([...flood, other])
  },
)

/** Has the id of the user, which no token carries, looked up at the issuer. */
function askUserinfo({ connectors }: Config): void {
  if (!Array.isArray(connectors)) throw new Error('no connectors')
  Object.assign(connectors[0], { userinfo: true, claimMapping: { userId: 'account' } })
}

t.test('keys at hand outlive their issuer', async (t) => {
  const world = await withIssuer(t)
  t.equal((await world.exchange()).status, 200)
  world.issuer.behave({ discovery: 'status500', jwks: 'status500' })
  world.clock.now += 3600_000
  const fresh = world.issuer.mint({
    ...claimsOf(world),
    iat: world.clock.now / 1000,
    nbf: world.clock.now / 1000,
    exp: world.clock.now / 1000 + 300,
  })
  t.equal((await world.exchange({ subject_token: fresh })).status, 200)
})

function claimsOf(world: TestBroker): Readonly<Record<string, unknown>> {
  const [, payload = ''] = world.mint().split('.')
  return JSON.parse(Buffer.from(payload, 'base64url').toString())
}

t.test('an issuer that hangs delays nobody else', async (t) => {
  const hanging = await startTestIssuer({ now: () => START })
  t.teardown(() => hanging.close())
  hanging.behave({ discovery: 'hang', jwks: 'hang' })
  const world = await startTestBroker(t, {
    issuer,
    change: (config) => {
      const { connectors, policies } = config
      if (!Array.isArray(connectors) || !Array.isArray(policies)) throw new Error('no lists')
      connectors.push({ id: 'slow', type: 'oidc', issuer: hanging.url, caFile: 'ca.pem' })
      policies.push({ name: 'slow', connector: 'slow', claims: { sub: 'x' }, grant: { audiences: ['app'] } })
    },
  })
  const slow = world.exchange({
    connector_id: 'slow',
    subject_token: hanging.mint({ sub: 'x', aud: world.config.issuer }),
  })
  const began = performance.now()
  for (let round = 0; round < 5; round += 1) t.equal((await world.exchange()).status, 200)
  t.equal((await world.credentials()).status, 200)
  t.ok(performance.now() - began < 1000)
  await hanging.close()
  t.equal((await slow).status, 503)
})

t.test('the ops listener says what is wrong, and that it lives', async (t) => {
  const ask = async (path: string): Promise<readonly [number, string]> => {
    const answer = await broker.ops.inject({ url: path })
    return [answer.statusCode, answer.payload]
  }
  t.same(await ask('/livez'), [200, 'ok'])
  t.same(await ask('/healthz/live'), [200, 'ok'])
  const [status, body] = await ask('/readyz')
  t.equal(status, 200)
  t.match(
    body,
    /^\[\+\]store ok: answers\n\[\+\]keys ok: signing with [\w-]{43}\n\[\+\]audit ok: is written\n/,
  )
  t.equal((await ask('/healthz/ready'))[0], 200)
  t.match(JSON.parse((await ask('/healthz'))[1]), {
    store: { ok: true },
    keys: { ok: true },
    audit: { ok: true },
  })
  faults.store = true
  t.match(await ask('/readyz'), [503, /\[-\]store failed: the database is locked/])
  t.match(JSON.parse((await ask('/healthz'))[1]), { store: { ok: false, message: 'the database is locked' } })
  t.equal((await ask('/livez'))[0], 200, 'a restart would mend nothing')
  t.equal((await broker.get('/healthz')).status, 500, 'Dex’s path on the public listener knows it, too')
  faults.store = false
  faults.audit = true
  t.match(await ask('/readyz'), [503, /\[-\]audit failed: the disk is full/])
})

t.test('a broker with a connector that goes on without the store stays in service without it', async (t) => {
  const world = await startTestBroker(t, {
    change({ connectors }) {
      if (!Array.isArray(connectors)) throw new Error('no list')
      Object.assign(connectors[0], { whenStoreFails: 'accept_replays' })
    },
  })
  world.faults.store = true
  const { statusCode, payload } = await world.ops.inject({ url: '/readyz' })
  t.equal(statusCode, 200)
  t.match(payload, '[-]store failed: the database is locked; gitlab goes on')
})

t.test(
  'health says of an issuer how many keys are held, and what keeps it from loading them again',
  async (t) => {
    const status = {
      connector: 'gitlab',
      issuer: issuer.url,
      keys: 1,
      ignored: [],
      loadedAt: START,
      lastFailure: undefined,
      attempts: 1,
      failures: 0,
    }
    const lastFailure = { at: START, detail: 'connection refused' }
    const said = async (
      change: Pick<IssuerKeysStatus, 'state'> & Partial<IssuerKeysStatus>,
    ): Promise<unknown> => {
      const ops = createOpsApp(broker.broker, () => [{ ...status, ...change }])
      t.teardown(() => ops.close())
      return JSON.parse((await ops.inject({ url: '/healthz' })).payload)['issuer gitlab']
    }
    t.same(await said({ state: 'fresh', keys: 2 }), { ok: true, message: '2 keys' })
    const aged = { ok: true, message: '1 key, looked at again with the next token' }
    t.same(await said({ state: 'stale' }), aged, 'a key file, seconds after it was read')
    const cut = { ok: true, message: '1 key, cannot be loaded again: connection refused' }
    t.same(await said({ state: 'stale', lastFailure }), cut)
    t.same(await said({ state: 'empty', keys: 0 }), { ok: true, message: 'not asked yet' })
    t.same(await said({ state: 'failed', keys: 0, lastFailure }), {
      ok: false,
      message: 'connection refused',
    })
  },
)

t.test('metrics: Dex’s names beside ours, labels bounded whatever callers send (TH-J03)', async (t) => {
  for (let count = 0; count < 20; count += 1) {
    await broker.exchange({ client_id: `client-${count}` })
    await broker.exchange({ connector_id: `connector-${count}` })
    await broker.exchange({ policy: `policy-${count}` })
    await broker.exchange({ subject_token: broker.mint({ sub: `sub-${count}` }, { kid: `kid-${count}` }) })
    await broker.post({ grant_type: `grant-${count}` })
    await broker.get(`/path-${count}`)
  }
  await broker.app.inject({ method: 'PROPFIND', url: '/dex/token' })
  const answer = await broker.ops.inject({ url: '/metrics' })
  t.match(answer.headers['content-type'], /^text\/plain; version=0\.0\.4/)
  const text = answer.payload
  for (const name of [
    'http_requests_total',
    'request_duration_seconds_bucket',
    'response_size_bytes_sum',
    'sallyport_token_decisions_total',
    'sallyport_token_decision_seconds_count',
    'sallyport_config_last_reload_successful 1',
    'sallyport_build_info{version="0.0.0-test"} 1',
    'process_cpu_seconds_total',
  ])
    t.ok(text.includes(name), name)
  t.notMatch(text, /(client|connector|policy|sub|kid|grant|path)-\d/)
  t.match(
    text,
    /sallyport_token_decisions_total\{grant="token-exchange",decision="deny",reason="client_unknown",client="",connector="",policy=""\} \d+/,
  )
  t.match(text, /http_requests_total\{code="200",method="post",handler="\/dex\/token"\} \d+/)
  t.match(text, /handler="not found"/)
})

t.test(
  'nothing that left holds a token or a secret, whatever happened and wherever it was put (TH-J02)',
  async (t) => {
    const token = broker.mint()
    const places = [
      'client_id',
      'connector_id',
      'policy',
      'audience',
      'resource',
      'scope',
      'subject_token_type',
      'requested_token_type',
      'grant_type',
      'nonce',
    ]
    for (const place of places) await broker.exchange({ [place]: token })
    await broker.exchange({ client_id: token, client_secret: undefined })
    await broker.exchange({ scope: `audience:server:client_id:${token}` })
    await broker.credentials({ scope: `openid ${token}` })
    await broker.get('/userinfo', { authorization: `Bearer ${token}x` })
    broker.said.push((await broker.ops.inject({ url: '/metrics' })).payload)
    const said = broker.said.join('\n')
    t.ok(broker.said.length > 200)
    t.notMatch(said, /eyJ[\w-]{10,}/)
    for (const secret of Object.values(SECRETS)) t.notOk(said.includes(secret))
  },
)
