// What "good once" costs, and what a second process brings: two brokers under the same load in turn, medians of the rounds.
// Both get fresh tokens, so that nothing but the store differs.
import { setTimeout as sleep } from 'node:timers/promises'
import type { PostgresServer } from '../../support/postgres.ts'
import { generate } from '../load.ts'
import type { LoadResult } from '../load.ts'
import { median, ratioOf } from '../measure.ts'
import { markCpu } from '../process_stats.ts'
import { judge } from '../verdict.ts'
import type { Row } from '../verdict.ts'
import { benchBasic, exchangeBody } from '../world.ts'
import type { BenchWorld } from '../world.ts'
import { familyCpuSeconds } from './family_cpu.ts'
import type { FreshTokens } from './fresh_tokens.ts'
import { startScaleServer } from './scale_servers.ts'
import type { ScaleServer } from './scale_servers.ts'

type ScalePace = { readonly warmUpSeconds: number; readonly seconds: number; readonly rounds: number }

export type ScaleWorld = {
  readonly world: BenchWorld
  readonly tokens: FreshTokens
  readonly postgres: PostgresServer
  readonly pace: ScalePace
  readonly say: (line: string) => void
}

const CONNECTIONS = 32
/** Tokens for each second of a cell: at least so many, and so many times those of the fastest cell before. */
const LEAST_ROOM = 6000
const ROOM = 1.4

/** `cpuMicros`: of the broker and of the database, for each request. */
type Rates = { readonly perSecond: number; readonly p99Ms: number; readonly cpuMicros: number }

type Cell = LoadResult & Pick<Rates, 'cpuMicros'>

/** The rates of both, `ratio`: the median of those within a round, and whether the machine was somebody else's meanwhile. */
type Compared = {
  readonly first: Rates
  readonly second: Rates
  readonly ratio: number
  readonly noisy: boolean
}

export async function measureSqlite(scale: ScaleWorld): Promise<Row> {
  const { world, tokens } = scale
  const compared = await compare(scale, [
    () => startScaleServer({ name: 'SQLite once', world, tokens, singleUse: 'once' }),
    () => startScaleServer({ name: 'SQLite off', world, tokens, singleUse: 'off' }),
  ])
  return rateRow('good once, SQLite (beside: as often as one likes)', compared, 0.85)
}

export async function measurePostgres(scale: ScaleWorld): Promise<Row> {
  const { world, tokens } = scale
  const postgres = await scale.postgres.database()
  const compared = await compare(scale, [
    () => startScaleServer({ name: 'PostgreSQL once', world, tokens, singleUse: 'once', postgres }),
    () => startScaleServer({ name: 'PostgreSQL off', world, tokens, singleUse: 'off', postgres }),
  ])
  return rateRow('good once, PostgreSQL (beside: as often as one likes)', compared, 0.5)
}

/** Rates, and then tokens that many ask to exchange at once at both processes. */
export async function measureTwoProcesses(scale: ScaleWorld): Promise<readonly Row[]> {
  const { world, tokens } = scale
  const postgres = await scale.postgres.database()
  const once = { world, tokens, singleUse: 'once', postgres } as const
  let spent: Spent | undefined
  const compared = await compare(
    scale,
    [
      () => startScaleServer({ name: 'PostgreSQL two processes', ...once, workers: 2 }),
      () => startScaleServer({ name: 'PostgreSQL one process', ...once }),
    ],
    async (two) => {
      spent = await spendAtOnce(two, tokens)
    },
  )
  if (spent === undefined) throw new Error('nothing was spent')
  return [rateRow('two processes on one PostgreSQL (beside: one)', compared, 0.9), spentRow(spent)]
}

/** Of the busiest pause between two cells: in 300 ms a checkpoint of the database is a tenth of a core. */
const NOISY_CORES = 0.25

async function compare(
  scale: ScaleWorld,
  starts: readonly [() => Promise<ScaleServer>, () => Promise<ScaleServer>],
  afterwards: (first: ScaleServer) => Promise<void> = async () => {},
): Promise<Compared> {
  const servers: ScaleServer[] = []
  try {
    for (const start of starts) servers.push(await start())
    const cells = new Map<ScaleServer, Cell[]>()
    let foreign = 0
    for (const server of servers) await warmUp(scale, server)
    for (let round = 0; round < scale.pace.rounds; round += 1) {
      // Each comes as often first as second: the clock of a machine's cores drifts within a round.
      for (const server of round % 2 === 0 ? servers : servers.toReversed()) {
        const before = cells.get(server) ?? []
        const { seconds } = scale.pace
        foreign = Math.max(foreign, await busyCores())
        const fastest = Math.max(LEAST_ROOM, ...before.map(({ perSecond }) => perSecond * ROOM))
        const result = await measureCell(scale, server, seconds, Math.ceil(fastest * seconds))
        cells.set(server, [...before, result])
      }
    }
    const [first, second] = servers.map((server) => {
      const measured = cells.get(server) ?? []
      const rates = {
        perSecond: median(measured.map(({ perSecond }) => perSecond)),
        p99Ms: median(measured.map(({ p99Ms }) => p99Ms)),
        cpuMicros: median(measured.map(({ cpuMicros }) => cpuMicros)),
      }
      scale.say(
        `  ${server.name}: ${rates.perSecond.toFixed(0)}/s, p99 ${rates.p99Ms.toFixed(2)} ms, ${rates.cpuMicros.toFixed(0)} µs CPU`,
      )
      return { server, rates }
    })
    if (first === undefined || second === undefined) throw new Error('two servers are compared')
    await afterwards(first.server)
    return {
      first: first.rates,
      second: second.rates,
      ratio: ratioOf(
        cells.get(first.server) ?? [],
        cells.get(second.server) ?? [],
        ({ perSecond }) => perSecond,
      ),
      noisy: foreign > NOISY_CORES,
    }
  } finally {
    for (const server of servers) await server.stop()
  }
}

/**
 * The same few tokens again and again: most are refused as used, on the way that all of them go. Code that has run too seldom
 * to be compiled would be measured otherwise, and the more so the more processes share the load.
 */
async function warmUp({ tokens, pace }: ScaleWorld, { url }: ScaleServer): Promise<void> {
  const load = { url: `${url}/token`, bodies: await tokens.bodies(1000), basic: benchBasic }
  await generate(load, CONNECTIONS, pace.warmUpSeconds)
}

/** Throws if a request failed for another reason than that there were too few tokens; then there are more the next time. */
async function measureCell(
  scale: ScaleWorld,
  server: ScaleServer,
  seconds: number,
  count: number,
): Promise<Cell> {
  const { tokens, postgres } = scale
  const bodies = await tokens.bodies(count)
  const family = [server.pid, postgres.process().pid]
  const before = familyCpuSeconds(family)
  const load = { url: `${server.url}/token`, bodies, basic: benchBasic }
  const result = await generate(load, CONNECTIONS, seconds)
  const cpuMicros = ((familyCpuSeconds(family) - before) / result.requests) * 1e6
  if (result.failed === 0) return { ...result, cpuMicros }
  if (result.requests > count) return measureCell(scale, server, seconds, count * 2)
  throw new Error(
    `${server.name}: ${result.failed} of ${result.requests} failed\n${server.logs().slice(-4000)}`,
  )
}

/** Cores that others keep busy while nothing is measured. */
async function busyCores(): Promise<number> {
  const before = markCpu(process.pid)
  await sleep(300)
  const after = markCpu(process.pid)
  return (after.machine - before.machine - (after.own - before.own)) / ((after.atMs - before.atMs) / 1000)
}

function rateRow(title: string, { first, second, ratio, noisy }: Compared, floor: number): Row {
  return {
    title,
    figure: 'rate',
    ours: `${first.perSecond.toFixed(0)}/s`,
    theirs: `${second.perSecond.toFixed(0)}/s`,
    ratio,
    // What the rates would say on a machine of our own.
    cpuRatio: second.cpuMicros / first.cpuMicros,
    goal: `>= ${floor}x`,
    floor: `>= ${floor}x`,
    verdict: judge(ratio, floor, floor, 'atLeast'),
    noisy,
  }
}

type Spent = {
  readonly tokens: number
  readonly asked: number
  readonly bought: number
  readonly other: number
}

const CONTESTED = 200
const ASK_EACH = 10

/** Each of many tokens is asked for ten times at once, over connections that go to both processes in turn. */
async function spendAtOnce({ url }: ScaleServer, tokens: FreshTokens): Promise<Spent> {
  const spent = { tokens: CONTESTED, asked: 0, bought: 0, other: 0 }
  for (const token of await tokens.mint(CONTESTED)) {
    const body = exchangeBody(token)
    const answers = await Promise.all(Array.from({ length: ASK_EACH }, () => post(`${url}/token`, body)))
    const bought = answers.filter((status) => status === 200).length
    spent.asked += answers.length
    spent.bought += bought
    spent.other += answers.filter((status) => status !== 200 && status !== 401).length
    if (bought !== 1) spent.other += 1
  }
  return spent
}

async function post(url: string, body: string): Promise<number> {
  const headers = {
    'content-type': 'application/x-www-form-urlencoded',
    authorization: `Basic ${benchBasic}`,
    // A connection of its own: whoever keeps one asks one process for ever.
    connection: 'close',
  }
  const answer = await fetch(url, { method: 'POST', headers, body })
  await answer.text()
  return answer.status
}

function spentRow({ tokens, asked, bought, other }: Spent): Row {
  return {
    title: `${asked} exchanges of ${tokens} tokens, ten at once`,
    figure: 'bought',
    ours: `${bought}`,
    theirs: `${tokens}`,
    ratio: bought / tokens,
    cpuRatio: undefined,
    goal: 'each once',
    floor: 'each once',
    verdict: bought === tokens && other === 0 ? 'goal' : 'MISS',
    noisy: false,
  }
}
