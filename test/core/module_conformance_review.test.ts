// The conformance table through the offline review itself: two states of a folder, the ledger and the policies, without anybody
// who asks; and with what its options tell it, what those make it see.
import t from 'tap'
import { review } from '../../src/core/review/review.ts'
import type { ReviewedTree, ReviewInput } from '../../src/core/review/review.ts'
import { expectedAt, moduleManifest, placed } from '../conformance/module_cases.ts'
import type { Expectation, Json, Row } from '../conformance/module_cases.ts'
import { ROWS } from '../conformance/module_table.ts'
import { NAMED_POLICIES, NOW, userOf } from '../conformance/offline_door.ts'
import { recordedRequests } from '../conformance/recorded.ts'
import { ledgerOf } from '../conformance/row_facts.ts'

const REQUESTS = recordedRequests()

for (const row of ROWS) {
  const request = REQUESTS.get(row.name)
  if (request === undefined) continue
  t.test(row.title, async (t) => {
    t.same(reviewed(row, request), severities(expectedAt(row, 'offline')))
    const [reason] = row.blind?.offline ?? []
    if (reason !== 'user' && reason !== 'deletion') return
    const told = { user: userOf(request), isPruned: true }
    t.same(reviewed(row, request, told), severities(row.expect), 'with --user and --prune')
  })
}

type Severities = { readonly denied: readonly string[]; readonly told: readonly string[] }

/** The review shows a code nowhere, and what is only written down as a notice. */
function severities(expectation: Expectation): Severities {
  const { forbidden = [], invalid = [], warns = [], told = [], audits = [] } = expectation
  return {
    denied: [...new Set([...forbidden, ...invalid])].sort(),
    told: [...new Set([...warns, ...told, ...audits])].sort(),
  }
}

function reviewed(row: Row, request: Json, told: Partial<ReviewInput> = {}): Severities {
  const { kind } = Object(request['object'] ?? request['oldObject'])
  const { findings } = review({
    before: treeOf(row, request['oldObject'], kind),
    after: treeOf(row, request['object'], kind),
    around: [],
    policies: NAMED_POLICIES,
    ledger: ledgerOf(row),
    user: undefined,
    mayDo: new Set(),
    atSeconds: NOW,
    namespace: 'default',
    isPruned: false,
    ...told,
  })
  const rules = findings.filter(({ rule }) => rule.startsWith('WH-'))
  const named = (isDenied: boolean) =>
    [
      ...new Set(rules.filter(({ severity }) => (severity === 'deny') === isDenied).map(({ rule }) => rule)),
    ].sort()
  return { denied: named(true), told: named(false) }
}

/** The row's object, and beside it the Modules and Providers that stay as they are. */
function treeOf(row: Row, object: unknown, kind: string): ReviewedTree {
  const stored = row.stored === undefined || kind === 'Module' ? [] : [moduleManifest(row, row.stored)]
  const beside = (row.beside ?? [])
    .map((other) => placed(row, other))
    .filter((other) => other['kind'] === 'Module' || (other['kind'] === 'Provider' && kind !== 'Provider'))
  const documents = [...stored, ...beside, ...(object === undefined ? [] : [object])]
  return {
    documents: documents.map((data) => ({ data, within: '', placeOf: () => undefined })),
    unread: [],
  }
}
