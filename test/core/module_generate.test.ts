// The shape of generated ValidatingAdmissionPolicies. Whether they hold is asked of the real kube-apiserver
// (test/e2e/webhook_vap.test.ts).
import { readFileSync } from 'node:fs'
import t from 'tap'
import { parse } from 'yaml'
import { admissionPolicies } from '../../src/core/module/generate/admission_policies.ts'
import { ALWAYS_LEFT, leftToTheWebhook } from '../../src/core/module/generate/left_to_the_webhook.ts'
import { readModulePolicy } from '../../src/core/module/read_module_policy.ts'
import type { NamedPolicy } from '../../src/core/module/policy_choice.ts'
import type { Expectation } from '../conformance/module_cases.ts'
import { ROWS } from '../conformance/module_table.ts'
import { NAMED_POLICIES } from '../conformance/offline_door.ts'

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

/** What kube-apiserver compiles. */
function expressionsIn(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  const own = ['expression', 'messageExpression', 'valueExpression'].filter(
    (name) => typeof Object(value)[name] === 'string',
  )
  return Object.values(value).reduce<number>((sum, inner) => sum + expressionsIn(inner), own.length)
}

function textOf(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
}

t.test('there are as many expressions as the guide says', (t) => {
  const rows = textOf('docs/webhook-generate.md').matchAll(
    /^\| (?:none|`(module_policy_\w+\.yaml)`) \| (\d+) \| (\d+) \|$/gm,
  )
  const told = Array.from(rows, ([, file, ...counts]) => ({ file, counts: counts.map(Number) }))
  t.equal(told.length, 4)
  const guard = {
    configuration: 'webhook',
    namespace: 'own',
    service: 'webhook',
    secret: 'tls',
    keepers: ['keeper'],
  }
  for (const { file, counts } of told) {
    const example = file === undefined ? undefined : Object(parse(textOf(`deploy/examples/${file}`)))
    const policies = example === undefined ? [] : [policy(example.metadata.name, example.spec)]
    const made = [guard, undefined].map((guarded) =>
      expressionsIn(admissionPolicies(policies, { ledgerWriters: ['writer'], guard: guarded })),
    )
    t.same(counts, made, file ?? 'none')
  }
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

function depotConditions(selector: object, mode: string): unknown {
  const objects = named([policy('own', { selector })])
  return objects.get(`ValidatingAdmissionPolicy sallyport-default-depots-${mode}`).spec.matchConditions
}

t.test('what is refused of Depots without a policy is refused beside one for labels', (t) => {
  const outside = [{ name: 'not-selected', expression: '!((request.namespace in ["infra"]))' }]
  const labelled = { namespaces: ['infra'], matchLabels: { tier: 'gold' } }
  t.same(depotConditions(labelled, 'enforce'), undefined)
  t.same(depotConditions(labelled, 'warn'), outside, 'and nobody is told twice')
  t.same(depotConditions({ namespaces: ['infra'] }, 'enforce'), outside)
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

t.test('an exception for the publisher of a Module is none for a Depot of its name', (t) => {
  const exceptions = [
    {
      rules: ['WH-P1', 'WH-D2'],
      modules: ['infra/vpc'],
      until: '2030-01-01T00:00:00Z',
      approver: 'jo',
      reason: 'it is moved',
    },
  ]
  const objects = named([policy('one', { selector: {}, exceptions })])
  const { variables } = objects.get('ValidatingAdmissionPolicy sallyport-policy-one-depots-enforce').spec
  const { expression } = variables.find(({ name }: { name: string }) => name === 'forbidden')
  const excepted = expression.split('in ["infra/vpc"] ? [] : ').slice(1)
  t.same(
    excepted.map((text: string) => /"(WH-\w+): /.exec(text)?.[1]),
    ['WH-D2', 'WH-D2'],
  )
  t.match(expression, '"WH-P1: ')
  t.end()
})

t.test('where labels of Modules decide, Versions are held as the loosest of the policies holds', (t) => {
  const objects = named([
    policy('own', {
      selector: { namespaces: ['infra'], matchLabels: { tier: 'gold' } },
      immutability: 'required',
      identities: { controller: { users: ['own-controller'] } },
    }),
    policy('apart', {
      selector: { namespaces: ['far'], matchLabels: { tier: 'gold' } },
      defaultMode: 'audit',
    }),
    policy('other', {
      selector: { namespaces: ['labs', 'infra'], matchLabels: { tier: 'tin' } },
      modes: { 'WH-S4': 'warn' },
    }),
  ])
  const kind = 'ValidatingAdmissionPolicy'
  const names = [...objects.keys()].filter((name) => name.includes('-versions-'))
  t.same(
    names.filter((name) => name.startsWith(`${kind} `)),
    [
      `${kind} sallyport-labelled-apart-versions-audit`,
      `${kind} sallyport-labelled-own-versions-enforce`,
      `${kind} sallyport-labelled-own-versions-warn`,
      `${kind} sallyport-default-versions-enforce`,
    ],
  )
  const enforced = JSON.stringify(objects.get(`${kind} sallyport-labelled-own-versions-enforce`))
  t.match(enforced, 'own-controller')
  t.match(enforced, 'opendepot-system:version-controller', 'those who are controllers without a policy')
  t.notMatch(enforced, 'WH-S4: ')
  t.match(enforced, 'WH-S3: ')
  t.notMatch(enforced, 'gold', 'its own labels choose nothing')
  const binding = objects.get('ValidatingAdmissionPolicyBinding sallyport-labelled-own-versions-enforce')
  t.same(binding.spec.matchResources.namespaceSelector.matchExpressions[0].values, ['infra', 'labs'])
  t.end()
})

/** Whether a label that chooses such a policy is refused. */
function refused(spec: unknown): boolean {
  const objects = named([policy('looser', spec)])
  const found = objects.get('ValidatingAdmissionPolicy sallyport-default-modules-enforce')
  return JSON.stringify(found).includes('which enforces less than holds without one')
}

t.test('a label that puts a Module under less is refused where no policy covers it', (t) => {
  const labels = { namespaces: ['infra'], matchLabels: { tier: 'tin' } }
  t.ok(refused({ selector: labels, modes: { 'WH-V1': 'warn' } }))
  t.notOk(refused({ selector: labels }), 'one that enforces all of it')
  t.notOk(
    refused({ selector: labels, modes: { 'WH-P1': 'warn', 'WH-M8': 'warn' } }),
    'what is not enforced without one',
  )
  t.notOk(refused({ selector: { namespaces: ['infra'] }, defaultMode: 'warn' }), 'one that covers it already')
  t.end()
})

function rulesOf({ forbidden, invalid, warns, told, audits }: Expectation): readonly string[] {
  return [forbidden, invalid, warns, told, audits].flatMap((rules) => rules ?? [])
}

t.test('what policies cannot say in the table is named as left to the webhook', (t) => {
  const left = [...ALWAYS_LEFT, ...leftToTheWebhook(NAMED_POLICIES)]
  for (const row of ROWS) {
    const [reason, seen] = row.blind?.vap ?? []
    if (reason === undefined || seen === undefined) continue
    const missed = rulesOf(row.expect).filter((rule) => !rulesOf(seen).includes(rule))
    const unsaid = missed.filter((rule) => !left.some((line) => line.includes(rule)))
    t.same(unsaid, [], row.title)
  }
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
