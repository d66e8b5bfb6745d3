// Holds data against a schema and says every problem at once, in words an operator can act on: where, what is wrong,
// what to write instead. Reads the JSON Schema subset that schema_type.ts builds.
import type { Finding } from './finding.ts'
import { nearest } from '#core/nearest.ts'
import type { Static, TSchema } from './schema_type.ts'
import { pathText } from './yaml_document.ts'
import type { YamlDocument, YamlPath } from './yaml_document.ts'

/** Checks behind `format:`; a problem carries its own finding code. */
export type Formats = Readonly<Record<string, (text: string) => FormatProblem | undefined>>
export type FormatProblem = {
  readonly code: string
  readonly message: string
  readonly wayOut: string | undefined
}

/** The members of a JSON Schema that are read here. */
export type SchemaNode = {
  readonly [keyword: string]: unknown
  readonly type?: string
  readonly default?: unknown
  readonly const?: unknown
  readonly anyOf?: readonly SchemaNode[]
  readonly properties?: Readonly<Record<string, SchemaNode>>
  readonly patternProperties?: Readonly<Record<string, SchemaNode>>
  readonly required?: readonly string[]
  readonly items?: SchemaNode
  readonly format?: string
  readonly pattern?: string
  readonly minLength?: number
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly minItems?: number
  readonly maxItems?: number
}

type Problem = { code: string; path: YamlPath; message: string; wayOut: string | undefined }
type Check = {
  readonly formats: Formats
  readonly document: YamlDocument | undefined
  readonly problems: Problem[]
}

/** Every way in which `data` (the document's, or what stands in it at `base`) is not what `schema` describes. */
export function checkSchema(
  schema: TSchema,
  data: unknown,
  document: YamlDocument,
  formats: Formats,
  base: YamlPath = [],
): Finding[] {
  const check: Check = { formats, document, problems: [] }
  checkNode(schema, data, base, check)
  return check.problems.map((problem) => ({
    severity: 'error',
    code: problem.code,
    path: pathText(problem.path),
    message: problem.message,
    wayOut: problem.wayOut,
    place: document.placeOf(problem.path),
  }))
}

/** Whether `data` is what `schema` describes, without words. */
export function matchesSchema<T extends TSchema>(
  schema: T,
  data: unknown,
  formats: Formats,
): data is Static<T> {
  const check: Check = { formats, document: undefined, problems: [] }
  checkNode(schema, data, [], check)
  return check.problems.length === 0
}

function checkNode(node: SchemaNode, data: unknown, path: YamlPath, check: Check): void {
  if (node.anyOf !== undefined) return checkUnion(node.anyOf, data, path, check)
  if (node.const !== undefined) return checkConstants([node], data, path, check)
  if (node.type !== undefined && !isOfType(data, node.type)) {
    check.problems.push(typeProblem([node], data, path, check))
    return
  }
  if (typeof data === 'string') checkText(node, data, path, check)
  if (typeof data === 'number') checkNumber(node, data, path, check)
  if (Array.isArray(data)) checkList(node, data, path, check)
  if (isObject(data)) checkObject(node, data, path, check)
}

function checkUnion(branches: readonly SchemaNode[], data: unknown, path: YamlPath, check: Check): void {
  const flat = branches.flatMap((branch) => branch.anyOf ?? [branch])
  const fitting = flat.filter((branch) => branch.type === undefined || isOfType(data, branch.type))
  const [first, second] = fitting
  if (first === undefined) {
    if (flat.every((branch) => branch.const !== undefined)) return checkConstants(flat, data, path, check)
    check.problems.push(typeProblem(flat, data, path, check))
    return
  }
  if (first.const !== undefined) return checkConstants(fitting, data, path, check)
  if (second === undefined || !isObject(data)) return checkNode(first, data, path, check)
  checkVariants(fitting, data, path, check)
}

/** Objects that differ in one word (`method: none`) or in which key they have (`{prefix: ...}`, `{glob: ...}`). */
function checkVariants(variants: readonly SchemaNode[], data: Fields, path: YamlPath, check: Check): void {
  const tag = discriminator(variants)
  if (tag === undefined) {
    const chosen = variants.find((variant) =>
      Object.keys(data).some((key) => key in (variant.properties ?? {})),
    )
    if (chosen !== undefined) return checkNode(chosen, data, path, check)
    const forms = variants.map((variant) => `{${Object.keys(variant.properties ?? {}).join(', ')}}`)
    const message = `has none of the known forms ${forms.join(' | ')}`
    check.problems.push({ code: 'value_not_allowed', path, message, wayOut: 'write one of them' })
    return
  }
  const word = data[tag]
  const chosen = variants.find((variant) => variant.properties?.[tag]?.const === word)
  if (chosen !== undefined) return checkNode(chosen, data, path, check)
  if (word === undefined) return missing(tag, path, check)
  const tags = variants.map((variant) => variant.properties?.[tag]).filter((node) => node !== undefined)
  checkConstants(tags, word, [...path, tag], check)
}

function discriminator(variants: readonly SchemaNode[]): string | undefined {
  const names = Object.keys(variants[0]?.properties ?? {})
  return names.find((name) => variants.every((variant) => variant.properties?.[name]?.const !== undefined))
}

function checkConstants(nodes: readonly SchemaNode[], data: unknown, path: YamlPath, check: Check): void {
  const allowed = nodes.map((node) => node.const)
  if (allowed.includes(data)) return
  const names = allowed.map(String)
  const guess = typeof data === 'string' ? nearest(data, names) : undefined
  check.problems.push({
    code: 'value_not_allowed',
    path,
    message: `must be ${oneOf(names)}, not ${shown(data, path, check)}`,
    wayOut: guess === undefined ? undefined : `did you mean ${guess}?`,
  })
}

function checkText(node: SchemaNode, text: string, path: YamlPath, check: Check): void {
  if (text === '' && (node.minLength ?? 0) > 0) {
    check.problems.push({
      code: 'value_empty',
      path,
      message: 'is empty',
      wayOut: 'give it a value or remove the key',
    })
    return
  }
  if (node.maxLength !== undefined && text.length > node.maxLength) {
    const message = `has ${text.length} characters; at most ${node.maxLength} are allowed`
    check.problems.push({ code: 'value_out_of_range', path, message, wayOut: 'write a shorter one' })
  }
  const problem = node.format === undefined ? undefined : check.formats[node.format]?.(text)
  if (problem !== undefined) check.problems.push({ ...problem, path })
  else if (
    node.format === undefined &&
    node.pattern !== undefined &&
    !new RegExp(node.pattern, 'u').test(text)
  ) {
    const message = `${JSON.stringify(text)} does not have the form ${node.pattern}`
    check.problems.push({ code: 'value_not_allowed', path, message, wayOut: 'write it in that form' })
  }
}

function checkNumber(node: SchemaNode, value: number, path: YamlPath, check: Check): void {
  const low = node.minimum ?? -Infinity
  const high = node.maximum ?? Infinity
  if (value >= low && value <= high) return
  const range = high === Infinity ? `at least ${low}` : `${low} to ${high}`
  check.problems.push({
    code: 'value_out_of_range',
    path,
    message: `must be ${range}, not ${value}`,
    wayOut: rewritten([node], path),
  })
}

function checkList(node: SchemaNode, items: readonly unknown[], path: YamlPath, check: Check): void {
  if (items.length < (node.minItems ?? 0)) {
    const wayOut = 'give it an entry or remove the key'
    check.problems.push({ code: 'value_empty', path, message: 'is an empty list', wayOut })
  }
  if (node.maxItems !== undefined && items.length > node.maxItems) {
    const message = `has ${items.length} entries; at most ${node.maxItems} are allowed`
    check.problems.push({ code: 'value_out_of_range', path, message, wayOut: 'take some of them out' })
  }
  const { items: entry } = node
  if (entry !== undefined) items.forEach((item, index) => checkNode(entry, item, [...path, index], check))
}

type Fields = Readonly<Record<string, unknown>>

function checkObject(node: SchemaNode, data: Fields, path: YamlPath, check: Check): void {
  const values = Object.values(node.patternProperties ?? {})[0]
  const known = new Map(Object.entries(node.properties ?? {}))
  for (const [key, value] of Object.entries(data)) {
    const field = known.get(key) ?? values
    if (field === undefined) unknownKey(key, [...known.keys()], data, path, check)
    else checkNode(field, value, [...path, key], check)
  }
  for (const key of node.required ?? []) {
    if (!Object.hasOwn(data, key)) missing(key, path, check)
  }
}

function unknownKey(key: string, known: readonly string[], data: Fields, path: YamlPath, check: Check): void {
  const free = known.filter((name) => !Object.hasOwn(data, name))
  const guess = nearest(key, free)
  check.problems.push({
    code: 'key_unknown',
    path: [...path, key],
    message: `there is no key ${JSON.stringify(key)} here`,
    wayOut: guess === undefined ? `known here: ${known.join(', ')}` : `did you mean ${guess}?`,
  })
}

function missing(key: string, path: YamlPath, check: Check): void {
  const wayOut = `add ${key}:`
  check.problems.push({ code: 'key_missing', path: [...path, key], message: `${key} is required`, wayOut })
}

function typeProblem(nodes: readonly SchemaNode[], data: unknown, path: YamlPath, check: Check): Problem {
  const expected = [...new Set(nodes.map((node) => node.type ?? 'object'))]
  const message = `must be ${oneOf(expected.map(typeInWords))}, not ${shown(data, path, check)}`
  return {
    code: 'type_wrong',
    path,
    message,
    wayOut:
      formatWayOut(nodes, data, path, check) ??
      typeWayOut(expected, data, path, check) ??
      rewritten(nodes, path),
  }
}

/** `write a whole number from 0 to 65535, or remove the key for 8443`. */
function rewritten(nodes: readonly SchemaNode[], path: YamlPath): string {
  const types = [...new Set(nodes.map(({ type }) => typeInWords(type ?? 'object')))]
  const { minimum, maximum } = nodes.find((node) => node.minimum !== undefined) ?? {}
  const from =
    minimum === undefined ? '' : ` from ${minimum}${maximum === undefined ? ' on' : ` to ${maximum}`}`
  const fallback = nodes.find((node) => node.default !== undefined)?.default
  const orNone =
    fallback === undefined || path.length === 0 ? '' : `, or remove the key for ${asText(fallback)}`
  return `write ${oneOf(types)}${from}${orNone}`
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** `ttl: 10`: quotes alone would not make a duration of it, so what the format says comes at once. */
function formatWayOut(
  nodes: readonly SchemaNode[],
  data: unknown,
  path: YamlPath,
  check: Check,
): string | undefined {
  const { format } = nodes.find((node) => node.type === 'string') ?? {}
  if (format === undefined || (typeof data !== 'number' && typeof data !== 'boolean')) return undefined
  return check.formats[format]?.(check.document?.sourceOf(path) ?? JSON.stringify(data))?.wayOut
}

function typeWayOut(
  expected: readonly string[],
  data: unknown,
  path: YamlPath,
  check: Check,
): string | undefined {
  if (data === null) return 'give it a value or remove the key'
  const source = check.document?.sourceOf(path) ?? JSON.stringify(data)
  if (expected.includes('string') && (typeof data === 'number' || typeof data === 'boolean')) {
    return `put it in quotes: ${JSON.stringify(source)}`
  }
  if (expected.includes('array') && !isObject(data)) return `write a list: [${source}]`
  if (expected.includes('boolean') && typeof data === 'string') return 'write true or false, without quotes'
  if (expected.includes('integer') && typeof data === 'string' && /^\d+$/.test(data))
    return `write ${data} without quotes`
  return undefined
}

/** What stands there, short; a text is cut, since somebody may have put a secret where it does not belong. */
function shown(data: unknown, path: YamlPath, check: Check): string {
  if (data === null || data === undefined) return 'empty'
  if (Array.isArray(data)) return 'a list'
  if (typeof data === 'object') return 'a mapping'
  if (typeof data === 'string')
    return data.length > 40 ? `${JSON.stringify(data.slice(0, 20))}...` : JSON.stringify(data)
  return `the ${typeof data} ${check.document?.sourceOf(path) ?? JSON.stringify(data)}`
}

function isOfType(data: unknown, type: string): boolean {
  if (type === 'object') return isObject(data)
  if (type === 'array') return Array.isArray(data)
  if (type === 'integer') return Number.isSafeInteger(data)
  return typeof data === type
}

function isObject(data: unknown): data is Fields {
  return typeof data === 'object' && data !== null && !Array.isArray(data)
}

function typeInWords(type: string): string {
  const words: Readonly<Record<string, string>> = {
    string: 'text',
    array: 'a list',
    object: 'a mapping',
    integer: 'a whole number',
    number: 'a number',
    boolean: 'true or false',
  }
  return words[type] ?? type
}

function oneOf(words: readonly string[]): string {
  if (words.length <= 1) return words.join('')
  return `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`
}
