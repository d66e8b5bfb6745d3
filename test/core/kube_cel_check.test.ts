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
