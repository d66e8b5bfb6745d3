// What the documents show loads: every ```yaml block whose first line is `# sallyport.yaml`, in README.md and docs/.
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

for (const path of globSync(['README.md', 'docs/**/*.md'], { cwd: root }).toSorted()) {
  const text = read(path)
  const blocks = [...text.matchAll(/^```yaml\n(# sallyport\.yaml\n[\s\S]*?)^```$/gm)]
  for (const [index, [, block = '']] of blocks.entries()) {
    t.test(`example ${index + 1} of ${path} loads without error or warning`, (t) => {
      const { findings } = loadNativeConfig(path, block, generousEnv)
      t.same(
        findings.filter((finding) => finding.severity !== 'note'),
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
