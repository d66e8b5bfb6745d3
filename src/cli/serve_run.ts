// The life of a server: load, open, listen, reload when told or when a file changes, close on a signal.
import { existsSync, unwatchFile, watchFile } from 'node:fs'
import type { Socket } from 'node:net'
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import { listen, readTls } from '#platform/http/listen.ts'
import type { Listening } from '#platform/http/listen.ts'
import { createLog } from '#platform/log.ts'
import type { LoadGauge } from '#platform/load_gauge.ts'
import { boundYoungGeneration } from '#platform/young_generation.ts'
import { createRandomBytes } from '#platform/random.ts'
import { createPublicApp } from '../broker/app.ts'
import { createBroker } from '../broker/broker.ts'
import type { Broker } from '../broker/broker.ts'
import type { BrokerConfig } from '../broker/config/broker_config.ts'
import { createOpsApp } from '../broker/ops_app.ts'
import { longestLifetime } from './broker_runtime.ts'
import type { Runtime } from './broker_runtime.ts'
import { EXIT } from './command.ts'
import type { CommandIo, ExitCode } from './command.ts'
import { DEFAULT_CONFIG_FILE, configFiles, loadConfig, tellFindings } from './config_source.ts'
import type { ConfigFlags } from './config_source.ts'
import { readVersion } from './program.ts'
import { planReload } from './reload.ts'
import { openServing } from './serving_store.ts'
import { demoText, makeStarter } from './starter_files.ts'

const MAINTENANCE_MS = 60_000
const SHARED_DRAIN_SECONDS = 5
/** How often configuration files are looked at. */
const CONFIG_CHECK_MS = 2000

export async function runServer(part: string, flags: ConfigFlags, io: CommandIo): Promise<ExitCode> {
  if (part !== 'all' && part !== 'broker') {
    io.stderr.write(`sallyport: unknown part "${part}": all, broker and webhook can be served\n`)
    return EXIT.usage
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
    setThreads('ES256')
    await makeStarter(io)
    io.stderr.write(
      `Written: ${DEFAULT_CONFIG_FILE} (yours to change) and .sallyport/ (keys, certificate, store).\n`,
    )
  }

  // 1. the configuration, with every problem at once
  const load = await loadConfig(flags, io)
  if (!tellFindings(load, io, true)) return EXIT.configuration
  const { config } = load

  // 2. store, keys, audit
  setThreads(config.keys.algorithm)
  const log = createLog(config.log)
  const world = { clock: io.clock, randomBytes: createRandomBytes(), log, version: readVersion() }
  const runtime = await openServing(config, world, io).catch((error: unknown) => {
    io.stderr.write(`sallyport: cannot start: ${describe(error)}\n`)
    return undefined
  })
  if (runtime === undefined) return EXIT.denied

  // 3. listeners
  const broker = createBroker(config, runtime.parts)
  const life = { isEnding: false }
  const listening = await openListeners(broker, config, runtime, life).catch((error: unknown) => {
    io.stderr.write(`sallyport: cannot listen: ${describe(error)}\n${listenWayOut(error, config)}`)
    return undefined
  })
  if (listening === undefined) {
    await runtime.close()
    return EXIT.denied
  }
  const stopMaintenance = maintain(broker, runtime)
  // Asked for before anybody is told that there is something to stop.
  const stopped = stopSignal()
  announce(config, listening, io)

  // 4. until a signal comes
  const stopWatching = watchConfiguration(flags, io, broker, runtime, listening)
  await stopped
  log.info({}, 'stopping')
  life.isEnding = true
  stopWatching()
  for (const listener of listening) listener.drain()
  await sleep(drainMs(config))
  stopMaintenance()
  await Promise.all(listening.map((listener) => listener.close()))
  await runtime.close()
  return EXIT.ok
}

/**
 * libuv reads this when its threads start, which nothing did so far. An RS256 signature is long, so every core may make
 * one. An ES256 signature is hardly longer than waking a second thread, and the event loop needs a core: one thread less
 * gives a twentieth more tokens on two cores (docs/decisions/0003-runtime.md). A hanging name look-up holds nothing up
 * (crypto_pool.ts).
 */
function setThreads(algorithm: BrokerConfig['keys']['algorithm']): void {
  const cores = availableParallelism()
  process.env['UV_THREADPOOL_SIZE'] ??= String(algorithm === 'RS256' ? cores : Math.max(1, cores - 1))
}

/** Where others can take over, whoever leads people here needs a moment to notice. */
function drainMs({ drainSeconds, store }: BrokerConfig): number {
  return (drainSeconds ?? (store.type === 'postgres' ? SHARED_DRAIN_SECONDS : 0)) * 1000
}

async function openListeners(
  broker: Broker,
  config: BrokerConfig,
  { gauge, issuers, parts }: Runtime,
  life: { readonly isEnding: boolean },
): Promise<readonly Listening[]> {
  const opened: Listening[] = []
  try {
    for (const listener of config.publicListeners) {
      const app = await createPublicApp(broker, {
        https: listener.tls === undefined ? undefined : readTls(listener.tls),
      })
      countConnections(app, gauge)
      opened.push(await listen(app, listener, parts.log))
    }
    if (config.opsListener !== undefined)
      opened.push(
        await listen(
          createOpsApp(
            broker,
            () => issuers.statuses(),
            () => life.isEnding,
          ),
          config.opsListener,
          parts.log,
        ),
      )
    return opened
  } catch (error) {
    await Promise.all(opened.map((listener) => listener.close()))
    throw error
  }
}

function countConnections(app: FastifyInstance, gauge: LoadGauge): void {
  app.server.on('connection', (socket: Socket) => socket.once('close', gauge.connected()))
}

/** Loads issuers' keys before anybody asks, tries those again that were away, and empties the store of what has expired. */
function maintain(broker: Broker, { issuers, parts }: Runtime): () => void {
  const round = (): void => {
    issuers.warmUp(broker.live().config.connectors)
    parts.store
      .expire()
      .catch((error: unknown) => parts.log.warn({ err: error }, 'expired entries not deleted'))
  }
  round()
  const timer = setInterval(round, MAINTENANCE_MS)
  timer.unref()
  return () => clearInterval(timer)
}

/** SIGHUP and changed files load the configuration anew; a bad one is named and the old one stays. */
function watchConfiguration(
  flags: ConfigFlags,
  io: CommandIo,
  broker: Broker,
  runtime: Runtime,
  listening: readonly Listening[],
): () => void {
  const { log, metrics } = runtime.parts
  const reload = async (): Promise<void> => {
    const load = await loadConfig(flags, io)
    if (!tellFindings(load, io, false)) {
      metrics.configReload(false)
      const first = load.findings.find((finding) => finding.severity === 'error')
      log.error(
        { place: first?.place, problem: first?.code },
        'configuration not reloaded, the old one stays',
      )
      return
    }
    const plan = planReload(broker.live().config, load.config)
    if (!plan.ok) {
      metrics.configReload(false)
      log.error({ setting: plan.setting, problem: plan.why }, 'configuration not reloaded, the old one stays')
      return
    }
    const { config, kept } = plan
    for (const name of kept) log.warn({ setting: name }, 'setting changed, it takes effect at the next start')
    await runtime.parts.keyRing.lengthenTokens(longestLifetime(config))
    broker.reload(config)
    metrics.configReload(true)
    runtime.issuers.retain(config.connectors)
    runtime.issuers.warmUp(config.connectors)
    log.info(
      { connectors: config.connectors.length, policies: config.policies.length },
      'configuration reloaded',
    )
  }
  // One after the other: of two that overlap, the one that read the older file must not win.
  let last: Promise<void> = Promise.resolve()
  const reloadSafely = (): void => {
    last = last.then(reload).catch((error: unknown) => {
      metrics.configReload(false)
      log.error({ err: error }, 'configuration not reloaded, the old one stays')
    })
  }
  const onHangup = (): void => {
    reopenAudit(runtime)
    for (const listener of listening) listener.reloadTls()
    reloadSafely()
  }
  process.on('SIGHUP', onHangup)
  const files = configFiles(flags, io.cwd)
  for (const file of files) watchFile(file, { interval: CONFIG_CHECK_MS, persistent: false }, reloadSafely)
  return () => {
    process.off('SIGHUP', onHangup)
    for (const file of files) unwatchFile(file, reloadSafely)
  }
}

function reopenAudit({ parts }: Runtime): void {
  try {
    parts.audit.reopen()
  } catch (error) {
    parts.log.error({ err: describe(error) }, 'audit file not reopened, the old one stays')
  }
}

async function stopSignal(): Promise<void> {
  await new Promise<void>((done) => {
    process.once('SIGTERM', () => done())
    process.once('SIGINT', () => done())
  })
}

function announce(config: BrokerConfig, listening: readonly Listening[], io: CommandIo): void {
  io.stderr.write(`sallyport: issuer ${config.issuer}\n`)
  for (const listener of listening) io.stderr.write(`sallyport: listening on ${listener.url}\n`)
  io.stderr.write(demoText(config, io.cwd))
}

/** A line of its own for what an operator can mend; empty for everything else. */
function listenWayOut(error: unknown, { mode }: BrokerConfig): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  const keys = mode === 'dex' ? 'web.http, web.https or telemetry.http' : 'listen.public or listen.ops'
  switch (code) {
    case 'EADDRINUSE':
      return `    -> stop what listens there (another sallyport serve?), or change ${keys}\n`
    case 'EADDRNOTAVAIL':
      return `    -> write an address of this machine, or 0.0.0.0 for all of them: ${keys}\n`
    case 'EACCES':
      return `    -> take a port above 1023, or let the process have lower ones: ${keys}\n`
    default:
      return ''
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
