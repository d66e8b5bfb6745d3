import t from 'tap'
import type { KubeUser } from '../../src/core/kube/kube_user.ts'
import type { DepotChange, VersionChange } from '../../src/core/module/change.ts'
import { judgeChange } from '../../src/core/module/judge_change.ts'
import { readDepot, readModule, readProvider, readVersion } from '../../src/core/module/module_object.ts'
import type { DepotObject, VersionObject } from '../../src/core/module/module_object.ts'
import type { Verdict } from '../../src/core/module/verdict.ts'
import {
  aLedger,
  aModule,
  aPolicy,
  alice,
  argo,
  around,
  controller,
  judged,
  moduleChange,
  moduleJson,
  MUTABLE,
  pipeline,
  published,
  said,
  serviceAccount,
} from '../support/module_changes.ts'
import type { Circumstances, Json } from '../support/module_changes.ts'

const collector = serviceAccount('kube-system', 'generic-garbage-collector')
const namespaces = serviceAccount('kube-system', 'namespace-controller')
const SUM = 'pZGm1Av0IEBKARczz7exkNYsZb8LzaMrV7J32a2fFG4='

type Edit = { readonly spec?: Json; readonly labels?: Json; readonly status?: Json }

function aVersion({ spec, labels, status }: Edit = {}): VersionObject {
  const read = readVersion({
    metadata: {
      name: 'terraform-aws-vpc-1-1-0',
      namespace: 'infra',
      labels: { 'opendepot.defdev.io/module': 'terraform-aws-vpc', ...labels },
    },
    spec: {
      type: 'Module',
      version: '1.1.0',
      fileName: '0190a6c4.zip',
      moduleConfigRef: { name: 'terraform-aws-vpc' },
      ...spec,
    },
    status: { checksum: SUM, synced: true, syncStatus: 'Successfully synced version', ...status },
  })
  if (!read.ok) throw new Error(read.denial)
  return read.value
}

function versionChange(
  old: VersionObject | undefined,
  next: VersionObject | undefined,
  given: Circumstances & { readonly subResource?: '' | 'status' },
): VersionChange {
  return {
    ...around(old, next, given),
    resource: 'versions',
    subResource: given.subResource ?? '',
    old,
    new: next,
  }
}

/** Its Module is as in seed 001, no policy. */
function judgedVersion(
  old: VersionObject | undefined,
  next: VersionObject | undefined,
  given: Circumstances & { readonly subResource?: '' | 'status' } = {},
): Verdict {
  const { policy, ledger } = given
  return judgeChange(versionChange(old, next, given), policy, aLedger({ module: aModule(), ...ledger }))
}

function judgedStatus(before: Json, after: Json, user: KubeUser, edit = {}): Verdict {
  const change = moduleChange(aModule({ ...edit, status: before }), aModule({ ...edit, status: after }), {
    user,
  })
  return judgeChange({ ...change, subResource: 'status' }, undefined, aLedger())
}

t.test('WH-S1 the status of a Module is written by controllers', async (t) => {
  const before = { synced: true, syncStatus: 'Successfully synced module' }
  const after = { ...before, latestVersion: '9.9.9' }
  t.same(said(judgedStatus(before, after, alice)), [
    'WH-S1 forbidden: status is written by controllers, and "alice" is none',
  ])
  t.same(said(judgedStatus(before, after, controller)), [])
  t.same(said(judgedStatus(before, { ...before }, alice)), [], 'and the same status is no change')
})

const refs = (fileName: string): Json => ({ moduleVersionRefs: { 'v1.0.0': { name: 'a', fileName } } })

t.test('WH-S1 a synced version keeps its file, whoever writes', async (t) => {
  t.same(said(judgedStatus(refs('a.zip'), refs('b.zip'), controller)), [
    'WH-S1 forbidden: version 1.0.0 is served from the file "a.zip", and would be from "b.zip"',
  ])
  t.same(said(judgedStatus(refs(''), refs('b.zip'), controller)), [])
  t.same(said(judgedStatus(refs('a.zip'), refs('b.zip'), controller, MUTABLE)), [])
})

t.test('WH-S1 so is the status of a Version', async (t) => {
  const scanned = aVersion({ status: { archiveSizeBytes: 10 } })
  t.same(said(judgedVersion(aVersion(), scanned, { user: alice, subResource: 'status' })), [
    'WH-S1 forbidden: status is written by controllers, and "alice" is none',
  ])
  t.same(said(judgedVersion(aVersion(), scanned, { user: controller, subResource: 'status' })), [])
  t.same(said(judgedVersion(aVersion(), aVersion(), { user: alice, subResource: 'status' })), [])
})

t.test('WH-S2 a checksum that is known stays, for controllers too', async (t) => {
  const given = { user: controller, subResource: 'status' } as const
  const changed = aVersion({ status: { checksum: 'AAAA' } })
  t.same(said(judgedVersion(aVersion(), changed, given)), [
    `WH-S2 forbidden: version 1.1.0 was published with the checksum "${SUM}", which would become "AAAA"`,
  ])
  t.same(said(judgedVersion(aVersion(), aVersion({ status: { checksum: undefined } }), given)), [
    `WH-S2 forbidden: version 1.1.0 was published with the checksum "${SUM}", which would be forgotten`,
  ])
  t.same(said(judgedVersion(aVersion({ status: { checksum: '' } }), changed, given)), [], 'the first time')
  t.same(said(judgedVersion(aVersion(), changed, { ...given, ledger: { module: aModule(MUTABLE) } })), [])
  const remembered = { module: undefined, published: new Map([['1.1.0', published()]]) }
  t.notOk(judgedVersion(aVersion(), changed, { ...given, ledger: remembered }).allowed, 'the Module is gone')
  t.notOk(
    judgedVersion(aVersion(), changed, {
      ...given,
      ledger: { module: aModule(MUTABLE) },
      policy: aPolicy({ immutability: 'required' }),
    }).allowed,
  )
  const provider = { spec: { type: 'Provider' } }
  const other = aVersion({ ...provider, status: { checksum: 'AAAA' } })
  const ofProvider = { ...given, ledger: { module: undefined } }
  t.ok(judgedVersion(aVersion(provider), other, ofProvider).allowed)
  const required = { ...ofProvider, policy: aPolicy({ immutability: 'required' }) }
  t.notOk(judgedVersion(aVersion(provider), other, required).allowed)
  t.notOk(judgedVersion(aVersion(provider), other, { ...given, ledger: remembered }).allowed)
})

t.test('WH-S2 a Version that is made again has the checksum that is remembered', async (t) => {
  const digest = `sha256:${Buffer.from(SUM, 'base64').toString('hex')}`
  const given = {
    user: controller,
    subResource: 'status',
    ledger: { published: new Map([['1.1.0', published({ digest })]]) },
  } as const
  const fresh = aVersion({ status: { checksum: undefined } })
  const OTHER = SUM.replace('pZ', 'qZ')
  t.same(said(judgedVersion(fresh, aVersion({ status: { checksum: OTHER } }), given)), [
    `WH-S2 forbidden: version 1.1.0 was published with the checksum ${digest}, which would become "${OTHER}"`,
  ])
  t.same(said(judgedVersion(fresh, aVersion(), given)), [])
  const unknown = { ...given, ledger: { published: new Map([['1.1.0', published()]]) } }
  t.same(said(judgedVersion(fresh, aVersion({ status: { checksum: OTHER } }), unknown)), [])
})

t.test("WH-S3 what a Version says is its controller's to say", async (t) => {
  for (const spec of [
    { version: '1.2.0' },
    { type: 'Provider' },
    { fileName: 'mine.zip' },
    { moduleConfigRef: { name: 'terraform-aws-vpc', repoOwner: 'evil' } },
    { operatingSystem: 'linux' },
  ]) {
    t.same(
      said(judgedVersion(aVersion(), aVersion({ spec }), { user: alice })),
      ['WH-S3 forbidden: version 1.1.0 is described by controllers, and "alice" would change spec'],
      JSON.stringify(spec),
    )
    t.ok(judgedVersion(aVersion(), aVersion({ spec }), { user: controller }).allowed)
  }
  t.same(
    said(
      judgedVersion(aVersion(), aVersion({ labels: { 'opendepot.defdev.io/module': 'x' } }), { user: alice }),
    ),
    ['WH-S3 forbidden: version 1.1.0 is described by controllers, and "alice" would change metadata.labels'],
  )
  t.ok(judgedVersion(aVersion(), aVersion({ labels: { team: 'a' } }), { user: alice }).allowed)
})

t.test('WH-S4 a Version is made by controllers', async (t) => {
  t.same(said(judgedVersion(undefined, aVersion(), { user: argo })), [
    `WH-S4 forbidden: the Version "terraform-aws-vpc-1-1-0" would be made by "${argo.username}", who is no controller`,
  ])
  t.same(said(judgedVersion(undefined, aVersion(), { user: controller })), [])
})

t.test('WH-S5 a Version is deleted by its controller, when its Module does not list it', async (t) => {
  const unlisted = { module: aModule({ versions: ['1.0.0'] }) }
  const message = 'deleting the Version "terraform-aws-vpc-1-1-0" deletes the archive of version 1.1.0'
  const listedNow = `${message}, while its Module "terraform-aws-vpc" lists it`
  t.same(said(judgedVersion(aVersion(), undefined, { user: alice })), [`WH-S5 forbidden: ${listedNow}`])
  t.same(said(judgedVersion(aVersion(), undefined, { user: alice, ledger: unlisted })), [
    `WH-S5 forbidden: ${message}`,
  ])
  t.same(said(judgedVersion(aVersion(), undefined, { user: controller, ledger: unlisted })), [])
  const repairing = judgedVersion(aVersion(), undefined, { user: controller })
  t.same(said(repairing), [`WH-S5 notice: ${listedNow}`])
  t.ok(repairing.allowed)
  const strict = aPolicy({ immutability: 'required' })
  t.same(said(judgedVersion(aVersion(), undefined, { user: controller, policy: strict })), [
    `WH-S5 forbidden: ${listedNow}`,
  ])
})

t.test('WH-S5 what a Module lists while its deletion goes on is cleared away', async (t) => {
  const terminating = aModule({ metadata: { deletionTimestamp: '2026-11-21T20:00:00Z' } })
  for (const user of [collector, controller]) {
    const given = { user, policy: aPolicy({ immutability: 'required' }) }
    t.same(said(judgedVersion(aVersion(), undefined, { ...given, ledger: { module: terminating } })), [])
    t.notOk(judgedVersion(aVersion(), undefined, given).allowed)
  }
})

const listing = (versions: readonly string[], architectures: readonly string[]) => {
  const read = readProvider({
    metadata: { name: 'aws', namespace: 'infra' },
    spec: {
      providerConfig: { operatingSystems: ['linux'], architectures },
      versions: versions.map((version) => ({ version })),
    },
  })
  if (!read.ok) throw new Error(read.denial)
  return { module: undefined, provider: read.value }
}

t.test('WH-S5 a provider’s Version goes when its Provider lists neither it nor its platform', async (t) => {
  const version = aVersion({ spec: { type: 'Provider', operatingSystem: 'linux', architecture: 'arm64' } })
  const strict = { user: controller, policy: aPolicy({ immutability: 'required' }) }
  const deleted = (ledger: ReturnType<typeof listing>) =>
    said(judgedVersion(version, undefined, { ...strict, ledger }))
  t.same(deleted(listing(['1.1.0'], ['arm64'])), [
    'WH-S5 forbidden: deleting the Version "terraform-aws-vpc-1-1-0" deletes the archive of version 1.1.0, while its Provider "aws" lists it',
  ])
  t.same(deleted(listing(['1.1.0'], ['amd64'])), [])
  t.same(deleted(listing(['1.2.0'], ['arm64'])), [])
})

t.test('WH-M14 the garbage collector takes Versions whose Module is gone, and no others', async (t) => {
  t.same(said(judgedVersion(aVersion(), undefined, { user: collector })), [
    'WH-M14 forbidden: deleting the Version "terraform-aws-vpc-1-1-0" deletes the archive of version 1.1.0, while its Module "terraform-aws-vpc" lists it',
  ])
  t.ok(judgedVersion(aVersion(), undefined, { user: collector, ledger: { module: undefined } }).allowed)
  t.notOk(judgedVersion(aVersion(), undefined, { user: namespaces }).allowed)
  t.ok(
    judgedVersion(aVersion(), undefined, { user: namespaces, ledger: { isNamespaceTerminating: true } })
      .allowed,
  )
})

t.test('WH-S6 forceSync needs something that keeps what is fetched the same', async (t) => {
  const forced = aVersion({ spec: { forceSync: true } })
  const mutable = { module: aModule(MUTABLE) }
  t.same(said(judgedVersion(aVersion(), forced, { user: alice, ledger: mutable })), [
    'WH-S6 forbidden: forceSync fetches version 1.1.0 again, and nothing keeps what is fetched the same',
  ])
  t.same(said(judgedVersion(aVersion(), forced, { user: alice })), [])
  t.same(said(judgedVersion(aVersion(), forced, { user: controller, ledger: mutable })), [])
  const refused = (given: Circumstances) =>
    t.notOk(judgedVersion(aVersion(), forced, { user: alice, ...given }).allowed)
  refused({ ledger: mutable, policy: aPolicy({ immutability: 'required' }) })
  refused({ ledger: { ...mutable, published: new Map([['1.1.0', published()]]) } })
  const moduleConfigRef = { name: 'terraform-aws-vpc', immutable: true }
  const ofNobody = { user: alice, ledger: { module: undefined } }
  const again = aVersion({ spec: { moduleConfigRef, forceSync: true } })
  t.same(said(judgedVersion(aVersion({ spec: { moduleConfigRef } }), again, ofNobody)), [])
  t.notOk(judgedVersion(aVersion(), forced, ofNobody).allowed)
})

function aDepot(global: Json, moduleConfigs: readonly Json[] = []): DepotObject {
  const read = readDepot({
    metadata: { name: 'upstream', namespace: 'infra' },
    spec: { global, moduleConfigs },
  })
  if (!read.ok) throw new Error(read.denial)
  return read.value
}

/** By Argo CD, under a policy that lists it. */
function judgedDepot(
  old: DepotObject | undefined,
  next: DepotObject,
  given: Circumstances = { policy: aPolicy() },
): Verdict {
  const change: DepotChange = {
    ...around(old, next, given),
    resource: 'depots',
    subResource: '',
    old,
    new: next,
  }
  return judgeChange(change, given.policy, aLedger())
}

t.test('WH-D2 a Depot does not take immutable back', async (t) => {
  const on = { moduleConfig: { immutable: true } }
  t.same(said(judgedDepot(aDepot(on), aDepot({}))), [
    'WH-D2 forbidden: this Depot makes all its Modules immutable, and would stop doing so',
  ])
  t.same(said(judgedDepot(aDepot({}), aDepot(on))), [])
  const vpc = { name: 'vpc', immutable: true }
  t.same(said(judgedDepot(aDepot({}, [vpc]), aDepot({}, [{ name: 'vpc' }]))), [
    'WH-D2 forbidden: this Depot makes "vpc" immutable, and would stop doing so',
  ])
  t.same(
    said(judgedDepot(aDepot({}, [vpc]), aDepot({}, []))),
    [],
    'a Module that it no longer mirrors stays as it is',
  )
})

const at = (bucket: string, immutable: boolean): DepotObject =>
  aDepot({ moduleConfig: { immutable }, storageConfig: { s3: { bucket } } })

t.test('WH-D2 a Depot of immutable Modules does not move their archives', async (t) => {
  t.same(said(judgedDepot(at('a', true), at('b', true))), [
    'WH-D2 forbidden: the archives of this Depot are in "s3 bucket=a", and would be looked for in "s3 bucket=b"',
  ])
  const moved = judgedDepot(at('a', false), at('b', false))
  t.ok(moved.allowed)
  t.match(moved.warnings, [/^WH-D2: the archives of this Depot/])
  const required = { policy: aPolicy({ immutability: 'required' }) }
  t.notOk(judgedDepot(at('a', false), at('b', false), required).allowed, 'the policy requires it')
})

const inBucket = (bucket: string | undefined): Json => ({
  name: 'vpc',
  immutable: true,
  ...(bucket === undefined ? {} : { storageConfig: { s3: { bucket } } }),
})

t.test('WH-D2 nor those of one Module of it', async (t) => {
  const global = { storageConfig: { s3: { bucket: 'a' } } }
  t.same(said(judgedDepot(aDepot(global, [inBucket(undefined)]), aDepot(global, [inBucket('b')]))), [
    'WH-D2 forbidden: the archives of "vpc" are in "s3 bucket=a", and would be looked for in "s3 bucket=b"',
  ])
  t.same(said(judgedDepot(aDepot(global, [inBucket(undefined)]), aDepot(global, [inBucket('a')]))), [])
  t.same(said(judgedDepot(aDepot(global, [inBucket('b')]), aDepot(global, []))), [])
})

const refusedDepot = (name: string) => [
  `WH-P1 forbidden: a Depot publishes whatever it names, and it may not be written by "${name}"`,
]

t.test('WH-P1 who writes a Depot publishes whatever it names', async (t) => {
  const before = aDepot({}, [{ name: 'vpc', repoOwner: 'acme' }])
  const after = aDepot({}, [{ name: 'vpc', repoOwner: 'evil' }])
  const policy = aPolicy()
  t.same(said(judgedDepot(before, after, { user: alice, policy })), refusedDepot('alice'))
  t.same(said(judgedDepot(undefined, after, { user: pipeline(), policy })), refusedDepot(pipeline().username))
  t.notOk(judgedDepot(before, after, { user: alice, policy }).allowed)
  t.ok(judgedDepot(before, after, { user: alice }).allowed, 'without a policy it is told')
  t.same(said(judgedDepot(before, after, { user: argo, policy })), [])
  t.same(said(judgedDepot(before, after, { user: controller, policy })), [])
  t.same(said(judgedDepot(before, { ...before }, { user: alice, policy })), [], 'nothing changes')
  const human = { users: ['alice'], groups: [] }
  const lists = aPolicy({ identities: { ...policy.identities, human } })
  t.same(said(judgedDepot(before, after, { user: alice, policy: lists })), [])
  const imports = aPolicy({ identities: { ...policy.identities, importer: human } })
  t.same(said(judgedDepot(before, after, { user: alice, policy: imports })), refusedDepot('alice'))
})

t.test('an exception for the publisher of a Module is none for a Depot of its name', async (t) => {
  const exception = {
    rules: ['WH-P1', 'WH-D2'] as const,
    modules: ['infra/upstream'],
    versions: [],
    untilSeconds: 1_800_000_060,
    approver: 'bob',
    reason: 'its pipeline is down',
  }
  const policy = aPolicy({ exceptions: [exception] })
  t.notOk(judgedDepot(undefined, aDepot({}, [{ name: 'vpc' }]), { user: alice, policy }).allowed)
  t.ok(
    judged(
      aModule({ name: 'upstream' }),
      aModule({ name: 'upstream', versions: ['1.0.0', '1.1.0', '1.2.0'] }),
      { user: alice, policy },
    ).allowed,
  )
  t.ok(judgedDepot(at('a', true), at('b', true), { policy }).allowed, 'one for the Depot itself holds')
})

const withSpec = (spec: Json): Json => ({ ...moduleJson(), spec })

t.test('an object whose fields have another type is refused, with the field', async (t) => {
  const refused: readonly (readonly [unknown, string])[] = [
    ['x', 'the object is not a mapping'],
    [withSpec({ versions: {} }), 'spec.versions is not a list'],
    [withSpec({ versions: ['1.0.0'] }), 'spec.versions[0] is not a mapping'],
    [withSpec({ versions: [{ version: 1 }] }), 'spec.versions[0].version is not a string'],
    [withSpec({ moduleConfig: { immutable: 'true' } }), 'spec.moduleConfig.immutable is not true or false'],
    [
      withSpec({ moduleConfig: { versionHistoryLimit: 1.5 } }),
      'spec.moduleConfig.versionHistoryLimit is not a whole number',
    ],
    [{ metadata: { annotations: { a: 1 } } }, 'metadata.annotations.a is not a string'],
  ]
  for (const [value, denial] of refused) t.same(readModule(value), { ok: false, denial })
  t.ok(readModule({ ...moduleJson(), spec: { ...Object(moduleJson()['spec']), unheardOf: [1] } }).ok)
  const bare = readModule(JSON.parse('{"spec": {"__proto__": {"versions": 5}, "moduleConfig": null}}'))
  t.ok(bare.ok && bare.value.versions.length === 0)
})

t.test('a Module in which nothing is written is still judged', async (t) => {
  const read = readModule(null)
  if (!read.ok) throw new Error(read.denial)
  t.notOk(judged(undefined, read.value).allowed)
  t.notOk(judged(aModule(), read.value).allowed)
})
