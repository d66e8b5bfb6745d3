// A million claims that live, in each store: the process that made them, and what lies on the disk.
import { execFile } from 'node:child_process'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { judge } from '../verdict.ts'
import type { Row } from '../verdict.ts'
import type { ScaleWorld } from './scale_rates.ts'

const run = promisify(execFile)
const LIMIT_MB = 300
const MEBI = 1024 * 1024

type Filled = { readonly seconds: number; readonly isHeld: boolean; readonly residentMiB: number }

export async function measureLiveEntries(
  { world, postgres, say }: ScaleWorld,
  count: number,
): Promise<readonly Row[]> {
  const rows: Row[] = []
  const file = join(world.folder, 'million.db')
  const address = await postgres.database()
  for (const [store, place, diskBytes] of [
    ['SQLite', `sqlite:${file}`, async () => sizesOf(file, `${file}-wal`)],
    [
      'PostgreSQL',
      JSON.stringify(address),
      async () => {
        const size = "SELECT pg_total_relation_size('sallyport.entries') AS bytes"
        return Number((await postgres.sql(address.database, size))[0]?.['bytes'])
      },
    ],
    ['memory', 'memory', undefined],
  ] as const) {
    const filled = await fill(place, count)
    if (!filled.isHeld) throw new Error(`${store}: a claim that lives was given again`)
    say(`  ${store}: ${(count / filled.seconds).toFixed(0)} claims/s`)
    const entries = `${count.toLocaleString('en')} live claims, ${store}`
    rows.push(sizeRow(`${entries}: process`, filled.residentMiB * 1.048576))
    if (diskBytes !== undefined) rows.push(sizeRow(`${entries}: disk`, (await diskBytes()) / 1e6))
  }
  return rows
}

async function fill(place: string, count: number): Promise<Filled> {
  const script = join(import.meta.dirname, 'fill_store.ts')
  const { stdout } = await run(process.execPath, ['--expose-gc', script, place, String(count)], {
    maxBuffer: MEBI,
  })
  const { seconds, isHeld, residentMiB } = Object(JSON.parse(stdout))
  return { seconds: Number(seconds), isHeld: isHeld === true, residentMiB: Number(residentMiB) }
}

/** Of files; one that is not there has none. */
function sizesOf(...files: readonly string[]): number {
  return files.reduce((sum, file) => sum + (statSync(file, { throwIfNoEntry: false })?.size ?? 0), 0)
}

function sizeRow(title: string, megabytes: number): Row {
  return {
    title,
    figure: 'MB',
    ours: `${megabytes.toFixed(0)} MB`,
    theirs: '',
    ratio: undefined,
    cpuRatio: undefined,
    goal: `<= ${LIMIT_MB} MB`,
    floor: `<= ${LIMIT_MB} MB`,
    verdict: judge(megabytes, LIMIT_MB, LIMIT_MB, 'atMost'),
    noisy: false,
  }
}
