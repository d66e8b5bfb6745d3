// WH-M15: a Namespace that holds published versions is not deleted, and keeps the labels by which admission finds it.
import type { NamespaceChange } from '#core/module/change.ts'
import type { LedgerFacts } from '#core/module/ledger.ts'
import { listed, quoted } from '#core/module/printable.ts'
import type { Finding } from '#core/module/verdict.ts'

export function guardedNamespace(change: NamespaceChange, facts: LedgerFacts): readonly Finding[] {
  const { old: before, new: after } = change
  const count = facts.publishedInNamespace
  if (before === undefined || before.meta.isTerminating || count === 0) return []
  const holds = `this Namespace holds ${count} published version${count === 1 ? '' : 's'} that never change`
  if (after === undefined) return [deleted(holds)]
  const touched = touchedLabels(before.meta.labels, after.meta.labels)
  if (touched.length === 0) return []
  const labels = listed(touched.map(quoted), 3)
  return [
    {
      rule: 'WH-M15',
      kind: 'forbidden',
      path: 'metadata.labels',
      message: `${holds}, and the label ${labels} would change, which decides whether its Modules are looked at`,
      wayOut: 'leave the label as it is',
    },
  ]
}

function deleted(holds: string): Finding {
  return {
    rule: 'WH-M15',
    kind: 'forbidden',
    path: '',
    message: `${holds}, and would be deleted with them`,
    wayOut: 'keep the Namespace, or unpublish its Modules first, one by one',
  }
}

/**
 * Ours alone. The configuration that we write selects by name, whose label the API server keeps; whoever writes a selector of
 * their own has these to select by.
 */
function touchedLabels(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): readonly string[] {
  const ours = [...before.keys(), ...after.keys()].filter((key) => key.startsWith('sallyport.dev/'))
  return [...new Set(ours)].filter((key) => before.get(key) !== after.get(key))
}
