// How much the ledger remembers of what never had to stay. Whoever may change a Module that is not immutable can publish and remove
// version after version, and entries are for good: without a bound they are etcd's, and every replica's memory.
//
// The bound is on making entries, never on keeping them. Taking out the oldest would let whoever adds enough push out the very
// entry that is in his way, such as the one that says who published first, and would need the right to delete, which RBAC cannot
// limit to entries that never mattered. What is or becomes immutable is remembered whatever the count.
import type { PublishedFacts } from './ledger.ts'

/** Entries of one Module or Provider that were never immutable, listed or not; an object lists 500 at most (WH-V11). */
export const MOST_MUTABLE = 1000
/**
 * Of one namespace, those of them that are not listed any more: names of Modules are free to whoever may create and delete them.
 * What is listed now comes on top, and the objects themselves bound that.
 */
export const MOST_LEFT = 20_000

export type MutableCounts = {
  /** Of the Module or Provider: never immutable. */
  readonly ofObject: number
  /** Of its namespace: never immutable, and not listed any more. */
  readonly leftInNamespace: number
}

/** New entries that are not immutable and still find room. */
export function roomFor({ ofObject, leftInNamespace }: MutableCounts): number {
  return leftInNamespace >= MOST_LEFT ? 0 : Math.max(0, MOST_MUTABLE - ofObject)
}

export type Bounded = {
  readonly kept: ReadonlyMap<string, PublishedFacts>
  /** Versions that found no room. */
  readonly unremembered: number
}

/** Of what should be written: what is known or immutable, and as much of the rest as there is room for, in its order. */
export function withinBound(
  writes: ReadonlyMap<string, PublishedFacts>,
  known: ReadonlyMap<string, PublishedFacts>,
  room: number,
): Bounded {
  const kept = new Map<string, PublishedFacts>()
  let made = 0
  for (const [plain, facts] of writes) {
    const needsRoom = !known.has(plain) && !facts.immutable
    if (needsRoom && made >= room) continue
    if (needsRoom) made += 1
    kept.set(plain, facts)
  }
  return { kept, unremembered: writes.size - kept.size }
}

/** Entries that were never immutable. */
export function countMutable(published: ReadonlyMap<string, PublishedFacts>): number {
  let count = 0
  for (const { immutable } of published.values()) if (!immutable) count += 1
  return count
}
