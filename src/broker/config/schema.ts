// sallyport.yaml as an operator writes it: the one source of its type, of the JSON Schema for editors
// (deploy/schema/sallyport.schema.json) and of docs/configuration.md. Its order is the order of the docs.
import { Type, words } from '#platform/config/schema_type.ts'
import type { Static } from '#platform/config/schema_type.ts'
import { ClientSchema } from './client_schema.ts'
import { ConnectorSchema } from './connector_schema.ts'
import { duration, name, names, path, url } from './field_schema.ts'
import { KubeSchema } from './kube_schema.ts'
import { PolicySchema } from './policy_schema.ts'
import { SignerSchema } from './signer_schema.ts'
import { StoreSchema } from './store_schema.ts'

/** What holds where the file says nothing. */
export const DEFAULTS = {
  opsAddress: '127.0.0.1:9090',
  tlsMinVersion: 'TLSv1.2',
  algorithm: 'ES256',
  rotateEvery: '24h',
  ttl: '10m',
  addressRate: 200,
  addressBurst: 2000,
  clientRate: 100,
  clientBurst: 1000,
  maxConcurrentRequests: 1024,
  maxWaitingSignatures: 1000,
  logLevel: 'info',
  logFormat: 'json',
  audit: 'stdout',
} as const

const TlsSchema = Type.Object(
  {
    certFile: path('Certificate chain, PEM. Read again when it changes.'),
    keyFile: path('Private key, PEM. Read again when it changes.'),
    minVersion: Type.Optional(
      words(['TLSv1.2', 'TLSv1.3'], {
        default: DEFAULTS.tlsMinVersion,
        description: 'Oldest TLS version answered.',
      }),
    ),
  },
  { description: 'Serve HTTPS.' },
)

const listenAddress = (description: string) =>
  Type.String({ format: 'listen-address', description, examples: ['0.0.0.0:8443', '[::1]:8443'] })

const ListenerSchema = Type.Union(
  [
    listenAddress('Address of a plain HTTP listener.'),
    Type.Object({
      address: listenAddress('host:port; without a host every address is listened on.'),
      tls: Type.Optional(TlsSchema),
    }),
  ],
  { description: 'An address (plain HTTP) or address and certificate.' },
)

export const ListenSchema = Type.Object(
  {
    public: Type.Union([...ListenerSchema.anyOf, Type.Array(ListenerSchema, { minItems: 1 })], {
      description:
        'Where clients, relying parties and kube-apiserver come. A plain address is plain HTTP, which is warned of off ' +
        'the loopback: put TLS in front or give a certificate. A list opens several.',
    }),
    ops: Type.Optional(
      Type.Union([ListenerSchema.anyOf[1], Type.String({ format: 'listen-address-or-off' })], {
        default: DEFAULTS.opsAddress,
        description:
          'Metrics and health. An address, address and certificate, or `off`. Never expose it to strangers.',
      }),
    ),
    drain: Type.Optional(
      Type.String({
        format: 'go-duration-or-zero',
        description:
          'How long a server that is told to end goes on answering while `/readyz` already says no, so that whatever ' +
          'leads to it finds another one. Left out: 5s with a store that several servers share, else 0s.',
      }),
    ),
  },
  { description: 'Listeners.' },
)

export const KeysSchema = Type.Object(
  {
    algorithm: Type.Optional(
      words(['ES256', 'RS256'], {
        default: DEFAULTS.algorithm,
        description:
          'Signs issued tokens. RS256 is for relying parties that know nothing newer; it is ten times slower.',
      }),
    ),
    rotateEvery: Type.Optional(duration('How long one key signs.', DEFAULTS.rotateEvery)),
    sealingKeyFile: Type.Optional(
      path(
        '32 bytes, raw or base64, that seal private keys in the store. Mode 0600: a file that every user can read is ' +
          'refused. Left out: they lie there as they are.',
      ),
    ),
    extraPublicKeysFile: Type.Optional(
      path(
        "Public JWKS served beside ours: an old issuer's keys while one moves over on the same issuer URL.",
      ),
    ),
    signer: Type.Optional(SignerSchema),
  },
  {
    description:
      'Signing keys. They are made, rotated and retired by the broker, or lie with a signer elsewhere.',
  },
)

export const WebSchema = Type.Object(
  {
    headers: Type.Optional(
      Type.Record(Type.String(), { description: 'Sent with every response of the public listener.' }),
    ),
    allowedOrigins: Type.Optional(names('Origins for CORS; `*` for any. None: CORS is off.')),
    allowedHeaders: Type.Optional(names('Request headers that CORS allows.')),
    clientAddress: Type.Optional(
      Type.Object(
        {
          header: name('Header that carries the address of the client.'),
          trustedProxies: Type.Array(Type.String({ format: 'cidr', examples: ['10.0.0.0/8'] }), {
            minItems: 1,
            description: 'Proxies whose word is taken, as CIDR.',
          }),
        },
        {
          description:
            'Behind a proxy: where the address of the client stands. Left out: the peer of the connection.',
        },
      ),
    ),
  },
  { description: 'HTTP of the public listener.' },
)

export const AudienceSchema = Type.Object({
  id: name('Value of `aud`. Unique.'),
  profile: Type.Optional(
    words(['dex', 'kubernetes', 'rfc9068'], {
      default: 'dex',
      description:
        '`dex`: as Dex writes tokens. `kubernetes`: this audience alone, flat text claims, at most 15 minutes. ' +
        '`rfc9068`: a JWT access token.',
    }),
  ),
  clients: Type.Optional(names('Clients that may ask for it. A client may always ask for itself.')),
  resources: Type.Optional(
    Type.Array(Type.String({ format: 'resource-uri' }), {
      description: '`resource` URIs (RFC 8707) that mean this audience, compared as text.',
      examples: [['https://registry.example.com']],
    }),
  ),
  maxTtl: Type.Optional(
    duration('Longest lifetime of a token for it. `kubernetes`: 15m at most and by default.'),
  ),
})

export const TokensSchema = Type.Object(
  { ttl: Type.Optional(duration('Lifetime where nothing else says less.', DEFAULTS.ttl)) },
  { description: 'Issued tokens.' },
)

const rate = (fallback: number, description: string) =>
  Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000_000, default: fallback, description }))

/**
 * A fleet behind one NAT with one client id must not meet these. 5,000 runners with jobs of 5 minutes are 17 exchanges a
 * second; a schedule that starts 1,500 jobs within 5 s needs 1000 + 5 x 100. Both together stay below 5% of one core.
 */
export const LimitsSchema = Type.Object(
  {
    addressRate: rate(
      DEFAULTS.addressRate,
      'Requests a second from one address, before anything costs. 0: no limit.',
    ),
    addressBurst: rate(DEFAULTS.addressBurst, 'Requests one address may make at once after a pause.'),
    clientRate: rate(
      DEFAULTS.clientRate,
      'Requests a second of one client id from one address. 0: no limit.',
    ),
    clientBurst: rate(
      DEFAULTS.clientBurst,
      'Requests one client id may make at once from one address after a pause.',
    ),
    maxConcurrentRequests: rate(
      DEFAULTS.maxConcurrentRequests,
      'Requests in work at once; more are answered 503. 0: no limit.',
    ),
    maxWaitingSignatures: rate(
      DEFAULTS.maxWaitingSignatures,
      'Tokens that may wait for their signature at once; more are answered 429, as they are while one has waited for a second. ' +
        '0: only that.',
    ),
  },
  {
    description:
      'Token buckets. The defaults let a fleet of 5,000 runners behind one NAT pass: with jobs of 5 minutes it makes ' +
      '17 requests a second, and a schedule that starts 1,500 jobs within 5 s fits 1000 + 5 x 100.',
  },
)

export const LogSchema = Type.Object(
  {
    level: Type.Optional(
      words(['debug', 'info', 'warn', 'error'], {
        default: DEFAULTS.logLevel,
        description: 'Least level written.',
      }),
    ),
    format: Type.Optional(
      words(['json', 'text'], { default: DEFAULTS.logFormat, description: 'Form of a line.' }),
    ),
  },
  { description: 'Log lines go to stderr. No token or secret is ever in them.' },
)

export const AuditSchema = Type.Object(
  {
    destination: Type.Optional(
      Type.String({
        minLength: 1,
        default: DEFAULTS.audit,
        description: '`stdout`, `stderr`, or a file that is appended to.',
      }),
    ),
  },
  { description: 'One event for each decision, allowed or denied, written before the answer leaves.' },
)

export const SallyportSchema = Type.Object(
  {
    $schema: Type.Optional(
      Type.String({ description: 'For editors: path or URL of sallyport.schema.json.' }),
    ),
    issuer: url('`iss` of issued tokens and base of every path. A trailing slash stays.', [
      'https://sallyport.example.com',
    ]),
    listen: ListenSchema,
    store: Type.Optional(StoreSchema),
    keys: Type.Optional(KeysSchema),
    web: Type.Optional(WebSchema),
    connectors: Type.Optional(Type.Array(ConnectorSchema, { description: 'Sources of subject tokens.' })),
    clients: Type.Optional(Type.Array(ClientSchema, { description: 'Who may ask.' })),
    audiences: Type.Optional(
      Type.Array(AudienceSchema, { description: 'Relying parties: whom tokens are for.' }),
    ),
    policies: Type.Optional(
      Type.Array(PolicySchema, {
        description:
          'Which claims of which connector get what. Tried in this order; the first that holds decides. Without one ' +
          'that holds nothing is granted.',
      }),
    ),
    tokens: Type.Optional(TokensSchema),
    limits: Type.Optional(LimitsSchema),
    log: Type.Optional(LogSchema),
    audit: Type.Optional(AuditSchema),
    kube: Type.Optional(KubeSchema),
  },
  { title: 'sallyport.yaml', description: 'Configuration of the Sallyport broker.' },
)

export type AudienceFile = Static<typeof AudienceSchema>
export type ListenerFile = Static<typeof ListenerSchema>
