// A ModulePolicy as it is written, and what the rules get of it.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import type { ModulePolicySpec } from '../../src/core/module/module_policy.ts'
import { readModulePolicy } from '../../src/core/module/read_module_policy.ts'
import { RULE_IDS } from '../../src/core/module/rule_id.ts'

const DEPLOY = join(import.meta.dirname, '..', '..', 'deploy')
const read = (file: string): unknown => parse(readFileSync(join(DEPLOY, file), 'utf8'))

function specOf(value: unknown): ModulePolicySpec {
  const policy = readModulePolicy(value)
  if (!policy.ok) throw new Error(policy.denial)
  return policy.value.spec
}

const NOBODY = { users: [], groups: [] }

t.test('the smallest policy covers every Module and enforces what every rule says of itself', async (t) => {
  const policy = {
    apiVersion: 'sallyport.dev/v1alpha1',
    kind: 'ModulePolicy',
    metadata: { name: 'all' },
    spec: { selector: {} },
  }
  t.same(readModulePolicy(policy), {
    ok: true,
    value: {
      name: 'all',
      spec: {
        selector: { namespaces: [], labels: new Map() },
        immutability: 'optional',
        publishers: [],
        identities: { controller: NOBODY, gitops: NOBODY, importer: NOBODY, human: NOBODY },
        ordering: 'free',
        pins: 'optional',
        exceptions: [],
        modes: {},
      },
    },
  })
})

t.test('the policy to begin with denies nothing', async (t) => {
  const { modes, immutability } = specOf(read('examples/module_policy_first_look.yaml'))
  t.equal(immutability, 'required')
  t.same(modes, Object.fromEntries(RULE_IDS.map((rule) => [rule, 'warn'])))
})

t.test('the policy for pipelines leaves publishers to the Module and knows the controllers', async (t) => {
  const spec = specOf(read('examples/module_policy_pipelines.yaml'))
  t.match(spec, { publishers: [], ordering: 'backport', pins: 'required', modes: {} })
  t.equal(spec.identities.controller.users.length, 3)
})

t.test('the policy for GitOps says all that a policy can say', async (t) => {
  t.same(specOf(read('examples/module_policy_gitops.yaml')), {
    selector: {
      namespaces: ['platform-modules', 'shared-modules'],
      labels: new Map([['app.kubernetes.io/managed-by', 'argocd']]),
    },
    immutability: 'required',
    publishers: [
      {
        source: 'github.com/acme/terraform-modules',
        ids: ['48291'],
        refs: ['refs/tags/v{version}', 'refs/heads/release/*'],
      },
    ],
    identities: {
      controller: {
        users: [
          'system:serviceaccount:opendepot-system:module-controller',
          'system:serviceaccount:opendepot-system:version-controller',
        ],
        groups: [],
      },
      gitops: { users: ['system:serviceaccount:argocd:argocd-application-controller'], groups: [] },
      importer: { users: [], groups: ['platform-importers'] },
      human: NOBODY,
    },
    ordering: 'free',
    pins: 'optional',
    exceptions: [
      {
        rules: ['WH-M2'],
        modules: ['shared-modules/terraform-aws-vpc'],
        versions: [],
        untilSeconds: Date.parse('2027-01-31T00:00:00Z') / 1000,
        approver: 'jo@acme.example',
        reason: 'the repository moves to the platform organisation',
      },
    ],
    modes: { 'WH-P1': 'warn', 'WH-V9': 'audit' },
  })
})

t.test('a mode of one rule comes before the mode of all', async (t) => {
  const { modes } = specOf(changed((spec) => (spec['defaultMode'] = 'audit')))
  t.match(modes, { 'WH-P1': 'warn', 'WH-V9': 'audit', 'WH-V1': 'audit' })
})

type Fields = Record<string, unknown>

/** The example for GitOps with one thing changed. */
function changed(change: (spec: Fields, policy: Fields) => void): unknown {
  const policy: Fields = Object(read('examples/module_policy_gitops.yaml'))
  change(Object(policy['spec']), policy)
  return policy
}

function exceptionOf(spec: Fields): Fields {
  return Object(spec['exceptions'])[0]
}

const REFUSED: readonly (readonly [string, (spec: Fields, policy: Fields) => void, string])[] = [
  [
    'another kind',
    (_, policy) => (policy['kind'] = 'Module'),
    'the object is no ModulePolicy of sallyport.dev/v1alpha1',
  ],
  [
    'another version',
    (_, policy) => (policy['apiVersion'] = 'sallyport.dev/v1'),
    'the object is no ModulePolicy of sallyport.dev/v1alpha1',
  ],
  ['no selector', (spec) => delete spec['selector'], 'spec.selector is not there: {} covers every Module'],
  [
    'an empty list of namespaces',
    (spec) => (spec['selector'] = { namespaces: [] }),
    'spec.selector.namespaces is not a list of texts with something in it',
  ],
  [
    'a namespace that is a number',
    (spec) => (spec['selector'] = { namespaces: [1] }),
    'spec.selector.namespaces is not a list of texts with something in it',
  ],
  [
    'a label that is a flag',
    (spec) => (spec['selector'] = { matchLabels: { a: true } }),
    'spec.selector.matchLabels.a is not a string',
  ],
  [
    'an immutability that nobody knows',
    (spec) => (spec['immutability'] = true),
    'spec.immutability is not a string',
  ],
  [
    'an order that nobody knows',
    (spec) => (spec['ordering'] = 'semver'),
    'spec.ordering is not free or backport or monotonic',
  ],
  [
    'a mode that nobody knows',
    (spec) => (spec['modes'] = { 'WH-V1': 'off' }),
    'spec.modes.WH-V1 is not enforce or warn or audit',
  ],
  [
    'a mode of a rule that nobody knows',
    (spec) => (spec['modes'] = { 'WH-Z9': 'warn' }),
    'spec.modes is not a mapping of rules that there are',
  ],
  [
    'publishers that are one',
    (spec) => (spec['publishers'] = { source: 'github.com/acme/a' }),
    'spec.publishers is not a list',
  ],
  [
    'users that are one text',
    (spec) => (spec['identities'] = { gitops: { users: 'argocd' } }),
    'spec.identities.gitops.users is not a list of texts with something in it',
  ],
  [
    'an exception without an end',
    (spec) => delete exceptionOf(spec)['until'],
    'spec.exceptions[0].until is not a time like 2027-01-31T00:00:00Z',
  ],
  [
    'an exception that ends on no day',
    (spec) => (exceptionOf(spec)['until'] = '2027-02-30T00:00:00Z'),
    'spec.exceptions[0].until is not a time like 2027-01-31T00:00:00Z',
  ],
  [
    'an exception that nobody approved',
    (spec) => delete exceptionOf(spec)['approver'],
    'spec.exceptions[0].approver is not there',
  ],
  [
    'an exception for every Module',
    (spec) => delete exceptionOf(spec)['modules'],
    'spec.exceptions[0].modules is not there',
  ],
  [
    'an exception from a rule that nobody knows',
    (spec) => (exceptionOf(spec)['rules'] = ['WH-Z9']),
    'spec.exceptions[0].rules is not a list of rules that there are',
  ],
]

for (const [title, change, denial] of REFUSED) {
  t.test(`${title} is no policy`, async (t) => {
    t.same(readModulePolicy(changed(change)), { ok: false, denial })
  })
}

t.test('the schema that the API server holds has the same words', async (t) => {
  const crd = Object(read('crds/sallyport/modulepolicies.yaml'))
  const { properties } = crd.spec.versions[0].schema.openAPIV3Schema.properties.spec
  for (const field of ['immutability', 'ordering', 'pins', 'defaultMode']) {
    const { enum: words, default: usual } = properties[field]
    for (const word of words)
      t.ok(readModulePolicy(changed((spec) => (spec[field] = word))).ok, `${field}: ${word}`)
    const absent = specOf(changed((spec) => delete spec[field]))
    t.same(absent, specOf(changed((spec) => (spec[field] = usual))), field)
  }
  const known = Object.keys(specOf(changed(() => undefined))).concat('defaultMode')
  t.same(Object.keys(properties).toSorted(), known.toSorted())
  const pattern = new RegExp(properties.exceptions.items.properties.rules.items.pattern)
  for (const rule of RULE_IDS) t.match(rule, pattern)
})
