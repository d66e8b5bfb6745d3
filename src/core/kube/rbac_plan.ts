// Role and binding for whoever a policy lets in, as data and as text: rbac.authorization.k8s.io/v1. The same request gives the
// same bytes, each line with the reason why it stands.
import { hash } from 'node:crypto'
import type { RbacNote } from './rbac_codes.ts'
import type { RbacSubject } from './rbac_subjects.ts'
import { printYaml, yamlMap } from './yaml_text.ts'
import type { YamlEntry, YamlMap } from './yaml_text.ts'

export type RbacRule = {
  readonly group: string
  readonly resources: readonly string[]
  readonly verbs: readonly string[]
}

export type RbacRequest = {
  readonly heading: string
  readonly subjects: readonly RbacSubject[]
  readonly whySubjects: string
  /** `undefined`: the whole cluster. */
  readonly namespace: string | undefined
  /** Of the objects that are printed. */
  readonly name: string
  readonly role:
    | { readonly kind: 'existing'; readonly clusterRole: string }
    | {
        readonly kind: 'made'
        readonly rules: readonly RbacRule[]
        readonly resourceNames: readonly string[]
      }
}

export const DEFAULT_RESOURCES = ['deployments.apps'] as const
/** `kubectl set image` reads and patches; `kubectl rollout status` lists and watches. */
export const DEFAULT_VERBS = ['get', 'list', 'watch', 'patch'] as const

const RESOURCE =
  /^(?<resource>\*|[a-z][a-z0-9-]*)(?:\.(?<group>[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?))?(?:\/(?<sub>\*|[a-z]+))?$/

/** `deployments.apps`, `pods/log`, `deployments.apps/scale`; `undefined` for anything else. */
export function parseResource(
  text: string,
): { readonly group: string; readonly resource: string } | undefined {
  const groups = RESOURCE.exec(text)?.groups
  if (groups?.['resource'] === undefined) return undefined
  const sub = groups['sub']
  return {
    group: groups['group'] ?? '',
    resource: sub === undefined ? groups['resource'] : `${groups['resource']}/${sub}`,
  }
}

/** One rule for each API group, in the order in which they are named. */
export function rulesOf(
  resources: readonly { readonly group: string; readonly resource: string }[],
  verbs: readonly string[],
): readonly RbacRule[] {
  const byGroup = new Map<string, string[]>()
  for (const { group, resource } of resources) {
    const list = byGroup.get(group) ?? []
    if (!list.includes(resource)) list.push(resource)
    byGroup.set(group, list)
  }
  return [...byGroup].map(([group, names]) => ({ group, resources: names, verbs: [...new Set(verbs)] }))
}

const MAX_NAME_LENGTH = 200

/**
 * A name that RBAC takes (a path segment) made of a policy's, which may be any text. One that has to be changed gets a piece of
 * its hash, so that `acme/shop` and `acme-shop` do not take each other's role.
 */
export function roleName(policy: string): string {
  const whole = `sallyport-${policy}`
  const name = whole.replaceAll(/[/%\s\p{C}]/gu, '-')
  if (name === whole && name.length <= MAX_NAME_LENGTH) return name
  const mark = `-${hash('sha256', policy, 'hex').slice(0, 8)}`
  return `${name.slice(0, MAX_NAME_LENGTH - mark.length)}${mark}`
}

const ESCALATING_VERBS: ReadonlySet<string> = new Set(['escalate', 'bind', 'impersonate'])
const NAMELESS_VERBS: ReadonlySet<string> = new Set(['create', 'deletecollection'])

/** What one would regret to have bound. */
export function roleNotes({ role, namespace }: RbacRequest): readonly RbacNote[] {
  if (role.kind === 'existing') {
    if (role.clusterRole !== 'cluster-admin') return []
    const where =
      namespace === undefined ? 'the cluster' : `namespace ${namespace}, its roles and bindings included`
    return [
      {
        code: 'role_is_all',
        message: `cluster-admin may do everything in ${where}: a job that is taken over is, too`,
        wayOut: 'name what the job does with --resource and --verb, or take edit',
      },
    ]
  }
  return role.rules.flatMap((rule) => [...ruleNotes(rule, role.resourceNames)])
}

function* ruleNotes(rule: RbacRule, resourceNames: readonly string[]): Generator<RbacNote> {
  const { resources, verbs, group } = rule
  if ([...resources, ...verbs, group].includes('*')) {
    yield {
      code: 'rule_wildcard',
      message: 'a * also stands for what a later release or a CRD adds',
      wayOut: 'name the resources and verbs',
    }
  }
  const escalating = verbs.filter((verb) => ESCALATING_VERBS.has(verb))
  if (escalating.length > 0) {
    yield {
      code: 'rule_escalates',
      message: `${escalating.join(', ')}: whoever has it can give themselves more`,
      wayOut: 'bind what is needed instead',
    }
  }
  if (group === '' && resources.some((resource) => resource === 'secrets' || resource === '*')) {
    yield {
      code: 'rule_reads_secrets',
      message: 'secrets hold the tokens of every ServiceAccount and application there',
      wayOut: 'name the one that is needed with --resource-name',
    }
  }
  const nameless = verbs.filter((verb) => NAMELESS_VERBS.has(verb))
  if (resourceNames.length > 0 && nameless.length > 0) {
    yield {
      code: 'rule_name_without_effect',
      message: `${nameless.join(', ')} with --resource-name allows nothing: the request has no name yet`,
      wayOut: 'leave the verb out, or the name',
    }
  }
}

const API_GROUP = 'rbac.authorization.k8s.io'
const WHY_ROLE_REF = 'Cannot be changed later: to point elsewhere, delete the binding and apply it anew.'

/** The role where one is made, and the binding; documents parted by `---`. */
export function printRbac(request: RbacRequest): string {
  const binding = printYaml(
    request.role.kind === 'existing' ? request.heading : bindingHeading(request),
    bindingOf(request),
  )
  if (request.role.kind === 'existing') return binding
  return `${printYaml(request.heading, roleOf(request, request.role))}---\n${binding}`
}

function bindingHeading({ namespace }: RbacRequest): string {
  return namespace === undefined
    ? 'Who has it, in every namespace.'
    : `Who has it, in namespace ${namespace} and nowhere else.`
}

function roleOf(request: RbacRequest, role: Extract<RbacRequest['role'], { kind: 'made' }>): YamlMap {
  const names: readonly (YamlEntry | undefined)[] =
    role.resourceNames.length === 0
      ? []
      : [
          {
            key: 'resourceNames',
            why: 'These objects alone; list and watch only with a field selector on metadata.name.',
            value: { kind: 'words', words: role.resourceNames },
          },
        ]
  const items = role.rules.map((rule) => ({
    value: yamlMap([
      { key: 'apiGroups', value: { kind: 'words', words: [rule.group] } },
      { key: 'resources', value: { kind: 'words', words: rule.resources } },
      ...names,
      { key: 'verbs', why: whyVerbs(rule), value: { kind: 'words', words: rule.verbs } },
    ]),
  }))
  return yamlMap([
    { key: 'apiVersion', value: `${API_GROUP}/v1` },
    { key: 'kind', value: request.namespace === undefined ? 'ClusterRole' : 'Role' },
    metadata(request),
    { key: 'rules', value: { kind: 'list', items } },
  ])
}

function whyVerbs({ group, resources, verbs }: RbacRule): string | undefined {
  if (group !== 'apps' || !resources.includes('deployments') || !verbs.includes('patch')) return undefined
  const waits = verbs.includes('watch') ? '; kubectl rollout status lists and watches' : ''
  return `kubectl set image reads and patches${waits}. Who can patch a Deployment can run anything as any ServiceAccount of the namespace.`
}

function bindingOf(request: RbacRequest): YamlMap {
  const { namespace, role, subjects, name } = request
  const items = subjects.map((subject) => ({
    value: yamlMap([
      { key: 'kind', value: subject.kind },
      { key: 'apiGroup', value: API_GROUP },
      { key: 'name', value: subject.name },
    ]),
  }))
  const kind = role.kind === 'existing' || namespace === undefined ? 'ClusterRole' : 'Role'
  return yamlMap([
    { key: 'apiVersion', value: `${API_GROUP}/v1` },
    { key: 'kind', value: namespace === undefined ? 'ClusterRoleBinding' : 'RoleBinding' },
    metadata(request),
    { key: 'subjects', why: request.whySubjects, value: { kind: 'list', items } },
    {
      key: 'roleRef',
      why: WHY_ROLE_REF,
      value: yamlMap([
        { key: 'apiGroup', value: API_GROUP },
        { key: 'kind', value: kind },
        { key: 'name', value: role.kind === 'existing' ? role.clusterRole : name },
      ]),
    },
  ])
}

function metadata({ name, namespace }: RbacRequest): YamlEntry {
  const entries = [
    { key: 'name', value: name },
    namespace === undefined ? undefined : { key: 'namespace', value: namespace },
  ]
  return { key: 'metadata', value: yamlMap(entries) }
}
