// Finds the Dex configuration in what people keep it in: a bare file, Helm values (`config`, `dex.config`), a
// ConfigMap or Secret, Argo CD's `dex.config`, a manifest of several documents. Says where it was found.
import type { Finding, Place } from '#platform/config/finding.ts'
import {
  embeddedSource,
  opaqueSource,
  placeOfOffset,
  readSource,
  renderedSource,
  wholeFile,
} from '#platform/config/text_source.ts'
import type { TextSource } from '#platform/config/text_source.ts'
import { pathText } from '#platform/config/yaml_document.ts'
import type { YamlDocument, YamlPath } from '#platform/config/yaml_document.ts'
import type { DexCode } from './dex_codes.ts'
import { renderTemplate } from './gomplate.ts'
import type { TemplateEnv } from './gomplate.ts'

/** `chart`: Dex's chart adds the listen addresses as flags. `argocd`: Argo CD adds issuer, storage and web. */
export type Wrapping = 'bare' | 'chart' | 'manifest' | 'argocd'

export type DexSource = {
  readonly wrapping: Wrapping
  /** For people: `ConfigMap dex, data["config.yaml"]`. */
  readonly foundIn: string
  /** The configuration as plain data, templates rendered, merge keys applied. */
  readonly data: unknown
  readonly placeOf: (path: YamlPath) => Place | undefined
  /** Argo CD's own `url`, from which it makes the issuer. */
  readonly argoCdUrl: string | undefined
}

export type Unwrapped = { readonly source: DexSource | undefined; readonly findings: readonly Finding[] }

/** Keys that a Dex configuration is told by. */
const DEX_KEYS = new Set(['issuer', 'connectors', 'staticclients', 'staticpasswords', 'enablepassworddb'])
/** Further keys that Dex knows at its top, too common to tell it by (Prometheus has `storage` and `web`, too). */
const COMMON_KEYS = new Set([
  'storage',
  'web',
  'telemetry',
  'oauth2',
  'grpc',
  'expiry',
  'logger',
  'frontend',
  'signer',
  'sessions',
  'mfa',
])
const EMBEDDED_NAME = /\.ya?ml$|\.tpl$|\.tmpl$|^dex\.config$|^config$|^values$/
/** A configuration inside values inside an Argo CD Application inside a List: four is deep. */
const MAX_EMBEDDINGS = 4

type Found = { readonly trail: string; readonly source: DexSource }
type Walk = { readonly env: TemplateEnv; readonly found: Found[]; readonly findings: Finding[] }

export function unwrapDexConfig(file: string, text: string, env: TemplateEnv): Unwrapped {
  const whole = wholeFile(file, text)
  const raw = readSource(whole)
  const broken = raw.findings.length > 0 && raw.documents.length === 0
  const bare = broken || raw.documents.some(({ data }) => isBare(data))
  if (bare) return readBare(whole, env, 'bare', 'a Dex configuration', undefined)
  const walk: Walk = { env, found: [], findings: [...raw.findings] }
  for (const document of raw.documents) search(document.data, [], { document, text: whole, depth: 0, walk })
  return pick(file, walk)
}

function pick(file: string, walk: Walk): Unwrapped {
  const [first, second] = walk.found
  const place: Place = { file, line: 1, column: 1 }
  const problem = (code: DexCode, message: string, wayOut: string): Unwrapped => ({
    source: undefined,
    findings: [...walk.findings, { severity: 'error', code, path: '', message, wayOut, place }],
  })
  if (first === undefined) {
    const wayOut =
      'give the file that dex serve reads, the Helm values, the ConfigMap or the Argo CD ConfigMap'
    return problem('dex_config_not_found', 'no Dex configuration stands in this file', wayOut)
  }
  if (second !== undefined) {
    const message = `two Dex configurations stand in this file: ${first.trail} and ${second.trail}`
    return problem('dex_config_ambiguous', message, 'give a file with one of them')
  }
  return { source: first.source, findings: walk.findings }
}

/** The text is the configuration itself: rendered as the container's entry point does, then read. */
function readBare(
  source: TextSource,
  env: TemplateEnv,
  wrapping: Wrapping,
  foundIn: string,
  argoCdUrl: string | undefined,
): Unwrapped {
  const template = renderTemplate(source.text, env)
  const read = readSource(source.text.includes('{{') ? renderedSource(source, template) : source)
  const findings = [
    ...template.problems.map((problem): Finding => {
      const { code, message, wayOut } = problem
      return {
        severity: 'error',
        code,
        path: '',
        message,
        wayOut,
        place: placeOfOffset(source, problem.offset),
      }
    }),
    ...read.findings,
  ]
  const document = read.documents.find(({ data }) => looksLikeDex(data)) ?? read.documents[0]
  if (document === undefined) return { source: undefined, findings: orEmpty(findings, source) }
  const placeOf = (path: YamlPath): Place | undefined => document.placeOf(path)
  return { source: { wrapping, foundIn, data: mergeKeys(document.data), placeOf, argoCdUrl }, findings }
}

function orEmpty(findings: readonly Finding[], source: TextSource): readonly Finding[] {
  if (findings.length > 0) return findings
  const place = source.locate(1, 1)
  const message = 'the file is empty'
  return [{ severity: 'error', code: 'dex_config_not_found', path: '', message, wayOut: undefined, place }]
}

type Position = {
  readonly document: YamlDocument
  readonly text: TextSource
  readonly depth: number
  readonly walk: Walk
  readonly around?: string
}

function search(value: unknown, path: YamlPath, at: Position): void {
  if (typeof value === 'string') return searchText(value, path, at)
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) search(item, [...path, index], at)
    return
  }
  if (!isRecord(value)) return
  if (path.length > 0 && looksLikeDex(value)) return void at.walk.found.push(structured(value, path, at))
  for (const [key, item] of Object.entries(value)) search(item, [...path, key], at)
}

/** `config:` of Helm values: the chart writes it out as YAML, so each text is rendered on its own. */
function structured(value: unknown, path: YamlPath, at: Position): Found {
  const placeOf = (inner: YamlPath): Place | undefined => at.document.placeOf([...path, ...inner])
  const data = renderTexts(mergeKeys(value), at.walk, placeOf, [])
  const trail = trailOf(path, at)
  const foundIn = `Helm values, key ${trail}`
  return { trail, source: { wrapping: 'chart', foundIn, data, placeOf, argoCdUrl: undefined } }
}

function searchText(value: string, path: YamlPath, at: Position): void {
  const name = String(path.at(-1) ?? '')
  if (at.depth >= MAX_EMBEDDINGS || !EMBEDDED_NAME.test(name)) return
  const text = isSecretData(at.document.data, path) ? Buffer.from(value, 'base64').toString('utf8') : value
  if (!text.includes(':')) return
  const embedded =
    text === value ? embeddedSource(at.document, path, text) : opaqueSource(at.document, path, text)
  const argoCd = name === 'dex.config'
  const parsed = readSource(embedded)
  const template = parsed.documents.length === 0 && text.includes('{{')
  if (template || argoCd || parsed.documents.some(({ data }) => looksLikeDex(data))) {
    const trail = trailOf(path, at)
    const url = argoCd ? siblingText(at.document.data, path, 'url') : undefined
    const read = readBare(
      embedded,
      at.walk.env,
      argoCd ? 'argocd' : 'manifest',
      foundInOf(at, trail, argoCd),
      url,
    )
    at.walk.findings.push(...read.findings)
    if (read.source !== undefined) at.walk.found.push({ trail, source: read.source })
    return
  }
  for (const document of parsed.documents) {
    const around = trailOf(path, at)
    search(document.data, [], { ...at, document, text: embedded, depth: at.depth + 1, around })
  }
}

function foundInOf(at: Position, trail: string, argoCd: boolean): string {
  const { data } = at.document
  const kind = isRecord(data) && typeof data['kind'] === 'string' ? data['kind'] : 'YAML'
  const metadata = isRecord(data) ? data['metadata'] : undefined
  const name = isRecord(metadata) && typeof metadata['name'] === 'string' ? ` ${metadata['name']}` : ''
  return `${argoCd ? 'Argo CD ' : ''}${kind}${name}, ${trail}`
}

function trailOf(path: YamlPath, at: Position): string {
  return at.around === undefined ? pathText(path) : `${at.around} > ${pathText(path)}`
}

function isSecretData(data: unknown, path: YamlPath): boolean {
  return isRecord(data) && data['kind'] === 'Secret' && path[0] === 'data'
}

function siblingText(data: unknown, path: YamlPath, key: string): string | undefined {
  let value: unknown = data
  for (const step of path.slice(0, -1)) {
    value = isRecord(value) ? value[String(step)] : Array.isArray(value) ? value[Number(step)] : undefined
  }
  const sibling = isRecord(value) ? value[key] : undefined
  return typeof sibling === 'string' ? sibling : undefined
}

/** A file that dex serve could be given: Dex's keys at its top, and no wrapping around them. */
function isBare(data: unknown): boolean {
  if (!isRecord(data) || 'kind' in data) return false
  const keys = Object.keys(data).map((key) => key.toLowerCase())
  if (keys.some((key) => DEX_KEYS.has(key))) return true
  return keys.length > 0 && keys.every((key) => DEX_KEYS.has(key) || COMMON_KEYS.has(key))
}

function looksLikeDex(value: unknown): boolean {
  if (!isRecord(value)) return false
  const keys = Object.keys(value).map((key) => key.toLowerCase())
  const own = keys.filter((key) => DEX_KEYS.has(key)).length
  const common = keys.filter((key) => COMMON_KEYS.has(key)).length
  return own >= 2 || (own === 1 && (common >= 1 || keys.length === 1))
}

/** YAML 1.1 merge keys, which Dex's reader knows: what stands beside `<<` wins over what it brings. */
function mergeKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item: unknown) => mergeKeys(item))
  if (!isRecord(value)) return value
  const entries = Object.entries(value)
  const own = entries.filter(([key]) => key !== '<<').map(([key, item]) => [key, mergeKeys(item)] as const)
  const merged = entries
    .filter(([key]) => key === '<<')
    .flatMap(([, item]) => (Array.isArray(item) ? item : [item]))
  const inherited = merged.toReversed().flatMap((item: unknown) => {
    const source = mergeKeys(item)
    return isRecord(source) ? Object.entries(source) : []
  })
  return Object.fromEntries([...inherited, ...own])
}

function renderTexts(value: unknown, walk: Walk, placeOf: DexSource['placeOf'], path: YamlPath): unknown {
  if (typeof value === 'string' && value.includes('{{')) {
    const template = renderTemplate(value, walk.env)
    for (const { code, message, wayOut } of template.problems) {
      const place = placeOf(path)
      walk.findings.push({ severity: 'error', code, path: pathText(path), message, wayOut, place })
    }
    return template.text
  }
  if (Array.isArray(value)) {
    return value.map((item: unknown, index) => renderTexts(item, walk, placeOf, [...path, index]))
  }
  if (!isRecord(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, renderTexts(item, walk, placeOf, [...path, key])]),
  )
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
