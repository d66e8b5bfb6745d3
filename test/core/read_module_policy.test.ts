// A ModulePolicy as it is written, and what the rules get of it.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import type { ModulePolicySpec } from '../../src/core/module/module_policy.ts'
import { readModulePolicy } from '../../src/core/module/read_module_policy.ts'
import { FIXED_RULE_IDS, RULE_IDS } from '../../src/core/module/rule_id.ts'
import { changedPolicy, exceptionOf, ODD_POLICIES } from '../support/odd_policies.ts'

const DEPLOY = join(import.meta.dirname, '..', '..', 'deploy')
const read = (file: string): unknown => parse(readFileSync(join(DEPLOY, file), 'utf8'))

function specOf(value: unknown): ModulePolicySpec {
  const policy = readModulePolicy(value)
  if (!policy.ok) throw new Error(policy.denial)
  return policy.value.spec
}

const LOOSENED = RULE_IDS.filter((rule) => !FIXED_RULE_IDS.includes(rule))

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
  t.same(modes, Object.fromEntries(LOOSENED.map((rule) => [rule, 'warn'])))
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
  const { modes } = specOf(changedPolicy((spec) => (spec['defaultMode'] = 'audit')))
  t.match(modes, { 'WH-P1': 'warn', 'WH-V9': 'audit', 'WH-V1': 'audit' })
})

for (const [title, change, denial] of ODD_POLICIES) {
  t.test(`${title} is no policy`, async (t) => {
    t.same(readModulePolicy(changedPolicy(change)), { ok: false, denial })
  })
}

t.test('an exception names a version with v or without', async (t) => {
  const spec = specOf(changedPolicy((fields) => (exceptionOf(fields)['versions'] = ['v1.0.0', '1.1.0'])))
  t.same(spec.exceptions[0]?.versions, ['1.0.0', '1.1.0'])
})

t.test('a branch publishes, and a tag with something before the version', async (t) => {
  const refs = ['refs/heads/main', 'refs/heads/release/*', 'refs/heads/{version}', 'refs/tags/*-v{version}']
  const spec = specOf(changedPolicy((fields) => (fields['publishers'] = [{ refs }])))
  t.same(spec.publishers[0]?.refs, refs)
})

t.test('the schema that the API server holds has the same words', async (t) => {
  const crd = Object(read('crds/sallyport/modulepolicies.yaml'))
  const { properties } = crd.spec.versions[0].schema.openAPIV3Schema.properties.spec
  for (const field of ['immutability', 'ordering', 'pins', 'defaultMode']) {
    const { enum: words, default: usual } = properties[field]
    for (const word of words)
      t.ok(readModulePolicy(changedPolicy((spec) => (spec[field] = word))).ok, `${field}: ${word}`)
    const absent = specOf(changedPolicy((spec) => delete spec[field]))
    t.same(absent, specOf(changedPolicy((spec) => (spec[field] = usual))), field)
  }
  const known = Object.keys(specOf(changedPolicy(() => undefined))).concat('defaultMode')
  t.same(Object.keys(properties).toSorted(), known.toSorted())
  const pattern = new RegExp(properties.exceptions.items.properties.rules.items.pattern)
  for (const rule of LOOSENED) t.match(rule, pattern)
  for (const rule of FIXED_RULE_IDS) t.notMatch(rule, pattern)
})
