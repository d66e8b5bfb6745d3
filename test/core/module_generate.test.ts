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

t.test('an expression reads only what is declared before it', (t) => {
  const policies = [policy('one', { selector: {}, ordering: 'monotonic', pins: 'required' })]
  for (const object of named(policies).values()) {
    if (object.kind !== 'ValidatingAdmissionPolicy') continue
    const { variables, validations, auditAnnotations } = object.spec
    const declared = new Set<string>()
    for (const { name, expression } of [...variables, ...validations, ...auditAnnotations]) {
      const reads = [...String(expression).matchAll(/\bvariables\.(\w+)/g)].map(([, read]) => read ?? '')
      t.same(
        reads.filter((read) => !declared.has(read)),
        [],
        `${object.metadata.name} ${name ?? ''}`,
      )
      if (name !== undefined) declared.add(name)
    }
  }
  t.end()
})

t.test('a rule with an exception is left to the webhook for the Modules that it names', (t) => {
  const exceptions = [
    {
      rules: ['WH-V7'],
      modules: ['infra/vpc'],
      until: '2030-01-01T00:00:00Z',
      approver: 'jo',
      reason: 'an old name',
    },
  ]
  const objects = named([policy('one', { selector: {}, exceptions })])
  const { variables } = objects.get('ValidatingAdmissionPolicy sallyport-policy-one-modules-enforce').spec
  const { expression } = variables.find(({ name }: { name: string }) => name === 'invalid')
  const rules = [...expression.matchAll(/in \["infra\/vpc"\] \? \[\] : /g)]
  t.equal(rules.length, 1)
  t.ok(expression.slice(rules[0]?.index).split('"WH-')[1]?.startsWith('V7'))
  t.end()
})

t.test('names that are too long for an object are told apart all the same', (t) => {
  const long = 'a'.repeat(250)
  const names = [
    ...named([
      policy(`${long}b`, { selector: { namespaces: ['x'] } }),
      policy(`${long}c`, { selector: { namespaces: ['y'] } }),
    ]).keys(),
  ]
  t.equal(new Set(names).size, names.length)
  t.ok(names.every((name) => (name.split(' ')[1] ?? '').length <= 253))
  t.end()
})
