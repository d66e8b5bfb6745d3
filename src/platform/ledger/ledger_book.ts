// The entries in memory, by Module.
import type { LedgerEntry, ModuleKey, PublishedFacts } from '#core/module/ledger.ts'
import { roomFor } from '#core/module/ledger_bound.ts'

const NOTHING: ReadonlyMap<string, PublishedFacts> = new Map()

type Page = {
  readonly module: ModuleKey
  readonly facts: Map<string, PublishedFacts>
  /** Of these, entries that were never immutable. */
  mutable: number
}

export class LedgerBook {
  readonly #pages = new Map<string, Page>()
  /** Namespace -> entries that are present and immutable. */
  readonly #held = new Map<string, number>()
  /** Namespace -> entries that were never immutable and are not listed any more. */
  readonly #left = new Map<string, number>()
  #size = 0

  get size(): number {
    return this.#size
  }

  published(module: ModuleKey): ReadonlyMap<string, PublishedFacts> {
    return this.#pages.get(keyText(module))?.facts ?? NOTHING
  }

  set({ module, version, facts }: LedgerEntry): void {
    const key = keyText(module)
    const page = this.#pages.get(key) ?? { module, facts: new Map<string, PublishedFacts>(), mutable: 0 }
    const before = page.facts.get(version)
    if (before === undefined) this.#size += 1
    const { namespace } = module
    add(this.#held, namespace, Number(isHeld(facts)) - Number(isHeld(before)))
    add(this.#left, namespace, Number(isLeft(facts)) - Number(isLeft(before)))
    page.mutable += Number(isMutable(facts)) - Number(isMutable(before))
    page.facts.set(version, facts)
    this.#pages.set(key, page)
  }

  /** For how many more entries that are not immutable (ledger_bound.ts). */
  room(module: ModuleKey): number {
    const leftInNamespace = this.#left.get(module.namespace) ?? 0
    return roomFor({ ofObject: this.#pages.get(keyText(module))?.mutable ?? 0, leftInNamespace })
  }

  /** Modules and Providers that there is no more room for. */
  full(): number {
    let count = 0
    for (const { module } of this.#pages.values()) if (this.room(module) === 0) count += 1
    return count
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

function add(counts: Map<string, number>, namespace: string, change: number): void {
  if (change !== 0) counts.set(namespace, (counts.get(namespace) ?? 0) + change)
}

function isMutable(facts: PublishedFacts | undefined): boolean {
  return facts?.immutable === false
}

function isLeft(facts: PublishedFacts | undefined): boolean {
  return isMutable(facts) && facts?.state !== 'present'
}

function isHeld(facts: PublishedFacts | undefined): boolean {
  return facts?.state === 'present' && facts.immutable
}

/** Neither a namespace nor a name has a slash. */
export function keyText({ kind, namespace, name }: ModuleKey): string {
  return `${kind}/${namespace}/${name}`
}
