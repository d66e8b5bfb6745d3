// The section `store` as an operator writes it: memory, one SQLite file, or a PostgreSQL or a cluster that several brokers
// share.
import { Type, words } from '#platform/config/schema_type.ts'
import type { Static } from '#platform/config/schema_type.ts'
import { duration, path } from './field_schema.ts'

/** What holds where the file says nothing. */
export const STORE_DEFAULTS = {
  file: '.sallyport/sallyport.db',
  schema: 'sallyport',
  maxConnections: 4,
  connectTimeout: '3s',
  statementTimeout: '2s',
  definitions: 'ensure',
  requestTimeout: '2s',
  maxEntries: 50_000,
} as const

const MemorySchema = Type.Object({
  type: Type.Literal('memory', { description: 'Nothing survives a restart: keys neither.' }),
})

const SqliteSchema = Type.Object({
  type: Type.Literal('sqlite', {
    description:
      'One file, one server: a second one that is started on it ends with a message. Commands such as ' +
      '`sallyport keys` may open it beside the server. A server of another issuer than the last one warns.',
  }),
  file: Type.Optional(
    Type.String({
      minLength: 1,
      default: STORE_DEFAULTS.file,
      description: 'Database file. `<file>.lock` beside it is held by the server.',
    }),
  ),
})

const PostgresTlsSchema = Type.Union(
  [
    words(['off']),
    Type.Object({
      caFile: Type.Optional(
        path('Certificates, PEM, that it is trusted by instead of the system ones. Read at the start.'),
      ),
      serverName: Type.Optional(
        Type.String({
          format: 'host-name',
          description: 'Name in its certificate, where that is not the host.',
        }),
      ),
    }),
  ],
  {
    description:
      'How the connection is protected. Left out: TLS, with its certificate checked, but for a Unix socket and the ' +
      'loopback. `off` elsewhere is warned of at each start.',
  },
)

const PostgresSchema = Type.Object({
  type: Type.Literal('postgres', {
    description:
      'A PostgreSQL that as many servers share as there are replicas (operations.md). Makes its tables at the first start.',
  }),
  urlFile: Type.Optional(
    path('File with the URL and the password in it: `postgres://user:password@host:5432/database`.'),
  ),
  url: Type.Optional(
    Type.String({
      minLength: 1,
      examples: [
        'postgres://sallyport@db.example.com:5432/sallyport',
        'postgres:///sallyport?host=/run/postgresql&user=sallyport',
      ],
      description: 'The URL without a password, in place of `urlFile`.',
    }),
  ),
  passwordFile: Type.Optional(
    path(
      'Password of the user in `url`; read again with each new connection. Left out: nobody asks for one.',
    ),
  ),
  tls: Type.Optional(PostgresTlsSchema),
  schema: Type.Optional(
    Type.String({
      pattern: '^(?!pg_)[a-z_][a-z0-9_]{0,62}$',
      default: STORE_DEFAULTS.schema,
      description: 'Schema of the tables: one for each broker of its own.',
    }),
  ),
  maxConnections: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 100,
      default: STORE_DEFAULTS.maxConnections,
      description:
        'Connections of one server at most. Many requests share one: more than a few gain nothing.',
    }),
  ),
  connectTimeout: Type.Optional(
    duration('Longest wait for a connection, a free one or a new one.', STORE_DEFAULTS.connectTimeout),
  ),
  statementTimeout: Type.Optional(
    duration('Longest wait for an answer; after it requests fail with 503.', STORE_DEFAULTS.statementTimeout),
  ),
})

export type PostgresFile = Static<typeof PostgresSchema>

const KubernetesSchema = Type.Object({
  type: Type.Literal('kubernetes', {
    description:
      'Objects of a Kubernetes cluster, for as many servers as share a namespace and have no database (operations.md). ' +
      "Without `kubeconfig`: as the ServiceAccount of the server's Pod.",
  }),
  kubeconfig: Type.Optional(
    path(
      'Kubeconfig, where the server does not run in the cluster. Its credentials are read again as they change.',
    ),
  ),
  context: Type.Optional(
    Type.String({ minLength: 1, description: 'Context of `kubeconfig`. Left out: its current one.' }),
  ),
  namespace: Type.Optional(
    Type.String({
      pattern: '^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$',
      description:
        'Namespace of the objects: one for each broker of its own. Left out: that of the Pod or of the context.',
    }),
  ),
  definitions: Type.Optional(
    words(['ensure', 'check'], {
      default: STORE_DEFAULTS.definitions,
      description:
        '`ensure`: custom resource definitions that are missing are made at the start, where the account may. `check`: ' +
        'they must be there.',
    }),
  ),
  requestTimeout: Type.Optional(
    duration('Longest wait for an answer; after it requests fail with 503.', STORE_DEFAULTS.requestTimeout),
  ),
  maxEntries: Type.Optional(
    Type.Integer({
      minimum: 100,
      maximum: 1_000_000,
      default: STORE_DEFAULTS.maxEntries,
      description:
        'Objects at most, of about 1 KB of etcd each; beyond it tokens that are good once are refused with 503.',
    }),
  ),
})

export type KubernetesFile = Static<typeof KubernetesSchema>

export const StoreSchema = Type.Union([MemorySchema, SqliteSchema, PostgresSchema, KubernetesSchema], {
  default: { type: 'sqlite', file: STORE_DEFAULTS.file },
  description: 'Where keys and replay marks are kept.',
})
