// docs/module-policy.md is whole and true: every field says what it means, and the definition takes what the page shows.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Ajv } from 'ajv'
import { parse } from 'yaml'
import { isJsonObject } from '../../src/core/claims.ts'
import type { JsonObject } from '../../src/core/claims.ts'
import { secondsOfTime } from '../../src/core/date_time.ts'
import { readModulePolicy } from '../../src/core/module/read_module_policy.ts'
import { changedPolicy, exceptionOf } from '../support/odd_policies.ts'
import { modulePolicySchema, renderModulePolicyDocs } from '../support/module_policy_docs.ts'

const page = renderModulePolicyDocs()
const schema = modulePolicySchema()

type Field = { readonly path: string; readonly node: JsonObject }

/** Every named field below a structural schema. */
function fieldsOf(node: JsonObject, path = ''): readonly Field[] {
  const { properties, items } = node
  const inner = isJsonObject(items) ? fieldsOf(items, `${path}[]`) : []
  const fields: Field[] = []
  for (const [key, child] of Object.entries(isJsonObject(properties) ? properties : {})) {
    const at = path === '' ? key : `${path}.${key}`
    if (isJsonObject(child)) fields.push({ path: at, node: child }, ...fieldsOf(child, at))
  }
  return [...inner, ...fields]
}

/** As kube-apiserver does under strict validation: a field that is not named is refused; metadata is its own. */
function strict(node: JsonObject): JsonObject {
  const { properties, items } = node
  const closed = isJsonObject(properties) && node['additionalProperties'] === undefined
  return {
    ...node,
    ...(isJsonObject(properties) && {
      properties: Object.fromEntries(
        Object.entries(properties).map(([key, child]) => [key, isJsonObject(child) ? strict(child) : child]),
      ),
    }),
    ...(isJsonObject(items) && { items: strict(items) }),
    ...(closed && { additionalProperties: false }),
  }
}

const ajv = new Ajv({ strict: false, allErrors: true })
ajv.addFormat('date-time', (text: string) => secondsOfTime(text) !== undefined)
const isTaken = ajv.compile(strict(schema))

t.test('every field of a policy says what it means', async (t) => {
  const fields = fieldsOf(schema).filter(({ path }) => path.startsWith('spec'))
  t.ok(fields.length > 25)
  const silent = fields.filter(({ node }) => typeof node['description'] !== 'string')
  t.same(
    silent.map(({ path }) => path),
    [],
  )
})

t.test('every field of a policy stands on its page', async (t) => {
  const fields = fieldsOf(schema).filter(({ path }) => path.startsWith('spec.'))
  const absent = fields
    .map(({ path }) => path)
    .filter((path) => !page.includes(`\`${path}\``) && !page.includes(`\`${path.replace('spec.', '')}\``))
  t.same(absent, [])
})

const shown = [...page.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, text = '']): unknown => parse(text))

t.test('what the page shows is taken by the definition, and read', async (t) => {
  t.equal(shown.length, 4)
  for (const policy of shown) {
    t.equal(isTaken(policy), true, JSON.stringify(isTaken.errors))
    t.equal(readModulePolicy(policy).ok, true)
  }
})

t.test('the exception of the operator’s page is taken, and read', async (t) => {
  const guide = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'webhook-install.md'), 'utf8')
  const [, text = ''] = /^ {2}```yaml\n( {2}exceptions:\n[\s\S]*?)^ {2}```$/m.exec(guide) ?? []
  const { exceptions } = Object(parse(text))
  t.equal(exceptions.length, 1)
  const policy = changedPolicy((spec) => Object.assign(spec, { selector: {}, exceptions }))
  t.equal(isTaken(policy), true, JSON.stringify(isTaken.errors))
  t.equal(readModulePolicy(policy).ok, true)
})

t.test('what stands on no page is not taken', async (t) => {
  t.equal(isTaken(changedPolicy((spec) => (spec['order'] = 'free'))), false, 'a field that there is not')
  t.equal(isTaken(changedPolicy((spec) => (spec['ordering'] = 'semver'))), false, 'another order')
  t.equal(isTaken(changedPolicy((spec) => (exceptionOf(spec)['until'] = 'soon'))), false, 'no time')
})
