// What kube-apiserver 1.36 says to expressions of an AuthenticationConfiguration, as tables. Verdicts and words were taken
// from its own compiler; test/e2e/kube_cel_agreement.test.ts compares with that compiler itself.
import t from 'tap'
import { checkExpression } from '../../src/core/kube/cel/check_expression.ts'
import type { ExpressionUse } from '../../src/core/kube/cel/check_expression.ts'

function verdict(text: string, use: ExpressionUse = 'username'): string {
  const checked = checkExpression(text, use)
  return checked.ok ? checked.value.resultType : `✗ ${checked.denial.message}`
}

function read(text: string): readonly string[] {
  const checked = checkExpression(text, 'username')
  return checked.ok ? [...checked.value.claimsRead].sort() : ['✗']
}

const ACCEPTED: readonly (readonly [string, string, ExpressionUse?])[] = [
  ['claims.sub', 'any'],
  ['"gitlab:" + claims.sub', 'string'],
  ['claims.sub == "x"', 'bool', 'claim_validation'],
  ['has(claims.groups) && "a" in claims.groups', 'bool', 'claim_validation'],
  ['claims.?groups.orValue([])', 'any'],
  ['dyn(claims.groups).map(g, "oidc:" + g)', 'list(string)', 'groups'],
  ['claims.roles.split(",")', 'list(string)', 'groups'],
  ['claims.sub.matches(r"^\\d+$")', 'bool', 'claim_validation'],
  ['!user.username.startsWith("system:")', 'bool', 'user_validation'],
  ['user.groups.all(g, !g.startsWith("system:"))', 'bool', 'user_validation'],
  ['user.extra["a.b/c"][0] == "x"', 'bool', 'user_validation'],
  ['claims.exp - claims.iat <= 3600', 'bool', 'claim_validation'],
  ['1 < 1.5 && 1u < 2', 'bool', 'claim_validation'],
  ['{"a": 1}.transformMap(k, v, v + 1)', 'map(string, int)'],
  ['optional.of(1).optMap(x, x + 1)', 'optional_type(int)'],
  ['[3, 1].sortBy(x, -x)', 'list(int)'],
  ["b'\\xff'", 'bytes'],
  ['url("https://a/b").getHost()', 'string'],
  ['// a comment\nclaims.sub', 'any'],
  ['a ? 1 : b ? 2 : 3'.replaceAll('a', 'true').replaceAll('b', 'false'), 'int'],
  ['[,]', 'list(dyn)'],
]

const REFUSED: readonly (readonly [string, string, ExpressionUse?])[] = [
  ['claims.sub', 'must evaluate to bool', 'claim_validation'],
  ['claimz.sub', "compilation failed: undeclared reference to 'claimz' (in container '')"],
  ['user.username', "compilation failed: undeclared reference to 'user' (in container '')"],
  [
    'claims.sub == "a"',
    "compilation failed: undeclared reference to 'claims' (in container '')",
    'user_validation',
  ],
  [
    'claims.groups.map(g, "oidc:" + g)',
    "compilation failed: expression of type 'any' cannot be range of a comprehension (must be list, map, or dynamic)",
    'groups',
  ],
  ['user.name == "x"', "compilation failed: undefined field 'name'", 'user_validation'],
  ['1 == "a"', "compilation failed: found no matching overload for '_==_' applied to '(int, string)'"],
  ['["a", 1]', "compilation failed: expected type 'string' but found 'int'"],
  ['["a", claims.b]', "compilation failed: expected type 'string' but found 'any'"],
  [
    'true ? "a" : 1',
    "compilation failed: found no matching overload for '_?_:_' applied to '(bool, string, int)'",
  ],
  ['has(claims)', 'compilation failed: invalid argument to has() macro'],
  ['[1].all(x.y, true)', 'compilation failed: argument must be a simple name'],
  ['"x".matches("[")', 'compilation failed: invalid matches argument'],
  ['duration("1 day") > duration("1h")', 'compilation failed: invalid duration argument'],
  [
    'claims.a.find("(?=x)")',
    'program instantiation failed: error parsing regexp: invalid or unsupported Perl syntax: `(?=`',
  ],
  ['int("abc")', "program instantiation failed: type conversion error from 'string' to 'int'"],
  ['for', 'compilation failed: reserved identifier: for'],
  ['a.`b-c`', "compilation failed: unsupported syntax: '`'"],
  ['9223372036854775808', 'compilation failed: invalid int literal'],
  [
    '"%d".format(["x"])',
    'compilation failed: error during formatting: decimal clause can only be used on integers, was given string',
  ],
  ['true ? true ? 1 : 2 : 3', "compilation failed: Syntax error: mismatched input '?' expecting ':'"],
  ['"\\d"', String.raw`compilation failed: Syntax error: token recognition error at: '"\d'`],
  [
    '[?claims.a]',
    'the apiserver does not refuse this, it crashes: runtime error: index out of range [0] with length 0',
  ],
  ['[1].existsOne(x, x > 0)', "compilation failed: undeclared reference to 'existsOne' (in container '')"],
]

t.test('an expression that the apiserver takes is accepted with its type', (t) => {
  for (const [text, type, use] of ACCEPTED) t.equal(verdict(text, use), type, text)
  t.end()
})

t.test('an expression that the apiserver refuses is refused in its words', (t) => {
  for (const [text, message, use] of REFUSED) t.equal(verdict(text, use), `✗ ${message}`, text)
  t.end()
})

/** Expressions with the releases of Kubernetes 1 that take them: the first, and the first that no longer does. */
const RELEASED: readonly (readonly [string, number, number?])[] = [
  ['isIP("10.0.0.1") && cidr("10.0.0.0/8").containsIP("10.0.0.1")', 30],
  ['claims.?groups.orValue([]).size() > 0 && sets.contains([1], [1])', 30],
  ['"%d".format([1]) != ""', 30],
  ['[1, 2].max() > 1 && [1].indexOf(1) == 0', 30],
  ['claims.roles.split(",").map(r, r).size() > 0', 30],
  ['quantity("1").isGreaterThan(quantity("0"))', 30],
  ['format.named("dns1123Label").hasValue()', 31],
  ['{"a": 1}.all(k, v, v > 0)', 32],
  ['[1].transformList(i, v, v).size() > 0', 32],
  ['[1].exists_one(i, v, v > 0)', 32],
  ['semver("1.2.3").major() == 1', 33],
  ['semver("1.2.3").isGreaterThan(semver("1.0.0"))', 33],
  ['isSemver("v1", true)', 33],
  ['claims.roles.split(",").first().hasValue()', 33],
  ['[optional.of(1)].unwrapOpt().size() == 1', 33],
  ['lists.range(3).size() == 3', 34],
  ['[[1]].flatten().size() == 1', 34],
  ['[1, 1].distinct().size() == 1', 34],
  ['[1, 2].slice(0, 1).size() == 1', 34],
  ['[2, 1].sort()[0] == 1', 34],
  ['[2, 1].sortBy(x, x)[0] == 1', 34],
  ['claims.roles.includes("admin")', 37],
  ['claims.`kubernetes.io`.namespace == "x"', 37],
  ['has(claims.`a-b`) && claims.?`a/b`.hasValue()', 37],
  ['duration(int(claims.exp)) > duration("1s")', 30, 37],
  ['["a"].map(net, type(net.IP) == type)[0]', 30, 37],
]

t.test('a release takes what its own libraries have, and nothing of later ones', async (t) => {
  for (const [text, from, before = 38] of RELEASED) {
    const taken = [30, 31, 32, 33, 34, 35, 36, 37].filter(
      (minor) => checkExpression(text, 'claim_validation', minor).ok,
    )
    t.same([taken[0], (taken.at(-1) ?? 0) + 1, taken.length], [from, before, before - from], text)
  }
  const early = checkExpression('[1].distinct() == [1]', 'claim_validation', 33)
  const message = "compilation failed: undeclared reference to 'distinct' (in container '')"
  t.match(early, { ok: false, denial: { message } })
})

t.test('a refusal says where, and what to write instead', (t) => {
  const checked = checkExpression('claims.a == "x" &&\n  claimz.b == "y"', 'claim_validation')
  if (checked.ok) return t.fail('it was accepted')
  t.match(checked.denial, { line: 2, column: 3 })
  t.not(checked.denial.wayOut, '')
  return t.end()
})

t.test('the claims that the rule on email_verified sees are those selected by their shape', (t) => {
  t.same(read('claims.email'), ['email'])
  t.same(read('.claims.?email.orValue("")'), ['email'])
  t.same(read('has(claims.email_verified) ? claims.email : ""'), ['email', 'email_verified'])
  t.same(read('claims["email"]'), [])
  t.same(read('claims.a.email'), ['a'])
  t.same(read('[{"email": "x"}].map(claims, claims.email)'), ['email'])
  t.end()
})

t.test('a large or deep text is refused in bounded time', (t) => {
  const started = performance.now()
  t.match(verdict(`"${'a'.repeat(100_001)}"`), /code point size exceeds limit/)
  t.match(verdict(`${'('.repeat(300)}1${')'.repeat(300)}`), /recursion limit/)
  t.match(verdict(`claims${'.a'.repeat(300)}`), /max recursion depth/)
  t.match(verdict(`claims.?a${'.optMap(x, x)'.repeat(40)}`), /too large/)
  const doubling = '{"a": 1}.map(x, {x: x}).map(x, {"a": [x]})'
  t.match(verdict(`[1]${'.map(x, {"a": x}).map(x, [{"b": x}, {"b": x}])'.repeat(100)} == ${doubling}`), /✗/)
  t.ok(performance.now() - started < 5000)
  t.end()
})
