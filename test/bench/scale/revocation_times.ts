// From the end of `sallyport emergency disable` until every process of every broker obeys. Two brokers on one PostgreSQL, one
// of them with two workers: three processes.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { entryOf } from '../contestants.ts'
import { median } from '../measure.ts'
import { judge } from '../verdict.ts'
import type { Row } from '../verdict.ts'
import { benchBasic, sallyportBenchEnv } from '../world.ts'
import type { ScaleWorld } from './scale_rates.ts'
import { startScaleServer } from './scale_servers.ts'
import type { ScaleServer } from './scale_servers.ts'

const run = promisify(execFile)
const LIMIT_MS = 2000
/** Connections in turn: enough that each worker has its say in each look. */
const ASK_EACH = 4

export async function measureRevocation(scale: ScaleWorld, times: number): Promise<Row> {
  const { world, tokens } = scale
  const postgres = await scale.postgres.database()
  const servers: ScaleServer[] = []
  try {
    const given = { world, tokens, singleUse: 'off', postgres } as const
    servers.push(await startScaleServer({ name: 'revocation one', ...given }))
    servers.push(await startScaleServer({ name: 'revocation two', ...given, workers: 2 }))
    const measured: number[] = []
    for (let time = 0; time < times; time += 1) {
      await emergency(servers[0], 'disable', 'client', 'ci')
      measured.push(await untilAll(servers, 401))
      await emergency(servers[0], 'lift', 'disable', 'client', 'ci')
      measured.push(await untilAll(servers, 200))
    }
    scale.say(`  revocation: median ${median(measured).toFixed(0)} ms`)
    const slowest = Math.max(...measured)
    return {
      title: `a client switched off and on, ${measured.length} times: until all of three processes obey`,
      figure: 'slowest',
      ours: `${slowest.toFixed(0)} ms`,
      theirs: '',
      ratio: undefined,
      cpuRatio: undefined,
      goal: `< ${LIMIT_MS} ms`,
      floor: `< ${LIMIT_MS} ms`,
      verdict: judge(slowest, LIMIT_MS, LIMIT_MS, 'atMost'),
      noisy: false,
    }
  } finally {
    for (const server of servers) await server.stop()
  }
}

async function emergency(server: ScaleServer | undefined, ...args: readonly string[]): Promise<void> {
  if (server === undefined) throw new Error('no server')
  const command = [entryOf('packed'), 'emergency', ...args, '--config', server.config]
  await run(process.execPath, command, { cwd: server.folder, env: { ...process.env, ...sallyportBenchEnv } })
}

/** Milliseconds until every connection of a look at every server is answered so. */
async function untilAll(servers: readonly ScaleServer[], status: number): Promise<number> {
  const startedAt = performance.now()
  for (;;) {
    const asked = servers.flatMap((server) => Array.from({ length: ASK_EACH }, () => credentials(server)))
    const answers = await Promise.all(asked)
    const passed = performance.now() - startedAt
    if (answers.every((answer) => answer === status) || passed > 10 * LIMIT_MS) return passed
  }
}

async function credentials({ url }: ScaleServer): Promise<number> {
  const answer = await fetch(`${url}/token`, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      authorization: `Basic ${benchBasic}`,
      connection: 'close',
    },
    body: 'grant_type=client_credentials&scope=groups',
  })
  await answer.text()
  return answer.status
}
