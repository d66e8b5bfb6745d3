// npm run bench: ours and the real Dex side by side. usage: run.ts [--quick] [--peers-only] [--only WORDS] | kube | webhook | abuse | scale | soak [N]
// Exits 1 if a floor is missed. Figures of a machine that others use at the same time are marked as noisy.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { judgeFlood, measureFlood } from './abuse/flood_times.ts'
import type { FloodPace, FloodTimes } from './abuse/flood_times.ts'
import { judgeGuesses, measureGuesses } from './abuse/guess_times.ts'
import { cases } from './cases.ts'
import type { Case } from './cases.ts'
import { startContestant } from './contestants.ts'
import { leaveCore, SERVER_CORE } from './cores.ts'
import { judgeCredential, measureCredential } from './credential_times.ts'
import type { Contestant, ContestantName } from './contestants.ts'
import { generate } from './load.ts'
import type { Load } from './load.ts'
import { describeMachine, signatureLimits } from './machine.ts'
import { measureInterleaved } from './measure.ts'
import type { Measured, Operation, Pace } from './measure.ts'
import { residentMiB } from './process_stats.ts'
import { writeReport } from './report.ts'
import type { Report } from './report.ts'
import { judgeCase, judgeCli, judgeMemory, judgeStarts } from './rows.ts'
import { measureScale } from './scale/scale.ts'
import { soak } from './soak.ts'
import type { SoakResult } from './soak.ts'
import { measureCli, measureStarts } from './start_times.ts'
import type { CliTimes, StartTimes } from './start_times.ts'
import { judgeApiserver, measureAtApiserver, versionsAndFirst } from './webhook/apiserver_times.ts'
import { judgeStraight, measureStraight } from './webhook/straight_times.ts'
import { createWebhookWorld } from './webhook/world.ts'
import { judgeTokenReviews, measureTokenReviews } from './token_review_times.ts'
import type { Row } from './verdict.ts'
import { benchBasic, createBenchWorld } from './world.ts'
import type { BenchWorld } from './world.ts'

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    'peers-only': { type: 'boolean', default: false },
    only: { type: 'string' },
  },
})
/** Only the webhook. */
const webhookOnly = positionals[0] === 'webhook'
/** Only floods and guesses. */
const abuseOnly = positionals[0] === 'abuse'
/** Only stores and processes. */
const scaleOnly = positionals[0] === 'scale'
/** Only what concerns kube-apiserver and kubectl. */
const kubeOnly = positionals[0] === 'kube'
const soakRequests = positionals[0] === 'soak' ? Number(positionals[1] ?? 1_000_000) : undefined
const pace: Pace = flags.quick
  ? { seconds: 1, warmUpSeconds: 1, rounds: 1, retries: 0 }
  : { seconds: 2, warmUpSeconds: 6, rounds: 8, retries: 4 }

if (!flags['peers-only']) {
  say('building the package')
  execFileSync(process.execPath, [join(import.meta.dirname, '..', 'support', 'build_bundle.ts')])
}
const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'))
const world = await createBenchWorld(folder)
const running = new Map<ContestantName, Contestant>()
try {
  const machine = await describeMachine()
  const limits = await signatureLimits(flags.quick ? 1 : 3)
  const rows: Row[] = []
  const measured: { case: Case; results: Measured[] }[] = []
  let starts: StartTimes | undefined
  let cli: CliTimes | undefined
  let soaked: SoakResult | undefined
  if (soakRequests !== undefined) {
    soaked = await runSoak(soakRequests)
  } else if (kubeOnly) {
    rows.push(...(await measureKube()))
  } else if (webhookOnly) {
    rows.push(...(await measureWebhook()))
  } else if (abuseOnly) {
    rows.push(...(await measureAbuse()))
  } else if (scaleOnly) {
    rows.push(...(await measureScale({ world, quick: flags.quick, say })))
  } else {
    for (const one of cases.filter((each) => flags.only === undefined || each.title.includes(flags.only))) {
      say(one.title)
      const names = flags['peers-only'] ? [one.dex] : [one.ours, one.dex]
      const results = await measureCase(names, one.operation, one.connections)
      measured.push({ case: one, results })
      rows.push(...judgeCase(one, results))
      for (const { server, median } of results) {
        say(
          `  ${server}: ${median.perSecond.toFixed(0)}/s, p50 ${median.p50Ms.toFixed(2)} ms, p99 ${median.p99Ms.toFixed(2)} ms`,
        )
      }
    }
    if (!flags['peers-only'] && flags.only === undefined) {
      rows.push(...(await measureMemory()))
      await stopAll()
      starts = await measureStarts(world, flags.quick ? 3 : 10)
      cli = await measureCli(flags.quick ? 3 : 10)
      rows.push(judgeStarts(starts), judgeCli(cli), ...(await measureKube()), ...(await measureWebhook()))
      rows.push(...(await measureAbuse()))
      rows.push(...(await measureScale({ world, quick: flags.quick, say })))
    }
  }
  const report: Report = {
    at: new Date().toISOString(),
    quick: flags.quick,
    machine,
    limits,
    tokenBytes: world.tokenBytes,
    rows,
    measured,
    starts,
    cli,
    soak: soaked,
  }
  console.log(writeReport(report, join(import.meta.dirname, '..', '..', '.bench')).markdown)
  const missed = rows.some((row) => row.verdict === 'MISS') || soaked?.flat === false
  process.exitCode = missed ? 1 : 0
} finally {
  await stopAll()
  await world.upstream.stop()
  rmSync(folder, { recursive: true, force: true })
}

function say(line: string): void {
  console.error(line)
}

async function contestant(name: ContestantName): Promise<Contestant> {
  const known = running.get(name)
  if (known !== undefined) return known
  const fresh = await startContestant(name, world)
  running.set(name, fresh)
  return fresh
}

async function stopAll(): Promise<void> {
  for (const [name, server] of running) {
    running.delete(name)
    await server.stop()
  }
}

async function measureCase(
  names: readonly ContestantName[],
  operation: Operation,
  connections: number,
): Promise<Measured[]> {
  const servers: Contestant[] = []
  for (const name of names) servers.push(await contestant(name))
  return measureInterleaved(servers, (server) => loadOf(server, operation, world), connections, pace)
}

function loadOf(server: Contestant, operation: Operation, given: BenchWorld): Load {
  switch (operation) {
    case 'exchange':
      return { url: `${server.url}/token`, bodies: given.bodies.exchange, basic: benchBasic }
    case 'client_credentials':
      return { url: `${server.url}/token`, bodies: given.bodies.clientCredentials, basic: benchBasic }
    case 'keys':
      return { url: `${server.url}/keys`, bodies: undefined, basic: benchBasic }
    case 'discovery':
      return { url: `${server.url}/.well-known/openid-configuration`, bodies: undefined, basic: benchBasic }
  }
}

/** RSS of fresh servers, idle and after load, and the small-heap profile beside the usual one. */
async function measureMemory(): Promise<Row[]> {
  await stopAll()
  const usual = await contestant('sallyport ES256')
  await sleep(flags.quick ? 500 : 3000)
  const idle = residentMiB(usual.pid)
  const [normal, small] = await measureCase(['sallyport ES256', 'sallyport ES256 small heap'], 'exchange', 32)
  return normal === undefined || small === undefined ? [] : judgeMemory(idle, normal, small)
}

/** kubectl's plugin beside bare Node; our token beside a ServiceAccount's at a real kube-apiserver. */
async function measureKube(): Promise<Row[]> {
  say('credential')
  const credential = await measureCredential(flags.quick ? 3 : 15)
  say('TokenReview')
  const reviews = await measureTokenReviews(flags.quick ? 100 : 500)
  return [...judgeCredential(credential), judgeTokenReviews(reviews)]
}

/** Garbage beside good tokens, and what the clock tells somebody who guesses. */
async function measureAbuse(): Promise<Row[]> {
  say('garbage tokens beside good ones')
  const flood = flags.quick ? { seconds: 2, rounds: 1 } : { seconds: 10, rounds: 5 }
  const floodTimes = await measureFloodAlone(flood)
  say('unknown client against wrong secret')
  const guesses = await measureGuesses(world, flags.quick ? 2000 : 10_000)
  return [...judgeFlood(floodTimes), ...judgeGuesses(guesses)]
}

/** The broker has a core to itself: at half of what it can do, generators beside it would be what it waits for. */
async function measureFloodAlone(floodPace: FloodPace): Promise<FloodTimes> {
  const haveAll = leaveCore(SERVER_CORE)
  const server = await startContestant('sallyport ES256', world, { core: SERVER_CORE })
  try {
    return await measureFlood(server, world, floodPace)
  } finally {
    await server.stop()
    haveAll()
  }
}

/** Reviews through a real kube-apiserver beside an empty webhook, and straight at the server. */
async function measureWebhook(): Promise<Row[]> {
  return [...(await measureWebhookAtApiserver()), ...(await measureWebhookAlone())]
}

async function measureWebhookAtApiserver(): Promise<Row[]> {
  const webhookWorld = await createWebhookWorld()
  try {
    const rows: Row[] = []
    const rounds = flags.quick ? 50 : 400
    for (const [versions, first] of versionsAndFirst(rounds)) {
      say(`publishing onto ${versions} versions`)
      rows.push(judgeApiserver(await measureAtApiserver(webhookWorld, { versions, rounds, first })))
    }
    return rows
  } finally {
    await webhookWorld.stop()
  }
}

/** In a world of its own: the webhook has one core from its start. */
async function measureWebhookAlone(): Promise<readonly Row[]> {
  const webhookWorld = await createWebhookWorld(SERVER_CORE)
  try {
    say('reviews straight')
    const seconds = flags.quick ? 3 : 10
    return judgeStraight(await measureStraight(webhookWorld, { seconds, first: 0 }))
  } finally {
    await webhookWorld.stop()
  }
}

async function runSoak(total: number): Promise<SoakResult> {
  const server = await contestant('sallyport ES256')
  const load = loadOf(server, 'exchange', world)
  await generate(load, 32, 5)
  return soak(server, load, total, join(folder, 'sallyport-ES256'), say)
}
