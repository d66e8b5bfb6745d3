// ValidatingAdmissionPolicies and their bindings (admissionregistration.k8s.io/v1, Kubernetes 1.34 and later) for the rules that need no
// ledger. A policy of ours becomes one of the cluster's for each kind of object and each mode, since a binding has one action.
import { hash } from 'node:crypto'
import type { JsonObject } from '#core/claims.ts'
import { modeOf } from '#core/module/judge_change.ts'
import type { ModulePolicySpec, ModuleSelector } from '#core/module/module_policy.ts'
import type { NamedPolicy } from '#core/module/policy_choice.ts'
import type { RuleId } from '#core/module/rule_id.ts'
import type { Mode } from '#core/module/verdict.ts'
import { actorVariables } from './actor_variables.ts'
import { anyOf, celList, celText, variablesRead } from './cel_text.ts'
import type { Cel, Variable } from './cel_text.ts'
import type { Check, ResourceChecks } from './check.ts'
import { moduleFacts } from './module_facts.ts'
import { settingChecks, settingVariables } from './module_setting_checks.ts'
import { VERSION_LIST } from './version_list.ts'
import { versionChecks, versionVariables } from './version_list_checks.ts'

/** What each policy covers, and what nothing covers: in the order of the policies, the rest last. */
export function admissionPolicies(policies: readonly NamedPolicy[]): readonly JsonObject[] {
  const covers = policies.map((policy) => coverOf(policy))
  const objects = [...covers, defaultCover(policies)].flatMap((cover) =>
    resourcesUnder(cover.spec).flatMap((resource) => policiesOf(cover, resource)),
  )
  return objects
}

/** What a cluster's policies are made for: one ModulePolicy, or all that none selects. */
type Cover = {
  /** `policy-` and its name, or `default`. */
  readonly name: string
  readonly spec: ModulePolicySpec | undefined
  readonly namespaces: readonly string[]
  readonly conditions: readonly { readonly name: string; readonly expression: Cel }[]
}

/** The stored object decides: a label that this request takes away takes nothing away. */
const LABELS = "(request.operation == 'CREATE' ? object : oldObject).metadata.?labels.orValue({})"

function coverOf({ name, spec }: NamedPolicy): Cover {
  const labels = hasLabels(spec.selector)
  return {
    name: `policy-${name}`,
    spec,
    namespaces: spec.selector.namespaces,
    conditions: labels === undefined ? [] : [{ name: 'selected', expression: labels }],
  }
}

function defaultCover(policies: readonly NamedPolicy[]): Cover {
  const selected = policies.map(({ spec }) => isSelectedBy(spec.selector))
  return {
    name: 'default',
    spec: undefined,
    namespaces: [],
    conditions: selected.length === 0 ? [] : [{ name: 'not-selected', expression: `!${anyOf(selected)}` }],
  }
}

function isSelectedBy(selector: ModuleSelector): Cel {
  const { namespaces } = selector
  const inNamespace = namespaces.length === 0 ? [] : [`request.namespace in ${celList(namespaces)}`]
  const labels = hasLabels(selector)
  const parts = [...inNamespace, ...(labels === undefined ? [] : [labels])]
  return parts.length === 0 ? '(true)' : `(${parts.join(' && ')})`
}

function hasLabels({ labels }: ModuleSelector): Cel | undefined {
  if (labels.size === 0) return undefined
  return [...labels]
    .map(([key, value]) => `${LABELS}[?${celText(key)}] == optional.of(${celText(value)})`)
    .join(' && ')
}

function resourcesUnder(spec: ModulePolicySpec | undefined): readonly ResourceChecks[] {
  const isRequired = spec?.immutability === 'required'
  const ordering = spec?.ordering ?? 'free'
  const labels = spec?.selector.labels ?? new Map<string, string>()
  return [
    {
      name: 'modules',
      apiGroup: 'opendepot.defdev.io',
      resources: ['modules'],
      operations: ['CREATE', 'UPDATE', 'DELETE'],
      variables: [
        ...actorVariables(spec?.identities),
        ...VERSION_LIST,
        ...moduleFacts(isRequired),
        ...versionVariables(ordering),
        ...settingVariables(),
      ],
      checks: [...versionChecks(ordering), ...settingChecks(isRequired, labels)],
    },
  ]
}

const ACTIONS: Readonly<Record<Mode, readonly string[]>> = {
  enforce: ['Deny', 'Audit'],
  warn: ['Warn', 'Audit'],
  audit: ['Audit'],
}

function policiesOf(cover: Cover, resource: ResourceChecks): readonly JsonObject[] {
  const modes: readonly Mode[] = ['enforce', 'warn', 'audit']
  return modes.flatMap((mode) => {
    const checks = resource.checks.filter((check) => effectOf(check, cover.spec) === mode)
    if (checks.length === 0) return []
    const name = objectName(cover.name, resource.name, mode)
    return [policyObject(name, cover, resource, checks, mode), bindingObject(name, cover, mode)]
  })
}

/** A notice is never enforced, whatever the rule's mode. */
function effectOf({ rule, kind }: Check, spec: ModulePolicySpec | undefined): Mode {
  const mode = modeOf(rule, spec)
  return kind === 'notice' && mode === 'enforce' ? 'warn' : mode
}

const MAX_NAME = 200

function objectName(cover: string, resource: string, mode: Mode): string {
  const name = `sallyport-${cover}-${resource}-${mode}`
  if (name.length <= MAX_NAME) return name
  const mark = hash('sha256', cover, 'hex').slice(0, 12)
  return `sallyport-${cover.slice(0, 100)}-${mark}-${resource}-${mode}`
}

const LABEL_OF_OURS = { 'app.kubernetes.io/managed-by': 'sallyport' }

function policyObject(
  name: string,
  cover: Cover,
  resource: ResourceChecks,
  checks: readonly Check[],
  mode: Mode,
): JsonObject {
  const validations = mode === 'enforce' ? denials(checks) : tellings(checks)
  const variables = [...resource.variables, ...checkVariables(checks, cover.spec), ...sums(checks)]
  const auditAnnotations = [
    { key: 'publisher', valueExpression: PUBLISHER },
    {
      key: 'rule',
      valueExpression: "variables.problems.map(problem, problem.split(':')[0]).distinct().join(',')",
    },
  ]
  const read = variablesRead(variables, [
    ...validations.flatMap(({ expression, messageExpression }) => [expression, messageExpression]),
    ...auditAnnotations.map(({ valueExpression }) => valueExpression),
  ])
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicy',
    metadata: { name, labels: LABEL_OF_OURS },
    spec: {
      failurePolicy: 'Fail',
      matchConstraints: {
        resourceRules: [
          {
            apiGroups: [resource.apiGroup],
            apiVersions: ['v1alpha1'],
            resources: resource.resources,
            operations: resource.operations,
          },
        ],
      },
      ...(cover.conditions.length === 0 ? {} : { matchConditions: cover.conditions }),
      variables: read.map(({ name: variable, expression }) => ({ name: variable, expression })),
      validations,
      auditAnnotations,
    },
  }
}

const PUBLISHER = `request.userInfo.?extra[?'sallyport.dev/source'].orValue([]).size() == 1 && variables.isFromToken
? request.userInfo.extra['sallyport.dev/source'][0] : request.userInfo.username`

type Validation = {
  readonly expression: Cel
  readonly message: string
  readonly messageExpression: Cel
  readonly reason: 'Forbidden' | 'Invalid'
}

function checkVariables(checks: readonly Check[], spec: ModulePolicySpec | undefined): readonly Variable[] {
  return checks.map(({ name, problems, rule }) => ({
    name,
    expression: exceptExcepted(problems, rule, spec),
  }))
}

/** What an exception lets through until a day is for the webhook, which knows the day. */
function exceptExcepted(problems: Cel, rule: RuleId, spec: ModulePolicySpec | undefined): Cel {
  const modules = (spec?.exceptions ?? []).flatMap(({ rules, modules: names }) =>
    rules.includes(rule) ? names : [],
  )
  if (modules.length === 0) return problems
  const key = "request.namespace + '/' + (request.operation == 'CREATE' ? object : oldObject).metadata.name"
  return `${key} in ${celList([...new Set(modules)].toSorted())} ? [] : (${problems})`
}

function sumOf(checks: readonly Check[]): Cel {
  return checks.length === 0 ? '[]' : checks.map(({ name }) => `variables.${name}`).join(' + ')
}

function sums(checks: readonly Check[]): readonly Variable[] {
  const standing = checks.filter(({ unless }) => unless === undefined)
  return [
    { name: 'forbidden', expression: sumOf(standing.filter(({ kind }) => kind === 'forbidden')) },
    { name: 'invalid', expression: sumOf(standing.filter(({ kind }) => kind !== 'forbidden')) },
    { name: 'problems', expression: 'variables.forbidden + variables.invalid' },
    {
      name: 'message',
      expression: `variables.problems.size() < 2 ? variables.problems.join('') :
variables.problems.transformList(index, problem, '(' + string(index + 1) + ') ' + problem).join(' ')`,
    },
  ]
}

/** kube-apiserver takes no message above 5 KiB, and says the expression then. */
function cut(text: Cel): Cel {
  return `bytes(${text}).size() <= 5000 ? ${text} : ${text}.substring(0, 1200) + '...'`
}

/** Nobody reads the second denial, so one names every problem: 422 where all of them are malformation. */
function denials(checks: readonly Check[]): readonly Validation[] {
  const standing = checks.filter(({ unless }) => unless === undefined)
  return [
    ...checks.flatMap((check) => glass(check)),
    ...(standing.some(({ kind }) => kind === 'forbidden')
      ? [validation('variables.forbidden.size() == 0', cut('variables.message'), 'Forbidden', standing)]
      : []),
    ...(standing.some(({ kind }) => kind === 'invalid')
      ? [
          validation(
            'variables.invalid.size() == 0 || variables.forbidden.size() > 0',
            cut('variables.message'),
            'Invalid',
            standing,
          ),
        ]
      : []),
  ]
}

function glass(check: Check): readonly Validation[] {
  if (check.unless === undefined) return []
  const list = `variables.${check.name}`
  return [validation(`${list}.size() == 0 || ${check.unless}`, `${list}.join(' ')`, 'Forbidden', [check])]
}

/** A warning for all that is told, and one for each glass that would not break. */
function tellings(checks: readonly Check[]): readonly Validation[] {
  return [
    ...checks.flatMap((check) => glass(check)),
    validation('variables.problems.size() == 0', cut('variables.message'), 'Forbidden', checks),
  ]
}

function validation(
  expression: Cel,
  messageExpression: Cel,
  reason: Validation['reason'],
  checks: readonly Check[],
): Validation {
  const rules = [...new Set(checks.map(({ rule }) => rule))]
  const message = `${rules.join(', ')}: denied, and what was found makes no message`
  return { expression, message, messageExpression, reason }
}

function bindingObject(name: string, { namespaces }: Cover, mode: Mode): JsonObject {
  const namespaceSelector = {
    matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'In', values: namespaces }],
  }
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata: { name, labels: LABEL_OF_OURS },
    spec: {
      policyName: name,
      validationActions: ACTIONS[mode],
      ...(namespaces.length === 0 ? {} : { matchResources: { namespaceSelector } }),
    },
  }
}
