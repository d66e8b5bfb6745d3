// Group B: what the claims of a rightly signed subject token may say.
import t from 'tap'
import { signInput, startTestIssuer } from '../support/test_issuer.ts'
import { START, gitlabClaims } from '../support/test_broker.ts'
import type { TestBroker } from '../support/test_broker.ts'
import { BODY_TOO_LARGE, threatTable } from '../support/threat_case.ts'
import { badClaim, claiming, malformed, tokenRows } from '../support/threat_tokens.ts'
import type { Make, Row } from '../support/threat_tokens.ts'
import { addForge, addPolicy, nowOf, startForgeBroker } from '../support/threat_world.ts'

const seldom = await startTestIssuer({ now: () => START })
t.teardown(() => seldom.close())

const broker = await startForgeBroker(t, (config) => {
  const project = { project_id: '48291' }
  addForge(config, { id: 'other', type: 'gitlab-ci', claims: project }, { issuer: seldom.url })
  addForge(config, { id: 'strict', type: 'gitlab-ci', claims: project }, { strictAudience: true })
  addPolicy(config, { name: 'own', claims: { ...project, constructor: 'x' } })
})
const table = threatTable(t, broker)
const { refuses, accepts } = table
const token = tokenRows(table)

/** The valid claims of now as JSON text, changed, and signed as they then stand. */
function written(change: (json: string) => string | Buffer): Make {
  return (world) => {
    const now = nowOf(world)
    const json = JSON.stringify({
      iss: world.issuer.url,
      ...gitlabClaims(world.config.issuer),
      iat: now,
      nbf: now,
      exp: now + 300,
      jti: `jti-${now}`,
    })
    const key = world.issuer.key('RS256')
    const header = Buffer.from(JSON.stringify({ alg: 'RS256', kid: key.kid })).toString('base64url')
    const input = `${header}.${Buffer.from(change(json)).toString('base64url')}`
    return `${input}.${signInput(input, 'RS256', key.privateKey).toString('base64url')}`
  }
}
const asWritten = written((json) => json)
const appended = (members: string): Make => written((json) => `${json.slice(0, -1)},${members}}`)

for (const [says, members] of [
  ['iss twice', '"iss":"https://elsewhere.example.test"'],
  ['aud twice', '"aud":"https://elsewhere.example.test"'],
  ['sub twice', '"sub":"x"'],
  ['exp twice', '"exp":4000000000'],
  ['a name twice further down', '"x":{"a":1,"a":2}'],
  ['sub twice, once escaped', '"\\u0073ub":"x"'],
] as const)
  token('B01', `a payload with ${says}`, appended(members), malformed, asWritten)

for (const [says, change] of [
  ['an array', () => '["x"]'],
  ['null', () => 'null'],
  ['a number', () => '1'],
  ['a string', (json: string) => JSON.stringify(json)],
  ['nothing', () => ''],
  ['no JSON', () => 'hello there'],
  ['begun with a byte order mark', (json: string) => `\ufeff${json}`],
  [
    'no UTF-8',
    (json: string) =>
      Buffer.concat([Buffer.from(`${json.slice(0, -1)},"x":"`), Buffer.from([0xff]), Buffer.from('"}')]),
  ],
  ['a text with a lone surrogate', (json: string) => `${json.slice(0, -1)},"x":"\\ud800"}`],
] as const)
  token('B02', `a payload that is ${says}`, written(change), malformed, asWritten)

const nested = (depth: number): string => `"x":${'['.repeat(depth)}${']'.repeat(depth)}`
for (const depth of [17, 1000])
  token('B03', `a payload nested ${depth} deep`, appended(nested(depth)), malformed, appended(nested(15)))
const bodyTooLarge: Row = { reason: 'body_too_large', answer: BODY_TOO_LARGE }
token('B03', 'a payload nested a million deep', appended(nested(1_000_000)), bodyTooLarge)

const padded =
  (bytes: number): Make =>
  (world) => {
    const bare = world.mint({ x: '' }).length
    return world.mint({ x: 'x'.repeat(Math.floor(((bytes - bare) * 3) / 4)) })
  }
token(
  'B04',
  'a token of more than 16 KB',
  padded(16 * 1024 + 8),
  { reason: 'subject_too_large' },
  padded(16_000),
)
for (const megabytes of [1, 2])
  token('B04', `a token of ${megabytes} MB`, padded(megabytes * 1024 * 1024), bodyTooLarge)
const many = (count: number): Make =>
  appended(Array.from({ length: count }, (_, index) => `"c${index}":1`).join(','))
token('B04', 'a payload of more than 256 claims', many(256), malformed, many(200))
token('B04', 'a payload of 10,000 claims', many(10_000), bodyTooLarge, many(200))
token(
  'B04',
  'a token for a thousand audiences',
  (world) => world.mint({ aud: [world.config.issuer, ...Array.from({ length: 999 }, () => 'a')] }),
  { ...badClaim, evidence: { claim: 'aud' } },
  (world) => world.mint({ aud: [world.config.issuer, ...Array.from({ length: 99 }, () => 'a')] }),
)

const numeric = (text: string): Make => written((json) => json.replace(/"exp":\d+/, `"exp":${text}`))
const badExp: Row = { ...badClaim, evidence: { claim: 'exp' } }
token('B05', 'a token without exp', claiming({ exp: undefined }), badExp)
for (const value of ['null', '"4000000000"', 'true', '-1', '0', '"2099-01-01T00:00:00Z"', '4102444801'])
  token('B05', `an exp of ${value}`, numeric(value), badExp, asWritten)
for (const value of ['1e400', '9007199254740993'])
  token('B05', `an exp of ${value}`, numeric(value), malformed, asWritten)
token(
  'B05',
  'an exp in milliseconds',
  (world) => world.mint({ exp: world.clock.now + 300_000 }),
  badExp,
  (world) => world.mint({ exp: nowOf(world) + 300.5 }),
)

/** Times relative to now, in seconds. */
const timed =
  (times: Readonly<Record<string, number>>): Make =>
  (world) =>
    world.mint(
      Object.fromEntries(Object.entries(times).map(([name, offset]) => [name, nowOf(world) + offset])),
    )
const started = { iat: -100, nbf: -100 }
for (const offset of [0, -1, -29])
  accepts({
    id: 'B06',
    says: `a token that ended ${-offset} s ago is within the tolerance of 30 s`,
    ask: (world) => world.exchange({ subject_token: timed({ ...started, exp: offset })(world) }),
  })
for (const offset of [-30, -31])
  token(
    'B06',
    `a token that ended ${-offset} s ago`,
    timed({ ...started, exp: offset }),
    { reason: 'subject_expired' },
    timed({ ...started, exp: -29 }),
  )

token(
  'B07',
  'a token that begins in 31 s',
  timed({ nbf: 31 }),
  { reason: 'subject_not_yet_valid' },
  timed({ nbf: 30 }),
)
for (const nbf of ['1', null])
  token('B07', `an nbf of ${JSON.stringify(nbf)}`, claiming({ nbf }), {
    ...badClaim,
    evidence: { claim: 'nbf' },
  })
accepts({
  id: 'B07',
  says: 'a token without nbf is good at once',
  ask: (world) => world.exchange({ subject_token: world.mint({ nbf: undefined }) }),
})

token('B08', 'a token without iat', claiming({ iat: undefined }), { ...badClaim, evidence: { claim: 'iat' } })
token(
  'B08',
  'a token that is made in an hour',
  timed({ iat: 3600, nbf: 0, exp: 7200 }),
  { reason: 'subject_not_yet_valid' },
  timed({ iat: 30 }),
)
token(
  'B08',
  'a token older than six hours',
  timed({ iat: -6 * 3600 - 31, nbf: -100, exp: 300 }),
  { reason: 'subject_too_old' },
  timed({ iat: -6 * 3600 + 31, nbf: -100, exp: 300 }),
)
token('B08', 'a token made after its end', timed({ iat: 20, exp: 10, nbf: 0 }), {
  ...badClaim,
  evidence: { claim: 'iat', detail: 'after exp' },
})
token(
  'B08',
  'a token that lives a year',
  timed({ exp: 31_536_000 }),
  { reason: 'subject_lifetime_too_long' },
  timed({ exp: 24 * 3600 }),
)

refuses({
  id: 'B10',
  says: 'the token of another issuer',
  reason: 'subject_issuer_mismatch',
  attack: (world) =>
    world.exchange({
      subject_token: seldom.mint({
        ...gitlabClaims(world.config.issuer),
        iat: nowOf(world),
        nbf: nowOf(world),
        exp: nowOf(world) + 300,
      }),
    }),
  also: (t) => void t.equal(seldom.seen.length, 0, 'the other issuer is asked nothing'),
})
refuses({
  id: 'B10',
  says: 'a token at the connector of another issuer',
  reason: 'subject_issuer_mismatch',
  attack: (world) => world.exchange({ connector_id: 'other' }),
  also: (t) => void t.equal(seldom.seen.length, 0, 'the other issuer is asked nothing'),
})
token('B10', 'an issuer with a slash more', (world) => world.mint({ iss: `${world.issuer.url}/` }), {
  reason: 'subject_issuer_mismatch',
})

const mismatch: Row = { reason: 'subject_audience_mismatch' }
const aud =
  (make: (ours: string) => unknown): Make =>
  (world) =>
    world.mint({ aud: make(world.config.issuer) })
for (const [says, make, row] of [
  ['no audience', () => undefined, mismatch],
  ['an empty audience', () => '', mismatch],
  ['another audience', () => 'https://elsewhere.example.test', mismatch],
  ['our audience in other letters', (ours: string) => ours.toUpperCase(), mismatch],
  ['our audience as a part of its own', (ours: string) => `${ours}.attacker.test`, mismatch],
  ['our audience and a number', (ours: string) => [ours, 1], badClaim],
  ['an object as audience', (ours: string) => ({ 0: ours }), badClaim],
  ['null as audience', () => null, badClaim],
] as const)
  token('B11', `a token with ${says}`, aud(make), row)
for (const [says, make] of [
  ['with ours and another audience', (ours: string) => [ours, 'x']],
  ['with ours alone, in a list', (ours: string) => [ours]],
  ['with ours and a slash more, which is this broker too', (ours: string) => `${ours}/`],
] as const)
  accepts({
    id: 'B11',
    says: `a token ${says}, is for this broker`,
    ask: (world) => world.exchange({ subject_token: aud(make)(world) }),
  })
const strictly =
  (make: Make) =>
  (world: TestBroker): ReturnType<TestBroker['exchange']> =>
    world.exchange({ connector_id: 'strict', subject_token: make(world) })
refuses({
  id: 'B11',
  says: 'ours and another audience at a strict connector',
  ...mismatch,
  attack: strictly(aud((ours) => [ours, 'x'])),
  twin: strictly(aud((ours) => [ours])),
})

for (const audience of ['https://kubernetes.default.svc', 'kubernetes', 'registry'])
  token(
    'B12',
    `a token for ${audience}`,
    aud(() => [audience]),
    { ...mismatch, evidence: { got: [audience] } },
  )
token(
  'B13',
  'a token for a client of this broker',
  aud(() => 'ci'),
  mismatch,
)

const ofProject = 'project_path:acme-platform/terraform-aws-eks'
const badSub: Row = { ...badClaim, evidence: { claim: 'sub' } }
for (const [says, sub] of [
  ['no sub', undefined],
  ['an empty sub', ''],
  ['a number as sub', 9001],
  ['a list as sub', [ofProject]],
  ['a sub of 1025 characters', `${ofProject}:${'s'.repeat(1024 - ofProject.length)}`],
  ['a line break in sub', `${ofProject}:ref_type:branch:ref:a\nb`],
  ['a tab in sub', `${ofProject}:ref_type:branch:ref:a\tb`],
  ['NUL in sub', `${ofProject}:ref_type:branch:ref:a\u0000b`],
  ['a right-to-left override in sub', `${ofProject}:ref_type:branch:ref:a\u202eb`],
] as const)
  token('B14', `a token with ${says}`, claiming({ sub }), badSub)
accepts({
  id: 'B14',
  says: 'a sub of 1024 characters, with emoji, is one',
  ask: (world) =>
    world.exchange({
      subject_token: world.mint({ sub: `${ofProject}:🚀${'s'.repeat(1021 - ofProject.length)}` }),
    }),
})

refuses({
  id: 'B15',
  says: 'a claim that only every object has',
  reason: 'policy_none_matched',
  attack: (world) => world.exchange({ policy: 'own' }),
  twin: (world) => world.exchange({ policy: 'own', subject_token: world.mint({ constructor: 'x' }) }),
})
accepts({
  id: 'B15',
  says: 'claims named as members of every object change nothing',
  ask: (world) =>
    world.exchange({
      scope: 'openid groups audience:server:client_id:app',
      subject_token: appended(
        '"__proto__":{"project_id":"1","groups":["system:masters"]},"toString":"x","hasOwnProperty":"x"',
      )(world),
    }),
  also: (t, reply) => void t.same(reply.token?.claims['groups'], ['deployers']),
})
