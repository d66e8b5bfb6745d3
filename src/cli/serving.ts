// What serving means, whoever does it: a server alone, or a worker beside others. The parts of a life, which serve_run.ts
// and the files of workers put in order.
import type { Socket } from 'node:net'
import { availableParallelism } from 'node:os'
import type { FastifyInstance } from 'fastify'
import { listen, readTls } from '#platform/http/listen.ts'
import type { Listening } from '#platform/http/listen.ts'
import type { LoadGauge } from '#platform/load_gauge.ts'
import { createPublicApp } from '../broker/app.ts'
import type { Broker } from '../broker/broker.ts'
import type { BrokerConfig } from '../broker/config/broker_config.ts'
import { longestLifetime } from './broker_runtime.ts'
import type { Runtime } from './broker_runtime.ts'
import type { CommandIo } from './command.ts'
import { demoText } from './starter_files.ts'

const MAINTENANCE_MS = 60_000
const SHARED_DRAIN_SECONDS = 5

/**
 * libuv reads this when its threads start, which nothing did so far. An RS256 signature is long, so every core may make
 * one. An ES256 signature is hardly longer than waking a second thread, and the event loop needs a core: one thread less
 * gives a twentieth more tokens on two cores (docs/decisions/0003-runtime.md). A hanging name look-up holds nothing up
 * (crypto_pool.ts). Several workers share the cores out.
 */
export function setThreads(algorithm: BrokerConfig['keys']['algorithm'], workers = 1): void {
  const cores = Math.max(1, Math.floor(availableParallelism() / workers))
  process.env['UV_THREADPOOL_SIZE'] ??= String(algorithm === 'RS256' ? cores : Math.max(1, cores - 1))
}

/** Where others can take over, whoever leads people here needs a moment to notice. */
export function drainMs({ drainSeconds, store }: BrokerConfig): number {
  return (
    (drainSeconds ?? (store.type === 'postgres' || store.type === 'kubernetes' ? SHARED_DRAIN_SECONDS : 0)) *
    1000
  )
}

/** Opens the public listeners, all or none. */
export async function openPublic(
  broker: Broker,
  config: BrokerConfig,
  { gauge, parts }: Runtime,
): Promise<readonly Listening[]> {
  const opened: Listening[] = []
  try {
    for (const listener of config.publicListeners) {
      const app = await createPublicApp(broker, {
        https: listener.tls === undefined ? undefined : readTls(listener.tls),
        isIdle: gauge.isIdle,
      })
      countConnections(app, gauge)
      opened.push(await listen(app, listener, parts.log))
    }
    return opened
  } catch (error) {
    await closeAll(opened)
    throw error
  }
}

export async function closeAll(listening: readonly Listening[]): Promise<void> {
  await Promise.all(listening.map((listener) => listener.close()))
}

function countConnections(app: FastifyInstance, gauge: LoadGauge): void {
  app.server.on('connection', (socket: Socket) => socket.once('close', gauge.connected()))
}

/**
 * Loads issuers' keys before anybody asks, tries those again that were away, and empties the store of what has expired:
 * workers one after the other (`turn` of `turns`), so that none waits for another's deletions.
 */
export function maintain(
  broker: Broker,
  { issuers, parts }: Runtime,
  { turn, turns }: { readonly turn: number; readonly turns: number },
): () => void {
  const warmUp = (): void => issuers.warmUp(broker.live().config.connectors)
  const round = (): void => {
    warmUp()
    parts.store
      .expire()
      .catch((error: unknown) => parts.log.warn({ err: error }, 'expired entries not deleted'))
  }
  let timer: NodeJS.Timeout | undefined
  const begin = (): void => {
    round()
    timer = setInterval(round, MAINTENANCE_MS).unref()
  }
  if (turn === 0) begin()
  else {
    warmUp()
    timer = setTimeout(begin, (MAINTENANCE_MS / turns) * turn).unref()
  }
  return () => clearTimeout(timer)
}

/** A checked configuration becomes the one that runs. Rejects, and changes nothing, when the store does not answer. */
export async function takeOver(broker: Broker, runtime: Runtime, config: BrokerConfig): Promise<void> {
  await runtime.parts.keyRing.lengthenTokens(longestLifetime(config))
  broker.reload(config)
  runtime.issuers.retain(config.connectors)
  runtime.issuers.warmUp(config.connectors)
  runtime.parts.log.info(
    { connectors: config.connectors.length, policies: config.policies.length },
    'configuration reloaded',
  )
}

/** As SIGHUP means it for files that are open. */
export function reopen({ parts }: Runtime, listening: readonly Listening[]): void {
  try {
    parts.audit.reopen()
  } catch (error) {
    parts.log.error({ err: describe(error) }, 'audit file not reopened, the old one stays')
  }
  for (const listener of listening) listener.reloadTls()
}

export async function stopSignal(): Promise<void> {
  await new Promise<void>((done) => {
    process.once('SIGTERM', () => done())
    process.once('SIGINT', () => done())
  })
}

/** Says where it listens, and at a first look what to try. */
export function announce(config: BrokerConfig, urls: readonly string[], io: CommandIo): void {
  io.stderr.write(`sallyport: issuer ${config.issuer}\n`)
  for (const url of urls) io.stderr.write(`sallyport: listening on ${url}\n`)
  io.stderr.write(demoText(config, io.cwd))
}

/** What went wrong while opening a listener, with a line of its own for what an operator can mend. */
export function listenFailure(error: unknown, { mode }: BrokerConfig): string {
  const keys = mode === 'dex' ? 'web.http, web.https or telemetry.http' : 'listen.public or listen.ops'
  return `sallyport: cannot listen: ${describe(error)}\n${wayOut(error, keys)}`
}

function wayOut(error: unknown, keys: string): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  switch (code) {
    case 'EADDRINUSE':
      return `    -> stop what listens there (another sallyport serve?), or change ${keys}\n`
    case 'EADDRNOTAVAIL':
      return `    -> write an address of this machine, or 0.0.0.0 for all of them: ${keys}\n`
    case 'ENOTFOUND':
      return `    -> write an address, or a name that this machine finds: ${keys}\n`
    case 'EACCES':
      return `    -> take a port above 1023, or let the process have lower ones: ${keys}\n`
    default:
      return ''
  }
}

export function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
