// sallyport-webhook.yaml as an operator writes it: the one source of its type, of the JSON Schema for editors
// (deploy/schema/sallyport-webhook.schema.json) and of docs/webhook-configuration.md. Its order is the order of the docs.
import { Type, words } from '#platform/config/schema_type.ts'
import type { Static } from '#platform/config/schema_type.ts'

/** What holds where the file says nothing: what a Pod of deploy/ needs. */
export const WEBHOOK_DEFAULTS = {
  port: 8443,
  opsPort: 9090,
  secret: 'sallyport-webhook-tls',
  service: 'sallyport-webhook',
  webhookConfiguration: 'sallyport-webhook',
  logLevel: 'info',
  logFormat: 'json',
  audit: 'stdout',
  scanInterval: '10m',
  maxConcurrentReviews: 256,
  bodyTimeout: '10s',
  drain: '5s',
} as const

const path = (description: string) => Type.String({ minLength: 1, description })
const name = (description: string, fallback?: string) =>
  Type.String({
    minLength: 1,
    maxLength: 253,
    description,
    ...(fallback !== undefined && { default: fallback }),
  })
const duration = (description: string, fallback: string) =>
  Type.String({ format: 'go-duration', default: fallback, description })
const host = (description: string) =>
  Type.String({ minLength: 1, description, examples: ['127.0.0.1', '::'] })
const port = (fallback: number) =>
  Type.Integer({
    minimum: 0,
    maximum: 65535,
    default: fallback,
    description: 'TCP port; 0 takes a free one.',
  })

const FilesSchema = Type.Object(
  {
    certFile: path('Certificate chain, PEM. Read again when it changes.'),
    keyFile: path('Private key, PEM. Read again when it changes. Mode 0600 or 0400.'),
  },
  { description: 'A certificate that somebody else renews (cert-manager, your own CA).' },
)

const SelfManagedSchema = Type.Object(
  {
    secret: Type.Optional(name('Secret that holds CA and certificates.', WEBHOOK_DEFAULTS.secret)),
    namespace: Type.Optional(name("Its namespace, and the Service's. Left out: the Pod's own.")),
    service: Type.Optional(
      name(
        'Service that the kube-apiserver calls; the certificate is for its name.',
        WEBHOOK_DEFAULTS.service,
      ),
    ),
    webhookConfiguration: Type.Optional(
      name(
        'ValidatingWebhookConfiguration whose `caBundle` is kept up to date.',
        WEBHOOK_DEFAULTS.webhookConfiguration,
      ),
    ),
  },
  { description: 'A certificate of its own keeping, renewed before it expires.' },
)

const TlsSchema = Type.Union([FilesSchema, Type.Object({ selfManaged: SelfManagedSchema })], {
  description:
    'Where the certificate comes from. Left out: `selfManaged` in a Pod; elsewhere it has to be said.',
})

export const ListenSchema = Type.Object(
  {
    host: Type.Optional(host('Address to listen on. Left out: every address.')),
    port: Type.Optional(port(WEBHOOK_DEFAULTS.port)),
    tls: Type.Optional(TlsSchema),
    allowFrom: Type.Optional(
      Type.Array(Type.String({ format: 'cidr', examples: ['10.0.0.0/28'] }), {
        minItems: 1,
        maxItems: 256,
        description:
          'Only who connects from these networks (CIDRs) or addresses is answered: where the API servers come from. A connection from ' +
          'elsewhere ends before TLS begins. Without it and without `clientCaFile` whoever reaches the port is taken for ' +
          'kube-apiserver, and the ledger does not keep who published.',
      }),
    ),
    clientCaFile: Type.Optional(
      path(
        'Only clients with a certificate of these authorities (PEM) are answered: the kube-apiserver, when its ' +
          'AdmissionConfiguration names one. Read again with the serving certificate.',
      ),
    ),
    clientNames: Type.Optional(
      Type.Array(Type.String({ minLength: 1 }), {
        minItems: 1,
        description: 'Of those, only with one of these common names or DNS names.',
      }),
    ),
  },
  { description: 'Where the kube-apiserver comes: HTTPS, HTTP/1.1 and HTTP/2, path `/review`.' },
)

const OpsSchema = Type.Union(
  [
    Type.Object({
      host: Type.Optional(host('Address to listen on. Left out: every address.')),
      port: Type.Optional(port(WEBHOOK_DEFAULTS.opsPort)),
    }),
    Type.Literal('off'),
  ],
  { description: 'Metrics and health, plain HTTP. `off` for none. Never expose it to strangers.' },
)

const ScanSchema = Type.Object(
  {
    interval: Type.Optional(duration('Pause between two scans.', WEBHOOK_DEFAULTS.scanInterval)),
    reports: Type.Optional(
      Type.Boolean({
        default: true,
        description: 'Write PolicyReports (wgpolicyk8s.io/v1alpha2), where the cluster knows them.',
      }),
    ),
  },
  { description: "What the cluster holds already, against today's rules." },
)

const LimitsSchema = Type.Object(
  {
    maxConcurrentReviews: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 10_000,
        default: WEBHOOK_DEFAULTS.maxConcurrentReviews,
        description: 'Reviews under way; those above get HTTP 503, after which a kube-apiserver asks again.',
      }),
    ),
    bodyTimeout: Type.Optional(
      duration('From the head of a request to the end of its body.', WEBHOOK_DEFAULTS.bodyTimeout),
    ),
    drain: Type.Optional(
      Type.String({
        format: 'go-duration-or-zero',
        default: WEBHOOK_DEFAULTS.drain,
        description:
          'After SIGTERM: not ready any more, but answering for so long, until every kube-apiserver has gone elsewhere.',
      }),
    ),
  },
  { description: 'What is not answered any more.' },
)

export const WebhookSchema = Type.Object(
  {
    $schema: Type.Optional(
      Type.String({ description: 'For editors: path or URL of sallyport-webhook.schema.json.' }),
    ),
    listen: Type.Optional(ListenSchema),
    ops: Type.Optional(OpsSchema),
    kubeconfig: Type.Optional(
      path("Kubeconfig of the cluster. Left out: the Pod's own account, `KUBECONFIG`, `~/.kube/config`."),
    ),
    context: Type.Optional(name('Context of the kubeconfig. Left out: its current one.')),
    log: Type.Optional(
      Type.Object(
        {
          level: Type.Optional(
            words(['debug', 'info', 'warn', 'error'], {
              default: WEBHOOK_DEFAULTS.logLevel,
              description: 'Least level written.',
            }),
          ),
          format: Type.Optional(
            words(['json', 'text'], {
              default: WEBHOOK_DEFAULTS.logFormat,
              description: 'Form of a line.',
            }),
          ),
        },
        { description: 'Log lines go to stderr. No token and no object is ever in them.' },
      ),
    ),
    audit: Type.Optional(
      Type.Object(
        {
          destination: Type.Optional(
            Type.String({
              minLength: 1,
              default: WEBHOOK_DEFAULTS.audit,
              description: '`stdout`, `stderr`, or a file that is appended to.',
            }),
          ),
        },
        { description: 'One event for each review, allowed or denied, written before the answer leaves.' },
      ),
    ),
    scan: Type.Optional(ScanSchema),
    limits: Type.Optional(LimitsSchema),
  },
  { title: 'sallyport-webhook.yaml', description: "Configuration of Sallyport's webhook." },
)

export type WebhookFile = Static<typeof WebhookSchema>
