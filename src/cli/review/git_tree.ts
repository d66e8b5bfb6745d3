// One commit as one state of the files, through git's plumbing. Names come from `ls-tree -z` and contents go by object id, so no
// name and no ref is ever an option or a shell word.
import { posix } from 'node:path'
import type { UnreadFile } from '#core/review/file_findings.ts'
import { InputFailure } from '../input_failure.ts'
import { quoted } from '#core/module/printable.ts'
import { absent, isLfsPointer, isManifestName } from './file_tree.ts'
import type { FileTree, TreeFile } from './file_tree.ts'
import { lfsPointer } from './folder_tree.ts'
import { git } from './git_command.ts'
import type { GitPlace } from './git_command.ts'
import { MAX_ENTRIES, MAX_FILE_BYTES, MAX_FILES, MAX_TREE_BYTES } from './limits.ts'

export type GitRange = { readonly base: string; readonly head: string }

/** Object ids of both commits. `BASE...HEAD` begins where both parted, as a pull request does. Throws InputFailure. */
export async function readRange(text: string, place: GitPlace): Promise<GitRange> {
  const match = /^([^]+?)(\.{2,3})([^]*)$/.exec(text)
  const [, base = '', dots, head = ''] = match ?? []
  if (match === null || dots === undefined) {
    throw new InputFailure('--git wants BASE..HEAD, or BASE...HEAD for what changed since both parted')
  }
  const [from, to] = [await commitOf(base, place), await commitOf(head === '' ? 'HEAD' : head, place)]
  if (dots === '..' || NO_COMMITS.has(base)) return { base: from, head: to }
  const parted = await git(['merge-base', from, to], place, 1024)
  if (parted.code !== 0) {
    throw new InputFailure(
      `${quoted(base)} and ${quoted(head)} have no common commit in this clone: fetch the whole history, or write BASE..HEAD`,
    )
  }
  return { base: parted.stdout.toString('latin1').trim(), head: to }
}

/** What CI systems name as the commit before the first one -> the tree of nothing, which git knows without having it. */
const NO_COMMITS: ReadonlyMap<string, string> = new Map([
  ['0'.repeat(40), '4b825dc642cb6eb9a060e54bf8d69288fbee4904'],
  ['0'.repeat(64), '6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321'],
])

async function commitOf(name: string, place: GitPlace): Promise<string> {
  const nothing = NO_COMMITS.get(name)
  if (nothing !== undefined) return nothing
  // What begins with a dash is no name of a commit, and could be taken for an option.
  if (/^-|[\p{C}\s]/u.test(name) || name === '') throw new InputFailure(`${quoted(name)} names no commit`)
  const found = await git(
    ['rev-parse', '--verify', '--quiet', '--end-of-options', `${name}^{commit}`],
    place,
    1024,
  )
  const id = found.stdout.toString('latin1').trim()
  if (found.code === 0 && /^[0-9a-f]{40,64}$/.test(id)) return id
  if (found.stderr.includes('not a git repository')) throw new InputFailure('this is no git repository')
  const reason = found.stderr === '' ? '' : ` (git: ${found.stderr})`
  throw new InputFailure(
    `${quoted(name)} is no commit of this clone${reason}: fetch it (GitHub: fetch-depth: 0, GitLab: GIT_DEPTH: 0)`,
  )
}

type Entry = {
  readonly mode: string
  readonly id: string
  /** Bytes; NaN of what is no blob. */
  readonly size: number
  /** From the root of the repository. */
  readonly path: string
}

/** @param paths as typed, from the current folder; none: the whole repository */
export async function gitTree(
  commit: string,
  paths: readonly string[],
  place: GitPlace,
  seen: (files: number) => void,
): Promise<FileTree> {
  const { entries, roots } = await listedPaths(commit, paths, place)
  const inOrder = entries.filter(({ mode, path }) => mode === SUBMODULE || isManifestName(path))
  const resolved = new Map<string, Entry | undefined>()
  for (const entry of inOrder) {
    if (entry.mode === LINK) resolved.set(entry.path, await linkedEntry(commit, entry, place))
  }
  const wanted = inOrder.flatMap((entry) => {
    const file = entry.mode === LINK ? resolved.get(entry.path) : entry
    return file !== undefined && isFile(file) ? [{ path: entry.path, file }] : []
  })
  const contents = await readBlobs(
    wanted.map(({ file }) => file),
    place,
    seen,
  )
  const unread: UnreadFile[] = inOrder.flatMap((entry) => notThere(entry, resolved))
  const files: TreeFile[] = []
  for (const { path, file } of wanted) {
    const bytes = contents.get(file.id)
    const one = { shown: path, within: path, content: file.id }
    if (bytes === undefined) unread.push(absent(one, tooLarge(file), 'keep manifests smaller'))
    else if (isLfsPointer(bytes)) unread.push(lfsPointer(one))
    else files.push({ ...one, bytes })
  }
  return {
    files,
    unread,
    roots,
    isOpenAbove: false,
    filesUnder: async (folder) => filesUnder(commit, folder, place),
  }
}

const LINK = '120000'
const SUBMODULE = '160000'
const FOLDER = '040000'

function isFile({ mode }: Entry): boolean {
  return mode !== LINK && mode !== SUBMODULE && mode !== FOLDER
}

function tooLarge({ size }: Entry): string {
  return `the file has ${size} bytes; at most ${MAX_FILE_BYTES} are read`
}

function notThere(
  { mode, path, id }: Entry,
  resolved: ReadonlyMap<string, Entry | undefined>,
): readonly UnreadFile[] {
  const file = { shown: path, within: path, content: id }
  if (mode === SUBMODULE) {
    const message = `this is a submodule (commit ${id.slice(0, 12)}): Argo CD reads it, this review does not have it`
    return [absent(file, message, 'review it in its own repository, or leave it out of the paths')]
  }
  const target = resolved.get(path)
  if (mode !== LINK || (target !== undefined && isFile(target))) return []
  const message = 'this is a link to something that is no file of this commit'
  return [absent(file, message, 'put the file itself here')]
}

type ListedPaths = { readonly entries: readonly Entry[]; readonly roots: readonly string[] }

async function listedPaths(commit: string, paths: readonly string[], place: GitPlace): Promise<ListedPaths> {
  // Of a whole repository nobody said that its root is what is applied.
  if (paths.length === 0) return { entries: await list(commit, ['--full-tree'], [], place), roots: [] }
  const prefix = await prefixOf(place)
  const full = paths.map((path) => fromRoot(path, prefix))
  if (full.includes('')) return { entries: await list(commit, ['--full-tree'], [], place), roots: [''] }
  return { entries: await list(commit, ['--full-tree'], full, place), roots: full }
}

/** The current folder from the root of the repository: `` or `deploy/modules`. */
async function prefixOf(place: GitPlace): Promise<string> {
  const answer = await git(['rev-parse', '--show-prefix'], place, 64 * 1024)
  return answer.code === 0 ? answer.stdout.toString('utf8').replace(/\/?\n$/, '') : ''
}

function fromRoot(path: string, prefix: string): string {
  const full = posix.normalize(posix.join(prefix, path)).replace(/\/+$/, '')
  if (full === '..' || full.startsWith('../') || posix.isAbsolute(path)) {
    throw new InputFailure(`${quoted(path)} is outside of the repository`)
  }
  return full === '.' ? '' : full
}

async function list(
  commit: string,
  flags: readonly string[],
  paths: readonly string[],
  place: GitPlace,
): Promise<readonly Entry[]> {
  const args = ['ls-tree', '-r', '-z', '-l', ...flags, commit, '--', ...paths]
  const answer = await git(args, place, MAX_TREE_BYTES)
  if (answer.code !== 0) throw new InputFailure(`git cannot list the commit: ${answer.stderr}`)
  const lines = answer.stdout.toString('utf8').split('\0')
  if (lines.length > MAX_ENTRIES)
    throw new InputFailure(`the commit has more than ${MAX_ENTRIES} files: name the paths`)
  return lines.flatMap((line) => {
    const match = /^(\d{6}) \w+ ([0-9a-f]+) +(\d+|-)\t([^]+)$/.exec(line)
    const [, mode, id, size, path] = match ?? []
    if (mode === undefined || id === undefined || path === undefined) return []
    return [{ mode, id, size: Number(size), path }]
  })
}

/** A link to a link to a link is as long as anybody makes them. */
const MAX_LINKS = 5

async function linkedEntry(commit: string, link: Entry, place: GitPlace): Promise<Entry | undefined> {
  let entry: Entry | undefined = link
  for (let hop = 0; entry?.mode === LINK; hop += 1) {
    if (hop === MAX_LINKS) return undefined
    const target = (await readBlobs([entry], place, () => undefined)).get(entry.id)?.toString('utf8') ?? ''
    const path = posix.normalize(posix.join(posix.dirname(entry.path), target))
    if (target === '' || posix.isAbsolute(target) || path === '..' || path.startsWith('../')) return undefined
    const found = await list(commit, ['--full-tree'], [path], place)
    entry = found.find((one) => one.path === path)
  }
  return entry
}

/** By object id; without those that are too large. One process for all of them. */
async function readBlobs(
  entries: readonly Entry[],
  place: GitPlace,
  seen: (files: number) => void,
): Promise<ReadonlyMap<string, Buffer>> {
  const sizes = new Map(
    entries.flatMap(({ id, size }) => (size <= MAX_FILE_BYTES ? [[id, size] as const] : [])),
  )
  const total = [...sizes.values()].reduce((sum, size) => sum + size, 0)
  if (sizes.size > MAX_FILES || total > MAX_TREE_BYTES) {
    throw new InputFailure(
      `there are ${sizes.size} manifests of ${total} bytes: name the paths that are applied`,
    )
  }
  if (sizes.size === 0) return new Map()
  const input = [...sizes.keys()].map((id) => `${id}\n`).join('')
  const answer = await git(['cat-file', '--batch'], place, total + sizes.size * 256, input)
  const contents = new Map<string, Buffer>()
  for (let at = 0; at < answer.stdout.length;) {
    const end = answer.stdout.indexOf(0x0a, at)
    const [id = '', type, size] = answer.stdout.toString('latin1', at, end).split(' ')
    if (end === -1 || type !== 'blob') break
    const from = end + 1
    contents.set(id, answer.stdout.subarray(from, from + Number(size)))
    at = from + Number(size) + 1
    seen(contents.size)
  }
  if (contents.size < sizes.size) {
    throw new InputFailure(
      `this clone does not have every file of the commit (git: ${answer.stderr || 'missing'}): fetch without --filter`,
    )
  }
  return contents
}

async function filesUnder(
  commit: string,
  folder: string,
  place: GitPlace,
): Promise<ReadonlyMap<string, Buffer>> {
  const entries = await list(commit, ['--full-tree'], folder === '' ? [] : [folder], place)
  const found: (readonly [string, Entry])[] = []
  for (const entry of entries) {
    const file = entry.mode === LINK ? await linkedEntry(commit, entry, place) : entry
    if (file !== undefined && isFile(file)) found.push([entry.path, file])
  }
  const contents = await readBlobs(
    found.map(([, file]) => file),
    place,
    () => undefined,
  )
  return new Map(
    found.flatMap(([path, { id }]) => {
      const bytes = contents.get(id)
      return bytes === undefined ? [] : [[path, bytes]]
    }),
  )
}
