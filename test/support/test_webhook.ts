// The webhook's whole server inside the test's process: real TLS, real HTTP, real rules; only the cluster that it asks, the audit
// destination and the log are the test's.
//
//   const webhook = await startTestWebhook(t)                     // ready, with a Module of two published versions
//   const answer = await webhook.post(reviewOf(...))              // one review over HTTP/1.1
//   webhook.cluster.missing = ['modules']; webhook.audit(); webhook.log()
import { request as httpsRequest } from 'node:https'
import type { Agent, RequestOptions } from 'node:https'
import type { Test } from 'tap'
import type { AdmissionEvent } from '../../src/core/module/admission_event.ts'
import type { BreakGlassVerb, ChangeSubject } from '../../src/core/module/change.ts'
import { NO_FACTS } from '../../src/core/module/ledger.ts'
import type { LedgerFacts } from '../../src/core/module/ledger.ts'
import type { NamedPolicy } from '../../src/core/module/policy_choice.ts'
import type { Result } from '../../src/core/result.ts'
import { AuditFailure } from '../../src/platform/audit_sink.ts'
import type { CertificateSource, ServingCertificate } from '../../webhook/certificate/source.ts'
import type { JudgedRequest, LedgerTrouble } from '../../webhook/judge/cluster_port.ts'
import { startLargeReviews } from '../../webhook/judge/large_reviews.ts'
import { createWebhookMetrics } from '../../webhook/metrics.ts'
import { openWebhook } from '../../webhook/webhook.ts'
import type { Webhook } from '../../webhook/webhook.ts'
import { makeClusterAuthority } from './kube_pki.ts'
import type { ClusterAuthority, KeyPairPem } from './kube_pki.ts'

/** 2026-11-21T12:00:00Z, in milliseconds. */
export const REVIEW_TIME = 1_795_262_400_000

/** What a test changes while the server runs. */
export type FakeCluster = {
  missing: readonly string[]
  policies: readonly NamedPolicy[]
  troubles: readonly string[]
  ledgerTrouble: LedgerTrouble | undefined
  facts: LedgerFacts | ((subject: ChangeSubject) => LedgerFacts)
  mayDo: (verb: BreakGlassVerb) => Result<boolean, string>
  readonly remembered: JudgedRequest[]
}

export type WebhookAnswer = {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  readonly json: { readonly response: Fields } & Fields
}

export type PostOptions = {
  readonly path?: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly agent?: Agent
  readonly client?: KeyPairPem
}

export type TestWebhook = {
  readonly webhook: Webhook
  readonly url: string
  readonly port: number
  readonly authority: ClusterAuthority
  readonly cluster: FakeCluster
  /** Breaks and mends the audit destination, or holds it up. */
  readonly auditSink: FakeSink
  audit(): readonly AdmissionEvent[]
  /** `warn no review`, and the fields; from level info on. */
  log(): readonly LogLine[]
  /** The lines of level debug. */
  debugLog(): readonly LogLine[]
  post(body: unknown, options?: PostOptions): Promise<WebhookAnswer>
  ops(path: string): Promise<{ readonly status: number; readonly text: string }>
  /** As a renewed certificate comes: another leaf of the same authority. */
  renewCertificate(): Promise<ServingCertificate>
}

export type LogLine = { readonly level: string; readonly message: string; readonly fields: Fields }

type Fields = Readonly<Record<string, unknown>>

export type FakeSink = { fails: boolean; gate: Promise<void> | undefined; isWaiting: boolean }

export type TestWebhookOptions = {
  readonly clientNames?: readonly string[]
  readonly allowFrom?: readonly string[]
  readonly bodyTimeoutSeconds?: number
  readonly maxConcurrentReviews?: number
  /** Another program for the thread of large reviews. */
  readonly threadFile?: URL
}

export async function startTestWebhook(t: Test, options: TestWebhookOptions = {}): Promise<TestWebhook> {
  const authority = await makeClusterAuthority()
  const cluster: FakeCluster = {
    missing: [],
    policies: [],
    troubles: [],
    ledgerTrouble: undefined,
    facts: NO_FACTS,
    mayDo: () => ({ ok: true, value: false }),
    remembered: [],
  }
  const certificate = await testCertificate(authority)
  const lines: LogLine[] = []
  const events: AdmissionEvent[] = []
  const auditSink: FakeSink = { fails: false, gate: undefined, isWaiting: false }
  const log = testLog(lines)
  const { clientNames, bodyTimeoutSeconds = 5, maxConcurrentReviews = 64 } = options
  const metrics = createWebhookMetrics({
    version: 'test',
    certificateNotAfterSeconds: () => certificate.source.current().notAfterSeconds,
  })
  const large = startLargeReviews({
    log,
    onCrowded: metrics.crowded,
    ...(options.threadFile === undefined ? {} : { file: options.threadFile }),
  })
  t.teardown(() => large.close())
  const webhook = await openWebhook(
    {
      host: '127.0.0.1',
      port: 0,
      allowFrom: options.allowFrom,
      ops: { host: '127.0.0.1', port: 0 },
      limits: { maxConcurrentReviews, bodyTimeoutSeconds, drainSeconds: 0 },
    },
    {
      cluster: {
        missing: () =>
          cluster.ledgerTrouble?.isMissing === true
            ? [...cluster.missing, `ledger: ${cluster.ledgerTrouble.why}`]
            : cluster.missing,
        unsynced: () => cluster.missing,
        policies: () => cluster.policies,
        troubles: () => cluster.troubles,
        ledgerTrouble: () => cluster.ledgerTrouble,
        factsOf: (subject) => (typeof cluster.facts === 'function' ? cluster.facts(subject) : cluster.facts),
        remember: (judged) => cluster.remembered.push(judged),
        mayDo: async (_user, verb) => cluster.mayDo(verb),
      },
      large,
      certificate: certificate.source,
      clients: clientNames === undefined ? undefined : { readCa: () => authority.caPem, names: clientNames },
      audit: {
        write: async (event) => {
          if (auditSink.fails) throw new AuditFailure('the disk is full')
          auditSink.isWaiting = auditSink.gate !== undefined
          await auditSink.gate
          events.push(event)
        },
        failure: () => (auditSink.fails ? 'the disk is full' : undefined),
        reopen: () => undefined,
        close: () => undefined,
      },
      metrics,
      log,
      connected: () => () => undefined,
      clock: () => REVIEW_TIME,
    },
  )
  t.teardown(() => webhook.close())
  const port = Number(new URL(webhook.url).port)
  return {
    webhook,
    url: webhook.url,
    port,
    authority,
    cluster,
    auditSink,
    audit: () => events,
    log: () => lines.filter(({ level }) => level !== 'debug'),
    debugLog: () => lines.filter(({ level }) => level === 'debug'),
    post: (body, posted = {}) => post({ port, ca: authority.caPem }, body, posted),
    async ops(path) {
      const answer = await fetch(`${webhook.opsUrl}${path}`)
      return { status: answer.status, text: await answer.text() }
    },
    renewCertificate: () => certificate.renew(),
  }
}

async function testCertificate(authority: ClusterAuthority) {
  const listeners = new Set<() => void>()
  const make = async (): Promise<ServingCertificate> => {
    const { certPem, keyPem } = await authority.server(['127.0.0.1', 'localhost'])
    return { cert: certPem, key: keyPem, notAfterSeconds: 1_900_000_000 }
  }
  let served = await make()
  const source: CertificateSource = {
    current: () => served,
    onChange(changed) {
      listeners.add(changed)
      return () => listeners.delete(changed)
    },
    missing: () => undefined,
    close: () => undefined,
  }
  return {
    source,
    async renew() {
      served = await make()
      for (const changed of listeners) changed()
      return served
    },
  }
}

function testLog(lines: LogLine[]) {
  const at = (level: string) => (fields: unknown, message?: string) => {
    lines.push({ level, message: message ?? '', fields: Object(fields) })
  }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

type Target = { readonly port: number; readonly ca: string }

function post(target: Target, body: unknown, options: PostOptions): Promise<WebhookAnswer> {
  const { path = '/review?timeout=5s', method = 'POST', headers = {}, agent, client } = options
  const bytes =
    body instanceof Uint8Array ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
  const sent: RequestOptions = {
    host: '127.0.0.1',
    port: target.port,
    ca: target.ca,
    path,
    method,
    headers: { 'content-type': 'application/json', 'content-length': bytes.byteLength, ...headers },
    ...(agent === undefined ? { agent: false } : { agent }),
    ...(client === undefined ? {} : { cert: client.certPem, key: client.keyPem }),
  }
  const { promise, resolve, reject } = Promise.withResolvers<WebhookAnswer>()
  const request = httpsRequest(sent, (response) => {
    const chunks: Buffer[] = []
    response.on('data', (chunk: Buffer) => chunks.push(chunk))
    response.on('error', reject)
    response.on('end', () => {
      const text = Buffer.concat(chunks).toString('utf8')
      const isJson = response.headers['content-type'] === 'application/json'
      resolve({
        status: response.statusCode ?? 0,
        headers: response.headers,
        text,
        json: isJson ? Object(JSON.parse(text)) : { response: {} },
      })
    })
  })
  request.on('error', reject)
  request.end(bytes)
  return promise
}
