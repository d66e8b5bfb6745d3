// A file, a folder or standard input as one state of the files.
import { createHash } from 'node:crypto'
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  realpathSync,
  statSync,
} from 'node:fs'
import type { Dirent } from 'node:fs'
import { basename, join, relative, resolve, sep } from 'node:path'
import type { UnreadFile } from '#core/review/file_findings.ts'
import type { CommandIo } from '../command.ts'
import { InputFailure } from '../input_failure.ts'
import { readInputBytes } from '../secret_input.ts'
import { shownFile } from '../shown_input.ts'
import { absent, isLfsPointer, isManifestName } from './file_tree.ts'
import type { FileTree, TreeFile } from './file_tree.ts'
import { MAX_ENTRIES, MAX_FILE_BYTES, MAX_FILES, MAX_FOLDERS_DEEP, MAX_TREE_BYTES } from './limits.ts'

/** @param label what a single file is called in `within`, so that both states of one have one name. Throws InputFailure. */
export async function folderTree(
  path: string,
  label: string,
  io: Pick<CommandIo, 'stdin' | 'cwd'>,
  seen: (files: number) => void,
): Promise<FileTree> {
  const root = resolve(io.cwd, path)
  if (path !== '-' && isFolder(root, path)) return guarded(path, () => readFolder(root, path, seen))
  const bytes = await readInputBytes(path, io, MAX_FILE_BYTES)
  const file = { shown: path === '-' ? 'stdin' : path, within: label, bytes, content: digest(bytes) }
  return { ...sorted([file], []), roots: [], isOpenAbove: false, filesUnder: async () => new Map() }
}

function isFolder(root: string, path: string): boolean {
  return guarded(path, () => statSync(root).isDirectory())
}

/** What the file system refuses is a mistake of whoever named it. */
function guarded<T>(path: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof InputFailure) throw error
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
    throw new InputFailure(`${shownFile(path) ?? 'the named file'} cannot be read (${reason})`, {
      cause: error,
    })
  }
}

function readFolder(root: string, path: string, seen: (files: number) => void): FileTree {
  const files: TreeFile[] = []
  const unread: UnreadFile[] = []
  let bytes = 0
  for (const { within, entry, file } of walk(root)) {
    if (!isManifestName(within)) continue
    const shown = join(path, within)
    const target = entry.isSymbolicLink() ? linkedFile(root, file) : file
    if (target === undefined) {
      const message = 'this is a link to a file that is not among those reviewed'
      unread.push(absent({ shown, within, content: 'link' }, message, 'put the file itself here'))
      continue
    }
    if (!entry.isFile() && !entry.isSymbolicLink()) continue
    const content = readUpTo(target, MAX_FILE_BYTES + 1)
    bytes += content.length
    if (files.length >= MAX_FILES || bytes > MAX_TREE_BYTES) throw tooMuch(path)
    const one = { shown, within, bytes: content, content: digest(content) }
    if (isLfsPointer(content)) unread.push(lfsPointer(one))
    else files.push(one)
    seen(files.length)
  }
  return {
    ...sorted(files, unread),
    roots: [''],
    isOpenAbove: true,
    filesUnder: async (folder) => filesUnder(root, folder),
  }
}

type Walked = { readonly within: string; readonly file: string; readonly entry: Dirent }

/** Every file and link below a folder, with `/`; folders that are links are not followed, as kubectl and Argo CD do. */
function* walk(root: string, below = '', budget = { left: MAX_ENTRIES }): Generator<Walked> {
  if (below.split('/').length > MAX_FOLDERS_DEEP) return
  const folder = join(root, below)
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if ((budget.left -= 1) < 0) throw tooMuch(folder)
    const within = below === '' ? entry.name : `${below}/${entry.name}`
    if (!entry.isDirectory()) yield { within, file: join(root, within), entry }
    else if (entry.name !== '.git') yield* walk(root, within, budget)
  }
}

function tooMuch(path: string): InputFailure {
  const shown = shownFile(path) ?? 'the folder'
  return new InputFailure(
    `${shown} holds more than ${MAX_FILES} manifests or ${MAX_TREE_BYTES} bytes of them: name the folder that is applied`,
  )
}

export function lfsPointer(file: Pick<TreeFile, 'shown' | 'within' | 'content'>): UnreadFile {
  const message = 'this is a Git LFS pointer: Argo CD reads what it points to, this review does not have it'
  return absent(file, message, 'keep manifests out of Git LFS')
}

/** What a link leads to, where that is a file below the same folder. */
function linkedFile(root: string, file: string): string | undefined {
  try {
    const target = realpathSync(file)
    const way = relative(realpathSync(root), target)
    const isInside = way !== '' && way !== '..' && !way.startsWith(`..${sep}`)
    return isInside && statSync(target).isFile() ? target : undefined
  } catch {
    // A link to nothing, or in a circle.
    return undefined
  }
}

function readUpTo(file: string, most: number): Buffer {
  const size = statSync(file).size
  if (size <= most) return readFileSync(file)
  const handle = openSync(file, 'r')
  try {
    const bytes = Buffer.alloc(most)
    return bytes.subarray(0, readSync(handle, bytes))
  } finally {
    closeSync(handle)
  }
}

function filesUnder(root: string, folder: string): ReadonlyMap<string, Buffer> {
  const files = new Map<string, Buffer>()
  let bytes = 0
  const start = resolve(root, folder)
  if (!existsSync(start) || !statSync(start).isDirectory()) return files
  for (const { within, entry, file } of walk(start)) {
    const target = entry.isSymbolicLink() ? linkedFile(start, file) : file
    if (target === undefined) continue
    const content = readUpTo(target, MAX_FILE_BYTES)
    bytes += content.length
    if (files.size >= MAX_FILES || bytes > MAX_TREE_BYTES) throw tooMuch(basename(start))
    files.set(folder === '' ? within : `${folder}/${within}`, content)
  }
  return files
}

function sorted(
  files: readonly TreeFile[],
  unread: readonly UnreadFile[],
): Pick<FileTree, 'files' | 'unread'> {
  return { files: files.toSorted((left, right) => (left.within < right.within ? -1 : 1)), unread }
}

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}
