// Walks a Dex configuration along the tables of its keys. Every key gets a verdict; what is unknown, misplaced, twice
// or of the wrong type is reported; what remains is typed and reached under Dex's own spelling of the key.
import { nearest } from '#core/nearest.ts'
import type { YamlPath } from '#platform/config/yaml_document.ts'
import { expandEnv } from './env_expansion.ts'
import type { KeyRule, KeyTable, LeafRule, Shape } from './key_table.ts'
import type { Reporter } from './report.ts'

type DexValue =
  | { readonly is: 'text'; readonly path: YamlPath; readonly text: string }
  | { readonly is: 'flag'; readonly path: YamlPath; readonly flag: boolean }
  | { readonly is: 'texts'; readonly path: YamlPath; readonly texts: readonly string[] }
  | { readonly is: 'object'; readonly path: YamlPath; readonly object: DexObject }
  | { readonly is: 'objects'; readonly path: YamlPath; readonly objects: readonly DexObject[] }
  /** A value that nobody here reads: only that it is there matters. */
  | { readonly is: 'other'; readonly path: YamlPath }

export type DexObject = {
  readonly path: YamlPath
  /** By Dex's spelling of the key. Absent, null and mistyped keys are not in it. */
  readonly values: ReadonlyMap<string, DexValue>
}

export type KeyWalk = {
  readonly report: Reporter
  readonly env: Readonly<Record<string, string | undefined>>
  /** DEX_EXPAND_ENV, and not for Argo CD, which substitutes by itself. */
  readonly expand: boolean
  /** Below a section in which Dex expands variables. */
  readonly expanding?: boolean
  /** DEX_CONFIG_DISALLOW_UNKNOWN_FIELDS. */
  readonly unknownIsError: boolean
  /** Dex's spelling of a key (lower case) -> where Dex knows it. For keys in the wrong place. */
  readonly homes: ReadonlyMap<string, string>
}

export function readObject(data: unknown, path: YamlPath, table: KeyTable, walk: KeyWalk): DexObject {
  const values = new Map<string, DexValue>()
  if (data === null || data === undefined) return { path, values }
  if (!isRecord(data)) {
    mistyped(data, path, 'section', 'error', walk)
    return { path, values }
  }
  const names = new Map(Object.keys(table).map((name) => [name.toLowerCase(), name]))
  const seen = new Map<string, string>()
  for (const [written, value] of Object.entries(data)) {
    const name = names.get(written.toLowerCase())
    const rule = name === undefined ? undefined : table[name]
    const at = [...path, written]
    if (name === undefined || rule === undefined) {
      unknownKey(written, at, table, walk)
      continue
    }
    const first = seen.get(name)
    if (first !== undefined) {
      const message = `Dex reads ${written} and ${first} as one key; which of them counts is an accident`
      walk.report.refuse(at, 'dex_key_twice', message, 'keep one of them')
      continue
    }
    seen.set(name, written)
    const read = readValue(value, at, rule, siblingType(data), walk)
    if (read !== undefined) values.set(name, read)
  }
  return { path, values }
}

function readValue(
  value: unknown,
  path: YamlPath,
  rule: KeyRule,
  type: string,
  walk: KeyWalk,
): DexValue | undefined {
  if (isEmpty(value) && (rule.shape === 'section' || rule.shape === 'by_type')) {
    walk.report.take(path, 'empty')
  }
  if (rule.shape === 'section') {
    return { is: 'object', path, object: readObject(value, path, rule.keys, walk) }
  }
  if (rule.shape === 'by_type') {
    const table = rule.tables.get(type)
    if (table === undefined) {
      walk.report.ignore(path, `belongs to the unknown type ${JSON.stringify(type)}`)
      return { is: 'other', path }
    }
    const object = readObject(value, path, table, { ...walk, expanding: walk.expand })
    return { is: 'object', path, object }
  }
  if (rule.shape === 'items') return readItems(value, path, rule.keys, walk)
  if (rule.verdict === 'taken') walk.report.take(path, rule.why)
  else walk.report.ignore(path, rule.why, rule.wayOut)
  if (value === null) return undefined
  return readExpanded(value, path, rule, walk)
}

function readExpanded(written: unknown, path: YamlPath, rule: LeafRule, walk: KeyWalk): DexValue | undefined {
  const { env, report } = walk
  const isUsed = rule.verdict === 'taken'
  const value = walk.expanding === true ? expandEnv(written, path, { env, report, isUsed }) : written
  const read = readLeaf(value, path, rule.shape)
  if (read?.is === 'texts') {
    read.texts.forEach((text, index) => {
      const why = rule.ignoredEntry?.(text)
      if (why !== undefined) report.ignore([...path, index], why)
    })
  }
  if (read !== undefined) return read
  const isScalar = typeof value === 'number' || typeof value === 'boolean'
  const isLoose =
    rule.shape === 'text' &&
    isScalar &&
    !isStrict(path) &&
    (typeof value === 'boolean' || Number.isSafeInteger(value) || !Number.isInteger(value))
  // a wrong type where nothing is read is Dex's complaint, not ours
  const harmless = rule.verdict === 'ignored' || isLoose
  mistyped(value, path, rule.shape, harmless ? 'warning' : 'error', walk)
  // goes on as text, so that it is not said to be missing as well
  return rule.shape === 'text' && isScalar ? { is: 'text', path, text: String(value) } : undefined
}

/**
 * Up to 2.45.1 Dex reads `name: 12` as text, but not in the sections that its code unmarshals by hand; later it reads
 * none so. A number that JavaScript cannot hold is not guessed at.
 */
function isStrict(path: YamlPath): boolean {
  return /^(?:storage|connectors|staticPasswords|signer)$/i.test(String(path[0]))
}

function readItems(value: unknown, path: YamlPath, table: KeyTable, walk: KeyWalk): DexValue | undefined {
  if (value === null) {
    walk.report.take(path, 'an empty list')
    return undefined
  }
  if (!Array.isArray(value)) {
    mistyped(value, path, 'items', 'error', walk)
    return undefined
  }
  if (value.length === 0) walk.report.take(path, 'an empty list')
  const objects = value.map((item: unknown, index) => readObject(item, [...path, index], table, walk))
  return { is: 'objects', path, objects }
}

function readLeaf(value: unknown, path: YamlPath, shape: Shape): DexValue | undefined {
  switch (shape) {
    case 'text':
      return typeof value === 'string' ? { is: 'text', path, text: value } : undefined
    case 'flag': {
      const flag = goBoolean(value)
      return flag === undefined ? undefined : { is: 'flag', path, flag }
    }
    case 'count':
      return Number.isInteger(value) ? { is: 'other', path } : undefined
    case 'texts': {
      if (!Array.isArray(value)) return undefined
      const items: readonly unknown[] = value
      const texts = items.filter((item) => typeof item === 'string')
      return texts.length === items.length ? { is: 'texts', path, texts } : undefined
    }
    case 'any':
      return { is: 'other', path }
  }
}

function isEmpty(value: unknown): boolean {
  return value === null || (isRecord(value) && Object.keys(value).length === 0)
}

/** Dex's YAML reader is of version 1.1, where `yes` and `off` are booleans, too. */
function goBoolean(value: unknown): boolean | undefined {
  if (typeof value === 'boolean') return value
  if (typeof value !== 'string') return undefined
  if (/^(?:y|Y|yes|Yes|YES|on|On|ON)$/.test(value)) return true
  return /^(?:n|N|no|No|NO|off|Off|OFF)$/.test(value) ? false : undefined
}

function unknownKey(written: string, path: YamlPath, table: KeyTable, walk: KeyWalk): void {
  const home = walk.homes.get(written.toLowerCase())
  const near = nearest(written, Object.keys(table))
  let wayOut = 'remove the key'
  if (near !== undefined) wayOut = `write ${near}`
  else if (home !== undefined) wayOut = `Dex knows this key as ${home}: move it there, or remove it`
  const message = 'Dex does not know this key here and ignores it silently; it has no effect'
  if (walk.unknownIsError) {
    walk.report.refuse(path, 'dex_key_unknown', `json: unknown field ${JSON.stringify(written)}`, wayOut)
    return
  }
  walk.report.ignore(path, message, wayOut)
  walk.report.warn(path, 'dex_key_unknown', message, wayOut)
}

function mistyped(
  value: unknown,
  path: YamlPath,
  shape: Shape | 'section' | 'items',
  severity: 'error' | 'warning',
  walk: KeyWalk,
): void {
  const message =
    severity === 'error'
      ? `holds ${kindOf(value)}, Dex wants ${WANTED[shape]} and does not start`
      : `holds ${kindOf(value)}, Dex wants ${WANTED[shape]}; releases after 2.45.1 do not start on it`
  const wayOut = shape === 'text' && typeof value !== 'object' ? 'put the value in quotes' : undefined
  if (severity === 'error') walk.report.refuse(path, 'dex_value_mistyped', message, wayOut)
  else walk.report.warn(path, 'dex_value_mistyped', message, wayOut)
}

const WANTED = {
  text: 'text',
  flag: 'true or false',
  count: 'a whole number',
  texts: 'a list of texts',
  any: 'anything',
  section: 'a mapping',
  items: 'a list',
} as const satisfies Record<Shape | 'section' | 'items', string>

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a mapping'
  return `a ${typeof value}`
}

function siblingType(data: Readonly<Record<string, unknown>>): string {
  const type = Object.entries(data).find(([key]) => key.toLowerCase() === 'type')?.[1]
  return typeof type === 'string' ? type : ''
}

/** Where each key has its home, by lower-case name: the top level first, then the sections of it. */
export function keyHomes(table: KeyTable): ReadonlyMap<string, string> {
  const homes = new Map<string, string>()
  for (const name of Object.keys(table)) homes.set(name.toLowerCase(), `the top-level key ${name}`)
  for (const [name, rule] of Object.entries(table)) {
    if (rule.shape !== 'section') continue
    for (const inner of Object.keys(rule.keys)) {
      if (!homes.has(inner.toLowerCase())) homes.set(inner.toLowerCase(), `${name}.${inner}`)
    }
  }
  return homes
}

// What the sections' readers ask with. An absent key is Go's zero value, as it is for Dex.

export function textOf(object: DexObject, key: string): string {
  const value = object.values.get(key)
  return value?.is === 'text' ? value.text : ''
}

export function flagOf(object: DexObject, key: string): boolean {
  const value = object.values.get(key)
  return value?.is === 'flag' && value.flag
}

export function textsOf(object: DexObject, key: string): readonly string[] {
  const value = object.values.get(key)
  return value?.is === 'texts' ? value.texts : []
}

export function sectionOf(object: DexObject, key: string): DexObject {
  const value = object.values.get(key)
  return value?.is === 'object' ? value.object : { path: [...object.path, key], values: new Map() }
}

export function objectsOf(object: DexObject, key: string): readonly DexObject[] {
  const value = object.values.get(key)
  return value?.is === 'objects' ? value.objects : []
}

/** Path of the key as it is written in the file. */
export function pathOf(object: DexObject, key: string): YamlPath {
  return object.values.get(key)?.path ?? [...object.path, key]
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
