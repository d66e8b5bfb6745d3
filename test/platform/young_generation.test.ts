import { execFile } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'

const run = promisify(execFile)
const PROGRAM = join(import.meta.dirname, '..', 'support', 'collected_process.ts')

/**
 * As V8 tells it: collections of the thread's young generation, and the tasks that did them. Not those of the main thread, which
 * may collect what it loaded before the program has said how.
 */
async function collected(cores: number): Promise<{ readonly times: number; readonly tasks: number }> {
  const { stdout } = await run(process.execPath, [
    '--trace-gc',
    '--trace-parallel-scavenge',
    PROGRAM,
    String(cores),
  ])
  const lines = Map.groupBy(stdout.split('\n'), (line) => /^\[\d+:(0x[0-9a-f]+)\]/.exec(line)?.[1] ?? '')
  const heaps = [...lines].map(([, ofOne]) => ({
    times: ofOne.filter((line) => line.includes('ms: Scavenge')).length,
    tasks: ofOne.filter((line) => line.includes('] scavenge[')).length,
  }))
  const [thread] = heaps.toSorted((a, b) => b.times - a.times)
  if (thread === undefined) throw new Error('nothing was collected')
  return thread
}

t.test('with one core whoever works collects for itself', async (t) => {
  const { times, tasks } = await collected(1)
  t.ok(times > 5, `${times} collections`)
  t.equal(tasks, times)
})

const skip = availableParallelism() === 1 ? 'this machine has one core' : false

t.test('with more than one others help', { skip }, async (t) => {
  const { times, tasks } = await collected(2)
  t.ok(tasks > times, `${tasks} tasks for ${times} collections`)
})
