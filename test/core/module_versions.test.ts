import t from 'tap'
import { actorOf } from '../../src/core/module/actor.ts'
import { verbsAskedFor } from '../../src/core/module/break_glass.ts'
import {
  aModule,
  aPolicy,
  alice,
  argo,
  checkRows,
  controller,
  judged,
  moduleChange,
  MUTABLE,
  pipeline,
  published,
  said,
} from '../support/module_changes.ts'
import type { Json } from '../support/module_changes.ts'

const COMMIT = '9f2c1d7e5b0a4c6f8e3d2b1a0c9f8e7d6c5b4a39'
const OTHER = '0000000000000000000000000000000000000001'
const tombstone = new Map([['1.2.0', published({ state: 'unpublished', commit: COMMIT })]])
const two = { versions: ['1.0.0', '1.1.0'] }
const three = { versions: ['1.0.0', '1.1.0', '1.2.0'] }

checkRows(t, [
  {
    title: 'WH-V1 a version is taken off the list',
    from: two,
    to: { versions: ['1.1.0'] },
    says: ['WH-V1 forbidden: version 1.0.0 was published and is taken off spec.versions'],
    twin: { from: two, to: three },
  },
  {
    title: 'WH-V1 what is stored of the version is named',
    from: two,
    to: { versions: ['1.1.0'] },
    given: {
      ledger: { published: new Map([['1.0.0', published({ commit: COMMIT, by: 'ci:repo:acme/x' })]]) },
    },
    says: [
      `WH-V1 forbidden: version 1.0.0 was published from commit ${COMMIT} by "ci:repo:acme/x" and is taken off spec.versions`,
    ],
    twin: { from: two, to: two },
  },
  {
    title:
      'WH-V1 a whole list of one new version replaces the published ones (seed 000 on an immutable Module)',
    from: two,
    to: { versions: ['1.2.0'] },
    says: [
      'WH-V1 forbidden: version 1.0.0 was published and is taken off spec.versions',
      'WH-V1 forbidden: version 1.1.0 was published and is taken off spec.versions',
    ],
    twin: { from: two, to: three },
  },
  {
    title: 'WH-V1 an old entry that is no version goes',
    from: { versions: ['1.0', '1.1.0'] },
    to: { versions: ['1.1.0'] },
    says: ['WH-V1 forbidden: version "1.0" was published and is taken off spec.versions'],
    twin: { from: { versions: ['1.0', '1.1.0'] }, to: { versions: ['1.0', '1.1.0', '1.2.0'] } },
  },
  {
    title: 'WH-V1 a policy makes immutable what does not say so',
    from: { ...MUTABLE, ...two },
    to: { ...MUTABLE, versions: ['1.1.0'] },
    given: { policy: aPolicy({ immutability: 'required' }) },
    says: ['WH-V1 forbidden: version 1.0.0 was published and is taken off spec.versions'],
    twin: {
      from: { ...MUTABLE, ...two },
      to: { ...MUTABLE, versions: ['1.1.0'] },
      says: ['WH-V1 notice: version 1.0.0 was published and is taken off spec.versions'],
    },
  },
  {
    title: 'WH-V1 what was published as immutable stays so in a Module that is not',
    from: { ...MUTABLE, ...two },
    to: { ...MUTABLE, versions: ['1.1.0'] },
    given: { ledger: { published: new Map([['1.0.0', published()]]) } },
    says: ['WH-V1 forbidden: version 1.0.0 was published and is taken off spec.versions'],
    twin: {
      from: { ...MUTABLE, ...two },
      to: { ...MUTABLE, versions: ['1.1.0'] },
      given: { ledger: { published: new Map([['1.0.0', published({ immutable: false })]]) } },
      says: ['WH-V1 notice: version 1.0.0 was published and is taken off spec.versions'],
    },
  },
  {
    title: 'WH-V1 unpublishing takes the verb and an annotation that names the version: the annotation alone',
    from: two,
    to: { versions: ['1.1.0'], annotations: { 'sallyport.dev/unpublish': '1.0.0: leaked a key' } },
    says: ['WH-V1 forbidden: version 1.0.0 was published and is taken off spec.versions'],
    twin: {
      from: two,
      to: { versions: ['1.1.0'], annotations: { 'sallyport.dev/unpublish': '1.0.0: leaked a key' } },
      given: { mayDo: ['unpublish'] },
      says: [
        'WH-V1 notice: version 1.0.0 was published and is taken off spec.versions: unpublished ("leaked a key")',
      ],
    },
  },
  {
    title:
      'WH-V1 unpublishing takes the verb and an annotation that names the version: another version is named',
    from: two,
    to: { versions: ['1.1.0'], annotations: { 'sallyport.dev/unpublish': '1.1.0: leaked a key' } },
    given: { mayDo: ['unpublish'] },
    says: ['WH-V1 forbidden: version 1.0.0 was published and is taken off spec.versions'],
    twin: {
      from: two,
      to: { versions: ['1.1.0'], annotations: { 'sallyport.dev/unpublish': '0.9.0, 1.0.0: leaked a key' } },
      given: { mayDo: ['unpublish', 'migrate'] },
      says: [
        'WH-V1 notice: version 1.0.0 was published and is taken off spec.versions: unpublished ("leaked a key")',
      ],
    },
  },
  {
    title: 'WH-V1 an exception of the policy has ended',
    from: two,
    to: { versions: ['1.1.0'] },
    given: { policy: aPolicy({ exceptions: [excepted(1_800_000_000)] }) },
    says: ['WH-V1 forbidden: version 1.0.0 was published and is taken off spec.versions'],
    twin: {
      from: two,
      to: { versions: ['1.1.0'] },
      given: { policy: aPolicy({ exceptions: [excepted(1_800_000_001)] }) },
      says: ['WH-V1 forbidden: version 1.0.0 was published and is taken off spec.versions'],
    },
  },
  {
    title: 'WH-V2 a version that was unpublished comes back',
    from: two,
    to: three,
    given: { ledger: { published: tombstone } },
    says: [
      `WH-V2 forbidden: version 1.2.0 was published before from commit ${COMMIT} (now unpublished) and is added again`,
    ],
    twin: {
      from: two,
      to: { ...three, annotations: { 'sallyport.dev/pins': `1.2.0=${COMMIT}` } },
      given: { ledger: { published: tombstone } },
    },
  },
  {
    title: 'WH-V2 it comes back pinned to another commit',
    from: two,
    to: { ...three, annotations: { 'sallyport.dev/pins': `1.2.0=${OTHER}` } },
    given: { ledger: { published: tombstone } },
    says: [
      `WH-V2 forbidden: version 1.2.0 was published before from commit ${COMMIT} (now unpublished) and is added again`,
      `WH-P2 forbidden: version 1.2.0 was published from ${COMMIT}, and its pin would say something else`,
    ],
    twin: { from: two, to: { ...three, annotations: { 'sallyport.dev/pins': `1.2.0=${OTHER}` } } },
  },
  {
    title: 'WH-V3 a version is replaced in its place',
    from: two,
    to: { versions: ['1.0.0', '1.2.0'] },
    says: ['WH-V3 forbidden: version 1.1.0 was published and is taken off spec.versions'],
    twin: { from: two, to: three },
  },
  {
    title: 'WH-V4 a kept version is spelled another way',
    from: two,
    to: { versions: ['v1.0.0', '1.1.0'] },
    says: ['WH-V4 forbidden: version 1.0.0 is stored as "1.0.0" and would be written another way'],
    twin: {
      from: two,
      to: { versions: ['v1.0.0', '1.1.0'] },
      given: { user: controller },
      says: ['WH-V4 notice: version 1.0.0 is stored as "1.0.0" and would be written another way'],
    },
  },
  {
    title: 'WH-V4 one version is listed in two spellings',
    from: two,
    to: { versions: ['1.0.0', '1.1.0', 'v1.1.0'] },
    says: ['WH-V4 invalid: version "1.1.0" is listed twice'],
    twin: { from: { versions: ['1.1.0', 'v1.1.0'] }, to: { versions: ['1.1.0', 'v1.1.0', '1.2.0'] } },
  },
  {
    title: 'WH-V4 an entry says more than version',
    from: two,
    to: { versions: ['1.0.0', '1.1.0', { version: '1.2.0', fileName: 'x.zip' }] },
    says: [
      'WH-V4 invalid: the entry of version 1.2.0 has the field "fileName"; OpenDepot deletes a Version whose entry says more than version',
    ],
    twin: {
      from: { versions: [{ version: '1.0.0', synced: true }] },
      to: { versions: [{ version: '1.0.0', synced: true }, '1.2.0'] },
    },
  },
  {
    title: 'WH-V4 two other fields become one that is named as both',
    from: { versions: [{ version: '1.0.0', a: true, b: true }] },
    to: { versions: [{ version: '1.0.0', 'a\nb': true }] },
    says: [
      'WH-V4 invalid: the entry of version 1.0.0 has the field "a\\u{a}b"; OpenDepot deletes a Version whose entry says more than version',
    ],
    twin: {
      from: { versions: [{ version: '1.0.0', a: true, b: true }] },
      to: { versions: [{ version: '1.0.0', a: true, b: true }, '1.1.0'] },
    },
  },
  {
    title: 'WH-V4 two other fields become two of other names that read the same in a row',
    from: { versions: [{ version: '1.0.0', 'a\nb': true, c: true }] },
    to: { versions: [{ version: '1.0.0', a: true, 'b\nc': true }] },
    says: [
      'WH-V4 invalid: the entry of version 1.0.0 has the field "a"; OpenDepot deletes a Version whose entry says more than version',
    ],
    twin: {
      from: { versions: [{ version: '1.0.0', 'a\nb': true, c: true }] },
      to: { versions: [{ version: '1.0.0', 'a\nb': true, c: true }, '1.1.0'] },
    },
  },
  {
    title: 'WH-V6 build metadata',
    from: two,
    to: { versions: [...two.versions, '1.2.0+linux'] },
    says: ['WH-V6 invalid: "1.2.0+linux" is not a version: it has build metadata (the part from + on)'],
    twin: { from: two, to: { versions: [...two.versions, '1.2.0-linux'] } },
  },
  {
    title: 'WH-V9 monotonic: a new version is below the newest',
    from: { versions: ['1.0.0', '2.0.0'] },
    to: { versions: ['1.0.0', '2.0.0', '1.1.0'] },
    given: { policy: aPolicy({ ordering: 'monotonic' }) },
    says: ['WH-V9 forbidden: version 1.1.0 is below 2.0.0, the newest published (ordering: monotonic)'],
    twin: {
      from: { versions: ['1.0.0', '2.0.0'] },
      to: { versions: ['1.0.0', '2.0.0', '1.1.0'] },
      given: { policy: aPolicy({ ordering: 'backport' }) },
    },
  },
  {
    title: 'WH-V9 backport: a new version is below the newest of its major',
    from: { versions: ['1.4.0', '2.0.0'] },
    to: { versions: ['1.4.0', '2.0.0', '1.3.9'] },
    given: { policy: aPolicy({ ordering: 'backport' }) },
    says: [
      'WH-V9 forbidden: version 1.3.9 is below 1.4.0, the newest published of major 1 (ordering: backport)',
    ],
    twin: { from: { versions: ['1.4.0', '2.0.0'] }, to: { versions: ['1.4.0', '2.0.0', '1.3.9'] } },
  },
  {
    title: 'WH-V9 what was unpublished counts as published',
    from: two,
    to: { versions: [...two.versions, '1.1.5'] },
    given: { policy: aPolicy({ ordering: 'monotonic' }), ledger: { published: tombstone } },
    says: ['WH-V9 forbidden: version 1.1.5 is below 1.2.0, the newest published (ordering: monotonic)'],
    twin: {
      from: two,
      to: { versions: [...two.versions, '1.2.1'] },
      given: { policy: aPolicy({ ordering: 'monotonic' }), ledger: { published: tombstone } },
    },
  },
  {
    title: 'WH-V11 more than 500 versions',
    from: two,
    to: { versions: many(501) },
    says: ['WH-V11 invalid: spec.versions would have 501 entries, the most is 500'],
    twin: { from: two, to: { versions: many(500) } },
  },
  {
    title: 'WH-V12 a limit would prune what is immutable',
    from: two,
    to: { ...two, config: { versionHistoryLimit: 2 } },
    says: [
      'WH-V12 invalid: versionHistoryLimit 2 takes published versions away, and this Module is immutable',
    ],
    twin: {
      from: { ...two, ...MUTABLE },
      to: { ...two, config: { immutable: undefined, versionHistoryLimit: 2 } },
    },
  },
  {
    title: 'WH-V12 a Module with a limit becomes immutable',
    from: { ...two, config: { immutable: false, versionHistoryLimit: 2 } },
    to: { ...two, config: { immutable: true, versionHistoryLimit: 2 } },
    says: [
      'WH-V12 invalid: versionHistoryLimit 2 takes published versions away, and this Module is immutable',
    ],
    twin: {
      from: { ...two, config: { immutable: true, versionHistoryLimit: 2 } },
      to: { ...three, config: { immutable: true, versionHistoryLimit: 2 } },
    },
  },
  {
    title: 'WH-V12 a limit above the number of versions crashes the controller',
    to: { ...two, config: { immutable: false, versionHistoryLimit: 3 } },
    says: [
      "WH-V12 invalid: versionHistoryLimit 3 is above the 2 versions listed, and OpenDepot's controller crashes on that",
      notImmutable(),
    ],
    twin: { to: { ...two, config: { immutable: false, versionHistoryLimit: 2 } }, says: [notImmutable()] },
  },
  {
    title: 'WH-V13 a controller trims what is immutable',
    from: { ...two, config: { versionHistoryLimit: 1 } },
    to: { versions: ['v1.1.0'], config: { versionHistoryLimit: 1 } },
    given: { user: controller },
    says: [
      'WH-V13 forbidden: version 1.0.0 was published and is taken off spec.versions',
      'WH-V4 notice: version 1.1.0 is stored as "1.1.0" and would be written another way',
    ],
    twin: {
      from: { ...two, config: { immutable: false, versionHistoryLimit: 1 } },
      to: { versions: ['1.1.0'], config: { immutable: false, versionHistoryLimit: 1 } },
      given: { user: controller },
    },
  },
  {
    title: 'WH-D1 a Depot drops what upstream deleted',
    from: two,
    to: { versions: ['1.1.0'] },
    given: { user: controller },
    says: ['WH-D1 forbidden: version 1.0.0 was published and is taken off spec.versions'],
    twin: {
      from: { ...two, ...MUTABLE },
      to: { ...MUTABLE, versions: ['1.1.0'] },
      given: { user: controller },
      says: ['WH-D1 notice: version 1.0.0 was published and is taken off spec.versions'],
    },
  },
])

for (const [text, problem] of [
  ['', 'it is empty'],
  ['1.0', 'it is not MAJOR.MINOR.PATCH with an optional pre-release, as SemVer 2.0.0 writes them'],
  ['main', 'it is not MAJOR.MINOR.PATCH with an optional pre-release, as SemVer 2.0.0 writes them'],
  [
    'refs/heads/main',
    'it is not MAJOR.MINOR.PATCH with an optional pre-release, as SemVer 2.0.0 writes them',
  ],
  ['01.0.0', 'it is not MAJOR.MINOR.PATCH with an optional pre-release, as SemVer 2.0.0 writes them'],
  ['vv1.0.0', 'it is not MAJOR.MINOR.PATCH with an optional pre-release, as SemVer 2.0.0 writes them'],
  ['1.0.0 ', 'it is not MAJOR.MINOR.PATCH with an optional pre-release, as SemVer 2.0.0 writes them'],
  ['1.0.0-01', 'its pre-release has an empty part or a number with a leading zero'],
  ['1.0.0-a..b', 'its pre-release has an empty part or a number with a leading zero'],
  [`1.0.0-${'a'.repeat(60)}`, 'it is longer than 64 characters'],
] as const) {
  t.test(`WH-V7 ${JSON.stringify(text.slice(0, 20))} is no version`, async (t) => {
    const verdict = judged(aModule(two), aModule({ versions: [...two.versions, text] }))
    const shown = `WH-V7 invalid: "${text}" is not a version: ${problem}`
    t.same(said(verdict), [shown])
    t.notOk(verdict.allowed)
    t.ok(
      judged(aModule({ versions: ['1.0.0', text] }), aModule({ versions: ['1.0.0', text, '1.1.0'] })).allowed,
    )
  })
}

t.test('WH-V7 an entry without a version, and a text that would clear a terminal', async (t) => {
  t.same(said(judged(aModule(two), aModule({ versions: [...two.versions, {}] }))), [
    'WH-V7 invalid: "" is not a version: it is empty',
  ])
  t.match(said(judged(aModule(two), aModule({ versions: [...two.versions, '\u001b[2J\u202e1.0.0'] }))), [
    String.raw`WH-V7 invalid: "\u{1b}[2J\u{202e}1.0.0" is not a version: `,
  ])
})

t.test('WH-V1 an asterisk is for deleting a Module, not for taking versions off its list', async (t) => {
  const annotations = { 'sallyport.dev/unpublish': '*: retired' }
  const given = { mayDo: ['unpublish'] } as const
  t.notOk(judged(aModule({ annotations }), aModule({ annotations, versions: ['1.1.0'] }), given).allowed)
  t.ok(judged(aModule({ annotations }), undefined, given).allowed)
})

const asked = (annotations: Json): readonly string[] =>
  verbsAskedFor(moduleChange(aModule(), aModule({ annotations, versions: ['1.1.0'] })))

t.test('the server is asked for a verb only where an annotation wants it', async (t) => {
  t.same(asked({}), [])
  t.same(asked({ 'sallyport.dev/unpublish': '1.0.0: leaked a key' }), ['unpublish'])
  t.same(asked({ 'sallyport.dev/unpublish': '1.0.0' }), [], 'no reason')
  t.same(asked({ 'sallyport.dev/unpublish': ': leaked a key' }), [], 'no version')
  t.same(asked({ 'sallyport.dev/migrate': 'moved' }), ['migrate'])
  const deleting = moduleChange(
    aModule({ annotations: { 'sallyport.dev/unpublish': '*: retired' } }),
    undefined,
  )
  t.same(verbsAskedFor(deleting), ['unpublish'])
  const leftBehind = { annotations: { 'sallyport.dev/unpublish': '1.0.0: leaked a key' } }
  const labelled = moduleChange(aModule(leftBehind), aModule({ ...leftBehind, labels: { a: 'b' } }))
  t.same(verbsAskedFor(labelled), [], 'nothing goes')
})

t.test('WH-V9 what comes back as what it was has its place', async (t) => {
  const ledger = { published: new Map([['1.0.0', published({ state: 'unpublished', commit: COMMIT })]]) }
  const annotations = { 'sallyport.dev/pins': `1.0.0=${COMMIT}` }
  const policy = aPolicy({ ordering: 'monotonic' })
  const from = aModule({ versions: ['1.1.0'] })
  t.same(said(judged(from, aModule({ versions: ['1.1.0', '1.0.0'], annotations }), { ledger, policy })), [])
  t.same(said(judged(from, aModule({ versions: ['1.1.0', '1.0.0'] }), { policy })), [
    'WH-V9 forbidden: version 1.0.0 is below 1.1.0, the newest published (ordering: monotonic)',
  ])
})

t.test('WH-V10 the order of the list means nothing', async (t) => {
  const verdict = judged(aModule(three), aModule({ versions: ['1.2.0', '1.0.0', '1.1.0'] }))
  t.same(said(verdict), [])
  t.ok(verdict.allowed)
})

t.test(
  'WH-X1 writing nothing, labels or annotations is never judged, even on what breaks every rule',
  async (t) => {
    const broken = {
      versions: ['1.0', 'v1.1.0', '1.1.0', 'main', ...many(520)],
      config: {
        name: 'other',
        fileFormat: 'rar',
        versionHistoryLimit: 5,
        storageConfig: { s3: {}, gcs: {} },
      },
    }
    for (const edit of [{}, { labels: { team: 'a' } }, { annotations: { note: 'x' } }]) {
      const verdict = judged(aModule(broken), aModule({ ...broken, ...edit }), {
        user: alice,
        policy: undefined,
      })
      t.same(said(verdict), [])
      t.ok(verdict.allowed)
    }
  },
)

t.test('WH-X1 finalizers go from a Module that is being deleted', async (t) => {
  const metadata = { deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: ['a'] }
  const verdict = judged(aModule({ metadata }), aModule({ metadata: { ...metadata, finalizers: [] } }))
  t.same(said(verdict), [])
  t.ok(judged(aModule({ metadata }), undefined).allowed, 'and deleting it again changes nothing')
})

t.test('WH-X2 a dry run has the same verdict', async (t) => {
  const dryRun = judged(aModule(two), aModule({ versions: ['1.1.0'] }), { dryRun: true })
  t.same(dryRun, judged(aModule(two), aModule({ versions: ['1.1.0'] })))
  t.notOk(dryRun.allowed)
  t.ok(judged(aModule(two), aModule(three), { dryRun: true }).allowed)
})

t.test(
  'seed 000 without a policy: a role appends, re-applies a list without a version, and sets a limit',
  async (t) => {
    const seed = { ...MUTABLE, versions: ['21.10.1', '21.11.0', '21.12.0'] }
    const given = { user: alice, policy: undefined }
    const appended = judged(
      aModule(seed),
      aModule({ ...seed, versions: [...seed.versions, '21.13.0'] }),
      given,
    )
    t.ok(appended.allowed)
    t.same(
      appended.warnings.map((warning) => warning.slice(0, 5)),
      ['WH-P1'],
    )
    const removed = judged(aModule(seed), aModule({ ...seed, versions: ['21.11.0', '21.12.0'] }), given)
    t.ok(removed.allowed)
    t.same(removed.warnings, ['WH-V1: version 21.10.1 was published and is taken off spec.versions'])
    const published21 = new Map([['21.10.1', published({ immutable: false, state: 'unpublished' })]])
    const again = judged(
      aModule({ ...seed, versions: ['21.11.0'] }),
      aModule({ ...seed, versions: ['21.11.0', '21.10.1'] }),
      {
        ...given,
        ledger: { published: published21 },
      },
    )
    t.ok(again.allowed)
    t.match(again.warnings, [/^WH-V2: version 21\.10\.1 was published before \(now unpublished\)/, /^WH-P1/])
    t.ok(actorOf(argo, undefined).kind === 'human')
    t.ok(
      judged(aModule(seed), aModule({ ...seed, config: { immutable: false, versionHistoryLimit: 3 } }), given)
        .allowed,
    )
  },
)

t.test('the verdict is the same whoever publishes an untouched list', async (t) => {
  for (const user of [alice, argo, controller, pipeline()])
    t.same(said(judged(aModule(two), aModule(two), { user })), [])
})

function many(count: number): readonly string[] {
  return ['1.0.0', '1.1.0', ...Array.from({ length: count - 2 }, (_, index) => `3.${index}.0`)]
}

function excepted(untilSeconds: number) {
  return {
    rules: ['WH-V1'] as const,
    modules: ['infra/terraform-aws-vpc'],
    versions: ['1.0.0'],
    untilSeconds,
    approver: 'bob',
    reason: 'CVE-2026-1',
  }
}

function notImmutable(): string {
  return 'WH-M4 notice: this Module does not say immutable: true, so its published versions can be replaced'
}

function thousands(major: number): readonly string[] {
  return Array.from({ length: 4000 }, (_, index) => `${major}.0.${index}`)
}

t.test('WH-V9 thousands of versions are put in order as fast as they are read', async (t) => {
  const began = performance.now()
  for (const ordering of ['monotonic', 'backport'] as const) {
    const verdict = judged(aModule({ versions: thousands(2) }), aModule({ versions: thousands(1) }), {
      policy: aPolicy({ ordering }),
    })
    t.equal(
      verdict.findings.some(({ rule }) => rule === 'WH-V9'),
      ordering === 'monotonic',
    )
  }
  t.ok(performance.now() - began < 3000)
})
