// The JSON Schema for editors, from the schema that the broker checks with: our formats become patterns that every
// editor knows, unions of words become enumerations that it can offer.
import type { SchemaNode } from '../../src/platform/config/schema_check.ts'
import type { TSchema } from '../../src/platform/config/schema_type.ts'

const FORMATS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'go-duration': { pattern: '^([0-9]+(\\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$' },
  'go-duration-or-zero': { pattern: '^(0|([0-9]+(\\.[0-9]+)?(ns|us|µs|ms|s|m|h))+)$' },
  'https-or-http-url': { pattern: '^https?://[^?#]+$' },
  'listen-address': { pattern: '^(\\[[0-9a-fA-F:.]+\\]|[^:\\s]*):[0-9]{1,5}$' },
  'listen-address-or-off': { pattern: '^(off|(\\[[0-9a-fA-F:.]+\\]|[^:\\s]*):[0-9]{1,5})$' },
  'resource-uri': { format: 'uri', pattern: '^[^#]+$' },
  'rfc3339-time': { format: 'date-time' },
  'host-name': { pattern: '^[^\\s/:]+$' },
  cidr: { pattern: '^[0-9a-fA-F:.]+(/[0-9]{1,3})?$' },
}

/** JSON text, ending in a line break. */
export function renderJsonSchema(schema: TSchema): string {
  const root = { $schema: 'http://json-schema.org/draft-07/schema#', ...convert(schema) }
  return `${JSON.stringify(root, null, 2)}\n`
}

function convert(node: SchemaNode): Record<string, unknown> {
  const { anyOf, items, properties, patternProperties, format, ...rest } = node
  const converted: Record<string, unknown> = { ...rest }
  if (format !== undefined) Object.assign(converted, FORMATS[format] ?? unknownFormat(format))
  if (anyOf !== undefined) Object.assign(converted, convertUnion(anyOf))
  if (items !== undefined) converted['items'] = convert(items)
  if (properties !== undefined) converted['properties'] = mapValues(properties)
  const values = Object.values(patternProperties ?? {})[0]
  if (values !== undefined) converted['additionalProperties'] = convert(values)
  return converted
}

function convertUnion(branches: readonly SchemaNode[]): Record<string, unknown> {
  if (!branches.every((branch) => branch.const !== undefined)) return { anyOf: branches.map(convert) }
  return { type: 'string', enum: branches.map((branch) => branch.const) }
}

function mapValues(properties: Readonly<Record<string, SchemaNode>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(properties).map(([key, value]) => [key, convert(value)]))
}

function unknownFormat(format: string): never {
  throw new Error(`no JSON Schema for the format ${format}: add it to FORMATS`)
}
