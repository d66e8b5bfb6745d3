// Reads YAML 1.2 (core schema), or YAML as Kubernetes reads it, as plain JSON data that knows where each key stands.
// Strict: a repeated key, a tag, a value JSON has no word for, aliases that multiply and nesting without end are
// findings, each with its place.
import { Composer, isAlias, isMap, isPair, isScalar, isSeq, LineCounter, Parser } from 'yaml'
import type { Alias, CST, Document, Pair, Scalar, YAMLError, YAMLMap } from 'yaml'
import type { Finding, Place } from './finding.ts'
import { readGoScalar } from './go_yaml.ts'
import { offsetInScalar } from './scalar_place.ts'

export type YamlRead = {
  /** Every document that has content. Data of a document with errors is not to be used. */
  readonly documents: readonly YamlDocument[]
  readonly findings: readonly Finding[]
}

export type YamlPath = readonly (string | number)[]

export type YamlDocument = {
  /** Plain JSON data; mapping keys are strings as written (`1: x` has the key `1`). */
  readonly data: unknown
  /** Where the key (or list item) of `path` stands; for a path that is not there, its nearest ancestor that is. */
  placeOf(path: YamlPath): Place | undefined
  /** The scalar at `path` as written (`0x1F`, `1e3`), without quotes; `undefined` where no scalar stands. */
  sourceOf(path: YamlPath): string | undefined
  /** Where the character at `offset` of the text at `path` stands; `undefined` where no text stands. */
  placeInText(path: YamlPath, offset: number): Place | undefined
}

/** `kubernetes`: YAML 1.1 words and numbers, merge keys, tags (go-yaml v2). */
export type YamlDialect = 'core' | 'kubernetes'

/** One document with what is wrong with it; `data` of a document with findings is not to be used. */
export type YamlDocumentRead = {
  readonly document: YamlDocument
  readonly findings: readonly Finding[]
  readonly isEmpty: boolean
}

/** 1 MiB holds about 10,000 policies; more is a mistake or an attack. */
const MAX_BYTES = 1024 * 1024
/** The deepest real configuration (a Helm release inside an Argo CD Application) nests about 20 levels. */
const MAX_DEPTH = 64
/** Nodes after aliases are written out: a small file cannot become a large one. */
const MAX_NODES = 200_000
/** Following one alias costs a walk over the document. */
const MAX_ALIASES = 1000
/** A broken file tells the same thing again and again after the first few. */
const MAX_SYNTAX_FINDINGS = 20

/** Reads every document of `text`; `file` is only named in places. Never throws on any input. */
export function readYaml(file: string, text: string): YamlRead {
  const read = readYamlDocuments(file, text, 'core')
  if (read.refusal !== undefined) return { documents: [], findings: [read.refusal] }
  const filled = read.documents.filter(({ isEmpty, findings }) => !isEmpty || findings.length > 0)
  const findings = filled.flatMap((one) => one.findings)
  const isBroken = filled.some(({ document }) => document === NO_DOCUMENT)
  if (isBroken) return { documents: [], findings: findings.slice(0, MAX_SYNTAX_FINDINGS) }
  return { documents: filled.map(({ document }) => document), findings }
}

export type YamlDocumentsRead = {
  readonly documents: readonly YamlDocumentRead[]
  /** Why the text as a whole is not read: too large, too deep. */
  readonly refusal: Finding | undefined
}

/** Reads every document, the empty ones too, each with its own findings. Never throws on any input. */
export function readYamlDocuments(file: string, text: string, dialect: YamlDialect): YamlDocumentsRead {
  const bytes = Buffer.byteLength(text)
  if (bytes > MAX_BYTES) {
    const message = `the file has ${bytes} bytes; at most ${MAX_BYTES} are read`
    return { documents: [], refusal: refused(file, 'yaml_too_large', message) }
  }
  const lines = new LineCounter()
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset)
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  const tokens = [...new Parser(lines.addNewLine).parse(text)]
  const tooDeep = deepToken(tokens)
  if (tooDeep !== undefined) {
    const message = `values nest deeper than ${MAX_DEPTH} levels`
    return { documents: [], refusal: refused(file, 'yaml_too_deep', message, placeAt(tooDeep.offset)) }
  }
  const schema = dialect === 'core' ? 'core' : 'failsafe'
  const composer = new Composer({ version: '1.2', schema, uniqueKeys: false, merge: false })
  const parsed = [...composer.compose(tokens)]
  return {
    documents: parsed.map((document) => readOne(document, { text, placeAt, dialect })),
    refusal: undefined,
  }
}

type Source = { readonly text: string; readonly placeAt: PlaceAt; readonly dialect: YamlDialect }

const NO_DOCUMENT: YamlDocument = {
  data: null,
  placeOf: () => undefined,
  sourceOf: () => undefined,
  placeInText: () => undefined,
}

function readOne(document: Document.Parsed, source: Source): YamlDocumentRead {
  const isBlank = hasNoContent(document)
  const syntax = isBlank ? [] : syntaxFindings(document, source)
  if (syntax.length > 0) return { document: NO_DOCUMENT, findings: syntax, isEmpty: false }
  const findings: Finding[] = []
  return { document: readDocument(document, source, findings), findings, isEmpty: isBlank }
}

/** `['connectors', 0, 'config', 'my.key']` -> `connectors[0].config["my.key"]`. */
export function pathText(path: YamlPath): string {
  let text = ''
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`
    else if (!/^[\w$-]+$/.test(step)) text += `[${JSON.stringify(step)}]`
    else text += text === '' ? step : `.${step}`
  }
  return text
}

type PlaceAt = (offset: number) => Place

function refused(file: string, code: string, message: string, place?: Place): Finding {
  const at = place ?? { file, line: 1, column: 1 }
  return { severity: 'error', code, path: '', message, wayOut: undefined, place: at }
}

/** Walks the tokens with a stack of its own: the composer behind it recurses and would overflow on `[[[[...`. */
function deepToken(tokens: readonly CST.Token[]): CST.Token | undefined {
  const open: { token: CST.Token; depth: number }[] = tokens.map((token) => ({ token, depth: 0 }))
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { token, depth } = next
    if (depth > MAX_DEPTH) return token
    if (token.type === 'document') {
      if (token.value !== undefined) open.push({ token: token.value, depth })
    } else if ('items' in token) {
      for (const item of token.items) {
        if (item.key) open.push({ token: item.key, depth: depth + 1 })
        if (item.value !== undefined) open.push({ token: item.value, depth: depth + 1 })
      }
    }
  }
  return undefined
}

function hasNoContent(document: Document.Parsed): boolean {
  const { contents } = document
  const blank =
    contents === null || (isScalar(contents) && contents.source === '' && contents.type === 'PLAIN')
  return blank && document.errors.length === 0
}

function syntaxFindings(document: Document.Parsed, { placeAt, dialect }: Source): Finding[] {
  // go-yaml knows no warnings: what it does not refuse, it reads
  const problems = dialect === 'core' ? [...document.errors, ...document.warnings] : document.errors
  return problems.map((problem) => ({
    severity: 'error',
    code: problem.code === 'TAB_AS_INDENT' ? 'yaml_tab' : 'yaml_syntax',
    path: '',
    message: problem.message,
    wayOut: syntaxWayOut(problem),
    place: placeAt(problem.pos[0]),
  }))
}

function syntaxWayOut(problem: YAMLError): string | undefined {
  if (problem.code === 'TAB_AS_INDENT') return 'indent with spaces'
  if (problem.code === 'TAG_RESOLVE_FAILED') return 'write the value without a tag'
  if (problem.code === 'BAD_SCALAR_START') return 'put the value in quotes'
  return undefined
}

function readDocument(document: Document.Parsed, source: Source, findings: Finding[]): YamlDocument {
  const { text, placeAt } = source
  const walk: Walk = {
    document,
    placeAt,
    dialect: source.dialect,
    findings,
    left: MAX_NODES,
    aliasesLeft: MAX_ALIASES,
    open: new Set(),
  }
  const data = toData(document.contents, [], walk)
  return {
    data,
    placeOf: (path) => {
      const offset = offsetOf(document, path)
      return offset === undefined ? undefined : placeAt(offset)
    },
    sourceOf: (path) => {
      const node = descend(document, path).value
      return isScalar(node) ? node.source : undefined
    },
    placeInText: (path, at) => {
      const node = descend(document, path).value
      const offset = isScalar(node) ? offsetInScalar(text, node, at) : undefined
      return offset === undefined ? undefined : placeAt(offset)
    },
  }
}

type Walk = {
  readonly document: Document.Parsed
  readonly placeAt: PlaceAt
  readonly dialect: YamlDialect
  readonly findings: Finding[]
  /** Nodes that may still be written out. */
  left: number
  aliasesLeft: number
  /** Anchored nodes being written out now: meeting one again is a circle. */
  readonly open: Set<unknown>
}

function toData(node: unknown, path: YamlPath, walk: Walk): unknown {
  if (walk.left-- <= 0) return tooManyNodes(node, path, walk)
  if (isAlias(node)) return aliasData(node, path, walk)
  if (isMap(node)) return mapData(node, path, walk)
  if (isSeq(node)) return node.items.map((item, index) => toData(item, [...path, index], walk))
  if (!isScalar(node)) return null
  return walk.dialect === 'core' ? scalarData(node, path, walk) : goScalarData(node, path, walk)
}

function goScalarData(node: Scalar, path: YamlPath, walk: Walk): unknown {
  const read = readGoScalar(node)
  if (read.ok) return read.value
  report(walk, 'yaml_number', path, node, read.reason)
  return null
}

function scalarData(node: Scalar, path: YamlPath, walk: Walk): unknown {
  const { value } = node
  if (typeof value === 'number' && !Number.isFinite(value)) {
    report(walk, 'yaml_number', path, node, `${node.source ?? value} is not a number that JSON knows`)
    return null
  }
  if (typeof value === 'object' && value !== null) {
    // !!binary and !!timestamp, which the core schema does not have
    report(walk, 'yaml_syntax', path, node, 'the tag makes this no text', 'write the value without a tag')
    return null
  }
  return value
}

function aliasData(alias: Alias, path: YamlPath, walk: Walk): unknown {
  if (walk.aliasesLeft-- <= 0) return tooManyAliases(alias, path, walk)
  const target = alias.resolve(walk.document)
  if (target === undefined || walk.open.has(target)) {
    report(walk, 'yaml_alias', path, alias, 'this alias names no anchor before it, or holds itself')
    return null
  }
  walk.open.add(target)
  const data = toData(target, path, walk)
  walk.open.delete(target)
  return data
}

function mapData(map: YAMLMap, path: YamlPath, walk: Walk): unknown {
  const entries = new Map<string, unknown>()
  for (const pair of map.items) {
    const name = keyName(pair)
    if (name === undefined) {
      report(walk, 'yaml_key', path, pair.key, 'a key must be plain text')
    } else if (walk.dialect === 'kubernetes' && isMerge(pair)) {
      mergeInto(entries, pair, path, walk)
    } else if (entries.has(name)) {
      const message = `the key stands twice; the first is on line ${lineOf(map, name, walk)}`
      report(walk, 'yaml_duplicate_key', [...path, name], pair.key, message, 'keep one of them')
    } else {
      entries.set(name, toData(pair.value, [...path, name], walk))
    }
  }
  // fromEntries defines properties, so that a key called __proto__ is a key like any other
  return Object.fromEntries(entries)
}

function isMerge({ key }: Pair): boolean {
  return isScalar(key) && key.value === '<<' && key.type === 'PLAIN'
}

/** Strict go-yaml lets nothing win over a merged key: one that comes twice is refused. */
function mergeInto(entries: Map<string, unknown>, pair: Pair, path: YamlPath, walk: Walk): void {
  const merged = toData(pair.value, path, walk)
  const sources: readonly unknown[] = Array.isArray(merged) ? merged : [merged]
  for (const source of sources) {
    if (typeof source !== 'object' || source === null || Array.isArray(source)) {
      report(walk, 'yaml_alias', path, pair.key, '<< merges mappings and nothing else')
      return
    }
    for (const [name, value] of Object.entries(source)) {
      if (entries.has(name)) {
        const message = `what << brings has the key ${name}, which stands here already`
        report(
          walk,
          'yaml_duplicate_key',
          [...path, name],
          pair.key,
          message,
          'write each key once, without <<',
        )
      }
      entries.set(name, value)
    }
  }
}

function keyName(pair: Pair): string | undefined {
  const { key } = pair
  if (!isScalar(key)) return undefined
  if (typeof key.value === 'string') return key.value
  return key.source === undefined || key.source === '' ? undefined : key.source
}

function lineOf(map: YAMLMap, name: string, walk: Walk): number {
  const first = map.items.find((pair) => keyName(pair) === name)
  return walk.placeAt(startOf(first?.key) ?? 0).line
}

function tooManyNodes(node: unknown, path: YamlPath, walk: Walk): null {
  // one finding is enough: from here on every node would say it again
  if (walk.left === -1) {
    const message = `the document has more than ${MAX_NODES} values once its aliases are written out`
    report(walk, 'yaml_too_large', path, node, message)
  }
  return null
}

function tooManyAliases(alias: Alias, path: YamlPath, walk: Walk): null {
  if (walk.aliasesLeft === -1) {
    report(walk, 'yaml_too_large', path, alias, `the document has more than ${MAX_ALIASES} aliases`)
  }
  return null
}

function report(
  walk: Walk,
  code: string,
  path: YamlPath,
  node: unknown,
  message: string,
  wayOut?: string,
): void {
  const place = walk.placeAt(startOf(node) ?? 0)
  walk.findings.push({ severity: 'error', code, path: pathText(path), message, wayOut, place })
}

function startOf(node: unknown): number | undefined {
  if (isPair(node)) return startOf(node.key)
  if (isScalar(node) || isMap(node) || isSeq(node) || isAlias(node)) return node.range?.[0]
  return undefined
}

function offsetOf(document: Document.Parsed, path: YamlPath): number | undefined {
  const { label, value } = descend(document, path)
  return startOf(label) ?? startOf(value)
}

/** Follows `path` as far as it goes. `label` is the key or item it ended on; `value` only if the whole path is there. */
function descend(document: Document.Parsed, path: YamlPath): { label: unknown; value: unknown } {
  let label: unknown = document.contents
  let value: unknown = document.contents
  for (const step of path) {
    const holder = isAlias(value) ? value.resolve(document) : value
    const pair = isMap(holder) ? holder.items.find((item) => keyName(item) === String(step)) : undefined
    const item = isSeq(holder) && typeof step === 'number' ? holder.items[step] : undefined
    if (pair === undefined && item === undefined) return { label, value: undefined }
    label = pair?.key ?? item
    value = pair === undefined ? item : pair.value
  }
  return { label, value: isAlias(value) ? value.resolve(document) : value }
}
