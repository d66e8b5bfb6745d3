import t from 'tap'
import { compilePin } from '../../src/core/policy/pins.ts'
import type { Claims, JsonValue } from '../../src/core/claims.ts'
import type { ClaimPin } from '../../src/core/policy/trust_policy.ts'

function holds(pin: ClaimPin, value: JsonValue | undefined, claim = 'x'): boolean {
  const compiled = compilePin(claim, pin)
  if (!compiled.ok) throw new Error(compiled.problems.map((problem) => problem.message).join())
  const claims: Claims = value === undefined ? {} : { [claim]: value }
  return compiled.check(claims) === undefined
}
function codes(pin: ClaimPin, claim = 'x'): readonly string[] {
  const compiled = compilePin(claim, pin)
  return compiled.ok ? [] : compiled.problems.map((problem) => problem.code)
}
const exact = (value: string | number | boolean): ClaimPin => ({ kind: 'exact', value })
const glob = (pattern: string): ClaimPin => ({ kind: 'glob', pattern })
const prefix = (text: string): ClaimPin => ({ kind: 'prefix', prefix: text })
const re2 = (pattern: string): ClaimPin => ({ kind: 're2', pattern })

t.test('an exact pin compares byte for byte and never coerces', async (t) => {
  t.ok(holds(exact('48291'), '48291'))
  t.ok(holds(exact(48291), 48291))
  t.ok(holds(exact(true), true))
  const refused: [ClaimPin, JsonValue | undefined][] = [
    [exact('48291'), 48291],
    [exact(48291), '48291'],
    [exact(true), 'true'],
    [exact('true'), true],
    [exact('null'), null],
    [exact('x'), undefined],
    [exact('x'), ['x']],
    [exact('x'), { x: 'x' }],
    [exact('café'), 'cafe\u0301'],
  ]
  for (const [pin, value] of refused) t.notOk(holds(pin, value), JSON.stringify([pin, value]))
})

t.test('an environment name is compared exactly and with its case (TH-C17)', async (t) => {
  t.ok(holds(exact('production'), 'production'))
  for (const other of ['Production', 'production/eu', 'production ', ' production', 'production\n'])
    t.notOk(holds(exact('production'), other), JSON.stringify(other))
})

t.test('a list of values holds for each of them and for nothing else', async (t) => {
  const pin: ClaimPin = { kind: 'any_of', values: ['push', 'web', 3] }
  for (const value of ['push', 'web', 3]) t.ok(holds(pin, value))
  for (const value of ['pus', '3', '', null, ['push'], undefined]) t.notOk(holds(pin, value))
  t.same(codes({ kind: 'any_of', values: [] }), ['pin_empty'])
})

t.test('a prefix must end on a delimiter and something must follow it', async (t) => {
  t.ok(holds(prefix('acme/'), 'acme/vpc'))
  t.ok(holds(prefix('repo:acme@'), 'repo:acme@1/x'))
  for (const value of ['acme', 'acme/', 'acme-evil/vpc', 'xacme/vpc', 'ACME/vpc', 7, undefined])
    t.notOk(holds(prefix('acme/'), value), String(value))
  t.same(codes(prefix('acme')), ['prefix_off_delimiter'])
  t.same(codes(prefix('')), ['pin_empty'])
})

t.test('a wildcard stands for one or more characters of one segment', async (t) => {
  const rows: [string, string, boolean][] = [
    ['acme/*', 'acme/vpc', true],
    ['acme/*', 'acme/', false],
    ['acme/*', 'acme/a/b', false],
    ['acme/*', 'acme/a:b', false],
    ['acme/*', 'acme/a@b', false],
    ['acme/*', 'xacme/a', false],
    ['acme/*/x', 'acme/a/x', true],
    ['acme/*/x', 'acme//x', false],
    ['acme/*-module', 'acme/net-module', true],
    ['acme/*-module', 'acme/a-module-module', true],
    ['acme/*-module', 'acme/-module', false],
    ['acme/*-module', 'acme/net-module-evil', false],
    ['repo:acme/*:ref:refs/heads/main', 'repo:acme/vpc:ref:refs/heads/main', true],
    ['repo:acme/*:ref:refs/heads/main', 'repo:acme/vpc:ref:refs/heads/main-evil', false],
    ['repo:acme/*:ref:refs/heads/main', 'repo:acme/a:ref:refs/heads/b/c:ref:refs/heads/main', false],
    ['a/*b*b', 'a/xbxbxb', true],
    ['a/*b*b', 'a/bb', false],
    ['a/*', 'a/*', true],
  ]
  for (const [pattern, value, expected] of rows)
    t.equal(holds(glob(pattern), value, 'ref'), expected, `${pattern} ${value}`)
})

t.test(
  'a wildcard off a delimiter is refused, since repo:acme* matches repo:acme-evil (TH-C01)',
  async (t) => {
    t.same(codes(glob('repo:acme*')), ['glob_off_delimiter'])
    t.same(codes(glob('repo:acme/*')), [])
    t.same(codes(glob('acme*/vpc'), 'project_path'), ['glob_off_delimiter'])
    t.same(codes(glob('*/vpc')), ['glob_leading_wildcard'])
    t.same(codes(glob('acme/**')), ['glob_malformed'])
    t.same(codes(glob('a/*:*:*:*:*:*:*:*:*')), ['glob_malformed'])
    t.same(codes(glob('')), ['pin_empty'])
  },
)

t.test('in claims that hold one free name a wildcard may end a name', async (t) => {
  t.ok(holds(glob('refs/tags/v*'), 'refs/tags/v1.4', 'ref'))
  t.notOk(holds(glob('refs/tags/v*'), 'refs/tags/v', 'ref'))
  t.notOk(holds(glob('refs/tags/v*'), 'refs/tags/v1/x', 'ref'))
  t.ok(holds(glob('prod-*'), 'prod-eu', 'environment'))
})

t.test('a glob of many wildcards takes no longer on a hostile claim', async (t) => {
  const started = performance.now()
  t.notOk(holds(glob('a/*b*b*b*b*b*b*c'), `a/${'b'.repeat(16_000)}`, 'ref'))
  t.ok(performance.now() - started < 500)
})

t.test('a pattern matches the whole claim, alternatives included (TH-C03)', async (t) => {
  const pin = re2('repo:acme/app:ref:refs/heads/main|repo:acme/lib:.*')
  t.ok(holds(pin, 'repo:acme/app:ref:refs/heads/main'))
  t.ok(holds(pin, 'repo:acme/lib:x'))
  t.notOk(holds(pin, 'repo:acme/app:ref:refs/heads/main-evil'))
  t.notOk(holds(pin, 'xrepo:acme/lib:x'))
})

t.test('a pattern that is whole only inside our group is refused (TH-C04)', async (t) => {
  t.same(codes(re2('token\\.example\\.com)|(')), ['re2_malformed'])
  t.same(codes(re2('token\\.example\\.com')), [])
  for (const bad of ['(?=x)x', '(a)\\1', '(a{1000}){1000}', '[', '', 'a'.repeat(513)])
    t.same(codes(re2(bad)), ['re2_malformed'], bad.slice(0, 20))
})

t.test('a pattern matches neither before a line end nor across lines (TH-C06)', async (t) => {
  for (const [pattern, text] of [
    ['repo:\\Qa.b', 'repo:a.b'],
    ['\\Q(?i)', '(?i)'],
  ] as const) {
    t.ok(holds(re2(pattern), text), 'a quotation that nothing ends goes to the end of the pattern')
    t.notOk(holds(re2(pattern), `${text})$`))
  }
  t.ok(holds(re2('main'), 'main'))
  for (const value of ['main\n', 'x\nmain', 'main\nx', 'main\r']) t.notOk(holds(re2('main'), value))
  t.notOk(holds(re2('a.b'), 'a\nb'))
})

t.test('a catastrophic pattern takes linear time on 50 KB (TH-C07)', async (t) => {
  const pin = re2('^(a+)+$')
  t.ok(holds(pin, 'aaa'))
  const started = performance.now()
  t.notOk(holds(pin, `${'a'.repeat(50_000)}!`))
  t.ok(performance.now() - started < 250)
})

t.test('case folding cannot be switched on, so the Kelvin sign is never a k (TH-B19)', async (t) => {
  for (const pattern of [
    '(?i)k',
    '(?i:k)',
    'a(?m)b',
    '(?s).',
    '(?-u)x',
    '(?P>x)',
    '\\\\Q(?i)x',
    '[\\]](?i)x',
    'a[b](?i)c',
  ])
    t.same(codes(re2(pattern)), ['re2_flags'], pattern)
  t.same(codes(re2('(?:k)(?P<n>x)(?<m>y)[(?i)]\\(\\?i')), [])
  t.notOk(holds(re2('k'), '\u212a'))
  t.ok(holds(re2('k'), 'k'))
})

t.test('a JSON pointer reads below an object, a plain name is literal', async (t) => {
  const claims: Claims = {
    'kubernetes.io': { serviceaccount: { uid: 'u-1' }, 'a/b': 'slash' },
    'a.b': 'dot',
    '/x': 'no',
  }
  const check = (claim: string, value: string): boolean => {
    const compiled = compilePin(claim, exact(value))
    return compiled.ok && compiled.check(claims) === undefined
  }
  t.ok(check('/kubernetes.io/serviceaccount/uid', 'u-1'))
  t.ok(check('/kubernetes.io/a~1b', 'slash'))
  t.ok(check('a.b', 'dot'))
  t.notOk(check('/kubernetes.io/serviceaccount/uid/x', 'u-1'))
  t.notOk(check('/x', 'no'))
  for (const bad of [
    '',
    '/',
    '/a/',
    '/a//b',
    '/a~2b',
    '/aud/0',
    '/aud/-',
    '#/a',
    '$.a',
    'claims.ref',
    'claims["ref"]',
  ])
    t.same(codes(exact('x'), bad), ['claim_reference_malformed'], bad)
})

t.test('claims named like object members are names like any other (TH-B15)', async (t) => {
  for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
    const compiled = compilePin(name, exact('x'))
    t.ok(compiled.ok)
    if (!compiled.ok) continue
    t.not(compiled.check({}), undefined, `${name} absent`)
    const own = JSON.parse(`{"${name}":"x"}`)
    t.equal(compiled.check(own), undefined, `${name} present`)
  }
})

t.test('a miss says what the claim is and never its value', async (t) => {
  const compiled = compilePin('ref', exact('main'))
  if (!compiled.ok) throw new Error('does not compile')
  t.equal(compiled.check({ ref: 'hunter2' }), 'is not the pinned string')
  t.equal(compiled.check({}), 'is absent, the pin is a string')
  t.equal(compiled.check({ ref: ['main'] }), 'is a list, the pin is a string')
})
