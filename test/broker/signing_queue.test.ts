// What a caller sees of the queue in front of the signer.
import t from 'tap'
import { createMemoryStore } from '../../src/platform/store/memory_store.ts'
import { START, startTestBroker } from '../support/test_broker.ts'
import { entryOf } from '../support/threat_world.ts'

/** A broker with one place at its signer, whose holder waits for the store until `finish`. */
async function busySigner() {
  const memory = createMemoryStore({ clock: () => START })
  const { promise: held, resolve: finish } = Promise.withResolvers<void>()
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>()
  let isFirst = true
  const world = await startTestBroker(t, {
    change(config) {
      Object.assign(config, { limits: { maxWaitingSignatures: 1 } })
      Object.assign(entryOf(config, 'connectors', 'gitlab'), { singleUse: 'once' })
    },
    store: {
      ...memory,
      async claimAllOnce(claims) {
        if (isFirst) {
          isFirst = false
          ask()
          await held
        }
        return memory.claimAllOnce(claims)
      },
    },
  })
  return { world, asked, finish }
}

t.test(
  'TH-H07: when the signer does not keep up, callers are told to come back in the dialect’s words, and nothing is burned',
  async (t) => {
    const { world, asked, finish } = await busySigner()
    const first = world.exchange()
    await asked
    const token = world.mint()
    const refused = await world.exchange({ subject_token: token })
    t.equal(refused.status, 429)
    t.equal(refused.text, '{"error":"temporarily_unavailable","error_description":"Too many requests."}')
    t.equal(refused.headers['retry-after'], '1')
    t.match(world.audit(), {
      event: 'token',
      decision: 'fail',
      step: 'mint',
      reason: 'signer_busy',
      evidence: { waiting: 1 },
      requestId: refused.headers['x-request-id'],
    })
    t.equal((await world.credentials()).status, 429)
    const metrics = (await world.ops.inject({ url: '/metrics' })).payload
    t.match(metrics, /^sallyport_token_decisions_total\{.*reason="signer_busy".*\} 2$/m)
    t.match(metrics, /^sallyport_waiting_signatures 1$/m)
    t.equal((await world.get('/keys')).status, 200, 'keys are for everybody at any time')

    finish()
    t.equal((await first).status, 200)
    t.equal((await world.exchange({ subject_token: token })).status, 200, 'the token is as good as before')
    t.equal((await world.exchange({ subject_token: token })).status, 401, 'once')
    t.match((await world.ops.inject({ url: '/metrics' })).payload, /^sallyport_waiting_signatures 0$/m)
  },
)

t.test('a reload of the configuration leaves those who wait their place', async (t) => {
  const { world, asked, finish } = await busySigner()
  const first = world.exchange()
  await asked
  world.reload(() => {})
  t.equal((await world.exchange()).status, 429)
  finish()
  t.equal((await first).status, 200)
  t.equal((await world.exchange()).status, 200)
})
