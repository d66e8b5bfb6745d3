// Every so often: what the cluster holds already, against today's rules. What was let in before a rule, during an outage or by
// two writers at once is found here, counted and reported; nothing is refused or changed.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Gauge } from 'prom-client'
import type { Registry } from 'prom-client'
import { epochSeconds } from '#core/clock.ts'
import type { Clock } from '#core/clock.ts'
import { scanObject } from '#core/module/scan_object.ts'
import type { ScannedObject } from '#core/module/scan_object.ts'
import type { Log } from '#platform/log.ts'
import type { Cluster } from '../cluster/cluster.ts'

export type ScanPort = Pick<
  Cluster,
  'missing' | 'modules' | 'providers' | 'policies' | 'factsOf' | 'digestOf'
>

/** Where the findings of each namespace go; it says itself what it could not write. */
export type ReportWriter = {
  write(scanned: ReadonlyMap<string, readonly ScannedObject[]>): Promise<void>
}

export type BackgroundScanOptions = {
  readonly cluster: ScanPort
  /** `undefined`: metrics and log only. */
  readonly reports: ReportWriter | undefined
  readonly registry: Registry
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>
  readonly clock: Clock
  readonly intervalSeconds: number
}

export type BackgroundScan = {
  /** One round now; `false`: the cluster is not in sync, so nothing was looked at. */
  run(): Promise<boolean>
  close(): Promise<void>
}

/** Until the first round, and until it is tried again: the watches fill in a second or two. */
const FIRST_PAUSE_MS = 15_000
/** What reviews wait for, beside the object that is being looked at: one of 500 versions takes some 5 ms. */
const TURN_MS = 5

export function startBackgroundScan(options: BackgroundScanOptions): BackgroundScan {
  const { cluster, reports, log, clock, intervalSeconds } = options
  const metrics = scanMetrics(options.registry)
  const firstPauseMs = Math.min(FIRST_PAUSE_MS, intervalSeconds * 1000)
  let isClosed = false
  let timer: NodeJS.Timeout | undefined
  let running: Promise<boolean> | undefined

  async function round(): Promise<boolean> {
    if (cluster.missing().length > 0) return false
    const began = performance.now()
    const byNamespace = new Map<string, ScannedObject[]>()
    const known = {
      policies: cluster.policies(),
      factsOf: cluster.factsOf,
      atSeconds: epochSeconds(clock),
    }
    let until = performance.now() + TURN_MS
    // As they are now: the watch goes on between two chunks.
    const [modules, providers] = [Array.from(cluster.modules()), Array.from(cluster.providers())]
    for (const { body } of [...modules, ...providers]) {
      const digestOf = (plain: string): string | undefined => cluster.digestOf(body, plain)
      const scanned = scanObject(body, { ...known, digestOf })
      const { namespace } = body.meta
      const others = byNamespace.get(namespace)
      if (others === undefined) byNamespace.set(namespace, [scanned])
      else others.push(scanned)
      if (performance.now() < until) continue
      await nextTurn()
      if (isClosed) return false
      until = performance.now() + TURN_MS
    }
    const violations = metrics.scanned(byNamespace, epochSeconds(clock), (performance.now() - began) / 1000)
    const ms = Math.round(performance.now() - began)
    log.info({ modules: modules.length, providers: providers.length, violations, ms }, 'scanned')
    await reports?.write(byNamespace)
    return true
  }

  /** Never two at a time. */
  function run(): Promise<boolean> {
    running ??= round().finally(() => (running = undefined))
    return running
  }

  async function pauseAfterRun(): Promise<number> {
    try {
      return (await run()) ? intervalSeconds * 1000 : firstPauseMs
    } catch (error) {
      log.error({ err: error }, 'scan failed')
      return intervalSeconds * 1000
    }
  }

  function schedule(pauseMs: number): void {
    timer = setTimeout(() => {
      void pauseAfterRun().then((pauseAfter) => (isClosed ? undefined : schedule(pauseAfter)))
    }, pauseMs)
    timer.unref()
  }
  schedule(firstPauseMs)
  return {
    run,
    async close() {
      isClosed = true
      clearTimeout(timer)
      await running?.catch(() => undefined)
    },
  }
}

type ScanMetrics = {
  /** How many violations there are. */
  scanned(
    byNamespace: ReadonlyMap<string, readonly ScannedObject[]>,
    atSeconds: number,
    seconds: number,
  ): number
}

function scanMetrics(registry: Registry): ScanMetrics {
  const registers = [registry]
  const violations = new Gauge({
    name: 'sallyport_webhook_policy_violations',
    help: "What the last scan found that today's rules would deny, by rule and namespace.",
    labelNames: ['rule', 'namespace'],
    registers,
  })
  const lastScan = new Gauge({
    name: 'sallyport_webhook_scan_last_timestamp_seconds',
    help: 'When the last scan ended.',
    registers,
  })
  const duration = new Gauge({
    name: 'sallyport_webhook_scan_duration_seconds',
    help: 'How long the last scan took.',
    registers,
  })
  return {
    scanned(byNamespace, atSeconds, seconds) {
      violations.reset()
      let count = 0
      for (const [namespace, objects] of byNamespace) {
        for (const { rule, result } of objects.flatMap(({ findings }) => findings)) {
          if (result !== 'fail') continue
          violations.inc({ rule, namespace })
          count += 1
        }
      }
      lastScan.set(atSeconds)
      duration.set(seconds)
      return count
    },
  }
}
