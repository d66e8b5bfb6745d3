// docs/module-policy.md: the reference of ModulePolicy, written from the structural schema of its definition. A new field appears by
// itself; the examples are the files of deploy/examples.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { isJsonObject } from '../../src/core/claims.ts'
import type { JsonObject } from '../../src/core/claims.ts'
import { FIXED_RULE_IDS } from '../../src/core/module/rule_id.ts'
import type { SchemaNode } from '../../src/platform/config/schema_check.ts'
import { sectionsOf } from './configuration_docs.ts'

const DEPLOY = join(import.meta.dirname, '..', '..', 'deploy')

/** What kube-apiserver is given: openAPIV3Schema of v1alpha1. */
export function modulePolicySchema(): JsonObject {
  const definition: unknown = parse(
    readFileSync(join(DEPLOY, 'crds', 'sallyport', 'modulepolicies.yaml'), 'utf8'),
  )
  const [version] = listIn(objectIn(definition, 'spec'), 'versions')
  return objectIn(objectIn(version, 'schema'), 'openAPIV3Schema')
}

const EXAMPLES = ['first_look', 'pipelines', 'gitops'] as const

export function renderModulePolicyDocs(): string {
  const spec = objectIn(objectIn(modulePolicySchema(), 'properties'), 'spec')
  return [
    INTRODUCTION,
    ...sectionsOf(nodeOf(spec), '##').map((section) => section.replace('## `', '## `spec.')),
    REFUSED,
    ruleTable(rulesOf(spec, 'spec')),
    EXAMPLES_HEAD,
    ...EXAMPLES.map((name) => example(`module_policy_${name}.yaml`)),
  ].join('\n')
}

/** A structural schema in the words of our own: choices and values of mappings are said another way there. */
function nodeOf(schema: JsonObject): SchemaNode {
  const { enum: choices, additionalProperties, properties, items, ...rest } = schema
  return {
    ...rest,
    description: `${textOf(schema['description'])}${bounds(schema)}`,
    ...(Array.isArray(choices) && { anyOf: choices.map((value: unknown) => ({ const: value })) }),
    ...(isJsonObject(additionalProperties) && { patternProperties: { '': nodeOf(additionalProperties) } }),
    ...(isJsonObject(properties) && {
      properties: Object.fromEntries(
        Object.entries(properties).flatMap(([key, child]) =>
          isJsonObject(child) ? [[key, nodeOf(child)]] : [],
        ),
      ),
    }),
    ...(isJsonObject(items) && { items: nodeOf(items) }),
  }
}

function bounds({ minItems, maxItems, minProperties, maxProperties }: JsonObject): string {
  const most = maxItems ?? maxProperties
  if (typeof most !== 'number') return ''
  const isAny = (minItems ?? minProperties) === undefined
  return isAny ? ` At most ${most}.` : ` 1 to ${most}.`
}

type Rule = { readonly path: string; readonly message: string }

/** The rules in CEL, with the place that each is about. */
function rulesOf(schema: JsonObject, path: string): readonly Rule[] {
  const { properties, items, additionalProperties } = schema
  const rules = listIn(schema, 'x-kubernetes-validations').filter(isJsonObject)
  const own = rules.map(({ message }) => ({ path, message: textOf(message) }))
  const inner = isJsonObject(properties) ? Object.entries(properties) : []
  return [
    ...own,
    ...inner.flatMap(([key, child]) => (isJsonObject(child) ? rulesOf(child, `${path}.${key}`) : [])),
    ...(isJsonObject(items) ? rulesOf(items, `${path}[]`) : []),
    ...(isJsonObject(additionalProperties) ? rulesOf(additionalProperties, `${path}.<key>`) : []),
  ]
}

function example(file: string): string {
  return `\`deploy/examples/${file}\`:\n\n\`\`\`yaml\n${readFileSync(join(DEPLOY, 'examples', file), 'utf8')}\`\`\`\n`
}

/** One row for each message: four kinds of identities have the same two. */
function ruleTable(rules: readonly Rule[]): string {
  const rows = [...new Set(rules.map(({ message }) => message))].map((message) => {
    const paths = rules.filter((rule) => rule.message === message).map(({ path }) => `\`${path}\``)
    return `| ${message} | ${paths.join(', ')} |`
  })
  return `${['| it says | of |', '|---|---|', ...rows].join('\n')}\n`
}

function objectIn(value: unknown, key: string): JsonObject {
  const found = isJsonObject(value) ? value[key] : undefined
  if (isJsonObject(found)) return found
  throw new Error(`the definition of ModulePolicy has no ${key}`)
}

function listIn(value: JsonObject, key: string): readonly unknown[] {
  const found = value[key]
  return Array.isArray(found) ? found : []
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

const INTRODUCTION = `<!-- Written by \`npm run docs\` from deploy/crds/sallyport/modulepolicies.yaml. Do not edit. -->

# ModulePolicy

Which Modules and Providers are covered, who publishes their versions, and how strictly each [rule](webhook-rules.md) holds. It is
cluster-scoped, so that nobody who may edit Modules of a namespace edits their policy, too. The smallest one covers everything and
has each rule as it is of itself (all enforced, but WH-M8, which is audited):

\`\`\`yaml
apiVersion: sallyport.dev/v1alpha1
kind: ModulePolicy
metadata:
  name: all
spec:
  selector: {}
\`\`\`

Where no policy covers a Module, its own \`immutable: true\` is held, and who publishes is only warned about. What a policy would say
of what a cluster has already, before it is applied:

\`\`\`sh
sallyport webhook adopt --starter > policy.yaml   # one to begin with, made from what is there; it denies nothing
sallyport webhook adopt -f policy.yaml
\`\`\`

The webhook goes by a changed policy at once, the [policies of kube-apiserver](webhook-generate.md#the-policies) after
\`sallyport webhook generate vap\`, and \`sallyport review\` by the ones that lie beside the Modules.
`

const REFUSED = `## What else is refused

A field that is not listed here is an error (\`kubectl apply\` tells; a list that is there and empty is one, too, since it would read as
"nobody" and mean "anybody"). Then by the rules of the definition:
`

const EXAMPLES_HEAD = `And by the webhook, in every mode: two policies that could cover one Module
([WH-O1](webhook-rules.md#wh-o1-one-module-has-one-policy)), and a rule that there is not
([WH-O2](webhook-rules.md#wh-o2-a-modulepolicy-can-be-read)). ${FIXED_RULE_IDS.join(', ')} are about policies and the ledger; no
\`modes\` and no \`exceptions\` name them.

## Examples
`
