// The ModulePolicies as they are stored. One that cannot be read is no hole: what it selects, as far as that can be read, and
// everything else, is held to the strictest that there is until somebody mends it.
import { isJsonObject } from '#core/claims.ts'
import type { JsonObject, JsonValue } from '#core/claims.ts'
import type { Identities, ModuleSelector } from '#core/module/module_policy.ts'
import type { NamedPolicy } from '#core/module/policy_choice.ts'
import { readModulePolicy } from '#core/module/read_module_policy.ts'

export type StoredPolicy = NamedPolicy & {
  /** Why it cannot be read. */
  readonly problem: string | undefined
}

export function storedPolicy(object: JsonObject, name: string): StoredPolicy {
  const read = readModulePolicy(object)
  if (read.ok) return { name, spec: read.value.spec, problem: undefined }
  return { ...closedPolicy(object, name), problem: read.denial }
}

const NOBODY: Identities = {
  controller: { users: [], groups: [] },
  gitops: { users: [], groups: [] },
  importer: { users: [], groups: [] },
  human: { users: [], groups: [] },
}

/** Nothing that was published changes, and nobody publishes: the source that may has blanks, which none has. */
function closedPolicy(object: JsonObject, name: string): NamedPolicy {
  return {
    name,
    spec: {
      selector: selectorOf(object),
      immutability: 'required',
      publishers: [{ source: `nobody, since the ModulePolicy ${name} cannot be read`, ids: [], refs: [] }],
      identities: NOBODY,
      ordering: 'free',
      pins: 'optional',
      exceptions: [],
      modes: {},
    },
  }
}

/** Everything, where the selector itself is not as it should be. */
function selectorOf({ spec }: JsonObject): ModuleSelector {
  const everything = { namespaces: [], labels: new Map<string, string>() }
  const selector = isJsonObject(spec) ? spec['selector'] : undefined
  if (!isJsonObject(selector)) return everything
  const { namespaces = [], matchLabels = {} } = selector
  if (!isTexts(namespaces) || !isJsonObject(matchLabels)) return everything
  const labels = Object.entries(matchLabels)
  const isPlain = labels.every((pair): pair is [string, string] => typeof pair[1] === 'string')
  return isPlain ? { namespaces, labels: new Map(labels) } : everything
}

function isTexts(value: JsonValue): value is readonly string[] {
  return Array.isArray(value) && value.every((text) => typeof text === 'string')
}
