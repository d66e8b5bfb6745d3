// What a flood of garbage tokens takes from those who have good ones: a fixed good load at half of what the broker can do, alone
// and beside 2,000 garbage tokens a second, in turn.
import { join } from 'node:path'
import type { Contestant } from '../contestants.ts'
import { generate } from '../load.ts'
import { FOREIGN_CORES, median } from '../measure.ts'
import { cpuBetween, markCpu, residentMiB } from '../process_stats.ts'
import { judge } from '../verdict.ts'
import type { Row } from '../verdict.ts'
import { benchBasic } from '../world.ts'
import type { BenchWorld } from '../world.ts'
import { writeGarbage } from './garbage.ts'
import { paced } from './paced_load.ts'
import type { PacedResult } from './paced_load.ts'

const GARBAGE_PER_SECOND = 2000
const CONNECTIONS = 32

type Round = { readonly quiet: PacedResult; readonly flooded: PacedResult; readonly garbage: PacedResult }

export type FloodTimes = {
  /** Good exchanges a second that the broker can do, and half of them: what is offered. */
  readonly capacity: number
  readonly offered: number
  readonly rounds: readonly Round[]
  /** MiB before the first flood and after the last. */
  readonly residentBefore: number
  readonly residentAfter: number
  readonly foreignCores: number
}

export type FloodPace = { readonly seconds: number; readonly rounds: number }

export async function measureFlood(
  server: Contestant,
  world: BenchWorld,
  { seconds, rounds }: FloodPace,
): Promise<FloodTimes> {
  const garbageFile = join(world.folder, 'garbage.txt')
  writeGarbage(world.bodies.exchange, garbageFile)
  const good = { url: `${server.url}/token`, bodies: world.bodies.exchange, basic: benchBasic }
  // Twice: the first one warms up.
  await generate(good, CONNECTIONS, seconds)
  const { perSecond: capacity } = await generate(good, CONNECTIONS, seconds)
  const url = new URL(good.url)
  const at = {
    port: Number(url.port),
    path: url.pathname,
    basic: benchBasic,
    connections: CONNECTIONS,
    seconds,
  }
  const offered = Math.round(capacity / 2)
  const goodLoad = { ...at, bodies: world.bodies.exchange, perSecond: offered }
  const garbageLoad = { ...at, bodies: garbageFile, perSecond: GARBAGE_PER_SECOND }
  const residentBefore = residentMiB(server.pid)
  const both = async (): Promise<readonly [PacedResult, PacedResult]> =>
    Promise.all([paced(goodLoad), paced(garbageLoad)])
  // As of good ones: what V8 compiles of the way of a refusal is no part of the flood.
  await both()
  const measured: Round[] = []
  const before = markCpu(server.pid)
  for (let round = 0; round < rounds; round += 1) {
    const quiet = await paced(goodLoad)
    const [flooded, garbage] = await both()
    measured.push({ quiet, flooded, garbage })
  }
  const { foreignCores } = cpuBetween(before, markCpu(server.pid))
  return {
    capacity,
    offered,
    rounds: measured,
    residentBefore,
    residentAfter: residentMiB(server.pid),
    foreignCores,
  }
}

function served(result: PacedResult): number {
  return (result.answers['200'] ?? 0) / result.offered
}

export function judgeFlood(times: FloodTimes): readonly Row[] {
  const { rounds, capacity, offered } = times
  const title = `exchange at half of ${capacity.toFixed(0)}/s beside ${GARBAGE_PER_SECOND} garbage tokens/s`
  const noisy = times.foreignCores > FOREIGN_CORES
  const kept = median(rounds.map(({ flooded }) => served(flooded)))
  const quietP99 = median(rounds.map(({ quiet }) => quiet.p99Ms))
  const floodedP99 = median(rounds.map(({ flooded }) => flooded.p99Ms))
  const refused = Math.min(...rounds.map(({ garbage }) => (garbage.answers['401'] ?? 0) / garbage.offered))
  const growth = times.residentAfter - times.residentBefore
  const common = { cpuRatio: undefined, noisy }
  return [
    {
      ...common,
      title,
      figure: 'rate',
      ours: `${(kept * offered).toFixed(0)}/s`,
      theirs: `${offered}/s offered`,
      ratio: kept,
      goal: '>= 1x',
      floor: '>= 0.99x',
      verdict: judge(kept, 1, 0.99, 'atLeast'),
    },
    {
      ...common,
      title,
      figure: 'p99',
      ours: `${floodedP99.toFixed(2)} ms`,
      theirs: `${quietP99.toFixed(2)} ms quiet`,
      ratio: floodedP99 / quietP99,
      goal: '<= 2x',
      floor: '<= 3x',
      verdict: judge(floodedP99 / quietP99, 2, 3, 'atMost'),
    },
    {
      ...common,
      title: 'garbage that is refused as garbage, of all that is offered',
      figure: '401',
      ours: refused.toFixed(3),
      theirs: '',
      ratio: refused,
      goal: '>= 1x',
      floor: '>= 0.99x',
      verdict: judge(refused, 1, 0.99, 'atLeast'),
    },
    {
      ...common,
      title: 'RSS that the floods add',
      figure: 'RSS',
      ours: `${growth.toFixed(0)} MiB`,
      theirs: `${times.residentBefore.toFixed(0)} MiB before`,
      ratio: undefined,
      goal: '<= 20 MiB',
      floor: '<= 50 MiB',
      verdict: judge(growth, 20, 50, 'atMost'),
    },
  ]
}
