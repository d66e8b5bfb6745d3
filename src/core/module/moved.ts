// When a Module or Provider was moved: where it comes from, what it is called or where its archives are became something else after
// versions were published. Nothing is published by that, so one entry of the ledger says it for all: the newest immutable one.
import type { PublishedFacts } from './ledger.ts'
import { isSameValue } from './reading.ts'
import { compareVersions, readVersionIdentity } from './version_identity.ts'

export type Move = {
  /** metadata.resourceVersion of the object that was moved: the same for everyone who sees it move. */
  readonly revision: string
  /** Seconds since the epoch, when it was observed, and by whom. */
  readonly atSeconds: number
  readonly by?: string
  /** Of the annotation that came with it. */
  readonly reason?: string
  /** `repoUrl`, `storageConfig`. */
  readonly settings: readonly string[]
  /** What they are since then, where they became something else: folded as `sourceOf` folds, and as WH-M6 writes storage. */
  readonly source?: string
  readonly storage?: string
}

/** The last ones that an entry keeps. */
export const MOST_MOVES = 10

/** Each once, oldest first: what is stored stays, what it lacks is filled in. */
export function mergedMoves(stored: readonly Move[] = [], wanted: readonly Move[] = []): readonly Move[] {
  if (wanted.length === 0) return stored
  const merged = new Map(wanted.map((move) => [move.revision, move]))
  for (const move of stored) merged.set(move.revision, { ...merged.get(move.revision), ...move })
  const moves = [...merged.values()].sort(compareMoves).slice(-MOST_MOVES)
  return isSameValue(moves, stored) ? stored : moves
}

function compareMoves(left: Move, right: Move): number {
  if (left.atSeconds !== right.atSeconds) return left.atSeconds - right.atSeconds
  if (left.revision === right.revision) return 0
  return left.revision < right.revision ? -1 : 1
}

/** Of the highest version that is immutable, one that is listed before one that is gone; `undefined`: nothing has to stay. */
export function entryOfMoves(published: ReadonlyMap<string, PublishedFacts>): string | undefined {
  let best: { readonly plain: string; readonly facts: PublishedFacts } | undefined
  for (const [plain, facts] of published) {
    if (facts.immutable && (best === undefined || isBefore({ plain, facts }, best))) best = { plain, facts }
  }
  return best?.plain
}

type Entry = { readonly plain: string; readonly facts: PublishedFacts }

function isBefore(left: Entry, right: Entry): boolean {
  const [isListed, isOtherListed] = [left, right].map(({ facts }) => facts.state === 'present')
  if (isListed !== isOtherListed) return isListed === true
  const [one, other] = [readVersionIdentity(left.plain), readVersionIdentity(right.plain)]
  return one.ok && other.ok && compareVersions(one.value, other.value) > 0
}
