// Providers are lists of versions, too: what holds of a Module's holds of theirs, where it means the same.
import t from 'tap'
import type { ProviderChange } from '../../src/core/module/change.ts'
import { judgeChange } from '../../src/core/module/judge_change.ts'
import { readProvider } from '../../src/core/module/module_object.ts'
import type { ProviderObject } from '../../src/core/module/module_object.ts'
import type { ModulePolicySpec } from '../../src/core/module/module_policy.ts'
import type { Verdict } from '../../src/core/module/verdict.ts'
import { denialOf, isDenial } from '../../src/core/module/verdict_message.ts'
import { providerVersionObjectName } from '../../src/core/module/version_identity.ts'
import {
  aLedger,
  aPolicy,
  alice,
  around,
  controller,
  pipeline,
  published,
  said,
} from '../support/module_changes.ts'
import type { Circumstances, Json } from '../support/module_changes.ts'

type Edit = {
  readonly name?: string
  readonly versions?: readonly (string | Json)[]
  readonly config?: Json
  readonly labels?: Json
  readonly annotations?: Json
  readonly status?: Json
  readonly metadata?: Json
}

/** hashicorp/aws for two platforms. */
function aProvider(edit: Edit = {}): ProviderObject {
  const { name = 'aws', labels, annotations, status } = edit
  const read = readProvider({
    metadata: { name, namespace: 'infra', labels, annotations, ...edit.metadata },
    spec: {
      providerConfig: {
        name: 'aws',
        namespace: 'hashicorp',
        operatingSystems: ['linux'],
        architectures: ['amd64', 'arm64'],
        storageConfig: { s3: { bucket: 'acme-providers', region: 'us-west-2' } },
        ...edit.config,
      },
      versions: (edit.versions ?? ['5.0.0', '5.1.0']).map((entry) =>
        typeof entry === 'string' ? { version: entry } : entry,
      ),
    },
    status,
  })
  if (!read.ok) throw new Error(read.denial)
  return read.value
}

const required = (edit: Partial<ModulePolicySpec> = {}) => aPolicy({ immutability: 'required', ...edit })

type Given = Circumstances & { readonly subResource?: '' | 'status' }

/** By Argo CD, under a policy by which nothing changes. */
function judged(
  old: ProviderObject | undefined,
  next: ProviderObject | undefined,
  given: Given = {},
): Verdict {
  const policy = 'policy' in given ? given.policy : required()
  const { subResource = '' } = given
  const change: ProviderChange = {
    ...around(old, next, { ...given, policy }),
    resource: 'providers',
    subResource,
    old,
    new: next,
  }
  return judgeChange(change, policy, aLedger(given.ledger))
}

const optional = { policy: aPolicy() }
const three = ['5.0.0', '5.1.0', '5.2.0']

type Row = readonly [
  title: string,
  old: Edit | undefined,
  next: Edit | undefined,
  says: readonly string[],
  given?: Given,
]

const REFUSED: readonly Row[] = [
  [
    'WH-V1 a version is taken off the list',
    {},
    { versions: ['5.1.0'] },
    ['WH-V1 forbidden: version 5.0.0 was published and is taken off spec.versions'],
  ],
  [
    'WH-V2 a version comes back',
    {},
    { versions: three },
    ['WH-V2 forbidden: version 5.2.0 was published before (now unpublished) and is added again'],
    { ledger: { published: new Map([['5.2.0', published({ state: 'unpublished' })]]) } },
  ],
  [
    'WH-V3 a version is written over',
    {},
    { versions: ['5.0.0', '5.2.0'] },
    ['WH-V3 forbidden: version 5.1.0 was published and is taken off spec.versions'],
  ],
  [
    'WH-V6 build metadata',
    {},
    { versions: [...three, '5.3.0+x'] },
    ['WH-V6 invalid: "5.3.0+x" is not a version: it has build metadata (the part from + on)'],
  ],
  [
    'WH-V7 what is no version',
    {},
    { versions: [...three, 'latest'] },
    [
      'WH-V7 invalid: "latest" is not a version: it is not MAJOR.MINOR.PATCH with an optional pre-release, as SemVer 2.0.0 writes them',
    ],
  ],
  [
    'WH-V9 a version below the newest',
    {},
    { versions: [...three, '5.0.1'] },
    ['WH-V9 forbidden: version 5.0.1 is below 5.1.0, the newest published (ordering: monotonic)'],
    { policy: required({ ordering: 'monotonic' }) },
  ],
  [
    'WH-V11 more versions than any door can judge',
    { versions: [] },
    { versions: Array.from({ length: 501 }, (_, index) => `5.${index}.0`) },
    ['WH-V11 invalid: spec.versions would have 501 entries, the most is 500'],
  ],
  [
    'WH-V12 a limit that prunes',
    {},
    { config: { versionHistoryLimit: 2 } },
    ['WH-V12 invalid: versionHistoryLimit 2 takes published versions away, and this Provider is immutable'],
  ],
  [
    'WH-V13 a controller trims the list',
    { config: { versionHistoryLimit: 1 } },
    { config: { versionHistoryLimit: 1 }, versions: ['5.1.0'] },
    ['WH-V13 forbidden: version 5.0.0 was published and is taken off spec.versions'],
    { user: controller },
  ],
  [
    'WH-D1 a Depot drops what upstream withdrew',
    {},
    { versions: ['5.1.0'] },
    ['WH-D1 forbidden: version 5.0.0 was published and is taken off spec.versions'],
    { user: controller },
  ],
  [
    'WH-M1 it is called like another',
    undefined,
    { name: 'amazon', versions: [] },
    ['WH-M1 invalid: providerConfig.name is "aws", the Provider is "amazon"'],
  ],
  [
    'WH-M2 it mirrors another provider',
    {},
    { config: { namespace: 'evil' } },
    [
      'WH-M2 forbidden: providerConfig.namespace is "hashicorp" since versions were published, and would become "evil"',
    ],
  ],
  [
    'WH-M2 it loses a platform',
    {},
    { config: { architectures: ['amd64'] } },
    [
      'WH-M2 forbidden: providerConfig.architectures would no longer have "arm64", for which versions were published',
    ],
  ],
  [
    'WH-M6 its archives move',
    {},
    { config: { storageConfig: { s3: { bucket: 'evil', region: 'us-west-2' } } } },
    [
      'WH-M6 forbidden: published archives are in "s3 bucket=acme-providers region=us-west-2", and would be looked for in "s3 bucket=evil region=us-west-2"',
    ],
  ],
  [
    'WH-M7 two places',
    undefined,
    { config: { storageConfig: { s3: { bucket: 'a' }, gcs: { bucket: 'a' } } }, versions: [] },
    ['WH-M7 invalid: storageConfig names 2 places: s3, gcs'],
  ],
  [
    'WH-M10 the object of a platform belongs to another',
    {},
    { versions: three },
    [
      'WH-M10 forbidden: version 5.2.0 would be the object "aws-5-2-0-linux-arm64", which is the name of "infra/aws-5"',
    ],
    {
      ledger: { versionNameOwner: (name) => (name === 'aws-5-2-0-linux-arm64' ? 'infra/aws-5' : undefined) },
    },
  ],
  [
    'WH-M12 it is deleted',
    {},
    undefined,
    ['WH-M12 forbidden: this Provider published 5.0.0, 5.1.0 and would be deleted'],
  ],
  [
    'WH-M13 it is made again',
    undefined,
    {},
    ['WH-M13 forbidden: version 5.0.0 was published before under this name (now unpublished)'],
    { ledger: { published: new Map([['5.0.0', published({ state: 'unpublished' })]]) } },
  ],
  [
    'WH-M15 a label takes it from its policy',
    { labels: { team: 'a' } },
    {},
    ['WH-M15 forbidden: the label "team=a" goes, and with it the policy that covers this Provider'],
    { policy: required({ selector: { namespaces: [], labels: new Map([['team', 'a']]) } }) },
  ],
  [
    'WH-P1 a pipeline publishes a provider that nobody lists it for',
    {},
    { versions: three },
    [
      `WH-P1 forbidden: version 5.2.0 may not be published by "${pipeline().username}": its pipeline is of "github.com/acme/terraform-aws-vpc", this Provider is published by "a repository that the Provider names (it names none)"`,
    ],
    { user: pipeline() },
  ],
  [
    'WH-P1 somebody whom the policy does not list adds a platform',
    {},
    { config: { operatingSystems: ['linux', 'darwin'] } },
    [
      'WH-P1 forbidden: operatingSystems of this Provider may not be changed by "alice": nothing in its credentials names a repository',
    ],
    { user: alice },
  ],
  [
    'WH-P1 somebody whom the policy does not list mirrors from elsewhere',
    {},
    { config: { namespace: 'evil' } },
    [
      'WH-M2 notice: providerConfig.namespace is "hashicorp" since versions were published, and would become "evil"',
      'WH-P1 forbidden: namespace of this Provider may not be changed by "alice": nothing in its credentials names a repository',
    ],
    { user: alice, ...optional },
  ],
  [
    'WH-S1 its status is written by hand',
    {},
    { status: { synced: true } },
    ['WH-S1 forbidden: status is written by controllers, and "alice" is none'],
    { user: alice, subResource: 'status' },
  ],
]

for (const [title, old, next, says, given] of REFUSED) {
  t.test(`${title} of a Provider`, async (t) => {
    const before = old === undefined ? undefined : aProvider(old)
    const verdict = judged(before, next === undefined ? undefined : aProvider(next), given)
    t.same(said(verdict), says)
    t.notOk(verdict.allowed)
    t.ok(verdict.findings.filter(isDenial).every(({ wayOut }) => wayOut !== ''))
  })
}

const ALLOWED: readonly Row[] = [
  ['a new version', {}, { versions: three }, []],
  ['the same in another order', {}, { versions: ['5.1.0', '5.0.0'] }, []],
  ['another spelling, which makes no other object', {}, { versions: ['v5.0.0', '5.1.0'] }, []],
  [
    'one version for each platform',
    {},
    { versions: [...three, { version: '5.2.0', operatingSystem: 'darwin' }] },
    [],
  ],
  ['a platform more', {}, { config: { operatingSystems: ['linux', 'darwin'] } }, []],
  ['the same upstream, written out', { config: { namespace: undefined } }, {}, []],
  ['what is stored, whatever it is', { versions: ['x'] }, { versions: ['x'] }, []],
  [
    'a version that goes, where nothing says that it stays',
    {},
    { versions: ['5.1.0'] },
    ['WH-V1 notice: version 5.0.0 was published and is taken off spec.versions'],
    optional,
  ],
  [
    'a deletion, where nothing says that it stays',
    {},
    undefined,
    ['WH-M12 notice: this Provider published 5.0.0, 5.1.0 and would be deleted'],
    optional,
  ],
  [
    'a version that is unpublished by whoever may',
    {},
    { versions: ['5.1.0'], annotations: { 'sallyport.dev/unpublish': 'v5.0.0: it leaks' } },
    ['WH-V1 notice: version 5.0.0 was published and is taken off spec.versions: unpublished ("it leaks")'],
    { mayDo: ['unpublish'] },
  ],
  [
    'another upstream, migrated by whoever may',
    {},
    { config: { namespace: 'opentofu' }, annotations: { 'sallyport.dev/migrate': 'the fork moved' } },
    [
      'WH-M2 notice: providerConfig.namespace is "hashicorp" since versions were published, and would become "opentofu": migrated ("the fork moved")',
    ],
    { mayDo: ['migrate'] },
  ],
  [
    'credentials, which are written down',
    {},
    { config: { githubClientConfig: { useAuthenticatedClient: true } } },
    ['WH-M8 notice: useAuthenticatedClient becomes true'],
  ],
  [
    'a version of a pipeline that the policy lists',
    {},
    { versions: three },
    [],
    {
      user: pipeline({ ref: 'refs/heads/main' }),
      policy: required({
        publishers: [{ source: 'github.com/acme/terraform-aws-vpc', ids: [], refs: ['refs/heads/main'] }],
      }),
    },
  ],
  [
    'status by a controller',
    {},
    { status: { synced: true } },
    [],
    { user: controller, subResource: 'status' },
  ],
]

for (const [title, old, next, says, given] of ALLOWED) {
  t.test(`a Provider may have ${title}`, async (t) => {
    const before = old === undefined ? undefined : aProvider(old)
    const verdict = judged(before, next === undefined ? undefined : aProvider(next), given)
    t.same(said(verdict), says)
    t.ok(verdict.allowed)
  })
}

const many = (count: number, of: string): readonly string[] =>
  Array.from({ length: count }, (_, index) => `${of}${index}`)

const platforms = (systems: number, architectures: number): Edit => ({
  config: { operatingSystems: many(systems, 'o'), architectures: many(architectures, 'a') },
})

t.test('WH-V11 platforms multiply, and no review is held up by them', async (t) => {
  const huge = aProvider(platforms(10_000, 10_000))
  const began = performance.now()
  t.same(said(judged(undefined, huge)), [
    'WH-V11 invalid: operatingSystems and architectures would make 100000000 platforms, the most is 64',
  ])
  t.ok(performance.now() - began < 1000)
  t.same(said(judged(undefined, aProvider(platforms(8, 8)))), [])
  t.same(said(judged(huge, huge)), [], 'what is so already is let be')
})

t.test('WH-V11 a list of platforms is bounded, though the other one is empty', async (t) => {
  for (const [entry, systems, architectures] of [
    ['operatingSystems', 65, 0],
    ['architectures', 0, 65],
  ] as const) {
    const long = platforms(systems, architectures)
    const says = [`WH-V11 invalid: ${entry} would have 65 entries, the most is 64`]
    t.same(said(judged(undefined, aProvider({ ...long, versions: [] }))), says)
    const most = platforms(Math.min(systems, 64), Math.min(architectures, 64))
    t.same(said(judged(undefined, aProvider({ ...most, versions: [] }))), [])
    const stored = aProvider({ ...long, versions: [] })
    t.same(said(judged(stored, stored)), [], 'what is so already is let be')
  }
})

t.test('the way out names the Provider', async (t) => {
  const human = { users: ['alice'], groups: [] }
  const policy = required({ identities: { ...aPolicy().identities, human } })
  const verdict = judged(aProvider(), aProvider({ versions: ['5.2.0'] }), { user: alice, policy })
  t.match(
    denialOf(verdict)?.message,
    `kubectl patch provider aws -n infra --type json -p '[{"op":"add","path":"/spec/versions/-","value":{"version":"5.2.0"}}]'`,
  )
})

t.test('a Provider that is created where one is says so', async (t) => {
  const ledger = { provider: aProvider(), published: new Map([['5.0.0', published()]]) }
  t.same(said(judged(undefined, aProvider(), { ledger })), [
    'WH-M13 forbidden: this Provider exists already, with 2 versions, and cannot be created again',
  ])
})

t.test('a provider’s Version is named for its platform, as its controller names it', async (t) => {
  t.equal(
    providerVersionObjectName('AWS_x', 'v5.0.0-rc.1', 'linux', 'arm/v7'),
    'aws-x-5-0-0-rc-1-linux-arm-v7',
  )
})
