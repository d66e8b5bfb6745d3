// Inputs that once found something, and the seeds of every target: asked again in each run.
import { readdirSync } from 'node:fs'
import t from 'tap'
import { COMMITTED_CORPUS, readCorpus } from './corpus.ts'
import { examine } from './examine.ts'
import { targets } from './targets.ts'

t.test('what once found something finds nothing any more', async (t) => {
  let inputs = 0
  for (const target of targets) {
    const known = [
      ...target.seeds.map((seed) => Buffer.from(seed)),
      ...readCorpus(COMMITTED_CORPUS, target.name),
    ]
    for (const input of known) {
      inputs += 1
      const examined = examine(target, input)
      if ('problem' in examined)
        t.fail(`${target.name}: ${examined.problem}: ${JSON.stringify(input.toString('latin1'))}`)
    }
  }
  t.ok(inputs > 100, `${inputs} inputs`)
})

t.test('each folder of the corpus belongs to a target, and each target has a name of its own', async (t) => {
  const names = targets.map(({ name }) => name)
  t.equal(new Set(names).size, names.length)
  for (const folder of readdirSync(COMMITTED_CORPUS)) t.ok(names.includes(folder), folder)
})

t.test("a target's seeds reach more than one outcome, and its words are not all there is", async (t) => {
  for (const target of targets) {
    const outcomes = new Set(target.seeds.map((seed) => JSON.stringify(examine(target, Buffer.from(seed)))))
    if (target.seeds.length > 2) t.ok(outcomes.size > 1, target.name)
    t.ok(target.words.length > 5 && target.about.length > 20, target.name)
  }
})
