// Group G: tokens that are good once, the store that remembers them, and clocks.
import t from 'tap'
import { createMemoryStore } from '../../src/platform/store/memory_store.ts'
import { startTestIssuer } from '../support/test_issuer.ts'
import { START, gitlabClaims, startTestBroker } from '../support/test_broker.ts'
import type { Config, Form, Reply, TestBroker } from '../support/test_broker.ts'
import { UNAVAILABLE, countOf, threatTable } from '../support/threat_case.ts'
import type { RefusedRow } from '../support/threat_case.ts'
import { addForge, addPolicy, entryOf, jobToken, nowOf, startForgeBroker } from '../support/threat_world.ts'

const project = { project_id: '48291' }
const second = await startTestIssuer({ now: () => START })
t.teardown(() => second.close())

const ACCESS_TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:access_token'

/** Connectors with the rule of their type, and policies with each rule. */
function replayRules(config: Config): void {
  const presets = { singleUse: undefined }
  const repository = { repository_id: '739500857' }
  addForge(config, { id: 'github-once', type: 'github-actions', claims: repository }, presets)
  addForge(config, { id: 'gitea-once', type: 'gitea-actions', claims: { repository_id: '345' } }, presets)
  addForge(config, { id: 'forgejo-once', type: 'forgejo-actions', claims: { repository_id: '456' } }, presets)
  addForge(config, { id: 'second', type: 'gitlab-ci', claims: project }, { issuer: second.url })
  const grant = { audiences: ['app', 'second', 'kubernetes'] }
  addPolicy(config, { name: 'once', claims: project, grant: { ...grant, singleUse: 'once' } })
  addPolicy(config, { name: 'each', claims: project, grant: { ...grant, singleUse: 'per_audience' } })
  Object.assign(Object(entryOf(config, 'policies', 'second')['grant']), { singleUse: 'once' })
}

const broker = await startForgeBroker(t, replayRules)
const { refuses, accepts } = threatTable(t, broker)
const replayed = { reason: 'subject_replayed' } as const

/** One token for several requests; each `change` is one of them. */
function withOneToken(make: (world: TestBroker) => string, changes: readonly Form[]): RefusedRow['attack'] {
  return async (world) => {
    const subject_token = make(world)
    let reply: Reply | undefined
    for (const change of changes) reply = await world.exchange({ ...change, subject_token })
    if (reply === undefined) throw new Error('no request')
    return reply
  }
}
const gitlabToken = (world: TestBroker): string => world.mint()
const once: Form = { policy: 'once' }
const scope = (id: string): Form => ({ scope: `audience:server:client_id:${id}` })

for (const [connector, fixture] of [
  ['github-once', 'github-legacy-main'],
  ['gitea-once', 'gitea-main'],
] as const) {
  const at: Form = { connector_id: connector, subject_token_type: ACCESS_TOKEN_TYPE }
  const make = (world: TestBroker): string => jobToken(world, fixture)
  refuses({
    id: 'G01',
    says: `the token of a ${fixture.split('-')[0]} job that was exchanged before`,
    ...replayed,
    requests: 2,
    attack: withOneToken(make, [at, at]),
    twin: withOneToken(make, [at]),
  })
}

const atForgejo: Form = { connector_id: 'forgejo-once', subject_token_type: ACCESS_TOKEN_TYPE }
let runs = 0
/** Forgejo's tokens differ in the run alone. */
const nameless = (world: TestBroker): string => {
  runs += 1
  return jobToken(world, 'forgejo16-immutable-main', { jti: undefined, run_id: String(runs) })
}
refuses({
  id: 'G03',
  says: 'a token without jti that was exchanged before',
  ...replayed,
  requests: 2,
  attack: withOneToken(nameless, [atForgejo, atForgejo]),
  twin: withOneToken(nameless, [atForgejo]),
})

accepts({
  id: 'G04',
  says: 'one jti of two issuers is two tokens',
  requests: 2,
  ask: async (world) => {
    const jti = `same-${nowOf(world)}`
    await world.exchange({ ...once, subject_token: world.mint({ jti }) })
    const now = nowOf(world)
    const times = { iat: now, nbf: now, exp: now + 300 }
    const other = second.mint({ ...gitlabClaims(world.config.issuer), ...times, jti })
    return world.exchange({ connector_id: 'second', subject_token: other })
  },
})

t.test('TH-G05: of a hundred exchanges of one token at the same moment exactly one wins', async (t) => {
  const subject_token = broker.mint()
  const before = [broker.events.length, await countOf(broker, 'sallyport_token_decisions_total')] as const
  const answers = await Promise.all(
    Array.from({ length: 100 }, () => broker.exchange({ ...once, subject_token })),
  )
  t.equal(answers.filter(({ status }) => status === 200).length, 1)
  t.equal(new Set(answers.filter(({ status }) => status !== 200).map(({ text }) => text)).size, 1)
  const events = broker.events.slice(before[0])
  t.equal(events.length, 100)
  t.equal(events.filter(({ reason }) => reason === 'subject_replayed').length, 99)
  t.equal((await countOf(broker, 'sallyport_token_decisions_total')) - before[1], 100)
})

refuses({
  id: 'G06',
  says: 'a token whose exchange failed when it was signed',
  ...replayed,
  requests: 2,
  attack: async (world) => {
    const subject_token = world.mint()
    world.faults.signing = true
    await world.exchange({ ...once, subject_token })
    world.faults.signing = false
    return world.exchange({ ...once, subject_token })
  },
  twin: (world) => world.exchange(once),
})

const replayReplica = (config: Config): void => {
  addPolicy(config, { name: 'once', claims: project, grant: { audiences: ['app'], singleUse: 'once' } })
}
const shared = createMemoryStore({ clock: () => broker.clock.now })
const replicas = await Promise.all(
  [1, 2].map(() =>
    startTestBroker(t, { issuer: broker.issuer, store: shared, clock: broker.clock, change: replayReplica }),
  ),
)
const [first, replica] = replicas
if (first === undefined || replica === undefined) throw new Error('two replicas')
threatTable(t, replica).refuses({
  id: 'G07',
  says: 'a token that another replica on the same store exchanged',
  ...replayed,
  attack: async (world) => {
    const subject_token = world.mint()
    await first.exchange({ ...once, subject_token })
    return world.exchange({ ...once, subject_token })
  },
  twin: (world) => world.exchange(once),
  // Those of the other replica, for keys of its own.
  fetches: { discovery: 1, jwks: 1 },
  also: (t) => void t.equal(first.audit()?.decision, 'allow', 'there it was exchanged'),
})

refuses({
  id: 'G08',
  says: 'an exchange while the store is down',
  reason: 'store_unavailable',
  decision: 'fail',
  answer: UNAVAILABLE,
  attack: async (world) => {
    world.faults.store = true
    const reply = await world.exchange(once)
    world.faults.store = false
    return reply
  },
  twin: (world) => world.exchange(once),
  also: (t, reply) => void t.equal(reply.headers['retry-after'], '5'),
})

const goesOn = await startForgeBroker(t, (config) => {
  const gitea = { id: 'urgent', type: 'gitea-actions', claims: { repository_id: '345' } }
  const forgejo = { id: 'careful', type: 'forgejo-actions', claims: { repository_id: '456' } }
  addForge(config, gitea, { singleUse: undefined, whenStoreFails: 'accept_replays' })
  addForge(config, forgejo, { singleUse: undefined })
})
const urgent: Form = { connector_id: 'urgent', subject_token_type: ACCESS_TOKEN_TYPE }
const careful: Form = { connector_id: 'careful', subject_token_type: ACCESS_TOKEN_TYPE }
const urgentToken = (world: TestBroker): string =>
  jobToken(world, 'gitea-main', { jti: `urgent-${(runs += 1)}` })

/** The store is away for as long as this takes. */
async function withoutStore(world: TestBroker, ask: (world: TestBroker) => Promise<Reply>): Promise<Reply> {
  world.faults.store = true
  try {
    return await ask(world)
  } finally {
    world.faults.store = false
  }
}
const atGoesOn = threatTable(t, goesOn)
atGoesOn.accepts({
  id: 'G08',
  says: 'a connector that was told so goes on while the store is down, and the audit event says it',
  twin: withOneToken(urgentToken, [urgent]),
  ask: (world) => withoutStore(world, withOneToken(urgentToken, [urgent])),
  also: async (t, _reply, world) => {
    t.equal(world.audit()?.replayScope, 'local')
    t.equal(await countOf(world, 'sallyport_local_replay_checks_total'), 1)
  },
})
atGoesOn.refuses({
  id: 'G08',
  says: 'a token that was exchanged at the same broker while the store was down',
  ...replayed,
  requests: 2,
  attack: (world) => withoutStore(world, withOneToken(urgentToken, [urgent, urgent])),
  twin: (world) => withoutStore(world, withOneToken(urgentToken, [urgent])),
})
atGoesOn.refuses({
  id: 'G08',
  says: 'a token that was exchanged while the store was down, once it is back,',
  ...replayed,
  requests: 2,
  attack: async (world) => {
    const subject_token = urgentToken(world)
    await withoutStore(world, () => world.exchange({ ...urgent, subject_token }))
    return world.exchange({ ...urgent, subject_token })
  },
  twin: withOneToken(urgentToken, [urgent]),
})
atGoesOn.refuses({
  id: 'G08',
  says: 'an exchange of another connector while the store is down',
  reason: 'store_unavailable',
  decision: 'fail',
  answer: UNAVAILABLE,
  attack: (world) => withoutStore(world, withOneToken(nameless, [careful])),
  twin: withOneToken(nameless, [careful]),
})

refuses({
  id: 'G09',
  says: 'a token in the last second in which it could be exchanged again',
  ...replayed,
  requests: 2,
  attack: async (world) => {
    const subject_token = world.mint()
    await world.exchange({ ...once, subject_token })
    world.clock.now += 329_000
    return world.exchange({ ...once, subject_token })
  },
  twin: (world) => world.exchange(once),
  also: async (t, _reply, world) => {
    const { store } = world.broker.parts
    t.not((await store.list('replay/')).length, 0)
    world.clock.now += 3000
    t.equal((await store.list('replay/')).length, 0, 'forgotten once it is worth nothing')
  },
})

accepts({
  id: 'G11',
  says: 'two steps of a job exchange one token for two places',
  requests: 2,
  ask: withOneToken(gitlabToken, [
    { policy: 'each', ...scope('app') },
    { policy: 'each', ...scope('second') },
  ]),
})
refuses({
  id: 'G11',
  says: 'a second exchange for the same place',
  ...replayed,
  requests: 3,
  attack: withOneToken(gitlabToken, [
    { policy: 'each', ...scope('app') },
    { policy: 'each', ...scope('second') },
    { policy: 'each', ...scope('app') },
  ]),
})

accepts({
  id: 'G12',
  says: 'the token of a Pod is good for as long as the kubelet leaves it there',
  requests: 2,
  // Keys and discovery are an hour old by then.
  fetches: { jwks: 1 },
  twin: (world) =>
    world.exchange({
      connector_id: 'kubernetes',
      subject_token_type: ACCESS_TOKEN_TYPE,
      subject_token: jobToken(world, 'k8s-projected'),
    }),
  ask: async (world) => {
    const at = { connector_id: 'kubernetes', subject_token_type: ACCESS_TOKEN_TYPE }
    const subject_token = jobToken(world, 'k8s-projected', { exp: nowOf(world) + 3600 })
    await world.exchange({ ...at, subject_token })
    world.clock.now += 50 * 60_000
    return world.exchange({ ...at, subject_token })
  },
})

refuses({
  id: 'G13',
  says: 'a used token, after the clock jumped an hour ahead and back,',
  ...replayed,
  requests: 3,
  fetches: 'background',
  attack: async (world) => {
    const subject_token = world.mint()
    await world.exchange({ ...once, subject_token })
    world.clock.now += 3_600_000
    await world.exchange({ ...once, subject_token })
    world.clock.now -= 3_600_000
    return world.exchange({ ...once, subject_token })
  },
  twin: (world) => world.exchange(once),
})
for (const [says, year, reason] of [
  ['whose clock begins in 1970', 1970, 'subject_not_yet_valid'],
  ['whose clock has run on to 2038', 2038, 'subject_expired'],
  ['whose clock has run on to 2106', 2106, 'subject_expired'],
] as const)
  refuses({
    id: 'G13',
    says: `a good token at a broker ${says}`,
    reason,
    fetches: 'background',
    attack: async (world) => {
      const { now } = world.clock
      const subject_token = world.mint()
      world.clock.now = Date.UTC(year, 2)
      const reply = await world.exchange({ subject_token })
      world.clock.now = now
      return reply
    },
    also: (_t, _reply, world) => {
      world.clock.now += 61_000
    },
  })

accepts({
  id: 'G14',
  says: 'a token for a cluster is good at once where its clock is 5 s behind',
  ask: (world) => world.exchange({ policy: 'each', ...scope('kubernetes') }),
  also: (t, reply, world) => {
    const { iat, nbf } = reply.token?.claims ?? {}
    t.ok(Number(nbf) <= nowOf(world) - 5 && Number(iat) <= nowOf(world) - 5)
  },
})
