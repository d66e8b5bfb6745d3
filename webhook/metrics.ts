// Prometheus metrics of the webhook with bounded labels: resources and rules that we know, nothing that a caller chooses.
import { Counter, Gauge, Registry, collectDefaultMetrics } from 'prom-client'
import { TallyCounter, TallyHistogram } from '#platform/tally.ts'
import type { Crowded } from './judge/large_reviews.ts'
import type { Decision, ReviewHead } from './judge/open_review.ts'

export type WebhookMetrics = {
  /** For the parts that have metrics of their own. */
  readonly registry: Registry
  /** One review that was judged, or could not be (`undefined`). `seconds` from the whole body to the answer. */
  readonly judged: (head: ReviewHead | undefined, decision: Decision | undefined, seconds: number) => void
  /** One request that got no AdmissionReview for an answer. */
  readonly refused: (status: number) => void
  /** One large review that found no place, or made room for another user's. */
  readonly crowded: (why: Crowded) => void
  /** One connection from an address that is not let in. */
  readonly strangerRefused: () => void
}

/** What no rule is for has one name, whatever somebody's configuration sends. */
const RESOURCES = new Set([
  'modules',
  'providers',
  'versions',
  'depots',
  'groupbindings',
  'publishedversions',
  'modulepolicies',
  'namespaces',
  'customresourcedefinitions',
])

export type MetricSources = {
  readonly version: string
  readonly certificateNotAfterSeconds: () => number
}

export function createWebhookMetrics({ version, certificateNotAfterSeconds }: MetricSources): WebhookMetrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  const requests = new TallyCounter({
    name: 'sallyport_webhook_admission_requests_total',
    help: 'Reviews answered, by the first rule that denied, or spoke.',
    labelNames: ['operation', 'resource', 'allowed', 'mode', 'rule', 'dry_run'],
    registers,
  })
  const duration = new TallyHistogram({
    name: 'sallyport_webhook_admission_duration_seconds',
    help: 'Time from the whole review to its answer.',
    labelNames: ['operation', 'resource'],
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers,
  })
  const refusals = new TallyCounter({
    name: 'sallyport_webhook_http_refusals_total',
    help: 'Requests that were answered with an HTTP error.',
    labelNames: ['code'],
    registers,
  })
  const crowded = new Counter({
    name: 'sallyport_webhook_large_reviews_refused_total',
    help: 'Large reviews refused with 503: their user had the most places (share), or all users together had too many (full).',
    labelNames: ['reason'],
    registers,
  })
  const strangers = new Counter({
    name: 'sallyport_webhook_connections_refused_total',
    help: 'Connections closed because of the address that they came from.',
    registers,
  })
  gauge(registry, 'sallyport_webhook_certificate_expiry_timestamp_seconds', {
    help: 'When the serving certificate expires, seconds since the epoch.',
    value: certificateNotAfterSeconds,
  })
  new Gauge({
    name: 'sallyport_build_info',
    help: 'The version that runs.',
    labelNames: ['version'],
    registers,
  }).set({ version }, 1)
  return {
    registry,
    judged(head, decision, seconds) {
      const labels = requestLabels(head, decision)
      const { operation, resource, allowed, mode, rule, dry_run } = labels
      requests.count([operation, resource, allowed, mode, rule, dry_run])
      duration.tally([operation, resource], seconds)
    },
    crowded: (reason) => crowded.inc({ reason }),
    strangerRefused: () => strangers.inc(),
    refused: (status) => refusals.count([String(status)]),
  }
}

function requestLabels(head: ReviewHead | undefined, decision: Decision | undefined) {
  const [plural = '', part] = (head?.resource ?? '').split('/')
  const isKnown = RESOURCES.has(plural) && (part === undefined || part === 'status')
  return {
    operation: head?.operation ?? 'unknown',
    resource: isKnown ? (head?.resource ?? '') : 'other',
    allowed: decision === undefined ? 'error' : String(decision.allowed),
    mode: decision?.decisive?.mode ?? 'none',
    rule: decision?.decisive?.rule ?? decision?.reason ?? 'none',
    dry_run: String(head?.dryRun ?? false),
  }
}

function gauge(
  registry: Registry,
  name: string,
  { help, value }: { readonly help: string; readonly value: () => number },
): void {
  const made: Gauge = new Gauge({
    name,
    help,
    registers: [registry],
    collect: () => made.set(value()),
  })
}
