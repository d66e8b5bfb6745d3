import { execFile } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'

const run = promisify(execFile)
const PROGRAM = join(import.meta.dirname, '..', 'support', 'collected_process.ts')

/** As V8 tells it: collections of the young generation, and the tasks that did them. */
async function collected(cores: number): Promise<{ readonly times: number; readonly tasks: number }> {
  const { stdout } = await run(process.execPath, [
    '--trace-gc',
    '--trace-parallel-scavenge',
    PROGRAM,
    String(cores),
  ])
  return { times: stdout.split('ms: Scavenge').length - 1, tasks: stdout.split('] scavenge[').length - 1 }
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
