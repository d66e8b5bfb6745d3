// The simple conformance tests of CEL (cel-spec, as @bufbuild/cel-spec carries them), each as a condition that our door
// can be asked. usage: node test/support/cel_conformance.ts writes down what does not pass today.
import { readFileSync, writeFileSync } from 'node:fs'
import { tests } from '@bufbuild/cel-spec/testdata/conformance.js'
import type { Claims, JsonValue } from '../../src/core/claims.ts'
import { isJsonObject } from '../../src/core/claims.ts'
import { compileCondition } from '../../src/core/policy/cel.ts'
import { textOf } from '../fuzz/target.ts'

/**
 * `refused`: the condition does not load. `error`: it loads, and never holds. `not run`: the test is about a value that no
 * condition and no claim can say (protobuf messages, dotted variables). `wrong`: it says something else than CEL.
 */
export type Conformance = 'passed' | 'refused' | 'error' | 'not run' | 'wrong'

/** Names of tests below `file/section`; `all` of a section in which nothing passes. */
export type NamesBySection = Readonly<Record<string, 'all' | readonly string[]>>

export type KnownFailures = {
  readonly refused: NamesBySection
  readonly error: NamesBySection
  readonly 'not run': NamesBySection
  /** `file/section/name` -> why that is borne; a new one has no reason until somebody writes it. */
  readonly wrong: Readonly<Record<string, string>>
}

const KNOWN_FAILURES_FILE = new URL('../fixtures/cel-conformance.json', import.meta.url)

export function knownFailures(): KnownFailures {
  return JSON.parse(readFileSync(KNOWN_FAILURES_FILE, 'utf8'))
}

type Asked = { readonly text: string; readonly claims: Claims; readonly expected: 'value' | 'error' }

/** Outcome by `file/section/name`; a name that comes twice in a section gets a number. */
export function runConformance(): ReadonlyMap<
  string,
  { readonly outcome: Conformance; readonly text: string }
> {
  const outcomes = new Map<string, { readonly outcome: Conformance; readonly text: string }>()
  for (const { id, original } of testsBelow(tests, [])) {
    let unique = id
    for (let again = 2; outcomes.has(unique); again += 1) unique = `${id} (${again})`
    const asked = conditionOf(original)
    outcomes.set(
      unique,
      asked === undefined ? { outcome: 'not run', text: '' } : { outcome: ask(asked), text: asked.text },
    )
  }
  return outcomes
}

type Suite = typeof tests

function* testsBelow(suite: Suite, path: readonly string[]): Generator<{ id: string; original: JsonValue }> {
  for (const inner of suite.suites ?? []) yield* testsBelow(inner, [...path, inner.name])
  for (const { original } of suite.tests ?? [])
    yield {
      id: [...path, original.name ?? original.expr].join('/'),
      original: JSON.parse(JSON.stringify(original)),
    }
}

function ask({ text, claims, expected }: Asked): Conformance {
  const compiled = compileCondition(text)
  if (!compiled.ok) return expected === 'error' ? 'passed' : 'refused'
  const { held, detail } = compiled.value.holds({ claims, client: '', connector: '' })
  if (expected === 'error') return held || detail === 'is false' ? 'wrong' : 'passed'
  if (held) return 'passed'
  return detail === 'is false' ? 'wrong' : 'error'
}

/** A condition that holds exactly when the test's expression has its value, or that can only hold when there is no error. */
function conditionOf(original: JsonValue): Asked | undefined {
  if (!isJsonObject(original)) return undefined
  const { expr, bindings, evalError, typedResult } = original
  const value = isJsonObject(typedResult) ? typedResult['result'] : (original['value'] ?? { boolValue: true })
  const inner = evalError === undefined ? comparison(textOf(expr), value) : `size([\n${textOf(expr)}\n]) == 1`
  const bound = inner === undefined ? undefined : withBindings(inner, isJsonObject(bindings) ? bindings : {})
  return bound === undefined ? undefined : { ...bound, expected: evalError === undefined ? 'value' : 'error' }
}

function comparison(expr: string, value: JsonValue | undefined): string | undefined {
  if (!isJsonObject(value)) return undefined
  if (value['doubleValue'] === 'NaN') return `dyn(\n${expr}\n) != dyn(\n${expr}\n)`
  const literal = literalOf(value)
  if (literal === undefined) return undefined
  const type = { int64Value: 'int', doubleValue: 'double' }[Object.keys(value)[0] ?? '']
  // CEL compares across numeric types; a conformance test wants the type as well.
  const same = `dyn(\n${expr}\n) == dyn(${literal})`
  return type === undefined ? same : `${same} && type(dyn(\n${expr}\n)) == ${type}`
}

/** A comprehension over one item is the only way to bind a name. JSON values come as claims, all others as literals. */
function withBindings(inner: string, bindings: Claims): Omit<Asked, 'expected'> | undefined {
  const claims: Record<string, JsonValue> = {}
  let text = inner
  for (const [name, binding] of Object.entries(bindings)) {
    const value = isJsonObject(binding) ? binding['value'] : undefined
    if (!isJsonObject(value) || !/^\w+$/.test(name)) return undefined
    const json = jsonOf(value)
    const literal = json === undefined ? literalOf(value) : `claims["${name}"]`
    if (literal === undefined) return undefined
    if (json !== undefined) claims[name] = json
    text = `[${literal}].exists(${name}, ${text})`
  }
  return { text, claims }
}

/** Of a value of the conformance tests (cel.expr.Value as JSON). */
function literalOf(value: Claims): string | undefined {
  const [[kind, content] = ['', null]] = Object.entries(value)
  switch (kind) {
    case 'nullValue':
      return 'null'
    case 'boolValue':
    case 'typeValue':
      return textOf(content)
    case 'int64Value':
      return content === '-9223372036854775808' ? `int("${content}")` : textOf(content)
    case 'uint64Value':
      return `${textOf(content)}u`
    case 'doubleValue':
      return doubleOf(content)
    case 'stringValue':
      return JSON.stringify(content)
    case 'bytesValue':
      return `b"${[...Buffer.from(textOf(content), 'base64')].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}"`
    case 'listValue':
      return listed(membersOf(content, 'values').map(literalOf), '[', ']')
    case 'mapValue':
      return listed(membersOf(content, 'entries').map(entryOf), '{', '}')
    case 'objectValue':
      return timeOf(content)
    default:
      return undefined
  }
}

function doubleOf(content: JsonValue): string {
  if (content === 'Infinity') return '(1.0 / 0.0)'
  if (content === '-Infinity') return '(-1.0 / 0.0)'
  const digits = textOf(content)
  return /[.e]/.test(digits) ? digits.replace(/^(-?\d+)e/, '$1.0e') : `${digits}.0`
}

function timeOf(content: JsonValue): string | undefined {
  if (!isJsonObject(content)) return undefined
  const type = textOf(content['@type'] ?? '')
    .split('.')
    .at(-1)
    ?.toLowerCase()
  const isTime = type === 'timestamp' || type === 'duration'
  return isTime ? `${type}(${JSON.stringify(content['value'])})` : undefined
}

function membersOf(content: JsonValue, name: string): readonly Claims[] {
  const list = isJsonObject(content) ? content[name] : undefined
  return Array.isArray(list) ? list.filter(isJsonObject) : []
}

function entryOf({ key, value }: Claims): string | undefined {
  const [left, right] = [key, value].map((side) => (isJsonObject(side) ? literalOf(side) : undefined))
  return left === undefined || right === undefined ? undefined : `${left}: ${right}`
}

function listed(parts: readonly (string | undefined)[], open: string, close: string): string | undefined {
  return parts.includes(undefined) ? undefined : `${open}${parts.join(', ')}${close}`
}

/** As a claim; `undefined` for what JSON does not tell apart. */
function jsonOf(value: Claims): JsonValue | undefined {
  const [[kind, content] = ['', null]] = Object.entries(value)
  if (kind === 'nullValue') return null
  if (kind === 'boolValue' || kind === 'stringValue') return content
  if (kind === 'doubleValue') return typeof content === 'number' ? content : undefined
  if (kind !== 'listValue') return undefined
  const items = membersOf(content, 'values').map(jsonOf)
  return items.includes(undefined) ? undefined : items.filter((item) => item !== undefined)
}

/** What does not pass, in the shape of the file; `reasons` are those of the file. */
export function failuresOf(
  outcomes: ReturnType<typeof runConformance>,
  reasons: KnownFailures['wrong'],
): KnownFailures {
  const wrong: Record<string, string> = {}
  for (const [id, { outcome }] of outcomes) if (outcome === 'wrong') wrong[id] = reasons[id] ?? ''
  const grouped = (wanted: Conformance) => bySection(outcomes, wanted)
  return { refused: grouped('refused'), error: grouped('error'), 'not run': grouped('not run'), wrong }
}

function bySection(outcomes: ReturnType<typeof runConformance>, wanted: Conformance): NamesBySection {
  const sections = new Map<string, { readonly names: string[]; size: number }>()
  for (const [id, { outcome }] of outcomes) {
    const [file = '', section = ''] = id.split('/', 2)
    const known = sections.get(`${file}/${section}`) ?? { names: [], size: 0 }
    known.size += 1
    if (outcome === wanted) known.names.push(id.slice(file.length + section.length + 2))
    sections.set(`${file}/${section}`, known)
  }
  const grouped: Record<string, 'all' | readonly string[]> = {}
  for (const [section, { names, size }] of sections) {
    if (names.length > 0) grouped[section] = names.length === size ? 'all' : names
  }
  return grouped
}

if (import.meta.main) {
  const failures = failuresOf(runConformance(), knownFailures().wrong)
  writeFileSync(KNOWN_FAILURES_FILE, `${JSON.stringify(failures, undefined, 2)}\n`)
}
