// The shape of generated ValidatingAdmissionPolicies. Whether they hold is asked of the real kube-apiserver
// (test/e2e/webhook_vap.test.ts).
import t from 'tap'
import { admissionPolicies } from '../../src/core/module/generate/admission_policies.ts'
import { readModulePolicy } from '../../src/core/module/read_module_policy.ts'
import type { NamedPolicy } from '../../src/core/module/policy_choice.ts'

const NOTHING_ELSE = { ledgerWriters: [], guard: undefined }

function policy(name: string, spec: unknown): NamedPolicy {
  const read = readModulePolicy({
    apiVersion: 'sallyport.dev/v1alpha1',
    kind: 'ModulePolicy',
    metadata: { name },
    spec,
  })
  if (!read.ok) throw new Error(read.denial)
  return read.value
}

function named(policies: readonly NamedPolicy[]): ReadonlyMap<string, ReturnType<typeof Object>> {
  const objects = admissionPolicies(policies, NOTHING_ELSE).map((object) => Object(object))
  return new Map(objects.map((object) => [`${object.kind} ${object.metadata.name}`, object]))
}

t.test('without a policy, the rules that hold of themselves are generated for every Module', (t) => {
  const objects = named([])
  const policyObject = objects.get('ValidatingAdmissionPolicy sallyport-default-modules-enforce')
  t.equal(policyObject.spec.failurePolicy, 'Fail')
  t.notOk('matchConditions' in policyObject.spec)
  t.match(policyObject.spec.variables, [{ name: 'isController' }])
  const binding = objects.get('ValidatingAdmissionPolicyBinding sallyport-default-modules-enforce')
  t.same(binding.spec, {
    policyName: 'sallyport-default-modules-enforce',
    validationActions: ['Deny', 'Audit'],
  })
  t.end()
})

t.test('a policy covers its namespaces, and the rest leaves them out', (t) => {
  const objects = named([
    policy('own', { selector: { namespaces: ['infra'], matchLabels: { tier: 'gold' } } }),
  ])
  const binding = objects.get('ValidatingAdmissionPolicyBinding sallyport-policy-own-modules-enforce')
  t.same(binding.spec.matchResources.namespaceSelector, {
    matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'In', values: ['infra'] }],
  })
  const labels = "(request.operation == 'CREATE' ? object : oldObject).metadata.?labels.orValue({})"
  const own = objects.get('ValidatingAdmissionPolicy sallyport-policy-own-modules-enforce')
  t.same(own.spec.matchConditions, [
    { name: 'selected', expression: `${labels}[?"tier"] == optional.of("gold")` },
  ])
  const rest = objects.get('ValidatingAdmissionPolicy sallyport-default-modules-enforce')
  t.same(rest.spec.matchConditions, [
    {
      name: 'not-selected',
      expression: `!((request.namespace in ["infra"] && ${labels}[?"tier"] == optional.of("gold")))`,
    },
  ])
  t.end()
})

t.test('the mode of a rule is the action of a binding of its own', (t) => {
  const objects = named([policy('modes', { selector: {}, modes: { 'WH-V7': 'warn', 'WH-M4': 'audit' } })])
  const rulesIn = (mode: string): string => {
    const object = objects.get(`ValidatingAdmissionPolicy sallyport-policy-modes-modules-${mode}`)
    return JSON.stringify(object.spec.variables)
  }
  t.match(rulesIn('warn'), 'WH-V7: ')
  t.notMatch(rulesIn('enforce'), 'WH-V7: ')
  t.match(rulesIn('audit'), 'WH-M4: ')
  t.notMatch(rulesIn('warn'), 'WH-M4: ')
  t.match(rulesIn('enforce'), 'WH-V1: ')
  const actions = (mode: string): unknown =>
    objects.get(`ValidatingAdmissionPolicyBinding sallyport-policy-modes-modules-${mode}`).spec
      .validationActions
  t.same(['enforce', 'warn', 'audit'].map(actions), [['Deny', 'Audit'], ['Warn', 'Audit'], ['Audit']])
  t.end()
})

t.test('the same policies make the same text', (t) => {
  const policies = [policy('one', { selector: { namespaces: ['b', 'a'] } })]
  const made = (): string => JSON.stringify(admissionPolicies(policies, NOTHING_ELSE))
  t.equal(made(), made())
  t.end()
})
