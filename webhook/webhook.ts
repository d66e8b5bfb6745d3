// The whole server, wired in one place: what is judged with, what is listened on, and how it ends.
import type { Clock } from '#core/clock.ts'
import type { AdmissionEvent } from '#core/module/admission_event.ts'
import type { AuditSink } from '#platform/audit_sink.ts'
import { listen } from '#platform/http/listen.ts'
import type { Listening } from '#platform/http/listen.ts'
import { createOpsApp } from '#platform/http/ops_app.ts'
import type { Log } from '#platform/log.ts'
import { createApp } from './app.ts'
import type { CertificateSource } from './certificate/source.ts'
import { isPortOpen } from './config/webhook_config.ts'
import type { WebhookConfig } from './config/webhook_config.ts'
import { webhookChecks } from './health.ts'
import type { ClusterPort } from './judge/cluster_port.ts'
import { judgeReview } from './judge/judge_review.ts'
import type { LargeReviews } from './judge/judge_review.ts'
import { listenForReviews } from './listen.ts'
import type { ClientCertificates, ReviewListener } from './listen.ts'
import type { WebhookMetrics } from './metrics.ts'

export type WebhookParts = {
  readonly cluster: ClusterPort
  readonly large: LargeReviews
  readonly certificate: CertificateSource
  readonly clients: ClientCertificates | undefined
  readonly audit: AuditSink<AdmissionEvent>
  readonly metrics: WebhookMetrics
  readonly log: Log
  readonly clock: Clock
  /** Counts an open connection until the returned function is called (load_gauge.ts). */
  readonly connected: () => () => void
}

export type Webhook = {
  readonly url: string
  /** `undefined` when there is no ops listener. */
  readonly opsUrl: string | undefined
  /** Not ready any more, and every connection ends with its next answer; reviews are answered as before. */
  drain(): void
  /** Answers what is under way and closes the listeners; the parts stay open. */
  close(): Promise<void>
}

type Settings = Pick<WebhookConfig, 'host' | 'port' | 'allowFrom' | 'ops' | 'limits'>

/** Rejects when it cannot listen; nothing stays open then. */
export async function openWebhook(settings: Settings, parts: WebhookParts): Promise<Webhook> {
  const { cluster, large, certificate, clients, audit, metrics, log, clock, connected } = parts
  const { host, port, allowFrom, ops, limits } = settings
  const isOpen = isPortOpen({ allowFrom, clients })
  let isDraining = false
  const judgeDeps = { cluster, large, audit, metrics, log, clock }
  const app = createApp({
    judge: (body) => judgeReview(body, judgeDeps),
    isDraining: () => isDraining,
    refused: metrics.refused,
    log,
    body: { timeoutMs: limits.bodyTimeoutSeconds * 1000 },
    maxConcurrent: limits.maxConcurrentReviews,
  })
  const checks = () => webhookChecks({ cluster, audit, certificate, isOpen, isDraining: () => isDraining })
  let reviews: ReviewListener | undefined
  let opsListening: Listening | undefined
  const close = async (): Promise<void> => {
    await reviews?.close()
    await opsListening?.close()
    app.close()
  }
  try {
    // First, so that probes hear why nothing else is there yet.
    if (ops !== undefined)
      opsListening = await listen(
        createOpsApp({ registry: metrics.registry, checks: async () => checks() }),
        { host: ops.host ?? '::', port: ops.port, tls: undefined },
        log,
      )
    const { strangerRefused } = metrics
    const listener = { host, port, certificate, allowFrom, strangerRefused, clients, log, connected }
    reviews = await listenForReviews(app, listener)
  } catch (error) {
    await close()
    throw error
  }
  return {
    url: reviews.url,
    opsUrl: opsListening?.url,
    drain() {
      isDraining = true
      reviews.drain()
    },
    close,
  }
}
