// Our checker says why; TypeBox's says whether. On the schema of sallyport.yaml they have to agree.
import { deepStrictEqual } from 'node:assert/strict'
import { FormatRegistry, Type as TypeBox } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import t from 'tap'
import { CONFIG_FORMATS } from '../../src/platform/config/formats.ts'
import { SallyportSchema } from '../../src/broker/config/schema.ts'
import { nearest } from '../../src/core/nearest.ts'
import { checkSchema, matchesSchema } from '../../src/platform/config/schema_check.ts'
import { Type, words } from '../../src/platform/config/schema_type.ts'
import type { TSchema } from '../../src/platform/config/schema_type.ts'
import { readYaml } from '../../src/platform/config/yaml_document.ts'
import { VALID_CONFIG } from '../support/native_config.ts'

for (const [format, check] of Object.entries(CONFIG_FORMATS)) {
  FormatRegistry.Set(format, (text) => check(text) === undefined)
}

t.test('our Type builds what the Type of TypeBox builds', (t) => {
  const about = { description: 'x', default: 'y' }
  const strict = { additionalProperties: false }
  const pairs: [TSchema, TSchema][] = [
    [Type.String({ minLength: 1, ...about }), TypeBox.String({ minLength: 1, ...about })],
    [Type.Integer({ minimum: 0 }), TypeBox.Integer({ minimum: 0 })],
    [Type.Number(), TypeBox.Number()],
    [Type.Boolean(about), TypeBox.Boolean(about)],
    [Type.Unknown(), TypeBox.Unknown()],
    [Type.Literal('a', about), TypeBox.Literal('a', about)],
    [
      Type.Union([Type.String(), Type.Number()], about),
      TypeBox.Union([TypeBox.String(), TypeBox.Number()], about),
    ],
    [words(['a', 'b'], about), TypeBox.Union([TypeBox.Literal('a'), TypeBox.Literal('b')], about)],
    [Type.Array(Type.String(), { minItems: 1 }), TypeBox.Array(TypeBox.String(), { minItems: 1 })],
    [Type.Record(Type.Number()), TypeBox.Record(TypeBox.String(), TypeBox.Number())],
    [Type.Optional(Type.Literal('a')), TypeBox.Optional(TypeBox.Literal('a'))],
    [
      Type.Object({ a: Type.Optional(Type.String()) }),
      TypeBox.Object({ a: TypeBox.Optional(TypeBox.String()) }, strict),
    ],
    [
      Type.Object({ a: Type.String() }, about),
      TypeBox.Object({ a: TypeBox.String() }, { ...about, ...strict }),
    ],
  ]
  for (const [ours, theirs] of pairs) t.doesNotThrow(() => deepStrictEqual(ours, theirs))
  t.end()
})

t.test('whatever stands in the file, we and TypeBox agree whether it passes', (t) => {
  const valid: unknown = readYaml('a.yaml', VALID_CONFIG).documents[0]?.data
  t.ok(matchesSchema(SallyportSchema, valid, CONFIG_FORMATS))
  t.ok(Value.Check(SallyportSchema, valid))
  const replacements: unknown[] = [
    undefined,
    null,
    '',
    'x',
    'off',
    '10m',
    7,
    -1,
    0.5,
    true,
    [],
    [''],
    ['a', 'a'],
    {},
    { x: 1 },
  ]
  let refused = 0
  let passed = 0
  for (const path of pathsOf(valid)) {
    for (const replacement of replacements) {
      const changed = withValue(valid, path, replacement)
      const ours = matchesSchema(SallyportSchema, changed, CONFIG_FORMATS)
      if (ours !== Value.Check(SallyportSchema, changed))
        t.fail(`${path.join('.')} = ${JSON.stringify(replacement)}`)
      if (ours) passed += 1
      else refused += 1
    }
  }
  t.ok(refused > 500 && passed > 50, `${refused} refused, ${passed} passed`)
  t.end()
})

t.test('each way in which a value is wrong has its words', (t) => {
  const schema = Type.Object({
    text: Type.Optional(Type.String({ maxLength: 3 })),
    list: Type.Optional(Type.Array(Type.String(), { minItems: 1, maxItems: 2 })),
    flag: Type.Optional(Type.Boolean()),
    count: Type.Optional(Type.Integer({ minimum: 1, maximum: 9, default: 3 })),
    form: Type.Optional(Type.String({ pattern: '^[a-z]$' })),
    either: Type.Optional(Type.Union([Type.Object({ a: Type.String() }), Type.Object({ b: Type.String() })])),
    kind: Type.Optional(
      Type.Union([
        Type.Object({ type: Type.Literal('one'), x: Type.String() }),
        Type.Object({ type: Type.Literal('two') }),
      ]),
    ),
  })
  const saying = (text: string) => {
    const document = readYaml('a.yaml', text).documents[0]
    if (document === undefined) throw new Error('no document')
    const [finding] = checkSchema(schema, document.data, document, {})
    return `${finding?.code} ${finding?.path}: ${finding?.message} -> ${finding?.wayOut}`
  }
  for (const [text, expected] of [
    ['text: 007', 'type_wrong text: must be text, not the number 007 -> put it in quotes: "007"'],
    ['text: true', 'type_wrong text: must be text, not the boolean true -> put it in quotes: "true"'],
    ['text:', 'type_wrong text: must be text, not empty -> give it a value or remove the key'],
    ['text: [a]', 'type_wrong text: must be text, not a list -> write text'],
    ['text: long', 'value_out_of_range text: has 4 characters; at most 3 are allowed -> write a shorter one'],
    ['list: a', 'type_wrong list: must be a list, not "a" -> write a list: [a]'],
    ['list: []', 'value_empty list: is an empty list -> give it an entry or remove the key'],
    [
      'list: [a, b, c]',
      'value_out_of_range list: has 3 entries; at most 2 are allowed -> take some of them out',
    ],
    ['flag: yes', 'type_wrong flag: must be true or false, not "yes" -> write true or false, without quotes'],
    ['count: "5"', 'type_wrong count: must be a whole number, not "5" -> write 5 without quotes'],
    [
      'count: 1.5',
      'type_wrong count: must be a whole number, not the number 1.5 -> write a whole number from 1 to 9, or remove the key for 3',
    ],
    [
      'count: 10',
      'value_out_of_range count: must be 1 to 9, not 10 -> write a whole number from 1 to 9, or remove the key for 3',
    ],
    ['form: B', 'value_not_allowed form: "B" does not have the form ^[a-z]$ -> write it in that form'],
    [
      'either: {c: x}',
      'value_not_allowed either: has none of the known forms {a} | {b} -> write one of them',
    ],
    ['either: {b: 1}', 'type_wrong either.b: must be text, not the number 1 -> put it in quotes: "1"'],
    ['kind: {x: y}', 'key_missing kind.type: type is required -> add type:'],
    ['kind: {type: tow}', 'value_not_allowed kind.type: must be one or two, not "tow" -> did you mean two?'],
    ['kind: {type: one}', 'key_missing kind.x: x is required -> add x:'],
    ['txet: a', 'key_unknown txet: there is no key "txet" here -> did you mean text?'],
    [
      'zzzzz: a',
      'key_unknown zzzzz: there is no key "zzzzz" here -> known here: text, list, flag, count, form, either, kind',
    ],
    ['- a', 'type_wrong : must be a mapping, not a list -> write a mapping'],
  ] as const) {
    t.equal(saying(text), expected)
  }
  t.end()
})

t.test('a long text is not repeated in a finding: it may be a secret in the wrong place', (t) => {
  const document = readYaml('a.yaml', `flag: ${'s3cr3t'.repeat(20)}`).documents[0]
  if (document === undefined) throw new Error('no document')
  const [finding] = checkSchema(Type.Object({ flag: Type.Boolean() }), document.data, document, {})
  t.ok((finding?.message.length ?? 1000) < 80)
  t.end()
})

t.test('the nearest known word is guessed only when it is near', (t) => {
  const known = ['connectors', 'clients', 'audiences', 'ttl', 'id']
  t.equal(nearest('conectors', known), 'connectors')
  t.equal(nearest('Connectors', known), 'connectors')
  t.equal(nearest('cleints', known), 'clients')
  t.equal(nearest('tll', known), 'ttl')
  t.equal(nearest('staticClients', known), undefined)
  t.equal(nearest('xyz', known), undefined)
  t.equal(nearest('x'.repeat(100_000), known), undefined)
  t.end()
})

type Path = readonly (string | number)[]

function pathsOf(data: unknown, path: Path = []): Path[] {
  if (typeof data !== 'object' || data === null) return [path]
  const entries: [string | number, unknown][] = Array.isArray(data)
    ? [...data.entries()]
    : Object.entries(data)
  return [path, ...entries.flatMap(([key, value]) => pathsOf(value, [...path, key]))]
}

/** A copy with `value` at `path`; `undefined` takes a key away. */
function withValue(data: unknown, path: Path, value: unknown): unknown {
  const [step, ...rest] = path
  if (step === undefined) return value ?? null
  if (Array.isArray(data)) {
    const items: unknown[] = data
    return items.map((item, index) => (index === step ? withValue(item, rest, value ?? null) : item))
  }
  const entries = Object.entries(data ?? {}).flatMap(([key, old]): [string, unknown][] => {
    if (key !== step) return [[key, old]]
    return rest.length === 0 && value === undefined ? [] : [[key, withValue(old, rest, value)]]
  })
  return Object.fromEntries(entries)
}
