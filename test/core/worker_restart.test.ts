// When a worker that ended is started again.
import t from 'tap'
import { endsInRow, restartDelayMs } from '../../src/core/worker_restart.ts'

t.test(
  'the first end costs a tenth of a second, each that follows twice as much, half a minute at most',
  async (t) => {
    t.strictSame([1, 2, 3, 9, 10, 1000].map(restartDelayMs), [100, 200, 400, 25_600, 30_000, 30_000])
  },
)

t.test('a worker that served for a minute begins a new row of ends', async (t) => {
  t.equal(endsInRow(0, 0), 1)
  t.equal(endsInRow(3, 59_999), 4)
  t.equal(endsInRow(3, 60_000), 1)
})
