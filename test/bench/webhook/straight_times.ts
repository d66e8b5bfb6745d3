// The webhook's own server, asked straight: how many reviews a core judges, what a very large one does to the others, and whether
// memory stays flat. The ledger knows every Module, and who publishes is judged. usage: straight_times.ts [SECONDS]
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { SERVER_CORE } from '../cores.ts'
import { median } from '../measure.ts'
import { residentMiB } from '../process_stats.ts'
import { judge } from '../verdict.ts'
import type { Row } from '../verdict.ts'
import { loadReviews, writeReviews } from './review_load.ts'
import { largeReview } from './reviews.ts'
import { createWebhookWorld } from './world.ts'
import type { WebhookWorld } from './world.ts'

export type StraightTimes = {
  /** As fast as it goes. */
  readonly perSecond: number
  /** Connections pause, so that it is asked for somewhat more than the rate that is wanted. */
  readonly paced: { readonly perSecond: number; readonly p50Ms: number; readonly p99Ms: number }
  readonly large: { readonly bytes: number; readonly slowestMs: number; readonly othersSlowestMs: number }
  readonly soak: {
    readonly reviews: number
    /** MiB after each slice. */
    readonly resident: readonly number[]
    /** Median of the last third / median of the second. */
    readonly growth: number
  }
}

const VERSIONS = 100
const MODULES = 40
/** V8 compiles what is hot for some ten thousand reviews. */
const WARM_UP_SECONDS = 15
/** Of each of the sixteen connections before each review. */
const PAUSE_MS = 2.5
/** Three times what is promised: V8 collects the old generation every 100,000 or so, and what it had before the first time is less. */
const SOAK_REVIEWS = 300_000
const SLICE_SECONDS = 4

/** Modules `first` and on are made for it. The webhook has core 0 alone, the generator the other. */
export async function measureStraight(
  world: WebhookWorld,
  { seconds, first }: { readonly seconds: number; readonly first: number },
): Promise<StraightTimes> {
  const [replica] = world.webhook.replicas
  if (replica === undefined) throw new Error('no webhook')
  await world.fill('sallyport', first, first + MODULES, VERSIONS)
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-reviews-'))
  try {
    const file = join(folder, 'reviews.jsonl')
    const reviews = await writeReviews(file, world.forge, { first, modules: MODULES, versions: VERSIONS })
    await world.recorded()
    await loadReviews(replica.url, file, WARM_UP_SECONDS)
    const { perSecond } = await loadReviews(replica.url, file, seconds)
    const paced = await loadReviews(replica.url, file, seconds, PAUSE_MS)
    const large = await besideLarge(world, replica.url, reviews, first)
    const soak = await soakReviews(replica.url, replica.pid, file)
    return { perSecond, paced, large, soak }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const LARGE_ROUNDS = 12

/** One after the other over each of four connections, while every third of a second a large one comes over another. */
async function besideLarge(
  world: WebhookWorld,
  url: string,
  reviews: readonly string[],
  first: number,
): Promise<StraightTimes['large']> {
  const agent = new Agent({ keepAlive: true, maxSockets: 8, ca: world.webhook.caPem })
  // As bytes: that a text of megabytes is encoded would be part of the times of the others.
  const body = Buffer.from(JSON.stringify(largeReview(world.forge, first)))
  const others: number[] = []
  const talks = { isOver: false }
  const talk = async (nth: number): Promise<void> => {
    for (let index = nth; !talks.isOver; index += 4) {
      const spent = await post(url, agent, reviews[index % reviews.length] ?? '')
      others.push(spent)
      await sleep(5)
    }
  }
  await post(url, agent, body, LARGE_ANSWER)
  const talking = Promise.all([0, 1, 2, 3].map(talk))
  await sleep(500)
  others.length = 0
  const large: number[] = []
  for (let round = 0; round < LARGE_ROUNDS; round += 1) {
    large.push(await post(url, agent, body, LARGE_ANSWER))
    await sleep(300)
  }
  talks.isOver = true
  await talking
  agent.destroy()
  return { bytes: body.byteLength, slowestMs: Math.max(...large), othersSlowestMs: Math.max(...others) }
}

/** That it is too many, and nothing else. */
const LARGE_ANSWER = '"message":"WH-V11: spec.versions would have'

/** Milliseconds to the last byte of an answer that says what it should. */
function post(url: string, agent: Agent, body: string | Buffer, wanted = '"allowed":true'): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
  const began = performance.now()
  const outgoing = request(url, { method: 'POST', agent, headers }, (response) => {
    let text = ''
    response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
    response.once('end', () => {
      if (text.includes(wanted)) resolve(performance.now() - began)
      else reject(new Error(`another answer: ${text}`))
    })
  })
  outgoing.once('error', reject)
  outgoing.end(body)
  return promise
}

async function soakReviews(url: string, pid: number, file: string): Promise<StraightTimes['soak']> {
  const resident: number[] = []
  let reviews = 0
  while (reviews < SOAK_REVIEWS) {
    reviews += (await loadReviews(url, file, SLICE_SECONDS)).requests
    resident.push(residentMiB(pid))
  }
  const third = Math.max(1, Math.floor(resident.length / 3))
  const growth = median(resident.slice(-third)) / median(resident.slice(third, 2 * third))
  return { reviews, resident, growth }
}

/** 2,500 reviews/s on one core with p99 under 8 ms; a 3 MB one under 150 ms with others under 20; flat over 100,000 and more. */
export function judgeStraight({ perSecond, paced, large, soak }: StraightTimes): readonly Row[] {
  const shared = { cpuRatio: undefined, ratio: undefined, theirs: '', noisy: false }
  return [
    {
      ...shared,
      title: 'reviews of 100 versions, straight, one core, c=16',
      figure: '1/s',
      ours: `${perSecond.toFixed(0)}/s`,
      goal: '>= 2,500/s',
      floor: '>= 2,500/s',
      verdict: judge(perSecond, 2500, 2500, 'atLeast'),
    },
    {
      ...shared,
      title: `the same at ${paced.perSecond.toFixed(0)}/s`,
      figure: 'p99',
      ours: `${paced.p99Ms.toFixed(2)} ms (p50 ${paced.p50Ms.toFixed(2)})`,
      goal: '< 8 ms at 2,500/s',
      floor: '< 8 ms at 2,500/s',
      verdict: paced.perSecond < 2500 ? 'MISS' : judge(paced.p99Ms, 8, 8, 'atMost'),
    },
    {
      ...shared,
      title: `a review of ${(large.bytes / 1e6).toFixed(1)} MB, 60,000 versions, the slowest of ${LARGE_ROUNDS}`,
      figure: 'ms',
      ours: `${large.slowestMs.toFixed(0)} ms`,
      goal: '< 150 ms',
      floor: '< 150 ms',
      verdict: judge(large.slowestMs, 150, 150, 'atMost'),
    },
    {
      ...shared,
      title: 'others beside it, the slowest',
      figure: 'ms',
      ours: `${large.othersSlowestMs.toFixed(1)} ms`,
      goal: '< 20 ms',
      floor: '< 20 ms',
      verdict: judge(large.othersSlowestMs, 20, 20, 'atMost'),
    },
    {
      ...shared,
      title: `memory over ${soak.reviews} reviews, last third / second`,
      figure: 'RSS',
      ours: `${soak.growth.toFixed(2)} (${Math.round(soak.resident.at(-1) ?? 0)} MiB)`,
      goal: '<= 1.1',
      floor: '<= 1.1',
      verdict: judge(soak.growth, 1.1, 1.1, 'atMost'),
    },
  ]
}

if (import.meta.main) {
  const world = await createWebhookWorld(SERVER_CORE)
  try {
    const times = await measureStraight(world, { seconds: Number(process.argv[2] ?? 5), first: 0 })
    console.log(JSON.stringify({ ...times, rows: judgeStraight(times) }, undefined, 2))
  } finally {
    await world.stop()
  }
}
