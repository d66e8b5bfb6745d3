import t from 'tap'
import type { Target } from '../../src/core/audience.ts'
import { parseScopes } from '../../src/core/dex/scopes.ts'
import { ACCESS_TOKEN_TYPE, ID_TOKEN_TYPE } from '../../src/core/oauth/names.ts'
import type { TokenType } from '../../src/core/oauth/names.ts'
import { dexAudience, tokenClaims, tokenTimes } from '../../src/core/token/claims.ts'
import type { TokenContents } from '../../src/core/token/claims.ts'
import { checkTokenClass } from '../../src/core/token/token_class.ts'

const target: Target = { audiences: ['app'], profile: 'dex', maxTtlSeconds: undefined }
const VALID: TokenContents = {
  issuer: 'https://broker.example.test',
  client: 'ci',
  grant: 'token-exchange',
  target,
  subject: { dex: 'CgEx', plain: 'gitlab:1' },
  identity: {
    userId: '1',
    username: 'Jane',
    preferredUsername: 'jane',
    email: 'j@example.test',
    emailVerified: true,
    groups: ['g'],
  },
  connector: 'gitlab',
  scopes: parseScopes('openid email profile groups federated:id'),
  allowedScopes: undefined,
  nonce: 'n',
  policy: 'p',
  username: undefined,
  facts: { ci: 'gitlab-ci', repository_id: '1' },
  extra: {},
  times: { iat: 100, nbf: undefined, exp: 700 },
  jti: 'j',
  atHash: 'h',
}

function present(contents: TokenContents): Record<string, unknown> {
  return JSON.parse(JSON.stringify(tokenClaims(contents)))
}

t.test(
  'the dex profile writes Dex’s claims in Dex’s order, and then the policy if one granted it',
  async (t) => {
    const claims = present(VALID)
    t.same(Object.keys(claims), [
      'iss',
      'sub',
      'aud',
      'exp',
      'iat',
      'jti',
      'azp',
      'nonce',
      'at_hash',
      'email',
      'email_verified',
      'groups',
      'name',
      'preferred_username',
      'federated_claims',
      'policy',
    ])
    t.match(claims, {
      sub: 'CgEx',
      aud: ['app', 'ci'],
      azp: 'ci',
      name: 'Jane',
      preferred_username: 'jane',
      federated_claims: { connector_id: 'gitlab', user_id: '1' },
    })
  },
)

t.test('without a scope its claims are absent; email_verified stands even without an address', async (t) => {
  const bare = { ...VALID, scopes: parseScopes(''), nonce: '', atHash: undefined }
  t.same(Object.keys(present(bare)), ['iss', 'sub', 'aud', 'exp', 'iat', 'jti', 'azp', 'policy'])
  const empty = {
    ...VALID.identity,
    username: '',
    preferredUsername: '',
    email: '',
    emailVerified: false,
    groups: [],
    userId: '',
  }
  const claims = present({ ...VALID, identity: empty, connector: '' })
  for (const name of ['email', 'groups', 'name', 'preferred_username']) t.notOk(name in claims, name)
  t.equal(claims['email_verified'], false)
  t.same(claims['federated_claims'], {})
})

t.test('aud is text when one and a list when several, and azp only then', async (t) => {
  t.same(dexAudience([], 'ci'), { aud: 'ci', azp: undefined })
  t.same(dexAudience(['ci'], 'ci'), { aud: 'ci', azp: undefined })
  t.same(dexAudience(['aa', 'bb'], 'ci'), { aud: ['aa', 'bb', 'ci'], azp: 'ci' })
})

t.test('the kubernetes profile is flat text for one audience', async (t) => {
  const claims = present({
    ...VALID,
    target: { ...target, profile: 'kubernetes' },
    times: { iat: 95, nbf: 95, exp: 695 },
  })
  t.same(claims, {
    iss: 'https://broker.example.test',
    sub: 'gitlab:1',
    aud: 'app',
    exp: 695,
    iat: 95,
    nbf: 95,
    jti: 'j',
    azp: 'ci',
    token_use: 'kube',
    username: 'gitlab:1',
    uid: '1',
    groups: ['g'],
    ci: 'gitlab-ci',
    repository_id: '1',
    policy: 'p',
  })
})

t.test('the RFC 9068 profile has every claim that the RFC requires', async (t) => {
  const claims = present({
    ...VALID,
    target: { audiences: ['a', 'b'], profile: 'rfc9068', maxTtlSeconds: undefined },
    username: 'u',
  })
  for (const name of ['iss', 'exp', 'aud', 'sub', 'client_id', 'iat', 'jti']) t.ok(name in claims, name)
  t.match(claims, {
    aud: ['a', 'b'],
    client_id: 'ci',
    grant: 'token-exchange',
    username: 'u',
    scope: VALID.scopes.all.join(' '),
  })
  t.notOk('azp' in claims)
})

function scopeOf(asked: string, allowedScopes?: readonly string[]): unknown {
  const scopes = parseScopes(asked)
  return present({ ...VALID, scopes, allowedScopes, target: { ...target, profile: 'rfc9068' } })['scope']
}

t.test('the scope of an RFC 9068 token holds nothing that the caller made up', async (t) => {
  const all = 'groups openid admin:everything offline_access audience:server:client_id:app groups write'
  t.equal(scopeOf(all), 'groups openid')
  t.equal(scopeOf(all, ['openid', 'write']), 'openid write')
  t.equal(scopeOf(all, ['offline_access', 'audience:server:client_id:app', 'read']), undefined)
  t.equal(scopeOf(all, []), undefined)
  t.equal(scopeOf('', ['openid']), undefined, 'what nobody asked for is not added')
})

t.test('a policy’s claims are added and replace nothing', async (t) => {
  for (const profile of ['dex', 'kubernetes', 'rfc9068'] as const) {
    const claims = present({
      ...VALID,
      target: { ...target, profile },
      extra: { sub: 'evil', iss: 'evil', aud: 'evil', exp: 'evil', groups: 'evil', team: 'x' },
    })
    t.equal(claims['team'], 'x')
    t.notMatch(JSON.stringify(claims), 'evil', profile)
  }
})

t.test('a subject that would be a name of Kubernetes itself is never signed', async (t) => {
  for (const profile of ['kubernetes', 'rfc9068'] as const) {
    const named = (plain: string): TokenContents => ({
      ...VALID,
      target: { ...target, profile },
      subject: { ...VALID.subject, plain },
    })
    for (const plain of ['system:1', 'client:1']) t.throws(() => tokenClaims(named(plain)), /was let in/)
    t.equal(present(named('systems:1'))['sub'], 'systems:1')
  }
})

t.test('only outside the dex profile times lie five seconds back', async (t) => {
  t.same(tokenTimes('dex', 100, 600), { iat: 100, nbf: undefined, exp: 700 })
  for (const profile of ['kubernetes', 'rfc9068'] as const)
    t.same(tokenTimes(profile, 100, 600), { iat: 95, nbf: 95, exp: 695 })
})

function check(header: string | undefined, typ: string | undefined, declared?: TokenType): string {
  return checkTokenClass(header, typ === undefined ? {} : { typ }, declared)?.reason ?? 'fits'
}

t.test('a token is of the kind that it says, not of the one that is declared', async (t) => {
  const rows: readonly (readonly [string | undefined, string | undefined, string, string, string])[] = [
    // header, payload typ, as id token, as access token, undeclared
    [undefined, undefined, 'fits', 'fits', 'fits'],
    ['JWT', undefined, 'fits', 'fits', 'fits'],
    ['JWT', 'JWT', 'fits', 'fits', 'fits'],
    ['JWT', 'Bearer', 'subject_type_mismatch', 'fits', 'fits'],
    ['JWT', 'ID', 'fits', 'subject_type_mismatch', 'fits'],
    ['at+jwt', undefined, 'subject_type_mismatch', 'fits', 'fits'],
    ['application/AT+JWT', undefined, 'subject_type_mismatch', 'fits', 'fits'],
    ...['Refresh', 'Offline', 'Logout'].map(
      (typ) =>
        ['JWT', typ, 'subject_type_mismatch', 'subject_type_mismatch', 'subject_type_mismatch'] as const,
    ),
  ]
  for (const [header, typ, id, access, undeclared] of rows) {
    t.equal(check(header, typ, ID_TOKEN_TYPE), id, `${header} ${typ} id`)
    t.equal(check(header, typ, ACCESS_TOKEN_TYPE), access, `${header} ${typ} access`)
    t.equal(check(header, typ), undeclared, `${header} ${typ} undeclared`)
  }
})
