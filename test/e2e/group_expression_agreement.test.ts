// Does our reader say of each condition what expr-lang 1.17.8 says, at the same place? Asked of expr-lang itself, as
// OpenDepot asks it. Prints the figures; the one that counts is "we only accept", which must be 0.
import { execFile } from 'node:child_process'
import t from 'tap'
import { problemOfGroupExpression } from '../../src/core/group_binding/group_expression.ts'
import { BAD_EXPRESSIONS, GOOD_EXPRESSIONS, mutated } from '../support/group_expressions.ts'
import { exprOracleBinary, peerOrSkip } from '../support/peers.ts'

const peer = await peerOrSkip(exprOracleBinary)
const binary = 'value' in peer ? peer.value : ''

type Verdict = {
  readonly ok: boolean
  readonly message?: string
  readonly line?: number
  readonly column?: number
}

function verdictsOn(expressions: readonly string[]): Promise<readonly Verdict[]> {
  return new Promise((resolve, reject) => {
    const child = execFile(binary, { maxBuffer: 64 * 1024 * 1024, timeout: 60_000 }, (error, stdout) => {
      if (error === null) resolve(JSON.parse(stdout))
      else reject(error)
    })
    child.stdin?.end(JSON.stringify(expressions))
  })
}

t.test('a condition compiles here when it compiles in expr-lang', { skip: peer.skip }, async (t) => {
  const written = [...GOOD_EXPRESSIONS, ...BAD_EXPRESSIONS]
  const expressions = [...written, ...mutated(written)]
  const verdicts = await verdictsOn(expressions)
  t.equal(verdicts.length, expressions.length)
  const figures = { both: 0, neither: 0, weOnlyAccept: 0, weOnlyRefuse: 0, samePlace: 0 }
  for (const [index, expression] of expressions.entries()) {
    const theirs = verdicts[index]
    const ours = problemOfGroupExpression(expression)
    if (theirs === undefined) throw new Error('the oracle lost one')
    if (theirs.ok && ours === undefined) figures.both += 1
    else if (theirs.ok) {
      figures.weOnlyRefuse += 1
      // A function's name without a call is a value there, and good for nothing.
      t.match(ours?.message, /is a function: call it/, expression)
    } else if (ours === undefined) {
      figures.weOnlyAccept += 1
      t.fail(`only we accept ${expression}`, theirs)
    } else {
      figures.neither += 1
      if (theirs.line === undefined || (theirs.line === ours.line && theirs.column === ours.column))
        figures.samePlace += 1
    }
  }
  t.comment(JSON.stringify(figures))
  t.equal(figures.weOnlyAccept, 0)
  t.ok(figures.both > 500, 'many compile')
  t.ok(figures.samePlace > 0.98 * figures.neither, 'nearly all refusals point at the same place')
})
