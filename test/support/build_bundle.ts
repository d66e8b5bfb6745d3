// Builds dist/: the CLI as JavaScript that Node runs inside node_modules, where types are not stripped. Chunks stay
// apart, so that a command loads its own code only; everything that is bundled comes with its licence.
// usage: build_bundle.ts [--sbom]: dist/sbom.cdx.json, too.
import { globSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { build } from 'esbuild'
import type { BuildOptions, Plugin } from 'esbuild'
import { sbomOf } from './sbom.ts'

const root = resolve(import.meta.dirname, '../..')
const dist = join(root, 'dist')

/**
 * Commander imports modules of Node of which a help text needs next to nothing, and loading them costs more than all
 * of its own code. In the bundle it takes them when it uses them: child_process for subcommands that are programs of
 * their own, fs to find those, util to measure text that holds escape sequences.
 */
const LIGHT_BUILTINS: Readonly<Record<string, string>> = {
  'node:child_process':
    "module.exports = { spawn: (...args) => process.getBuiltinModule('node:child_process').spawn(...args) }",
  'node:fs': `module.exports = {
    existsSync: (path) => process.getBuiltinModule('node:fs').existsSync(path),
    realpathSync: (path) => process.getBuiltinModule('node:fs').realpathSync(path),
  }`,
  'node:process': 'module.exports = globalThis.process',
  'node:util': `exports.stripVTControlCharacters = (text) =>
    /[\\u001b\\u009b]/.test(text) ? process.getBuiltinModule('node:util').stripVTControlCharacters(text) : text`,
}

const lightBuiltins: Plugin = {
  name: 'light-builtins',
  setup: (hooks) => {
    hooks.onResolve({ filter: /^node:/ }, ({ importer, path }) =>
      importer.includes('/commander/') && path in LIGHT_BUILTINS ? { path, namespace: 'light' } : undefined,
    )
    hooks.onLoad({ filter: /.*/, namespace: 'light' }, ({ path }) => ({
      contents: LIGHT_BUILTINS[path] ?? '',
    }))
  },
}

/**
 * kubectl starts `sallyport credential` for each of its calls, so that command's own code is one file: each file more is
 * a millisecond, and each of Node's modules costs as an import (all of its members are looked at, and some load others)
 * twice what it costs when it is asked for by name at the moment of its use.
 */
const QUICK = 'credential_quick'

const apart: Plugin = {
  name: 'apart',
  setup: (hooks) => {
    hooks.onResolve({ filter: /\/credential\/quick\.ts$/ }, ({ kind }) =>
      kind === 'entry-point' ? undefined : { path: `./${QUICK}.js`, external: true },
    )
  },
}

const builtinsOnUse: Plugin = {
  name: 'builtins-on-use',
  setup: (hooks) => {
    hooks.onResolve({ filter: /^node:/ }, ({ path }) => ({ path, namespace: 'on-use' }))
    hooks.onLoad({ filter: /.*/, namespace: 'on-use' }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule('${path}')`,
    }))
  },
}

rmSync(dist, { recursive: true, force: true })
const common = {
  absWorkingDir: root,
  outdir: 'dist',
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  legalComments: 'inline',
  // Names stay: a stack trace from a user's machine must be readable.
  minifySyntax: true,
  minifyWhitespace: true,
  metafile: true,
  logLevel: 'warning',
} as const satisfies BuildOptions
const result = await build({
  ...common,
  entryPoints: [
    { in: 'src/main.ts', out: 'sallyport' },
    { in: 'src/platform/signature_thread/thread.ts', out: 'signature_thread' },
    { in: 'src/platform/remote_signer/pkcs11/thread.ts', out: 'pkcs11_thread' },
    { in: 'webhook/judge/large_review_thread.ts', out: 'large_review_thread' },
  ],
  chunkNames: '[name]-[hash]',
  splitting: true,
  plugins: [apart, lightBuiltins],
  // CommonJS dependencies ask for Node's own modules through require, which an ES module does not have.
  banner: {
    js: [
      'const require=(name)=>{const found=process.getBuiltinModule(name);',
      'if(found===undefined)throw new Error(`${name} is not in the bundle`);return found};',
    ].join(''),
  },
})
const quick = await build({
  ...common,
  entryPoints: [{ in: 'src/cli/credential/quick.ts', out: QUICK }],
  plugins: [builtinsOnUse],
})
const metafiles = [result, quick].map(({ metafile }) => metafile)
const bundled = metafiles.flatMap(({ inputs }) => Object.keys(inputs))
writeFileSync(join(dist, 'THIRD_PARTY_LICENSES.txt'), licences(bundled))
if (process.argv.includes('--sbom')) writeFileSync(join(dist, 'sbom.cdx.json'), sbomOf(root, metafiles))

/** Name, version and licence text of every package of which code went into the bundle. */
function licences(inputs: readonly string[]): string {
  const folders = new Set(inputs.flatMap((input) => packageFolder(input) ?? []))
  return [...folders]
    .sort()
    .map(licence)
    .join(`\n${'-'.repeat(80)}\n`)
}

function packageFolder(input: string): string | undefined {
  return /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0]
}

function licence(folder: string): string {
  const path = resolve(root, folder)
  const manifest: unknown = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'))
  const { name, version, license, author } = Object(manifest)
  const texts = globSync('*', { cwd: path })
    .filter((file) => /^(?:licen[cs]e|copying|notice|copyrightnotice)/i.test(file))
    .sort()
    .map((file) => readFileSync(join(path, file), 'utf8'))
  // A few packages carry no text. Whose it is, and the name of the licence, is then all that there is.
  const text = texts.length > 0 ? texts.join('\n') : `By ${author?.name ?? author ?? 'its authors'}.\n`
  return `${name} ${version} (${license})\n\n${text}`
}
