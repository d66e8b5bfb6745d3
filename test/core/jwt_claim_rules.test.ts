import t from 'tap'
import type { JsonValue } from '../../src/core/claims.ts'
import type { SubjectDenial } from '../../src/core/denial.ts'
import {
  checkAudience,
  checkHeaderType,
  checkIssuer,
  checkMayAct,
  checkSubject,
  checkTimes,
} from '../../src/core/jwt/claim_rules.ts'
import type { AudienceRules, TimeRules } from '../../src/core/jwt/claim_rules.ts'

const now = 1_795_262_400
const valid = { exp: now + 300, nbf: now, iat: now }
const rules: TimeRules = { clockSkewSeconds: 30, maxAgeSeconds: 600, maxLifetimeSeconds: 3600 }
const noAge: TimeRules = { ...rules, maxAgeSeconds: undefined }
const { exp: _exp, ...withoutExp } = valid
const { nbf: _nbf, ...withoutNbf } = valid
const { iat: _iat, ...withoutIat } = valid

type Claims = Record<string, JsonValue>
type Row = readonly [
  title: string,
  claims: Claims,
  denial: Partial<SubjectDenial>,
  twin: Claims,
  rules?: TimeRules,
]

const times: readonly Row[] = [
  [
    'exp missing (TH-B05)',
    withoutExp,
    { reason: 'subject_claim_invalid', claim: 'exp', detail: 'missing' },
    valid,
  ],
  ['exp null (TH-B05)', { ...valid, exp: null }, { reason: 'subject_claim_invalid', claim: 'exp' }, valid],
  [
    'exp a string (TH-B05)',
    { ...valid, exp: String(valid.exp) },
    { reason: 'subject_claim_invalid', claim: 'exp' },
    valid,
  ],
  ['exp true (TH-B05)', { ...valid, exp: true }, { reason: 'subject_claim_invalid', claim: 'exp' }, valid],
  ['exp negative (TH-B05)', { ...valid, exp: -1 }, { reason: 'subject_claim_invalid', claim: 'exp' }, valid],
  ['exp 0 (TH-B05)', { ...valid, exp: 0 }, { reason: 'subject_claim_invalid', claim: 'exp' }, valid],
  [
    'exp infinite (TH-B05)',
    { ...valid, exp: Infinity },
    { reason: 'subject_claim_invalid', claim: 'exp' },
    valid,
  ],
  [
    'exp in milliseconds (TH-B05)',
    { ...valid, exp: valid.exp * 1000 },
    { reason: 'subject_claim_invalid', claim: 'exp' },
    { ...valid, exp: valid.exp + 0.5 },
  ],
  [
    'exp an ISO date (TH-B05)',
    { ...valid, exp: '2027-01-01T00:00:00Z' },
    { reason: 'subject_claim_invalid', claim: 'exp' },
    valid,
  ],
  [
    'exp at now - skew (TH-B06)',
    { exp: now - 30, iat: now - 60 },
    { reason: 'subject_expired', exp: now - 30, now },
    { exp: now - 29, iat: now - 60 },
  ],
  [
    'exp at now - skew - 1 (TH-B06)',
    { exp: now - 31, iat: now - 60 },
    { reason: 'subject_expired' },
    { exp: now - 1, iat: now - 60 },
  ],
  [
    'exp at now without skew (TH-B06)',
    { exp: now, iat: now - 60 },
    { reason: 'subject_expired' },
    { exp: now + 1, iat: now - 60 },
    { ...rules, clockSkewSeconds: 0 },
  ],
  [
    'nbf past the skew (TH-B07)',
    { ...valid, nbf: now + 31 },
    { reason: 'subject_not_yet_valid', claim: 'nbf', value: now + 31 },
    { ...valid, nbf: now + 30 },
  ],
  [
    'nbf a string (TH-B07)',
    { ...valid, nbf: 'now' },
    { reason: 'subject_claim_invalid', claim: 'nbf' },
    withoutNbf,
  ],
  [
    'nbf null (TH-B07)',
    { ...valid, nbf: null },
    { reason: 'subject_claim_invalid', claim: 'nbf' },
    withoutNbf,
  ],
  [
    'iat missing under an age rule (TH-B08)',
    withoutIat,
    { reason: 'subject_claim_invalid', claim: 'iat', detail: 'missing' },
    valid,
  ],
  [
    'iat a string (TH-B08)',
    { ...valid, iat: String(now) },
    { reason: 'subject_claim_invalid', claim: 'iat' },
    valid,
  ],
  [
    'iat an hour ahead (TH-B08)',
    { exp: now + 7200, iat: now + 3600 },
    { reason: 'subject_not_yet_valid', claim: 'iat' },
    { exp: now + 300, iat: now + 30 },
  ],
  [
    'iat past the age (TH-B08)',
    { exp: now + 60, iat: now - 631 },
    { reason: 'subject_too_old', ageSeconds: 631, maxSeconds: 600 },
    { exp: now + 60, iat: now - 600 },
  ],
  [
    'iat after exp (TH-B08)',
    { exp: now - 10, iat: now + 10 },
    { reason: 'subject_claim_invalid', claim: 'iat', detail: 'after exp' },
    { exp: now + 10, iat: now + 10 },
  ],
  [
    'a life of a year (TH-B08)',
    { exp: now + 31_536_000, iat: now },
    { reason: 'subject_lifetime_too_long', maxSeconds: 3600 },
    { exp: now + 3600, iat: now },
  ],
  [
    'a life that is too long for one without iat (TH-B08)',
    { exp: now + 3631 },
    { reason: 'subject_lifetime_too_long' },
    { exp: now + 3600 },
    noAge,
  ],
]
for (const [title, claims, denial, twin, timeRules = rules] of times) {
  t.test(`time rules refuse ${title}`, async (t) => {
    t.match(checkTimes(claims, timeRules, now), denial)
    t.equal(checkTimes(twin, timeRules, now), undefined)
  })
}

t.test('without an age rule an old token is good until it expires', async (t) => {
  const old = { exp: now + 60, iat: now - 3000 }
  t.equal(checkTimes(old, noAge, now), undefined)
  t.match(checkTimes(old, rules, now), { reason: 'subject_too_old' })
})

t.test('seconds that a 32 bit clock cannot count are seconds (TH-G13)', async (t) => {
  for (const late of [2_147_483_648, 4_000_000_000]) {
    t.equal(checkTimes({ exp: late + 300, iat: late }, rules, late), undefined)
    t.match(checkTimes({ exp: late + 300, iat: late }, rules, late + 3600), { reason: 'subject_expired' })
    // The clock was set back after the token was made.
    t.match(checkTimes({ exp: late + 300, iat: late }, rules, late - 3600), {
      reason: 'subject_not_yet_valid',
    })
  }
})

const BROKER = 'https://broker.example.test'
const audience: AudienceRules = { audiences: [BROKER, 'other-name'], strictAudience: false }
const strict: AudienceRules = { ...audience, strictAudience: true }
const mismatch = { reason: 'subject_audience_mismatch', expected: audience.audiences } as const
const badAudience = { reason: 'subject_claim_invalid', claim: 'aud' } as const

const audiences: readonly [string, JsonValue | undefined, object, JsonValue, AudienceRules?][] = [
  ['missing (TH-B11)', undefined, { ...mismatch, got: [] }, BROKER],
  ['empty (TH-B11)', '', mismatch, BROKER],
  ['an empty array (TH-B11)', [], mismatch, [BROKER]],
  ['wrong (TH-B11)', 'https://other.example.test', mismatch, BROKER],
  [
    "the API server's (TH-B12)",
    ['https://kubernetes.default.svc'],
    mismatch,
    ['https://kubernetes.default.svc', BROKER],
  ],
  ["a client's id (TH-B13)", 'ci-pipeline', mismatch, 'other-name'],
  ['ours and a number (TH-B11)', [BROKER, 1], badAudience, [BROKER, '1']],
  ['a number and ours (TH-B11)', [null, BROKER], badAudience, ['null', BROKER]],
  ['an object (TH-B11)', { 0: BROKER }, badAudience, [BROKER]],
  ['null (TH-B11)', null, badAudience, BROKER],
  ['in other case (TH-B11)', BROKER.toUpperCase(), mismatch, BROKER],
  ['with a slash more (TH-B11)', `${BROKER}/`, mismatch, BROKER],
  ['with ours inside (TH-B11)', `${BROKER}.attacker.test`, mismatch, BROKER],
  ['nested (TH-B11)', [[BROKER]], badAudience, [BROKER]],
  [
    'a thousand entries (TH-B04)',
    [...Array.from({ length: 999 }, String), BROKER],
    badAudience,
    [...Array.from({ length: 199 }, String), BROKER],
  ],
  ['ours and another one when strict (TH-B11)', [BROKER, 'x'], mismatch, [BROKER], strict],
  ['ours twice when strict', [BROKER, BROKER], mismatch, BROKER, strict],
]
for (const [title, aud, denial, twin, audienceRules = audience] of audiences) {
  t.test(`an audience is refused that is ${title}`, async (t) => {
    t.match(checkAudience(aud === undefined ? {} : { aud }, audienceRules), denial)
    t.equal(checkAudience({ aud: twin }, audienceRules), undefined)
  })
}

t.test('a connector without audiences accepts none, not even an empty one', async (t) => {
  t.match(checkAudience({ aud: '' }, { audiences: [''], strictAudience: false }), {
    reason: 'subject_audience_mismatch',
  })
  t.match(checkAudience({ aud: [''] }, { audiences: [''], strictAudience: false }), {
    reason: 'subject_audience_mismatch',
  })
  t.match(checkAudience({ aud: BROKER }, { audiences: [], strictAudience: false }), {
    reason: 'subject_audience_mismatch',
  })
})

const subjects: readonly [string, JsonValue | undefined, JsonValue][] = [
  ['missing (TH-B14)', undefined, 's'],
  ['empty (TH-B14)', '', ' '],
  ['a number (TH-B14)', 7, '7'],
  ['an array (TH-B14)', ['s'], 's'],
  ['longer than 1024 characters (TH-B14)', 's'.repeat(1025), 's'.repeat(1024)],
  ['with a newline (TH-B14)', 'a\nb', 'a b'],
  ['with a tab (TH-B14)', 'a\tb', 'a b'],
  ['with NUL (TH-B14)', 'a\u0000b', 'ab'],
  ['with DEL (TH-B14)', 'a\u007fb', 'a~b'],
  ['with a line separator (TH-B14)', 'a\u2028b', 'a b'],
  ['with a right-to-left override (TH-B14)', 'a\u202eb', 'repo:acme/🚀:environment:👩‍💻'],
]
for (const [title, sub, twin] of subjects) {
  t.test(`a subject is refused that is ${title}`, async (t) => {
    t.match(checkSubject(sub === undefined ? {} : { sub }), { reason: 'subject_claim_invalid', claim: 'sub' })
    t.equal(checkSubject({ sub: twin }), undefined)
  })
}

t.test('issuers are compared byte for byte (TH-B10)', async (t) => {
  const issuer = 'https://gitlab.example.test'
  t.equal(checkIssuer({ iss: issuer }, issuer), undefined)
  for (const iss of [
    `${issuer}/`,
    issuer.toUpperCase(),
    `${issuer}:443`,
    'http://gitlab.example.test',
    `${issuer}.attacker.test`,
    '',
  ])
    t.match(checkIssuer({ iss }, issuer), { reason: 'subject_issuer_mismatch', expected: issuer, got: iss })
  for (const iss of [null, 1, [issuer], { a: issuer }])
    t.match(checkIssuer({ iss }, issuer), { reason: 'subject_claim_invalid', claim: 'iss' })
  t.match(checkIssuer({}, issuer), { reason: 'subject_claim_invalid', claim: 'iss' })
})

t.test('a token that says who may act is for that client alone', async (t) => {
  for (const may_act of [{ sub: 'ci' }, { client_id: 'ci' }, { sub: 'admin@example.test', client_id: 'ci' }])
    t.equal(checkMayAct({ may_act }, 'ci'), undefined)
  t.equal(checkMayAct({}, 'ci'), undefined, 'most tokens say nothing')
  for (const may_act of [{ sub: 'other' }, { client_id: 'CI' }, {}, { sub: ['ci'] }, { name: 'ci' }]) {
    t.match(checkMayAct({ may_act }, 'ci'), {
      reason: 'subject_claim_invalid',
      claim: 'may_act',
      detail: 'does not name this client',
    })
  }
  for (const may_act of ['ci', null, ['ci'], true])
    t.match(checkMayAct({ may_act }, 'ci'), { reason: 'subject_claim_invalid', detail: 'not an object' })
})

t.test('a header type must be listed when there is one (TH-A25)', async (t) => {
  const refused = [
    'at+jwt',
    'dpop+jwt',
    'logout+jwt',
    'secevent+jwt',
    'oauth-id-jag+jwt',
    'client-authentication+jwt',
    '',
    'jw\u0074 ',
    'application/',
    'text/jwt',
  ]
  for (const typ of refused)
    t.match(
      checkHeaderType(typ, ['jwt']),
      { reason: 'subject_header_not_allowed', parameter: 'typ', got: typ },
      typ,
    )
  for (const typ of [undefined, 'JWT', 'jwt', 'application/jwt', 'Application/JWT'])
    t.equal(checkHeaderType(typ, ['jwt']), undefined)
  t.equal(checkHeaderType('at+jwt', ['jwt', 'at+jwt']), undefined)
})
