// What a change does to a list of versions, by identity. Only what this request changes is in here, so that objects which
// break today's rules already can still be written.
import type { ModuleObject, VersionEntry } from './module_object.ts'
import type { Reading } from './reading.ts'
import { readVersionIdentity } from './version_identity.ts'
import type { VersionIdentity } from './version_identity.ts'

type AddedVersion = {
  readonly index: number
  readonly plain: string
  readonly identity: VersionIdentity
}

export type VersionChanges = {
  /** What is stored and what is asked for, by plain version. */
  readonly before: ReadonlyMap<string, VersionIdentity>
  readonly after: ReadonlyMap<string, VersionIdentity>
  readonly added: readonly AddedVersion[]
  /** Gone from the list, with where they stood. What is no version goes by its text. */
  readonly removed: readonly { readonly index: number; readonly plain: string }[]
  /** Kept, but the entry is not what it was: another spelling, other fields. */
  readonly rewritten: readonly {
    readonly index: number
    readonly plain: string
    readonly was: VersionEntry
  }[]
  /** New entries that are no version. */
  readonly malformed: readonly { readonly index: number; readonly text: string; readonly problem: string }[]
  /** A second entry of one version, where the list did not have it twice before. */
  readonly doubled: readonly { readonly index: number; readonly plain: string }[]
}

type Placed = {
  readonly index: number
  readonly entry: VersionEntry
  readonly plain: string
  readonly identity: VersionIdentity | undefined
  readonly problem: string
}

export function versionChanges(
  before: Pick<ModuleObject, 'versions'> | undefined,
  after: Pick<ModuleObject, 'versions'> | undefined,
): VersionChanges {
  const read = readOnce()
  const old = place(before?.versions ?? [], read)
  const next = place(after?.versions ?? [], read)
  const fresh = [...next.first.values()].filter((placed) => !old.first.has(placed.plain))
  return {
    before: identitiesIn(old.first),
    after: identitiesIn(next.first),
    added: fresh.flatMap(({ index, plain, identity }) =>
      identity === undefined ? [] : [{ index, plain, identity }],
    ),
    removed: [...old.first.values()].filter(({ plain }) => !next.first.has(plain)),
    rewritten: [...next.first.values()].flatMap(({ index, plain, entry }) => {
      const was = old.first.get(plain)?.entry
      return was === undefined || isSameEntry(was, entry) ? [] : [{ index, plain, was }]
    }),
    malformed: fresh
      .filter(({ identity }) => identity === undefined)
      .map(({ index, plain, problem }) => ({ index, text: plain, problem })),
    doubled: next.again.filter(({ plain }) => !old.again.some((placed) => placed.plain === plain)),
  }
}

type ReadVersion = (text: string) => Reading<VersionIdentity>

/** Both lists hold the same texts, nearly: 500 of them are half the time of a verdict. */
function readOnce(): ReadVersion {
  const known = new Map<string, Reading<VersionIdentity>>()
  return (text) => {
    const read = known.get(text) ?? readVersionIdentity(text)
    known.set(text, read)
    return read
  }
}

function identitiesIn(placed: ReadonlyMap<string, Placed>): ReadonlyMap<string, VersionIdentity> {
  const identities = new Map<string, VersionIdentity>()
  for (const { plain, identity } of placed.values())
    if (identity !== undefined) identities.set(plain, identity)
  return identities
}

function place(
  entries: readonly VersionEntry[],
  readVersion: ReadVersion,
): {
  first: ReadonlyMap<string, Placed>
  again: readonly Placed[]
} {
  const first = new Map<string, Placed>()
  const again: Placed[] = []
  for (const [index, entry] of entries.entries()) {
    const read = readVersion(entry.version)
    const placed = {
      index,
      entry,
      plain: read.ok ? read.value.plain : entry.version,
      identity: read.ok ? read.value : undefined,
      problem: read.ok ? '' : read.denial,
    }
    if (first.has(placed.plain)) again.push(placed)
    else first.set(placed.plain, placed)
  }
  return { first, again }
}

function isSameEntry(left: VersionEntry, right: VersionEntry): boolean {
  return left.version === right.version && left.otherFields.join('\n') === right.otherFields.join('\n')
}
