// The entries in memory, by Module.
import type { LedgerEntry, ModuleKey, PublishedFacts } from '#core/module/ledger.ts'

const NOTHING: ReadonlyMap<string, PublishedFacts> = new Map()

type Page = { readonly module: ModuleKey; readonly facts: Map<string, PublishedFacts> }

export class LedgerBook {
  readonly #pages = new Map<string, Page>()

  published(module: ModuleKey): ReadonlyMap<string, PublishedFacts> {
    return this.#pages.get(keyText(module))?.facts ?? NOTHING
  }

  set({ module, version, facts }: LedgerEntry): void {
    const key = keyText(module)
    const page = this.#pages.get(key) ?? { module, facts: new Map<string, PublishedFacts>() }
    page.facts.set(version, facts)
    this.#pages.set(key, page)
  }

  *entries(): IterableIterator<LedgerEntry> {
    for (const { module, facts: all } of this.#pages.values()) {
      for (const [version, facts] of all) yield { module, version, facts }
    }
  }
}

/** Neither a namespace nor a name has a slash. */
export function keyText({ kind, namespace, name }: ModuleKey): string {
  return `${kind}/${namespace}/${name}`
}
