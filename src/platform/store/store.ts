// The one store port. Small enough to hold in the head; every implementation passes test/conformance/store.ts.
// Values are strings (JSON, written by their owner). Keys are `<owner>/<id>`; docs/architecture.md lists every owner.
import type { Claim } from './claim.ts'

export interface Store {
  /** The value, or `undefined` when absent or expired. */
  get(key: string): Promise<string | undefined>

  /** Writes unconditionally. `expiresAt`: milliseconds since the epoch; absent means it stays. */
  put(key: string, value: string, expiresAt?: number): Promise<void>

  /**
   * Writes `next` (or deletes, when `undefined`) only if the present value is `expected` (`undefined`: absent).
   * Atomic across processes. Says whether it wrote.
   */
  compareAndSet(
    key: string,
    expected: string | undefined,
    next: string | undefined,
    expiresAt?: number,
  ): Promise<boolean>

  /** True for exactly one caller of one key until `expiresAt`; atomic across processes and durable before it resolves. */
  claimOnce(key: string, expiresAt: number): Promise<boolean>

  /**
   * Takes all of the claims, each of another key, or none: true when it took them. As atomic and durable as `claimOnce`,
   * which is one claim of a whole.
   */
  claimAllOnce(claims: readonly Claim[]): Promise<boolean>

  /** Living entries whose key begins with `prefix`, in key order. */
  list(prefix: string): Promise<readonly StoreEntry[]>

  /** Deletes what has expired; says how many. Called now and then by the server, never needed for correctness. */
  expire(): Promise<number>

  /** Rejects with a StoreFailure when the store cannot be used now (readiness). */
  ping(): Promise<void>

  /**
   * Milliseconds since the epoch by the clock that all replicas share, where the store has one of its own. Rejects with
   * StoreFailure.
   */
  readonly sharedClock?: (() => Promise<number>) | undefined

  close(): Promise<void>
}

export type StoreEntry = { readonly key: string; readonly value: string }

/** The store cannot be opened, read or written: our fault, answered 503. */
export class StoreFailure extends Error {
  readonly code = 'SALLYPORT_STORE'
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'StoreFailure'
  }
}
