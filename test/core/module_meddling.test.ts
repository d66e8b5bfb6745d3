// Who may take away what others published, and write what decides where it comes from: the same as may publish.
import t from 'tap'
import type { KubeUser } from '../../src/core/kube/kube_user.ts'
import { actorOf } from '../../src/core/module/actor.ts'
import type { ModulePolicySpec } from '../../src/core/module/module_policy.ts'
import type { RuleId } from '../../src/core/module/rule_id.ts'
import {
  aModule,
  aPolicy,
  alice,
  argo,
  checkRows,
  controller,
  judged,
  MUTABLE,
  pipeline,
  published,
  said,
  serviceAccount,
} from '../support/module_changes.ts'
import type { ModuleEdit } from '../support/module_changes.ts'

const COMMIT = '9f2c1d7e5b0a4c6f8e3d2b1a0c9f8e7d6c5b4a39'
const OTHER = '0000000000000000000000000000000000000001'
const PINS = 'sallyport.dev/pins'
const foreign = pipeline({ source: 'github.com/acme/other' })
const why = `by "${foreign.username}": its pipeline is of "github.com/acme/other", this Module is published by "github.com/acme/terraform-aws-vpc"`
const goes = 'WH-V1 notice: version 1.0.0 was published and is taken off spec.versions'
const deleted = 'WH-M12 notice: this Module published 1.0.0, 1.1.0 and would be deleted'
const mutable = (edit: ModuleEdit): ModuleEdit => ({ ...edit, config: { ...edit.config, ...MUTABLE.config } })

checkRows(t, [
  {
    title: 'WH-P1 the pipeline of another repository takes a version away',
    from: MUTABLE,
    to: { ...MUTABLE, versions: ['1.1.0'] },
    given: { user: foreign },
    says: [goes, `WH-P1 forbidden: version 1.0.0 may not be taken away ${why}`],
    twin: {
      from: MUTABLE,
      to: { ...MUTABLE, versions: ['1.1.0'] },
      given: { user: pipeline() },
      says: [goes],
    },
  },
  {
    title: 'WH-P1 a person whom the policy does not list takes a version away',
    from: MUTABLE,
    to: { ...MUTABLE, versions: ['1.1.0'] },
    given: { user: alice },
    says: [
      goes,
      'WH-P1 forbidden: version 1.0.0 may not be taken away by "alice": nothing in its credentials names a repository',
    ],
    twin: { from: MUTABLE, to: { ...MUTABLE, versions: ['1.1.0'] }, given: { user: argo }, says: [goes] },
  },
  {
    title: 'WH-P1 the pipeline of another repository deletes the Module',
    from: MUTABLE,
    given: { user: foreign },
    says: [deleted, `WH-P1 forbidden: this Module may not be deleted ${why}`],
    twin: { from: MUTABLE, given: { user: pipeline() }, says: [deleted] },
  },
  {
    title: 'WH-P1 its own pipeline takes a version away, run for a branch that publishes nothing',
    from: MUTABLE,
    to: { ...MUTABLE, versions: ['1.1.0'] },
    given: { user: pipeline({ ref: 'refs/heads/experiment' }) },
    says: [
      goes,
      `WH-P1 forbidden: version 1.0.0 may not be taken away by "${foreign.username}": its pipeline runs for "refs/heads/experiment", its versions are published from "refs/tags/v*", "refs/tags/*"`,
    ],
    twin: {
      from: MUTABLE,
      to: { ...MUTABLE, versions: ['1.1.0'] },
      given: { user: pipeline({ ref: 'refs/tags/v9.9.9' }) },
      says: [goes],
    },
  },
  ...(
    [
      ['versionHistoryLimit', { versionHistoryLimit: 1 }, []],
      [
        'storageConfig',
        { storageConfig: { gcs: { bucket: 'b' } } },
        [
          'WH-M6 notice: published archives are in "s3 bucket=acme-modules region=us-west-2", and would be looked for in "gcs bucket=b"',
        ],
      ],
      [
        'fileFormat',
        { fileFormat: 'tar' },
        [
          'WH-M2 notice: moduleConfig.fileFormat is "zip" since versions were published, and would become "tar"',
        ],
      ],
      [
        'provider',
        { provider: 'azure' },
        [
          'WH-M2 notice: moduleConfig.provider is "aws" since versions were published, and would become "azure"',
        ],
      ],
      [
        'repoOwner',
        { repoOwner: 'mallory' },
        [
          'WH-M2 notice: moduleConfig.repoOwner is "acme" since versions were published, and would become "mallory"',
        ],
      ],
    ] as const
  ).map(([field, config, told]) => ({
    title: `WH-P1 the pipeline of another repository changes ${field}`,
    from: MUTABLE,
    to: mutable({ config }),
    given: { user: foreign },
    says: [...told, `WH-P1 forbidden: ${field} of this Module may not be changed ${why}`],
    twin: { from: MUTABLE, to: mutable({ config }), given: { user: pipeline() }, says: told },
  })),
  ...(
    [
      ['repoOwner', { repoOwner: 'mallory' }],
      ['storageConfig', { storageConfig: { gcs: { bucket: 'b' } } }],
    ] as const
  ).map(([field, config]) => ({
    title: `WH-P1 before anything was published the pipeline of another repository changes ${field}`,
    from: { versions: [] },
    to: { versions: [], config },
    given: { user: foreign },
    says: [`WH-P1 forbidden: ${field} of this Module may not be changed ${why}`],
    twin: { from: { versions: [] }, to: { versions: [], config }, given: { user: pipeline() } },
  })),
  {
    title: 'WH-P1 the pipeline of another repository makes the Module immutable, which cannot be taken back',
    from: MUTABLE,
    to: {},
    given: { user: foreign },
    says: [`WH-P1 forbidden: immutable of this Module may not be changed ${why}`],
    twin: { from: MUTABLE, to: {}, given: { user: pipeline() } },
  },
  {
    title: 'WH-P1 the pipeline of another repository pins what it did not publish',
    from: {},
    to: { annotations: { [PINS]: `1.0.0=${OTHER}` } },
    given: { user: foreign },
    says: [`WH-P1 forbidden: the pins of this Module may not be changed ${why}`],
    twin: {
      from: {},
      to: { annotations: { [PINS]: `1.0.0=${COMMIT}` } },
      given: { user: pipeline() },
    },
  },
  {
    title: 'WH-P1 an importer takes away',
    from: MUTABLE,
    to: { ...MUTABLE, versions: ['1.1.0'] },
    given: {
      user: alice,
      policy: aPolicy({
        identities: { ...aPolicy().identities, importer: { users: ['alice'], groups: [] } },
      }),
    },
    says: [
      goes,
      'WH-P1 forbidden: version 1.0.0 may not be taken away by "alice": nothing in its credentials names a repository',
    ],
    twin: {
      from: MUTABLE,
      to: { ...MUTABLE, versions: ['1.1.0'] },
      given: {
        user: alice,
        policy: aPolicy({ identities: { ...aPolicy().identities, human: { users: ['alice'], groups: [] } } }),
      },
      says: [goes],
    },
  },
])

t.test('what is held is refused by its own rule, once, and unpublishing needs no publisher', async (t) => {
  t.same(said(judged(aModule(), aModule({ versions: ['1.1.0'] }), { user: alice })), [
    'WH-V1 forbidden: version 1.0.0 was published and is taken off spec.versions',
  ])
  const annotations = { 'sallyport.dev/unpublish': 'v1.0.0: it leaks a key' }
  const broken = judged(aModule(MUTABLE), aModule({ ...MUTABLE, annotations, versions: ['1.1.0'] }), {
    user: alice,
    mayDo: ['unpublish'],
  })
  t.ok(broken.allowed, 'who may unpublish what is held may take away what is not')
})

const MOVED: ModuleEdit = { config: { storageConfig: { gcs: { bucket: 'mallory' } } } }
const UNPUBLISHED: ModuleEdit = { versions: ['1.1.0'] }
const loosened: readonly (readonly [RuleId, ModuleEdit | undefined, string])[] = [
  ['WH-M6', MOVED, 'storageConfig of this Module may not be changed'],
  ['WH-M2', { config: { provider: 'azure' } }, 'provider of this Module may not be changed'],
  ['WH-V12', { config: { versionHistoryLimit: 1 } }, 'versionHistoryLimit of this Module may not be changed'],
  ['WH-V1', UNPUBLISHED, 'version 1.0.0 may not be taken away'],
  ['WH-M12', undefined, 'this Module may not be deleted'],
]

for (const [rule, edit, what] of loosened) {
  const exception = {
    rules: [rule],
    modules: ['infra/terraform-aws-vpc'],
    versions: [],
    untilSeconds: 1_900_000_000,
    approver: 'jo@acme.example',
    reason: 'the bucket moves',
  }
  const to = edit === undefined ? undefined : aModule(edit)
  const refusals = (policy: ModulePolicySpec, user: KubeUser): readonly string[] =>
    said(judged(aModule(), to, { user, policy })).filter((text) => text.startsWith('WH-P1'))
  t.test(`where ${rule} refuses nothing, who may not publish may not either`, async (t) => {
    for (const policy of [aPolicy({ exceptions: [exception] }), aPolicy({ modes: { [rule]: 'warn' } })]) {
      t.match(refusals(policy, alice), [`WH-P1 forbidden: ${what} by "alice": `])
      t.match(refusals(policy, foreign), [`WH-P1 forbidden: ${what} ${why}`])
      t.same(refusals(policy, pipeline()), [])
      t.same(refusals(policy, argo), [])
    }
    t.same(
      refusals(aPolicy({ exceptions: [{ ...exception, untilSeconds: 0 }] }), alice),
      [],
      'it refuses again',
    )
    t.same(refusals(aPolicy({ exceptions: [{ ...exception, modules: ['infra/other'] }] }), alice), [])
  })
}

t.test('without a policy OpenDepot’s own ways stay open to everybody who may patch', async (t) => {
  const given = { user: alice, policy: undefined }
  t.same(said(judged(aModule(MUTABLE), aModule({ ...MUTABLE, versions: ['1.1.0'] }), given)), [goes])
  t.same(said(judged(aModule(MUTABLE), undefined, given)), [deleted])
})

t.test('what a namespace takes with it has no publisher', async (t) => {
  const user = serviceAccount('kube-system', 'namespace-controller')
  t.ok(judged(aModule(MUTABLE), undefined, { user }).allowed)
  t.notOk(judged(aModule(MUTABLE), undefined, { user: serviceAccount('kube-system', 'other') }).allowed)
})

t.test('an owner that somebody wrote on a Module deletes it for nobody who may not', async (t) => {
  const collector = serviceAccount('kube-system', 'generic-garbage-collector')
  t.match(said(judged(aModule(MUTABLE), undefined, { user: collector })), [
    /^WH-M14 notice/,
    /^WH-P1 forbidden: this Module may not be deleted by "system:serviceaccount:kube-system:generic-garbage-collector"/,
  ])
  const human = { users: [collector.username], groups: [] }
  const policy = aPolicy({ identities: { ...aPolicy().identities, human } })
  t.ok(judged(aModule(MUTABLE), undefined, { user: collector, policy }).allowed, 'unless a policy lists it')
})

t.test('WH-P1 keeps the id of every repository that published, also after a move', async (t) => {
  const versions = ['1.0.0', '1.1.0', '1.2.0']
  const ledger = {
    firstPublisher: { source: 'github.com/acme/old', sourceId: '1' },
    published: new Map([
      ['1.0.0', published({ source: 'github.com/acme/old', sourceId: '1', atSeconds: 1 })],
      ['1.1.0', published({ source: 'github.com/acme/terraform-aws-vpc', sourceId: '4711', atSeconds: 5 })],
    ]),
  }
  const by = (id: string) =>
    said(judged(aModule(), aModule({ versions }), { user: pipeline({ 'repository-id': id }), ledger }))
  t.same(by('4711'), [])
  t.same(by('9999'), [
    `WH-P1 forbidden: version 1.2.0 may not be published by "${foreign.username}": the repository "github.com/acme/terraform-aws-vpc" has the id "9999", the first publisher was "4711"`,
  ])
})

const kindOf = (name: string) => actorOf(serviceAccount('opendepot-system', name), undefined).kind

t.test('the accounts of the chart are controllers, and no other account of its namespace', async (t) => {
  for (const name of ['module', 'version', 'provider', 'depot'])
    t.equal(kindOf(`${name}-controller`), 'controller')
  t.equal(kindOf('ci'), 'human')
  t.equal(kindOf('server'), 'human')
  t.equal(actorOf(serviceAccount('ci', 'module-controller'), undefined).kind, 'human')
  t.equal(actorOf(controller, undefined).kind, 'controller')
})

t.test('the way out writes a version as it was written', async (t) => {
  const human = { users: ['alice'], groups: [] }
  const policy = aPolicy({ identities: { ...aPolicy().identities, human } })
  const verdict = judged(aModule(), aModule({ versions: ['v1.2.0'] }), { user: alice, policy })
  t.match(
    verdict.findings[0]?.wayOut,
    `'[{"op":"add","path":"/spec/versions/-","value":{"version":"v1.2.0"}}]'`,
  )
})

t.test('WH-M13 a create of what is there says that it is there', async (t) => {
  const ledger = { module: aModule(), published: new Map([['1.0.0', published()]]) }
  const verdict = judged(undefined, aModule({ versions: ['1.0.0', '2.0.0'] }), { ledger })
  t.same(said(verdict), [
    'WH-M13 forbidden: this Module exists already, with 2 versions, and cannot be created again',
  ])
  t.notOk(verdict.allowed)
  const lax = { module: aModule(MUTABLE), published: new Map([['1.0.0', published({ immutable: false })]]) }
  const told = judged(undefined, aModule(MUTABLE), { ledger: lax })
  t.ok(told.allowed, 'and the API server says it, where nothing is held')
  const { module: _module, ...gone } = ledger
  t.match(said(judged(undefined, aModule(), { ledger: gone })), [
    'WH-M13 forbidden: version 1.0.0 was published before under this name (now present)',
  ])
})
