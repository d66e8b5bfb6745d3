import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'

const run = promisify(execFile)
const PROGRAM = join(import.meta.dirname, '..', 'support', 'collected_process.ts')

async function helpersMs(cores: number): Promise<number> {
  const { stdout } = await run(process.execPath, [PROGRAM, String(cores)])
  return Number(stdout)
}

t.test(
  'with one core nobody else takes turns to collect',
  { skip: process.platform === 'linux' ? false : 'threads are told apart by /proc' },
  async (t) => {
    const [one, two] = [await helpersMs(1), await helpersMs(2)]
    t.ok(two > 30, `with two cores V8's threads help: ${two} ms`)
    t.ok(one < two / 3, `with one they do not: ${one} ms`)
  },
)
