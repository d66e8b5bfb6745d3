// Both states as documents: files taken apart, and folders with a kustomization as that renders them.
import { readApplication } from '#core/review/argo/application.ts'
import type { UnreadFile } from '#core/review/file_findings.ts'
import type { ReviewedTree } from '#core/review/review.ts'
import { objectsIn } from '#core/review/reviewed_object.ts'
import type { ReviewedDocument } from '#core/review/reviewed_object.ts'
import { renderedDocument } from '#core/review/rendered_document.ts'
import type { CommandIo } from '../command.ts'
import { documentReader } from './documents.ts'
import type { FileRead } from './documents.ts'
import type { FileTree, TreeFile } from './file_tree.ts'
import { folderOf, kustomizationOf, render } from './kustomize.ts'
import type { Rendering } from './kustomize.ts'

export type States = { readonly before: ReviewedTree; readonly after: ReviewedTree }

/** @param around documents beside the change, whose Applications say which folders are applied */
export async function readStates(
  before: FileTree,
  after: FileTree,
  around: readonly ReviewedDocument[],
  env: CommandIo['env'],
): Promise<States> {
  const read = documentReader()
  const raw = { before: rawState(before, read), after: rawState(after, read) }
  const applied = appliedFolders([...around, ...raw.before.documents, ...raw.after.documents])
  const roots = [...new Set([...before.roots, ...after.roots, ...applied])]
  let states: States = raw
  const rendered: string[] = []
  for (const root of roots) {
    if (rendered.some((outer) => isBelow(root, outer))) continue
    const made = { before: await renderState(before, root, env), after: await renderState(after, root, env) }
    if (made.before === undefined && made.after === undefined) continue
    rendered.push(root)
    states = withRendered(states, raw, root, made)
  }
  return { ...states, after: withNested(states.after, after, rendered) }
}

function rawState(tree: FileTree, read: (file: TreeFile) => FileRead): ReviewedTree {
  const reads = tree.files.map(read)
  return {
    documents: reads.flatMap(({ documents }) => documents),
    unread: [...tree.unread, ...reads.flatMap(({ unread }) => unread)],
  }
}

function appliedFolders(documents: readonly ReviewedDocument[]): readonly string[] {
  const objects = documents.flatMap((document) => objectsIn(document, '').objects)
  return objects.flatMap((object) => {
    if (object.resource !== 'applications') return []
    const application = readApplication(object)
    return application.ok ? application.value.sources.map(({ folder }) => folder) : []
  })
}

async function renderState(
  tree: FileTree,
  root: string,
  env: CommandIo['env'],
): Promise<Rendering | undefined> {
  const paths = tree.files.map(({ within }) => within)
  return kustomizationOf(paths, root) === undefined ? undefined : render(tree, root, env)
}

type Made = { readonly before: Rendering | undefined; readonly after: Rendering | undefined }

function withRendered(states: States, raw: States, root: string, made: Made): States {
  const renderings = [made.before, made.after].filter((rendering) => rendering !== undefined)
  const isWhole = renderings.every(({ kind }) => kind === 'rendered')
  return {
    before: oneState(states.before, raw.before, root, made.before, isWhole),
    after: oneState(states.after, raw.after, root, made.after, isWhole),
  }
}

/** Where one state cannot be rendered, files are compared with files. */
function oneState(
  state: ReviewedTree,
  raw: ReviewedTree,
  root: string,
  made: Rendering | undefined,
  isWhole: boolean,
): ReviewedTree {
  if (made === undefined) return state
  if (made.kind !== 'rendered') return { ...state, unread: [...state.unread, unrendered(made)] }
  if (!isWhole) return state
  const own = raw.documents.filter(({ within }) => isBelow(within, root))
  const place = { file: made.file, line: 1, column: 1 }
  const bytes = Buffer.from(made.text)
  const file = { shown: made.file, within: made.file, bytes, content: 'rendered' }
  const read = documentReader()(file)
  const documents = read.documents.map(({ data }) =>
    renderedDocument(data, own, { within: made.file, place }),
  )
  return {
    documents: [
      ...state.documents.filter((document) => !isBelow(document.within, root) || isAboutApplying(document)),
      ...documents,
    ],
    unread: [...state.unread, ...read.unread],
  }
}

/** An Application beside a kustomization is not applied by it, and says how it is. */
function isAboutApplying(document: ReviewedDocument): boolean {
  return objectsIn(document, '').objects.some(({ resource }) =>
    ['applications', 'applicationsets', 'appprojects'].includes(resource),
  )
}

function unrendered(rendering: Exclude<Rendering, { kind: 'rendered' }>): UnreadFile {
  const { file, kind, why } = rendering
  const place = { file, line: 1, column: 1 }
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
function withNested(state: ReviewedTree, tree: FileTree, rendered: readonly string[]): ReviewedTree {
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
    place: { file, line: 1, column: 1 },
    content: '',
    kind: 'unrendered',
    ifNew: 'notice',
    message: 'the files of this folder are reviewed one by one, without what the kustomization changes',
    wayOut: 'name this folder, and it is rendered',
  }))
  return { ...state, unread: [...state.unread, ...unread] }
}

function isBelow(path: string, folder: string): boolean {
  return folder === '' || path === folder || path.startsWith(`${folder}/`)
}
