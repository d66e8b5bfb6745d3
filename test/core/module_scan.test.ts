import t from 'tap'
import { NO_FACTS } from '../../src/core/module/ledger.ts'
import type { PublishedFacts } from '../../src/core/module/ledger.ts'
import { MAX_RESULTS, policyReport } from '../../src/core/module/policy_report.ts'
import { scanObject } from '../../src/core/module/scan_object.ts'
import type { ScanKnowledge, ScannedObject } from '../../src/core/module/scan_object.ts'
import { aProvider } from '../support/a_provider.ts'
import { aModule, aPolicy } from '../support/module_changes.ts'
import type { ModuleEdit } from '../support/module_changes.ts'

const DIGEST = `sha256:${'a'.repeat(64)}`
const OTHER = `sha256:${'b'.repeat(64)}`
const present: PublishedFacts = { state: 'present', immutable: true, digest: DIGEST }

type World = Partial<ScanKnowledge> & { readonly published?: Readonly<Record<string, PublishedFacts>> }

function scan(edit: ModuleEdit = {}, { published = {}, ...known }: World = {}): ScannedObject {
  const facts = { ...NO_FACTS, published: new Map(Object.entries(published)) }
  return scanObject(aModule(edit), {
    policies: [],
    factsOf: () => facts,
    digestOf: () => undefined,
    atSeconds: 0,
    ...known,
  })
}

t.test('a Module that keeps every rule passes, published versions and all', async (t) => {
  t.strictSame(scan({}, { published: { '1.0.0': present, '1.1.0': present } }).findings, [])
})

t.test('what a new Module would be denied for fails', async (t) => {
  t.match(scan({ versions: ['1.0.0', 'main'] }).findings, [
    { rule: 'WH-V7', result: 'fail', path: 'spec.versions[1]' },
  ])
})

t.test('what a policy only warns about is a warning, under its name', async (t) => {
  const spec = aPolicy({ modes: { 'WH-V7': 'warn' } })
  const scanned = scan({ versions: ['main'] }, { policies: [{ name: 'gentle', spec }] })
  t.strictSame(scanned.policies, ['gentle'])
  t.match(scanned.findings, [{ rule: 'WH-V7', result: 'warn' }])
})

t.test('who published is nothing that an object says, so nobody is blamed', async (t) => {
  const spec = aPolicy({})
  t.strictSame(scan({}, { policies: [{ name: 'pipelines', spec }] }).findings, [])
})

t.test('a version that left without a reason fails', async (t) => {
  const gone: PublishedFacts = { ...present, state: 'unpublished' }
  const { findings } = scan({ versions: ['1.1.0'] }, { published: { '1.0.0': gone, '1.1.0': present } })
  t.match(findings, [{ rule: 'WH-V1', result: 'fail', version: '1.0.0' }])
  const reasoned = { ...gone, reason: 'leaked a key' }
  t.strictSame(scan({ versions: ['1.1.0'] }, { published: { '1.0.0': reasoned } }).findings, [])
  const mutable = { ...gone, immutable: false }
  t.strictSame(scan({ versions: ['1.1.0'] }, { published: { '1.0.0': mutable } }).findings, [])
})

t.test('an archive that is not the one that was published fails', async (t) => {
  const published = { '1.0.0': present }
  const { findings } = scan({}, { published, digestOf: () => OTHER })
  t.match(findings, [{ rule: 'WH-S2', result: 'fail', version: '1.0.0' }])
  t.strictSame(scan({}, { published, digestOf: () => DIGEST }).findings, [])
})

t.test('a Provider is held to the rules for Providers, and to what the ledger says it lost', async (t) => {
  const facts = {
    ...NO_FACTS,
    published: new Map([['4.0.0', { ...present, state: 'unpublished' as const }]]),
    namesakes: ['elsewhere/aws'],
    // Stored as it is: it does not stand in its own way.
    provider: aProvider(),
  }
  const known = { policies: [], factsOf: () => facts, digestOf: () => undefined, atSeconds: 0 }
  t.match(scanObject(aProvider({ versions: ['5.0.0', 'main'] }), known).findings, [
    { rule: 'WH-V7', path: 'spec.versions[1].version' },
    { rule: 'WH-M10', result: 'fail' },
    { rule: 'WH-V1', result: 'fail', version: '4.0.0' },
  ])
  t.strictSame(scanObject(aProvider(), { ...known, factsOf: () => NO_FACTS }).findings, [])
})

t.test('a report says what is a Provider, and two of one name have one order', async (t) => {
  const known = { policies: [], factsOf: () => NO_FACTS, digestOf: () => undefined, atSeconds: 0 }
  const both = [scan({ name: 'aws' }), scanObject(aProvider({ name: 'aws' }), known)]
  const report = policyReport('infra', both)
  t.match(report, {
    summary: { pass: 2, fail: 0 },
    results: [
      { result: 'pass', resources: [{ kind: 'Module', name: 'aws' }] },
      { result: 'pass', resources: [{ kind: 'Provider', name: 'aws' }] },
    ],
  })
  t.strictSame(policyReport('infra', both.toReversed()), report)
})

t.test('a report counts everything and shows the worst first', async (t) => {
  const good = scan({ name: 'a-good' })
  const bad = scan({ name: 'b-bad', versions: ['main'] })
  const report = policyReport('infra', [good, bad])
  t.match(report, {
    metadata: { namespace: 'infra', name: 'sallyport-modules' },
    summary: { pass: 1, fail: 1, warn: 0, error: 0, skip: 0 },
    results: [
      {
        rule: 'WH-V7',
        result: 'fail',
        severity: 'medium',
        policy: 'none',
        properties: { path: 'spec.versions[0]' },
      },
      { result: 'pass', resources: [{ kind: 'Module', name: 'a-good', uid: 'u-1' }] },
    ],
  })
  t.strictSame(policyReport('infra', [bad, good]), report, 'whatever the order')
})

t.test('a report stays an object that can be stored', async (t) => {
  const versions = Array.from({ length: 400 }, (_, index) => `bad-${'x'.repeat(2000)}-${index}`)
  const many = ['a', 'b', 'c'].map((name) => scan({ name, versions }))
  const report = policyReport('infra', many)
  t.equal(Array.isArray(report['results']) && report['results'].length, MAX_RESULTS)
  t.match(report, { summary: { fail: 1200 } })
  t.ok(JSON.stringify(report).length < 1_400_000)
})
