// How many processes `--workers` means.
import t from 'tap'
import { workerCount } from '../../src/cli/worker_count.ts'

t.test('one without the flag, one for each core with auto, else the number', async (t) => {
  t.equal(workerCount(undefined, 8), 1)
  t.equal(workerCount('auto', 8), 8)
  t.equal(workerCount('auto', 256), 64)
  t.equal(workerCount('3', 8), 3)
  t.equal(workerCount('64', 1), 64)
})

t.test('anything else is refused, and what can be written is said', async (t) => {
  for (const text of ['', '0', '-1', '1.5', '65', '1e3', ' 2', 'AUTO', '٣'])
    t.match(workerCount(text, 8), /write auto, or a number from 1 to 64$/, text)
})
