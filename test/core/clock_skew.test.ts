// When the clock of a replica is too far off the one that all share.
import t from 'tap'
import { sharedNow, tooFarOff } from '../../src/core/clock_skew.ts'

const NOW = Date.UTC(2026, 10, 21)
/** Asked at 1,000 by the monotonic clock, answered at once. */
const look = { askedAt: 1000, answeredAt: 1000, shared: NOW }

t.test('the shared clock goes on with the monotonic one', async (t) => {
  t.equal(sharedNow(look, 1000), NOW)
  t.equal(sharedNow(look, 61_000), NOW + 60_000)
  t.equal(sharedNow({ ...look, answeredAt: 3000 }, 2000), NOW, 'the answer was made half way')
})

t.test('half a minute ahead or behind is near enough, more is not', async (t) => {
  for (const off of [0, 30_000, -30_000]) t.equal(tooFarOff(look, 1000, NOW + off), undefined)
  t.equal(tooFarOff(look, 1000, NOW + 30_001), 30_001)
  t.equal(tooFarOff(look, 1000, NOW - 30_001), -30_001)
})

t.test('a slow answer proves less: it may have been made at its beginning or at its end', async (t) => {
  const slow = { ...look, answeredAt: 5000 }
  t.equal(tooFarOff(slow, 5000, NOW + 2000 + 31_000), undefined)
  t.equal(tooFarOff(slow, 5000, NOW + 2000 + 32_001), 32_001)
})
