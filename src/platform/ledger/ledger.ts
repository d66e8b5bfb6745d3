// The ledger's port: what was ever published, in memory for reading, kept somewhere for good. In a cluster that is one
// PublishedVersion for each version (kube_ledger.ts), without one the store (store_ledger.ts); both pass
// test/conformance/ledger.ts. What an entry may become, core/module/ledger.ts says.
import type { LedgerEntry, ModuleKey, PublishedFacts } from '#core/module/ledger.ts'

export interface Ledger {
  /** By plain version, what was recorded here included, if it is not kept yet. */
  published(module: ModuleKey): ReadonlyMap<string, PublishedFacts>

  /**
   * Creates what is absent, fills in what was not known, moves the state; never overwrites. At once in memory; resolves when it
   * is kept, which is tried until it is, or the ledger is closed. Never rejects. New entries that are not immutable find no room
   * above the bound of core/module/ledger_bound.ts; the log and `onUnremembered` say how many did not.
   */
  record(module: ModuleKey, writes: ReadonlyMap<string, PublishedFacts>): Promise<void>

  /** New entries that are not immutable and would find room now. */
  room(module: ModuleKey): number

  entries(): Iterable<LedgerEntry>

  /** Why it does not say what is kept, or cannot keep what it should; `undefined`: all is well. */
  missing(): string | undefined

  /** Waits for nothing that cannot be written. */
  close(): Promise<void>
}

/** The line in the log when versions find no room. */
export const UNREMEMBERED =
  'versions that are not immutable are not remembered: of this Module or Provider, or of its namespace, there are as many as the ledger keeps'

/**
 * How a write ended: `refused` as long as the entry breaks what its schema says, `failed` for now; `conflict`: somebody
 * else was faster, and it is merged with theirs.
 */
export type LedgerWriteResult = 'created' | 'updated' | 'unchanged' | 'conflict' | 'failed' | 'refused'
