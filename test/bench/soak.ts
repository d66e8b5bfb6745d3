// Many exchanges at one server: resident memory must stay flat.
import { truncateSync } from 'node:fs'
import { join } from 'node:path'
import type { Contestant } from './contestants.ts'
import { generate } from './load.ts'
import type { Load } from './load.ts'
import { median } from './measure.ts'
import { residentMiB } from './process_stats.ts'

export type SoakResult = {
  readonly requests: number
  readonly seconds: number
  /** MiB after each slice. */
  readonly resident: readonly number[]
  /** Median of the last quarter / median of the second quarter. */
  readonly growth: number
  readonly flat: boolean
}

const SLICE_SECONDS = 5
/** Growth of the last quarter over the second which still counts as flat: the heap breathes. */
const FLAT = 1.1

export async function soak(
  server: Contestant,
  load: Load,
  total: number,
  folder: string,
  say: (line: string) => void,
): Promise<SoakResult> {
  const resident: number[] = []
  let requests = 0
  const began = performance.now()
  while (requests < total) {
    const result = await generate(load, 32, SLICE_SECONDS)
    if (result.failed > 0) throw new Error(`${result.failed} requests failed after ${requests}`)
    requests += result.requests
    resident.push(residentMiB(server.pid))
    // A million audit events are some 700 MB that nobody reads here; the writer appends.
    truncateSync(join(folder, 'audit.jsonl'))
    say(`${requests} exchanges, ${Math.round(result.perSecond)}/s, ${Math.round(resident.at(-1) ?? 0)} MiB`)
  }
  const growth = growthOf(resident)
  return { requests, seconds: (performance.now() - began) / 1000, resident, growth, flat: growth <= FLAT }
}

/** Last quarter over second quarter: the first is warm-up. Too few slices: last over first. */
function growthOf(resident: readonly number[]): number {
  const quarter = Math.floor(resident.length / 4)
  if (quarter === 0) return (resident.at(-1) ?? Number.NaN) / (resident[0] ?? Number.NaN)
  return median(resident.slice(-quarter)) / median(resident.slice(quarter, 2 * quarter))
}
