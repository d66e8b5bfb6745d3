// The checker itself: of a history in which everything held it says nothing, and each violation planted into it is found.
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { SignJWT, exportJWK, generateKeyPair } from 'jose'
import type { CryptoKey, JWK } from 'jose'
import t from 'tap'
import { readAuditTrail } from './checks/audit.ts'
import { checkHistory } from './checker.ts'
import { VIOLATION_KINDS } from './history.ts'
import type {
  AuditLine,
  History,
  KeySetLook,
  TokenQuestion,
  TokenRequest,
  Violation,
  ViolationKind,
} from './history.ts'

const START = Date.UTC(2026, 10, 21, 12)
const TTL_MS = 60_000
const ISSUER = 'http://127.0.0.1:1/dex'

type Pair = { readonly kid: string; readonly privateKey: CryptoKey; readonly jwk: JWK }

async function pair(kid: string): Promise<Pair> {
  const { privateKey, publicKey } = await generateKeyPair('ES256')
  return { kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: 'ES256' } }
}

const [first, second, stranger] = [await pair('first'), await pair('second'), await pair('stranger')]

/** `at`: seconds from the start. */
async function tokenOf(key: Pair, jti: string, at: number, change: Record<string, unknown> = {}) {
  const now = Math.floor(START / 1000) + at
  const claims = { iss: ISSUER, aud: ['app', 'ci'], iat: now, exp: now + TTL_MS / 1000, jti, ...change }
  return new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid: key.kid }).sign(key.privateKey)
}

function look(at: number, broker: string, keys: readonly Pair[]): KeySetLook {
  const answeredAt = START + at * 1000
  return { domain: 'd', broker, askedAt: answeredAt - 5, answeredAt, keys: keys.map(({ jwk }) => jwk) }
}

async function bought(at: number, id: string, key: Pair): Promise<TokenRequest> {
  const answeredAt = START + at * 1000
  return {
    domain: 'd',
    broker: 'a',
    sentAt: answeredAt - 5,
    answeredAt,
    status: 200,
    requestId: id,
    token: await tokenOf(key, `issued-${id}`, at),
    subject: {
      jti: `job-${id}`,
      exp: answeredAt / 1000 + 100,
      connector: 'k',
      isSingleUse: true,
      isForged: false,
    },
  }
}

function refused(request: TokenRequest, id: string): TokenRequest {
  return { ...request, requestId: id, status: 401, token: undefined }
}

function lineOf({ requestId = '', subject, status }: TokenRequest, kid: string): AuditLine {
  const common = { requestId, event: 'token', subjectJti: subject?.jti }
  return status === 200
    ? { ...common, decision: 'allow', issuedJti: `issued-${requestId}`, issuedKid: kid }
    : { ...common, decision: 'deny', issuedJti: undefined, issuedKid: undefined }
}

/** Two brokers, a key that follows another after its wait, a race, and a token that outlives nobody. */
async function whole(): Promise<History> {
  const one = await bought(1, 'r1', first)
  const later = await bought(200, 'r3', second)
  const lost = refused(one, 'r2')
  const unanswered: TokenRequest = {
    ...one,
    answeredAt: undefined,
    status: undefined,
    requestId: undefined,
    token: undefined,
  }
  const looks = [0, 10, 30, 60, 100, 150, 190, 210, 250].flatMap((at) =>
    ['a', 'b'].map((broker) => look(at, broker, keysAt(at))),
  )
  const question: TokenQuestion = {
    domain: 'd',
    broker: 'b',
    askedAt: START + 5000,
    answeredAt: START + 5010,
    token: one.token ?? '',
    isActive: true,
  }
  const ended = { ...question, askedAt: START + 90_000, answeredAt: START + 90_010, isActive: false }
  return {
    requests: [one, lost, unanswered, later],
    looks,
    questions: [question, ended],
    clocks: [],
    revocations: [],
    levers: [],
    hindrances: [],
    mishaps: [],
    withWorkers: new Set(),
    audit: new Map([
      ['a', [lineOf(one, 'first'), lineOf(lost, ''), lineOf(later, 'second')]],
      ['b', []],
    ]),
    issuers: new Map([['d', ISSUER]]),
    audience: 'app',
  }
}

/** `first` from the start until its tokens are long gone, `second` from second 30 on. */
function keysAt(at: number): readonly Pair[] {
  if (at < 30) return [first]
  return at < 200 ? [second, first] : [second]
}

const valid = await whole()
const [one, lost, , later] = valid.requests
if (one === undefined || lost === undefined || later === undefined)
  throw new Error('the fixture is not whole')

async function kindsIn(change: Partial<History>): Promise<readonly ViolationKind[]> {
  return [...new Set((await checkHistory({ ...valid, ...change })).map(({ kind }) => kind))]
}

function withAudit(lines: readonly AuditLine[]): Pick<History, 'audit'> {
  return { audit: new Map([['a', lines]]) }
}

const good = [lineOf(one, 'first'), lineOf(lost, ''), lineOf(later, 'second')] as const

/** Requests beside the valid ones, with the lines that belong to them. */
function beside(...requests: readonly TokenRequest[]): Pick<History, 'requests' | 'audit'> {
  return {
    requests: [...valid.requests, ...requests],
    ...withAudit([...good, ...requests.map((request) => lineOf(request, 'first'))]),
  }
}

const looksWithout = (kid: string, at: number): readonly KeySetLook[] => [
  ...valid.looks,
  look(
    at,
    'b',
    keysAt(at).filter((key) => key.kid !== kid),
  ),
]

t.test('where everything held, nothing is found', async (t) => {
  t.same(await checkHistory(valid), [])
})

/** The first key is revoked, the second signs at once, and broker b has it from then on. */
const signsAtOnce = await bought(3.5, 'r3', second)
const secondAtOnce = (untilThenWithout: number): Partial<History> => {
  return {
    requests: [lost, signsAtOnce],
    questions: [],
    revocations: [{ domain: 'd', kid: 'first', from: START + 2000, until: START + 3000 }],
    looks: [
      look(1, 'a', [first]),
      look(1, 'b', [first]),
      look(3, 'a', [second]),
      look(untilThenWithout, 'b', []),
      look(untilThenWithout + 1, 'b', [second]),
    ],
    ...withAudit([lineOf(lost, ''), lineOf(signsAtOnce, 'second')]),
  }
}

type Plant = { readonly kind: ViolationKind; readonly title: string; readonly change: Partial<History> }

const again = { ...one, requestId: 'r9', token: await tokenOf(first, 'issued-r9', 1) }
const old = {
  ...again,
  subject: { jti: 'job-old', exp: START / 1000 - 60, connector: 'k', isSingleUse: false, isForged: false },
}
const revocation = { domain: 'd', kid: 'first', from: START + 2000, until: START + 3000 }
const afterRevocation = await bought(40, 'r9', first)
const looksAfterRevocation = valid.looks.map((seen) =>
  seen.answeredAt < revocation.from
    ? seen
    : { ...seen, keys: seen.keys.filter(({ kid }) => kid !== revocation.kid) },
)
const atNine = { ...(await bought(9, 'r9', first)), broker: 'a' }
const lever = { domain: 'd', from: START + 2000, until: START + 3000 } as const
const clockOfA = { broker: 'a', from: START - 20_000, until: START - 19_000 }
const clockBack = [{ broker: 'a', from: START + 2000, until: START + 3000, offsetMs: 0 }]
const dead = { broker: 'a', at: START, detail: 'x' } as const

const plants: readonly Plant[] = [
  {
    kind: 'unverifiable',
    title: 'a token whose signature is of another key',
    change: beside({
      ...again,
      token: await tokenOf({ ...stranger, kid: 'first' }, 'issued-r9', 1),
      subject: undefined,
    }),
  },
  {
    kind: 'unverifiable',
    title: 'a token of another issuer',
    change: beside({
      ...again,
      token: await tokenOf(first, 'issued-r9', 1, { iss: 'x' }),
      subject: undefined,
    }),
  },
  {
    kind: 'unverifiable',
    title: 'a token for somebody else',
    change: beside({
      ...again,
      token: await tokenOf(first, 'issued-r9', 1, { aud: 'x' }),
      subject: undefined,
    }),
  },
  {
    kind: 'unpublished_key',
    title: 'a token of a key that nobody ever published',
    change: {
      requests: [
        ...valid.requests,
        { ...again, token: await tokenOf(stranger, 'issued-r9', 1), subject: undefined },
      ],
      ...withAudit([...good, { ...lineOf({ ...again, subject: undefined }, 'stranger') }]),
    },
  },
  {
    kind: 'barrier_broken',
    title: 'a key that signs before verifiers can have it',
    change: {
      requests: [one, lost, await bought(40, 'r3', second)],
    },
  },
  {
    kind: 'barrier_broken',
    title: 'a key that one of the brokers published too late',
    change: { looks: looksWithout('second', 111) },
  },
  {
    kind: 'key_lost',
    title: 'a key that one broker forgot while its token lives',
    change: { looks: looksWithout('first', 50) },
  },
  {
    kind: 'key_lost',
    title: 'a key that signs at once, and that another broker lacks long after the revocation before it',
    change: secondAtOnce(20),
  },
  {
    kind: 'key_lost',
    title: 'a key that was published and went before it signed',
    change: { requests: [one, lost], looks: looksWithout('second', 250) },
  },
  {
    kind: 'key_lost',
    title: 'a key that was published and went before it signed, at a broker with workers',
    change: {
      requests: [one, lost],
      looks: looksWithout('second', 250),
      withWorkers: new Set(['b']),
    },
  },
  {
    kind: 'key_lost',
    title: 'a key that one process lacks a moment after it had published it',
    change: { requests: [one, lost], looks: looksWithout('second', 31) },
  },
  {
    kind: 'revoked_key',
    title: 'a revoked key that is still published',
    change: { revocations: [revocation] },
  },
  {
    kind: 'revoked_key',
    title: 'a revoked key that still signs',
    change: {
      ...beside(afterRevocation),
      revocations: [revocation],
      looks: looksAfterRevocation,
    },
  },
  {
    kind: 'lever_ignored',
    title: 'a connector that was switched off and sells',
    change: {
      ...beside(atNine),
      levers: [{ ...lever, kind: 'connector', id: 'k', liftedFrom: START + 10_000 }],
    },
  },
  {
    kind: 'lever_ignored',
    title: 'a broker that calls a denied token active',
    change: {
      questions: valid.questions.map((question) => ({ ...question, askedAt: question.askedAt + 4000 })),
      levers: [{ ...lever, kind: 'token', id: 'issued-r1', liftedFrom: Infinity }],
    },
  },
  {
    kind: 'bought_twice',
    title: 'a token good once that bought two',
    change: beside(again),
  },
  {
    kind: 'bought_twice',
    title: 'a token good once that bought another whose answer was lost',
    change: withAudit([...good, { ...lineOf(one, 'first'), requestId: 'r9' }]),
  },
  { kind: 'expired_accepted', title: 'a token that had expired', change: beside(old) },
  {
    kind: 'expired_accepted',
    title: 'a broker that calls an expired token active',
    change: { questions: valid.questions.map((question) => ({ ...question, isActive: true })) },
  },
  {
    kind: 'forged_accepted',
    title: 'a forged token that was taken',
    change: beside({
      ...again,
      subject: { jti: 'job-r9', exp: 2 ** 31, connector: 'k', isSingleUse: false, isForged: true },
    }),
  },
  {
    kind: 'clock_ignored',
    title: 'a replica that issues a token with its clock a minute ahead',
    change: { clocks: [{ ...clockOfA, offsetMs: 60_000 }, ...clockBack] },
  },
  {
    kind: 'clock_ignored',
    title: 'a replica that issues a token with its clock an hour behind',
    change: { clocks: [{ ...clockOfA, offsetMs: -3_600_000 }, ...clockBack] },
  },
  { kind: 'unaudited', title: 'an answer without its line', change: withAudit(good.slice(1)) },
  { kind: 'unaudited', title: 'a refusal without its line', change: withAudit([good[0], good[2]]) },
  {
    kind: 'unaudited',
    title: 'an answer without a request id',
    change: { requests: [...valid.requests, { ...lost, requestId: undefined }] },
  },
  {
    kind: 'audit_contradicts',
    title: 'a line that says no where a token was given',
    change: withAudit([{ ...good[0], decision: 'deny' }, good[1], good[2]]),
  },
  {
    kind: 'audit_contradicts',
    title: 'a line that says yes where nothing was given',
    change: withAudit([good[0], { ...good[1], decision: 'allow', subjectJti: undefined }, good[2]]),
  },
  {
    kind: 'audit_contradicts',
    title: 'a line of another issued token',
    change: withAudit([{ ...good[0], issuedJti: 'x' }, good[1], good[2]]),
  },
  {
    kind: 'audit_contradicts',
    title: 'a line of another key',
    change: withAudit([{ ...good[0], issuedKid: 'x' }, good[1], good[2]]),
  },
  {
    kind: 'audit_contradicts',
    title: 'a line of another job',
    change: withAudit([{ ...good[0], subjectJti: 'x' }, good[1], good[2]]),
  },
  { kind: 'audit_contradicts', title: 'two lines for one answer', change: withAudit([...good, good[1]]) },
  {
    kind: 'misjudged',
    title: 'a broker that calls a living token inactive',
    change: { questions: valid.questions.map((question) => ({ ...question, isActive: false })) },
  },
  { kind: 'died', title: 'a broker that died', change: { mishaps: [{ ...dead, kind: 'died' }] } },
  {
    kind: 'not_back',
    title: 'a broker that does not come back',
    change: { mishaps: [{ ...dead, kind: 'not_back' }] },
  },
  {
    kind: 'token_in_log',
    title: 'a log with a token in it',
    change: { mishaps: [{ ...dead, kind: 'token_in_log' }] },
  },
]

for (const { kind, title, change } of plants) {
  t.test(`found: ${title}`, async (t) => {
    t.same(await kindsIn(change), [kind])
  })
}

t.test('there is a planted one of every kind', async (t) => {
  t.same([...new Set(plants.map(({ kind }) => kind))].sort(), [...VIOLATION_KINDS].sort())
})

t.test('evidence names the broker and the request, and holds no token', async (t) => {
  const found: Violation[] = []
  for (const { change } of plants) found.push(...(await checkHistory({ ...valid, ...change })))
  for (const { evidence } of found) {
    t.match(evidence, /broker [ab]|subject token job-|audit trail/)
    t.notMatch(evidence, /eyJ/)
  }
})

// What is no violation, beside what is.
const forgiven: readonly { readonly title: string; readonly change: Partial<History> }[] = [
  {
    title: 'a token that had expired by our clock, and not by the broker’s, which had jumped back',
    change: {
      ...beside(old),
      clocks: [{ broker: 'a', from: START - 20_000, until: START - 19_000, offsetMs: -32_000 }],
    },
  },
  {
    title: 'a token that was issued while the clock was being set',
    change: {
      clocks: [
        { ...clockOfA, until: START + 990, offsetMs: 60_000 },
        { ...clockOfA, until: START + 1000, offsetMs: 0 },
      ],
    },
  },
  {
    title: 'a 503 without a line while the disk was full',
    change: {
      requests: [...valid.requests, { ...lost, requestId: 'r9', status: 503 }],
      hindrances: [{ broker: 'a', kind: 'disk', from: START, until: START + 5000 }],
    },
  },
  {
    title: 'a 503 without a request id of a broker that is ending',
    change: {
      requests: [...valid.requests, { ...lost, requestId: undefined, status: 503 }],
      hindrances: [{ broker: 'a', kind: 'broker', from: START, until: START + 5000 }],
    },
  },
  {
    title: 'a revoked key at a broker that cannot reach its store',
    change: {
      ...beside(afterRevocation),
      revocations: [revocation],
      looks: looksAfterRevocation,
      hindrances: [{ broker: 'a', kind: 'store', from: START + 3000, until: START + 39_000 }],
    },
  },
  {
    title: 'a connector that sells again once the lever is lifted, and one that was not switched off',
    change: {
      ...beside(atNine),
      levers: [
        { ...lever, kind: 'connector', id: 'k', liftedFrom: START + 8000 },
        { ...lever, kind: 'connector', id: 'other', liftedFrom: Infinity },
        { ...lever, domain: 'other', kind: 'connector', id: 'k', liftedFrom: Infinity },
      ],
    },
  },
  {
    title: 'a denied token that is called inactive',
    change: {
      questions: valid.questions.map((question) => ({ ...question, isActive: false })),
      levers: [{ ...lever, kind: 'token', id: 'issued-r1', liftedFrom: Infinity }],
    },
  },
  {
    title: 'a key that signs at once, and that another broker has a moment later',
    change: secondAtOnce(4),
  },
  {
    title: 'a key that one worker has found in the store before the one beside it',
    change: {
      requests: [one, lost],
      looks: looksWithout('second', 31),
      withWorkers: new Set(['b']),
    },
  },
  {
    title: 'a key that signs at once because the one before it was revoked',
    change: {
      requests: [lost, await bought(40, 'r3', second)],
      questions: [],
      revocations: [revocation],
      looks: [look(1, 'a', [first]), look(4, 'a', [second]), look(250, 'a', [second])],
      ...withAudit([lineOf(lost, ''), lineOf(later, 'second')]),
    },
  },
]

for (const { title, change } of forgiven) {
  t.test(`no violation: ${title}`, async (t) => {
    t.same(await kindsIn(change), [])
  })
}

t.test('a 503 without a line is one where the disk had room, or it was another broker’s', async (t) => {
  const requests = [...valid.requests, { ...lost, requestId: 'r9', status: 503 }]
  t.same(await kindsIn({ requests }), ['unaudited'])
  const hindrances = [{ broker: 'b', kind: 'disk', from: START, until: START + 5000 }] as const
  t.same(await kindsIn({ requests, hindrances }), ['unaudited'])
})

t.test('an audit line is read by what it says, and half a line is none', async (t) => {
  const event = {
    requestId: 'r',
    event: 'token',
    decision: 'allow',
    subject: { jti: 's' },
    issued: { jti: 'i', kid: 'k' },
  }
  const text = JSON.stringify(event)
  t.same(readAuditTrail([text.slice(0, -5), text, JSON.stringify({ event: 'emergency' })]), {
    lines: [
      { requestId: 'r', event: 'token', decision: 'allow', subjectJti: 's', issuedJti: 'i', issuedKid: 'k' },
    ],
    tornLines: 1,
  })
})

t.test('the checker shares no code with the broker', async (t) => {
  const folder = import.meta.dirname
  const files = [
    'checker.ts',
    'history.ts',
    ...readdirSync(join(folder, 'checks')).map((name) => join('checks', name)),
  ]
  for (const file of files) {
    const text = readFileSync(join(folder, file), 'utf8')
    for (const [, from = ''] of text.matchAll(/ from '([^']+)'/g))
      t.match(from, /^(?:jose|\.\/(?:checks\/)?[a-z_]+\.ts|\.\.\/history\.ts)$/, `${file} imports ${from}`)
  }
})
