// One cell of the bench, and a case: two servers under the same load, interleaved, the median of the rounds.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Contestant } from './contestants.ts'
import { generate } from './load.ts'
import type { Load } from './load.ts'
import { cpuBetween, markCpu, residentMiB } from './process_stats.ts'

export type Operation = 'exchange' | 'client_credentials' | 'keys' | 'discovery'

export type Cell = {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly cpuMicrosPerRequest: number
  readonly serverCores: number
  /** Cores that neither the server nor the generator kept busy. */
  readonly foreignCores: number
  readonly residentMiB: number
}

export type Pace = {
  readonly seconds: number
  readonly warmUpSeconds: number
  readonly rounds: number
  /** A cell is measured again, up to this often, when foreign load was above `foreignCores`. */
  readonly retries: number
}

/** Above this the machine was somebody else's for too long to count. */
export const FOREIGN_CORES = 0.1

/** Throws if any request failed: a rate with errors in it says nothing. */
async function measureCell(
  server: Contestant,
  load: Load,
  connections: number,
  seconds: number,
): Promise<Cell> {
  const before = markCpu(server.pid)
  const result = await generate(load, connections, seconds)
  const use = cpuBetween(before, markCpu(server.pid))
  if (result.failed > 0) {
    throw new Error(
      `${server.name}: ${result.failed} of ${result.requests} requests failed\n${server.logs().slice(-4000)}`,
    )
  }
  return {
    perSecond: result.perSecond,
    p50Ms: result.p50Ms,
    p99Ms: result.p99Ms,
    cpuMicrosPerRequest: (use.serverSeconds / result.requests) * 1e6,
    serverCores: use.serverCores,
    foreignCores: use.foreignCores,
    residentMiB: residentMiB(server.pid),
  }
}

async function measureQuietCell(
  server: Contestant,
  load: Load,
  connections: number,
  pace: Pace,
): Promise<Cell> {
  let best = await measureCell(server, load, connections, pace.seconds)
  for (let retry = 0; retry < pace.retries && best.foreignCores > FOREIGN_CORES; retry += 1) {
    await sleep(1000)
    const again = await measureCell(server, load, connections, pace.seconds)
    if (again.foreignCores < best.foreignCores) best = again
  }
  return best
}

export type Measured = {
  readonly server: string
  /** Medians over the rounds, each figure for itself. */
  readonly median: Cell
  readonly rounds: readonly Cell[]
}

/**
 * Both servers in turn, `rounds` times, after a warm-up each. Each comes as often first as second: a machine whose speed changes
 * from one second to the next is then as often on the one's side as on the other's.
 */
export async function measureInterleaved(
  servers: readonly Contestant[],
  loadFor: (server: Contestant) => Load,
  connections: number,
  pace: Pace,
): Promise<Measured[]> {
  const rounds = new Map<Contestant, Cell[]>(servers.map((server) => [server, []]))
  if (pace.warmUpSeconds > 0) {
    for (const server of servers) await measureCell(server, loadFor(server), connections, pace.warmUpSeconds)
  }
  for (let round = 0; round < pace.rounds; round += 1) {
    const both = [...rounds]
    for (const [server, cells] of round % 2 === 0 ? both : both.toReversed()) {
      cells.push(await measureQuietCell(server, loadFor(server), connections, pace))
    }
  }
  return [...rounds].map(([server, cells]) => ({
    server: server.name,
    median: medianCell(cells),
    rounds: cells,
  }))
}

/** Median of what one figure of the first is to the second's in the same round. */
export function ratioOf<C>(first: readonly C[], second: readonly C[], figure: (cell: C) => number): number {
  return median(
    first.flatMap((cell, round) => {
      const other = second[round]
      return other === undefined ? [] : [figure(cell) / figure(other)]
    }),
  )
}

function medianCell(cells: readonly Cell[]): Cell {
  const of = (pick: (cell: Cell) => number) => median(cells.map(pick))
  return {
    perSecond: of((cell) => cell.perSecond),
    p50Ms: of((cell) => cell.p50Ms),
    p99Ms: of((cell) => cell.p99Ms),
    cpuMicrosPerRequest: of((cell) => cell.cpuMicrosPerRequest),
    serverCores: of((cell) => cell.serverCores),
    foreignCores: of((cell) => cell.foreignCores),
    residentMiB: of((cell) => cell.residentMiB),
  }
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const [low = Number.NaN, high = Number.NaN] = [sorted[middle - 1], sorted[middle]]
  return sorted.length % 2 === 1 ? high : (low + high) / 2
}
