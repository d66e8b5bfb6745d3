// What the documents show loads: in README.md and docs/, every ```yaml block that begins with `issuer:` (comments
// aside) as it stands, and every block that begins with another of our keys as a part of a file.
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { loadNativeConfig } from '../../src/broker/config/native.ts'
import { SallyportSchema } from '../../src/broker/config/schema.ts'
import { renderConfigurationDocs } from '../support/configuration_docs.ts'
import { renderJsonSchema } from '../support/json_schema.ts'
import { configEnv, GENERATED_SECRET, PUBLIC_JWK } from '../support/native_config.ts'

const root = join(import.meta.dirname, '..', '..')
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const CROSS_CODES: ReadonlySet<string> = new Set([
  'reference_unknown',
  'connector_without_policy',
  'audience_unreachable',
])
/** Its examples are parts of an AuthenticationConfiguration; test/core/kube_lint_examples.test.ts reads them. */
const OF_KUBE_APISERVER = join('docs', 'kube-lint.md')
const CERTIFICATE = '-----BEGIN CERTIFICATE-----\n'

/** A world in which every file and variable that an example names is there. */
const generousEnv = {
  ...configEnv(),
  env: new Proxy({}, { get: () => GENERATED_SECRET }),
  readFile: (path: string) => {
    if (path.endsWith('.json')) return JSON.stringify({ keys: [PUBLIC_JWK] })
    return path.includes('secret') ? GENERATED_SECRET : CERTIFICATE
  },
}

const pages = globSync(['README.md', 'docs/**/*.md'], { cwd: root }).toSorted()
for (const path of pages.filter((page) => page !== OF_KUBE_APISERVER)) {
  const blocks = [...read(path).matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, block = '']) => block)
  for (const [index, block] of blocks.entries()) {
    const isWhole = /^(?:(?:#.*)?\n)*issuer: \S/.test(block)
    const isFragment = /^(?:# sallyport\.yaml.*\n)?(?:connectors|clients|audiences|policies|kube):/.test(
      block,
    )
    if (!isWhole && !isFragment) continue
    t.test(`example ${index + 1} of ${path} loads without error or warning`, (t) => {
      const text = isWhole
        ? block
        : `issuer: https://example.test\nlisten: { public: 127.0.0.1:8443 }\n${block}`
      const { findings } = loadNativeConfig(path, text, generousEnv)
      t.same(
        // a fragment may name what stands in another one
        findings.filter(({ severity, code }) => severity !== 'note' && (isWhole || !CROSS_CODES.has(code))),
        [],
      )
      t.end()
    })
  }
}

t.test('the reference and the schema for editors say what the schema says', (t) => {
  const mend = 'stale: npm run docs writes it again'
  t.equal(read('docs/configuration.md') === renderConfigurationDocs(), true, mend)
  t.equal(read('deploy/schema/sallyport.schema.json') === renderJsonSchema(SallyportSchema), true, mend)
  t.end()
})

t.test('every key of the schema has a meaning in the reference', (t) => {
  const docs = renderConfigurationDocs()
  const bare = docs
    .split('\n')
    .filter((line) => /^\| `[^`]+` \|.*\|\s*\|$/.test(line) && line.split('|').length === 6)
  t.same(bare, [])
  t.end()
})
