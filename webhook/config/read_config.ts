// Reads sallyport-webhook.yaml, or takes the defaults of a Pod where there is none. Says every problem at once, each with its place and
// the way out; a file with one error gives no configuration.
import { resolve } from 'node:path'
import { isJsonObject } from '#core/claims.ts'
import type { JsonObject } from '#core/claims.ts'
import { privacyProblem } from '#platform/config/file_privacy.ts'
import { parseDuration } from '#platform/config/duration.ts'
import type { Finding } from '#platform/config/finding.ts'
import { CONFIG_FORMATS } from '#platform/config/formats.ts'
import { checkSchema, matchesSchema } from '#platform/config/schema_check.ts'
import type { Static, TSchema } from '#platform/config/schema_type.ts'
import { pathText, readYaml } from '#platform/config/yaml_document.ts'
import type { YamlDocument, YamlPath } from '#platform/config/yaml_document.ts'
import { networkProblem } from './allow_from.ts'
import type { WebhookCode } from './finding_codes.ts'
import { ListenSchema, WEBHOOK_DEFAULTS, WebhookSchema } from './schema.ts'
import type { WebhookFile } from './schema.ts'
import type { WebhookConfig } from './webhook_config.ts'

/** What loading is given of the world. */
export type WebhookConfigEnv = {
  /** UTF-8 text of an absolute path. Throws as `fs.readFileSync` does. */
  readonly readFile: (path: string) => string
  /** Permission bits; `undefined` where there is no such file or the system knows none. */
  readonly fileMode: (path: string) => number | undefined
  /** Folder that relative paths start from. */
  readonly baseDir: string
  /** Of the Pod that this runs in; `undefined` outside of one. */
  readonly podNamespace: string | undefined
}

export type WebhookConfigLoad = {
  /** `undefined` exactly if a finding is an error. */
  readonly config: WebhookConfig | undefined
  readonly findings: readonly Finding[]
}

type Context = {
  /** `undefined` without a file. */
  readonly document: YamlDocument | undefined
  readonly env: WebhookConfigEnv
  readonly findings: Finding[]
}

/** `file` is only named in places. */
export function loadWebhookConfig(file: string, text: string, env: WebhookConfigEnv): WebhookConfigLoad {
  const read = readYaml(file, text)
  const [document, second] = read.documents
  if (read.findings.length > 0) return { config: undefined, findings: read.findings }
  if (document === undefined) return refuse(file, 1, 'config_empty', 'the file holds nothing')
  if (second !== undefined) {
    const line = second.placeOf([])?.line ?? 1
    return refuse(file, line, 'yaml_multiple_documents', 'a second document begins here; only one is read')
  }
  const { data } = document
  if (matchesSchema(WebhookSchema, data, CONFIG_FORMATS))
    return resolveConfig(data, { document, env, findings: [] })
  const findings = checkSchema(WebhookSchema, data, document, CONFIG_FORMATS)
  checkWholeParts(data, { document, env, findings })
  return { config: undefined, findings: findings.toSorted(byPlace) }
}

/** What the values mean, of those parts of `listen` that the schema lets pass: nobody mends a file twice. */
function checkWholeParts(data: unknown, context: Context): void {
  const said = context.findings.map(({ path }) => path)
  // A key that is misspelt may be the one that seems to be missing.
  const isAnyAstray = context.findings.some(
    ({ code, path }) => code === 'key_unknown' && /^(listen\.)?[^.[]+$/.test(path),
  )
  const isAbsent = (key: string): boolean => {
    const path = `listen.${key}`
    return !isAnyAstray && !said.some((one) => one === path || one.startsWith(`${path}.`))
  }
  const stated = isJsonObject(data) ? (data['listen'] ?? {}) : undefined
  if (!isJsonObject(stated)) return
  const listen = wholeListen(stated)
  if (listen.tls !== undefined || isAbsent('tls')) readCertificate({ listen }, context)
  if (listen.clientCaFile !== undefined || isAbsent('clientCaFile')) readClients({ listen }, context)
  readAllowFrom({ listen }, context)
}

function wholeListen(stated: JsonObject): NonNullable<WebhookFile['listen']> {
  const { properties } = ListenSchema
  const tls = whole(properties.tls, stated['tls'])
  const allowFrom = whole(properties.allowFrom, stated['allowFrom'])
  const clientCaFile = whole(properties.clientCaFile, stated['clientCaFile'])
  const clientNames = whole(properties.clientNames, stated['clientNames'])
  return {
    ...(tls !== undefined && { tls }),
    ...(allowFrom !== undefined && { allowFrom }),
    ...(clientCaFile !== undefined && { clientCaFile }),
    ...(clientNames !== undefined && { clientNames }),
  }
}

function whole<T extends TSchema>(schema: T, value: unknown): Static<T> | undefined {
  return matchesSchema(schema, value, CONFIG_FORMATS) ? value : undefined
}

function byPlace(left: Finding, right: Finding): number {
  const lines = (left.place?.line ?? 0) - (right.place?.line ?? 0)
  return lines === 0 ? (left.place?.column ?? 0) - (right.place?.column ?? 0) : lines
}

/** Without a file: what a Pod needs. */
export function defaultWebhookConfig(env: WebhookConfigEnv): WebhookConfigLoad {
  return resolveConfig({}, { document: undefined, env, findings: [] })
}

function resolveConfig(file: WebhookFile, context: Context): WebhookConfigLoad {
  const certificate = readCertificate(file, context)
  const clients = readClients(file, context)
  const allowFrom = readAllowFrom(file, context)
  const { findings } = context
  if (certificate === undefined || findings.some(({ severity }) => severity === 'error'))
    return { config: undefined, findings }
  const { listen, kubeconfig, context: kubeContext, log, audit, scan, limits } = file
  const destination = audit?.destination ?? WEBHOOK_DEFAULTS.audit
  const isStream = destination === 'stdout' || destination === 'stderr'
  return {
    config: {
      host: listen?.host,
      port: listen?.port ?? WEBHOOK_DEFAULTS.port,
      certificate,
      allowFrom,
      clients,
      ops: readOps(file),
      kubeconfig: kubeconfig === undefined ? undefined : absolute(context, kubeconfig),
      context: kubeContext,
      log: {
        level: log?.level ?? WEBHOOK_DEFAULTS.logLevel,
        format: log?.format ?? WEBHOOK_DEFAULTS.logFormat,
      },
      audit: { destination: isStream ? destination : absolute(context, destination) },
      scan: {
        intervalSeconds: seconds(scan?.interval ?? WEBHOOK_DEFAULTS.scanInterval),
        reports: scan?.reports ?? true,
      },
      limits: {
        maxConcurrentReviews: limits?.maxConcurrentReviews ?? WEBHOOK_DEFAULTS.maxConcurrentReviews,
        bodyTimeoutSeconds: seconds(limits?.bodyTimeout ?? WEBHOOK_DEFAULTS.bodyTimeout),
        drainSeconds: seconds(limits?.drain ?? WEBHOOK_DEFAULTS.drain),
      },
    },
    findings,
  }
}

function readOps({ ops }: WebhookFile): WebhookConfig['ops'] {
  if (ops === 'off') return undefined
  return { host: ops?.host, port: ops?.port ?? WEBHOOK_DEFAULTS.opsPort }
}

function readCertificate(
  { listen }: WebhookFile,
  context: Context,
): WebhookConfig['certificate'] | undefined {
  const { tls } = listen ?? {}
  if (tls !== undefined && 'certFile' in tls) {
    readNamedFile(context, ['listen', 'tls', 'certFile'], tls.certFile)
    readNamedFile(context, ['listen', 'tls', 'keyFile'], tls.keyFile)
    checkPrivate(context, ['listen', 'tls', 'keyFile'], tls.keyFile)
    return {
      kind: 'files',
      certFile: absolute(context, tls.certFile),
      keyFile: absolute(context, tls.keyFile),
    }
  }
  const {
    namespace = context.env.podNamespace,
    secret,
    service,
    webhookConfiguration,
  } = tls?.selfManaged ?? {}
  if (namespace === undefined) {
    report(context, tls === undefined ? NO_CERTIFICATE : NO_NAMESPACE)
    return undefined
  }
  return {
    kind: 'selfManaged',
    namespace,
    secret: secret ?? WEBHOOK_DEFAULTS.secret,
    service: service ?? WEBHOOK_DEFAULTS.service,
    webhookConfiguration: webhookConfiguration ?? WEBHOOK_DEFAULTS.webhookConfiguration,
  }
}

const NO_CERTIFICATE: Report = {
  code: 'certificate_missing',
  path: ['listen'],
  message: 'no certificate to serve: this is no Pod, where one would be made and kept in a Secret',
  wayOut: 'write listen: {tls: {certFile: tls.crt, keyFile: tls.key}}',
}
const NO_NAMESPACE: Report = {
  code: 'certificate_missing',
  path: ['listen', 'tls', 'selfManaged'],
  message: 'names no namespace for its Secret, and this is no Pod that has one',
  wayOut: 'write selfManaged: {namespace: sallyport-system}',
}

function readClients({ listen }: WebhookFile, context: Context): WebhookConfig['clients'] {
  const { clientCaFile, clientNames } = listen ?? {}
  if (clientCaFile === undefined) {
    if (clientNames !== undefined)
      report(context, {
        code: 'client_names_without_ca',
        path: ['listen', 'clientNames'],
        message: 'nobody is asked for a certificate, so nobody has a name',
        wayOut: 'write listen: {clientCaFile: ca.crt}, the authority of the certificates',
      })
    return undefined
  }
  const text = readNamedFile(context, ['listen', 'clientCaFile'], clientCaFile)
  if (text !== undefined && !text.includes('-----BEGIN CERTIFICATE-----'))
    report(context, {
      code: 'certificate_malformed',
      path: ['listen', 'clientCaFile'],
      message: 'the file holds no PEM certificate',
      wayOut: 'name the file with the CERTIFICATE of the authority',
    })
  return { caFile: absolute(context, clientCaFile), names: clientNames ?? [] }
}

function readAllowFrom({ listen }: WebhookFile, context: Context): WebhookConfig['allowFrom'] {
  const { allowFrom } = listen ?? {}
  allowFrom?.forEach((network, index) => {
    const problem = networkProblem(network)
    if (problem !== undefined) report(context, { ...problem, path: ['listen', 'allowFrom', index] })
  })
  return allowFrom
}

function readNamedFile(context: Context, path: YamlPath, file: string): string | undefined {
  try {
    return context.env.readFile(absolute(context, file))
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    report(context, {
      code: 'file_unreadable',
      path,
      message: `cannot read ${JSON.stringify(file)}: ${why}`,
      wayOut: 'paths start from the folder of this file; see that it is there and readable',
    })
    return undefined
  }
}

function checkPrivate(context: Context, path: YamlPath, file: string): void {
  const problem = privacyProblem(file, context.env.fileMode(absolute(context, file)))
  if (problem === undefined) return
  const { message, wayOut } = problem
  report(context, { code: 'file_readable_by_others', path, message, wayOut }, 'warning')
}

function absolute(context: Context, file: string): string {
  return resolve(context.env.baseDir, file)
}

/** The schema has let it pass. */
function seconds(text: string): number {
  return parseDuration(text) ?? 0
}

type Report = {
  readonly code: WebhookCode
  readonly path: YamlPath
  readonly message: string
  readonly wayOut: string
}

function report(
  { document, findings }: Context,
  { code, path, message, wayOut }: Report,
  severity: Finding['severity'] = 'error',
): void {
  findings.push({ severity, code, path: pathText(path), message, wayOut, place: document?.placeOf(path) })
}

function refuse(file: string, line: number, code: string, message: string): WebhookConfigLoad {
  const place = { file, line, column: 1 }
  return {
    config: undefined,
    findings: [{ severity: 'error', code, path: '', message, wayOut: undefined, place }],
  }
}
