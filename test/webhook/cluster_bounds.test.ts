// What is kept of Modules and Providers that were there before anybody bounded them: as much as WH-V11 lets them have. What is left
// out never lets anything through.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import type { Test } from 'tap'
import type { JsonObject } from '../../src/core/claims.ts'
import type { ChangeSubject } from '../../src/core/module/change.ts'
import type { LedgerFacts } from '../../src/core/module/ledger.ts'
import { readModule, readProvider, readVersion } from '../../src/core/module/module_object.ts'
import type { ProviderObject, VersionObject } from '../../src/core/module/module_object.ts'
import { judgeUnderPolicies } from '../../src/core/module/policy_choice.ts'
import type { Asker } from '../../src/core/module/policy_choice.ts'
import type { Verdict } from '../../src/core/module/verdict.ts'
import { sourceOf } from '../../src/core/module/source_of.ts'
import { readNamedVersion } from '../../src/core/module/version_names.ts'
import { scanObject } from '../../src/core/module/scan_object.ts'
import type { Cluster } from '../../webhook/cluster/cluster.ts'
import { slimSubject } from '../../webhook/judge/slim_subject.ts'
import {
  facts,
  factsOf,
  house,
  judge,
  module,
  MODULES,
  POLICIES,
  policyJson,
  providerJson,
  PROVIDERS,
  synced,
  versionJson,
} from '../support/followed_cluster.ts'
import { alice, controller, moduleJson, NOON, said } from '../support/module_changes.ts'

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

function labels(count: number): Readonly<Record<string, string>> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`label-${index}`, '']))
}

const byAlice: Asker = { user: alice, mayDo: new Set(), atSeconds: NOON }
const TOO_MANY = { ...labels(100), tier: 'gold' }
const GOLD = { matchLabels: { tier: 'gold' } }

t.test('60 Modules of 1.3 MB of labels each take less than 16 MiB together', async (t) => {
  const text = JSON.stringify(moduleJson({ labels: labels(85_000) }))
  t.ok(text.length > 1_290_000)
  const object: JsonObject = JSON.parse(text)
  const made = (index: number): JsonObject => {
    const metadata = {
      ...Object(object['metadata']),
      name: `m-${index}`,
      uid: `u-${index}`,
      resourceVersion: '7',
    }
    return { ...object, metadata }
  }
  collectGarbage()
  const before = process.memoryUsage().heapUsed
  const { kube, cluster } = await house(t, (empty) => {
    empty.intercept = ({ method, path }) => {
      if (method !== 'GET' || !path.startsWith(`${MODULES}?`)) return undefined
      const page = Number(new URL(path, 'https://memory.test').searchParams.get('continue') ?? 0)
      const items = Array.from({ length: 5 }, (_, index) => made(page * 5 + index))
      return {
        metadata: { resourceVersion: '8', ...(page < 11 ? { continue: String(page + 1) } : {}) },
        items,
      }
    }
  })
  await cluster.synced
  kube.intercept = () => undefined
  t.equal([...cluster.modules()].length, 60)
  collectGarbage()
  const grown = (process.memoryUsage().heapUsed - before) / 1024 / 1024
  t.comment(`${grown.toFixed(1)} MiB`)
  t.ok(grown < 16, `${grown.toFixed(1)} MiB`)
})

t.test(
  'a Module with more labels than are kept is published under the policy that may select it',
  async (t) => {
    const { cluster } = await synced(t, (empty) => {
      module(empty, { versions: ['1.0.0'], config: { immutable: undefined }, labels: TOO_MANY })
      empty.put(POLICIES, policyJson('gold', { selector: GOLD, immutability: 'required' }))
    })
    const [stored] = [...cluster.modules()]
    t.match(stored?.body.meta, { labels: new Map(), labelCount: 101 })
    t.equal(facts(cluster, '1.0.0')?.immutable, true)
  },
)

t.test('and not under one of another namespace', async (t) => {
  const { cluster } = await synced(t, (empty) => {
    module(empty, { versions: ['1.0.0'], config: { immutable: undefined }, labels: TOO_MANY })
    const selector = { ...GOLD, namespaces: ['other'] }
    empty.put(POLICIES, policyJson('gold', { selector, immutability: 'required' }))
  })
  t.equal(facts(cluster, '1.0.0')?.immutable, false)
})

function versionOf(object: JsonObject): VersionObject {
  const read = readVersion(object)
  if (!read.ok) throw new Error(read.denial)
  return read.value
}

function deleted(cluster: Cluster, object: JsonObject, asker: Asker): Verdict {
  const old = versionOf(object)
  const about = {
    operation: 'DELETE',
    subResource: '',
    namespace: 'infra',
    name: old.meta.name,
    dryRun: false,
  } as const
  const subject = { resource: 'versions', ...about, old, new: undefined } as const
  const known: LedgerFacts = cluster.factsOf(subject)
  return judgeUnderPolicies(subject, asker, cluster.policies(), known)
}

const STORED = versionJson('terraform-aws-vpc-1-0-0', '1.0.0')

t.test('of a Version whose Module has more labels than are kept nothing is let through', async (t) => {
  const strict = policyJson('gold', { selector: GOLD, immutability: 'required' })
  const lax = policyJson('silver', { selector: { matchLabels: { tier: 'silver' } }, defaultMode: 'warn' })
  const of = async (modulesLabels: typeof TOO_MANY, policy: JsonObject): Promise<Cluster> => {
    const { cluster } = await synced(t, (empty) => {
      module(empty, { versions: ['1.0.0'], labels: modulesLabels })
      empty.put(POLICIES, policy)
    })
    return cluster
  }
  const byController: Asker = { ...byAlice, user: controller }
  const few = { tier: 'gold' }
  t.notOk(deleted(await of({ ...few }, strict), STORED, byController).allowed, 'its label is known')
  t.notOk(deleted(await of(TOO_MANY, strict), STORED, byController).allowed, 'it may be selected')
  t.notOk(
    deleted(await of(TOO_MANY, lax), STORED, byAlice).allowed,
    'it may be selected by nothing that warns only',
  )
  const silver = { ...few, tier: 'silver' }
  t.ok(deleted(await of(silver, lax), STORED, byAlice).allowed, 'it is known to be')
})

function platformVersion(operatingSystem: string, architecture: string): JsonObject {
  const spec = { type: 'Provider', operatingSystem, architecture, moduleConfigRef: null }
  const object = versionJson('aws-5-0-0', '5.0.0', {}, spec)
  const owner = { 'opendepot.defdev.io/provider': 'aws' }
  return { ...object, metadata: { ...Object(object['metadata']), labels: owner } }
}

t.test('a Provider of more platforms than are kept may list any', async (t) => {
  const systems = Array.from({ length: 100_000 }, (_, index) => `os${index}`)
  const { cluster } = await synced(t, (empty) => {
    const platforms = { operatingSystems: systems, architectures: ['amd64'] }
    empty.put(PROVIDERS, providerJson('aws', ['5.0.0'], platforms))
  })
  const [stored] = [...cluster.providers()]
  t.equal(stored?.body.config.operatingSystems.length, 64)
  t.equal(stored?.body.config.operatingSystemCount, 100_000)
  const { versionNameOwner } = factsOf(cluster, { name: 'other' })
  t.equal(versionNameOwner('aws-5-0-0-os99999-amd64'), 'infra/aws')
  t.equal(versionNameOwner('aws-5-0-1-os99999-amd64'), undefined)
  const message = (object: JsonObject): string =>
    said(deleted(cluster, object, { ...byAlice, user: controller })).join('\n')
  t.match(message(platformVersion('os99999', 'amd64')), /while its Provider "aws" lists it/)
  t.equal(message(platformVersion('os99999', 'arm64')), '', 'that list is kept whole')
})

t.test('what the scan says of them has the numbers that are stored', async (t) => {
  const { cluster } = await synced(t, (empty) => {
    module(empty, { versions: ['1.0.0'], labels: TOO_MANY })
    const systems = Array.from({ length: 70 }, (_, index) => `os${index}`)
    empty.put(
      PROVIDERS,
      providerJson('aws', ['5.0.0'], { operatingSystems: systems, architectures: ['amd64', 'arm64'] }),
    )
  })
  const scanned = [...cluster.modules(), ...cluster.providers()].flatMap(({ body }) => {
    const known = {
      policies: [],
      factsOf: (subject: ChangeSubject) => cluster.factsOf(subject),
      digestOf: () => undefined,
      atSeconds: NOON,
    }
    return scanObject(body, known).findings.flatMap(({ rule, message }) =>
      rule === 'WH-V11' ? [message] : [],
    )
  })
  t.same(scanned, [
    'metadata.labels would have 101 entries, the most is 64',
    'operatingSystems and architectures would make 140 platforms, the most is 64',
  ])
})

function providerOf(object: JsonObject): ProviderObject {
  const read = readProvider(object)
  if (!read.ok) throw new Error(read.denial)
  return read.value
}

const SYSTEMS = Array.from({ length: 100 }, (_, index) => `os${index}`)

function ofSystems(operatingSystems: readonly string[], versions: readonly string[]): JsonObject {
  return providerJson('aws', versions, { operatingSystems: [...operatingSystems], architectures: ['amd64'] })
}

/** Who published a version while the Provider's systems changed, and what the ledger says was moved by whom. */
async function publishedWith(
  t: Test,
  systems: readonly string[],
  given: (subject: ChangeSubject) => ChangeSubject = (subject) => subject,
): Promise<readonly [by: string | undefined, moved: readonly unknown[]]> {
  const { kube, cluster } = await synced(t, (empty) => {
    empty.put(POLICIES, policyJson('all', { immutability: 'required' }))
  })
  const [before, after] = [ofSystems(SYSTEMS, ['1.0.0']), ofSystems(systems, ['1.0.0', '1.1.0'])]
  const { uid, resourceVersion } = Object(kube.put(PROVIDERS, before)['metadata'])
  const [old, next] = [providerOf(before), providerOf(after)]
  cluster.remember({
    subject: given({ resource: 'providers', operation: 'UPDATE', ...ABOUT_AWS, old, new: next }),
    user: alice,
    oldResourceVersion: resourceVersion,
    objectUid: uid,
    atSeconds: NOON - 1,
  })
  kube.put(PROVIDERS, after)
  const published = cluster.ledger.published({ kind: 'Provider', namespace: 'infra', name: 'aws' })
  const moves = [...published.values()].flatMap(({ moved = [] }) => moved)
  return [published.get('1.1.0')?.by, moves.map(({ by, settings }) => `${by}: ${settings.join()}`)]
}

const ABOUT_AWS = { namespace: 'infra', name: 'aws', subResource: '', dryRun: false } as const

t.test('who publishes for more systems than are kept is known, also where one is dropped', async (t) => {
  const fewer = SYSTEMS.slice(0, -1)
  t.same(await publishedWith(t, SYSTEMS), ['alice', []])
  t.same(await publishedWith(t, fewer), ['alice', []])
  t.same(await publishedWith(t, fewer, (subject) => slimSubject(subject).subject), ['alice', []])
})

t.test('systems that only change places are not lost, though a watch keeps others of them', async (t) => {
  t.same(await publishedWith(t, SYSTEMS.toReversed()), ['alice', []])
})

t.test('systems that are gone from a list that is kept whole are a move by whoever asked', async (t) => {
  t.same(await publishedWith(t, ['os99', 'os1']), ['alice', ['alice: operatingSystems']])
})

t.test('of a very large change no more platforms cross over than are kept', (t) => {
  const old = providerOf(ofSystems(SYSTEMS, ['1.0.0']))
  const { subject } = slimSubject({ resource: 'providers', operation: 'UPDATE', ...ABOUT_AWS, old, new: old })
  if (subject.resource !== 'providers') throw new Error('a Provider')
  for (const body of [subject.old, subject.new])
    t.match(body?.config, { operatingSystems: { length: 64 }, operatingSystemCount: 100 })
  t.end()
})

const LONG = 'x'.repeat(1_300_000)
const LONG_TEXTS = {
  provider: `provider-${LONG}`,
  repoOwner: `owner-${LONG}`,
  repoUrl: `https://github.com/acme/${LONG}`,
  storageConfig: { s3: { bucket: `bucket-${LONG}` }, presign: { note: LONG } },
}

t.test('of texts without end a Module and a Provider are kept in a few kilobytes', async (t) => {
  const { cluster } = await synced(t, (empty) => {
    module(empty, { versions: ['1.0.0', LONG], config: LONG_TEXTS })
    const { storageConfig } = LONG_TEXTS
    const config = {
      sourceRepository: LONG,
      namespace: LONG,
      operatingSystems: [LONG],
      architectures: [LONG],
    }
    empty.put(PROVIDERS, providerJson('aws', ['1.0.0'], { ...config, name: LONG, storageConfig }))
  })
  for (const { body } of [...cluster.modules(), ...cluster.providers()]) {
    const fields = body.config.storage?.backends.map((backend) => [...backend.fields])
    const bytes = JSON.stringify({ ...body, fields }).length
    t.ok(bytes < 8192, `${body.kind}: ${bytes}`)
  }
})

t.test('who moves a Module to or from a text without end is known', async (t) => {
  const texts = [undefined, `${LONG}a`, `${LONG}b`, undefined]
  const { kube, cluster } = await synced(t)
  for (const [index, text] of texts.entries()) {
    const repoUrl = text === undefined ? 'https://github.com/acme/vpc' : `https://github.com/acme/${text}`
    const storageConfig = { s3: { bucket: text ?? 'modules' } }
    const next = { versions: ['1.0.0'], config: { repoUrl, storageConfig } }
    const [before] = kube.objects(MODULES)
    if (before !== undefined) judge(cluster, before, next)
    module(kube, next)
    const moved = facts(cluster, '1.0.0')?.moved ?? []
    const told = Array.from({ length: index }, () => 'alice: repoUrl,storageConfig')
    t.same(
      moved.map(({ by, settings }) => `${by}: ${settings.join()}`),
      told,
    )
  }
})

t.test('who publishes beside a version without end is known', async (t) => {
  const { kube, cluster } = await synced(t)
  const before = module(kube, { versions: ['1.0.0'] })
  const next = { versions: ['1.0.0', LONG, '1.1.0'] }
  judge(cluster, before, next)
  module(kube, next)
  t.equal(facts(cluster, '1.1.0')?.by, 'alice')
})

t.test('of a Version the name of its Module has a bound, too', (t) => {
  const read = readNamedVersion(versionJson('vpc-1-0-0', '1.0.0', {}, { moduleConfigRef: { name: LONG } }))
  t.ok(read.ok && read.value.owner.startsWith('xxx'))
  t.ok(JSON.stringify(read).length < 4096)
  t.end()
})

const PADDED: readonly (readonly [says: string, repoUrl: string, source: string | undefined])[] = [
  ['slashes behind it', `https://github.com/Acme/vpc${'/'.repeat(2100)}`, 'github.com/acme/vpc'],
  [
    'a login before it',
    `https://${'x'.repeat(2100)}@git.example.com:8443/acme/vpc`,
    'git.example.com:8443/acme/vpc',
  ],
  ['a path without end', `https://github.com/acme/vpc/${LONG}`, undefined],
  ['a path that is just too long', `https://github.com/acme/vpc/${'x'.repeat(1100)}`, undefined],
]
for (const [says, repoUrl, source] of PADDED)
  t.test(`an address that is long by ${says} names one repository, asked or kept`, async (t) => {
    const read = readModule(moduleJson({ versions: ['1.0.0'], config: { repoUrl } }))
    if (!read.ok) throw new Error(read.denial)
    t.equal(sourceOf(read.value), source)
    const { cluster } = await synced(t, (empty) =>
      module(empty, { versions: ['1.0.0'], config: { repoUrl } }),
    )
    const [kept] = cluster.modules()
    t.equal(kept && sourceOf(kept.body), source)
    t.equal(facts(cluster, '1.0.0')?.source, source)
    t.ok((kept?.body.config.repoUrl.length ?? Infinity) <= 2048)
  })
