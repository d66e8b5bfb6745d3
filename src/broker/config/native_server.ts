// The parts of a native configuration that say how the server runs: listeners, store, keys, HTTP, limits, logs.
import { parseDuration } from '#platform/config/duration.ts'
import { isLoopback, isPlainHttp, parseListenAddress } from '#platform/config/formats.ts'
import type { YamlPath } from '#platform/config/yaml_document.ts'
import type { ListenerConfig } from '#platform/http/listen.ts'
import type { BrokerConfig, KeysConfig, LimitsConfig, StoreConfig, WebConfig } from './broker_config.ts'
import {
  absolute,
  checkPrivate,
  isBroken,
  readNamedFile,
  reportError,
  reportNote,
  reportWarning,
  section,
  topLevel,
} from './load_context.ts'
import type { LoadContext } from './load_context.ts'
import { readJwksFile } from './public_keys.ts'
import {
  AuditSchema,
  DEFAULTS,
  KeysSchema,
  LimitsSchema,
  ListenSchema,
  LogSchema,
  TokensSchema,
  WebSchema,
} from './schema.ts'
import type { ListenerFile } from './schema.ts'
import { readSigner } from './native_signer.ts'
import { readStore } from './native_store.ts'
import { StoreSchema } from './store_schema.ts'

export type ServerConfig = Pick<
  BrokerConfig,
  | 'issuer'
  | 'publicListeners'
  | 'opsListener'
  | 'drainSeconds'
  | 'web'
  | 'store'
  | 'keys'
  | 'tokens'
  | 'limits'
  | 'log'
  | 'audit'
>

/** Longer than this and a leaked token is a long-lived secret again. */
const MAX_TTL_SECONDS = 24 * 3600
const LONG_TTL_SECONDS = 3600
/** Relying parties poll the key set every few minutes; kube-apiserver at most once in 10 s per unknown kid. */
const OFTEN_SECONDS = 600

/** Every part that is whole; broken ones were reported by the schema and have their defaults here. */
export function readServer(context: LoadContext): ServerConfig {
  return {
    issuer: readIssuer(context),
    ...readListeners(context),
    web: readWeb(context),
    store: readStore(context),
    keys: readKeys(context),
    tokens: { ttlSeconds: readTokenTtl(context) },
    limits: readLimits(context),
    log: readLog(context),
    audit: { destination: readAuditDestination(context) },
  }
}

/** Seconds of a duration that the schema has let pass; `undefined` stays. */
export function seconds(text: string): number
export function seconds(text: string | undefined): number | undefined
export function seconds(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseDuration(text)
}

/** Reports a lifetime that is longer than wise or allowed. */
export function checkTtl(context: LoadContext, path: YamlPath, ttlSeconds: number | undefined): void {
  if (ttlSeconds === undefined || ttlSeconds <= LONG_TTL_SECONDS) return
  if (ttlSeconds > MAX_TTL_SECONDS) {
    const message = 'tokens live at most 24h'
    reportError(context, {
      code: 'tokens_ttl_too_long',
      path,
      message,
      wayOut: 'write 24h or less, best 10m',
    })
    return
  }
  const message = 'a token that leaks is good for more than an hour'
  reportWarning(context, {
    code: 'tokens_ttl_long',
    path,
    message,
    wayOut: 'jobs can exchange again; 10m is enough',
  })
}

/** Whether `url` sends plain text over a network. */
function readIssuer(context: LoadContext): string {
  const issuer = topLevel(context, 'issuer')
  if (typeof issuer !== 'string') return ''
  if (isPlainHttp(issuer)) {
    const message =
      'the issuer is plain HTTP: whoever is on the way reads tokens and secrets, and chooses our keys'
    reportWarning(context, { code: 'issuer_plain_http', path: ['issuer'], message, wayOut: 'use https://' })
  }
  return issuer
}

function readListeners(
  context: LoadContext,
): Pick<ServerConfig, 'publicListeners' | 'opsListener' | 'drainSeconds'> {
  const listen = section(context, 'listen', ListenSchema)
  if (listen === undefined) return { publicListeners: [], opsListener: undefined, drainSeconds: undefined }
  const several = Array.isArray(listen.public)
  const listed = Array.isArray(listen.public) ? listen.public : [listen.public]
  const publicListeners = listed.flatMap((file, index) => {
    const path = several ? ['listen', 'public', index] : ['listen', 'public']
    const listener = readListener(context, path, file)
    if (listener === undefined) return []
    if (listener.tls === undefined && !isLoopback(listener.host)) warnPlainHttp(context, path)
    return [listener]
  })
  const opsListener = readOpsListener(context, listen.ops ?? DEFAULTS.opsAddress)
  checkAddresses(context, [...publicListeners, ...(opsListener === undefined ? [] : [opsListener])])
  return { publicListeners, opsListener, drainSeconds: seconds(listen.drain) }
}

function warnPlainHttp(context: LoadContext, path: YamlPath): void {
  const message =
    'this listener is plain HTTP and reachable from elsewhere: secrets and tokens travel in the open'
  const wayOut = 'give tls: {certFile, keyFile}, or listen on 127.0.0.1 behind a proxy that has TLS'
  reportWarning(context, { code: 'listen_plain_http', path, message, wayOut })
}

function readOpsListener(context: LoadContext, file: ListenerFile): ListenerConfig | undefined {
  if (file === 'off') return undefined
  const path = ['listen', 'ops']
  const listener = readListener(context, path, file)
  if (listener !== undefined && !isLoopback(listener.host)) {
    const message = 'metrics and health are reachable from elsewhere'
    const wayOut = 'fine inside a cluster with a network policy; else listen on 127.0.0.1'
    reportNote(context, { code: 'listen_ops_exposed', path, message, wayOut })
  }
  return listener
}

function readListener(context: LoadContext, path: YamlPath, file: ListenerFile): ListenerConfig | undefined {
  const address = parseListenAddress(typeof file === 'string' ? file : file.address)
  if (address === undefined) return undefined
  const tls = typeof file === 'string' ? undefined : file.tls
  if (tls === undefined) return { ...address, tls: undefined }
  readNamedFile(context, [...path, 'tls', 'certFile'], tls.certFile)
  readNamedFile(context, [...path, 'tls', 'keyFile'], tls.keyFile)
  checkPrivate(context, [...path, 'tls', 'keyFile'], tls.keyFile)
  const minVersion = tls.minVersion ?? DEFAULTS.tlsMinVersion
  const certFile = absolute(context, tls.certFile)
  const keyFile = absolute(context, tls.keyFile)
  return { ...address, tls: { certFile, keyFile, minVersion, maxVersion: 'TLSv1.3' } }
}

function checkAddresses(context: LoadContext, listeners: readonly ListenerConfig[]): void {
  const seen = new Set<string>()
  for (const { host, port } of listeners) {
    const address = `${host}:${port}`
    if (port !== 0 && seen.has(address)) {
      const message = `two listeners share ${address}`
      reportError(context, {
        code: 'listen_duplicate',
        path: ['listen'],
        message,
        wayOut: 'give each its own port',
      })
    }
    seen.add(address)
  }
}

function readWeb(context: LoadContext): WebConfig {
  const web = section(context, 'web', WebSchema) ?? {}
  for (const [name, value] of Object.entries(web.headers ?? {})) checkHeader(context, name, value)
  for (const [index, origin] of (web.allowedOrigins ?? []).entries()) {
    if (origin === '*' || URL.parse(origin)?.origin === origin) continue
    const path = ['web', 'allowedOrigins', index]
    const message = `${JSON.stringify(origin)} is not an origin`
    reportError(context, {
      code: 'origin_malformed',
      path,
      message,
      wayOut: 'write scheme://host[:port], or *',
    })
  }
  return {
    headers: web.headers ?? {},
    allowedOrigins: web.allowedOrigins ?? [],
    allowedHeaders: web.allowedHeaders ?? [],
    clientAddress: web.clientAddress,
  }
}

function checkHeader(context: LoadContext, name: string, value: string): void {
  const isToken = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)
  // RFC 9110 §5.5; a line break would let a value write further headers
  if (isToken && /^[\t\x20-\x7e]*$/.test(value)) return
  const message = isToken
    ? 'the value holds a character that HTTP does not allow'
    : 'this is not a header name'
  reportError(context, { code: 'header_malformed', path: ['web', 'headers', name], message })
}

function readKeys(context: LoadContext): KeysConfig {
  const keys = section(context, 'keys', KeysSchema) ?? {}
  const { sealingKeyFile, extraPublicKeysFile } = keys
  if (sealingKeyFile !== undefined) {
    readNamedFile(context, ['keys', 'sealingKeyFile'], sealingKeyFile)
    // It opens every private key in the store: where everybody has it, nothing is sealed.
    checkPrivate(context, ['keys', 'sealingKeyFile'], sealingKeyFile, 'error')
  }
  if (extraPublicKeysFile !== undefined)
    readJwksFile(context, ['keys', 'extraPublicKeysFile'], extraPublicKeysFile)
  const rotationSeconds = seconds(keys.rotateEvery ?? DEFAULTS.rotateEvery)
  // Where no private key is made, there is none to seal.
  const isKeyless = keys.signer?.key !== undefined
  if (!isBroken(context, 'keys', KeysSchema) && !isKeyless)
    checkKeys(context, rotationSeconds, sealingKeyFile)
  return {
    algorithm: keys.algorithm ?? DEFAULTS.algorithm,
    rotationSeconds,
    sealingKeyFile: sealingKeyFile === undefined ? undefined : absolute(context, sealingKeyFile),
    extraPublicKeysFile:
      extraPublicKeysFile === undefined ? undefined : absolute(context, extraPublicKeysFile),
    signer:
      keys.signer === undefined
        ? undefined
        : readSigner(context, keys.signer, keys.rotateEvery !== undefined),
  }
}

function checkKeys(context: LoadContext, rotationSeconds: number, sealingKeyFile: string | undefined): void {
  if (rotationSeconds < OFTEN_SECONDS) {
    const path = ['keys', 'rotateEvery']
    const message = 'relying parties that cache the key set for minutes will meet keys they do not know'
    reportWarning(context, {
      code: 'keys_rotate_often',
      path,
      message,
      wayOut: 'write 10m or more, best 24h',
    })
  }
  if (sealingKeyFile !== undefined || isBroken(context, 'store', StoreSchema)) return
  warnUnsealed(context, section(context, 'store', StoreSchema)?.type ?? 'sqlite')
}

function warnUnsealed(context: LoadContext, store: StoreConfig['type']): void {
  const wayOut = '(umask 077; head -c 32 /dev/urandom > sealing.key), and keys: {sealingKeyFile: sealing.key}'
  const report = { code: 'keys_unsealed', path: ['keys'], wayOut } as const
  switch (store) {
    case 'memory':
      return
    case 'sqlite':
      reportNote(context, {
        ...report,
        message: 'private keys lie in the store as they are (file mode 0600)',
      })
      return
    case 'postgres':
      reportWarning(context, {
        ...report,
        message: 'private keys lie in the database as they are: whoever reads it or its backups can sign',
      })
      return
    case 'kubernetes':
      reportWarning(context, {
        ...report,
        message:
          'private keys lie in the cluster as they are: whoever may get storeentries, or reads etcd, can sign',
      })
  }
}

function readTokenTtl(context: LoadContext): number {
  const ttlSeconds = seconds(section(context, 'tokens', TokensSchema)?.ttl ?? DEFAULTS.ttl)
  checkTtl(context, ['tokens', 'ttl'], ttlSeconds)
  return ttlSeconds
}

function readLimits(context: LoadContext): LimitsConfig {
  const limits = section(context, 'limits', LimitsSchema) ?? {}
  return {
    addressRate: limits.addressRate ?? DEFAULTS.addressRate,
    addressBurst: limits.addressBurst ?? DEFAULTS.addressBurst,
    clientRate: limits.clientRate ?? DEFAULTS.clientRate,
    clientBurst: limits.clientBurst ?? DEFAULTS.clientBurst,
    maxConcurrentRequests: limits.maxConcurrentRequests ?? DEFAULTS.maxConcurrentRequests,
    maxWaitingSignatures: limits.maxWaitingSignatures ?? DEFAULTS.maxWaitingSignatures,
  }
}

function readLog(context: LoadContext): BrokerConfig['log'] {
  const log = section(context, 'log', LogSchema) ?? {}
  return { level: log.level ?? DEFAULTS.logLevel, format: log.format ?? DEFAULTS.logFormat }
}

function readAuditDestination(context: LoadContext): string {
  const destination = section(context, 'audit', AuditSchema)?.destination ?? DEFAULTS.audit
  return destination === 'stdout' || destination === 'stderr' ? destination : absolute(context, destination)
}
