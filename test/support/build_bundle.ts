// Builds dist/: the CLI as JavaScript that Node runs inside node_modules, where types are not stripped. Chunks stay
// apart, so that a command loads its own code only; everything that is bundled comes with its licence.
import { existsSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { build } from 'esbuild'
import type { Metafile, Plugin } from 'esbuild'

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

rmSync(dist, { recursive: true, force: true })
const result = await build({
  absWorkingDir: root,
  entryPoints: [
    { in: 'src/main.ts', out: 'sallyport' },
    { in: 'src/platform/signature_thread/thread.ts', out: 'signature_thread' },
  ],
  outdir: 'dist',
  chunkNames: '[name]-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  legalComments: 'inline',
  // Names stay: a stack trace from a user's machine must be readable.
  minifySyntax: true,
  minifyWhitespace: true,
  metafile: true,
  plugins: [lightBuiltins],
  logLevel: 'warning',
  // CommonJS dependencies ask for Node's own modules through require, which an ES module does not have.
  banner: {
    js: [
      'const require=(name)=>{const found=process.getBuiltinModule(name);',
      'if(found===undefined)throw new Error(`${name} is not in the bundle`);return found};',
    ].join(''),
  },
})
writeFileSync(join(dist, 'THIRD_PARTY_LICENSES.txt'), licences(result.metafile))

/** Name, version and licence text of every package of which code went into the bundle. */
function licences(metafile: Metafile): string {
  const folders = new Set(Object.keys(metafile.inputs).flatMap((input) => packageFolder(input) ?? []))
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
  const { name, version, license } = Object(manifest)
  const [file] = globSync('{LICENSE,LICENCE,License,license,COPYING}*', { cwd: path }).sort()
  const text =
    file !== undefined && existsSync(join(path, file)) ? readFileSync(join(path, file), 'utf8') : ''
  return `${name} ${version} (${license})\n\n${text}`
}
