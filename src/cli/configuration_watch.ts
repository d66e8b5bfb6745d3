// SIGHUP and changed files load the configuration anew; a bad one is named and the old one stays.
import { unwatchFile, watchFile } from 'node:fs'
import type { Log } from '#platform/log.ts'
import type { Metrics } from '#platform/metrics.ts'
import type { BrokerConfig } from '../broker/config/broker_config.ts'
import type { CommandIo } from './command.ts'
import type { Hangups } from './hangups.ts'
import { configFiles, loadConfig, tellFindings } from './config_source.ts'
import type { ConfigFlags } from './config_source.ts'
import { planReload } from './reload.ts'

/** How often configuration files are looked at. */
const CONFIG_CHECK_MS = 2000

export type WatchOptions = {
  readonly flags: ConfigFlags
  readonly io: CommandIo
  readonly log: Log
  readonly metrics: Metrics
  readonly running: () => BrokerConfig
  readonly takeOver: (config: BrokerConfig) => Promise<void>
  readonly hangups: Hangups
  /** On SIGHUP, before the configuration is loaded. */
  readonly onHangup: () => void
}

/** Returns how to stop. */
export function watchConfiguration(options: WatchOptions): () => void {
  const { flags, io, log, metrics, running } = options
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
    const plan = planReload(running(), load.config)
    if (!plan.ok) {
      metrics.configReload(false)
      log.error({ setting: plan.setting, problem: plan.why }, 'configuration not reloaded, the old one stays')
      return
    }
    for (const name of plan.kept)
      log.warn({ setting: name }, 'setting changed, it takes effect at the next start')
    await options.takeOver(plan.config)
    metrics.configReload(true)
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
    options.onHangup()
    reloadSafely()
  }
  const files = configFiles(flags, io.cwd)
  for (const file of files) watchFile(file, { interval: CONFIG_CHECK_MS, persistent: false }, reloadSafely)
  const stopObeying = options.hangups.obey(onHangup)
  return () => {
    stopObeying()
    for (const file of files) unwatchFile(file, reloadSafely)
  }
}
