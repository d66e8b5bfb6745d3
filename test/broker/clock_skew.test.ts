// Replicas whose clocks differ: one that is off by more than the others allow for issues nothing, says so, and leaves the
// keys of all alone. The store's clock is `shared.now`.
import { decodeJwt } from 'jose'
import t from 'tap'
import { createMemoryStore } from '../../src/platform/store/memory_store.ts'
import { SECRETS } from '../support/broker_config.ts'
import { pull } from '../support/levers.ts'
import { START, startTestBroker } from '../support/test_broker.ts'
import type { Reply, TestBroker } from '../support/test_broker.ts'
import { startTestIssuer } from '../support/test_issuer.ts'

const shared = { now: START }
const issuer = await startTestIssuer({ now: () => shared.now })
t.teardown(() => issuer.close())
const store = createMemoryStore({ clock: () => shared.now })

/** A replica whose clock is ahead by so much. */
async function replica(aheadMs: number): Promise<TestBroker> {
  return startTestBroker(t, {
    issuer,
    store,
    clock: { now: shared.now + aheadMs },
    sharedClock: async () => shared.now,
  })
}

const right = await replica(0)

for (const [says, seconds] of [
  ['ahead', 31],
  ['behind', -31],
] as const) {
  t.test(
    `a replica that is half a minute ${says} issues nothing, burns nothing, and is not ready`,
    async (t) => {
      const wrong = await replica(seconds * 1000)
      const subject_token = right.mint({ iat: shared.now / 1000 - 60, nbf: shared.now / 1000 - 60 })
      const { status, text, headers } = await wrong.exchange({ subject_token })
      t.equal(status, 503)
      t.equal(text, '{"error":"temporarily_unavailable"}')
      t.equal(headers['retry-after'], '5')
      t.match(wrong.audit(), {
        decision: 'fail',
        step: 'mint',
        reason: 'clock_off',
        evidence: { aheadSeconds: seconds },
      })
      t.equal((await wrong.credentials()).status, 503, 'nor to a client')
      const readiness = await wrong.ops.inject({ url: '/readyz' })
      t.equal(readiness.statusCode, 503)
      t.match(
        readiness.payload,
        new RegExp(
          `\\[-\\]clock failed: 31 s ${says}( of)? the store's: nothing is issued until one of them is set`,
        ),
      )
      t.equal((await wrong.get('/keys')).status, 200, 'what others verify with is served')
      t.equal(
        (await right.exchange({ subject_token })).status,
        200,
        'another replica exchanges the same token',
      )
    },
  )
}

t.test(
  'replicas that are each half a minute off in opposite directions take what the other one issues',
  async (t) => {
    const [ahead, behind] = [await replica(30_000), await replica(-30_000)]
    t.match((await ahead.ops.inject({ url: '/readyz' })).payload, "[+]clock ok: agrees with the store's")
    for (const [from, at] of [
      [ahead, behind],
      [behind, ahead],
    ] as const) {
      const issued = await from.credentials()
      t.equal(issued.status, 200)
      const token = String(issued.json['access_token'])
      t.ok(decodeJwt(token).iat)
      const answer = await at.get('/userinfo', { authorization: `Bearer ${token}` })
      t.equal(answer.status, 200, answer.text)
    }
  },
)

for (const [says, aheadSeconds] of [
  ['ahead', 31],
  ['behind', -31],
] as const) {
  t.test(`a replica that is half a minute ${says} says of no token whether it lives`, async (t) => {
    const wrong = await replica(aheadSeconds * 1000)
    const token = String((await right.credentials()).json['access_token'])
    const asked = { client_id: 'ci', client_secret: SECRETS.ci, token }
    const ask = async (broker: TestBroker, change = {}): Promise<readonly Reply[]> => [
      await broker.get('/userinfo', { authorization: `Bearer ${Object({ ...asked, ...change }).token}` }),
      await broker.post({ ...asked, ...change }, { path: '/token/introspect' }),
      await broker.post({ ...asked, ...change }, { path: '/token/revoke' }),
    ]
    for (const { status, text } of await ask(wrong))
      t.same({ status, text }, { status: 503, text: '{"error":"temporarily_unavailable"}' })
    t.match(wrong.audit(), { event: 'revocation', reason: 'clock_off', evidence: { aheadSeconds } })
    const forged = `${token.slice(0, token.lastIndexOf('.'))}.${'A'.repeat(86)}`
    t.same(
      (await ask(wrong, { token: forged })).map(({ status }) => status),
      [403, 200, 200],
      'one that is not ours it needs no clock for',
    )
    t.same(
      (await ask(right)).map(({ status, json }) => [status, json['active']]),
      [
        [200, undefined],
        [200, true],
        [200, undefined],
      ],
    )
  })
}

t.test('a start under a clock that is ahead lets no denied token through once it is right', async (t) => {
  const token = String((await right.credentials()).json['access_token'])
  const authorization = `Bearer ${token}`
  await pull(right, `deny token ${decodeJwt(token).jti}`)
  const wrong = await replica(24 * 3_600_000)
  wrong.clock.now = shared.now
  const { status, text } = await wrong.get('/userinfo', { authorization })
  t.same({ status, text }, { status: 503, text: '{"error":"temporarily_unavailable"}' }, 'it has yet to look')
  await wrong.broker.parts.levers.refresh()
  t.equal((await wrong.get('/userinfo', { authorization })).status, 403)
  t.match(wrong.audit(), { reason: 'token_denied' })
})

t.test('a clock that is set right is right with the next request', async (t) => {
  const wrong = await replica(3_600_000)
  t.equal((await wrong.credentials()).status, 503)
  wrong.clock.now = shared.now
  t.equal((await wrong.credentials()).status, 200)
  t.match((await wrong.ops.inject({ url: '/readyz' })).payload, '[+]clock ok')
})

t.test(
  'a clock that jumps while the token is being claimed issues nothing: its key would sign before its time',
  async (t) => {
    const clock = { now: shared.now }
    const inner = createMemoryStore({ clock: () => shared.now })
    let jumpMs = 0
    const jumping = await startTestBroker(t, {
      issuer,
      store: {
        ...inner,
        claimAllOnce: async (...claims) => {
          clock.now += jumpMs
          return inner.claimAllOnce(...claims)
        },
      },
      clock,
      sharedClock: async () => shared.now,
      change: (config) => Object.assign(Object(config['connectors'])[0], { singleUse: 'once' }),
    })
    t.equal(
      (await jumping.exchange({ subject_token: jumping.mint() })).status,
      200,
      'and without a jump it does',
    )
    jumpMs = 300_000
    const { status, text } = await jumping.exchange({ subject_token: jumping.mint() })
    t.equal(status, 503)
    t.notMatch(text, 'eyJ')
    t.match(jumping.audit(), { decision: 'fail', reason: 'clock_off', evidence: { aheadSeconds: 300 } })
  },
)
