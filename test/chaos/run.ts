// npm run chaos: breaks two brokers on one PostgreSQL and one on SQLite at random, under load, and says what did not hold.
import { setTimeout as sleep } from 'node:timers/promises'
import { Misuse, readOptions, wholeNumber } from '../support/run_options.ts'
import { readAuditTrail } from './checks/audit.ts'
import { checkHistory } from './checker.ts'
import { createClient } from './client.ts'
import type { History, Violation } from './history.ts'
import { inject } from './inject.ts'
import { buyAtEach, startLoad } from './load.ts'
import { createRecorder } from './recorder.ts'
import type { Recorder } from './recorder.ts'
import { FAULT_KINDS, THINGS, scheduleFaults } from './schedule.ts'
import type { Fault, FaultKind } from './schedule.ts'
import { NoMount } from './small_disk.ts'
import { createTeardowns } from './teardowns.ts'
import type { Teardowns } from './teardowns.ts'
import { AUDIENCE, WITH_WORKERS, auditLinesOf, makeWorld } from './world.ts'
import type { World } from './world.ts'

const DEFAULT_MINUTES = 1
const MAX_MINUTES = 600
const DEFAULT_EVERY_MS = 1500
const PROGRESS_MS = 5000
/** At the end, for everything to be back. */
const PATIENCE_MS = 30_000
/** No more evidence than a screen holds; the count is whole. */
const SHOWN = 20

const OPTIONS = {
  minutes: { type: 'string' },
  seed: { type: 'string' },
  every: { type: 'string' },
  only: { type: 'string', multiple: true },
  without: { type: 'string', multiple: true },
  plan: { type: 'boolean' },
  help: { type: 'boolean' },
} as const

const HELP = `usage: npm run chaos -- [--minutes N] [--seed S] [--every MS] [--only FAULT]... [--without FAULT]... [--plan]

Two brokers on one PostgreSQL and a third one on SQLite, under load, while processes, clocks, stores, disks, issuers, keys
and configurations fail at random. A checker that keeps its own record, and shares no code with the broker, then says what
did not hold: that each token verifies against a key that was published before, that no token good once bought two, that
each decision is in the audit trail, that no key was lost, that nothing expired was accepted.

  --minutes N      how long; parts of a minute are allowed (${DEFAULT_MINUTES})
  --seed S         which faults come when (of the clock); the first line says which one it was
  --every MS       mean time from one fault to the next (${DEFAULT_EVERY_MS})
  --only FAULT     only this kind; may come more than once
  --without FAULT  not this kind; may come more than once
  --plan           prints the faults and does nothing

ends with 0: everything held; 1: something did not, or nothing could be shown; 2: called wrongly, or this machine lacks
something (root for full disks, PostgreSQL)

examples
  npm run chaos -- --minutes 30 --seed 7
  npm run chaos -- --minutes 0.5 --seed 7 --only kill --only disk_full
  npm run chaos -- --seed 7 --plan

faults
${FAULT_KINDS.map(({ name, about }) => `  ${name.padEnd(15)}${about}`).join('\n')}
`

type Plan = {
  readonly seed: number
  readonly durationMs: number
  readonly everyMs: number
  readonly kinds: readonly FaultKind[]
}

async function main(): Promise<number> {
  const options = readOptions(OPTIONS)
  if (options.help === true) {
    console.log(HELP)
    return 0
  }
  const plan: Plan = {
    seed: wholeNumber(options.seed, Date.now() % 1_000_000_007, '--seed'),
    durationMs: minutes(options.minutes) * 60_000,
    everyMs: Math.max(1, wholeNumber(options.every, DEFAULT_EVERY_MS, '--every')),
    kinds: selectedKinds(options.only ?? [], options.without ?? []),
  }
  console.log(`seed ${plan.seed}, ${plan.durationMs / 1000} s, a fault each ${plan.everyMs} ms or so`)
  if (options.plan === true) {
    for (const fault of scheduleFaults({ ...plan, things: THINGS })) console.log(`  ${faultText(fault)}`)
    return 0
  }
  const teardowns = createTeardowns()
  try {
    return await runChaos(plan, teardowns)
  } finally {
    await teardowns.run()
  }
}

async function runChaos(plan: Plan, teardowns: Teardowns): Promise<number> {
  // 1. a whole world
  const recorder = createRecorder()
  const needsDisks = plan.kinds.some(({ of }) => of === 'disk')
  // A run without waits writes some 10 MB a minute into the fullest; only a fault may fill it.
  const diskMebibytes = needsDisks ? Math.ceil(24 + (24 * plan.durationMs) / 60_000) : undefined
  const world = await makeWorld(teardowns, { diary: recorder, diskMebibytes })
  const giveUp = new AbortController()
  await Promise.all(world.brokers.map(({ process: broker }) => broker.start(AbortSignal.abort())))
  const client = createClient(recorder)
  teardowns.teardown(() => client.close())
  // The first looks come before the first token, as a verifier's do.
  for (const broker of world.brokers) await client.look(broker)

  // 2. load, and faults under it
  const load = startLoad({ world, client, recorder, seed: plan.seed })
  teardowns.teardown(() => load.stop())
  const faults = scheduleFaults({ ...plan, things: world.things })
  const [began, startedAt] = [performance.now(), Date.now()]
  const say = (text: string): void => console.log(`${secondsText(performance.now() - began)}  ${text}`)
  const progress = setInterval(() => say(progressText(recorder)), PROGRESS_MS)
  teardowns.teardown(() => clearInterval(progress))
  const underWay: Promise<unknown>[] = []
  const done: Fault[] = []
  const held = new Set<string>()
  for (const fault of faults) {
    await sleep(Math.max(0, fault.at - (performance.now() - began)))
    // It may take longer to be back than the schedule knows: a start without a store, a command without a database.
    const thing = `${fault.kind.of} ${fault.thing}`
    if (held.has(thing)) {
      say(`${fault.kind.name} ${fault.thing}: left out, the fault before is not over`)
      continue
    }
    held.add(thing)
    done.push(fault)
    underWay.push(
      doFault(fault, { world, recorder, giveUp: giveUp.signal }, say).then(() => held.delete(thing)),
    )
  }
  await sleep(Math.max(0, plan.durationMs - (performance.now() - began)))

  // 3. everything is whole again
  say('no more faults')
  const late = setTimeout(() => giveUp.abort(), PATIENCE_MS)
  await Promise.all(underWay)
  clearTimeout(late)
  await buyAtEach({ world, client, recorder, seed: plan.seed }, PATIENCE_MS)
  await load.stop()
  for (const broker of world.brokers) await client.look(broker)
  clearInterval(progress)
  // In order, so that the last lines are written.
  await Promise.all(world.brokers.map(({ process: broker }) => broker.end('SIGTERM')))

  // 4. what held
  say('checking')
  const history = historyOf(recorder, world)
  return report(history, done, await checkHistory(history), startedAt)
}

async function doFault(
  fault: Fault,
  injection: Parameters<typeof inject>[1],
  say: (text: string) => void,
): Promise<void> {
  say(`${fault.kind.name} ${fault.thing} ${fault.way}`.trimEnd())
  const outcome = await inject(fault, injection)
  say(`${fault.kind.name} ${fault.thing}: ${outcome}`)
}

function historyOf(recorder: Recorder, { brokers }: World): History {
  const audit = brokers.map((broker) => {
    const { lines, tornLines } = readAuditTrail(auditLinesOf(broker))
    if (tornLines > 0)
      console.log(`broker ${broker.name}: ${tornLines} audit lines that a full disk cut short`)
    return [broker.name, lines] as const
  })
  return {
    ...recorder.history(),
    withWorkers: new Set(WITH_WORKERS),
    audit: new Map(audit),
    issuers: new Map(brokers.map(({ domain, issuer }) => [domain, issuer])),
    audience: AUDIENCE,
  }
}

function progressText(recorder: Recorder): string {
  const { looks, questions } = recorder.history()
  return `${recorder.total()} requests (${answersText(recorder)}), ${looks.length} key sets, ${questions.length} introspections`
}

function answersText(recorder: Pick<Recorder, 'answers'>): string {
  return Array.from(recorder.answers(), ([status, count]) => `${status}: ${count}`)
    .sort()
    .join(', ')
}

function report(
  history: History,
  faults: readonly Fault[],
  violations: readonly Violation[],
  startedAt: number,
): number {
  const { requests, looks, questions, audit } = history
  const lines = [...audit.values()].reduce((sum, own) => sum + own.length, 0)
  console.log(`requests    ${requests.length}`)
  console.log(`answers     ${countBy(requests, ({ status }) => String(status ?? 'none'))}`)
  console.log(`audit lines ${lines}`)
  console.log(`key sets    ${looks.length}, introspections ${questions.length}`)
  console.log(`faults      ${faults.length}: ${countBy(faults, ({ kind }) => kind.name)}`)
  console.log(
    `violations  ${violations.length}${violations.length === 0 ? '' : ': '}${countBy(violations, ({ kind }) => kind)}`,
  )
  for (const { kind, at, evidence } of violations.slice(0, SHOWN))
    console.log(`  ${secondsText(at - startedAt)}  ${kind}: ${evidence}`)
  const sold = requests.filter(({ status }) => status === 200).length
  if (sold === 0) console.log('nothing was bought, so nothing was shown')
  return violations.length === 0 && sold > 0 ? 0 : 1
}

function secondsText(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1).padStart(6)} s`
}

function countBy<Item>(items: readonly Item[], nameOf: (item: Item) => string): string {
  return Array.from(Map.groupBy(items, nameOf), ([name, found]) => `${name} ${found.length}`)
    .sort()
    .join(', ')
}

function faultText({ at, kind, thing, way, lastsMs }: Fault): string {
  const lasts = lastsMs === 0 ? '' : `for ${(lastsMs / 1000).toFixed(1)} s`
  return `${secondsText(at)}  ${kind.name} ${thing} ${way} ${lasts}`.trimEnd()
}

function selectedKinds(only: readonly string[], without: readonly string[]): readonly FaultKind[] {
  for (const name of [...only, ...without]) {
    if (!FAULT_KINDS.some((kind) => kind.name === name)) throw new Misuse(`there is no fault "${name}"`)
  }
  return FAULT_KINDS.filter(
    ({ name }) => (only.length === 0 || only.includes(name)) && !without.includes(name),
  )
}

function minutes(text: string | undefined): number {
  if (text === undefined) return DEFAULT_MINUTES
  const number = Number(text)
  if (!/^\d{1,4}(?:\.\d{1,3})?$/.test(text) || number === 0 || number > MAX_MINUTES)
    throw new Misuse(`--minutes wants a number up to ${MAX_MINUTES}, not "${text}"`)
  return number
}

try {
  process.exitCode = await main()
} catch (error) {
  if (!(error instanceof Misuse) && !(error instanceof NoMount)) throw error
  console.error(`chaos: ${error.message} (--help shows examples)`)
  process.exitCode = 2
}
