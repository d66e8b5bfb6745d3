// Dex's dialect as data: scopes, content types, Go's spellings, resources, hashes.
import t from 'tap'
import type { Audience } from '../../src/core/audience.ts'
import { goJson, goQuote, goQuoteList } from '../../src/core/dex/go_text.ts'
import { audienceScope, parseScopes } from '../../src/core/dex/scopes.ts'
import { formContentType } from '../../src/core/oauth/content_type.ts'
import { isAbsoluteUri, requestedAudiences } from '../../src/core/oauth/target.ts'
import { atHash, randomHash } from '../../src/core/token/at_hash.ts'
import { jwsHeader } from '../../src/core/token/jws_header.ts'
import { uuidV4 } from '../../src/core/token/uuid.ts'

t.test('scopes are split on any white space, duplicates stay', async (t) => {
  const scopes = parseScopes(' openid\temail\n profile  groups openid ')
  t.same(scopes.all, ['openid', 'email', 'profile', 'groups', 'openid'])
  t.match(scopes, {
    openid: true,
    email: true,
    profile: true,
    groups: true,
    federatedId: false,
    offlineAccess: false,
  })
  t.same(parseScopes('').all, [])
})

t.test('white space is what Go takes for it: U+0085 is, a byte order mark is not', async (t) => {
  t.same(parseScopes('openid\u0085email\u2003profile').all, ['openid', 'email', 'profile'])
  t.same(parseScopes('openid\ufeffgroups').unrecognized, ['openid\ufeffgroups'])
})

t.test('audience scopes are Dex’s, an empty id too', async (t) => {
  t.same(parseScopes('audience:server:client_id:peer-1').audiences, ['peer-1'])
  t.same(parseScopes(audienceScope('a:b')).audiences, ['a:b'])
  t.same(parseScopes('audience:server:client_id:').audiences, [''])
  for (const scope of ['openid', 'audience:other', 'Audience:server:client_id:x'])
    t.same(parseScopes(scope).audiences, [])
})

t.test('what is no scope of Dex is told apart, in order', async (t) => {
  t.same(parseScopes('bogus openid OPENID offline_access federated:id "x" bogus').unrecognized, [
    'bogus',
    'OPENID',
    '"x"',
    'bogus',
  ])
})

t.test('Content-Type as Go’s form parser judges it', async (t) => {
  const form = 'application/x-www-form-urlencoded'
  const rows: readonly (readonly [string | undefined, string])[] = [
    [form, 'form'],
    [`${form}; charset=utf-8`, 'form'],
    [`${form};charset="UTF-8"`, 'form'],
    [`${form};`, 'form'],
    [` ${form.toUpperCase()} `, 'form'],
    [`${form}; charset=utf-16`, 'malformed'],
    [`${form}; charset`, 'malformed'],
    [`${form}, application/json`, 'malformed'],
    [`${form}; boundary=a=b`, 'malformed'],
    [`${form}; charset=utf-8; charset=utf-16`, 'malformed'],
    [`${form};;`, 'malformed'],
    [`\u00a0${form}`, 'malformed'],
    [`${form}; a="b;c"`, 'form'],
    [`${form}-evil`, 'other'],
    ['application/json', 'other'],
    ['', 'other'],
    [undefined, 'other'],
    ['a/b/c', 'malformed'],
    ['text plain', 'malformed'],
    [';', 'malformed'],
  ]
  for (const [header, expected] of rows) t.equal(formContentType(header), expected, String(header))
})

t.test('JSON as Go’s encoder writes it', async (t) => {
  t.equal(
    goJson({ a: '<b>&\u2028', c: undefined, d: '"' }),
    '{"a":"\\u003cb\\u003e\\u0026\\u2028","d":"\\""}',
  )
  t.same(JSON.parse(goJson({ a: '<&>' })), { a: '<&>' }, 'and it reads the same')
  t.equal(goJson({ a: 1 }, 2), '{\n  "a": 1\n}')
})

t.test('a list as fmt’s %q writes it', async (t) => {
  t.equal(goQuoteList(['a', 'b']), '["a" "b"]')
  t.equal(goQuoteList([]), '[]')
  t.equal(goQuote('a"b\\c'), '"a\\"b\\\\c"')
  t.equal(goQuote('\n\t\u0001\u007f'), '"\\n\\t\\x01\\x7f"')
  t.equal(goQuote('é\u200b\u{1f600}'), '"é\\u200b\u{1f600}"')
})

t.test('at_hash is the vector of Dex’s test', async (t) => {
  const token = 'ya29.CjHSA1l5WUn8xZ6HanHFzzdHdbXm-14rxnC7JHch9eFIsZkQEGoWzaYG4o7k5f6BnPLj'
  t.equal(atHash(token, 'RS256'), 'piwt8oCH-K2D9pXlaS1Y-w')
  t.equal(randomHash((length) => new Uint8Array(length)).length, 22)
})

function read(header: string): unknown {
  return JSON.parse(Buffer.from(header, 'base64url').toString())
}

t.test('the header is alg and kid; an RFC 9068 token says at+jwt', async (t) => {
  const key = { algorithm: 'ES256', kid: 'k' } as const
  for (const profile of ['dex', 'kubernetes'] as const)
    t.same(read(jwsHeader(key, profile)), { alg: 'ES256', kid: 'k' })
  t.same(read(jwsHeader(key, 'rfc9068')), { alg: 'ES256', kid: 'k', typ: 'at+jwt' })
})

t.test('a jti is a version 4 UUID', async (t) => {
  t.equal(
    uuidV4((length) => new Uint8Array(length).fill(0xff)),
    'ffffffff-ffff-4fff-bfff-ffffffffffff',
  )
  t.equal(
    uuidV4((length) => new Uint8Array(length)),
    '00000000-0000-4000-8000-000000000000',
  )
})

t.test('a resource is an absolute URI without a fragment', async (t) => {
  for (const uri of ['https://a.example.test', 'https://a.example.test/x?y=1', 'urn:example:a'])
    t.equal(isAbsoluteUri(uri), true, uri)
  for (const uri of ['', '/x', 'a', 'https://a#x', 'https://a b', '//a', 'https:'])
    t.equal(isAbsoluteUri(uri), false, uri)
})

const audience = (id: string, resources: readonly string[]): readonly [string, Audience] => [
  id,
  { id, profile: 'dex', trustedPeers: [], resources, maxTtlSeconds: undefined },
]
const table = new Map([audience('a', ['https://a.example.test']), audience('b', [])])

function ask(byScope: readonly string[], names: readonly string[], resource: readonly string[] = []) {
  return requestedAudiences({ client: 'ci', byScope, audience: names, resource }, table)
}

t.test('audiences by scope, by name and by resource are one set', async (t) => {
  t.same(ask(['b', 'a', 'b'], []), { ok: true, value: ['b', 'a', 'b'] })
  t.same(ask([], ['b', 'a']), { ok: true, value: ['b', 'a'] })
  t.same(ask([], ['b'], ['https://a.example.test']), { ok: true, value: ['b', 'a'] })
  t.same(ask([], ['a'], ['https://a.example.test']), { ok: true, value: ['a'] })
  t.same(ask(['a', 'b'], ['b'], ['https://a.example.test']), { ok: true, value: ['a', 'b'] })
  t.match(ask(['a'], ['b']), {
    ok: false,
    denial: { reason: 'audience_sets_differ', byScope: ['a'], byParameter: ['b'] },
  })
  t.match(ask(['a'], ['a', 'b']), { ok: false, denial: { reason: 'audience_sets_differ' } })
  t.match(
    ask([], [], ['https://A.example.test']),
    { ok: false, denial: { reason: 'audience_not_trusted' } },
    'compared as text',
  )
  t.match(ask([], [], ['https://a.example.test#x']), { ok: false, denial: { reason: 'resource_malformed' } })
})
