// The life of a server: load, open, listen, reload when told or when a file changes, close on a signal. With workers, this
// process is their supervisor (serve_workers_run.ts) or one of them (serve_worker_run.ts).
import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { listen } from '#platform/http/listen.ts'
import type { Listening } from '#platform/http/listen.ts'
import { createLog } from '#platform/log.ts'
import { boundYoungGeneration } from '#platform/young_generation.ts'
import { createRandomBytes } from '#platform/random.ts'
import { createBroker } from '../broker/broker.ts'
import type { Broker } from '../broker/broker.ts'
import type { BrokerConfig } from '../broker/config/broker_config.ts'
import { createOpsApp } from '../broker/ops_app.ts'
import type { Runtime } from './broker_runtime.ts'
import { EXIT } from './command.ts'
import type { ExitCode } from './command.ts'
import { DEFAULT_CONFIG_FILE, loadConfig, tellFindings } from './config_source.ts'
import type { ConfigFlags } from './config_source.ts'
import { watchConfiguration } from './configuration_watch.ts'
import type { ServeIo } from './hangups.ts'
import { readVersion } from './program.ts'
import {
  announce,
  closeAll,
  describe,
  drainMs,
  listenFailure,
  maintain,
  openPublic,
  reopen,
  setThreads,
  stopSignal,
  takeOver,
} from './serving.ts'
import { openServing } from './serving_store.ts'
import { makeStarter } from './starter_files.ts'
import { workerCount } from './worker_count.ts'

export type ServeFlags = ConfigFlags & { readonly workers?: string }

export async function runServer(
  part: string,
  flags: ServeFlags,
  { io, hangups }: ServeIo,
): Promise<ExitCode> {
  if (part !== 'all' && part !== 'broker') {
    io.stderr.write(`sallyport: unknown part "${part}": all, broker and webhook can be served\n`)
    return EXIT.usage
  }
  const workers = workerCount(flags.workers)
  if (typeof workers === 'string') {
    io.stderr.write(`sallyport: ${workers}\n`)
    return EXIT.usage
  }
  if (flags.workers !== undefined) {
    const { isWorkerProcess } = await import('#platform/workers/cluster_worker.ts')
    // Everything that a worker is told comes from its supervisor, which has looked at it.
    if (isWorkerProcess()) return (await import('./serve_worker_run.ts')).runWorker(io)
  }
  if (io.env['NODE_TLS_REJECT_UNAUTHORIZED'] === '0') {
    io.stderr.write(
      'sallyport: NODE_TLS_REJECT_UNAUTHORIZED=0 turns certificate checks off for everything: unset it\n',
    )
    io.stderr.write('    -> a private CA belongs to its connector: caFile\n')
    return EXIT.configuration
  }
  const isFirstStart =
    flags.config === undefined &&
    flags.dexConfig === undefined &&
    !existsSync(resolve(io.cwd, DEFAULT_CONFIG_FILE))
  boundYoungGeneration()
  if (isFirstStart) {
    if (workers === 1) setThreads('ES256')
    await makeStarter(io)
    io.stderr.write(
      `Written: ${DEFAULT_CONFIG_FILE} (yours to change) and .sallyport/ (keys, certificate, store).\n`,
    )
  }

  // 1. the configuration, with every problem at once
  const load = await loadConfig(flags, io)
  if (!tellFindings(load, io, true)) return EXIT.configuration
  const { config } = load
  if (workers > 1)
    return (await import('./serve_workers_run.ts')).runWorkers(config, workers, flags, { io, hangups })

  // 2. store, keys, audit
  setThreads(config.keys.algorithm)
  const log = createLog(config.log)
  const world = {
    clock: io.clock,
    randomBytes: createRandomBytes(),
    log,
    version: readVersion(),
    hasSpareCore: availableParallelism() > 1,
  }
  const runtime = await openServing(config, world, io).catch((error: unknown) => {
    io.stderr.write(`sallyport: cannot start: ${describe(error)}\n`)
    return undefined
  })
  if (runtime === undefined) return EXIT.denied

  // 3. listeners
  const broker = createBroker(config, runtime.parts)
  const life = { isEnding: false }
  const listening = await openListeners(broker, config, runtime, life).catch((error: unknown) => {
    io.stderr.write(listenFailure(error, config))
    return undefined
  })
  if (listening === undefined) {
    await runtime.close()
    return EXIT.denied
  }
  const stopMaintenance = maintain(broker, runtime, { turn: 0, turns: 1 })
  // Asked for before anybody is told that there is something to stop.
  const stopped = stopSignal()
  announce(
    config,
    listening.map(({ url }) => url),
    io,
  )

  // 4. until a signal comes
  const stopWatching = watchConfiguration({
    flags,
    io,
    hangups,
    log,
    metrics: runtime.parts.metrics,
    running: () => broker.live().config,
    takeOver: async (next) => takeOver(broker, runtime, next),
    onHangup: () => reopen(runtime, listening),
  })
  await stopped
  log.info({}, 'stopping')
  life.isEnding = true
  stopWatching()
  for (const listener of listening) listener.drain()
  await sleep(drainMs(config))
  stopMaintenance()
  await closeAll(listening)
  await runtime.close()
  return EXIT.ok
}

async function openListeners(
  broker: Broker,
  config: BrokerConfig,
  runtime: Runtime,
  life: { readonly isEnding: boolean },
): Promise<readonly Listening[]> {
  const opened = await openPublic(broker, config, runtime)
  if (config.opsListener === undefined) return opened
  try {
    const app = createOpsApp(
      broker,
      () => runtime.issuers.statuses(),
      () => life.isEnding,
    )
    return [...opened, await listen(app, config.opsListener, runtime.parts.log)]
  } catch (error) {
    await closeAll(opened)
    throw error
  }
}
