// ValidatingAdmissionPolicies and their bindings (admissionregistration.k8s.io/v1, Kubernetes 1.34 and later) for the rules that need no
// ledger. A policy of ours becomes one of the cluster's for each kind of object and each mode, since a binding has one action.
import { hash } from 'node:crypto'
import type { JsonObject } from '#core/claims.ts'
import { modeOf } from '#core/module/rule_mode.ts'
import type { ModulePolicySpec, ModuleSelector } from '#core/module/module_policy.ts'
import type { NamedPolicy } from '#core/module/policy_choice.ts'
import type { Mode } from '#core/module/verdict.ts'
import { actorVariables } from './actor_variables.ts'
import { allOf, celList, celText, variablesRead, written } from './cel_text.ts'
import type { Cel, Variable } from './cel_text.ts'
import type { Check, ResourceChecks } from './check.ts'
import { guardedResources } from './guard_checks.ts'
import type { Guarded, GuardedResource } from './guard_checks.ts'
import { ledgerResource, resourcesUnder, VERSIONS } from './judged_resources.ts'
import { loosestOf, sharingNamespaces } from './loosest_policy.ts'

export type AdmissionPolicyOptions = {
  /** Usernames that write the ledger. */
  readonly ledgerWriters: readonly string[]
  /** What guards the webhook itself; `undefined`: nothing does. */
  readonly guard: Guarded | undefined
}

/** What each policy covers, what none covers, the ledger and the guard, in this order. */
export function admissionPolicies(
  policies: readonly NamedPolicy[],
  { ledgerWriters, guard }: AdmissionPolicyOptions,
): readonly JsonObject[] {
  const own = policies.flatMap((policy) =>
    resourcesUnder(policy.spec)
      .filter((resource) => !isOfAnotherLabel(resource, policy))
      .flatMap((resource) => policiesOf(() => coverOf(policy, resource), resource)),
  )
  const rest = resourcesUnder(undefined, policies).flatMap((resource) =>
    policiesOf((mode) => defaultCover(policies, resource, mode), resource),
  )
  const ledger = ledgerResource(ledgerWriters)
  const guarded = guard === undefined ? [] : guardedResources(guard)
  return [
    ...own,
    ...versionsUnderLabels(policies),
    ...rest,
    ...policiesOf(() => coverOfAll('ledger', []), ledger),
    ...guarded.flatMap((resource) => policiesOf(() => guardCover(resource), resource)),
  ]
}

/** A Version does not show the labels of its Module, and its own nobody guards. */
function isOfAnotherLabel({ name }: ResourceChecks, { spec }: NamedPolicy): boolean {
  return name === VERSIONS && spec.selector.labels.size > 0
}

/** Where labels of their Modules decide, Versions are held as the loosest of what may cover them holds. */
function versionsUnderLabels(policies: readonly NamedPolicy[]): readonly JsonObject[] {
  const byLabels = policies.filter(({ spec }) => spec.selector.labels.size > 0)
  return sharingNamespaces(byLabels).flatMap(([first, ...others]) => {
    const spec = loosestOf([first.spec, ...others.map((other) => other.spec)])
    const { namespaces } = spec.selector
    const cover: Cover = { name: `labelled-${first.name}`, spec, namespaces, conditions: [] }
    return resourcesUnder(spec)
      .filter(({ name }) => name === VERSIONS)
      .flatMap((resource) => policiesOf(() => cover, resource))
  })
}

/** What a cluster's policies are made for: one ModulePolicy, all that none selects, or single objects. */
type Cover = {
  /** `policy-` and its name, `labelled-` and the name of the first of several, or `default`. */
  readonly name: string
  readonly spec: ModulePolicySpec | undefined
  readonly namespaces: readonly string[]
  readonly conditions: readonly Condition[]
}

type Condition = { readonly name: string; readonly expression: Cel }

/** The stored object decides: a label that this request takes away takes nothing away. */
const LABELS = "(request.operation == 'CREATE' ? object : oldObject).metadata.?labels.orValue({})"

function coverOf({ name, spec }: NamedPolicy, { selectedBy }: ResourceChecks): Cover {
  const labels = selectedBy === 'namespace' ? undefined : hasLabels(spec.selector)
  const conditions = labels === undefined ? [] : [{ name: 'selected', expression: labels }]
  return { name: `policy-${name}`, spec, namespaces: spec.selector.namespaces, conditions }
}

/** What no policy may cover: labels of another object are not seen, so what they could select is left out. */
function defaultCover(policies: readonly NamedPolicy[], resource: ResourceChecks, mode: Mode): Cover {
  const byLabels = resource.selectedBy === 'stored' && resource.name !== VERSIONS
  // What a Depot publishes may lack the labels: what is refused without any policy is refused beside such a one.
  const isBeside = resource.selectedBy === 'namespace' && mode === 'enforce'
  const sure = isBeside ? policies.filter(({ spec }) => spec.selector.labels.size === 0) : policies
  const selected = sure.map(({ spec }) => isSelectedBy(spec.selector, byLabels))
  const conditions =
    selected.length === 0 ? [] : [{ name: 'not-selected', expression: `!(${selected.join(' ||\n')})` }]
  return coverOfAll('default', conditions)
}

function coverOfAll(name: string, conditions: readonly Condition[]): Cover {
  return { name, spec: undefined, namespaces: [], conditions }
}

function guardCover({ condition, namespace }: GuardedResource): Cover {
  const conditions = [{ name: 'named', expression: condition }]
  return {
    ...coverOfAll('guard', conditions),
    namespaces: namespace === '' ? [] : [namespace],
  }
}

function isSelectedBy(selector: ModuleSelector, byLabels: boolean): Cel {
  const { namespaces } = selector
  const labels = byLabels ? hasLabels(selector) : undefined
  return allOf([
    ...(namespaces.length === 0 ? [] : [`request.namespace in ${celList(namespaces)}`]),
    ...(labels === undefined ? [] : [labels]),
  ])
}

function hasLabels({ labels }: ModuleSelector): Cel | undefined {
  if (labels.size === 0) return undefined
  return [...labels]
    .map(([key, value]) => `${LABELS}[?${celText(key)}] == optional.of(${celText(value)})`)
    .join(' && ')
}

const ACTIONS: Readonly<Record<Mode, readonly string[]>> = {
  enforce: ['Deny', 'Audit'],
  warn: ['Warn', 'Audit'],
  audit: ['Audit'],
}

function policiesOf(coverIn: (mode: Mode) => Cover, resource: ResourceChecks): readonly JsonObject[] {
  const modes: readonly Mode[] = ['enforce', 'warn', 'audit']
  return modes.flatMap((mode) => {
    const cover = coverIn(mode)
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
  const variables = [
    ...actorVariables(cover.spec?.identities),
    ...resource.variables,
    ...checkVariables(checks, cover.spec),
    ...sums(checks),
  ]
  const auditAnnotations = [
    { key: 'publisher', valueExpression: PUBLISHER },
    {
      key: 'rule',
      valueExpression:
        "(variables.problems + variables.glass).map(problem, problem.split(':')[0]).distinct().join(',')",
    },
  ]
  const { variables: standing, inPlace } = written(variables)
  const judged = validations.map((one) => inValidation(one, inPlace))
  const read = variablesRead(standing, [
    ...judged.flatMap(({ expression, messageExpression }) => [expression, messageExpression]),
    ...auditAnnotations.map(({ valueExpression }) => inPlace(valueExpression)),
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
            apiVersions: [resource.apiVersion],
            resources: resource.resources,
            operations: resource.operations,
          },
        ],
      },
      ...(cover.conditions.length === 0 ? {} : { matchConditions: cover.conditions }),
      variables: read.map(({ name: variable, expression }) => ({ name: variable, expression })),
      validations: judged,
      auditAnnotations: auditAnnotations.map(({ key, valueExpression }) => ({
        key,
        valueExpression: inPlace(valueExpression),
      })),
    },
  }
}

/** What an impersonator writes about a repository is no answer to who it was. */
const PUBLISHER =
  "variables.isFromToken && variables.claimedSource != '' ? variables.claimedSource : request.userInfo.username"

type Validation = {
  readonly expression: Cel
  readonly message: string
  readonly messageExpression: Cel
  readonly reason: 'Forbidden' | 'Invalid'
}

function inValidation(one: Validation, inPlace: (expression: Cel) => Cel): Validation {
  const { expression, message, messageExpression, reason } = one
  return {
    expression: inPlace(expression),
    message,
    messageExpression: inPlace(messageExpression),
    reason,
  }
}

function checkVariables(checks: readonly Check[], spec: ModulePolicySpec | undefined): readonly Variable[] {
  return checks.map((check) => ({
    name: check.name,
    inline: true,
    expression: isExceptable(check, spec) ? exceptExcepted(check, spec) : check.problems,
  }))
}

/** `namespace/name` of the Module, or what else is judged. A Version says itself which Module it is of. */
const EXCEPTED_KEY = "request.namespace + '/' + variables.ownerName"

/** What is only told of is told with an exception, too. */
function isExceptable(check: Check, spec: ModulePolicySpec | undefined): boolean {
  return check.isNeverExcepted !== true && effectOf(check, spec) === 'enforce'
}

/** What an exception lets through until a day is for the webhook, which knows the day. */
function exceptExcepted({ problems, rule }: Check, spec: ModulePolicySpec | undefined): Cel {
  const modules = (spec?.exceptions ?? []).flatMap(({ rules, modules: names }) =>
    rules.includes(rule) ? names : [],
  )
  if (modules.length === 0) return problems
  return `${EXCEPTED_KEY} in ${celList([...new Set(modules)].toSorted())} ? [] : (${problems})`
}

function sumOf(checks: readonly Check[]): Cel {
  return checks.length === 0 ? '[]' : checks.map(({ name }) => `variables.${name}`).join(' + ')
}

function sums(checks: readonly Check[]): readonly Variable[] {
  const standing = checks.filter(isPlain)
  return [
    { name: 'forbidden', expression: sumOf(standing.filter(({ kind }) => kind === 'forbidden')) },
    { name: 'invalid', expression: sumOf(standing.filter(({ kind }) => kind !== 'forbidden')) },
    { name: 'problems', expression: 'variables.forbidden + variables.invalid' },
    ...glassGroups(checks).map(({ name, checks: inGroup }) => ({ name, expression: sumOf(inGroup) })),
    {
      // Whoever holds the verb is named with the rest: an audit annotation has no authorizer to ask.
      name: 'glass',
      inline: true,
      expression: ['[]', ...glassGroups(checks).map(({ name }) => `variables.${name}`)].join(' + '),
    },
    {
      name: 'message',
      expression: numbered('variables.problems'),
    },
  ]
}

type GlassGroup = {
  readonly name: string
  readonly checks: readonly Check[]
  /** What must hold while one of them says something. */
  readonly unless: Cel
}

/** Who asks the authorizer the same thing has one validation: each asks it anew, and at most twice is in the budget. */
function glassGroups(checks: readonly Check[]): readonly GlassGroup[] {
  const groups = new Map<string, Check[]>()
  for (const check of checks) {
    if (isPlain(check)) continue
    const unless = check.unless ?? `!${check.onlyIf ?? 'true'}`
    groups.set(unless, [...(groups.get(unless) ?? []), check])
  }
  return [...groups].map(([unless, inGroup], index) => ({ name: `glass${index}`, unless, checks: inGroup }))
}

/** The authorizer has no say in it. */
function isPlain({ unless, onlyIf }: Check): boolean {
  return unless === undefined && onlyIf === undefined
}

function numbered(problems: Cel): Cel {
  return `${problems}.size() < 2 ? ${problems}.join('') :
${problems}.transformList(index, problem, '(' + string(index + 1) + ') ' + problem).join(' ')`
}

/** kube-apiserver takes no message above 5 KiB, and says the expression then. */
function cut(text: Cel): Cel {
  return `bytes(${text}).size() <= 5000 ? ${text} : ${text}.substring(0, 1200) + '...'`
}

/** Nobody reads the second denial, so one names every problem: 422 where all of them are malformation. */
function denials(checks: readonly Check[]): readonly Validation[] {
  const standing = checks.filter(isPlain)
  const message = cut('variables.message')
  const validations = glassGroups(checks).map((group) => authorized(group, withRest(group)))
  if (standing.some(({ kind }) => kind === 'forbidden')) {
    validations.push(validation('variables.forbidden.size() == 0', message, 'Forbidden', standing))
  }
  if (standing.some(({ kind }) => kind === 'invalid')) {
    const isOnly = 'variables.invalid.size() == 0 || variables.forbidden.size() > 0'
    validations.push(validation(isOnly, message, 'Invalid', standing))
  }
  return validations
}

/** A warning for all that is told, and one for each that asks the authorizer, which messages cannot. */
function tellings(checks: readonly Check[]): readonly Validation[] {
  const standing = checks.filter(isPlain)
  const validations = glassGroups(checks).map((group) =>
    authorized(group, `variables.${group.name}.join(' ')`),
  )
  if (standing.length === 0) return validations
  const all = validation('variables.problems.size() == 0', cut('variables.message'), 'Forbidden', standing)
  return [...validations, all]
}

function authorized({ name, unless, checks }: GlassGroup, message: Cel): Validation {
  return validation(`variables.${name}.size() == 0 || ${unless}`, cut(message), 'Forbidden', checks)
}

/** What is wrong beside it, which no second denial would tell. */
function withRest({ name }: GlassGroup): Cel {
  return `[variables.${name} + variables.problems].map(all, ${numbered('all')})[0]`
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
