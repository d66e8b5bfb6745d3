// Kustomizations that are there and not rendered: why, and what that means for the review.
import type { UnreadFile } from '#core/review/file_findings.ts'
import type { ReviewedTree } from '#core/review/review.ts'
import type { FileTree } from './file_tree.ts'
import { folderOf, kustomizationOf } from './kustomize.ts'
import type { Rendering } from './kustomize.ts'

export function unrendered(rendering: Exclude<Rendering, { kind: 'rendered' }>, tree: FileTree): UnreadFile {
  const { file, kind, why } = rendering
  const place = { file: shownIn(tree, file), line: 1, column: 1 }
  const about = { within: file, place, content: '', kind: 'unrendered' } as const
  switch (kind) {
    case 'no_kubectl':
      return {
        ...about,
        ifNew: 'warn',
        message: `this kustomization is not rendered (${why}): its files are reviewed one by one, without what it changes`,
        wayOut: 'put kubectl on the PATH of the job',
      }
    case 'refused':
      return {
        ...about,
        ifNew: 'deny',
        message: `this kustomization is not rendered, since a review fetches nothing: ${why}`,
        wayOut: 'keep what it names in this repository, or render it in the job and review what comes out',
      }
    case 'failed':
      return {
        ...about,
        ifNew: 'deny',
        message: `kubectl kustomize refuses this kustomization: ${why}`,
        wayOut: 'see kubectl kustomize for this folder',
      }
  }
}

/** Kustomizations in folders that nobody named. */
export function withNested(state: ReviewedTree, tree: FileTree, rendered: readonly string[]): ReviewedTree {
  const folders = new Set(state.documents.map(({ within }) => folderOf(within)))
  const paths = tree.files.map(({ within }) => within)
  const nested = paths.filter((path) => {
    const folder = folderOf(path)
    return (
      folders.has(folder) &&
      kustomizationOf([path], folder) === path &&
      !rendered.some((outer) => isBelow(folder, outer))
    )
  })
  const unread = nested.map((file): UnreadFile => ({
    within: file,
    place: { file: shownIn(tree, file), line: 1, column: 1 },
    content: '',
    kind: 'unrendered',
    ifNew: 'notice',
    message: 'the files of this folder are reviewed one by one, without what the kustomization changes',
    wayOut: 'name this folder, and it is rendered',
  }))
  return { ...state, unread: [...state.unread, ...unread] }
}

/** As people find the file. */
export function shownIn({ files }: FileTree, within: string): string {
  return files.find((file) => file.within === within)?.shown ?? within
}

export function isBelow(path: string, folder: string): boolean {
  return folder === '' || path === folder || path.startsWith(`${folder}/`)
}
