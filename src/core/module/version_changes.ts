// What a change does to a list of versions, by identity. Only what this request changes is in here, so that objects which
// break today's rules already can still be written.
import type { ModuleObject, VersionEntry } from './module_object.ts'
import type { Reading } from './reading.ts'
import { ownText } from '#core/own_text.ts'
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
  const old = place(before?.versions ?? [], [])
  const next = place(after?.versions ?? [], old.all)
  const fresh = [...next.first.values()].filter((placed) => !old.first.has(placed.plain))
  return {
    before: old.identities,
    after: next.identities,
    added: fresh.flatMap(({ index, plain, identity }) =>
      identity === undefined ? [] : [{ index, plain, identity }],
    ),
    removed: [...old.first.values()].filter(({ plain }) => !next.first.has(plain)),
    rewritten: rewrittenIn(old.first, next.first),
    malformed: fresh
      .filter(({ identity }) => identity === undefined)
      .map(({ index, plain, problem }) => ({ index, text: plain, problem })),
    doubled: next.again.filter(({ plain }) => !old.again.some((placed) => placed.plain === plain)),
  }
}

function rewrittenIn(
  old: ReadonlyMap<string, Placed>,
  next: ReadonlyMap<string, Placed>,
): VersionChanges['rewritten'] {
  const rewritten: { index: number; plain: string; was: VersionEntry }[] = []
  for (const placed of next.values()) {
    const was = old.get(placed.plain)
    // The same one where nothing moved.
    if (was === undefined || was === placed || isSameEntry(was.entry, placed.entry)) continue
    rewritten.push({ index: placed.index, plain: placed.plain, was: was.entry })
  }
  return rewritten
}

/**
 * Versions as they were read: the lists of a cluster hold the same texts again and again, and reading them is half of the time
 * of a verdict. A pure function of the text; emptied when it is full.
 */
const known = new Map<string, Reading<VersionIdentity>>()
const MAX_KNOWN = 4096
const MAX_KNOWN_LENGTH = 64

function readKnown(text: string): Reading<VersionIdentity> {
  const found = known.get(text)
  if (found !== undefined) return found
  const read = readVersionIdentity(text)
  if (text.length > MAX_KNOWN_LENGTH) return read
  if (known.size >= MAX_KNOWN) known.clear()
  known.set(ownText(text), read)
  return read
}

type PlacedList = {
  readonly all: readonly Placed[]
  /** By plain version; a second one of it is under `again`. */
  readonly first: ReadonlyMap<string, Placed>
  readonly again: readonly Placed[]
  readonly identities: ReadonlyMap<string, VersionIdentity>
}

/** @param others of the list that is compared with: most entries stand where they stood */
function place(entries: readonly VersionEntry[], others: readonly Placed[]): PlacedList {
  const all: Placed[] = []
  const first = new Map<string, Placed>()
  const again: Placed[] = []
  const identities = new Map<string, VersionIdentity>()
  for (const entry of entries) {
    const index = all.length
    const other = others[index]
    const placed = other !== undefined && isSameEntry(other.entry, entry) ? other : placedAt(index, entry)
    all.push(placed)
    const { plain, identity } = placed
    if (first.has(plain)) {
      again.push(placed)
      continue
    }
    first.set(plain, placed)
    if (identity !== undefined) identities.set(plain, identity)
  }
  return { all, first, again, identities }
}

function placedAt(index: number, entry: VersionEntry): Placed {
  const read = readKnown(entry.version)
  return read.ok
    ? { index, entry, plain: read.value.plain, identity: read.value, problem: '' }
    : { index, entry, plain: entry.version, identity: undefined, problem: read.denial }
}

function isSameEntry(left: VersionEntry, right: VersionEntry): boolean {
  if (left.version !== right.version || left.otherFields.length !== right.otherFields.length) return false
  return left.otherFields.length === 0 || left.otherFields.join('\n') === right.otherFields.join('\n')
}
