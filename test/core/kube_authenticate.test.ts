// A token walked through an AuthenticationConfiguration as kube-apiserver does it. The words are those measured on 1.36.4;
// test/e2e/kube_explain.test.ts holds thousands of pairs against the apiserver itself.
import t from 'tap'
import { authenticate, tokenReviewError } from '../../src/core/kube/authenticate.ts'
import type { SignatureAnswer } from '../../src/core/kube/authenticate.ts'
import type { Authentication, KubeRefusal } from '../../src/core/kube/authentication_trace.ts'
import type {
  AuthenticationConfiguration,
  ClaimValidationRule,
} from '../../src/core/kube/authentication_configuration.ts'
import { readBearerToken } from '../../src/core/kube/bearer_token.ts'
import { goTime } from '../../src/core/kube/go_claims.ts'
import { goQuoted, readGoJson } from '../../src/core/kube/go_json.ts'
import { kubeConfiguration } from '../support/kube_configuration.ts'
import type { KubeConfigurationChange } from '../support/kube_configuration.ts'

const SECONDS = 1_795_219_200
const ISSUER = 'https://broker.example.test'
const GOOD = {
  iss: ISSUER,
  aud: 'kube:local',
  sub: 'repo:acme/vpc',
  iat: SECONDS - 5,
  nbf: SECONDS - 5,
  exp: SECONDS + 600,
  jti: 'j1',
  token_use: 'kube',
  repository: 'acme/vpc',
  repository_id: '4711',
  groups: ['publishers'],
}
const HOLDS: SignatureAnswer = { kind: 'holds', by: 'by key k1' }
const RULES: KubeConfigurationChange = {
  claimValidationRules: [
    { claim: 'token_use', requiredValue: 'kube', expression: '', message: '' },
    {
      claim: '',
      requiredValue: '',
      expression: 'claims.exp - claims.iat <= 900.0',
      message: 'token lifetime must not exceed 15 minutes',
    },
  ],
  claimMappings: {
    username: { claim: '', expression: '"ci:" + claims.sub', prefix: undefined },
    groups: { claim: 'groups', expression: '', prefix: 'ci:' },
    uid: { claim: 'repository_id', expression: '' },
    extra: [{ key: 'example.test/repository', valueExpression: 'claims.repository' }],
  },
  userValidationRules: [
    { expression: "!user.username.startsWith('ci:system:')", message: 'reserved user name' },
  ],
}

type Change = {
  readonly claims?: Readonly<Record<string, unknown>>
  readonly header?: Readonly<Record<string, unknown>>
  readonly signature?: SignatureAnswer
  readonly config?: AuthenticationConfiguration
  readonly text?: string
}

function walked({ claims = {}, header = {}, signature = HOLDS, config, text }: Change = {}): Authentication {
  const token = text ?? jwt({ ...GOOD, ...claims }, { alg: 'ES256', kid: 'k1', ...header })
  return authenticate({
    config: config ?? kubeConfiguration(RULES),
    token: readBearerToken(token),
    signature,
    now: SECONDS * 1000,
  })
}

function jwt(claims: unknown, header: unknown = { alg: 'ES256' }): string {
  return `${part(JSON.stringify(header))}.${part(JSON.stringify(claims))}.c2ln`
}

function part(text: string): string {
  return Buffer.from(text).toString('base64url')
}

/** A token whose payload is this very text. */
function spelled(text: string): Change {
  return { text: `${part('{"alg":"ES256"}')}.${part(text)}.c2ln` }
}

function namedBy(username: { claim?: string; expression?: string }): AuthenticationConfiguration {
  const prefix = username.claim === undefined ? undefined : ''
  return kubeConfiguration({
    claimMappings: { username: { claim: '', expression: '', ...username, prefix } },
  })
}

function rule(expression: string): ClaimValidationRule {
  return { claim: '', requiredValue: '', expression, message: '' }
}

function refusalOf({ outcome }: Authentication): KubeRefusal | undefined {
  return outcome.kind === 'refused' ? outcome.refusal : undefined
}

t.test('a good token becomes a user with everything that the file maps', async (t) => {
  const { outcome, authenticator, steps } = walked()
  t.equal(authenticator, 0)
  t.strictSame(outcome, {
    kind: 'authenticated',
    user: {
      username: 'ci:repo:acme/vpc',
      uid: '4711',
      groups: ['ci:publishers', 'system:authenticated'],
      extra: {
        'authentication.kubernetes.io/credential-id': ['JTI=j1'],
        'example.test/repository': ['acme/vpc'],
      },
    },
  })
  t.strictSame(
    steps.map(({ step, outcome: verdict, value }) => [step, verdict, value]),
    [
      ['token', 'yes', 'a JWT'],
      ['authenticator', 'yes', `jwt[0], issuer ${ISSUER}`],
      ['issuer', 'yes', ISSUER],
      ['header', 'yes', 'kid k1'],
      ['algorithm', 'yes', 'ES256'],
      ['signature', 'yes', 'by key k1'],
      ['claims', 'yes', 'sub "repo:acme/vpc"'],
      ['audience', 'yes', '["kube:local"]'],
      ['expiry', 'yes', '2026-11-21 00:10:00 +0000 UTC'],
      ['not before', 'yes', '2026-11-20 23:59:55 +0000 UTC'],
      ['username', 'yes', 'ci:repo:acme/vpc'],
      ['groups', 'yes', '["ci:publishers"]'],
      ['uid', 'yes', '4711'],
      ['credential id', 'yes', 'JTI=j1'],
      ['extra', 'yes', '["acme/vpc"]'],
      ['required claim', 'yes', 'kube'],
      ['claim rule', 'yes', 'true'],
      ['user rule', 'yes', 'true'],
    ],
  )
})

const UNVERIFIED: SignatureAnswer = {
  kind: 'fails',
  code: 'signature_not_verified',
  reason: 'failed to verify id token signature',
  wayOut: '',
}

/** Each with a twin that passes. */
const ROWS: readonly {
  readonly says: string
  readonly refused: Change
  readonly code: KubeRefusal['code']
  readonly reason: string
  readonly accepted: Change
}[] = [
  {
    says: 'expired a second ago, and at this very second',
    refused: { claims: { exp: SECONDS - 1 } },
    code: 'token_expired',
    reason: 'oidc: verify token: oidc: token is expired (Token Expiry: 2026-11-20 23:59:59 +0000 UTC)',
    accepted: { claims: { exp: SECONDS } },
  },
  {
    says: 'without an end, and with one written as text',
    refused: { claims: { exp: undefined } },
    code: 'token_expired',
    reason: 'oidc: verify token: oidc: token is expired (Token Expiry: 0001-01-01 00:00:00 +0000 UTC)',
    accepted: {
      claims: { exp: String(SECONDS + 60) },
      config: kubeConfiguration({ ...RULES, claimValidationRules: [] }),
    },
  },
  {
    says: 'for another cluster, and for this one among others',
    refused: { claims: { aud: 'kube:other' } },
    code: 'audience_not_accepted',
    reason: 'oidc: verify token: oidc: expected audience "kube:local" got ["kube:other"]',
    accepted: { claims: { aud: ['kube:other', 'kube:local'] } },
  },
  {
    says: 'of another use, and of the right one',
    refused: { claims: { token_use: 'registry' } },
    code: 'required_claim_differs',
    reason: 'oidc: required claim token_use value does not match. Got = registry, want = kube',
    accepted: { claims: { token_use: 'kube' } },
  },
  {
    says: 'of no use at all, where none is asked for',
    refused: { claims: { token_use: undefined } },
    code: 'claim_missing',
    reason: 'oidc: required claim token_use not present in ID token',
    accepted: {
      claims: { token_use: undefined },
      config: kubeConfiguration({ ...RULES, claimValidationRules: [] }),
    },
  },
  {
    says: 'a lifetime of 901 and of 900 seconds',
    refused: { claims: { iat: SECONDS - 301 } },
    code: 'claim_rule_failed',
    reason:
      "oidc: error evaluating claim validation expression: validation expression 'claims.exp - claims.iat <= 900.0' failed: token lifetime must not exceed 15 minutes",
    accepted: { claims: { iat: SECONDS - 300 } },
  },
  {
    says: 'no claim where an expression reads it, and a list of them',
    refused: { claims: { repository: undefined } },
    code: 'expression_failed',
    reason: "expression 'claims.repository' resulted in error: no such key: repository",
    accepted: { claims: { repository: ['acme/vpc'] } },
  },
  {
    says: 'an object for extra, and an empty text that counts as absent',
    refused: { claims: { repository: { name: 'vpc' } } },
    code: 'expression_of_wrong_type',
    reason:
      'oidc: error evaluating extra claim expression: claims.repository: expression must return a string or a list of strings',
    accepted: { claims: { repository: '' } },
  },
  {
    says: 'no claim for the uid, and null, which is the empty text',
    refused: { claims: { repository_id: undefined } },
    code: 'claim_missing',
    reason: 'oidc: parse uid claim "repository_id": claim not present',
    accepted: { claims: { repository_id: null } },
  },
  {
    says: 'a number as uid, and the same in quotes',
    refused: { claims: { repository_id: 4711 } },
    code: 'claim_of_wrong_type',
    reason:
      'oidc: parse uid claim "repository_id": json: cannot unmarshal number into Go value of type string',
    accepted: { claims: { repository_id: '4711' } },
  },
  {
    says: 'a reserved name, and one that only begins alike',
    refused: { claims: { sub: 'system:admin' } },
    code: 'user_rule_failed',
    reason:
      "oidc: error evaluating user info validation rule: validation expression '!user.username.startsWith('ci:system:')' failed: reserved user name",
    accepted: { claims: { sub: 'systems:admin' } },
  },
  {
    says: 'a number as subject, and the empty text, which passes behind a prefix',
    refused: { claims: { sub: 7 } },
    code: 'claim_of_wrong_type',
    reason:
      'oidc: verify token: oidc: failed to unmarshal claims: json: cannot unmarshal number into Go struct field idToken.sub of type string',
    accepted: { claims: { sub: '' } },
  },
  {
    says: 'a number among the groups, and one group as text',
    refused: { claims: { groups: [1] } },
    code: 'claim_of_wrong_type',
    reason: 'oidc: parse groups claim "groups": json: cannot unmarshal array into Go value of type string',
    accepted: { claims: { groups: 'publishers' } },
  },
  {
    says: 'nbf in 61 and in 60 seconds',
    refused: { claims: { nbf: SECONDS + 61 } },
    code: 'token_not_yet_valid',
    reason:
      'oidc: verify token: oidc: current time 2026-11-21 00:00:00 +0000 UTC before the nbf (not before) time: 2026-11-21 00:01:01 +0000 UTC',
    accepted: { claims: { nbf: SECONDS + 60 } },
  },
  {
    says: 'a signature that does not hold, and one that nobody could check',
    refused: { signature: UNVERIFIED },
    code: 'signature_not_verified',
    reason: 'oidc: verify token: failed to verify signature: failed to verify id token signature',
    accepted: { signature: { kind: 'unchecked', why: 'offline' } },
  },
  {
    says: 'EdDSA, and RSA-PSS',
    refused: { header: { alg: 'EdDSA' } },
    code: 'algorithm_not_accepted',
    reason:
      'oidc: verify token: oidc: id token signed with unsupported algorithm, expected ["ES256" "ES384" "ES512" "PS256" "PS384" "PS512" "RS256" "RS384" "RS512"] got "EdDSA"',
    accepted: { header: { alg: 'PS512' } },
  },
  {
    says: 'a kid that is a number, and none',
    refused: { header: { kid: 5 } },
    code: 'token_header_malformed',
    reason:
      'oidc: verify token: oidc: malformed jwt: failed to unmarshal key ID: json: cannot unmarshal number into Go value of type string: "5"',
    accepted: { header: { kid: undefined } },
  },
  {
    says: 'an issuer whose discovery document nobody has',
    refused: { signature: { kind: 'not initialized', detail: 'refused', wayOut: '' } },
    code: 'issuer_not_reached',
    reason: 'oidc: authenticator not initialized',
    accepted: {},
  },
]

for (const { says, refused, code, reason, accepted } of ROWS) {
  t.test(`in the apiserver's words: ${says}`, async (t) => {
    const refusal = refusalOf(walked(refused))
    t.equal(refusal?.code, code)
    t.equal(refusal?.reason, reason)
    t.equal(walked(accepted).outcome.kind, 'authenticated')
    if (refusal !== undefined) t.equal(tokenReviewError(refusal), `[invalid bearer token, ${reason}]`)
  })
}

t.test('a token that is nobody’s is refused without a word, and told why', async (t) => {
  const cases: readonly (readonly [Change, KubeRefusal['code'], RegExp])[] = [
    [{ claims: { iss: `${ISSUER}/` } }, 'issuer_not_configured', /only the slash at the end differs/],
    [
      { claims: { iss: 'http://BROKER.example.test:80' } },
      'issuer_not_configured',
      /differ in case, scheme, port/,
    ],
    [
      { claims: { iss: 'https://other.example.test' } },
      'issuer_not_configured',
      /it has https:\/\/broker.example.test/,
    ],
    [{ claims: { iss: undefined } }, 'issuer_not_configured', /names no issuer/],
    [
      { claims: { iss: 'https://kubernetes.default.svc', 'kubernetes.io': {} } },
      'issuer_not_configured',
      /ServiceAccount/,
    ],
    [{ claims: { iss: 7 } }, 'token_not_jwt', /its iss is not a text/],
    [{ text: 'garbage' }, 'token_not_jwt', /1 dot-separated segments/],
    [{ text: 'a.b.c' }, 'token_not_jwt', /payload/],
    [{ text: 'a.b.c.d.e' }, 'token_not_jwt', /JWE/],
    [{ text: 'two words' }, 'token_not_jwt', /white space/],
    [{ text: 'x'.repeat(70_000) }, 'token_not_jwt', /longer than/],
  ]
  for (const [change, code, wayOut] of cases) {
    const refusal = refusalOf(walked(change))
    t.match(refusal, { code, reason: 'invalid bearer token', wayOut })
    if (refusal !== undefined) t.equal(tokenReviewError(refusal), 'invalid bearer token')
  }
})

t.test('the way out names what to ask the broker for', async (t) => {
  const cases: readonly (readonly [Change, RegExp])[] = [
    [{ claims: { aud: 'registry' } }, /--audience kube:local.*audience:server:client_id:kube:local/],
    [{ claims: { aud: undefined } }, /no audience at all/],
    [{ config: namedBy({ claim: 'name' }) }, /add profile to the scope/],
    [{ config: namedBy({ claim: 'email' }) }, /add email to the scope/],
    [{ config: namedBy({ expression: 'claims.preferred_username' }) }, /add profile to the scope.*orValue/],
    [{ config: namedBy({ claim: 'environment' }) }, /the forge did not say it/],
    [{ config: namedBy({ claim: 'nickname' }) }, /it has iss, aud, sub/],
    [{ claims: { exp: SECONDS - 60 } }, /expired 60 s ago.*NTP/],
    [{ claims: { exp: SECONDS - 600 } }, /expired 10 min ago/],
    [{ claims: { exp: SECONDS - 3 * 3600 } }, /expired 3 h ago/],
    [{ claims: { exp: SECONDS - 40 * 86_400 } }, /expired 40 days ago/],
    [{ claims: { iat: SECONDS + 300, exp: SECONDS - 10 } }, /issued 5 min in the future: the clocks/],
    [{ claims: { nbf: SECONDS + 90 } }, /in 90 s.*NTP/],
    [{ claims: { token_use: 'registry' } }, /a token for "registry"/],
    [{ claims: { repository_id: 7 } }, /string\(int\(claims.x\)\)/],
    [{ claims: { iat: SECONDS - 3600 } }, /shorten the audience's lifetime/],
    [{ claims: { sub: 'system:x' } }, /put a prefix/],
  ]
  for (const [change, words] of cases) t.match(refusalOf(walked(change))?.wayOut, words, String(words))
})

t.test('with several audiences the times are looked at first, and the words are others', async (t) => {
  const config = kubeConfiguration({ issuer: { audiences: ['z', 'a'], audienceMatchPolicy: 'MatchAny' } })
  const both = { aud: 'b', exp: SECONDS - 1 }
  t.equal(refusalOf(walked({ config, claims: both }))?.code, 'token_expired')
  t.equal(
    refusalOf(walked({ config, claims: { aud: 'b' } }))?.reason,
    'oidc: verify token: oidc: expected audience in ["a" "z"] got ["b"]',
  )
  t.equal(walked({ config, claims: { aud: 'a' } }).outcome.kind, 'authenticated')
  t.equal(refusalOf(walked({ claims: both }))?.code, 'audience_not_accepted')
})

t.test('an address that the issuer does not vouch for names nobody', async (t) => {
  const config = kubeConfiguration({
    claimMappings: { username: { claim: 'email', expression: '', prefix: '' } },
  })
  const email = 'deploy@example.test'
  t.equal(
    refusalOf(walked({ config, claims: { email, email_verified: false } }))?.reason,
    'oidc: email not verified',
  )
  t.equal(
    refusalOf(walked({ config, claims: { email, email_verified: 'true' } }))?.reason,
    "oidc: parse 'email_verified' claim: json: cannot unmarshal string into Go value of type bool",
  )
  for (const verified of [true, undefined])
    t.equal(walked({ config, claims: { email, email_verified: verified } }).outcome.kind, 'authenticated')
})

t.test("Google's short name is taken for its long one", async (t) => {
  const config = kubeConfiguration({ issuer: { url: 'https://accounts.google.com' } })
  t.equal(walked({ config, claims: { iss: 'accounts.google.com' } }).outcome.kind, 'authenticated')
  const short = kubeConfiguration({ issuer: { url: 'https://accounts.example.test' } })
  t.equal(walked({ config: short, claims: { iss: 'accounts.example.test' } }).outcome.kind, 'refused')
})

t.test('what only the apiserver can find out is told so', async (t) => {
  const { outcome } = walked({
    claims: {
      groups: undefined,
      _claim_names: { groups: 's' },
      _claim_sources: { s: { endpoint: 'https://x' } },
    },
  })
  t.match(outcome, { kind: 'unknown', why: /points elsewhere/, wayOut: /--kubeconfig/ })
})

t.test('steps behind the first no are shown as not reached', async (t) => {
  const { steps } = walked({ claims: { aud: 'x' } })
  const outcomes = steps.map(({ outcome }) => outcome)
  t.equal(outcomes.indexOf('no'), 7)
  t.ok(outcomes.slice(8).every((outcome) => outcome === 'not reached'))
  t.equal(outcomes.length, 18)
})

t.test('of several rules an error counts before a no, as all are evaluated first', async (t) => {
  const config = kubeConfiguration({ claimValidationRules: [rule('false'), rule('claims.gone == 1')] })
  t.match(refusalOf(walked({ config })), { code: 'expression_failed', reason: /no such key: gone/ })
  const quiet = kubeConfiguration({ claimValidationRules: [rule('false'), rule('true')] })
  t.match(refusalOf(walked({ config: quiet })), { code: 'claim_rule_failed' })
  t.strictSame(
    walked({ config: quiet })
      .steps.slice(-2)
      .map(({ outcome }) => outcome),
    ['no', 'yes'],
  )
})

t.test('names in a token are read as Go reads them', async (t) => {
  const body = JSON.stringify(GOOD).slice(0, -1)
  t.equal(refusalOf(walked(spelled(`${body},"AUD":"x"}`)))?.code, 'audience_not_accepted')
  t.equal(refusalOf(walked(spelled(`${body},"token_use":"x"}`)))?.code, 'required_claim_differs')
  t.equal(walked(spelled(`${body},"TOKEN_USE":"x"}`)).outcome.kind, 'authenticated')
  t.equal(refusalOf(walked(spelled(`${body},}`)))?.code, 'token_not_jwt')
})

t.test('Go’s words for broken JSON', async (t) => {
  const cases = [
    ['', 'unexpected end of JSON input'],
    ['{', 'unexpected end of JSON input'],
    ['{x', "invalid character 'x' looking for beginning of object key string"],
    ['{"a"x', "invalid character 'x' after object key"],
    ['{"a":1x', "invalid character 'x' after object key:value pair"],
    ['[1 2', "invalid character '2' after array element"],
    ['1 2', "invalid character '2' after top-level value"],
    ['tru3', "invalid character '3' in literal true (expecting 'e')"],
    ['-x', "invalid character 'x' in numeric literal"],
    ['1.x', "invalid character 'x' after decimal point in numeric literal"],
    ['1ex', "invalid character 'x' in exponent of numeric literal"],
    ['"\n"', String.raw`invalid character '\n' in string literal`],
    [String.raw`"\x"`, "invalid character 'x' in string escape code"],
    [String.raw`"\u00g0"`, String.raw`invalid character 'g' in \u hexadecimal character escape`],
    ["'", String.raw`invalid character '\'' looking for beginning of value`],
    ['"', 'unexpected end of JSON input'],
    ['[1,]', "invalid character ']' looking for beginning of value"],
    ['01', "invalid character '1' after top-level value"],
    ['['.repeat(101), 'exceeded max depth'],
  ] as const
  for (const [text, words] of cases) {
    const read = readGoJson(Buffer.from(text))
    t.equal(read.ok ? 'read' : read.denial, words, text.slice(0, 20))
  }
  t.strictSame(readGoJson(Buffer.from(' {"a":[1e3,null,true,"\\u00e9"]} ')).ok, true)
})

t.test('instants and quotes are written as Go writes them', async (t) => {
  const instants = [
    [undefined, '0001-01-01 00:00:00 +0000 UTC'],
    [0n, '1970-01-01 00:00:00 +0000 UTC'],
    [951_782_399n, '2000-02-28 23:59:59 +0000 UTC'],
    [951_782_400n, '2000-02-29 00:00:00 +0000 UTC'],
    [-1n, '1969-12-31 23:59:59 +0000 UTC'],
    [253_402_300_800n, '10000-01-01 00:00:00 +0000 UTC'],
    [-62_167_219_201n, '-0001-12-31 23:59:59 +0000 UTC'],
    [-(2n ** 63n), '292277026596-12-04 15:30:08 +0000 UTC'],
  ] as const
  for (const [seconds, text] of instants) t.equal(goTime(seconds), text)
  t.equal(goQuoted('a"b\\\n\u0000\u00ad\u{e0001}é'), String.raw`"a\"b\\\n\x00\u00ad\U000e0001é"`)
})

t.test('an expression that does not compile is told once, in the words of the apiserver', async (t) => {
  const reason = "compilation failed: undeclared reference to 'nosuch' (in container '')"
  const refusal = refusalOf(walked({ config: namedBy({ expression: 'nosuch' }) }))
  t.match(refusal, { code: 'configuration_refused', reason })
  t.equal(refusal?.reason, reason)
  t.equal(refusalOf(walked({ config: namedBy({ expression: 'claims.sub' }) })), undefined)
})
