// What `npm pack` makes of package.json: the bundle needs no dependencies, least of all those that carry Node itself,
// so they are left out of the packed file. prepack calls `strip`, postpack `restore`. After an interrupted run the
// original waits beside it, and the next `strip` begins by putting it back.
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const root = process.argv[3] ?? resolve(import.meta.dirname, '../..')
const manifestFile = join(root, 'package.json')
const originalFile = join(root, '.package.json.original')

/** Members of no use where there is a bundle. The scripts stay: an interrupted run must not disable `npm test`. */
const LEFT_OUT = new Set([
  'dependencies',
  'devDependencies',
  'optionalDependencies',
  'allowScripts',
  'imports',
])

const [, , action] = process.argv
if (action === 'strip') strip()
else if (action === 'restore') restore()
else {
  console.error('usage: pack_manifest.ts strip|restore [folder]')
  process.exit(2)
}

function strip(): void {
  restore()
  const original = readFileSync(manifestFile, 'utf8')
  writeFileSync(originalFile, original)
  replaceManifest(stripped(original))
}

/** Puts the original back, unless somebody has edited the stripped file since: then both are kept and it says so. */
function restore(): void {
  if (!existsSync(originalFile)) return
  const original = readFileSync(originalFile, 'utf8')
  const present = readFileSync(manifestFile, 'utf8')
  if (present !== stripped(original) && present !== original) {
    console.error(
      `package.json was edited while it was stripped; compare it with ${originalFile} and delete that file`,
    )
    process.exit(1)
  }
  renameSync(originalFile, manifestFile)
}

function stripped(text: string): string {
  const manifest: unknown = JSON.parse(text)
  const kept = Object.entries(Object(manifest)).filter(([name]) => !LEFT_OUT.has(name))
  return `${JSON.stringify(Object.fromEntries(kept), undefined, 2)}\n`
}

/** Renamed into place, so that a reader never meets half a file. */
function replaceManifest(text: string): void {
  const draft = `${manifestFile}.${process.pid}`
  writeFileSync(draft, text)
  renameSync(draft, manifestFile)
}
