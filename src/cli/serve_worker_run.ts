// The life of one worker: what to serve comes from its supervisor, and so do reloads, questions and the end. It looks at no
// configuration file: all workers run the same, or none of them the new one.
import { availableParallelism } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Check } from '#platform/http/ops_app.ts'
import { createLog } from '#platform/log.ts'
import type { Log } from '#platform/log.ts'
import type { FromWorker, ToWorker } from '#platform/workers/messages.ts'
import { boundYoungGeneration } from '#platform/young_generation.ts'
import { createRandomBytes } from '#platform/random.ts'
import { createBroker } from '../broker/broker.ts'
import type { Broker } from '../broker/broker.ts'
import type { BrokerConfig } from '../broker/config/broker_config.ts'
import { ENDING, brokerChecks } from '../broker/ops_app.ts'
import { openRuntime } from './broker_runtime.ts'
import type { Runtime } from './broker_runtime.ts'
import { EXIT } from './command.ts'
import type { CommandIo, ExitCode } from './command.ts'
import { readVersion } from './program.ts'
import {
  closeAll,
  describe,
  drainMs,
  listenFailure,
  maintain,
  openPublic,
  reopen,
  setThreads,
  takeOver,
} from './serving.ts'

type Told = ToWorker<BrokerConfig>

/** A configuration that could not be taken over is tried again: the other workers have it. */
const RETRY_MS = 2000

export async function runWorker(io: CommandIo): Promise<ExitCode> {
  const inbox = openInbox()
  boundYoungGeneration()
  const { config, number, count } = await inbox.start

  // 1. store, keys, audit
  setThreads(config.keys.algorithm, count)
  const log = createLog({ ...config.log, worker: number })
  const world = { clock: io.clock, randomBytes: createRandomBytes(), log, version: readVersion() }
  const runtime = await openRuntime(config, {
    ...world,
    sharesAudit: true,
    hasSpareCore: availableParallelism() >= 2 * count,
  }).catch((error: unknown) => {
    io.stderr.write(`sallyport: cannot start: ${describe(error)}\n`)
    return undefined
  })
  if (runtime === undefined) return leave(EXIT.denied)

  // 2. listeners, on the supervisor's socket
  const broker = createBroker(config, runtime.parts)
  const listening = await openPublic(broker, config, runtime).catch((error: unknown) => {
    io.stderr.write(listenFailure(error, config))
    return undefined
  })
  if (listening === undefined) {
    await runtime.close()
    return leave(EXIT.denied)
  }
  const stopMaintenance = maintain(broker, runtime, { turn: number - 1, turns: count })
  const life = { isEnding: false }
  const reloads = createReloads(broker, runtime)

  // 3. until it is told to end
  const metrics = async () => runtime.parts.metrics.registry.getMetricsAsJSON()
  const checks = async (): Promise<readonly Check[]> => [
    ...(life.isEnding ? [ENDING] : []),
    ...reloads.checks(),
    ...(await brokerChecks(broker, () => runtime.issuers.statuses())),
  ]
  inbox.onOrder(async (told) => {
    switch (told.kind) {
      case 'reload':
        return reloads.take(told.config)
      case 'reopen':
        return reopen(runtime, listening)
      case 'ask': {
        const { question, id } = told
        if (question === 'checks') return tell({ kind: 'checks', id, checks: await checks() })
        return tell({ kind: 'metrics', id, metrics: await metrics() })
      }
    }
  }, log)
  tell({ kind: 'listening', urls: listening.map(({ url }) => url) })
  await inbox.stopped
  life.isEnding = true
  for (const listener of listening) listener.drain()
  await sleep(drainMs(config))
  stopMaintenance()
  await closeAll(listening)
  tell({ kind: 'ending', metrics: await metrics() })
  await runtime.close()
  return leave(EXIT.ok)
}

type Order = Exclude<Told, { kind: 'start' | 'stop' }>

type Inbox = {
  readonly start: Promise<Extract<Told, { kind: 'start' }>>
  /** Resolves when the supervisor, or whoever sends SIGTERM, wants it to end. */
  readonly stopped: Promise<void>
  readonly onOrder: (obey: (order: Order) => Promise<void>, log: Log) => void
}

/** Opened before anything else: no message finds nobody at home. */
function openInbox(): Inbox {
  const start = Promise.withResolvers<Extract<Told, { kind: 'start' }>>()
  const stopped = Promise.withResolvers<void>()
  let obey: ((order: Order) => void) | undefined
  process.on('message', (told: Told) => {
    switch (told.kind) {
      case 'start':
        return start.resolve(told)
      case 'stop':
        return stopped.resolve()
      case 'reload':
      case 'reopen':
      case 'ask':
        return obey?.(told)
    }
  })
  process.once('SIGTERM', () => stopped.resolve())
  // A terminal sends these to every process in it; the supervisor says what they mean.
  for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, leftToSupervisor)
  return {
    start: start.promise,
    stopped: stopped.promise,
    onOrder(act, log) {
      obey = (order) =>
        void act(order).catch((error: unknown) =>
          log.error({ err: error }, 'what the supervisor asked failed'),
        )
    },
  }
}

function leftToSupervisor(): void {}

/** Configurations to take over, the newest one in the end. */
function createReloads(
  broker: Broker,
  runtime: Runtime,
): {
  readonly take: (config: BrokerConfig) => void
  readonly checks: () => readonly Check[]
} {
  let wanted: BrokerConfig | undefined
  let last: Promise<void> = Promise.resolve()

  async function tryUntilTaken(config: BrokerConfig): Promise<void> {
    while (wanted === config) {
      try {
        await takeOver(broker, runtime, config)
        if (wanted === config) wanted = undefined
      } catch (error) {
        runtime.parts.log.error(
          { err: describe(error) },
          'configuration not taken over yet, it is tried again',
        )
        await sleep(RETRY_MS)
      }
    }
  }

  return {
    take(config) {
      wanted = config
      last = last.then(async () => tryUntilTaken(config))
    },
    checks: () =>
      wanted === undefined
        ? []
        : [
            {
              name: 'configuration',
              ok: false,
              detail: 'the new one is not taken over yet',
              isRequired: true,
            },
          ],
  }
}

function tell(message: FromWorker): void {
  // Without its supervisor a worker ends at once (node:cluster), so nobody waits for what cannot be told.
  if (process.connected) process.send?.(message)
}

/** Lets the process end although its supervisor still listens. */
function leave(code: ExitCode): ExitCode {
  process.channel?.unref()
  return code
}
