// Tokens that are good once: how `once` and `per_audience` know of each other, that a refused request burns nothing, and
// that a job's token is used up as a credential, too.
import { readFileSync } from 'node:fs'
import t from 'tap'
import type { Test } from 'tap'
import { parse } from 'yaml'
import { JWT_BEARER_ASSERTION } from '../../src/core/oauth/names.ts'
import { SECRETS } from '../support/broker_config.ts'
import { startTestBroker } from '../support/test_broker.ts'
import type { Config, Form, TestBroker } from '../support/test_broker.ts'

const broker = await startTestBroker(t)
const { issuer } = broker

function scope(...ids: readonly string[]): string {
  return ids.map((id) => `audience:server:client_id:${id}`).join(' ')
}

/** The policy `acme-main` of each way, by which a request chooses: `once`, `per_audience`, `off`. */
const WAYS = ['once', 'per_audience', 'off'] as const

function threeWays(config: Config): void {
  const { policies } = config
  if (!Array.isArray(policies)) throw new Error('no policies')
  const [policy] = policies
  for (const singleUse of WAYS) {
    policies.push({ ...policy, name: singleUse, grant: { ...policy.grant, singleUse } })
  }
}

/** `isConnectorFree`: the connector's rule is `off`, else the one of GitLab. */
async function start(t: Test, jobPolicy = 'off', isConnectorFree = true): Promise<TestBroker> {
  return startTestBroker(t, {
    issuer,
    change: (config) => {
      threeWays(config)
      const { clients } = config
      if (!Array.isArray(clients)) throw new Error('no clients')
      const job: unknown = clients.find((client: unknown) => Object(client).id === 'job')
      Object.assign(Object(job).auth, { policy: jobPolicy })
      if (!isConnectorFree) Reflect.deleteProperty(Object(Object(config['connectors'])[0]), 'singleUse')
    },
  })
}

/** Why the exchange was refused; `undefined` when it was not. */
async function exchange(world: TestBroker, change: Form): Promise<string | undefined> {
  const { status } = await world.exchange(change)
  const event = world.audit()
  return status === 200 ? undefined : `${status} ${event?.reason}`
}

const REPLAYED = '401 subject_replayed'

t.test('a token that was spent once is spent for every audience', async (t) => {
  const world = await start(t)
  const token = { subject_token: world.mint() }
  t.equal(await exchange(world, { ...token, policy: 'once', scope: scope('app') }), undefined)
  t.equal(await exchange(world, { ...token, policy: 'per_audience', scope: scope('registry') }), REPLAYED)
  t.match(world.audit(), { evidence: { scope: 'per_audience' }, step: 'replay' })
  t.equal(await exchange(world, { policy: 'per_audience', scope: scope('registry') }), undefined)
})

t.test('a token that was spent for one audience is not good once more for all', async (t) => {
  const world = await start(t)
  const token = { subject_token: world.mint() }
  t.equal(await exchange(world, { ...token, policy: 'per_audience', scope: scope('app') }), undefined)
  t.equal(await exchange(world, { ...token, policy: 'once', scope: scope('registry') }), REPLAYED)
  t.match(world.audit(), { evidence: { scope: 'once' } })
  t.equal(
    await exchange(world, { ...token, policy: 'per_audience', scope: scope('registry') }),
    undefined,
    'and the refused request took nothing',
  )
})

t.test('a refused pair of audiences burns neither of them', async (t) => {
  const world = await start(t)
  const token = { subject_token: world.mint(), policy: 'per_audience' }
  t.equal(await exchange(world, { ...token, scope: scope('second') }), undefined)
  t.equal(await exchange(world, { ...token, scope: scope('app', 'second') }), REPLAYED)
  t.equal(await exchange(world, { ...token, scope: scope('app') }), undefined, 'app was not burnt')
  t.equal(await exchange(world, { ...token, scope: scope('app') }), REPLAYED)
})

function asJob(assertion: string, change: Form = {}): Form {
  return {
    client_id: 'job',
    client_secret: undefined,
    client_assertion_type: JWT_BEARER_ASSERTION,
    client_assertion: assertion,
    ...change,
  }
}

t.test('a job’s token that was spent as a credential is spent beside every subject token', async (t) => {
  const world = await start(t, 'once')
  const credential = world.mint()
  const use = (change: Form = {}) => exchange(world, asJob(credential, { policy: 'off', ...change }))
  t.equal(await use(), undefined)
  t.equal(await use(), REPLAYED, 'another subject token does not make it new')
  t.equal(await use({ scope: scope('registry') }), REPLAYED)
  t.equal(await exchange(world, asJob(world.mint(), { policy: 'off' })), undefined)
})

t.test('a credential that is good for each audience once is that beside every subject token', async (t) => {
  const world = await start(t, 'per_audience')
  const credential = world.mint()
  const use = (change: Form) => exchange(world, asJob(credential, { policy: 'off', ...change }))
  t.equal(await use({ scope: scope('app') }), undefined)
  t.equal(await use({ scope: scope('app') }), REPLAYED)
  t.equal(await use({ scope: scope('registry') }), undefined)
})

t.test('credential and subject token are spent together or not at all', async (t) => {
  const world = await start(t, 'once')
  const [credential, subject] = [world.mint(), world.mint()]
  const spent = { subject_token: subject, policy: 'once' }
  t.equal(await exchange(world, spent), undefined)
  t.equal(await exchange(world, asJob(credential, spent)), REPLAYED)
  t.equal(
    await exchange(world, asJob(credential, { policy: 'once' })),
    undefined,
    'the refused request left the credential as it was',
  )
})

t.test('one token that is credential and subject obeys the stricter of the two rules', async (t) => {
  const world = await start(t, 'once')
  const token = world.mint()
  const both = (policy: string) => exchange(world, asJob(token, { subject_token: token, policy }))
  t.equal(await both('off'), undefined, 'it is used once, not twice')
  t.equal(await both('off'), REPLAYED)
  const free = await start(t, 'off')
  t.equal(await exchange(free, asJob(token, { subject_token: token, policy: 'off' })), undefined)
  t.equal(await exchange(free, asJob(token, { subject_token: token, policy: 'off' })), undefined)
})

async function introspect(world: TestBroker, token: string, assertion: string): Promise<unknown> {
  const answer = await world.post(asJob(assertion, { token }), { path: '/token/introspect' })
  return answer.status === 200 ? answer.json['active'] : answer.json['error']
}

t.test(
  'a GitLab job comes again with its one token only where its policy says off, as docs/ci-examples.md has it',
  async (t) => {
    const page = readFileSync(new URL('../../docs/ci-examples.md', import.meta.url), 'utf8')
    const [, yaml = ''] = /```yaml\n([\s\S]*?)```/.exec(page) ?? []
    const { clients, policies } = parse(yaml)
    t.strictSame([clients[0].auth.policy, policies[0].name], ['deploy', 'deploy'], 'one policy for both')
    t.notOk('singleUse' in policies[0].grant, 'and the default of GitLab holds')
    for (const [policy, again] of [
      ['acme-main', REPLAYED],
      ['off', undefined],
    ] as const) {
      const world = await start(t, policy, false)
      const token = world.mint()
      const use = () => exchange(world, asJob(token, { subject_token: token, policy }))
      t.equal(await use(), undefined)
      t.equal(await use(), again, policy)
    }
  },
)

t.test('a job’s token is used up by asking about a token, too', async (t) => {
  const world = await start(t, 'once')
  const issued = String((await world.exchange()).json['access_token'])
  const credential = world.mint()
  t.equal(await introspect(world, issued, credential), true)
  t.equal(await introspect(world, issued, credential), 'invalid_client')
  t.match(world.audit(), {
    event: 'introspection',
    decision: 'deny',
    reason: 'client_assertion_invalid',
    evidence: { client: 'job', cause: { reason: 'subject_replayed' } },
  })
  t.equal(await exchange(world, asJob(credential, { policy: 'off' })), REPLAYED)
  t.equal(await introspect(world, issued, world.mint()), true)
})

t.test('for a token that is good for each audience once, asking is one place more', async (t) => {
  const world = await start(t, 'per_audience')
  const issued = String((await world.exchange()).json['access_token'])
  const credential = world.mint()
  t.equal(await exchange(world, asJob(credential, { policy: 'off', scope: scope('app') })), undefined)
  t.equal(await introspect(world, issued, credential), true)
  t.equal(await introspect(world, issued, credential), 'invalid_client')
})

t.test('without single use a job asks as often as it likes, and other clients always do', async (t) => {
  const world = await start(t, 'off')
  const issued = String((await world.exchange()).json['access_token'])
  const credential = world.mint()
  t.equal(await introspect(world, issued, credential), true)
  t.equal(await introspect(world, issued, credential), true)
  const asCi = { client_id: 'ci', client_secret: SECRETS.ci, token: issued }
  t.equal((await world.post(asCi, { path: '/token/introspect' })).json['active'], true)
})

t.test('a store that is down is no refusal of the job that asks', async (t) => {
  const world = await start(t, 'once')
  const issued = String((await world.exchange()).json['access_token'])
  const credential = world.mint()
  world.faults.store = true
  t.equal(await introspect(world, issued, credential), 'temporarily_unavailable')
  t.match(world.audit(), { decision: 'fail', reason: 'store_unavailable' })
  world.faults.store = false
  t.equal(await introspect(world, issued, credential), true)
})
