// sallyport.yaml as an operator writes it: the one source of its type, of the JSON Schema for editors
// (deploy/schema/sallyport.schema.json) and of docs/configuration.md. Its order is the order of the docs.
import { PRESET_NAMES } from '#core/issuer/preset.ts'
import { CLIENT_CREDENTIALS, TOKEN_EXCHANGE } from '#core/oauth/names.ts'
import { Type, words } from '#platform/config/schema_type.ts'
import type { Static } from '#platform/config/schema_type.ts'
import { KubeSchema } from './kube_schema.ts'
import { duration, name, names, path, PolicySchema } from './policy_schema.ts'
import { SignerSchema } from './signer_schema.ts'
import { StoreSchema } from './store_schema.ts'

/** What holds where the file says nothing. */
export const DEFAULTS = {
  opsAddress: '127.0.0.1:9090',
  tlsMinVersion: 'TLSv1.2',
  algorithm: 'ES256',
  rotateEvery: '24h',
  clockSkew: '30s',
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

const url = (description: string, examples: readonly string[] = []) =>
  Type.String({
    minLength: 1,
    format: 'https-or-http-url',
    description,
    ...(examples.length > 0 && { examples }),
  })

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

const ClaimMappingSchema = Type.Object(
  {
    userId: Type.Optional(
      name("Claim for the user id inside `sub`. Left out: the connector type's immutable id."),
    ),
    username: Type.Optional(name('Claim for `name`.')),
    preferredUsername: Type.Optional(name('Claim for `preferred_username`.')),
    email: Type.Optional(name('Claim for `email`.')),
    groups: Type.Optional(name('Claim whose values become groups. Left out: no group comes from the token.')),
    groupPrefix: Type.Optional(
      Type.String({ minLength: 1, description: 'Put before each of these groups.' }),
    ),
    groupsFilter: Type.Optional(
      Type.String({ minLength: 1, description: 'RE2; only groups it finds are taken.' }),
    ),
  },
  { description: 'Claim names (or JSON pointers) that say who the token speaks of.' },
)

const DexOptionsSchema = Type.Object(
  {
    preferStandardClaims: Type.Optional(
      Type.Boolean({
        default: false,
        description:
          "`preferred_username`, `email` and `groups` of a token win over the claims of `claimMapping` (Dex's " +
          '`overrideClaimMapping: false`).',
      }),
    ),
    requireEmail: Type.Optional(
      Type.Boolean({ default: false, description: 'A token without e-mail is denied (Dex scope `email`).' }),
    ),
    assumeEmailVerified: Type.Optional(
      Type.Boolean({
        default: false,
        description: 'A missing `email_verified` counts as true (Dex `insecureSkipEmailVerified`).',
      }),
    ),
    groupSuffix: Type.Optional(Type.String({ minLength: 1, description: 'Put behind each group.' })),
    newGroups: Type.Optional(
      Type.Array(
        Type.Object({
          claims: names('Text claims that are joined, the missing ones skipped.'),
          delimiter: Type.Optional(Type.String({ description: 'Put between prefix and claims.' })),
          clearDelimiter: Type.Optional(
            Type.Boolean({ default: false, description: 'Delete the delimiter inside of values.' }),
          ),
          prefix: Type.Optional(Type.String({ description: 'Put first.' })),
        }),
        { description: 'Groups made of claims (Dex `newGroupFromClaims`).' },
      ),
    ),
    documentIssuer: Type.Optional(
      url('Issuer that the discovery document names in place of `issuer` (Dex `issuerAlias`).'),
    ),
    jwksUri: Type.Optional(url('Key set in place of the discovered one; discovery still happens.')),
    userinfoUri: Type.Optional(url('Userinfo endpoint in place of the discovered one.')),
  },
  {
    description:
      "Options of Dex's `oidc` connector that have no other word here, written by `config from-dex`. With it an " +
      'unverified e-mail may name a user, as in Dex.',
  },
)

export const ConnectorSchema = Type.Object({
  id: name('Named by policies, clients and `connector_id` in a request. Unique.'),
  type: words(PRESET_NAMES, {
    description:
      'Kind of issuer: its claims, immutable ids, event list, lifetimes and traps are known. `oidc`: any other.',
  }),
  issuer: url('Compared byte for byte with `iss` of a token.', ['https://gitlab.example.com']),
  name: Type.Optional(name('Name for people. Left out: the id.')),
  audiences: Type.Optional(
    names(
      'Values of `aud` of which a token must carry one. Left out: the issuer of this broker, with and without a ' +
        'trailing slash.',
    ),
  ),
  strictAudience: Type.Optional(
    Type.Boolean({ default: false, description: 'A token must carry that audience and no other.' }),
  ),
  discoveryUrl: Type.Optional(url('Discovery document, where it is not below the issuer.')),
  jwksUri: Type.Optional(url('Key set, without discovery.')),
  jwksFile: Type.Optional(path('Key set in a file, for an issuer that cannot be reached.')),
  caFile: Type.Optional(path('Certificates, PEM, that the issuer is trusted by instead of the system ones.')),
  insecureSkipVerify: Type.Optional(
    Type.Boolean({
      default: false,
      description:
        'Any certificate of the issuer passes: whoever answers chooses its keys. Warned of at each start.',
    }),
  ),
  trustedHosts: Type.Optional(
    Type.Array(Type.String({ format: 'host-name' }), {
      description: "Hosts other than the issuer's that its documents may point at, without scheme and port.",
      examples: [['keys.example.com']],
    }),
  ),
  algorithms: Type.Optional(
    Type.Array(
      words(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA']),
      { minItems: 1, description: "Signature algorithms accepted. Left out: the connector type's." },
    ),
  ),
  clockSkew: Type.Optional(
    Type.String({
      format: 'go-duration-or-zero',
      default: DEFAULTS.clockSkew,
      description: 'Tolerance between its clock and ours.',
    }),
  ),
  maxAge: Type.Optional(duration("Oldest token accepted, by `iat`. Left out: the connector type's.")),
  maxLifetime: Type.Optional(duration("Longest `exp` - `iat` accepted. Left out: the connector type's.")),
  singleUse: Type.Optional(
    words(['off', 'once', 'per_audience'], {
      description:
        'How often one token is exchanged: until it expires, once, or once for each audience. Left out: the ' +
        "connector type's.",
    }),
  ),
  whenStoreFails: Type.Optional(
    words(['refuse', 'accept_replays'], {
      default: 'refuse',
      description:
        'A token that is good once, while the store does not answer: 503, or exchanged once at each broker process ' +
        'that cannot reach the store. Warned of at each start.',
    }),
  ),
  userinfo: Type.Optional(
    Type.Boolean({
      default: false,
      description: 'Take opaque access tokens, too, and prove them at userinfo.',
    }),
  ),
  claimMapping: Type.Optional(ClaimMappingSchema),
  allowedGroups: Type.Optional(
    Type.Array(Type.String({ minLength: 1 }), {
      minItems: 1,
      description: 'The token must carry one of these groups (in the claim of `claimMapping.groups`).',
    }),
  ),
  dex: Type.Optional(DexOptionsSchema),
})

const oneOrTwo = (entry: string, description: string) =>
  Type.Union(
    [Type.String({ minLength: 1 }), Type.Array(Type.String({ minLength: 1 }), { minItems: 1, maxItems: 2 })],
    { description: `${description} One, or two while a secret is rotated.`, examples: [entry] },
  )

const ClientAuthSchema = Type.Union(
  [
    Type.Object({
      method: Type.Literal('client_secret', {
        description: 'HTTP Basic or form. One or two secrets in all.',
      }),
      secretEnv: Type.Optional(oneOrTwo('CI_CLIENT_SECRET', 'Environment variable that holds the secret.')),
      secretFile: Type.Optional(oneOrTwo('/run/secrets/ci', 'File that holds the secret.')),
      secretHashes: Type.Optional(
        Type.Array(Type.String({ minLength: 1 }), {
          minItems: 1,
          maxItems: 2,
          description:
            'Hashes as `sallyport hash-secret` prints them; the secret itself is nowhere on this machine.',
        }),
      ),
    }),
    Type.Object({ method: Type.Literal('none', { description: 'A public client: its id is all it says.' }) }),
    Type.Object({
      method: Type.Literal('private_key_jwt', { description: 'RFC 7523: it signs with a key of its own.' }),
      jwks: Type.Optional(
        Type.Object(
          { keys: Type.Array(Type.Record(Type.Unknown()), { minItems: 1, description: 'Public JWKs.' }) },
          { description: 'Its public keys.' },
        ),
      ),
      jwksFile: Type.Optional(path('Its public keys as JWKS.')),
    }),
    Type.Object({
      method: Type.Literal('federated_jwt', {
        description: 'The token of the CI job is the credential: no secret.',
      }),
      connector: name('Connector that verifies it.'),
      policy: name('Policy that must hold.'),
    }),
  ],
  { description: 'How it proves that it is this client.' },
)

/** Words for grants, and the names on the wire that they stand for. */
export const GRANT_WORDS = {
  'token-exchange': TOKEN_EXCHANGE,
  client_credentials: CLIENT_CREDENTIALS,
} as const

export const ClientSchema = Type.Object({
  id: name('`client_id`. Unique.'),
  name: Type.Optional(
    name('Name for people, and claim `name` of a client_credentials token. Left out: the id.'),
  ),
  auth: ClientAuthSchema,
  connectors: Type.Optional(
    names('Connectors whose tokens it may exchange. Left out: all; a public client lists them.'),
  ),
  grants: Type.Optional(
    Type.Array(words(['token-exchange', 'client_credentials']), {
      minItems: 1,
      default: ['token-exchange'],
      description:
        'What it may ask for. A token for the client itself (`client_credentials`) is said explicitly.',
    }),
  ),
  defaultAudiences: Type.Optional(
    names('Audiences of a request that names none. Left out: the client itself.'),
  ),
  subject: Type.Optional(
    words(['dex', 'plain'], {
      default: 'dex',
      description: '`sub` of its client_credentials tokens: as Dex encodes it, or the plain client id.',
    }),
  ),
  groups: Type.Optional(names('Groups of its client_credentials tokens.')),
  ttl: Type.Optional(duration('Longest lifetime of its tokens. Left out: `tokens.ttl`.')),
})

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

export type ConnectorFile = Static<typeof ConnectorSchema>
export type ClientFile = Static<typeof ClientSchema>
export type ClientAuthFile = Static<typeof ClientAuthSchema>
export type AudienceFile = Static<typeof AudienceSchema>
export type ListenerFile = Static<typeof ListenerSchema>
