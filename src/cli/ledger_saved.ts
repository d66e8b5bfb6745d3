// What an export of the ledger remembers and the ledger itself does not: whole entries, and what is absent in others. What became of
// a version since, the cluster knows better.
import { isSameFacts, mergedFacts } from '#core/module/ledger.ts'
import type { LedgerEntry, ModuleKey, PublishedFacts } from '#core/module/ledger.ts'
import { keyText } from '#platform/ledger/ledger_book.ts'

type Published = ReadonlyMap<string, PublishedFacts>

export type Saved = {
  readonly entries: readonly LedgerEntry[]
  /** To record, by plain version. */
  readonly writesTo: (module: ModuleKey) => Published
  /** Whose there are any. */
  readonly modules: readonly ModuleKey[]
}

const NOTHING: Published = new Map()

export function savedEntries(
  entries: readonly LedgerEntry[],
  published: (module: ModuleKey) => Published,
): Saved {
  const byKey = new Map<
    string,
    { readonly module: ModuleKey; readonly writes: Map<string, PublishedFacts> }
  >()
  for (const { module, version, facts } of entries) {
    const known = published(module).get(version)
    const whole = known === undefined ? facts : mergedFacts(known, { ...facts, state: known.state })
    if (known !== undefined && isSameFacts(known, whole)) continue
    const page = byKey.get(keyText(module)) ?? { module, writes: new Map<string, PublishedFacts>() }
    page.writes.set(version, whole)
    byKey.set(keyText(module), page)
  }
  return {
    entries,
    writesTo: (module) => byKey.get(keyText(module))?.writes ?? NOTHING,
    modules: [...byKey.values()].map(({ module }) => module),
  }
}
