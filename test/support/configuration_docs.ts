// docs/configuration.md: the reference of sallyport.yaml, written from its schema. A new key appears by itself.
import { POLICY_PROBLEM_CODES } from '../../src/core/policy/problem.ts'
import { DEX_CODES } from '../../src/broker/config/dex/dex_codes.ts'
import { OverlaySchema } from '../../src/broker/config/dex/overlay_schema.ts'
import { DOCUMENT_CODES, NATIVE_CODES } from '../../src/broker/config/finding_codes.ts'
import { SallyportSchema } from '../../src/broker/config/schema.ts'
import { STARTER_CONFIG } from '../../src/broker/config/starter.ts'
import { ALL_PRESETS } from '../../src/core/issuer/presets.ts'
import { formatDuration } from '../../src/platform/config/duration.ts'
import type { SchemaNode } from '../../src/platform/config/schema_check.ts'
import type { TSchema } from '../../src/platform/config/schema_type.ts'

const FORMAT_WORDS: Readonly<Record<string, string>> = {
  'go-duration': 'duration',
  'go-duration-or-zero': 'duration',
  'https-or-http-url': 'URL',
  'listen-address': 'host:port',
  'listen-address-or-off': 'host:port or `off`',
  'resource-uri': 'URI',
  'rfc3339-time': 'time',
  'date-time': 'time',
  'host-name': 'host',
  cidr: 'CIDR',
}

const INTRODUCTION = `<!-- Written by \`npm run docs\` from src/broker/config/schema.ts. Do not edit. -->

# Configuration

\`sallyport.yaml\` is YAML 1.2: \`yes\` and \`no\` are texts, a key stands once, every key that is not listed here is an
error. \`sallyport config check\` says every problem at once, with line, column and what to write instead; \`serve\` does
not start on an error and says its warnings at each start.

* **Durations** carry units: \`90s\`, \`10m\`, \`1h30m\`, \`24h\`.
* **Ids of issuers** are texts: write \`project_id: "48291"\` with quotes.
* **Files** are named by path; relative paths start from the folder of \`sallyport.yaml\`.
* **Secrets** never stand in the file: it names an environment variable, a file, or a hash.
* **Editors** complete and check with \`# yaml-language-server: $schema=deploy/schema/sallyport.schema.json\` as first line.
`

/** The whole page. */
export function renderConfigurationDocs(): string {
  return [
    INTRODUCTION,
    ...sectionsOf(SallyportSchema, '##'),
    renderPresets(),
    renderStarter(),
    renderOverlay(),
    renderCodes(),
  ].join('\n')
}

/** A section for each key on top (or for those of `only`), under a heading of that level. */
export function sectionsOf(
  schema: TSchema | SchemaNode,
  level: string,
  only?: ReadonlySet<string>,
): string[] {
  const root: SchemaNode = schema
  const required = new Set(root.required)
  return Object.entries(root.properties ?? {})
    .filter(([key]) => key !== '$schema' && (only?.has(key) ?? true))
    .map(([key, node]) =>
      renderSection(key, only === undefined ? node : withoutDefaults(node), {
        level,
        required: required.has(key),
      }),
    )
}

type Row = {
  readonly key: string
  readonly node: SchemaNode
  readonly note: string
  readonly required: boolean
}

/** What the overlay leaves out has no default of ours: the Dex configuration's holds. */
function withoutDefaults(node: SchemaNode): SchemaNode {
  const { default: _dropped, properties, patternProperties, anyOf, ...rest } = node
  const map = (fields: Readonly<Record<string, SchemaNode>>) =>
    Object.fromEntries(Object.entries(fields).map(([key, child]) => [key, withoutDefaults(child)]))
  return {
    ...rest,
    ...(properties && { properties: map(properties) }),
    ...(patternProperties && { patternProperties: map(patternProperties) }),
    ...(anyOf && { anyOf: anyOf.map(withoutDefaults) }),
  }
}

function renderSection(
  key: string,
  node: SchemaNode,
  heading: { readonly level: string; readonly required: boolean },
): string {
  const rows = [...rowsOf(key, node)]
  const about = `${heading.required ? 'Required. ' : ''}${describe(node)}`
  const head = `${heading.level} \`${key}\`\n\n${about}\n`
  if (rows.length === 0) {
    const fallback = node.default === undefined ? '' : ` Default: ${code(node.default)}.`
    return `${head}\nType: ${typeOf(node)}.${fallback}\n`
  }
  const body = rows.map(renderRow).join('\n')
  return `${head}\n| key | type | default | meaning |\n|---|---|---|---|\n${body}\n`
}

/** Every key below `node`, depth first, in the order of the schema. */
function* rowsOf(prefix: string, node: SchemaNode, note = ''): Generator<Row> {
  for (const branch of node.anyOf ?? []) yield* branchRows(prefix, branch, note)
  if (node.items !== undefined) yield* rowsOf(`${prefix}[]`, node.items, note)
  for (const child of Object.values(node.patternProperties ?? {})) {
    if (child.properties !== undefined) yield* rowsOf(`${prefix}.<id>`, child, note)
  }
  const required = new Set(node.required)
  for (const [key, child] of Object.entries(node.properties ?? {})) {
    const path = `${prefix}.${key}`
    yield { key: path, node: child, note, required: required.has(key) }
    yield* rowsOf(path, child, '')
  }
}

/** Keys of one variant of a union; its fixed word (`method: none`) says when they may be written. */
function* branchRows(prefix: string, branch: SchemaNode, note: string): Generator<Row> {
  // a list of what the union also takes singly has the same keys
  if (branch.items !== undefined || branch.properties === undefined) return
  const tag = Object.entries(branch.properties).find(([, child]) => child.const !== undefined)
  const word = tag === undefined ? note : `\`${tag[0]}: ${wordOf(tag[1])}\``
  yield* rowsOf(prefix, branch, word)
}

function renderRow(row: Row): string {
  const fallback = row.node.default === undefined ? '' : code(row.node.default)
  const examples = (Array.isArray(row.node['examples']) ? row.node['examples'] : []).map(code).join(', ')
  const values = describe(Object.values(row.node.patternProperties ?? {})[0] ?? {})
  const meaning = [
    row.note !== '' && row.node.const === undefined ? `With ${row.note}. ` : '',
    describe(row.node),
    values === '' ? '' : ` ${values}`,
    examples === '' ? '' : ` Example: ${examples}.`,
  ].join('')
  const cells = [code(row.key), typeOf(row.node), row.required ? 'required' : fallback, meaning]
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
}

function typeOf(node: SchemaNode): string {
  if (node.const !== undefined) return code(wordOf(node))
  if (node.anyOf !== undefined) return unionType(node.anyOf)
  if (node.format !== undefined) return FORMAT_WORDS[node.format] ?? node.format
  if (node.items !== undefined) return `list of ${typeOf(node.items)}`
  if (node.patternProperties !== undefined) {
    return `mapping to ${typeOf(Object.values(node.patternProperties)[0] ?? {})}`
  }
  if (node.type === 'integer') return `whole number, ${node.minimum ?? 0} to ${node.maximum ?? 'any'}`
  const words: Readonly<Record<string, string>> = {
    string: 'text',
    object: 'mapping',
    boolean: 'true or false',
  }
  return words[node.type ?? ''] ?? node.type ?? 'any'
}

function unionType(branches: readonly SchemaNode[]): string {
  if (branches.every((branch) => branch.const !== undefined))
    return `one of ${branches.map(typeOf).join(', ')}`
  return [...new Set(branches.map(typeOf))].join(' or ')
}

function wordOf(node: SchemaNode): string {
  return typeof node.const === 'string' ? node.const : JSON.stringify(node.const)
}

function describe(node: SchemaNode): string {
  return typeof node['description'] === 'string' ? node['description'] : ''
}

function code(value: unknown): string {
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``
}

/** What each connector type knows, so that an operator sees what holds where the file says nothing. */
function renderPresets(): string {
  const rows = ALL_PRESETS.map((preset) => {
    const cells = [
      code(preset.name),
      preset.immutablePins.map((set) => set.map(code).join(' and ')).join(' or '),
      preset.events === undefined
        ? ''
        : `${preset.events.allowed.map(code).join(', ')} (${code(preset.events.claim)})`,
      preset.maxAgeSeconds === undefined ? 'until `exp`' : formatDuration(preset.maxAgeSeconds),
      formatDuration(preset.maxLifetimeSeconds),
      code(preset.singleUse),
      preset.algorithms.map(code).join(', '),
    ]
    return `| ${cells.join(' | ')} |`
  })
  return `## Connector types

| type | ids that cannot be registered again | events | max age | max lifetime | single use | algorithms |
|---|---|---|---|---|---|---|
${rows.join('\n')}
`
}

function renderStarter(): string {
  return `## The file of the first start\n\n\`\`\`yaml\n${STARTER_CONFIG}\`\`\`\n`
}

/** Sections that the overlay shares with sallyport.yaml are named, not repeated. */
function renderOverlay(): string {
  const own: ReadonlySet<string> = new Set(['issuer', 'connectors', 'clients', 'audiences'])
  const shared = Object.keys(OverlaySchema.properties).filter((key) => !own.has(key) && key !== '$schema')
  return `## Overlay of a Dex configuration

\`serve --dex-config dex.yaml --config overlay.yaml\` reads an unmodified Dex configuration and adds what Dex has no
words for. As in \`sallyport.yaml\`: ${shared.map(code).join(', ')}. By id, where what is left out stays as the Dex
configuration has it:

${sectionsOf(OverlaySchema, '###', own).join('\n')}`
}

function renderCodes(): string {
  return `## Finding codes

A finding reads \`file:line:column: severity code (key): what is wrong\`, and below it what to write instead. An error
refuses the file, a warning is said at each start and reload, a note by \`serve\` at its start and by \`config check\`.

### YAML and schema

${codeTable(DOCUMENT_CODES)}

### What the values mean together

${codeTable(NATIVE_CODES)}

### Dex configuration and overlay

${codeTable(DEX_CODES)}

### Policies

${POLICY_PROBLEM_CODES.map((key) => `\`${key}\``).join(', ')}. Each message says what to write
instead; [policies.md](policies.md) explains them.
`
}

export function codeTable(codes: Readonly<Record<string, string>>): string {
  const rows = Object.entries(codes).map(([key, text]) => `| \`${key}\` | ${text} |`)
  return ['| code | meaning |', '|---|---|', ...rows].join('\n')
}
