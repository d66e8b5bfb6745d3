// The files beside the change: who asks, what was published, the cluster's policies, Argo CD's objects.
import type { KubeUser } from '#core/kube/kube_user.ts'
import type { LedgerEntry } from '#core/module/ledger.ts'
import { readLedgerLines } from '#core/module/ledger_lines.ts'
import type { NamedPolicy } from '#core/module/policy_choice.ts'
import { readModulePolicy } from '#core/module/read_module_policy.ts'
import { isFields, objectsIn } from '#core/review/reviewed_object.ts'
import type { ReviewedDocument } from '#core/review/reviewed_object.ts'
import { readReviewer } from '#core/review/reviewer.ts'
import { readYamlDocuments } from '#platform/config/yaml_document.ts'
import type { CommandIo } from '../command.ts'
import { InputFailure } from '../input_failure.ts'
import { readInput } from '../secret_input.ts'
import { documentReader } from './documents.ts'
import { folderTree } from './folder_tree.ts'
import { MAX_LEDGER_BYTES, MAX_USER_BYTES } from './limits.ts'

type Io = Pick<CommandIo, 'stdin' | 'cwd'>

/** JSON or YAML. Throws InputFailure. */
export async function readUserFile(file: string, io: Io): Promise<KubeUser> {
  const text = await readInput(file, io, MAX_USER_BYTES)
  const { documents, refusal } = readYamlDocuments(file, text, 'kubernetes')
  const [first] = documents
  const problem = refusal ?? first?.findings[0]
  if (first === undefined || problem !== undefined) {
    throw new InputFailure(`--user: ${nameOf(file)} is no JSON or YAML document`)
  }
  const user = readReviewer(first.document.data)
  if (!user.ok) throw new InputFailure(`--user: ${nameOf(file)}: ${user.denial}`)
  return user.value
}

export async function readLedgerFile(file: string, io: Io): Promise<readonly LedgerEntry[]> {
  const entries = readLedgerLines(await readInput(file, io, MAX_LEDGER_BYTES))
  if (!entries.ok) throw new InputFailure(`--ledger: ${nameOf(file)}: ${entries.denial}`)
  return entries.value
}

/** What is looked for beside the change. */
export type Around = { readonly flag: string; readonly what: string; readonly resources: readonly string[] }

export const POLICIES: Around = { flag: '--policy', what: 'ModulePolicy', resources: ['modulepolicies'] }
export const APPLICATIONS: Around = {
  flag: '--application',
  what: 'Application, ApplicationSet or AppProject',
  resources: ['applications', 'applicationsets', 'appprojects'],
}

export function hasAny(documents: readonly ReviewedDocument[], { resources }: Around): boolean {
  return documents.some((document) =>
    objectsIn(document, '').objects.some(({ resource }) => resources.includes(resource)),
  )
}

/**
 * Every document of files and folders. One that cannot be read is an InputFailure, and so is a file or folder without what it is
 * named for: without it the verdict is another one.
 */
export async function readAround(
  files: readonly string[],
  around: Around,
  io: Io,
): Promise<readonly ReviewedDocument[]> {
  const read = documentReader()
  const documents: ReviewedDocument[] = []
  for (const file of files) {
    const tree = await folderTree(file, 'stdin', io, () => undefined)
    const parts = tree.files.map(read)
    const [unread] = [...tree.unread, ...parts.flatMap((part) => part.unread)]
    if (unread !== undefined) {
      const { place, message } = unread
      throw new InputFailure(`${around.flag}: ${place.file}:${place.line}:${place.column}: ${message}`)
    }
    const found = parts.flatMap((part) => part.documents)
    if (!hasAny(found, around))
      throw new InputFailure(`${around.flag}: there is no ${around.what} in ${nameOf(file)}`)
    documents.push(...found)
  }
  return documents
}

export function policiesIn(documents: readonly ReviewedDocument[]): readonly NamedPolicy[] {
  return documents.filter(({ data }) => isFields(data) && data['kind'] === 'ModulePolicy').map(readPolicy)
}

function readPolicy({ data, placeOf }: ReviewedDocument): NamedPolicy {
  const policy = readModulePolicy(data)
  if (policy.ok) return policy.value
  const place = placeOf([])
  const at = place === undefined ? '' : `${place.file}:${place.line}:${place.column}: `
  throw new InputFailure(`--policy: ${at}${policy.denial}`)
}

function nameOf(file: string): string {
  return file === '-' ? 'standard input' : file
}
