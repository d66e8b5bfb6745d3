// Files that make Argo CD read a folder as something else than manifests: a chart, settings of its own, Jsonnet. What they make is
// not seen here, so that one which appears beside Modules would be a way around the review.
import { posix } from 'node:path'
import type { UnreadFile } from '#core/review/file_findings.ts'
import type { ReviewedTree } from '#core/review/review.ts'
import { isJsonnet } from './file_tree.ts'
import type { FileTree, TreeFile } from './file_tree.ts'
import { folderOf } from './kustomize.ts'

/** @param folders that Applications apply, with something in them that the rules are about */
export function withMakers(state: ReviewedTree, tree: FileTree, folders: readonly string[]): ReviewedTree {
  const makers = tree.files.filter(({ within }) => folders.includes(folderOf(within))).flatMap(makerIn)
  return { ...state, unread: [...state.unread, ...makers] }
}

function makerIn(file: TreeFile): readonly UnreadFile[] {
  const { shown, within, content } = file
  const about = { within, place: { file: shown, line: 1, column: 1 }, kind: 'unrendered' } as const
  if (isJsonnet(file)) {
    const message = 'Argo CD evaluates this Jsonnet and applies what comes out, which is not seen here'
    const wayOut = 'evaluate it in the job, and review what comes out'
    return [{ ...about, content, ifNew: 'warn', message, wayOut }]
  }
  const name = posix.basename(within)
  if (name === 'Chart.yaml') {
    const message =
      'with this file Argo CD takes the folder for a Helm chart and applies none of the manifests beside it'
    return [{ ...about, content: '', ifNew: 'deny', message, wayOut: 'keep charts in folders of their own' }]
  }
  if (!/^\.argocd-source.*\.yaml$/.test(name)) return []
  const message =
    'this file overrides how Argo CD makes the manifests of the folder, beside what the Application says'
  return [
    {
      ...about,
      content,
      ifNew: 'deny',
      message,
      wayOut: 'write it into a kustomization.yaml of the folder, which is rendered and reviewed',
    },
  ]
}
