// The conformance tests of CEL through the door that conditions come in by. What does not pass is written down in
// test/fixtures/cel-conformance.json; the list may neither lack one nor keep one that passes.
// After a change that is meant: node test/support/cel_conformance.ts
import t from 'tap'
import { failuresOf, knownFailures, runConformance } from '../support/cel_conformance.ts'

const known = knownFailures()
const outcomes = runConformance()
const found = failuresOf(outcomes, known.wrong)
const count = (wanted: string) => [...outcomes.values()].filter(({ outcome }) => outcome === wanted).length

t.test('what passes, what is refused and what is wrong is what was recorded', async (t) => {
  for (const kind of ['refused', 'error', 'not run'] as const) t.same(found[kind], known[kind], kind)
  t.same(Object.keys(found.wrong), Object.keys(known.wrong), 'wrong')
  t.comment(
    `CEL conformance: ${count('passed')} of ${outcomes.size} pass, ${count('refused')} are refused, ${count('wrong')} are wrong, ${count('not run')} are about values of protobuf`,
  )
})

t.test('each that is wrong has its reason', async (t) => {
  for (const [id, reason] of Object.entries(known.wrong)) t.ok(reason.length > 20, id)
})

t.test('the tests are really run: most of what the profile has passes', async (t) => {
  t.ok(outcomes.size > 2300, `${outcomes.size} tests`)
  t.ok(count('passed') > 800, `${count('passed')} pass`)
  t.equal(count('error'), 0, 'nothing that loads fails where CEL gives a value')
})
