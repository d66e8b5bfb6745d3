// An AuthenticationConfiguration as keys of another document, which a tool writes out as the file: Helm values and the like
// under a telling name, KubeAuthenticationConfig of Talos 1.14, the variables of kubespray 2.31.
import { AUTHENTICATION_API_GROUP, AUTHENTICATION_KIND } from '#core/kube/authentication_configuration.ts'
import type { YamlPath } from '#platform/config/yaml_document.ts'

type Keys = Readonly<Record<string, unknown>>

export type ToolDocument = {
  /** What the tool makes of it; without apiVersion where the tool chooses one. */
  readonly data: Keys
  /** For people: the path of the key under which it stands. */
  readonly at: YamlPath
  /** Where a key of `data` stands in the document around it. */
  readonly pathOf: (keys: YamlPath) => YamlPath
}

/** Keys under which tools take the document without apiVersion and kind. */
const STRUCTURED_NAME = /^(?:structured)?authentication(?:config(?:uration)?)?$/i
const TALOS_KIND = 'KubeAuthenticationConfig'
const KUBESPRAY = 'kube_apiserver_authentication_config_'
const MEMBERS = ['jwt', 'anonymous'] as const

/** What stands at `path`, if it is one. */
export function toolDocument(value: Keys, path: YamlPath): ToolDocument | undefined {
  const { configuration } = value
  if (value['kind'] === TALOS_KIND && isRecord(configuration)) {
    return under([...path, 'configuration'], configuration)
  }
  if (path.length > 0 && isStructured(value, path)) return under(path, value)
  return kubespray(value, path)
}

function under(path: YamlPath, value: Keys): ToolDocument {
  return { data: { kind: AUTHENTICATION_KIND, ...value }, at: path, pathOf: (keys) => [...path, ...keys] }
}

function kubespray(value: Keys, path: YamlPath): ToolDocument | undefined {
  const first = MEMBERS.find((member) => `${KUBESPRAY}${member}` in value)
  if (first === undefined) return undefined
  const members = MEMBERS.map((member) => [member, value[`${KUBESPRAY}${member}`]] as const)
  return {
    data: {
      kind: AUTHENTICATION_KIND,
      ...Object.fromEntries(members.filter(([, member]) => !isNothing(member))),
    },
    at: [...path, `${KUBESPRAY}${first}`],
    pathOf: ([member, ...rest]) =>
      member === undefined ? [...path, `${KUBESPRAY}${first}`] : [...path, `${KUBESPRAY}${member}`, ...rest],
  }
}

export function isConfiguration(data: unknown): boolean {
  if (!isRecord(data)) return false
  const { apiVersion, kind } = data
  if (kind === AUTHENTICATION_KIND) return true
  return typeof apiVersion === 'string' && apiVersion.startsWith(`${AUTHENTICATION_API_GROUP}/`)
}

function isStructured(value: Keys, path: YamlPath): boolean {
  if (isConfiguration(value)) return true
  const name = path.at(-1)
  const isNamed = typeof name === 'string' && STRUCTURED_NAME.test(name)
  return isNamed && (Array.isArray(value['jwt']) || isRecord(value['anonymous']))
}

export function isNothing(data: unknown): boolean {
  return data === null || data === undefined
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
