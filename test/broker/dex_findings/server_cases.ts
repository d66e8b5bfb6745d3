// How the server runs: listeners, storage, keys and lifetimes, grants.
import { BASE, MEMORY, SQLITE, chart, error, note, warning } from './case.ts'
import type { Case } from './case.ts'

export const SERVER_CASES: readonly Case[] = [
  // listeners
  error(
    'address_malformed',
    'an address without port',
    'http: 127.0.0.1:5556',
    'http: 127.0.0.1',
    'http: 127.0.0.1\n',
  ),
  error(
    'address_malformed',
    'a proxy that is no network',
    '  http: 127.0.0.1:5556',
    '  clientRemoteIP: { header: X-Real-IP, trustedProxies: [10.0.0.1] }\n  http: 127.0.0.1:5556',
    'trustedProxies',
    {
      message: /failed to parse CIDR/,
    },
  ),
  note('listen_default', 'no address', 'web:\n  http: 127.0.0.1:5556\n', '', ''),
  warning(
    'listener_plain_http',
    'plain HTTP for everybody',
    'http: 127.0.0.1:5556',
    'http: 0.0.0.0:5556',
    'http: 0.0.0.0',
  ),
  note('telemetry_default', 'values of the chart', BASE, chart(), 'config:'),
  error(
    'tls_files',
    'HTTPS without certificate',
    '  http: 127.0.0.1:5556',
    '  https: 127.0.0.1:5554\n  tlsKey: k',
    'https: 127',
    {
      message: /^no cert specified for HTTPS$/,
    },
  ),
  warning(
    'file_readable_by_others',
    'a private key that every user can read',
    '  http: 127.0.0.1:5556',
    '  https: 127.0.0.1:5554\n  tlsCert: /etc/dex/tls.crt\n  tlsKey: /etc/dex/tls.key',
    'tlsKey',
    { world: { modes: { '/etc/dex/tls.key': 0o100644 } }, message: /mode 0644/, wayOut: /chmod 600/ },
  ),
  error(
    'tls_version',
    'an old TLS version',
    '  http: 127.0.0.1:5556',
    '  tlsMinVersion: "1.1"\n  http: 127.0.0.1:5556',
    'tlsMinVersion',
    {
      message: /^supported TLS versions are: 1.2, 1.3$/,
    },
  ),
  warning(
    'client_address_unused',
    'a header without proxies',
    '  http: 127.0.0.1:5556',
    '  clientRemoteIP: { header: X-Real-IP }\n  http: 127.0.0.1:5556',
    'header',
  ),
  error('log_level', 'a log level', 'telemetry:', 'logger: { level: loud }\ntelemetry:', 'level'),
  error('log_format', 'a log format', 'telemetry:', 'logger: { format: xml }\ntelemetry:', 'format'),
  // storage
  error('storage_missing', 'no storage', SQLITE, '', '', {
    message: /^no storage supplied in config file$/,
    wayOut: /--store sqlite/,
  }),
  error('storage_missing', 'SQLite in memory', '/var/dex/dex.db', '":memory:"', 'file'),
  error('storage_unknown', 'a storage type', 'type: sqlite3', 'type: sqlite', 'type: sqlite\n', {
    message: /^unknown storage type "sqlite"$/,
  }),
  note(
    'storage_own_objects',
    'Kubernetes as storage',
    SQLITE,
    'storage:\n  type: kubernetes\n  config: { inCluster: true }\n',
    'type: kubernetes',
    { wayOut: /our Role besides Dex's/ },
  ),
  error(
    'storage_unclear',
    'a cluster that is nowhere',
    SQLITE,
    'storage:\n  type: kubernetes\n  config: { inCluster: false }\n',
    'config',
    { message: /^must specify either 'inCluster' or 'kubeConfigFile'$/ },
  ),
  error(
    'storage_unclear',
    'a cluster in two places',
    SQLITE,
    'storage:\n  type: kubernetes\n  config: { inCluster: true, kubeConfigFile: /k }\n',
    'config',
    { message: /both/ },
  ),
  error(
    'storage_unclear',
    'definitions that are neither made nor looked at',
    SQLITE,
    'storage:\n  type: kubernetes\n  config: { inCluster: true, crdHandling: never }\n',
    'crdHandling',
    { wayOut: /ensure/ },
  ),
  error(
    'storage_unsupported',
    'PostgreSQL as storage',
    SQLITE,
    'storage:\n  type: postgres\n  config: { host: db, port: 5432 }\n',
    'type: postgres',
    {
      wayOut: /--store sqlite/,
    },
  ),
  note('storage_memory', 'memory as storage', SQLITE, MEMORY, 'type: memory'),
  note('storage_own_file', 'SQLite as storage', SQLITE, SQLITE, 'file: /var'),
  error('store_flag_malformed', 'a flag that is not understood', SQLITE, SQLITE, 'storage', {
    world: { flags: { store: 'redis' } },
  }),
  error('store_flag_malformed', 'a URL on the command line', SQLITE, SQLITE, 'storage', {
    world: { flags: { store: 'postgres://sallyport:pw@db/keys' } },
    message: /^[^@]*$/,
    wayOut: /postgres:FILE/,
  }),
  error('store_flag_malformed', 'a file that is not there', SQLITE, SQLITE, 'storage', {
    world: { flags: { store: 'postgres:/run/none' } },
    message: /ENOENT/,
  }),
  error('store_flag_malformed', 'a file without a URL', SQLITE, SQLITE, 'storage', {
    world: { flags: { store: 'postgres:/run/url' }, files: { '/run/url': 'hunter2' } },
    message: /not a postgres/,
  }),
  error('file_readable_by_others', 'a URL that everybody can read', SQLITE, SQLITE, 'storage', {
    world: {
      flags: { store: 'postgres:/run/url' },
      files: { '/run/url': 'postgres://sallyport:pw@db/keys' },
      modes: { '/run/url': 0o100644 },
    },
    wayOut: /chmod/,
  }),
  warning('store_plain_tcp', 'a database across a network without TLS', SQLITE, SQLITE, 'storage', {
    world: {
      flags: { store: 'postgres:/run/url' },
      files: { '/run/url': 'postgres://sallyport:pw@db/keys?sslmode=disable' },
    },
    wayOut: /sslmode/,
  }),
  // keys and lifetimes
  error('duration_malformed', 'days', '10m', '7d', 'idTokens', {
    message: /for id token expiry/,
    wayOut: /168h/,
  }),
  error(
    'duration_malformed',
    'a rotation without unit',
    '  idTokens: 10m',
    '  signingKeys: "6"\n  idTokens: 10m',
    'signingKeys',
  ),
  error(
    'signer_unsupported',
    'keys in Vault',
    'telemetry:',
    'signer: { type: vault, config: { keyName: k } }\ntelemetry:',
    'type: vault',
  ),
  error(
    'signer_unknown',
    'an unknown signer',
    'telemetry:',
    'signer: { type: kms }\ntelemetry:',
    'type: kms',
  ),
  error(
    'signer_rotation_missing',
    'no rotation period',
    'telemetry:',
    'signer: { type: local, config: {} }\ntelemetry:',
    'config: {}',
  ),
  error(
    'signer_algorithm',
    'an algorithm',
    'telemetry:',
    'signer: { type: local, config: { keysRotationPeriod: 6h, algorithm: PS256 } }\ntelemetry:',
    'algorithm',
    {
      message: /^unsupported local signer algorithm "PS256"$/,
    },
  ),
  // grants
  note('grants_default', 'no list of grants', BASE, BASE, 'oauth2'),
  warning(
    'grants_none_served',
    'a list of grants for people',
    '  skipApprovalScreen: true',
    '  grantTypes: [authorization_code]',
    'grantTypes',
  ),
  warning(
    'grant_unknown',
    'a grant by a name of its own',
    '  skipApprovalScreen: true',
    '  grantTypes: [token-exchange, client_credentials]',
    'grantTypes',
  ),
  note(
    'grant_exchange_off',
    'a list without exchange',
    '  skipApprovalScreen: true',
    '  grantTypes: [client_credentials]',
    'grantTypes',
  ),
]
