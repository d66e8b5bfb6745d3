import t from 'tap'
import { STEPS, allowEvent, clip, denyEvent, isFault, stepOf } from '../../src/core/audit_event.ts'
import type { AuditContext, DecisionFacts } from '../../src/core/audit_event.ts'

const context: AuditContext = {
  event: 'token',
  time: '2026-11-21T12:00:00.000Z',
  requestId: 'r',
  peer: '192.0.2.1',
}
const facts: DecisionFacts = { grant: 'token-exchange', client: 'ci' }
const jwt = `eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.${'c2ln'.repeat(20)}`

t.test('an allowed event holds context and facts', async (t) => {
  t.same(allowEvent(context, facts), { ...context, decision: 'allow', ...facts })
})

t.test('a denied event holds step, reason and evidence; our own faults say fail', async (t) => {
  t.same(denyEvent(context, facts, { reason: 'subject_expired', exp: 1, now: 2 }), {
    ...context,
    decision: 'deny',
    step: 'subject',
    reason: 'subject_expired',
    evidence: { exp: 1, now: 2 },
    ...facts,
  })
  t.match(denyEvent(context, facts, { reason: 'store_unavailable', detail: 'x' }), {
    decision: 'fail',
    step: 'mint',
  })
  t.equal(isFault({ reason: 'client_check_busy' }), true)
  t.equal(isFault({ reason: 'connector_missing', candidates: 0 }), false)
  const away = { reason: 'issuer_keys_unavailable', connector: 'gitlab', detail: 'x' } as const
  t.equal(isFault({ reason: 'client_assertion_invalid', client: 'job', cause: away }), true)
  const expired = { reason: 'subject_expired', exp: 1, now: 2 } as const
  t.equal(isFault({ reason: 'client_assertion_invalid', client: 'job', cause: expired }), false)
  t.equal(isFault({ reason: 'client_assertion_invalid', client: 'job', cause: 'signature' }), false)
})

t.test('every step is one of the pipeline’s', async (t) => {
  for (const reason of [
    'form_malformed',
    'client_unknown',
    'connector_unknown',
    'subject_expired',
    'policy_unknown',
    'audience_not_trusted',
    'subject_replayed',
    'signing_failed',
  ] as const)
    t.ok(STEPS.includes(stepOf(reason)), reason)
})

t.test('what a caller chose is clipped, in evidence and in facts', async (t) => {
  const long = 'x'.repeat(1000)
  const many = Array.from({ length: 100 }, () => long)
  const denied = denyEvent(
    context,
    { ...facts, audiencesRequested: many, subject: { iss: 'i', sub: long, jti: long, kid: long, hash: 'h' } },
    { reason: 'audience_not_trusted', client: long, refused: many },
  )
  t.ok(JSON.stringify(denied).length < 20_000)
  t.equal(denied.audiencesRequested?.length, 32)
  t.equal(denied.subject?.sub.length, 257)
  t.match(denied.evidence, { client: /^x{256}…$/ })
})

t.test('a token that was put in the wrong place is not written down', async (t) => {
  const misplaced = [
    jwt,
    `Bearer ${jwt}`,
    `audience:${jwt}`,
    `a ${jwt} b ${jwt}`,
    Buffer.from('{ "alg":"RS256" }').toString('base64url'),
  ]
  for (const text of misplaced) {
    const denied = denyEvent(
      context,
      { ...facts, audiencesRequested: [text] },
      { reason: 'client_unknown', client: text },
    )
    t.notMatch(JSON.stringify(denied), /eyJ|eyAi/)
    t.match(JSON.stringify(denied), '<token>')
  }
  t.equal(clip('a client that begins with eyJoe'), 'a client that begins with eyJoe')
})

t.test('control characters and those that turn text around are made visible', async (t) => {
  t.equal(clip('a\nb\u0000c\u202ed\u2028'), 'a\\u000ab\\u0000c\\u202ed\\u2028')
  t.equal(clip('é 😀'), 'é 😀')
})

t.test('evidence has a bottom', async (t) => {
  const nested = {
    reason: 'client_assertion_invalid',
    client: 'job',
    cause: {
      reason: 'policy_none_matched',
      connector: 'c',
      tried: [{ policy: 'p', step: 's', detail: 'd' }],
    },
  } as const
  t.match(denyEvent(context, facts, nested).evidence, {
    cause: { tried: [{ policy: 'p', step: 's', detail: 'd' }] },
  })
})
