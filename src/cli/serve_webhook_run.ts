// The life of the webhook: load, open the cluster, the certificate and the listeners, and on a signal end so that no kube-apiserver
// is left without an answer.
import { availableParallelism } from 'node:os'
import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { openAuditSink } from '#platform/audit_sink.ts'
import type { AuditSink } from '#platform/audit_sink.ts'
import type { AdmissionEvent } from '#core/module/admission_event.ts'
import { pinningPolicies } from '#core/module/pinning_policies.ts'
import { formatFinding } from '#platform/config/finding.ts'
import { openKubeConnection } from '#platform/kube/kube_connection.ts'
import type { KubeConnection } from '#platform/kube/kube_connection.ts'
import { createLoadGauge } from '#platform/load_gauge.ts'
import { createLog } from '#platform/log.ts'
import type { Log } from '#platform/log.ts'
import { boundYoungGeneration, collectInTurn } from '#platform/young_generation.ts'
import { openFileCertificate } from '../../webhook/certificate/files.ts'
import { openSelfManaged } from '../../webhook/certificate/open_self_managed.ts'
import type { CertificateSource } from '../../webhook/certificate/source.ts'
import { openCluster } from '../../webhook/cluster/cluster.ts'
import type { Cluster } from '../../webhook/cluster/cluster.ts'
import { defaultWebhookConfig, loadWebhookConfig } from '../../webhook/config/read_config.ts'
import type { WebhookConfigLoad } from '../../webhook/config/read_config.ts'
import { isPortOpen } from '../../webhook/config/webhook_config.ts'
import type { WebhookConfig } from '../../webhook/config/webhook_config.ts'
import { startLargeReviews } from '../../webhook/judge/large_reviews.ts'
import { createWebhookMetrics } from '../../webhook/metrics.ts'
import { startBackgroundScan } from '../../webhook/scan/background_scan.ts'
import { kubeReports } from '../../webhook/scan/kube_reports.ts'
import { openWebhook } from '../../webhook/webhook.ts'
import type { Webhook } from '../../webhook/webhook.ts'
import { EXIT } from './command.ts'
import type { CommandIo, ExitCode } from './command.ts'
import type { ConfigFlags } from './config_source.ts'
import type { ServeIo } from './hangups.ts'
import { readVersion } from './program.ts'
import { WEBHOOK_FILE, webhookConfigEnv } from './webhook_config_source.ts'

/** What is open, in the order in which it was opened. */
type Opened = {
  readonly config: WebhookConfig
  readonly webhook: Webhook
  readonly audit: AuditSink<AdmissionEvent>
  readonly log: Log
  /** Everything, the last first. */
  readonly close: () => Promise<void>
}

const BROKERS_FLAGS = [
  ['dexConfig', '--dex-config'],
  ['store', '--store'],
  ['webHttpAddr', '--web-http-addr'],
  ['webHttpsAddr', '--web-https-addr'],
  ['telemetryAddr', '--telemetry-addr'],
  ['development', '--development'],
] as const satisfies readonly (readonly [keyof ConfigFlags, string])[]

/** The first flag that says nothing to a webhook: taken silently, it would be believed. */
function brokersFlag(flags: ConfigFlags): string | undefined {
  return BROKERS_FLAGS.find(([name]) => flags[name] !== undefined)?.[1]
}

export async function runWebhookServer(flags: ConfigFlags, { io, hangups }: ServeIo): Promise<ExitCode> {
  const stranger = brokersFlag(flags)
  if (stranger !== undefined) {
    io.stderr.write(`sallyport: ${stranger} is the broker's; the webhook reads ${WEBHOOK_FILE} or --config\n`)
    return EXIT.usage
  }
  if (io.env['NODE_TLS_REJECT_UNAUTHORIZED'] === '0') {
    io.stderr.write(
      'sallyport: NODE_TLS_REJECT_UNAUTHORIZED=0 turns certificate checks off for everything: unset it\n' +
        '    -> the CA of the cluster belongs to its kubeconfig: certificate-authority\n',
    )
    return EXIT.configuration
  }
  // 1. the configuration, with every problem at once
  const load = loadFile(flags, io)
  for (const finding of load.findings) io.stderr.write(`${formatFinding(finding)}\n`)
  if (load.config === undefined) return EXIT.configuration
  boundYoungGeneration()
  collectInTurn(availableParallelism())

  // 2. cluster, audit, certificate, listeners
  const opened = await openAll(load.config, io).catch((error: unknown) => {
    io.stderr.write(`sallyport: cannot start: ${describe(error)}\n${wayOut(error)}`)
    return undefined
  })
  if (opened === undefined) return EXIT.denied
  const { config, webhook, audit, log } = opened
  const stopped = stopSignal()
  io.stderr.write(`sallyport: webhook on ${webhook.url}\n`)
  if (webhook.opsUrl !== undefined) io.stderr.write(`sallyport: health and metrics on ${webhook.opsUrl}\n`)

  // 3. until a signal comes; then others take over before this one is gone
  const stopObeying = hangups.obey(() => reopenAudit(audit, log))
  await stopped
  stopObeying()
  log.info({ drainSeconds: config.limits.drainSeconds }, 'stopping')
  webhook.drain()
  await io.sleep(config.limits.drainSeconds * 1000)
  await opened.close()
  return EXIT.ok
}

function loadFile(flags: ConfigFlags, io: CommandIo): WebhookConfigLoad {
  const file = resolve(io.cwd, flags.config ?? WEBHOOK_FILE)
  const env = webhookConfigEnv(file)
  if (flags.config === undefined && !existsSync(file)) return defaultWebhookConfig(env)
  try {
    return loadWebhookConfig(file, readFileSync(file, 'utf8'), env)
  } catch (error) {
    const finding = {
      severity: 'error',
      code: 'config_file_unreadable',
      path: '',
      message: `the file cannot be read: ${describe(error)}`,
      wayOut: 'name one with --config',
      place: { file, line: 1, column: 1 },
    } as const
    return { config: undefined, findings: [finding] }
  }
}

/** Closes what is open when the rest cannot be opened. */
async function openAll(config: WebhookConfig, io: CommandIo): Promise<Opened> {
  const log = createLog(config.log)
  const closers: (() => void | Promise<void>)[] = []
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer()
  }
  try {
    const connection = await connect(config, io)
    closers.push(() => connection.close())
    const gauge = createLoadGauge()
    closers.push(() => gauge.close())
    const audit = openAuditSink<AdmissionEvent>({
      destination: config.audit.destination,
      isIdle: gauge.isIdle,
    })
    closers.push(() => audit.close())
    const certificate = await openCertificate(config, { connection, log, io })
    closers.push(() => certificate.close())
    const metrics = createWebhookMetrics({
      version: readVersion(),
      certificateNotAfterSeconds: () => certificate.current().notAfterSeconds,
    })
    const { registry } = metrics
    const isOpen = isPortOpen(config)
    const cluster = await openCluster({ connection, log, clock: io.clock, registry, isPortOpen: isOpen })
    closers.push(() => cluster.close())
    const scan = startBackgroundScan({
      cluster,
      reports: config.scan.reports ? kubeReports(connection, log) : undefined,
      registry,
      log,
      clock: io.clock,
      intervalSeconds: config.scan.intervalSeconds,
    })
    closers.push(() => scan.close())
    const large = startLargeReviews({ log, onCrowded: metrics.crowded })
    closers.push(() => large.close())
    const webhook = await openWebhook(config, {
      cluster,
      large,
      certificate,
      clients: clientsOf(config),
      audit,
      metrics,
      log,
      connected: gauge.connected,
      clock: io.clock,
    })
    closers.push(() => webhook.close())
    if (isOpen) warnOfOpenPort(cluster, log)
    return { config, webhook, audit, log, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Anybody can have sent what a review says, so that nothing of it is kept for good. */
function warnOfOpenPort(cluster: Cluster, log: Log): void {
  log.warn(
    { settings: ['listen.allowFrom', 'listen.clientCaFile'] },
    'whoever reaches the port is taken for kube-apiserver, so the ledger does not keep who published: name the addresses of the API ' +
      'servers, or ask for client certificates',
  )
  const tellPolicies = (): void => {
    const policies = pinningPolicies(cluster.policies())
    if (policies.length === 0) return
    log.warn(
      { policies },
      'the port is open, so that no first publisher is pinned: close it, or list the ids of repositories in these policies',
    )
  }
  void cluster.synced.then(tellPolicies)
}

async function connect(config: WebhookConfig, io: CommandIo): Promise<KubeConnection> {
  const { kubeconfig, context } = config
  const opened = await openKubeConnection({ kubeconfig, context, env: io.env })
  if (!opened.ok) throw new NoCluster(opened.denial.message, kubeconfig !== undefined)
  return opened.value
}

/** Said with what to write, since nothing is served without one. */
class NoCluster extends Error {
  readonly code: 'SALLYPORT_NO_CLUSTER' | 'SALLYPORT_OTHER_CLUSTER'

  constructor(message: string, isNamed: boolean) {
    super(message)
    this.code = isNamed ? 'SALLYPORT_OTHER_CLUSTER' : 'SALLYPORT_NO_CLUSTER'
  }
}

type CertificateDeps = { readonly connection: KubeConnection; readonly log: Log; readonly io: CommandIo }

async function openCertificate(
  { certificate, clients }: WebhookConfig,
  { connection, log, io }: CertificateDeps,
): Promise<CertificateSource> {
  switch (certificate.kind) {
    case 'files':
      return openFileCertificate({ ...certificate, clientCaFile: clients?.caFile, log })
    case 'selfManaged':
      return openSelfManaged(certificate, { connection, clock: io.clock, log })
  }
}

function clientsOf({ clients }: WebhookConfig) {
  if (clients === undefined) return undefined
  return { readCa: () => readFileSync(clients.caFile, 'utf8'), names: clients.names }
}

function reopenAudit(audit: AuditSink<AdmissionEvent>, log: Log): void {
  try {
    audit.reopen()
  } catch (error) {
    log.error({ err: describe(error) }, 'audit file not reopened, the old one stays')
  }
}

async function stopSignal(): Promise<void> {
  await new Promise<void>((done) => {
    process.once('SIGTERM', () => done())
    process.once('SIGINT', () => done())
  })
}

/** A line of its own for what an operator can mend; empty for everything else. */
function wayOut(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  switch (code) {
    case 'SALLYPORT_NO_CLUSTER':
      return '    -> run it in a Pod with a ServiceAccount, or write kubeconfig: in its configuration\n'
    case 'SALLYPORT_OTHER_CLUSTER':
      return '    -> kubeconfig: and context: of its configuration name it; in a Pod leave both out\n'
    case 'EADDRINUSE':
      return '    -> stop what listens there, or change listen.port or ops.port\n'
    case 'EADDRNOTAVAIL':
      return '    -> write an address of this machine, or leave host out: listen.host or ops.host\n'
    case 'EACCES':
      return '    -> take a port above 1023, or let the process have lower ones: listen.port or ops.port\n'
    default:
      return ''
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
