// What every part of the native loader shares: the document, the findings so far, files by path, and the entries that
// are whole. An entry the schema refuses was reported already and is left out of all later checks but its id.
import { resolve } from 'node:path'
import type { Finding } from '#platform/config/finding.ts'
import { nearest } from '#core/nearest.ts'
import { ownField } from '#core/own_field.ts'
import { CONFIG_FORMATS } from '#platform/config/formats.ts'
import { matchesSchema } from '#platform/config/schema_check.ts'
import type { Static, TSchema } from '#platform/config/schema_type.ts'
import { pathText } from '#platform/config/yaml_document.ts'
import type { YamlDocument, YamlPath } from '#platform/config/yaml_document.ts'
import type { ConfigEnv } from './config_env.ts'
import type { NativeCode } from './finding_codes.ts'
import { privacyProblem } from '#platform/config/file_privacy.ts'

export type LoadContext = {
  readonly document: YamlDocument
  readonly env: ConfigEnv
  readonly findings: Finding[]
}

export type Entry<T> = { readonly path: YamlPath; readonly value: T }

export type Report = {
  readonly code: NativeCode
  readonly path: YamlPath
  readonly message: string
  readonly wayOut?: string
}

export function reportError(context: LoadContext, report: Report): void {
  push(context, 'error', report)
}

export function reportWarning(context: LoadContext, report: Report): void {
  push(context, 'warning', report)
}

export function reportNote(context: LoadContext, report: Report): void {
  push(context, 'note', report)
}

function push(context: LoadContext, severity: Finding['severity'], report: Report): void {
  const { code, path, message, wayOut } = report
  const place = context.document.placeOf(path)
  context.findings.push({ severity, code, path: pathText(path), message, wayOut, place })
}

/** Text of a file named in the configuration, or `undefined` after a finding. */
export function readNamedFile(context: LoadContext, path: YamlPath, file: string): string | undefined {
  try {
    return context.env.readFile(absolute(context, file))
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    const message = `cannot read ${JSON.stringify(file)}: ${why}`
    const wayOut = 'paths start from the folder of this file; see that it is there and readable'
    reportError(context, { code: 'file_unreadable', path, message, wayOut })
    return undefined
  }
}

/** PEM of a file that holds certificates, or `undefined` after a finding. */
export function readCertificates(context: LoadContext, path: YamlPath, file: string): string | undefined {
  const pem = readNamedFile(context, path, file)
  if (pem === undefined || pem.includes('-----BEGIN CERTIFICATE-----')) return pem
  const message = `${JSON.stringify(file)} holds no PEM certificate`
  reportError(context, { code: 'certificate_malformed', path, message })
  return undefined
}

/** Reports a secret that others than the broker can read. `world`: how bad it is when every user can. */
export function checkPrivate(
  context: LoadContext,
  path: YamlPath,
  file: string,
  world: 'error' | 'warning' = 'warning',
): void {
  const problem = privacyProblem(file, context.env.fileMode?.(absolute(context, file)))
  if (problem === undefined) return
  const { isWorld, message, wayOut } = problem
  push(context, isWorld ? world : 'warning', { code: 'file_readable_by_others', path, message, wayOut })
}

export function absolute(context: LoadContext, file: string): string {
  return resolve(context.env.baseDir, file)
}

/** What stands under `key` in the document, whatever it is. */
export function topLevel(context: LoadContext, key: string): unknown {
  return ownField(context.document.data, key)
}

/** The section under `key` if it is there and whole. */
export function section<T extends TSchema>(
  context: LoadContext,
  key: string,
  schema: T,
): Static<T> | undefined {
  const value = topLevel(context, key)
  return matchesSchema(schema, value, CONFIG_FORMATS) ? value : undefined
}

/** Whether the section under `key` is there, but refused: its defaults stand in and mean nothing. */
export function isBroken(context: LoadContext, key: string, schema: TSchema): boolean {
  return topLevel(context, key) !== undefined && section(context, key, schema) === undefined
}

/** The whole entries of the list under `key`. */
export function entries<T extends TSchema>(context: LoadContext, key: string, schema: T): Entry<Static<T>>[] {
  const list = topLevel(context, key)
  if (!Array.isArray(list)) return []
  return list.flatMap((value: unknown, index) =>
    matchesSchema(schema, value, CONFIG_FORMATS) ? [{ path: [key, index], value }] : [],
  )
}

/** Ids of every entry of a list, broken entries as well, so that one mistake is not reported as two. */
export function idsOf(context: LoadContext, key: string, idKey: 'id' | 'name'): Set<string> {
  const list = topLevel(context, key)
  const ids = new Set<string>()
  for (const item of Array.isArray(list) ? list : []) {
    const id = textField(item, idKey)
    if (id !== undefined) ids.add(id)
  }
  return ids
}

/** Reports every second entry of one id. */
export function checkUnique(context: LoadContext, key: string, idKey: 'id' | 'name'): void {
  const list = topLevel(context, key)
  const seen = new Map<string, number>()
  for (const [index, item] of (Array.isArray(list) ? list : []).entries()) {
    const id = textField(item, idKey)
    if (id === undefined) continue
    const first = seen.get(id)
    if (first === undefined) {
      seen.set(id, index)
      continue
    }
    const line = context.document.placeOf([key, first])?.line
    const message = `${JSON.stringify(id)} is taken by the entry on line ${line}`
    const wayOut = 'rename one or merge the two'
    reportError(context, { code: 'id_duplicate', path: [key, index, idKey], message, wayOut })
  }
}

/** Whether `name` is among `known`; reports it otherwise. `kind` is the word for what is named: `connector`. */
export function checkReference(
  context: LoadContext,
  path: YamlPath,
  reference: { readonly name: string; readonly kind: string; readonly known: ReadonlySet<string> },
): boolean {
  const { name, kind, known } = reference
  if (known.has(name)) return true
  const guess = nearest(name, [...known])
  const all =
    known.size === 0 ? `there is no ${kind} yet` : `there are: ${[...known].slice(0, 20).join(', ')}`
  const wayOut = guess === undefined ? all : `did you mean ${guess}?`
  reportError(context, {
    code: 'reference_unknown',
    path,
    message: `no ${kind} is called ${JSON.stringify(name)}`,
    wayOut,
  })
  return false
}

function textField(item: unknown, key: string): string | undefined {
  const value = ownField(item, key)
  return typeof value === 'string' && value !== '' ? value : undefined
}
