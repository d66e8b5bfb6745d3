// The entries in memory, by Module.
import type { LedgerEntry, ModuleKey, PublishedFacts } from '#core/module/ledger.ts'

const NOTHING: ReadonlyMap<string, PublishedFacts> = new Map()

type Page = { readonly module: ModuleKey; readonly facts: Map<string, PublishedFacts> }

export class LedgerBook {
  readonly #pages = new Map<string, Page>()
  /** Namespace -> entries that are present and immutable. */
  readonly #held = new Map<string, number>()
  #size = 0

  get size(): number {
    return this.#size
  }

  published(module: ModuleKey): ReadonlyMap<string, PublishedFacts> {
    return this.#pages.get(keyText(module))?.facts ?? NOTHING
  }

  set({ module, version, facts }: LedgerEntry): void {
    const key = keyText(module)
    const page = this.#pages.get(key) ?? { module, facts: new Map<string, PublishedFacts>() }
    const before = page.facts.get(version)
    if (before === undefined) this.#size += 1
    const change = Number(isHeld(facts)) - Number(isHeld(before))
    if (change !== 0) this.#held.set(module.namespace, this.heldIn(module.namespace) + change)
    page.facts.set(version, facts)
    this.#pages.set(key, page)
  }

  heldIn(namespace: string): number {
    return this.#held.get(namespace) ?? 0
  }

  held(): number {
    return [...this.#held.values()].reduce((sum, count) => sum + count, 0)
  }

  *entries(): IterableIterator<LedgerEntry> {
    for (const { module, facts: all } of this.#pages.values()) {
      for (const [version, facts] of all) yield { module, version, facts }
    }
  }
}

function isHeld(facts: PublishedFacts | undefined): boolean {
  return facts?.state === 'present' && facts.immutable
}

/** Neither a namespace nor a name has a slash. */
export function keyText({ kind, namespace, name }: ModuleKey): string {
  return `${kind}/${namespace}/${name}`
}
