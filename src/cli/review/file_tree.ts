// One state of the files, wherever it was read from.
import type { UnreadFile } from '#core/review/file_findings.ts'

export type TreeFile = {
  /** As people find it: the path in the repository, or as it was given. */
  readonly shown: string
  /** From the folder that is reviewed, with `/`. */
  readonly within: string
  readonly bytes: Buffer
  /** Equal for equal bytes. */
  readonly content: string
}

export type FileTree = {
  readonly files: readonly TreeFile[]
  readonly unread: readonly UnreadFile[]
  /** Folders (as in `within`) that were named; '' is the whole. */
  readonly roots: readonly string[]
  /** Folders above the one that is reviewed are there, too: `../base`. */
  readonly isOpenAbove: boolean
  /** Any file of the tree below a folder, manifests or not: what rendering may need. `within` -> its bytes. */
  readonly filesUnder: (folder: string) => Promise<ReadonlyMap<string, Buffer>>
}

/** kustomize reads a file without an ending, too, and Argo CD evaluates Jsonnet. */
export function isManifestName(path: string): boolean {
  return /\.(?:ya?ml|json|jsonnet)$|(?:^|\/)Kustomization$/i.test(path)
}

export function isJsonnet({ within }: Pick<TreeFile, 'within'>): boolean {
  return within.endsWith('.jsonnet')
}

export function absent(
  file: Pick<TreeFile, 'shown' | 'within' | 'content'>,
  message: string,
  wayOut: string,
): UnreadFile {
  const place = { file: file.shown, line: 1, column: 1 }
  return { within: file.within, place, kind: 'absent', ifNew: 'deny', message, wayOut, content: file.content }
}

export function isLfsPointer(bytes: Buffer): boolean {
  return (
    bytes.length < 1024 && bytes.toString('latin1').startsWith('version https://git-lfs.github.com/spec/')
  )
}
