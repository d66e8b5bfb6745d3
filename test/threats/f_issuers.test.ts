// Group F: issuers that are away, slow, hostile or rotate, and what their documents may make this broker do.
import { once } from 'node:events'
import http from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import t from 'tap'
import { makeKey, portOf, publicJwk } from '../support/test_issuer.ts'
import type { TestIssuer } from '../support/test_issuer.ts'
import type { Config, Reply, TestBroker } from '../support/test_broker.ts'
import { UNAVAILABLE, threatTable } from '../support/threat_case.ts'
import type { RefusedRow } from '../support/threat_case.ts'
import { addForge, entryOf, startForgeBroker } from '../support/threat_world.ts'

const broker = await startForgeBroker(t)
const { issuer } = broker
const { refuses, accepts, refusesConfig } = threatTable(t, broker)
const unavailable = { reason: 'issuer_keys_unavailable', decision: 'fail', answer: UNAVAILABLE } as const

let connectors = 0
type Upstream = {
  readonly set: (upstream: TestIssuer) => void
  /** What the connector is configured with beside its issuer. */
  readonly over?: object
}

/** A connector that has never asked for a key, its issuer as `set` makes it. */
function withNewConnector({ set, over = {} }: Upstream): RefusedRow['attack'] {
  return async (world) => {
    connectors += 1
    const id = `new-${connectors}`
    const configure = (config: Config): void =>
      addForge(config, { id, type: 'gitlab-ci', claims: { project_id: '48291' } }, over)
    world.reload(configure)
    set(issuer)
    try {
      return await world.exchange({ connector_id: id })
    } finally {
      issuer.behave({})
      issuer.setJwks(undefined)
      issuer.setDiscovery(WELL)
    }
  }
}

/** Overridden members of the discovery document cannot be taken back one by one. */
const WELL = { jwks_uri: issuer.jwksUri, issuer: issuer.url }

/** Seconds for which a failed load is remembered. */
const FAILURE_MS = 3000

/** The same connector once its issuer is well again. */
const recovers: NonNullable<RefusedRow['also']> = async (t, _reply, world) => {
  world.clock.now += FAILURE_MS
  t.equal((await world.exchange({ connector_id: `new-${connectors}` })).status, 200, 'well again')
  world.reload(() => {})
}
const stays: NonNullable<RefusedRow['also']> = async (t, _reply, world) => {
  world.clock.now += FAILURE_MS
  t.equal((await world.exchange({ connector_id: `new-${connectors}` })).status, 503, 'as long as it is so')
  world.reload(() => {})
}

function fails(id: string, says: string, upstream: Upstream, row: Partial<RefusedRow> = {}): void {
  refuses({
    id,
    says: `a token whose issuer ${says}`,
    ...unavailable,
    attack: withNewConnector(upstream),
    fetches: { discovery: 1, jwks: 1 },
    also: recovers,
    ...row,
  })
}

const noKeys: Partial<RefusedRow> = { fetches: { discovery: 1 } }

fails(
  'F01',
  'is down from the start',
  { set: (upstream) => upstream.behave({ discovery: 'status500', jwks: 'status500' }) },
  {
    ...noKeys,
    also: async (t, reply, world) => {
      t.equal(reply.headers['retry-after'], '5')
      const health = await world.ops.inject({ url: '/healthz' })
      t.match(JSON.parse(health.payload)[`issuer new-${connectors}`], { ok: false })
      t.equal((await world.ops.inject({ url: '/readyz' })).statusCode, 200, 'the others are served')
      t.equal((await world.exchange()).status, 200)
      await recovers(t, reply, world)
    },
  },
)

/** Time goes by, and the issuer is away. */
function later(ms: number, set: (upstream: TestIssuer) => void): RefusedRow['attack'] {
  return async (world) => {
    world.clock.now += ms
    set(issuer)
    try {
      return await world.exchange()
    } finally {
      issuer.behave({})
    }
  }
}
const down = (upstream: TestIssuer): void => upstream.behave({ discovery: 'status500', jwks: 'status500' })
accepts({
  id: 'F02',
  says: 'keys at hand outlive their issuer for an hour',
  ask: later(3_600_000, down),
  fetches: 'background',
})
refuses({
  id: 'F02',
  says: 'a token whose issuer was away for more than a day',
  ...unavailable,
  fetches: { discovery: 1 },
  attack: later(25 * 3_600_000, down),
  also: (_t, _reply, world) => {
    // A failed load is remembered for half a minute while keys are held, useless as they have become.
    world.clock.now += 31_000
  },
})

fails('F03', 'never answers', { set: (upstream) => upstream.behave({ jwks: 'hang' }) })
fails('F03', 'answers byte by byte', { set: (upstream) => upstream.behave({ jwks: 'drip' }) })

const keysWith =
  (answer: (request: IncomingMessage, response: ServerResponse) => void) =>
  (upstream: TestIssuer): void =>
    upstream.behave({ jwks: answer })
fails('F04', 'sends without end', { set: (upstream) => upstream.behave({ jwks: 'huge' }) })
fails('F04', 'compresses its keys', { set: (upstream) => upstream.behave({ jwks: 'gzip' }) })
fails('F04', 'promises more than it sends', {
  set: keysWith((_request, response) => {
    response.writeHead(200, { 'content-length': 500 })
    response.write('{"keys":[]')
    response.socket?.end()
  }),
})
fails('F04', 'promises 200 MB', {
  set: keysWith((_request, response) => {
    response.writeHead(200, { 'content-length': 200_000_000 })
    response.write('{')
  }),
})

let trapped = 0
const trap = http.createServer((_request, response) => {
  trapped += 1
  response.end(JSON.stringify(issuer.publicJwks()))
})
trap.listen(0, '127.0.0.1')
await once(trap, 'listening')
t.teardown(() => trap.close())
const elsewhere = `http://127.0.0.1:${portOf(trap)}/jwks`
for (const status of [301, 302, 307, 308])
  fails(
    'F05',
    `answers ${status}, to another host`,
    { set: keysWith((_request, response) => void response.writeHead(status, { location: elsewhere }).end()) },
    { also: (t) => void t.equal(trapped, 0, 'nobody goes there') },
  )
fails('F05', 'answers with a redirect to itself', {
  set: keysWith((_request, response) => void response.writeHead(302, { location: issuer.jwksUri }).end()),
})

for (const [says, jwks_uri] of [
  ['a metadata service', 'http://169.254.169.254/latest/'],
  ['a private network', 'https://10.0.0.9/jwks'],
  ['this machine', elsewhere],
  ['IPv4 within IPv6', 'https://[::ffff:127.0.0.1]/jwks'],
  ['a decimal address', 'https://2130706433/jwks'],
] as const)
  fails(
    'F06',
    `has its keys at ${says}`,
    { set: (upstream) => upstream.setDiscovery({ jwks_uri }) },
    { ...noKeys, also: (t) => void t.equal(trapped, 0, 'nobody goes there') },
  )

fails(
  'F07',
  'has a certificate of nobody that is trusted',
  { set: () => {}, over: { caFile: undefined } },
  { fetches: {}, also: stays },
)

for (const [says, members] of [
  ['calls itself something else', { issuer: 'https://elsewhere.example.test' }],
  ['does not say who it is', { issuer: undefined }],
  ['has its keys on another host', { jwks_uri: 'https://keys.example.test/jwks' }],
  ['has its keys behind plain HTTP', { jwks_uri: 'http://localhost/jwks' }],
  ['has its keys behind a password', { jwks_uri: 'https://user:word@localhost/jwks' }],
  ['has its keys at a relative address', { jwks_uri: '/jwks' }],
] as const)
  fails('F09', says, { set: (upstream) => upstream.setDiscovery(members) }, noKeys)

const unknown = { reason: 'subject_key_unknown' } as const
/** Within the burst of one client. */
const FLOOD = 900
const flood = async (world: TestBroker): Promise<Reply> => {
  let reply = await world.exchange({ subject_token: world.mint({}, { kid: 'flood' }) })
  const [, body = '', tail = ''] = world.mint().split('.')
  for (let count = 1; count < FLOOD; count += 1) {
    const header = Buffer.from(JSON.stringify({ alg: 'RS256', kid: `flood-${count}` })).toString('base64url')
    reply = await world.exchange({ subject_token: `${header}.${body}.${tail}` })
  }
  return reply
}
refuses({
  id: 'F11',
  says: 'a flood of tokens under unknown kids, which costs the issuer one request,',
  ...unknown,
  fetches: { jwks: 1 },
  requests: FLOOD,
  attack: flood,
})
refuses({
  id: 'F12',
  says: 'the token of a new key, until the 30 s after a flood are over,',
  ...unknown,
  fetches: { jwks: 1 },
  requests: 2,
  attack: async (world) => {
    await world.exchange({ subject_token: world.mint({}, { kid: 'flood-again' }) })
    issuer.rotate({ keepOld: true })
    return world.exchange()
  },
  twin: (world) => world.exchange(),
  also: async (t, _reply, world) => {
    t.equal((await world.exchange()).status, 401)
    // A kid that was not found is asked for again after a minute.
    world.clock.now += 61_000
    t.equal((await world.exchange()).status, 200)
  },
})
accepts({
  id: 'F13',
  says: 'the first token of a new key is taken, though the old one is gone at once',
  fetches: { jwks: 1 },
  ask: (world) => {
    issuer.rotate()
    return world.exchange()
  },
})

const oldKey = { now: issuer.key('RS256') }
refuses({
  id: 'F14',
  says: 'the token of a key that the issuer took back ten minutes ago',
  ...unknown,
  // Once because the set is old, once because the kid is not in the new one.
  fetches: { jwks: 2 },
  attack: async (world) => {
    oldKey.now = issuer.key('RS256')
    issuer.rotate()
    world.clock.now += 10 * 60_000
    const { kid, privateKey } = oldKey.now
    return world.exchange({ subject_token: world.mint({}, { kid, key: privateKey }) })
  },
})
refuses({
  id: 'F14',
  says: 'the token of a key that the issuer took back, after a refresh on command,',
  ...unknown,
  // The command's, and one because the kid is not in the new set.
  fetches: { jwks: 2 },
  attack: async (world) => {
    oldKey.now = issuer.key('RS256')
    issuer.rotate()
    const connector = world.config.connectors.find(({ id }) => id === 'gitlab')
    if (connector !== undefined) await world.issuers.of(connector).refresh()
    const { kid, privateKey } = oldKey.now
    return world.exchange({ subject_token: world.mint({}, { kid, key: privateKey }) })
  },
})

const poison = makeKey('RS256')
const poisoned = (world: TestBroker): Promise<Reply> =>
  world.exchange({ subject_token: world.mint({}, { kid: poison.kid, key: poison.privateKey }) })
refuses({
  id: 'F15',
  says: 'the token of a key that an issuer published once and no more',
  ...unknown,
  fetches: { jwks: 3 },
  requests: 2,
  attack: async (world) => {
    issuer.setJwks({ keys: [publicJwk(poison), ...issuer.publicJwks().keys] })
    await poisoned(world)
    issuer.setJwks(undefined)
    world.clock.now += 10 * 60_000
    return poisoned(world)
  },
  also: (t, _reply, world) => {
    const [before] = world.events.slice(-2)
    t.match(before, { decision: 'allow', subject: { kid: poison.kid } }, 'the event names the key')
  },
})

refusesConfig({
  id: 'F17',
  says: 'a key file that is not there',
  change: (config) =>
    Object.assign(entryOf(config, 'connectors', 'gitlab'), { jwksFile: '/nowhere/keys.json' }),
  finding: /jwksFile/,
})

for (const [says, url] of [
  ['an IPv6 zone', 'https://[fe80::1%25eth0]/'],
  ['a host of other letters', 'https://gitl\u0430b.example.test'],
] as const)
  refusesConfig({
    id: 'F19',
    says: `an issuer with ${says}`,
    change: (config) => Object.assign(entryOf(config, 'connectors', 'gitlab'), { issuer: url }),
    finding: /connectors\[0\]\.issuer/,
  })
