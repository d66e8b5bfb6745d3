// What `npm ci` brings in: each package is the one whose hash the lock holds, from any registry, and none runs a script
// on the way. What the shipped bundle needs is in `dependencies`, and nothing else is.
import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { join } from 'node:path'
import { build } from 'esbuild'
import t from 'tap'
import { folder } from '../support/cli.ts'

type Entry = {
  readonly version: string
  readonly integrity?: string
  readonly resolved?: string
  readonly link?: boolean
  readonly hasInstallScript?: boolean
  readonly dev?: boolean
  readonly optional?: boolean
  readonly os?: string | readonly string[]
  readonly cpu?: string | readonly string[]
  readonly libc?: string | readonly string[]
}

const lock: { readonly packages: Readonly<Record<string, Entry>> } = JSON.parse(
  readFileSync('package-lock.json', 'utf8'),
)
const own: {
  readonly allowScripts: Readonly<Record<string, boolean>>
  readonly dependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
  readonly optionalDependencies: Readonly<Record<string, string>>
} = JSON.parse(readFileSync('package.json', 'utf8'))
const entries = Object.entries(lock.packages).filter(([path]) => path !== '')

/** Whether npm installs it where we build and run: Linux with glibc on x64 or arm64. */
function fitsWhereWeBuild({ os, cpu, libc }: Entry): boolean {
  return allows(os, 'linux') && allows(cpu, 'x64', 'arm64') && allows(libc, 'glibc')
}

function allows(list: string | readonly string[] | undefined, ...ours: readonly string[]): boolean {
  return list === undefined || [list].flat().some((name) => ours.includes(name))
}

t.test('every package that is installed where we build has its SHA-512 in the lock (TH-J09)', async (t) => {
  const installed = entries.filter(([, entry]) => fitsWhereWeBuild(entry))
  t.ok(installed.length > 300)
  t.strictSame(
    installed.flatMap(([path, { integrity = '' }]) =>
      /^sha512-[A-Za-z0-9+/]{86}==$/.test(integrity) ? [] : [path],
    ),
    [],
  )
})

t.test('without a hash are development tools for other platforms alone', async (t) => {
  const bare = entries.filter(([, { integrity }]) => integrity === undefined)
  for (const [path, entry] of bare) {
    t.match(path, /^node_modules\/@(?:oxlint|oxfmt|oxc-parser|oxlint-tsgolint)\/[\w-]+$/)
    t.match(entry, { dev: true, optional: true }, path)
    t.notOk(fitsWhereWeBuild(entry), path)
  }
})

t.test('the lock names no registry and no folder of a machine', async (t) => {
  t.strictSame(
    entries.flatMap(([path, { resolved, link }]) =>
      resolved === undefined && link === undefined ? [] : [path],
    ),
    [],
  )
})

t.test('every dependency is asked for in one exact version', async (t) => {
  const asked = { ...own.dependencies, ...own.devDependencies, ...own.optionalDependencies }
  for (const [name, version] of Object.entries(asked)) {
    t.match(version, /^(?:npm:[\w@/-]+@)?\d+\.\d+\.\d+$/, name)
    t.ok(version.endsWith(lock.packages[`node_modules/${name}`]?.version ?? 'missing'), name)
  }
})

t.test('no dependency runs a script at install (TH-J09)', async (t) => {
  const scripted = entries.flatMap(([path, { hasInstallScript }]) =>
    hasInstallScript === true ? [path.replace(/^.*node_modules\//, '')] : [],
  )
  t.strictSame(own.allowScripts, Object.fromEntries(scripted.map((name) => [name, false])))
})

t.test('an install script that nobody has judged stops the install and does not run', async (t) => {
  const project = folder(t)
  const made = join(project, 'made')
  mkdirSync(join(project, 'source'))
  const dependency = { name: 'with-script', version: '1.0.0', scripts: { postinstall: `touch ${made}` } }
  writeFileSync(join(project, 'source/package.json'), JSON.stringify(dependency))
  const pack = ['pack', '--ignore-scripts', '--pack-destination', project]
  execFileSync('npm', pack, { cwd: join(project, 'source'), stdio: 'pipe' })
  copyFileSync('.npmrc', join(project, '.npmrc'))
  const dependencies = { 'with-script': 'file:with-script-1.0.0.tgz' }
  writeFileSync(join(project, 'package.json'), JSON.stringify({ private: true, dependencies }))
  // `npm test --silent` hands its own settings on.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)))
  const install = (...flags: readonly string[]) => {
    for (const name of ['made', 'node_modules', 'package-lock.json']) {
      rmSync(join(project, name), { recursive: true, force: true })
    }
    const argv = ['install', '--offline', ...flags]
    const { status, stderr } = spawnSync('npm', argv, { cwd: project, encoding: 'utf8', env })
    return { status, stderr, ran: existsSync(made) }
  }
  t.match(install('--dangerously-allow-all-scripts'), { status: 0, ran: true })
  t.match(install('--ignore-scripts'), { status: 0, ran: false })
  t.match(install(), { status: 1, stderr: 'ESTRICTALLOWSCRIPTS', ran: false })
})

t.test('dependencies are what the bundle is made of, and nothing else', async (t) => {
  const { metafile } = await build({
    entryPoints: [
      'src/main.ts',
      'src/cli/credential/quick.ts',
      'src/platform/signature_thread/thread.ts',
      'src/platform/remote_signer/pkcs11/thread.ts',
      'webhook/judge/large_review_thread.ts',
    ],
    bundle: true,
    splitting: true,
    outdir: 'dist',
    format: 'esm',
    platform: 'node',
    // Only what our own files ask for by name.
    packages: 'external',
    metafile: true,
    write: false,
  })
  const asked = Object.values(metafile.inputs)
    .flatMap(({ imports }) => imports)
    .filter(({ external, path }) => external === true && !path.startsWith('node:'))
    .flatMap(({ path }) => /^(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? [])
    .filter((name) => !builtinModules.includes(name))
  t.strictSame([...new Set(asked)].sort(), Object.keys(own.dependencies).sort())
})
