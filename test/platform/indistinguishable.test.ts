// The statistic of `npm run bench -- abuse`: it finds what was planted, and nothing where there is nothing.
import t from 'tap'
import { distinguish, seededBits } from '../bench/abuse/indistinguishable.ts'
import type { Pair } from '../bench/abuse/indistinguishable.ts'

const SAMPLES = 10_000

/** Times as a loopback has them: 100 us, a long tail, now and then a pause; `planted` us more for the first. */
function samples(planted: number, seed: number): readonly Pair[] {
  const bits = seededBits(seed)
  const uniform = (): number => (bits() + 1) / 2 ** 32
  const noise = (): number => 100 - 12 * Math.log(uniform()) + (uniform() < 0.01 ? 2000 * uniform() : 0)
  return Array.from({ length: SAMPLES }, () => {
    // What is slow for a moment is slow for both.
    const moment = 20 * uniform()
    return { first: moment + noise() + planted, second: moment + noise() }
  })
}

t.test('where there is no difference, none is found', async (t) => {
  for (let seed = 1; seed <= 10; seed += 1) {
    const { isFound, auc, bound } = distinguish(samples(0, seed), seededBits(seed))
    t.notOk(isFound, `seed ${seed}: ${auc} within ${bound}`)
    t.ok(bound > 0.005 && bound < 0.03, `${bound} is what 10,000 samples allow`)
  }
})

t.test('a difference of two microseconds in a hundred is found, whichever is slower', async (t) => {
  const slower = distinguish(samples(2, 1), seededBits(1))
  t.ok(slower.isFound && slower.auc > 0.5, JSON.stringify(slower))
  t.ok(Math.abs(slower.medianDifference - 2) < 1)
  const quicker = distinguish(samples(-2, 1), seededBits(1))
  t.ok(quicker.isFound && quicker.auc < 0.5, JSON.stringify(quicker))
})

t.test('equal times are no difference, and ranks of ties are shared', async (t) => {
  const same = Array.from({ length: 100 }, () => ({ first: 5, second: 5 }))
  t.match(distinguish(same, seededBits(1)), { auc: 0.5, bound: 0, isFound: false, medianDifference: 0 })
  const apart = Array.from({ length: 100 }, () => ({ first: 6, second: 5 }))
  t.match(distinguish(apart, seededBits(1)), { auc: 1, isFound: true, medianDifference: 1 })
})
