// ModulePolicies as they stand in files, in standard input or in a cluster. Whatever else stands there is passed over; a policy that
// cannot be read is told with its line.
import { readdirSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { isJsonObject } from '#core/claims.ts'
import { doSelectorsOverlap } from '#core/module/module_policy.ts'
import type { NamedPolicy } from '#core/module/policy_choice.ts'
import { readModulePolicy } from '#core/module/read_module_policy.ts'
import type { Place } from '#platform/config/finding.ts'
import { formatFinding } from '#platform/config/finding.ts'
import { readYamlDocuments } from '#platform/config/yaml_document.ts'
import type { YamlDocument, YamlPath } from '#platform/config/yaml_document.ts'
import type { CommandIo } from '../command.ts'
import { InputFailure } from '../input_failure.ts'
import { readInput } from '../secret_input.ts'
import { shownFile } from '../shown_input.ts'

/** A policy and, for messages, where it was read. */
type PlacedPolicy = { readonly policy: NamedPolicy; readonly at: string }

export type PolicyRead = {
  readonly policies: readonly PlacedPolicy[]
  /** For people, with file and line, and the way out as a line below. With any of them nothing is generated. */
  readonly problems: readonly string[]
}

const MAX_FILE_BYTES = 1024 * 1024

const NO_POLICY_WAY_OUT =
  '-f takes ModulePolicies of sallyport.dev/v1alpha1; manifests of Modules are judged by sallyport review'

/** Files, folders (their .yaml, .yml and .json, by name) and `-`. */
export async function readPolicyFiles(
  names: readonly string[],
  io: Pick<CommandIo, 'stdin' | 'cwd'>,
): Promise<PolicyRead> {
  const policies: PlacedPolicy[] = []
  const problems: string[] = []
  for (const name of names) {
    const before = policies.length + problems.length
    for (const file of filesOf(name, io.cwd)) {
      const read = await readPolicyFile(file, io)
      policies.push(...read.policies)
      problems.push(...read.problems)
    }
    if (policies.length + problems.length > before) continue
    problems.push(`${shownName(name)}: there is no ModulePolicy in it\n    -> ${NO_POLICY_WAY_OUT}`)
  }
  return { policies, problems: [...problems, ...conflicts(policies)] }
}

function shownName(name: string): string {
  return name === '-' ? 'stdin' : (shownFile(name) ?? 'the named file')
}

function filesOf(name: string, cwd: string): readonly string[] {
  if (name === '-') return [name]
  const path = resolve(cwd, name)
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return [name]
  const files = readdirSync(path).filter((file) => /\.(ya?ml|json)$/.test(file))
  return files.toSorted().map((file) => join(name, file))
}

async function readPolicyFile(file: string, io: Pick<CommandIo, 'stdin' | 'cwd'>): Promise<PolicyRead> {
  let text: string
  try {
    text = await readInput(file, io, MAX_FILE_BYTES)
  } catch (error) {
    if (!(error instanceof InputFailure)) throw error
    return { policies: [], problems: [error.message] }
  }
  const { documents, refusal } = readYamlDocuments(shownName(file), text, 'kubernetes')
  if (refusal !== undefined) return { policies: [], problems: [formatFinding(refusal)] }
  const reads = documents.map(({ document, findings }) => {
    if (findings.length > 0) return { policies: [], problems: findings.map(formatFinding) }
    return policiesIn(document.data, [], document)
  })
  return {
    policies: reads.flatMap((read) => read.policies),
    problems: reads.flatMap((read) => read.problems),
  }
}

/** `kubectl get -o yaml` prints a List. */
function policiesIn(data: unknown, path: YamlPath, document: YamlDocument): PolicyRead {
  if (!isJsonObject(data)) return { policies: [], problems: [] }
  const { items } = data
  if (Array.isArray(items)) {
    const reads = items.map((item: unknown, index) => policiesIn(item, [...path, 'items', index], document))
    return {
      policies: reads.flatMap((read) => read.policies),
      problems: reads.flatMap((read) => read.problems),
    }
  }
  if (data['kind'] !== 'ModulePolicy') return { policies: [], problems: [] }
  const read = readModulePolicy(data)
  if (!read.ok) {
    const place = document.placeOf([...path, ...pathIn(read.denial)])
    return { policies: [], problems: [`${placeText(place)}${read.denial}`] }
  }
  const at = placeText(document.placeOf(path))
  if (read.value.name !== '') return { policies: [{ policy: read.value, at }], problems: [] }
  return { policies: [], problems: [`${at}this ModulePolicy has no metadata.name`] }
}

function placeText(place: Place | undefined): string {
  return place === undefined ? '' : `${place.file}:${place.line}:${place.column}: `
}

/** `spec.exceptions[0].until is not ...`: the field that a sentence begins with. */
function pathIn(sentence: string): YamlPath {
  const [field = ''] = sentence.split(' ')
  if (!/^[a-z][A-Za-z]*([.[]|$)/.test(field)) return []
  const parts = field.match(/[^.[\]]+/g) ?? []
  return parts.map((part) => (/^[0-9]+$/.test(part) ? Number(part) : part))
}

/** As a cluster lists them. */
export function readPolicyList(items: readonly unknown[]): PolicyRead {
  const policies: PlacedPolicy[] = []
  const problems: string[] = []
  for (const item of items) {
    const read = readModulePolicy(item)
    if (read.ok) policies.push({ policy: read.value, at: '' })
    else problems.push(`a ModulePolicy of the cluster cannot be read: ${read.denial}`)
  }
  return { policies, problems: [...problems, ...conflicts(policies)] }
}

/** Two that cover one Module, or have one name: what would hold is not said. */
function conflicts(policies: readonly PlacedPolicy[]): readonly string[] {
  return policies.flatMap(({ policy, at }, index) =>
    policies.slice(0, index).flatMap((other) => {
      if (other.policy.name === policy.name) return [`${at}a second ModulePolicy is called ${policy.name}`]
      if (!doSelectorsOverlap(other.policy.spec.selector, policy.spec.selector)) return []
      return [
        `${at}ModulePolicy ${policy.name} and ${other.policy.name} cover the same Modules; a cluster refuses the second`,
      ]
    }),
  )
}
