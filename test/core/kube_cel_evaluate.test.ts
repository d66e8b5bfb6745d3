// What kube-apiserver 1.36 gets from expressions on claims and on users, as tables; test/e2e/kube_cel_agreement.test.ts
// compares with its own evaluator.
import t from 'tap'
import { checkExpression } from '../../src/core/kube/cel/check_expression.ts'
import type { ExpressionUse } from '../../src/core/kube/cel/check_expression.ts'
import { evaluateExpression } from '../../src/core/kube/cel/evaluate_expression.ts'
import type { JsonValue } from '../../src/core/claims.ts'

const CLAIMS = {
  sub: 'alice',
  email: 'a@b.c',
  groups: ['a', 'b', ''],
  exp: 1_767_323_045,
  flag: true,
  nul: null,
  csv: 'a,b,,c',
  nums: [1, 2.5, 'x'],
  nested: { a: { b: 1 }, 'x.y': 'dot' },
  'a/b': 'slash',
}
const USER = { username: 'u', uid: '1', groups: ['g1'], extra: { 'k/a': ['v'] } }

function value(
  text: string,
  use: ExpressionUse = 'username',
  claims: Record<string, JsonValue> = CLAIMS,
): unknown {
  const checked = checkExpression(text, use)
  if (!checked.ok) return `✗✗ ${checked.denial.message}`
  const variables = use === 'user_validation' ? { user: USER } : { claims }
  const evaluated = evaluateExpression(checked.value, variables)
  return evaluated.ok ? evaluated.value : `✗ ${evaluated.denial.kind}: ${evaluated.denial.message}`
}

function groups(text: string): unknown {
  return value(text, 'groups')
}

function rule(text: string): unknown {
  return value(text, 'user_validation')
}

const VALUES: readonly (readonly [string, unknown])[] = [
  ['"p:" + claims.sub', 'p:alice'],
  ['claims.nul', null],
  ['claims.exp + 1.0', 1_767_323_046],
  ['claims.exp == 1767323045 && claims.exp > 0u', true],
  ['claims["a/b"] + claims.a__slash__b + claims.nested.x__dot__y', 'slashslashdot'],
  ['"x__dot__y" in claims.nested', false],
  ['has(claims.missing) || has(claims.sub.x)', false],
  ['claims.?missing.orValue("x")', 'x'],
  ['claims.?nested.a.b.orValue(0) == 1', true],
  ['claims.missing == "x" || true', true],
  ['claims.missing in []', false],
  ['dyn(claims.groups).filter(g, g != "").map(g, "p:" + g).join(",")', 'p:a,p:b'],
  ['claims.exists(v, v == "alice")', true],
  ['[3, 1, 2].sortBy(x, -x)', [3, 2, 1]],
  ['{"a": 1}.transformMap(k, v, v + 1)', { a: 2 }],
  ['optional.of("a").optMap(x, x + "b").value()', 'ab'],
  ['"é€a".substring(1, 2) + "é€a".charAt(2)', '€a'],
  ['"ÀB".lowerAscii()', 'Àb'],
  ['"a,b,c".split(",", 2)[1]', 'b,c'],
  ['"abcabc".replace("b", "-", 1)', 'a-cabc'],
  ['"abcabc".lastIndexOf("b")', 4],
  ['"x1y22".findAll("[0-9]+")[1]', '22'],
  ['"%s=%d (%s)".format(["a", 1, [true, "b"]])', 'a=1 ([true, "b"])'],
  ['string(1000000.0) + string(duration("90m"))', '1e+065400s'],
  ['string(timestamp("2026-01-02T03:04:05.5+01:00"))', '2026-01-02T03:04:05.5+01:00'],
  ['timestamp("2026-01-02T03:04:05Z").getHours("+02:30")', 5],
  ['timestamp("2026-03-01T00:00:00Z").getDayOfYear()', 59],
  ['"\uFF5E" < "\u{1F600}"', true],
  ['[1, 2, 3].sum() + [4, 9].max() + [[1], [2]].flatten().size()', 17],
  ['sets.contains([1, 2], [2.0, 1u])'.replace('2.0, 1u', '2, 1'), true],
  ['-7 / 2 == -3 && -7 % 2 == -1', true],
]

const ERRORS: readonly (readonly [string, string])[] = [
  ['claims.missing', 'no such key: missing'],
  ['claims.nested.z.y', 'no such key: z'],
  ['"k" in claims', 'no such overload'],
  ['size(claims)', 'no such overload: size'],
  ['claims.exp + 1', 'no such overload'],
  ['claims.groups[5]', 'index out of bounds: 5'],
  ['claims.groups.x', "unsupported index type 'string' in list"],
  ['claims.flag && claims.sub', 'no such overload'],
  ['claims.sub ? 1 : 2', 'no such overload'],
  ['dyn(claims.sub).map(x, x)', "got 'types.String', expected iterable type"],
  ['1 / (claims.flag ? 0 : 1)', 'division by zero'],
  ['9223372036854775807 + 1', 'integer overflow'],
  ['0.0 / 0.0 < 1.0', 'NaN values cannot be ordered'],
  ['claims.?missing.value()', 'optional.none() dereference'],
  ['"abc".substring(5)', 'index out of range: 5'],
  ['claims.nums.join(",")', 'no such overload: join(list, string)'],
  ['["a", "a"].transformMapEntry(i, v, {v: i})', 'insert failed: key a already exists'],
]

const UNKNOWN = [
  'ip("10.0.0.1").family()',
  'cidr("10.0.0.0/8").containsIP("10.0.0.1")',
  'url("https://a").getHost()',
  'quantity("1Gi").isInteger()',
  'semver("1.2.3").major()',
  'format.dns1123Label().validate("a").hasValue()',
  '"%.2f".format([1.5])',
  'timestamp(0).getHours("Europe/Berlin")',
  'claims.transformList(k, v, k)',
  'true || ip("10.0.0.1").family() == 4 ? ip("a").family() : 1',
]

t.test('an expression has the value that the apiserver gets', (t) => {
  for (const [text, expected] of VALUES) t.same(value(text), expected, text)
  t.end()
})

t.test('an error is told in the words of the apiserver', (t) => {
  for (const [text, message] of ERRORS) t.equal(value(text), `✗ error: ${message}`, text)
  t.end()
})

t.test('what is not evaluated here is said so, and never guessed, not even behind ||', (t) => {
  for (const text of UNKNOWN) t.match(value(text), /^✗ unknown: cannot be evaluated here: /, text)
  t.end()
})

t.test('groups and extra take a text, texts or null, and not what Go holds as something else', (t) => {
  t.same(groups('claims.groups'), ['a', 'b', ''])
  t.same(groups('claims.nul'), null)
  t.same(groups('claims.sub'), 'alice')
  t.same(groups('claims.csv.split(",").map(g, g)'), ['a', 'b', '', 'c'])
  const refused = '✗ result: expression must return a string or a list of strings'
  t.same(groups('claims.csv.split(",")'), refused)
  t.same(groups('["a"] + ["b"]'), ['a', 'b'])
  t.same(groups('claims.csv.split(",") + ["d"]'), ['a', 'b', '', 'c', 'd'])
  t.same(groups('claims.nums'), refused)
  t.end()
})

t.test('a username that is no text is no username, even where JSON would make one of it', (t) => {
  for (const text of ['b"a"', 'timestamp(0)', 'type(1)', 'claims.?sub'])
    t.match(value(text), /^✗ result: /, text)
  t.end()
})

t.test('user rules read username, uid, groups and extra', (t) => {
  t.same(rule('user.username == "u" && user.uid == "1"'), true)
  t.same(rule('user.groups.exists(g, g == "g1")'), true)
  t.same(rule('user.extra["k/a"][0] == "v" && user.extra.k__slash__a == ["v"]'), true)
  t.same(rule('user.extra["x"] == []'), '✗ error: no such key: x')
  t.end()
})

t.test('an expression that costs too much ends, in bounded time', (t) => {
  const claims = { groups: Array.from({ length: 400 }, (_, index) => `g${index}`) }
  const started = performance.now()
  const nested =
    'dyn(claims.groups).all(a, dyn(claims.groups).all(b, dyn(claims.groups).all(c, a + b + c != "")))'
  t.equal(
    value(nested, 'claim_validation', claims),
    '✗ unknown: operation cancelled: actual cost limit exceeded',
  )
  const growing = `[claims.groups]${'.map(x, dyn(x) + dyn(x))'.repeat(40)}.size() == 1`
  t.match(value(growing, 'claim_validation', claims), /cost limit exceeded/)
  t.match(value('lists.range(9223372036854775807).size() == 1', 'claim_validation'), /unknown/)
  t.ok(performance.now() - started < 5000)
  t.end()
})

t.test('claims named like properties of JavaScript objects are claims like others', (t) => {
  const claims: Record<string, JsonValue> = JSON.parse('{"__proto__": "p", "constructor": {"toString": "t"}}')
  t.same(value('has(claims.toString)', 'claim_validation', claims), false)
  t.same(value('claims.constructor.toString', 'username', claims), 't')
  t.same(value('has(claims.constructor.constructor)', 'claim_validation', claims), false)
  t.end()
})
