// Dex's web and telemetry sections and the three flags of `dex serve`: what is listened on, and what every response
// carries.
import { CONFIG_FORMATS, isLoopback, parseListenAddress } from '#platform/config/formats.ts'
import type { ListenerConfig, TlsFiles } from '#platform/http/listen.ts'
import type { WebConfig } from '../broker_config.ts'
import type { ConfigEnv } from '../config_env.ts'
import { privacyProblem } from '#platform/config/file_privacy.ts'
import { pathOf, sectionOf, textOf, textsOf } from './read_keys.ts'
import type { DexObject } from './read_keys.ts'
import type { Reporter } from './report.ts'
import type { Wrapping } from './unwrap.ts'

export type AddressFlags = {
  readonly webHttpAddr?: string | undefined
  readonly webHttpsAddr?: string | undefined
  readonly telemetryAddr?: string | undefined
}

/** Dex's chart and image listen here when the file does not say. */
const DEFAULT_HTTP = '0.0.0.0:5556'
const DEFAULT_TELEMETRY = '0.0.0.0:5558'
const HEADER_NAMES = [
  'Content-Security-Policy',
  'X-Frame-Options',
  'X-Content-Type-Options',
  'X-XSS-Protection',
  'Strict-Transport-Security',
]

export function readPublicListeners(
  root: DexObject,
  flags: AddressFlags,
  env: ConfigEnv,
  report: Reporter,
): readonly ListenerConfig[] {
  const web = sectionOf(root, 'web')
  const https = given(flags.webHttpsAddr) ?? textOf(web, 'https')
  const configured = given(flags.webHttpAddr) ?? textOf(web, 'http')
  const http = configured === '' && https === '' ? DEFAULT_HTTP : configured
  if (configured === '' && https === '') {
    const message = `must supply a HTTP/HTTPS  address to listen on: nothing says one, ${DEFAULT_HTTP} is taken as Dex's image and chart do`
    report.note(web.path, 'listen_default', message, 'write web.http or give --web-http-addr')
  }
  const tls = readTls(web, https !== '', report)
  const open = tls === undefined ? undefined : privacyProblem(tls.keyFile, env.fileMode?.(tls.keyFile))
  if (open !== undefined)
    report.warn(pathOf(web, 'tlsKey'), 'file_readable_by_others', open.message, open.wayOut)
  return [
    ...listener(http, pathOf(web, 'http'), undefined, report),
    ...(tls === undefined ? [] : listener(https, pathOf(web, 'https'), tls, report)),
  ]
}

/** Metrics and health. Dex opens no telemetry listener unless told; its chart always tells. */
export function readOpsListener(
  root: DexObject,
  flags: AddressFlags,
  wrapping: Wrapping,
  report: Reporter,
): ListenerConfig | undefined {
  const telemetry = sectionOf(root, 'telemetry')
  const fallback = wrapping === 'chart' || wrapping === 'argocd' ? DEFAULT_TELEMETRY : ''
  const configured = given(flags.telemetryAddr) ?? textOf(telemetry, 'http')
  if (configured === '' && fallback !== '') {
    report.note(
      telemetry.path,
      'telemetry_default',
      `${fallback} is listened on for metrics, as the chart does`,
    )
  }
  const address = configured === '' ? fallback : configured
  const parsed = parseListenAddress(address)
  if (address === '') return undefined
  if (parsed === undefined) return addressMalformed(address, pathOf(telemetry, 'http'), report)
  return { ...parsed, tls: undefined }
}

export function readWeb(root: DexObject, report: Reporter): WebConfig {
  const web = sectionOf(root, 'web')
  const headers = sectionOf(web, 'headers')
  const allowedOrigins = textsOf(web, 'allowedOrigins')
  const allowedHeaders = textsOf(web, 'allowedHeaders')
  return {
    headers: Object.fromEntries(
      HEADER_NAMES.map((name) => [name, textOf(headers, name)] as const).filter(([, value]) => value !== ''),
    ),
    allowedOrigins,
    // what Dex allows where nothing is said (server/router)
    allowedHeaders:
      allowedOrigins.length > 0 && allowedHeaders.length === 0 ? ['Authorization'] : allowedHeaders,
    clientAddress: readClientAddress(sectionOf(web, 'clientRemoteIP'), report),
  }
}

function readClientAddress(section: DexObject, report: Reporter): WebConfig['clientAddress'] {
  const header = textOf(section, 'header')
  const trustedProxies = textsOf(section, 'trustedProxies')
  for (const proxy of trustedProxies) {
    const problem = proxy.includes('/') ? CONFIG_FORMATS['cidr']?.(proxy) : { message: 'no "/" in it' }
    if (problem === undefined) continue
    const message = `failed to parse CIDR ${JSON.stringify(proxy)}: ${problem.message}`
    report.refuse(pathOf(section, 'trustedProxies'), 'address_malformed', message, 'write it as 10.0.0.0/8')
  }
  if (header === '' || trustedProxies.length === 0) {
    if (header !== '') {
      const message = 'without trustedProxies no proxy is believed, so the header has no effect'
      report.ignore(pathOf(section, 'header'), message)
      report.warn(pathOf(section, 'header'), 'client_address_unused', message, 'add trustedProxies')
    }
    return undefined
  }
  return { header, trustedProxies }
}

function readTls(web: DexObject, wanted: boolean, report: Reporter): TlsFiles | undefined {
  const [certFile, keyFile] = [textOf(web, 'tlsCert'), textOf(web, 'tlsKey')]
  const minVersion = tlsVersion(web, 'tlsMinVersion', 'TLSv1.2', report)
  const maxVersion = tlsVersion(web, 'tlsMaxVersion', 'TLSv1.3', report)
  if (minVersion > maxVersion) {
    report.refuse(pathOf(web, 'tlsMinVersion'), 'tls_version', 'TLSMinVersion greater than TLSMaxVersion')
  }
  if (!wanted) {
    for (const key of ['tlsCert', 'tlsKey'].filter((name) => web.values.has(name))) {
      report.ignore(pathOf(web, key), 'nothing listens with TLS without web.https', 'write web.https')
    }
    return undefined
  }
  const wayOut = 'write web.tlsCert and web.tlsKey, the files of the certificate and its key'
  if (certFile === '') report.refuse(pathOf(web, 'https'), 'tls_files', 'no cert specified for HTTPS', wayOut)
  if (keyFile === '')
    report.refuse(pathOf(web, 'https'), 'tls_files', 'no private key specified for HTTPS', wayOut)
  return { certFile, keyFile, minVersion, maxVersion }
}

function tlsVersion(
  web: DexObject,
  key: string,
  fallback: 'TLSv1.2' | 'TLSv1.3',
  report: Reporter,
): 'TLSv1.2' | 'TLSv1.3' {
  const text = textOf(web, key)
  if (text === '1.2') return 'TLSv1.2'
  if (text === '1.3') return 'TLSv1.3'
  if (text !== '') report.refuse(pathOf(web, key), 'tls_version', 'supported TLS versions are: 1.2, 1.3')
  return fallback
}

function listener(
  address: string,
  path: DexObject['path'],
  tls: TlsFiles | undefined,
  report: Reporter,
): readonly ListenerConfig[] {
  if (address === '') return []
  const parsed = parseListenAddress(address)
  if (parsed === undefined) {
    addressMalformed(address, path, report)
    return []
  }
  if (tls === undefined && !isLoopback(parsed.host)) {
    const message = `${address} is plain HTTP: tokens and secrets cross the network readable`
    report.warn(path, 'listener_plain_http', message, 'put TLS in front of it, or write web.https')
  }
  return [{ ...parsed, tls }]
}

function addressMalformed(address: string, path: DexObject['path'], report: Reporter): undefined {
  const message = `${JSON.stringify(address)} is not an address to listen on`
  const wayOut = address.includes('$')
    ? 'Dex expands no variables here: render the file first, or give --web-http-addr'
    : 'write host:port, as 0.0.0.0:5556'
  report.refuse(path, 'address_malformed', message, wayOut)
}

function given(flag: string | undefined): string | undefined {
  return flag === '' ? undefined : flag
}
