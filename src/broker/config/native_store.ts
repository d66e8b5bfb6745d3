// The section `store`, read. A password comes from a file and stays there: what is kept is the file's name.
import { parseDuration } from '#platform/config/duration.ts'
import { isLoopback } from '#platform/config/formats.ts'
import type { PostgresAddress } from '#platform/store/postgres_pool.ts'
import { parsePostgresUrl } from '#platform/store/postgres_url.ts'
import type { PostgresUrl } from '#platform/store/postgres_url.ts'
import type { StoreConfig } from './broker_config.ts'
import {
  absolute,
  checkPrivate,
  readCertificates,
  readNamedFile,
  reportError,
  reportWarning,
  section,
} from './load_context.ts'
import type { LoadContext } from './load_context.ts'
import { STORE_DEFAULTS, StoreSchema } from './store_schema.ts'
import type { KubernetesFile, PostgresFile } from './store_schema.ts'

/** Stands in after an error, with which nothing starts. */
const UNREAD: StoreConfig = { type: 'memory' }

export function readStore(context: LoadContext): StoreConfig {
  const store = section(context, 'store', StoreSchema) ?? { type: 'sqlite' }
  switch (store.type) {
    case 'memory': {
      const message =
        'with each restart every issued token becomes invalid and every used subject token usable again'
      const wayOut = 'use {type: sqlite, file: ...}'
      reportWarning(context, { code: 'store_memory', path: ['store'], message, wayOut })
      return store
    }
    case 'sqlite':
      return { type: 'sqlite', file: absolute(context, store.file ?? STORE_DEFAULTS.file) }
    case 'postgres':
      return readPostgres(context, store)
    case 'kubernetes':
      return readKubernetes(context, store)
  }
}

/** In a cluster, as the ServiceAccount of the Pod unless a kubeconfig is named; everything else is the default. */
export function kubernetesStore(
  file: Omit<KubernetesFile, 'type'> = {},
): Extract<StoreConfig, { type: 'kubernetes' }> {
  const { kubeconfig, context, namespace } = file
  return {
    type: 'kubernetes',
    place: {
      from: kubeconfig === undefined ? 'cluster' : { kubeconfig, context },
      namespace,
      definitions: file.definitions ?? STORE_DEFAULTS.definitions,
      requestTimeoutSeconds: parseDuration(file.requestTimeout ?? STORE_DEFAULTS.requestTimeout) ?? 0,
      maxEntries: file.maxEntries ?? STORE_DEFAULTS.maxEntries,
    },
  }
}

/** Where the store is, for a URL that says it all: everything else is the default. */
export function postgresStore(
  url: PostgresUrl,
  secret: PostgresAddress['secret'],
  file: Pick<PostgresFile, 'tls' | 'schema' | 'maxConnections' | 'connectTimeout' | 'statementTimeout'> = {},
): Extract<StoreConfig, { type: 'postgres' }> {
  const { host, port, database, user } = url
  return {
    type: 'postgres',
    schema: file.schema ?? STORE_DEFAULTS.schema,
    address: {
      host,
      port,
      database,
      user,
      secret,
      tls: tlsOf(url, file.tls),
      maxConnections: file.maxConnections ?? STORE_DEFAULTS.maxConnections,
      connectTimeoutSeconds: parseDuration(file.connectTimeout ?? STORE_DEFAULTS.connectTimeout) ?? 0,
      statementTimeoutSeconds: parseDuration(file.statementTimeout ?? STORE_DEFAULTS.statementTimeout) ?? 0,
    },
  }
}

/** Passwords and signing keys cross a network in the open. */
export function isPlainTcp({ host, tls }: PostgresAddress): boolean {
  return tls === 'off' && !isNear(host)
}

function readPostgres(context: LoadContext, store: PostgresFile): StoreConfig {
  const url = readUrl(context, store)
  if (url === undefined) return UNREAD
  if (!isTlsClear(context, url, store)) return UNREAD
  const read = postgresStore(url, secretOf(context, store), withAbsoluteCa(context, store))
  if (isPlainTcp(read.address)) {
    const message =
      'passwords and signing keys go to the database in the open: whoever is on the way reads them'
    const wayOut = 'leave tls and sslmode out, and name who signs its certificate: tls: {caFile: ...}'
    reportWarning(context, { code: 'store_plain_tcp', path: ['store'], message, wayOut })
  }
  return read
}

function readKubernetes(context: LoadContext, store: KubernetesFile): StoreConfig {
  if (store.kubeconfig === undefined) {
    if (store.context === undefined) return kubernetesStore(store)
    const message = 'a context without a kubeconfig that has it'
    const wayOut = 'give kubeconfig, too, or leave context out'
    reportError(context, { code: 'store_address_unclear', path: ['store', 'context'], message, wayOut })
    return UNREAD
  }
  const path = ['store', 'kubeconfig']
  checkPrivate(context, path, store.kubeconfig, 'error')
  if (readNamedFile(context, path, store.kubeconfig) === undefined) return UNREAD
  return kubernetesStore({ ...store, kubeconfig: absolute(context, store.kubeconfig) })
}

function withAbsoluteCa(context: LoadContext, store: PostgresFile): PostgresFile {
  if (typeof store.tls !== 'object' || store.tls.caFile === undefined) return store
  return { ...store, tls: { ...store.tls, caFile: absolute(context, store.tls.caFile) } }
}

function readUrl(context: LoadContext, store: PostgresFile): PostgresUrl | undefined {
  if ((store.url === undefined) === (store.urlFile === undefined)) {
    const message =
      store.url === undefined ? 'no url says where the database is' : 'two urls: which one is it?'
    const wayOut = 'give urlFile, or url and passwordFile'
    reportError(context, { code: 'store_address_unclear', path: ['store'], message, wayOut })
    return undefined
  }
  const key = store.url === undefined ? 'urlFile' : 'url'
  const path = ['store', key]
  const text = store.url ?? readSecretFile(context, 'urlFile', store.urlFile ?? '')
  if (text === undefined) return undefined
  const url = parsePostgresUrl(text)
  if ('problem' in url) {
    reportError(context, { code: 'store_url_malformed', path, message: url.problem, wayOut: url.wayOut })
    return undefined
  }
  if (key === 'url' && url.password !== undefined) {
    const message = 'a password stands in the configuration'
    const wayOut =
      'put the whole URL into a file and name it under urlFile, or the password under passwordFile'
    reportError(context, { code: 'store_password_shown', path, message, wayOut })
    return undefined
  }
  if (store.passwordFile === undefined) return url
  if (key === 'urlFile') {
    const message = 'the URL in urlFile has its own password'
    const wayOut = 'give the URL under url, without a password, or leave passwordFile out'
    reportError(context, { code: 'store_address_unclear', path: ['store'], message, wayOut })
    return undefined
  }
  return readSecretFile(context, 'passwordFile', store.passwordFile) === undefined ? undefined : url
}

/** A file that opens the database, and with it every signing key that is not sealed. */
function readSecretFile(
  context: LoadContext,
  key: 'urlFile' | 'passwordFile',
  file: string,
): string | undefined {
  checkPrivate(context, ['store', key], file, 'error')
  return readNamedFile(context, ['store', key], file)?.replace(/\r?\n$/, '')
}

function secretOf(context: LoadContext, store: PostgresFile): PostgresAddress['secret'] {
  if (store.urlFile !== undefined) return { file: absolute(context, store.urlFile), holds: 'url' }
  if (store.passwordFile === undefined) return undefined
  return { file: absolute(context, store.passwordFile), holds: 'password' }
}

function isTlsClear(context: LoadContext, url: PostgresUrl, { tls }: PostgresFile): boolean {
  const wanted = url.tls === 'on' || typeof tls === 'object'
  const refused = url.tls === 'off' || tls === 'off'
  const isSocket = url.host.startsWith('/')
  if (!wanted || (!refused && !isSocket)) {
    return typeof tls !== 'object' || tls.caFile === undefined
      ? true
      : readCertificates(context, ['store', 'tls', 'caFile'], tls.caFile) !== undefined
  }
  const message = isSocket ? 'a Unix socket has no TLS' : 'the URL and tls contradict each other'
  const wayOut = isSocket ? 'leave tls and sslmode out' : 'leave sslmode out of the URL'
  reportError(context, { code: 'store_tls_unclear', path: ['store'], message, wayOut })
  return false
}

function tlsOf(url: PostgresUrl, tls: PostgresFile['tls']): PostgresAddress['tls'] {
  if (typeof tls === 'object') return { caFile: tls.caFile, serverName: tls.serverName }
  const isOff = tls === 'off' || url.tls === 'off' || (url.tls === undefined && isNear(url.host))
  return isOff ? 'off' : { caFile: undefined, serverName: undefined }
}

function isNear(host: string): boolean {
  return host.startsWith('/') || isLoopback(host)
}
