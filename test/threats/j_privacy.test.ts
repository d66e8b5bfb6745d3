// Group J: what is written down of a decision, and what strangers see of the process.
import t from 'tap'
import type { AuditEvent } from '../../src/core/audit_event.ts'
import { SECRETS } from '../support/broker_config.ts'
import { startTestBroker } from '../support/test_broker.ts'
import type { Form } from '../support/test_broker.ts'
import { UNAVAILABLE, threatTable } from '../support/threat_case.ts'
import type { RefusedRow } from '../support/threat_case.ts'
import { addPolicy } from '../support/threat_world.ts'
import { claiming, exchanged } from '../support/threat_tokens.ts'

const broker = await startTestBroker(t, {
  change: (config) =>
    addPolicy(config, {
      name: 'once',
      claims: { project_id: '48291' },
      grant: { audiences: ['app'], singleUse: 'once' },
    }),
})
const { refuses, accepts } = threatTable(t, broker)
const denied = { reason: 'client_unknown', answer: { status: 401 } } as const

/** A credential where it does not belong: rows look for it in everything that is said. */
for (const place of ['client_id', 'connector_id', 'policy', 'audience', 'subject_token_type', 'nonce'])
  t.test(`TH-J02: a token in the place of ${place} is written down nowhere`, async (t) => {
    const said = broker.said.length
    const token = broker.mint()
    await broker.exchange({ [place]: token })
    broker.said.push((await broker.ops.inject({ url: '/metrics' })).payload)
    t.notMatch(broker.said.slice(said).join('\n'), token.slice(0, 20))
    t.equal(broker.events.length > 0, true)
  })
refuses({
  id: 'J02',
  says: 'a secret in the place of a client id',
  ...denied,
  attack: (world) => world.exchange({ client_id: world.mint(), client_secret: 'x' }),
})

refuses({
  id: 'J03',
  says: 'a token under a kid and a sub that somebody chose',
  reason: 'subject_key_unknown',
  fetches: { jwks: 1 },
  attack: (world) =>
    world.exchange({ subject_token: world.mint({ sub: 'label-sub' }, { kid: 'label-kid' }) }),
  also: async (t, _reply, world) => {
    t.notMatch((await world.ops.inject({ url: '/metrics' })).payload, /label-(sub|kid)/)
  },
})

for (const path of [
  '/metrics',
  '/debug/pprof/',
  '/livez',
  '/readyz',
  '/dex/metrics',
  '/dex/debug',
  '/package.json',
])
  refuses({
    id: 'J05',
    says: `a look at ${path} from outside`,
    reason: undefined,
    answer: { status: 404, text: '404 page not found\n' },
    attack: async (world) => {
      const { statusCode, payload, headers } = await world.app.inject({ url: path })
      world.said.push(payload)
      return { status: statusCode, text: payload, headers, json: {}, token: undefined, idToken: undefined }
    },
  })
t.test('TH-J05: an error that nobody expected says nothing of itself', async (t) => {
  broker.faults.broken = true
  const reply = await broker.exchange({ policy: 'once' })
  broker.faults.broken = false
  t.match(reply, { status: 500, text: '{"error":"server_error"}' })
  t.equal((await broker.exchange()).status, 200)
})

accepts({
  id: 'J06',
  says: 'neither e-mail nor user name of a token is in its event',
  ask: exchanged(claiming({ email: 'person@example.test', name: 'Some Person', user_login: 'some-person' })),
  also: (t, _reply, world) =>
    void t.notMatch(JSON.stringify(world.audit()), /person@example|Some Person|some-person/),
})

const complete = (event: AuditEvent | undefined): Readonly<Record<string, unknown>> => ({
  ...event,
  ...event?.subject,
})
for (const [says, change, members] of [
  [
    'an exchange that is allowed',
    {},
    [
      'time',
      'requestId',
      'peer',
      'grant',
      'client',
      'connector',
      'policy',
      'iss',
      'sub',
      'jti',
      'hash',
      'issued',
    ],
  ],
  [
    'an exchange that is denied',
    { scope: 'audience:server:client_id:stranger' },
    [
      'time',
      'requestId',
      'peer',
      'grant',
      'client',
      'connector',
      'policy',
      'iss',
      'sub',
      'jti',
      'hash',
      'reason',
      'step',
      'audiencesRequested',
    ],
  ],
  [
    'a guess at a secret',
    { client_secret: SECRETS.other },
    ['time', 'requestId', 'peer', 'grant', 'reason', 'step', 'evidence'],
  ],
] as const)
  t.test(`TH-J07: ${says} is recorded whole`, async (t) => {
    const form: Form = change
    await broker.exchange(form)
    for (const member of members) t.hasOwnProp(complete(broker.audit()), member)
  })
const withoutAudit: RefusedRow['attack'] = async (world) => {
  world.faults.audit = true
  const reply = await world.exchange()
  world.faults.audit = false
  return reply
}
t.test('TH-J07: what cannot be recorded is not answered', async (t) => {
  const before = broker.events.length
  t.match(await withoutAudit(broker), UNAVAILABLE)
  t.equal(broker.events.length, before)
  t.equal((await broker.exchange()).status, 200)
})

for (const path of ['/dex/admin', '/dex/reload', '/dex/explain', '/admin', '/api'])
  refuses({
    id: 'J11',
    says: `a call of ${path} from a job`,
    reason: undefined,
    answer: { status: 404, text: '404 page not found\n' },
    attack: async (world) => {
      const answer = await world.app.inject({ method: 'POST', url: path })
      return {
        status: answer.statusCode,
        text: answer.payload,
        headers: answer.headers,
        json: {},
        token: undefined,
        idToken: undefined,
      }
    },
  })
