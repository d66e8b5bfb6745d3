// The ledger's port: what was ever published, in memory for reading, kept somewhere for good. In a cluster that is one
// PublishedVersion for each version (kube_ledger.ts), without one the store (store_ledger.ts); both pass
// test/conformance/ledger.ts. What an entry may become, core/module/ledger.ts says.
import type { LedgerEntry, ModuleKey, PublishedFacts } from '#core/module/ledger.ts'

export interface Ledger {
  /** By plain version, what was recorded here included, if it is not kept yet. */
  published(module: ModuleKey): ReadonlyMap<string, PublishedFacts>

  /**
   * Creates what is absent, fills in what was not known, moves the state; never overwrites. At once in memory; resolves when it
   * is kept, which is tried until it is, or the ledger is closed. Never rejects.
   */
  record(module: ModuleKey, writes: ReadonlyMap<string, PublishedFacts>): Promise<void>

  entries(): Iterable<LedgerEntry>

  /** Why it does not say what is kept, or cannot keep what it should; `undefined`: all is well. */
  missing(): string | undefined

  /** Waits for nothing that cannot be written. */
  close(): Promise<void>
}

/**
 * How a write ended: `refused` for good, because the entry breaks what its schema says, `failed` for now; `conflict`: somebody
 * else was faster, and it is merged with theirs.
 */
export type LedgerWriteResult = 'created' | 'updated' | 'unchanged' | 'conflict' | 'failed' | 'refused'
