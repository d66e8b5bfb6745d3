// What a kustomization renders to, by `kubectl kustomize` on a private copy of the files. Whatever would be fetched is refused
// before anything runs; and what runs finds neither git nor a way out.
import { execFile } from 'node:child_process'
import { accessSync, constants, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join, posix } from 'node:path'
import { quoted } from '#core/module/printable.ts'
import { readYamlDocuments } from '#platform/config/yaml_document.ts'
import { printable } from '../printable.ts'
import type { FileTree } from './file_tree.ts'
import { KUBECTL_TIMEOUT_MS, MAX_TREE_BYTES } from './limits.ts'

const NAMES: ReadonlySet<string> = new Set(['kustomization.yaml', 'kustomization.yml', 'Kustomization'])

export type Rendering =
  | {
      readonly kind: 'rendered'
      readonly file: string
      readonly text: string
      /** That it was made from. */
      readonly folders: readonly string[]
    }
  /** `refused`: it would reach out; `failed`: the cluster's renderer would say no, too. */
  | { readonly kind: 'refused' | 'failed' | 'no_kubectl'; readonly file: string; readonly why: string }

/** The kustomization of a folder, as `within`; `undefined` when there is none. */
export function kustomizationOf(paths: Iterable<string>, folder: string): string | undefined {
  for (const path of paths) {
    if (NAMES.has(posix.basename(path)) && folderOf(path) === folder) return path
  }
  return undefined
}

export function folderOf(path: string): string {
  const folder = posix.dirname(path)
  return folder === '.' ? '' : folder
}

/** Folders that a kustomization names above itself are copied along. */
const MAX_FOLDERS = 100
const MAX_FOLDERS_UP = 8

export async function render(
  tree: Pick<FileTree, 'filesUnder' | 'isOpenAbove'>,
  folder: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Rendering | undefined> {
  const files = new Map<string, Buffer>()
  const pending = [folder]
  const copied = new Set<string>()
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (copied.has(next)) continue
    copied.add(next)
    for (const [path, bytes] of await tree.filesUnder(next)) files.set(path, bytes)
    const outside = referencesFrom(files, next, tree.isOpenAbove)
    if (typeof outside === 'string') return refusal(files, folder, outside)
    pending.push(...outside.filter((one) => ![...copied].some((done) => isBelow(one, done))))
    if (copied.size > MAX_FOLDERS) return refusal(files, folder, `it names more than ${MAX_FOLDERS} folders`)
  }
  const file = kustomizationOf(files.keys(), folder)
  if (file === undefined) return undefined
  const kubectl = findProgram('kubectl', env)
  if (kubectl === undefined) return { kind: 'no_kubectl', file, why: 'kubectl is not on the PATH' }
  const made = await build(kubectl, file, folder, files)
  return made.kind === 'rendered' ? { ...made, folders: [...copied] } : made
}

function refusal(files: ReadonlyMap<string, Buffer>, folder: string, why: string): Rendering {
  return { kind: 'refused', file: kustomizationOf(files.keys(), folder) ?? folder, why }
}

function isBelow(path: string, folder: string): boolean {
  if (folder === '') return path !== '..' && !path.startsWith('../')
  return path === folder || path.startsWith(`${folder}/`)
}

/** Folders outside of `below` that its kustomizations name; a sentence when one names something that is not in the files. */
function referencesFrom(
  files: ReadonlyMap<string, Buffer>,
  below: string,
  isOpenAbove: boolean,
): readonly string[] | string {
  const outside: string[] = []
  for (const [path, bytes] of files) {
    if (!NAMES.has(posix.basename(path)) || !isBelow(path, below)) continue
    const { documents, refusal: refused } = readYamlDocuments(path, bytes.toString('utf8'), 'kubernetes')
    if (refused !== undefined) return `${path} cannot be read: ${refused.message}`
    for (const { document, findings } of documents) {
      const [broken] = findings
      if (broken !== undefined) return `${path} cannot be read: ${broken.message}`
      const texts = textsIn(document.data)
      const remote = texts.find(isRemote)
      if (remote !== undefined) return `${path} names ${quoted(remote)}, which would be fetched`
      outside.push(...texts.flatMap((text) => folderOutside(text, folderOf(path), below, isOpenAbove)))
    }
  }
  return outside
}

function folderOutside(text: string, from: string, below: string, isOpenAbove: boolean): readonly string[] {
  if (/\s/.test(text)) return []
  const target = posix.normalize(posix.join(from, text)).replace(/\/+$/, '')
  const folder = target === '.' ? '' : target
  // What leads out of a commit is not in it, and the build says that it is missing.
  const isOut = folder === '..' || folder.startsWith('../')
  const isTooFar = folder.split('/').filter((part) => part === '..').length > MAX_FOLDERS_UP
  return (isOut && !isOpenAbove) || isTooFar || isBelow(folder, below) ? [] : [folder]
}

/** Fields whose texts are nobody's address. */
const PLAIN_FIELDS: ReadonlySet<string> = new Set([
  'commonAnnotations',
  'commonLabels',
  'images',
  'labels',
  'literals',
  'metadata',
  'patch',
])

/** Every other text of a kustomization: any field that names a file takes an address, too. */
function textsIn(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value]
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) => (PLAIN_FIELDS.has(key) ? [] : textsIn(inner)))
}

/** kustomize's own forms of repositories, and every URL that is a whole value. */
function isRemote(text: string): boolean {
  const one = text.trim()
  if (/\s/.test(one)) return false
  return (
    /^[a-z][a-z0-9+.-]*:\/\//i.test(one) ||
    /^(?:git::|gh:|github\.com[/:]|bitbucket\.org[/:]|gitlab\.com[/:])/i.test(one) ||
    /^[\w.-]+@[\w.-]+:/.test(one) ||
    /\.git(?:$|[/?#])|_git\/|\?ref=|\?version=|\/\/[^/]+.*\?/.test(one)
  )
}

function findProgram(name: string, env: Readonly<Record<string, string | undefined>>): string | undefined {
  const folders = (env['PATH'] ?? '').split(delimiter).filter((folder) => folder.startsWith('/'))
  return folders.map((folder) => join(folder, name)).find(isExecutable)
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

async function build(
  kubectl: string,
  file: string,
  folder: string,
  files: ReadonlyMap<string, Buffer>,
): Promise<Rendering> {
  const home = mkdtempSync(join(tmpdir(), 'sallyport-review-'))
  try {
    // Deep enough for every `..` at the beginning of a path.
    const root = join(home, 'tree', ...Array.from({ length: MAX_FOLDERS_UP }, () => 'up'))
    for (const [path, bytes] of files) {
      if (!isPlainPath(path)) continue
      const target = join(root, path)
      mkdirSync(dirname(target), { recursive: true, mode: 0o700 })
      writeFileSync(target, bytes, { mode: 0o600 })
    }
    return await run(kubectl, file, { home, root, folder: join(root, folder) })
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
}

/** A tree that somebody made by hand can have names that lead elsewhere. */
function isPlainPath(path: string): boolean {
  const parts = path.split('/')
  const down = parts.findIndex((part) => part !== '..')
  return down <= MAX_FOLDERS_UP && !parts.slice(down).some((part) => ['', '.', '..', '.git'].includes(part))
}

/** No proxy listens on port 9 (discard), so what goes by HTTP ends here; and an empty PATH has no git. */
const NOWHERE = 'http://127.0.0.1:9'

type Place = { readonly home: string; readonly root: string; readonly folder: string }

async function run(kubectl: string, file: string, { home, root, folder }: Place): Promise<Rendering> {
  const nothing = join(home, 'bin')
  mkdirSync(nothing, { mode: 0o700 })
  const env = { PATH: nothing, HOME: home, TMPDIR: home, HTTP_PROXY: NOWHERE, HTTPS_PROXY: NOWHERE }
  const { promise, resolve } = Promise.withResolvers<Rendering>()
  const options = { env, cwd: home, timeout: KUBECTL_TIMEOUT_MS, maxBuffer: MAX_TREE_BYTES }
  execFile(kubectl, ['kustomize', folder], options, (error, stdout, stderr) => {
    if (error === null) {
      resolve({ kind: 'rendered', file, text: stdout, folders: [] })
      return
    }
    const ended = error.killed === true ? `took longer than ${KUBECTL_TIMEOUT_MS / 1000} s` : ''
    resolve({ kind: 'failed', file, why: ended || reasonIn(stderr.replaceAll(root, '')) })
  })
  return promise
}

/** Without time and process id, so that the same failure reads the same in both states. */
function reasonIn(stderr: string): string {
  const said = stderr.replace(/^E\d{4} [^\]]*\] "[^"]*" err=/, '').replaceAll(/[\s<>"`]+/g, ' ')
  return printable(said.trim() || 'it failed').slice(0, 400)
}
