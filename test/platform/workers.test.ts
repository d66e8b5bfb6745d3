// What several workers are together, without processes: their readiness, their counts, and the life of one of them.
import type { LogFn } from 'pino'
import { Counter, Gauge, Registry } from 'prom-client'
import t from 'tap'
import type { Check } from '../../src/platform/http/ops_app.ts'
import { checksOfAll } from '../../src/platform/workers/fleet_checks.ts'
import { createFleetMetrics } from '../../src/platform/workers/fleet_metrics.ts'
import type { FromWorker, MetricSnapshot } from '../../src/platform/workers/messages.ts'
import { createWorkerSlot } from '../../src/platform/workers/worker_slot.ts'
import type { SlotOptions } from '../../src/platform/workers/worker_slot.ts'
import { TallyCounter, TallyHistogram } from '../../src/platform/tally.ts'

const well: readonly Check[] = [
  { name: 'store', ok: true, detail: 'answers', isRequired: true },
  { name: 'issuer gitlab', ok: true, detail: '2 keys', isRequired: false },
]
const worker = (number: number, checks: readonly Check[] | undefined = well, trouble?: string) => ({
  number,
  checks,
  trouble,
})

t.test('all workers are well, and the fleet is', async (t) => {
  t.strictSame(checksOfAll([worker(1), worker(2)]), [
    { name: 'workers', ok: true, detail: '2 of 2 serve', isRequired: true },
    ...well,
  ])
})

t.test('what fails in one worker fails, with its number', async (t) => {
  const away = { name: 'store', ok: false, detail: 'is away', isRequired: true }
  const broken = [away, ...well.slice(1)]
  const [workers, store] = checksOfAll([worker(1), worker(2, broken)])
  t.equal(workers?.ok, true)
  t.strictSame(store, { name: 'store', ok: false, detail: 'is away (worker 2)', isRequired: true })
})

t.test('a worker that is away, or does not answer, is named and makes the fleet unready', async (t) => {
  const [workers, store] = checksOfAll([worker(1), { number: 2, checks: undefined, trouble: undefined }])
  t.strictSame(workers, {
    name: 'workers',
    ok: false,
    detail: '1 of 2 serve, worker 2 does not answer',
    isRequired: true,
  })
  t.equal(store?.ok, true)
  const [away] = checksOfAll([worker(1), { number: 2, checks: undefined, trouble: 'starts' }])
  t.equal(away?.detail, '1 of 2 serve, worker 2 starts')
})

/** What a worker counted: requests, and one time for each of them. */
async function snapshot(requests: number): Promise<MetricSnapshot> {
  const registry = new Registry()
  const registers = [registry]
  const counter = new TallyCounter({
    name: 'requests_total',
    help: 'Requests.',
    labelNames: ['code'],
    registers,
  })
  const times = new TallyHistogram({
    name: 'seconds',
    help: 'Times.',
    labelNames: ['code'],
    buckets: [0.1, 1],
    registers,
  })
  new Gauge({ name: 'memory_bytes', help: 'Memory.', registers }).set(100)
  new Gauge({ name: 'process_start_time_seconds', help: 'Start.', registers, aggregator: 'omit' }).set(999)
  for (let count = 0; count < requests; count += 1) {
    counter.count(['200'])
    times.tally(['200'], 0.5)
  }
  return registry.getMetricsAsJSON()
}

function supervisor(): Registry {
  const registry = new Registry()
  const registers = [registry]
  new Gauge({ name: 'process_start_time_seconds', help: 'Start.', registers, aggregator: 'omit' }).set(7)
  new Counter({ name: 'reloads_total', help: 'Reloads.', registers }).inc(3)
  return registry
}

const size = { configured: 2, serving: 2, restarts: 0 }

t.test('counts and memory are added up, and the server started when its supervisor did', async (t) => {
  const text = await createFleetMetrics(supervisor()).text([await snapshot(2), await snapshot(3)], size)
  t.match(text, /^requests_total\{code="200"\} 5$/m)
  t.match(text, /^seconds_bucket\{code="200",le="0.1"\} 0$/m)
  t.match(text, /^seconds_bucket\{code="200",le="1"\} 5$/m)
  t.match(text, /^seconds_count\{code="200"\} 5$/m)
  t.match(text, /^seconds_sum\{code="200"\} 2.5$/m)
  t.match(text, /^memory_bytes 200$/m)
  t.match(text, /^reloads_total 3$/m)
  t.match(text, /^process_start_time_seconds 7$/m)
  t.match(text, /^sallyport_workers_serving 2$/m)
})

t.test('what a worker counted stays counted when it is gone, its memory does not', async (t) => {
  const metrics = createFleetMetrics(supervisor())
  metrics.keep(await snapshot(4))
  metrics.keep(await snapshot(1))
  const text = await metrics.text([await snapshot(2)], { ...size, restarts: 2 })
  t.match(text, /^requests_total\{code="200"\} 7$/m)
  t.match(text, /^seconds_count\{code="200"\} 7$/m)
  t.match(text, /^memory_bytes 100$/m)
  t.match(text, /^sallyport_worker_restarts_total 2$/m)
})

/** Workers that do as they are told here: what each was sent, and how it is made to say something or to end. */
function pretendWorkers(change: Partial<SlotOptions<string>> = {}) {
  const links: {
    readonly sent: object[]
    say: (message: FromWorker) => void
    end: (how: string) => void
    kills: number
  }[] = []
  const gone: MetricSnapshot[] = []
  const said: string[] = []
  const tell: LogFn = (...args: readonly unknown[]) => void said.push(String(args[1]))
  const time = { now: 0 }
  const slot = createWorkerSlot<string>({
    number: 1,
    count: 2,
    config: () => 'running',
    log: { debug: tell, info: tell, warn: tell, error: tell },
    now: () => time.now,
    onGone: (metrics) => void gone.push(metrics),
    graceMs: 50,
    answerMs: 5,
    launch: () => {
      const link = {
        sent: new Array<object>(),
        say: (_message: FromWorker): void => {},
        end: (_how: string): void => {},
        kills: 0,
      }
      links.push(link)
      return {
        pid: links.length,
        send: (message) => void link.sent.push(message),
        onMessage: (hear) => {
          link.say = hear
        },
        onExit: (ended) => {
          link.end = ended
        },
        kill: () => {
          link.kills += 1
          link.end('SIGKILL')
        },
      }
    },
    ...change,
  })
  return { slot, links, gone, said, time }
}

t.test('a worker is told what to serve, and serves when it says so', async (t) => {
  const { slot, links } = pretendWorkers()
  const started = slot.start()
  t.strictSame(links[0]?.sent, [{ kind: 'start', config: 'running', number: 1, count: 2 }])
  t.equal(slot.trouble(), 'starts')
  links[0]?.say({ kind: 'listening', urls: ['http://here'] })
  t.strictSame(await started, ['http://here'])
  t.equal(slot.trouble(), undefined)
})

t.test(
  'one that ends before it ever served is not started again: the reason would be the same',
  async (t) => {
    const { slot, links } = pretendWorkers()
    const started = slot.start()
    links[0]?.end('exit code 1')
    t.equal(await started, undefined)
    t.equal(links.length, 1)
  },
)

t.test('one that ends later is started again, with the configuration that holds then', async (t) => {
  let config = 'first'
  const { slot, links, said } = pretendWorkers({ config: () => config })
  const started = slot.start()
  links[0]?.say({ kind: 'listening', urls: [] })
  await started
  config = 'second'
  links[0]?.end('SIGSEGV')
  t.equal(slot.trouble(), 'has ended and starts again')
  t.ok(said.includes('a worker ended'))
  while (links.length < 2) await new Promise(setImmediate)
  t.match(links[1]?.sent, [{ kind: 'start', config: 'second' }])
  t.equal(slot.restarts(), 1)
  const stopped = slot.stop()
  links[1]?.end('exit code 0')
  await stopped
})

t.test('one that does not answer four times in a row is ended; one answer begins anew', async (t) => {
  const { slot, links, gone } = pretendWorkers()
  const started = slot.start()
  const [link] = links
  if (link === undefined) throw new Error('no worker')
  link.say({ kind: 'listening', urls: [] })
  await started
  const look = slot.lookAfter()
  const question = link.sent.at(-1)
  if (question === undefined || !('id' in question)) throw new Error('nothing was asked')
  const metrics = await snapshot(6)
  link.say({ kind: 'metrics', id: Number(question.id), metrics })
  await look
  for (const kills of [0, 0, 0, 1]) {
    await slot.lookAfter()
    t.equal(link.kills, kills)
  }
  t.strictSame(gone, [metrics], 'what it said last is what it counted')
  await slot.stop()
})

t.test('one that is told to end and does not is ended', async (t) => {
  const { slot, links } = pretendWorkers()
  const started = slot.start()
  links[0]?.say({ kind: 'listening', urls: [] })
  await started
  await slot.stop()
  t.match(links[0]?.sent.at(-1), { kind: 'stop' })
  t.equal(links[0]?.kills, 1)
  t.equal(links.length, 1, 'and not started again')
})
