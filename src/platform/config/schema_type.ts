// The part of TypeBox's `Type` that configuration files need, typed by TypeBox and equal to what it builds
// (test/platform/schema_type.test.ts). TypeBox itself is not loaded at run time: its 300 modules take 50 ms, more than
// the rest of reading a configuration.
import type {
  TArray,
  TBoolean,
  TInteger,
  TLiteral,
  TLiteralValue,
  TNumber,
  TObject,
  TOptional,
  TProperties,
  TRecord,
  TSchema,
  TString,
  TUnion,
  TUnknown,
} from '@sinclair/typebox'

export type { Static, TSchema } from '@sinclair/typebox'

/** Words about one value that stand in the JSON Schema and in docs/configuration.md. */
export type About = {
  readonly description?: string
  readonly default?: unknown
  readonly examples?: readonly unknown[]
  readonly title?: string
}
type TextRules = {
  readonly minLength?: number
  readonly maxLength?: number
  readonly pattern?: string
  readonly format?: string
}
type NumberRules = { readonly minimum?: number; readonly maximum?: number }
type ListRules = { readonly minItems?: number; readonly maxItems?: number }

const KIND = Symbol.for('TypeBox.Kind')
const OPTIONAL = Symbol.for('TypeBox.Optional')

export const Type = {
  String: (rules: TextRules & About = {}): TString => build('String', { ...rules, type: 'string' }),
  Integer: (rules: NumberRules & About = {}): TInteger => build('Integer', { ...rules, type: 'integer' }),
  Number: (rules: NumberRules & About = {}): TNumber => build('Number', { ...rules, type: 'number' }),
  Boolean: (about: About = {}): TBoolean => build('Boolean', { ...about, type: 'boolean' }),
  Unknown: (about: About = {}): TUnknown => build('Unknown', { ...about }),
  Literal: <const V extends TLiteralValue>(value: V, about: About = {}): TLiteral<V> =>
    build('Literal', { ...about, const: value, type: typeof value }),
  Union: <T extends TSchema[]>(anyOf: [...T], about: About = {}): TUnion<T> =>
    build('Union', { ...about, anyOf }),
  Array: <T extends TSchema>(items: T, rules: ListRules & About = {}): TArray<T> =>
    build('Array', { ...rules, type: 'array', items }),
  /** A map whose keys the operator chooses. */
  Record: <T extends TSchema>(values: T, about: About = {}): TRecord<TString, T> =>
    build('Record', { ...about, type: 'object', patternProperties: { '^(.*)$': values } }),
  /** A map of known keys; any other key is an error. */
  Object: <T extends TProperties>(properties: T, about: About = {}): TObject<T> => {
    const required = Object.keys(properties).filter((name) => !isOptional(properties[name]))
    return build('Object', {
      ...about,
      type: 'object',
      ...(required.length > 0 && { required }),
      properties,
      additionalProperties: false,
    })
  },
  Optional: <T extends TSchema>(schema: T): TOptional<T> =>
    build<TOptional<T>>(undefined, { ...schema, [OPTIONAL]: 'Optional' }),
} as const

/** A union of literals: one of a few words. */
export function words<const V extends readonly string[]>(
  values: V,
  about: About = {},
): TUnion<{ -readonly [K in keyof V]: TLiteral<V[K]> }> {
  return build('Union', { ...about, anyOf: values.map((value) => Type.Literal(value)) })
}

function isOptional(schema: TSchema | undefined): boolean {
  return schema !== undefined && OPTIONAL in schema
}

/** TypeBox's types carry symbols and phantom members that only a cast can promise; the test holds the promise. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the caller's return type chooses T
function build<T extends TSchema>(kind: string | undefined, schema: object): T {
  const built: unknown = kind === undefined ? schema : { [KIND]: kind, ...schema }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- see above
  return built as T
}
