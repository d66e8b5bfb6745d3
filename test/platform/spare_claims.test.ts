// What a process remembers of tokens while the store is away.
import t from 'tap'
import { StoreFailure } from '../../src/platform/store/store.ts'
import { createSpareClaims } from '../../src/platform/store/spare_claims.ts'

const START = Date.UTC(2026, 10, 21)
const claim = (key: string, ...parts: readonly string[]) => ({ key, parts, expiresAt: START + 60_000 })

t.test('a token is taken once, a token for each audience once for each', async (t) => {
  const spare = createSpareClaims({ clock: () => START })
  t.notOk(spare.holds([claim('a')]))
  t.ok(spare.take([claim('a')]))
  t.ok(spare.holds([claim('a')]))
  t.notOk(spare.take([claim('a')]))
  t.ok(spare.take([claim('b', 'app')]))
  t.notOk(spare.holds([claim('b', 'other')]))
  t.ok(spare.holds([claim('b', 'app')]))
  t.notOk(spare.take([claim('b')]), 'who has a part keeps others from the whole')
})

t.test('of two tokens one that was used takes the other one with it', async (t) => {
  const spare = createSpareClaims({ clock: () => START })
  t.ok(spare.take([claim('a')]))
  t.notOk(spare.take([claim('b'), claim('a')]))
  t.notOk(spare.holds([claim('b')]))
})

t.test('it holds so many and no more, and forgets what has expired', async (t) => {
  let now = START
  const spare = createSpareClaims({ clock: () => now, maxClaims: 2 })
  t.ok(spare.take([claim('a'), claim('b')]))
  t.throws(
    () => spare.take([claim('c')]),
    new StoreFailure('the store is away, and 2 tokens are remembered here already'),
  )
  t.ok(spare.holds([claim('a')]), 'none makes room for another one')
  now += 60_000
  t.notOk(spare.holds([claim('a')]))
  t.ok(spare.take([{ ...claim('c'), expiresAt: now + 1 }]))
})
