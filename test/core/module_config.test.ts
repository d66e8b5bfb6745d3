import t from 'tap'
import type { PublishedFacts } from '../../src/core/module/ledger.ts'
import {
  aModule,
  aPolicy,
  alice,
  checkRows,
  controller,
  judged,
  MUTABLE,
  NOON,
  published,
  said,
  serviceAccount,
} from '../support/module_changes.ts'
import type { Json } from '../support/module_changes.ts'

const COMMIT = '9f2c1d7e5b0a4c6f8e3d2b1a0c9f8e7d6c5b4a39'
const SOURCE = 'github.com/acme/terraform-aws-vpc'
const collector = serviceAccount('kube-system', 'generic-garbage-collector')
const namespaces = serviceAccount('kube-system', 'namespace-controller')
const unpublished = new Map([['1.0.0', published({ state: 'unpublished', commit: COMMIT, source: SOURCE })]])
const at = (atSeconds: number | undefined): Partial<PublishedFacts> =>
  atSeconds === undefined ? {} : { atSeconds }
const moved = (times: readonly [number?, number?]): Map<string, PublishedFacts> =>
  new Map([
    ['1.0.0', published({ state: 'unpublished', source: SOURCE, ...at(times[0]) })],
    ['1.1.0', published({ state: 'unpublished', source: 'github.com/acme/moved', ...at(times[1]) })],
  ])
const migrated = moved([1_700_000_000, 1_800_000_000])
const migratedSomeTime = moved([])
const movedSince = new Map([
  [
    '1.0.0',
    published({
      state: 'unpublished',
      source: SOURCE,
      atSeconds: NOON,
      moved: [
        { revision: '7', atSeconds: NOON + 60, settings: ['repoUrl'], source: 'github.com/acme/moved' },
      ],
    }),
  ],
])
const s3 = (fields: Json): Json => ({
  storageConfig: { s3: { bucket: 'acme-modules', region: 'us-west-2', ...fields } },
})
const wouldMove = (was: string, becomes: string): string =>
  `WH-M6 forbidden: published archives are in "${was}", and would be looked for in "${becomes}"`

checkRows(t, [
  {
    title: 'WH-M1 moduleConfig.name is another name',
    to: { config: { name: 'vpc' } },
    says: ['WH-M1 invalid: moduleConfig.name is "vpc", the Module is "terraform-aws-vpc"'],
    twin: { to: { config: { name: undefined } } },
  },
  ...(
    [
      ['provider', 'aws', 'google'],
      ['repoOwner', 'acme', 'evil'],
      ['fileFormat', 'zip', 'tar'],
    ] as const
  ).map(([field, was, becomes]) => ({
    title: `WH-M2 ${field} changes after a version was published`,
    from: {},
    to: { config: { [field]: becomes } },
    says: [
      `WH-M2 forbidden: moduleConfig.${field} is "${was}" since versions were published, and would become "${becomes}"`,
    ],
    twin: { from: { versions: [] }, to: { config: { [field]: becomes } } },
  })),
  {
    title: 'WH-M2 repoUrl changes after a version was published',
    from: {},
    to: { config: { repoUrl: 'https://github.com/evil/vpc' } },
    says: [
      'WH-M2 forbidden: moduleConfig.repoUrl is "https://github.com/acme/terraform-aws-vpc" since versions were published, and would become "https://github.com/evil/vpc"',
    ],
    twin: {
      from: {},
      to: {
        config: { repoUrl: 'https://github.com/evil/vpc' },
        annotations: { 'sallyport.dev/migrate': 'moved' },
      },
      given: { mayDo: ['migrate'] },
      says: [
        'WH-M2 notice: moduleConfig.repoUrl is "https://github.com/acme/terraform-aws-vpc" since versions were published, and would become "https://github.com/evil/vpc": migrated ("moved")',
      ],
    },
  },
  {
    title: 'WH-M2 what is remembered counts, when the list is empty',
    from: { versions: [] },
    to: { versions: [], config: { provider: 'google' } },
    given: { ledger: { published: unpublished } },
    says: [
      'WH-M2 forbidden: moduleConfig.provider is "aws" since versions were published, and would become "google"',
    ],
    twin: { from: { versions: [] }, to: { versions: [], config: { provider: 'google' } } },
  },
  {
    title: 'WH-M4 immutable is taken back',
    from: {},
    to: { config: { immutable: false } },
    says: ['WH-M4 forbidden: this Module is immutable and would stop being so'],
    twin: { from: { config: { immutable: false } }, to: {} },
  },
  {
    title: 'WH-M4 a policy requires immutable, and a new Module does not say so',
    to: { config: { immutable: undefined } },
    given: { policy: aPolicy({ immutability: 'required' }) },
    says: ['WH-M4 invalid: the policy requires immutable Modules, and this one does not say so'],
    twin: { to: {}, given: { policy: aPolicy({ immutability: 'required' }) } },
  },
  {
    title: 'WH-M5 fileFormat is missing',
    to: { config: { fileFormat: undefined } },
    says: ['WH-M5 invalid: moduleConfig.fileFormat is missing'],
    twin: { from: { config: { fileFormat: undefined } }, to: { config: { fileFormat: 'tar' } } },
  },
  {
    title: 'WH-M5 fileFormat is none that OpenDepot has',
    to: { config: { fileFormat: 'tgz' } },
    says: ['WH-M5 invalid: moduleConfig.fileFormat is "tgz"'],
    twin: { to: { config: { fileFormat: 'tar' } } },
  },
  {
    title: 'WH-M6 the bucket changes',
    from: {},
    to: { config: s3({ bucket: 'mine' }) },
    says: [wouldMove('s3 bucket=acme-modules region=us-west-2', 's3 bucket=mine region=us-west-2')],
    twin: {
      from: {},
      to: { config: { storageConfig: { s3: { region: 'us-west-2', bucket: 'acme-modules' } } } },
    },
  },
  {
    title: 'WH-M6 what two fields said is said by one',
    from: { config: s3({ bucket: 'b', key: 'k' }) },
    to: { config: s3({ bucket: 'b key=k', region: 'us-west-2' }) },
    says: [wouldMove('s3 bucket=b key=k region=us-west-2', 's3 bucket="b key=k" region=us-west-2')],
    twin: {
      from: { config: s3({ bucket: 'b', key: 'k' }) },
      to: { config: s3({ key: 'k', bucket: 'b' }) },
    },
  },
  {
    title: 'WH-M6 a key is added, and the verb without a reason moves nothing',
    from: {},
    to: { config: s3({ key: 'x' }), annotations: { 'sallyport.dev/migrate': ' ' } },
    given: { mayDo: ['migrate'] },
    says: [
      wouldMove('s3 bucket=acme-modules region=us-west-2', 's3 bucket=acme-modules key=x region=us-west-2'),
    ],
    twin: {
      from: {},
      to: { config: s3({ key: 'x' }), annotations: { 'sallyport.dev/migrate': 'a prefix for each team' } },
      given: { mayDo: ['migrate'] },
      says: [
        'WH-M6 notice: published archives are in "s3 bucket=acme-modules region=us-west-2", and would be looked for in "s3 bucket=acme-modules key=x region=us-west-2": migrated ("a prefix for each team")',
      ],
    },
  },
  {
    title: 'WH-M7 two backends',
    to: { config: { storageConfig: { s3: { bucket: 'a' }, gcs: { bucket: 'b' } } } },
    says: ['WH-M7 invalid: storageConfig names 2 places: s3, gcs'],
    twin: { to: { config: { storageConfig: { gcs: { bucket: 'b' } } } } },
  },
  {
    title: 'WH-M7 a directory without a path',
    to: { config: { storageConfig: { fileSystem: {} } } },
    says: ['WH-M7 invalid: fileSystem has no directoryPath'],
    twin: { to: { config: { storageConfig: { fileSystem: { directoryPath: '/data/modules' } } } } },
  },
  {
    title: 'WH-M7 a path that goes up',
    to: { config: { storageConfig: { fileSystem: { directoryPath: '/data/../etc' } } } },
    says: ['WH-M7 invalid: the storage path in fileSystem goes up with ..'],
    twin: { to: { config: s3({ key: 'team..a/modules' }) } },
  },
  {
    title: 'WH-M10 the name belongs to a Module of another namespace',
    to: {},
    given: { ledger: { namesakes: ['team-b/terraform-aws-vpc'] } },
    says: [
      'WH-M10 forbidden: this name belongs to "team-b/terraform-aws-vpc"; OpenDepot looks in every namespace',
    ],
    twin: {
      from: {},
      to: { versions: ['1.0.0', '1.1.0', '1.2.0'] },
      given: { ledger: { namesakes: ['team-b/x'] } },
    },
  },
  {
    title: "WH-M10 the name of the Version object is another Module's",
    from: {},
    to: { versions: ['1.0.0', '1.1.0', '1.2.0-rc.1'] },
    given: {
      ledger: {
        versionNameOwner: (name) =>
          name === 'terraform-aws-vpc-1-2-0-rc-1' ? 'infra/terraform-aws-vpc-1' : undefined,
      },
    },
    says: [
      'WH-M10 forbidden: version 1.2.0-rc.1 would be the object "terraform-aws-vpc-1-2-0-rc-1", which is the name of "infra/terraform-aws-vpc-1"',
    ],
    twin: { from: {}, to: { versions: ['1.0.0', '1.1.0', '1.2.0-rc.1'] } },
  },
  {
    title: 'WH-M10 two versions of one Module make one name',
    from: { versions: ['1.0.0-RC-1'] },
    to: { versions: ['1.0.0-rc.1', '1.0.0-RC-1'] },
    says: [
      'WH-M10 forbidden: version 1.0.0-rc.1 would be the object "terraform-aws-vpc-1-0-0-rc-1", which is the name of version 1.0.0-RC-1 here',
    ],
    twin: { from: { versions: ['1.0.0-RC-1'] }, to: { versions: ['1.0.0-rc.2', '1.0.0-RC-1'] } },
  },
  {
    title: 'WH-M12 a Module with published versions is deleted',
    from: {},
    says: ['WH-M12 forbidden: this Module published 1.0.0, 1.1.0 and would be deleted'],
    twin: { from: { versions: [] } },
  },
  {
    title: 'WH-M12 what is remembered as present counts',
    from: { ...MUTABLE, versions: [] },
    given: { ledger: { published: new Map([['1.0.0', published()]]) } },
    says: ['WH-M12 forbidden: this Module published 1.0.0 and would be deleted'],
    twin: { from: { ...MUTABLE, versions: [] }, given: { ledger: { published: unpublished } } },
  },
  {
    title: 'WH-M12 deleting takes an annotation that names all of it',
    from: { annotations: { 'sallyport.dev/unpublish': '1.0.0: retired' } },
    given: { mayDo: ['unpublish'] },
    says: ['WH-M12 forbidden: this Module published 1.0.0, 1.1.0 and would be deleted'],
    twin: {
      from: { annotations: { 'sallyport.dev/unpublish': '*: retired' } },
      given: { mayDo: ['unpublish'] },
      says: [
        'WH-M12 notice: this Module published 1.0.0, 1.1.0 and would be deleted: unpublished ("retired")',
      ],
    },
  },
  {
    title: 'WH-M13 a Module comes back with a version that nothing pins',
    to: {},
    given: { ledger: { published: unpublished } },
    says: [
      `WH-M13 forbidden: version 1.0.0 was published before under this name from commit ${COMMIT} (now unpublished)`,
    ],
    twin: {
      to: { annotations: { 'sallyport.dev/pins': `1.0.0=${COMMIT}` } },
      given: { ledger: { published: unpublished } },
    },
  },
  {
    title: 'WH-M13 a Module comes back from another repository',
    to: { versions: ['2.0.0'], config: { repoUrl: 'https://github.com/evil/vpc' } },
    given: { ledger: { published: unpublished } },
    says: [
      `WH-M13 forbidden: a Module of this name published 1.0.0 from "${SOURCE}", and this one comes from "github.com/evil/vpc"`,
    ],
    twin: {
      to: { versions: ['2.0.0'], config: { repoUrl: 'https://github.com/Acme/terraform-aws-vpc.git' } },
      given: { ledger: { published: unpublished } },
    },
  },
  {
    title: 'WH-M13 a Module that was migrated comes back from where it was before',
    to: { versions: ['3.0.0'] },
    given: { ledger: { published: migrated } },
    says: [
      `WH-M13 forbidden: a Module of this name published 1.1.0 from "github.com/acme/moved", and this one comes from "${SOURCE}"`,
    ],
    twin: {
      to: { versions: ['3.0.0'], config: { repoUrl: 'https://github.com/acme/moved' } },
      given: { ledger: { published: migrated } },
    },
  },
  {
    title:
      'WH-M13 a Module that was migrated, and has published nothing since, comes back from where it was before',
    to: { versions: ['3.0.0'] },
    given: { ledger: { published: movedSince } },
    says: [
      `WH-M13 forbidden: a Module of this name was moved to "github.com/acme/moved", and this one comes from "${SOURCE}"`,
    ],
    twin: {
      to: { versions: ['3.0.0'], config: { repoUrl: 'https://github.com/acme/moved' } },
      given: { ledger: { published: movedSince } },
    },
  },
  {
    title: 'WH-M13 a Module that was migrated comes back from elsewhere, and nobody knows when it published',
    to: { versions: ['3.0.0'], config: { repoUrl: 'https://github.com/evil/vpc' } },
    given: { ledger: { published: migratedSomeTime } },
    says: [
      `WH-M13 forbidden: a Module of this name published 1.0.0 from "${SOURCE}", and this one comes from "github.com/evil/vpc"`,
    ],
    twin: {
      to: { versions: ['3.0.0'], config: { repoUrl: 'https://github.com/acme/moved' } },
      given: { ledger: { published: migratedSomeTime } },
    },
  },
  {
    title: 'WH-M13 leaving immutable out of it does not help',
    to: MUTABLE,
    given: { ledger: { published: unpublished } },
    says: [
      `WH-M13 forbidden: version 1.0.0 was published before under this name from commit ${COMMIT} (now unpublished)`,
      'WH-M4 notice: this Module does not say immutable: true, so its published versions can be replaced',
    ],
    twin: {
      to: MUTABLE,
      given: {
        ledger: { published: new Map([['1.0.0', published({ state: 'unpublished', immutable: false })]]) },
      },
      says: [
        'WH-M13 notice: version 1.0.0 was published before under this name (now unpublished)',
        'WH-M4 notice: this Module does not say immutable: true, so its published versions can be replaced',
      ],
    },
  },
  {
    title: 'WH-M14 the garbage collector deletes a Module with published versions',
    from: {},
    given: { user: collector },
    says: ['WH-M14 forbidden: this Module published 1.0.0, 1.1.0 and would be deleted'],
    twin: { from: { versions: [] }, given: { user: collector } },
  },
  {
    title: 'WH-M14 the namespace controller empties a Namespace whose deletion nobody admitted',
    from: {},
    given: { user: namespaces },
    says: ['WH-M14 forbidden: this Module published 1.0.0, 1.1.0 and would be deleted'],
    twin: { from: {}, given: { user: namespaces, ledger: { isNamespaceTerminating: true } } },
  },
  {
    title: 'WH-M15 a label goes, and the policy with it',
    from: { labels: { tier: 'gold' } },
    to: { labels: {} },
    given: { policy: aPolicy({ selector: { namespaces: ['infra'], labels: new Map([['tier', 'gold']]) } }) },
    says: ['WH-M15 forbidden: the label "tier=gold" goes, and with it the policy that covers this Module'],
    twin: {
      from: { labels: { tier: 'gold' } },
      to: { labels: { tier: 'gold', team: 'a' } },
      given: {
        policy: aPolicy({ selector: { namespaces: ['infra'], labels: new Map([['tier', 'gold']]) } }),
      },
    },
  },
])

t.test('WH-M6 a reason that was there before moves nothing', async (t) => {
  const annotations = { 'sallyport.dev/migrate': 'last year' }
  const elsewhere = { ...s3({ bucket: 'b' }) }
  const given = { mayDo: ['migrate'] } as const
  t.notOk(judged(aModule({ annotations }), aModule({ annotations, config: elsewhere }), given).allowed)
  const anew = { 'sallyport.dev/migrate': 'this year' }
  t.ok(judged(aModule({ annotations }), aModule({ annotations: anew, config: elsewhere }), given).allowed)
})

t.test('WH-M2 a password in an address is not repeated', async (t) => {
  const verdict = judged(aModule(), aModule({ config: { repoUrl: 'https://bot:hunter2@github.com/acme/x' } }))
  t.same(said(verdict), [
    'WH-M2 forbidden: moduleConfig.repoUrl is "https://github.com/acme/terraform-aws-vpc" since versions were published, and would become "https://github.com/acme/x"',
  ])
})

t.test('WH-M4 a new Module that is not immutable is told so, and only then', async (t) => {
  const created = judged(undefined, aModule(MUTABLE), { policy: undefined, user: alice })
  t.ok(created.allowed)
  t.match(created.warnings, [/^WH-M4: this Module does not say immutable: true/])
  t.same(said(judged(aModule(MUTABLE), aModule(MUTABLE))), [])
})

t.test('WH-M8 credentials change no content: allowed, not warned of, written down', async (t) => {
  const to = { config: { githubClientConfig: { useAuthenticatedClient: true }, ...s3({}) } }
  const verdict = judged(aModule(), aModule(to))
  t.same(said(verdict), ['WH-M8 notice: useAuthenticatedClient becomes true'])
  t.ok(verdict.allowed)
  t.same(verdict.warnings, [])
  t.same(
    [...verdict.annotations],
    [
      ['publisher', 'system:serviceaccount:argocd:argocd-application-controller'],
      ['rule', 'WH-M8'],
      ['mode', 'audit'],
    ],
  )
  const storageConfig = { s3: { bucket: 'acme-modules', region: 'us-west-2' }, presign: { enabled: true } }
  const presigned = judged(aModule(), aModule({ config: { storageConfig } }))
  t.same(said(presigned), ['WH-M8 notice: how archives are handed out changes (presign)'])
})

t.test('WH-M9 forceSync on a Module resets itself and is let through', async (t) => {
  const before = aModule()
  t.same(said(judged(before, { ...before, forceSync: true })), [])
})

t.test('a mode of the policy turns a refusal into a warning or a line of the audit log', async (t) => {
  const before = aModule()
  const after = aModule({ versions: ['1.1.0'] })
  const warned = judged(before, after, { policy: aPolicy({ modes: { 'WH-V1': 'warn' } }) })
  t.ok(warned.allowed)
  t.match(warned.warnings, [
    /^WH-V1: version 1\.0\.0 was published and is taken off spec\.versions\. Instead: put what was published back in git/,
  ])
  t.equal(warned.annotations.get('mode'), 'warn')
  const noted = judged(before, after, { policy: aPolicy({ modes: { 'WH-V1': 'audit' } }) })
  t.ok(noted.allowed)
  t.same(noted.warnings, [])
  t.equal(noted.annotations.get('rule'), 'WH-V1')
  t.notOk(judged(before, after, { policy: aPolicy({ modes: { 'WH-V2': 'warn' } }) }).allowed)
})

t.test('an exception names rule, Module, version, approver and end, and each of them counts', async (t) => {
  const exception = {
    rules: ['WH-V1'] as const,
    modules: ['infra/terraform-aws-vpc'],
    versions: ['1.0.0'],
    untilSeconds: 1_800_000_060,
    approver: 'bob',
    reason: 'leaked a key',
  }
  const allowedWith = (edit: Partial<typeof exception> | { rules: readonly ['WH-V2'] }): boolean =>
    judged(aModule(), aModule({ versions: ['1.1.0'] }), {
      policy: aPolicy({ exceptions: [{ ...exception, ...edit }] }),
    }).allowed
  t.ok(allowedWith({}))
  t.ok(allowedWith({ versions: [] }), 'no version named: all')
  t.notOk(allowedWith({ rules: ['WH-V2'] }))
  t.notOk(allowedWith({ modules: ['other/terraform-aws-vpc'] }))
  t.notOk(allowedWith({ versions: ['1.1.0'] }))
  t.notOk(allowedWith({ untilSeconds: 1_800_000_000 }))
  const verdict = judged(aModule(), aModule({ versions: ['1.1.0'] }), {
    policy: aPolicy({ exceptions: [exception] }),
  })
  t.match(verdict.warnings, [/^WH-V1 \(exception approved by "bob"\): version 1\.0\.0/])
})

t.test('a controller may do nothing to an immutable Module that others may not, but respell', async (t) => {
  for (const config of [
    { immutable: false },
    { provider: 'google' },
    s3({ bucket: 'b' }),
    { versionHistoryLimit: 1 },
  ])
    t.notOk(judged(aModule(), aModule({ config }), { user: controller }).allowed, JSON.stringify(config))
})
