// What a publish costs whoever publishes: PATCHes of one version onto Modules of so many, through a real kube-apiserver, at the
// four doors in turn. Every round has another pipeline, another token and another version. usage: apiserver_times.ts [ROUNDS]
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { median } from '../measure.ts'
import { judge } from '../verdict.ts'
import type { Row } from '../verdict.ts'
import { moduleName, NAMESPACES, versionOf } from './modules.ts'
import type { Door } from './modules.ts'
import { loadReviews, writeReviews } from './review_load.ts'
import { createWebhookWorld } from './world.ts'
import type { WebhookWorld } from './world.ts'

type DoorTimes = { readonly p50: number; readonly p95: number }

export type ApiserverTimes = {
  readonly versions: number
  readonly rounds: number
  /** Milliseconds at the client. */
  readonly doors: Readonly<Record<Door, DoorTimes>>
  /** Median of what Sallyport took more than the empty webhook in the same round. */
  readonly pairedMs: number
}

const DOORS = ['none', 'empty', 'sallyport', 'vap'] as const
const MODULES = 20
const WARM_UP = 20
const WARM_UP_SECONDS = 5
const PAUSE_MS = 100

/** @param first number of its first Module; each number of versions has Modules of its own */
export async function measureAtApiserver(
  world: WebhookWorld,
  { versions, rounds, first }: { readonly versions: number; readonly rounds: number; readonly first: number },
): Promise<ApiserverTimes> {
  for (const door of DOORS) await world.fill(door, first, first + MODULES, versions)
  await world.recorded()
  await warmUp(world, { versions, first })
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: world.cluster.caPem })
  const times: Record<Door, number[]> = { none: [], empty: [], sallyport: [], vap: [] }
  try {
    for (let round = 0; round < rounds + WARM_UP; round += 1) {
      const module = first + (round % MODULES)
      const version = versionOf(versions + Math.floor(round / MODULES))
      const token = await world.tokenOf(module, version)
      // The first request of a token is verified, the others are cached: nobody is always first.
      for (let turn = -1; turn < DOORS.length; turn += 1) {
        const door = doorOf(round, Math.max(0, turn))
        if (turn === -1) await whoAmI(world, agent, token)
        else {
          const spent = await publish(world, agent, { token, door, module, version })
          if (round >= WARM_UP) times[door].push(spent)
          // Each of them makes the ledger write: not while the next is measured.
          await sleep(PAUSE_MS)
        }
      }
    }
  } finally {
    agent.destroy()
  }
  const paired = times.sallyport.map((spent, index) => spent - (times.empty[index] ?? spent))
  const doors = {
    none: percentiles(times.none),
    empty: percentiles(times.empty),
    sallyport: percentiles(times.sallyport),
    vap: percentiles(times.vap),
  }
  return { versions, rounds, doors, pairedMs: median(paired) }
}

/** Each door comes as often first as last, and as often before another as after it. */
function doorOf(round: number, turn: number): Door {
  const step = round % 2 === 0 ? turn : DOORS.length - 1 - turn
  return DOORS[((round >> 1) + step) % DOORS.length] ?? 'none'
}

/** Both webhooks have judged before, as one that runs since yesterday has. */
async function warmUp(
  world: WebhookWorld,
  { versions, first }: { readonly versions: number; readonly first: number },
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-reviews-'))
  try {
    const file = join(folder, 'reviews.jsonl')
    await writeReviews(file, world.forge, { first, modules: MODULES, versions })
    for (const { url } of [...world.webhook.replicas, { url: world.emptyUrl }])
      await loadReviews(url, file, WARM_UP_SECONDS)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function percentiles(times: readonly number[]): DoorTimes {
  const sorted = times.toSorted((a, b) => a - b)
  return { p50: median(times), p95: sorted[Math.floor(sorted.length * 0.95)] ?? 0 }
}

async function whoAmI(world: WebhookWorld, agent: Agent, token: string): Promise<void> {
  const path = '/apis/authentication.k8s.io/v1/selfsubjectreviews'
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' }
  await ask(world, agent, { method: 'POST', path, token, body, type: 'application/json' })
}

type Publish = {
  readonly token: string
  readonly door: Door
  readonly module: number
  readonly version: string
}

/** Milliseconds from the call to the last byte. */
async function publish(
  world: WebhookWorld,
  agent: Agent,
  { token, door, module, version }: Publish,
): Promise<number> {
  const began = performance.now()
  await ask(world, agent, {
    method: 'PATCH',
    path: `/apis/opendepot.defdev.io/v1alpha1/namespaces/${NAMESPACES[door]}/modules/${moduleName(door, module)}`,
    token,
    body: [{ op: 'add', path: '/spec/versions/-', value: { version } }],
    type: 'application/json-patch+json',
  })
  return performance.now() - began
}

type Asked = {
  readonly method: string
  readonly path: string
  readonly token: string
  readonly body: unknown
  readonly type: string
}

/** Rejects whatever is not done: that would be quick, and wrong. */
function ask({ cluster }: WebhookWorld, agent: Agent, asked: Asked): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const payload = JSON.stringify(asked.body)
  const headers = {
    authorization: `Bearer ${asked.token}`,
    'content-type': asked.type,
    'content-length': Buffer.byteLength(payload),
  }
  const outgoing = request(
    `${cluster.url}${asked.path}`,
    { method: asked.method, agent, headers },
    (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      response.once('end', () => {
        const status = response.statusCode ?? 0
        if (status >= 200 && status < 300) resolve()
        else reject(new Error(`${asked.path} answers ${status}: ${text}`))
      })
    },
  )
  // Head and body are two writes: the second would wait 40 ms for the acknowledgement of the first.
  outgoing.setNoDelay(true)
  outgoing.once('error', reject)
  outgoing.end(payload)
  return promise
}

/** WH-V11. */
const MOST_VERSIONS = 500

/** Each round of all Modules adds one to every one of them, so the second begins as high as its rounds allow. */
export function versionsAndFirst(rounds: number): readonly (readonly [versions: number, first: number])[] {
  return [
    [100, 0],
    [MOST_VERSIONS - Math.ceil((rounds + WARM_UP) / MODULES), 1000],
  ]
}

/** Above the empty webhook: at most 1.0 ms at 100 versions, 2 ms at as many as there may be. */
export function judgeApiserver({ versions, rounds, doors, pairedMs }: ApiserverTimes): Row {
  const limit = versions === 100 ? 1 : 2
  const listedAt = (round: number): number => versions + Math.floor(round / MODULES)
  const [from, to] = [listedAt(WARM_UP), listedAt(WARM_UP + rounds - 1)]
  const above = doors.sallyport.p50 - doors.empty.p50
  const others = `none ${ms(doors.none.p50)}, VAP ${ms(doors.vap.p50)}`
  return {
    title: `publish onto ${from} to ${to} versions at kube-apiserver, above an empty Node webhook`,
    figure: `p50 of the rounds + ${pairedMs.toFixed(2)} ms (between both p50s ${above.toFixed(2)})`,
    ours: ms(doors.sallyport.p50),
    theirs: `${ms(doors.empty.p50)} (${others})`,
    ratio: doors.sallyport.p50 / doors.empty.p50,
    cpuRatio: undefined,
    goal: `<= + ${limit} ms`,
    floor: `<= + ${limit} ms`,
    verdict: judge(pairedMs, limit, limit, 'atMost'),
    noisy: false,
  }
}

function ms(value: number): string {
  return `${value.toFixed(2)} ms`
}

if (import.meta.main) {
  const rounds = Number(process.argv[2] ?? 200)
  const world = await createWebhookWorld()
  try {
    for (const [versions, first] of versionsAndFirst(rounds)) {
      const times = await measureAtApiserver(world, { versions, rounds, first })
      console.log(JSON.stringify({ ...times, row: judgeApiserver(times) }, undefined, 2))
    }
  } finally {
    await world.stop()
  }
}
