// Both states as documents: files taken apart, and folders with a kustomization as that renders them.
import { readApplication } from '#core/review/argo/application.ts'
import type { ReviewedTree } from '#core/review/review.ts'
import { objectsIn } from '#core/review/reviewed_object.ts'
import type { ReviewedDocument } from '#core/review/reviewed_object.ts'
import { renderedDocument } from '#core/review/rendered_document.ts'
import type { CommandIo } from '../command.ts'
import { APPLICATIONS, hasAny } from './context_files.ts'
import { documentReader } from './documents.ts'
import type { FileRead } from './documents.ts'
import { isJsonnet } from './file_tree.ts'
import type { FileTree, TreeFile } from './file_tree.ts'
import { withMakers } from './makers.ts'
import { isBelow, shownIn, unrendered, withNested } from './unrendered.ts'
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
    states = withRendered(states, raw, { before, after }, made)
  }
  const objects = [...raw.before.documents, ...raw.after.documents]
  const folders = applied.filter((folder) => objects.some(({ within }) => folderOf(within) === folder))
  return {
    before: withMakers(states.before, before, folders),
    after: withNested(withMakers(states.after, after, folders), after, rendered),
  }
}

function rawState(tree: FileTree, read: (file: TreeFile) => FileRead): ReviewedTree {
  const reads = tree.files.filter((file) => !isJsonnet(file)).map(read)
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

type Trees = { readonly before: FileTree; readonly after: FileTree }
type Made = { readonly before: Rendering | undefined; readonly after: Rendering | undefined }

function withRendered(states: States, raw: States, trees: Trees, made: Made): States {
  const renderings = [made.before, made.after].filter((rendering) => rendering !== undefined)
  const isWhole = renderings.every(({ kind }) => kind === 'rendered')
  return {
    before: oneState(states.before, raw.before, trees.before, made.before, isWhole),
    after: oneState(states.after, raw.after, trees.after, made.after, isWhole),
  }
}

/** Where one state cannot be rendered, files are compared with files. */
function oneState(
  state: ReviewedTree,
  raw: ReviewedTree,
  tree: FileTree,
  made: Rendering | undefined,
  isWhole: boolean,
): ReviewedTree {
  if (made === undefined) return state
  if (made.kind !== 'rendered') return { ...state, unread: [...state.unread, unrendered(made, tree)] }
  if (!isWhole) return state
  const isUsed = ({ within }: ReviewedDocument): boolean =>
    made.folders.some((folder) => isBelow(within, folder))
  const own = raw.documents.filter(isUsed)
  const shown = shownIn(tree, made.file)
  const file = { shown, within: made.file, bytes: Buffer.from(made.text), content: 'rendered' }
  const read = documentReader()(file)
  const kustomization = { within: made.file, place: { file: shown, line: 1, column: 1 } }
  const documents = read.documents.map(({ data }) => renderedDocument(data, own, kustomization))
  const others = state.documents.filter((document) => !isUsed(document) || isAboutApplying(document))
  return { documents: [...others, ...documents], unread: [...state.unread, ...read.unread] }
}

/** An Application beside a kustomization is not applied by it, and says how it is. */
function isAboutApplying(document: ReviewedDocument): boolean {
  return hasAny([document], APPLICATIONS)
}
