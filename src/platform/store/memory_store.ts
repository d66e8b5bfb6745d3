// The store in memory: for `storage: memory`, tests and one-shot commands. Nothing outlives the process.
import type { Clock } from '#core/clock.ts'
import { claimedToo, claimedValue } from './claim.ts'
import type { Claim } from './claim.ts'
import type { Store, StoreEntry } from './store.ts'

type Entry = { readonly value: string; readonly expiresAt: number | undefined }

/**
 * A number: a claim of the whole, and how many milliseconds after the store's first write it expires. V8 keeps that in place, where
 * a time since the epoch is an object of its own (in a store of 24 days it is one, too). There are a million of those where there
 * are ten of the others.
 */
type Held = Entry | number

/** How many expired entries may wait for expire(); a write beyond it sweeps by itself. */
const sweepEvery = 10_000

export function createMemoryStore({ clock }: { readonly clock: Clock }): Store {
  const entries = new Map<string, Held>()
  /** Of the first write: nobody asks the clock before there is something to tell the time of. */
  let openedAt: number | undefined
  let writesSinceSweep = 0

  function entryOf(held: Held): Entry {
    return typeof held === 'number' ? { value: '', expiresAt: (openedAt ?? 0) + held } : held
  }

  function living(key: string): Entry | undefined {
    const held = entries.get(key)
    if (held === undefined) return undefined
    const entry = entryOf(held)
    return isLiving(entry, clock()) ? entry : undefined
  }

  function write(key: string, value: string, expiresAt: number | undefined): void {
    openedAt ??= clock()
    entries.set(key, value === '' && expiresAt !== undefined ? expiresAt - openedAt : { value, expiresAt })
    writesSinceSweep += 1
    if (writesSinceSweep >= sweepEvery) sweep()
  }

  /** What the claim would leave; `undefined` when it cannot be made. */
  function afterClaim({ key, parts, expiresAt }: Claim): (Entry & { readonly key: string }) | undefined {
    const held = living(key)
    if (held === undefined) return { key, value: claimedValue(parts), expiresAt }
    const value = claimedToo(held.value, parts)
    if (value === undefined) return undefined
    return { key, value, expiresAt: Math.max(held.expiresAt ?? Infinity, expiresAt) }
  }

  function sweep(): number {
    writesSinceSweep = 0
    const now = clock()
    const before = entries.size
    for (const [key, held] of entries) if (!isLiving(entryOf(held), now)) entries.delete(key)
    return before - entries.size
  }

  return {
    async get(key) {
      return living(key)?.value
    },
    async put(key, value, expiresAt) {
      write(key, value, expiresAt)
    },
    async compareAndSet(key, expected, next, expiresAt) {
      if (living(key)?.value !== expected) return false
      if (next === undefined) entries.delete(key)
      else write(key, next, expiresAt)
      return true
    },
    async claimOnce(key, expiresAt) {
      if (living(key) !== undefined) return false
      write(key, '', expiresAt)
      return true
    },
    async claimAllOnce(claims) {
      const left = claims.map((claim) => afterClaim(claim))
      if (left.includes(undefined)) return false
      for (const entry of left) if (entry !== undefined) write(entry.key, entry.value, entry.expiresAt)
      return true
    },
    async list(prefix) {
      const now = clock()
      const found: StoreEntry[] = []
      for (const [key, held] of entries) {
        const entry = entryOf(held)
        if (key.startsWith(prefix) && isLiving(entry, now)) found.push({ key, value: entry.value })
      }
      return found.sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)))
    },
    async expire() {
      return sweep()
    },
    async ping() {},
    async close() {
      entries.clear()
    },
  }
}

function isLiving(entry: Entry, now: number): boolean {
  return entry.expiresAt === undefined || entry.expiresAt > now
}
