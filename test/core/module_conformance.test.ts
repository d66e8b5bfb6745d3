// The conformance table without a cluster: what the rules say of each row when they are told everything, and what an offline
// review says. The same rows go through a real kube-apiserver in test/e2e/webhook_conformance*.test.ts.
import t from 'tap'
import type { BreakGlassVerb } from '../../src/core/module/change.ts'
import { RULE_IDS } from '../../src/core/module/rule_id.ts'
import type { RuleId } from '../../src/core/module/rule_id.ts'
import { denialOf } from '../../src/core/module/verdict_message.ts'
import { ACTORS } from '../conformance/module_actors.ts'
import { BLIND_REASONS, expectedAt } from '../conformance/module_cases.ts'
import type { Expectation, Row } from '../conformance/module_cases.ts'
import { ROWS } from '../conformance/module_table.ts'
import { expectationOf, judgedWithEverything, reviewedOffline, userOf } from '../conformance/offline_door.ts'
import { recordedRequests } from '../conformance/recorded.ts'
import { factsOf } from '../conformance/row_facts.ts'

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
