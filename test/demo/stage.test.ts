// A demo says what does not come out as told, and its exit code does, too.
import t from 'tap'
import type { Test } from 'tap'
import { folder } from '../support/cli.ts'
import { createAssertions } from './assertions.ts'
import { createStage } from './webhook/stage.ts'

function stageOf(t: Test) {
  const { check, conclude } = createAssertions()
  const printed = t.capture(console, 'log')
  const jo = { name: 'jo', env: { PATH: process.env['PATH'] ?? '' }, cwd: folder(t) }
  const lines = (): readonly string[] => printed().map(({ args }) => String(args[0]))
  return { stage: createStage(check), jo, conclude, lines }
}

t.test('a line that comes back as told is shown with its answer', async (t) => {
  const { stage, jo, conclude, lines } = stageOf(t)
  stage.scene('first', 'something happens')
  const said = await stage.type(jo, 'echo out; echo err >&2; exit 3', { code: 3, says: ['out', 'err'] })
  t.equal(said, 'out\nerr\n')
  t.equal(conclude(), 0)
  t.same(lines(), [
    '\n--- first',
    '  something happens',
    '\n  jo:',
    '  $ echo out; echo err >&2; exit 3',
    '  out\n  err',
    '\n3 of 3 assertions held.',
  ])
})

t.test('a line that comes back otherwise makes the demo fail', async (t) => {
  const { stage, jo, conclude, lines } = stageOf(t)
  stage.scene('first')
  await stage.type(jo, 'echo out', { code: 1, says: ['another'] })
  t.equal(conclude(), 1)
  t.same(lines().slice(-3), [
    '\n0 of 2 assertions held.',
    'FAILED: first: `echo out` exits 1 (it exits 0)',
    'FAILED: first: `echo out` says "another"',
  ])
})

t.test('what becomes true a moment later is typed again and shown once', async (t) => {
  const { stage, jo, conclude, lines } = stageOf(t)
  await stage.typeUntil(jo, 'echo x >> file; cat file', { code: 0, says: ['x\nx\nx'] })
  t.equal(conclude(), 0)
  t.same(lines().slice(1, 3), ['  $ echo x >> file; cat file', '  x\n  x\n  x'])
})

t.test('a long line is shortened at its end, and is whole for the scene', async (t) => {
  const { stage, jo, lines } = stageOf(t)
  const said = await stage.type(jo, "printf '%0700d.\\n' 0", { code: 0, says: ['00.'] })
  t.equal(said.length, 702)
  t.match(lines().at(-1), /^ {2}0{640} …$/)
})
