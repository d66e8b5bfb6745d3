// A reload: what takes effect at once, what waits for the next start and is named, and that nobody sees half of it.
import { createHook } from 'node:async_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { hashChosenSecret } from '../../src/platform/secret_check.ts'
import { planReload } from '../../src/cli/reload.ts'
import type { BrokerConfig } from '../../src/broker/config/broker_config.ts'
import type { Connector } from '../../src/core/connector.ts'
import { startTestBroker } from '../support/test_broker.ts'

const broker = await startTestBroker(t)
const keys = JSON.stringify(broker.issuer.publicJwks())

t.test('a changed policy decides from the next request on', async (t) => {
  const world = await startTestBroker(t, { issuer: broker.issuer })
  t.equal((await world.exchange()).status, 200)
  world.reload((config) => {
    const { policies } = config
    if (!Array.isArray(policies)) throw new Error('no policies')
    Object.assign(policies[0], { claims: { project_id: '48291', ref: 'release' } })
  })
  t.equal((await world.exchange()).status, 401)
  t.match(world.audit(), {
    reason: 'policy_none_matched',
    evidence: { tried: [{ policy: 'acme-main', step: 'claims.ref' }] },
  })
  world.reload(() => {})
  t.equal((await world.exchange()).status, 200)
})

t.test('a request that is under way finishes on the configuration it began with', async (t) => {
  const world = await startTestBroker(t, { issuer: broker.issuer })
  world.issuer.behave({ jwks: (_request, response) => void setTimeout(() => response.end(keys), 100) })
  const waiting = world.exchange()
  await sleep(50)
  world.reload(
    (config) =>
      void Object.assign(config, {
        policies: [],
        clients: [{ id: 'x', auth: { method: 'none' }, connectors: ['gitlab'] }],
        audiences: [],
      }),
  )
  t.equal((await waiting).status, 200)
  world.issuer.behave({})
  t.equal((await world.exchange()).status, 401)
  t.equal(world.audit()?.reason, 'client_unknown')
})

t.test('issuer keys that are loaded survive a reload', async (t) => {
  const world = await startTestBroker(t, { issuer: broker.issuer })
  t.equal((await world.exchange()).status, 200)
  const { jwks } = world.issuer.fetches
  world.reload(() => {})
  t.equal((await world.exchange()).status, 200)
  t.equal(world.issuer.fetches.jwks, jwks)
})

t.test('neither a reload nor a new key gives guesses a fresh start, unless the limits change', async (t) => {
  const limits = { addressRate: 1, addressBurst: 2, clientRate: 1, clientBurst: 1 }
  const world = await startTestBroker(t, {
    issuer: broker.issuer,
    change: (config) => void Object.assign(config, { limits }),
  })
  const ask = async (address: string): Promise<readonly [number, unknown]> => {
    const answer = await world.credentials({}, { address })
    return [answer.status, world.audit()?.evidence?.['key']]
  }
  t.same(await ask('192.0.2.1'), [200, undefined])
  t.same(await ask('192.0.2.1'), [429, 'client'])
  world.reload(() => {})
  t.same(await ask('192.0.2.1'), [429, 'address'], 'two were taken before the reload')
  await world.broker.parts.keyRing.rotate()
  t.same(await ask('192.0.2.1'), [429, 'address'])
  t.same(await ask('192.0.2.2'), [200, undefined])
  world.reload((config) => void Object.assign(config, { limits: { ...limits, addressBurst: 9 } }))
  t.same(await ask('192.0.2.1'), [429, 'client'], 'the other bucket stays')
  world.reload((config) => void Object.assign(config, { limits: { ...limits, clientBurst: 9 } }))
  t.same(await ask('192.0.2.1'), [200, undefined])
})

t.test('a slow secret that was right is not paid again after a reload', async (t) => {
  const world = await startTestBroker(t, { issuer: broker.issuer })
  const hash = await hashChosenSecret('a chosen secret', world.broker.parts.randomBytes)
  t.equal(await world.broker.live().secrets.verify('a chosen secret', [hash]), true)
  world.reload(() => {})
  const { secrets } = world.broker.live()
  t.equal(await derivations(() => secrets.verify('a chosen secret', [hash])), 0)
  t.equal(await derivations(() => secrets.verify('another secret', [hash])), 1)
})

/** How many times `ask` makes Node derive a scrypt key. */
async function derivations(ask: () => Promise<unknown>): Promise<number> {
  let count = 0
  const hook = createHook({
    init(_id, type) {
      if (type === 'SCRYPTREQUEST') count += 1
    },
  }).enable()
  await ask()
  hook.disable()
  return count
}

t.test('a key rotation shows in discovery and is no configuration load', async (t) => {
  const world = await startTestBroker(t, { issuer: broker.issuer })
  const loadedAt = async (): Promise<string | undefined> =>
    /^sallyport_config_loaded_timestamp_seconds (\S+)/m.exec(
      await world.broker.parts.metrics.registry.metrics(),
    )?.[1]
  const before = await loadedAt()
  const { live } = world.broker
  const old = live()
  world.clock.now += 1000
  await world.broker.parts.keyRing.rotate()
  t.not(live(), old)
  t.equal(await loadedAt(), before)
  world.reload(() => {})
  t.not(await loadedAt(), before)
})

t.test('what is bound to a socket, a file or a key stays until the next start and is named', async (t) => {
  const running = broker.config
  t.same(planReload(running, running), { ok: true, config: running, kept: [] })
  const next = {
    ...running,
    web: { ...running.web, allowedOrigins: ['*'] },
    audit: { destination: 'stderr' },
    tokens: { ttlSeconds: 60 },
    limits: { ...running.limits, addressRate: 1 },
  }
  t.match(planReload(running, next), {
    ok: true,
    kept: ['web', 'audit'],
    config: { web: running.web, tokens: { ttlSeconds: 60 }, limits: { addressRate: 1 } },
  })
})

t.test('another issuer or mode refuses the whole reload: accepted audiences would not fit', async (t) => {
  const running = broker.config
  t.match(planReload(running, { ...running, issuer: 'https://other.example.test' }), {
    ok: false,
    setting: 'issuer',
    why: /from .* to https:\/\/other\.example\.test/,
  })
  t.match(planReload(running, { ...running, mode: 'dex' }), { ok: false, setting: 'mode' })
})

t.test('a reload never opens a connector that policies have guarded', async (t) => {
  const running: BrokerConfig = { ...broker.config, mode: 'dex' }
  const [gitlab] = running.connectors
  if (gitlab === undefined) throw new Error('no connector')
  const open = { ...gitlab, needsPolicy: false }
  const plan = (before: readonly Connector[], after: readonly Connector[]) =>
    planReload({ ...running, connectors: before }, { ...running, connectors: after })
  const refused = {
    ok: false,
    setting: `connectors.${gitlab.id}`,
    why: /every token of its issuer, which policies guard/,
  }
  t.match(plan([gitlab], [open]), refused)
  t.match(plan([gitlab], [{ ...open, issuer: 'https://new.example.test' }]), refused, 'under another issuer')
  t.match(
    plan([gitlab], [{ ...open, id: 'renamed' }]),
    { ok: false, setting: 'connectors.renamed' },
    'under another id',
  )
  const other = { ...open, id: 'other', issuer: 'https://other.example.test' }
  t.match(plan([gitlab], [gitlab, other]), { ok: true }, 'a new connector opens nothing that was guarded')
  t.match(plan([open], [open]), { ok: true }, 'one that was open stays open')
  t.match(plan([open], [gitlab]), { ok: true }, 'and can be guarded')
  t.match(plan([gitlab, { ...open, id: 'both' }], [gitlab, { ...open, id: 'both' }]), { ok: true })
  t.match(plan([gitlab], []), { ok: true }, 'taking it away opens nothing')
})
