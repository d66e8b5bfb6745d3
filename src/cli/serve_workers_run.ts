// The life of a supervisor: it holds the store and the socket, has workers serve, and answers for them at the ops listener.
// It judges no token: what goes wrong in a request ends one worker, and another one takes its place.
import { listen } from '#platform/http/listen.ts'
import type { Listening } from '#platform/http/listen.ts'
import { createOpsApp } from '#platform/http/ops_app.ts'
import { createLog } from '#platform/log.ts'
import { createMetrics } from '#platform/metrics.ts'
import { createRandomBytes } from '#platform/random.ts'
import { launchWorker, prepareWorkers } from '#platform/workers/cluster_worker.ts'
import { createFleet } from '#platform/workers/fleet.ts'
import type { Fleet } from '#platform/workers/fleet.ts'
import type { BrokerConfig } from '../broker/config/broker_config.ts'
import { ENDING } from '../broker/ops_app.ts'
import { EXIT } from './command.ts'
import type { CommandIo, ExitCode } from './command.ts'
import type { ConfigFlags } from './config_source.ts'
import { watchConfiguration } from './configuration_watch.ts'
import type { ServeIo } from './hangups.ts'
import { readVersion } from './program.ts'
import { announce, describe, drainMs, listenFailure, stopSignal } from './serving.ts'
import { holdForWorkers } from './serving_store.ts'

/** What a worker may need beyond its drain: requests under way, the store, the audit file. */
const GRACE_MS = 10_000

/** `config`: checked, its findings told. `count`: 2 at least. */
export async function runWorkers(
  config: BrokerConfig,
  count: number,
  flags: ConfigFlags,
  { io, hangups }: ServeIo,
): Promise<ExitCode> {
  if (config.store.type === 'memory') {
    io.stderr.write(
      'sallyport: workers share a store, and a memory store is each process its own: a token that is good once would be good once in each\n' +
        '    -> store.type sqlite, postgres or kubernetes (--store sqlite with --dex-config), or leave --workers out\n',
    )
    return EXIT.configuration
  }

  // 1. the store: held for all of them
  const log = createLog(config.log)
  const world = { clock: io.clock, randomBytes: createRandomBytes(), log, version: readVersion() }
  const held = await holdForWorkers(config, world, io).catch((error: unknown) => {
    io.stderr.write(`sallyport: cannot start: ${describe(error)}\n`)
    return undefined
  })
  if (held === undefined) return EXIT.denied

  // 2. workers, then the listener that answers for them
  const metrics = createMetrics(world.version)
  let running = config
  const loaded = (): void => metrics.configLoadedAt(io.clock() / 1000)
  loaded()
  prepareWorkers(process.argv.slice(2))
  const fleet = createFleet<BrokerConfig>({
    count,
    registry: metrics.registry,
    launch: () => launchWorker(io.env['NODE_OPTIONS']),
    config: () => running,
    log,
    now: () => performance.now(),
    graceMs: drainMs(config) + GRACE_MS,
  })
  const urls = await fleet.start()
  const life = { isEnding: false }
  const ops = urls === undefined ? 'none' : await openOps(fleet, config, life, io)
  if (urls === undefined || ops === 'none') {
    await fleet.stop()
    held.release()
    return EXIT.denied
  }
  const stopped = stopSignal()
  announce(config, [...urls, ...(ops === undefined ? [] : [ops.url])], io)

  // 3. until a signal comes
  const stopWatching = watchConfiguration({
    flags,
    io,
    hangups,
    log,
    metrics,
    running: () => running,
    takeOver: async (next) => {
      running = next
      fleet.tell({ kind: 'reload', config: next })
      loaded()
    },
    onHangup: () => {
      fleet.tell({ kind: 'reopen' })
      ops?.reloadTls()
    },
  })
  await stopped
  log.info({}, 'stopping')
  life.isEnding = true
  stopWatching()
  ops?.drain()
  await fleet.stop()
  await ops?.close()
  held.release()
  return EXIT.ok
}

/** `none`: it could not be opened, which is told; `undefined`: none is wanted. */
async function openOps(
  fleet: Fleet<BrokerConfig>,
  config: BrokerConfig,
  life: { readonly isEnding: boolean },
  io: CommandIo,
): Promise<Listening | 'none' | undefined> {
  if (config.opsListener === undefined) return undefined
  const app = createOpsApp({
    registry: { contentType: 'text/plain; version=0.0.4; charset=utf-8', metrics: fleet.metrics },
    checks: async () => [...(life.isEnding ? [ENDING] : []), ...(await fleet.checks())],
  })
  try {
    return await listen(app, config.opsListener, createLog(config.log))
  } catch (error) {
    io.stderr.write(listenFailure(error, config))
    return 'none'
  }
}
