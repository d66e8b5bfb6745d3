// Prometheus metrics with bounded labels: ids that stand in the configuration, reasons of the closed union, nothing that a
// caller chooses. Dex's names stand beside ours so that its dashboards go on.
import { Counter, Gauge, Registry, collectDefaultMetrics } from 'prom-client'
import type { AuditEvent } from '#core/audit_event.ts'
import { metricHash } from '#core/kube/apiserver_metrics.ts'
import type { LeverBook } from './levers/lever_book.ts'
import { leverMetrics } from './levers/lever_metrics.ts'
import { signerMetrics } from './remote_signer/signer_metrics.ts'
import type { SignerCall, SignerStatus } from './remote_signer/guarded_signer.ts'
import type { Closed } from './http/connection_gate.ts'
import { TallyCounter, TallyHistogram } from './tally.ts'

export type Metrics = {
  readonly registry: Registry
  /** One decision of the token endpoint; `seconds` from the complete request to the answer: slow bodies are their senders'. */
  readonly decision: (event: AuditEvent, seconds: number) => void
  /** One HTTP request under Dex's names. `handler` is a route, never a raw path; `seconds` from its head to its answer. */
  readonly http: (handler: string, method: string, code: number, seconds: number, bytes: number) => void
  /** `count` is asked at each scrape. */
  readonly waitingSignatures: (count: () => number) => void
  /** A connection that was closed to make room for others. */
  readonly connectionClosed: (why: Closed) => void
  readonly configReload: (succeeded: boolean) => void
  /** Seconds since the epoch at which the present configuration was loaded. */
  readonly configLoadedAt: (seconds: number) => void
  /** One signature asked of a signer elsewhere, or refused without asking. */
  readonly signerCall: (call: SignerCall) => void
  /** Asked at each scrape for how the signer elsewhere is. */
  readonly signer: (status: () => SignerStatus) => void
  /** Asked at each scrape for what is pulled in an emergency. */
  readonly levers: (book: Pick<LeverBook, 'inForce' | 'failure'>) => void
  /** The key set that is served from now on, its very bytes. */
  readonly keySet: (body: string) => void
}

/** Whose secret was guessed, wherever from. Only a client that is configured can have a wrong secret. */
function guessedClient({ reason, evidence }: AuditEvent): string {
  const client = reason === 'client_secret_wrong' ? evidence?.['client'] : undefined
  return typeof client === 'string' ? client : ''
}

const METHODS: ReadonlyMap<string, string> = new Map(
  ['GET', 'HEAD', 'POST', 'PUT', 'OPTIONS', 'DELETE', 'PATCH'].map((method) => [
    method,
    method.toLowerCase(),
  ]),
)

/** `aggregator`: what several workers of one server are together, where it is not the sum (platform/workers). */
export function createMetrics(version: string): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  const decisions = new TallyCounter({
    name: 'sallyport_token_decisions_total',
    help: 'Decisions of the token endpoint.',
    labelNames: ['grant', 'decision', 'reason', 'client', 'connector', 'policy'],
    registers,
  })
  const localReplay = new Counter({
    name: 'sallyport_local_replay_checks_total',
    help: 'Tokens exchanged while the store was away: that they were not used before is known of one process alone.',
    labelNames: ['connector'],
    registers,
  })
  const decisionSeconds = new TallyHistogram({
    name: 'sallyport_token_decision_seconds',
    help: 'Time from a complete request to its answer at the token endpoint.',
    labelNames: ['grant', 'decision'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers,
  })
  const httpRequests = new TallyCounter({
    name: 'http_requests_total',
    help: 'HTTP requests (Dex name).',
    labelNames: ['code', 'method', 'handler'],
    registers,
  })
  const httpSeconds = new TallyHistogram({
    name: 'request_duration_seconds',
    help: 'HTTP request latencies (Dex name).',
    labelNames: ['code', 'method', 'handler'],
    buckets: [0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  })
  const httpBytes = new TallyHistogram({
    name: 'response_size_bytes',
    help: 'HTTP response sizes (Dex name).',
    labelNames: ['code', 'method', 'handler'],
    buckets: [200, 500, 900, 1500],
    registers,
  })
  const connectionsClosed = new Counter({
    name: 'sallyport_connections_closed_total',
    help: 'Connections closed for what they take: too many in all or of one caller, a slow body, too many requests at once.',
    labelNames: ['why'],
    registers,
  })
  const reloads = new Counter({
    name: 'sallyport_config_reloads_total',
    help: 'Attempts to load a changed configuration.',
    labelNames: ['result'],
    registers,
  })
  const lastReload = new Gauge({
    name: 'sallyport_config_last_reload_successful',
    help: '1 when the newest configuration file is the one that runs.',
    aggregator: 'first',
    registers,
  })
  const loadedAt = new Gauge({
    name: 'sallyport_config_loaded_timestamp_seconds',
    help: 'When the running configuration was loaded.',
    aggregator: 'first',
    registers,
  })
  const keySetInfo = new Gauge({
    name: 'sallyport_jwks_info',
    help: 'SHA-256 of the key set as served; what jwks_fetch_last_key_set_info of a kube-apiserver says once it has it.',
    labelNames: ['hash'],
    aggregator: 'max',
    registers,
  })
  new Gauge({
    name: 'sallyport_build_info',
    help: 'Version of this build.',
    aggregator: 'first',
    labelNames: ['version'],
    registers,
  }).set({ version }, 1)
  lastReload.set(1)
  return {
    registry,
    decision(event, seconds) {
      const { grant, decision, reason = '', connector = '', policy = '' } = event
      const client = event.client ?? guessedClient(event)
      decisions.count([grant, decision, reason, client, connector, policy])
      if (event.replayScope === 'local') localReplay.inc({ connector })
      decisionSeconds.tally([grant, decision], seconds)
    },
    http(handler, method, code, seconds, bytes) {
      const labels = [String(code), METHODS.get(method) ?? 'other', handler]
      httpRequests.count(labels)
      httpSeconds.tally(labels, seconds)
      httpBytes.tally(labels, bytes)
    },
    waitingSignatures(count) {
      registry.registerMetric(
        new Gauge({
          name: 'sallyport_waiting_signatures',
          help: 'Tokens that have a place at the signer: limits.maxWaitingSignatures at most.',
          registers: [],
          collect() {
            this.set(count())
          },
        }),
      )
    },
    connectionClosed: (why) => connectionsClosed.inc({ why }),
    configReload(succeeded) {
      reloads.inc({ result: succeeded ? 'success' : 'failure' })
      lastReload.set(succeeded ? 1 : 0)
    },
    configLoadedAt: (seconds) => loadedAt.set(seconds),
    ...signerMetrics(registry),
    ...leverMetrics(registry),
    keySet(body) {
      keySetInfo.reset()
      keySetInfo.set({ hash: metricHash(body) }, 1)
    },
  }
}
