// The conformance table without a cluster: what the rules say of each row when they are told everything, and what an offline
// review says. The same rows go through a real kube-apiserver in test/e2e/webhook_conformance*.test.ts.
import t from 'tap'
import type { BreakGlassVerb } from '../../src/core/module/change.ts'
import { identitiesOf, NO_FACTS } from '../../src/core/module/ledger.ts'
import type { LedgerFacts, PublishedFacts } from '../../src/core/module/ledger.ts'
import { readModule } from '../../src/core/module/module_object.ts'
import type { ModuleObject } from '../../src/core/module/module_object.ts'
import { RULE_IDS } from '../../src/core/module/rule_id.ts'
import type { RuleId } from '../../src/core/module/rule_id.ts'
import { denialOf } from '../../src/core/module/verdict_message.ts'
import { versionObjectName } from '../../src/core/module/version_identity.ts'
import { ACTORS } from '../conformance/module_actors.ts'
import { BLIND_REASONS, expectedAt, moduleManifest, placed } from '../conformance/module_cases.ts'
import type { Expectation, Json, Row } from '../conformance/module_cases.ts'
import { ROWS } from '../conformance/module_table.ts'
import { expectationOf, judgedWithEverything, reviewedOffline, userOf } from '../conformance/offline_door.ts'
import { recordedRequests } from '../conformance/recorded.ts'

const REQUESTS = recordedRequests()

t.test('each rule has a row in which it speaks, and one in which it refuses nothing', async (t) => {
  for (const rule of RULE_IDS) {
    const rows = ROWS.filter(({ title }) => title.startsWith(`${rule} `))
    t.ok(
      rows.some(({ expect }) => Object.values(expect).flat().includes(rule)),
      `${rule} speaks`,
    )
    t.ok(
      rows.some(({ expect }) => !refusals(expect).includes(rule)),
      `${rule} refuses nothing`,
    )
  }
})

t.test('no two rows have one name, and each is recorded', async (t) => {
  t.equal(new Set(ROWS.map(({ name }) => name)).size, ROWS.length)
  t.same(
    [...REQUESTS.keys()],
    ROWS.map(({ name }) => name),
  )
})

for (const row of ROWS) {
  const request = REQUESTS.get(row.name)
  if (request === undefined) continue
  t.test(row.title, async (t) => {
    const verdict = judgedWithEverything(request, mayDoOf(row), factsOf(row))
    t.same(sorted(expectationOf(verdict)), sorted(row.expect), 'told everything')
    if (row.says !== undefined) {
      t.match([denialOf(verdict)?.message, ...verdict.warnings].join('\n'), row.says)
    }
    t.same(sorted(reviewedOffline(row, request, undefined)), sorted(expectedAt(row, 'offline')), 'offline')
    const [reason] = row.blind?.offline ?? []
    if (reason === undefined) return
    t.notSame(
      sorted(expectedAt(row, 'offline')),
      sorted(row.expect),
      `blind for a reason: ${BLIND_REASONS[reason]}`,
    )
    if (reason !== 'user') return
    t.same(sorted(reviewedOffline(row, request, userOf(request))), sorted(row.expect), 'offline, with --user')
  })
}

function refusals({ forbidden = [], invalid = [] }: Expectation): readonly RuleId[] {
  return [...forbidden, ...invalid]
}

/** In the order in which rules are asked, which is not the table's business. */
function sorted(expectation: Expectation): Expectation {
  const entries = Object.entries(expectation).filter(([, rules]) => rules.length > 0)
  return Object.fromEntries(entries.map(([key, rules]) => [key, [...rules].sort()]))
}

function mayDoOf({ actor }: Row): readonly BreakGlassVerb[] {
  if (typeof actor !== 'string' || ACTORS[actor].role === 'editor') return []
  return ['unpublish', 'migrate']
}

/** What a webhook in sync would know. */
function factsOf(row: Row): LedgerFacts {
  const stored = row.stored === undefined ? undefined : moduleOf(moduleManifest(row, row.stored))
  const others = (row.beside ?? [])
    .map((object) => placed(row, object))
    .filter(({ kind }) => kind === 'Module')
    .map(moduleOf)
  const neighbours = new Map(
    others
      .filter(({ meta }) => meta.name !== row.name && meta.namespace === row.policy)
      .flatMap(({ meta, versions }) =>
        versions.map(({ version }) => [versionObjectName(meta.name, version), meta.name] as const),
      ),
  )
  const lines = Object.entries(row.ledger ?? {})
  const first = lines.map(([, { source, sourceId }]) =>
    source === undefined || sourceId === undefined ? undefined : { source, sourceId },
  )
  return {
    ...NO_FACTS,
    published: new Map([...publishedIn(stored), ...lines]),
    firstPublisher: first.find((publisher) => publisher !== undefined),
    namesakes: others
      .filter(({ meta }) => meta.name === row.name)
      .map(({ meta }) => `${meta.namespace}/${meta.name}`),
    versionNameOwner: (objectName) => neighbours.get(objectName),
    module: stored,
    publishedInNamespace: others.filter(
      ({ meta, config }) => meta.namespace === row.about && config.immutable,
    ).length,
    publishedInCluster: 1,
  }
}

function publishedIn(module: ModuleObject | undefined): ReadonlyMap<string, PublishedFacts> {
  const immutable = module?.config.immutable ?? false
  const plain = [...identitiesOf(module).keys()]
  return new Map(plain.map((version) => [version, { state: 'present', immutable }]))
}

function moduleOf(manifest: Json): ModuleObject {
  const read = readModule(manifest)
  if (!read.ok) throw new Error(read.denial)
  return read.value
}
