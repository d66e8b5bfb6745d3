import t from 'tap'
import { problemOfGroupExpression } from '../../src/core/group_binding/group_expression.ts'
import { BAD_EXPRESSIONS, GOOD_EXPRESSIONS } from '../support/group_expressions.ts'

t.test('what people write in a GroupBinding compiles', async (t) => {
  for (const expression of GOOD_EXPRESSIONS)
    t.equal(problemOfGroupExpression(expression), undefined, expression)
})

t.test('what is no condition on groups is told with its place', async (t) => {
  for (const expression of BAD_EXPRESSIONS)
    t.match(problemOfGroupExpression(expression), { message: /./, line: 1, column: Number }, expression)
})

const told: readonly (readonly [string, string, number, number])[] = [
  ['"a" in group', 'unknown name group', 1, 8],
  ['"a" in groups ||', 'unexpected token EOF', 1, 16],
  ['"a" in groups\n  || 1 in groups', 'cannot use int as type string in array', 2, 8],
  ['len(groups)', 'expected bool, but got int', 1, 1],
  ['groups.length > 0', 'array elements can only be selected using an integer (got string)', 1, 8],
  ['groups.includes("a")', 'array elements can only be selected using an integer (got string)', 1, 8],
  ['upper(groups) == "A"', 'cannot use []string as argument (type string) to call upper', 1, 7],
  ['"ä" in gröups', 'unknown name gröups', 1, 8],
  ['"a" in groups && now() > now()', 'Sallyport does not evaluate now()', 1, 18],
  ['@groups', "unrecognized character: U+0040 '@'", 1, 1],
]
for (const [expression, message, line, column] of told)
  t.test(`${JSON.stringify(expression)} says: ${message}`, async (t) => {
    t.strictSame(problemOfGroupExpression(expression), { message, line, column })
  })

t.test('a condition that is a program is refused and not followed down', async (t) => {
  const deep = `${'('.repeat(5000)}true${')'.repeat(5000)}`
  t.match(problemOfGroupExpression(deep), { message: /longer than 4096 characters/ })
  const nested = `${'!'.repeat(1000)}true`
  t.match(problemOfGroupExpression(nested), { message: /nested more than 64 levels deep/ })
  t.equal(problemOfGroupExpression(`${'!'.repeat(20)}true`), undefined)
})

function matches(pattern: string): string {
  return `groups[0] matches "${pattern}"`
}

t.test('patterns are as long as they are with their counts written out', async (t) => {
  const tooLong = { message: /^with their counts written out the patterns are longer than 20000 steps$/ }
  const began = performance.now()
  t.match(problemOfGroupExpression(matches('a{1000}'.repeat(500))), tooLong)
  t.match(problemOfGroupExpression(matches(`(${'x'.repeat(3900)}){1000}`)), tooLong)
  t.match(problemOfGroupExpression(matches(`([)[:alpha:])]${'x'.repeat(3800)}){900}`)), tooLong)
  t.match(problemOfGroupExpression(matches(`(${'x'.repeat(100)}(y{30}){30}){2}`.repeat(20))), tooLong)
  const many = Array.from({ length: 25 }, () => matches('a{990}'))
  t.match(problemOfGroupExpression(many.join(' or ')), tooLong, 'all of one expression together')
  t.ok(performance.now() - began < 2000)
  t.equal(problemOfGroupExpression(many.slice(5, 10).join(' or ')), undefined)
  t.equal(problemOfGroupExpression(matches('^team-[a-z]{2,40}-(dev|prod){1,3}[0-9]{4}$')), undefined)
  t.equal(problemOfGroupExpression(matches('x'.repeat(4000))), undefined)
})
