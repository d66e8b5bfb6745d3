// What a change does to a list of versions, by identity. Only what this request changes is in here, so that objects which
// break today's rules already can still be written; and only what differs is read, since a list may have tens of thousands.
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
  /** How many entries come or go, whichever is more; of a reordered list none. Known before anything is made of them. */
  readonly count: number
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

type Listing = Pick<ModuleObject, 'versions'> | undefined
type Entries = readonly VersionEntry[]

/** Worked out when it is asked for: most rules of most changes ask for little. */
export function versionChanges(
  before: Listing,
  after: Listing,
  { mayDouble = false }: { readonly mayDouble?: boolean } = {},
): VersionChanges {
  return new LazyChanges(entriesOf(before), entriesOf(after), mayDouble)
}

/**
 * A class, since V8 makes a hidden class for each object literal that has getters of its own: in the old generation, where it
 * keeps both lists until the next full collection.
 */
class LazyChanges implements VersionChanges {
  readonly #mayDouble: boolean
  /** As of whatever is deleted: nothing is made of the list only to say that it has nothing new. */
  readonly #isEmptied: boolean
  readonly #stored: () => ReadonlyMap<string, VersionIdentity>
  readonly #wanted: () => ReadonlyMap<string, VersionIdentity>
  readonly #difference: () => Difference
  readonly #changes: () => Changes

  constructor(old: Entries, next: Entries, mayDouble: boolean) {
    this.#mayDouble = mayDouble
    this.#isEmptied = next.length === 0
    this.#stored = once(() => identitiesIn(old))
    this.#wanted = once(() => identitiesIn(next))
    this.#difference = once(() => differenceOf(old, next))
    this.#changes = once(() => changesBetween(this.#difference()))
  }

  get count(): number {
    return this.#difference().count
  }

  get before(): ReadonlyMap<string, VersionIdentity> {
    return this.#stored()
  }

  get after(): ReadonlyMap<string, VersionIdentity> {
    return this.#wanted()
  }

  get added(): VersionChanges['added'] {
    return this.#isEmptied ? [] : this.#changes().added
  }

  get removed(): VersionChanges['removed'] {
    return this.#changes().removed
  }

  get rewritten(): VersionChanges['rewritten'] {
    return this.#isEmptied ? [] : this.#changes().rewritten
  }

  get malformed(): VersionChanges['malformed'] {
    return this.#isEmptied ? [] : this.#changes().malformed
  }

  get doubled(): VersionChanges['doubled'] {
    return this.#mayDouble || this.#isEmptied ? [] : this.#changes().doubled
  }
}

/**
 * The entries, where they stand, of every version of which one list has other entries than the other, or more than one. Those of all
 * other versions are the same in both, whatever their order, so no rule has anything to say of them.
 */
export function touchedEntries(before: Listing, after: Listing): TouchedEntries {
  return differenceOf(entriesOf(before), entriesOf(after)).touched()
}

const NO_ENTRIES: Entries = []

function entriesOf(listing: Listing): Entries {
  return listing?.versions ?? NO_ENTRIES
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined
  return () => (made ??= { value: make() }).value
}

function identitiesIn(entries: Entries): ReadonlyMap<string, VersionIdentity> {
  const identities = new Map<string, VersionIdentity>()
  const read = readerFor(entries.length)
  for (const { version } of entries) {
    const identity = read(version)
    if (identity.ok && !identities.has(identity.value.plain))
      identities.set(identity.value.plain, identity.value)
  }
  return identities
}
type Changes = Omit<VersionChanges, 'before' | 'after' | 'count'>

function changesBetween(difference: Difference): Changes {
  const touched = difference.touched()
  const old = byPlain(touched.before)
  const next = byPlain(touched.after)
  const fresh = [...next.first.values()].filter(({ plain }) => !old.first.has(plain))
  const wereTwice = new Set(old.again.map(({ plain }) => plain))
  return {
    added: fresh.flatMap(({ index, plain, identity }) =>
      identity === undefined ? [] : [{ index, plain, identity }],
    ),
    removed: [...old.first.values()].filter(({ plain }) => !next.first.has(plain)),
    rewritten: rewrittenIn(old.first, next.first),
    malformed: fresh
      .filter(({ identity }) => identity === undefined)
      .map(({ index, plain, problem }) => ({ index, text: plain, problem })),
    doubled: next.again.filter(({ plain }) => !wereTwice.has(plain)),
  }
}

type Placed = {
  readonly index: number
  readonly entry: VersionEntry
  readonly plain: string
  readonly identity: VersionIdentity | undefined
  readonly problem: string
}

type ByPlain = {
  readonly first: ReadonlyMap<string, Placed>
  /** What stands behind one of the same version. */
  readonly again: readonly Placed[]
}

function byPlain(entries: readonly Placed[]): ByPlain {
  const first = new Map<string, Placed>()
  const again: Placed[] = []
  for (const placed of entries) {
    if (first.has(placed.plain)) again.push(placed)
    else first.set(placed.plain, placed)
  }
  return { first, again }
}

function rewrittenIn(
  old: ReadonlyMap<string, Placed>,
  next: ReadonlyMap<string, Placed>,
): VersionChanges['rewritten'] {
  const rewritten: { index: number; plain: string; was: VersionEntry }[] = []
  for (const placed of next.values()) {
    const was = old.get(placed.plain)
    if (was === undefined || isSameEntry(was.entry, placed.entry)) continue
    rewritten.push({ index: placed.index, plain: placed.plain, was: was.entry })
  }
  return rewritten
}

type TouchedEntries = { readonly before: readonly Placed[]; readonly after: readonly Placed[] }

type Difference = { readonly count: number; readonly touched: () => TouchedEntries }

/** Of long lists by the one that comes, for as long as that is there: a review asks before it is judged, and the rules ask again. */
const differences = new WeakMap<Entries, { readonly before: Entries; readonly difference: Difference }>()

/** Comparing shorter ones again costs less than remembering them does. */
const LONG = 1000

function differenceOf(before: Entries, after: Entries): Difference {
  if (after.length < LONG) return differenceBetween(before, after)
  const known = differences.get(after)
  if (known?.before === before) return known.difference
  const difference = differenceBetween(before, after)
  // What comes new is compared with nothing, and may be what is stored, which is there for long.
  if (before.length > 0) differences.set(after, { before, difference })
  return difference
}

function differenceBetween(before: Entries, after: Entries): Difference {
  const middles = differingMiddles(before, after)
  const { old, next } = middles
  if (before.length === 0 || after.length === 0) {
    const touched = once(() => ({ before: placedOf(before), after: placedOf(after) }))
    return { count: Math.max(old.length, next.length), touched }
  }
  const { count, texts } = unmatched(middles)
  return { count, touched: once(() => placedIn(before, after, texts)) }
}

type Middles = { readonly old: Entries; readonly next: Entries }

/** Without what both begin with, and what both end with: of an append, which is nearly every change, one entry. */
function differingMiddles(before: Entries, after: Entries): Middles {
  const shorter = Math.min(before.length, after.length)
  let begin = 0
  while (begin < shorter && isSameAt(before, begin, after, begin)) begin += 1
  let end = 0
  while (end < shorter - begin && isSameAt(before, before.length - 1 - end, after, after.length - 1 - end))
    end += 1
  return { old: before.slice(begin, before.length - end), next: after.slice(begin, after.length - end) }
}

function isSameAt(left: Entries, at: number, right: Entries, other: number): boolean {
  const [one, two] = [left[at], right[other]]
  return one !== undefined && two !== undefined && isSameEntry(one, two)
}

type Unmatched = { readonly count: number; readonly texts: ReadonlySet<string> }

/** Texts that are not once in each middle as an entry of nothing else, or in two spellings; and how many entries come or go. */
function unmatched({ old, next }: Middles): Unmatched {
  const texts = new Set<string>()
  const left = new Map<string, number>()
  for (const { version, otherFields } of old) {
    const count = left.get(version) ?? 0
    if (count > 0 || otherFields !== undefined) texts.add(version)
    if (otherFields === undefined) left.set(version, count + 1)
  }
  let matched = 0
  for (const { version, otherFields } of next) {
    const count = otherFields === undefined ? (left.get(version) ?? 0) : 0
    if (count === 0) {
      texts.add(version)
      continue
    }
    matched += 1
    left.set(version, count - 1)
  }
  for (const [version, count] of left) {
    if (count > 0 || (version.startsWith('v') && left.has(version.slice(1)))) texts.add(version)
  }
  return { count: Math.max(old.length, next.length) - matched, texts }
}

/** Both of each version; what is no version is spelled as it is. */
function spellingsOf(texts: ReadonlySet<string>): ReadonlySet<string> {
  const spellings = new Set<string>()
  const read = readerFor(texts.size)
  for (const text of texts) {
    const identity = read(text)
    if (!identity.ok) spellings.add(text)
    else spellings.add(identity.value.plain).add(`v${identity.value.plain}`)
  }
  return spellings
}

/** Of the versions that these texts write, every entry in each list. */
function placedIn(before: Entries, after: Entries, texts: ReadonlySet<string>): TouchedEntries {
  const spellings = spellingsOf(texts)
  return spellings.size === 0
    ? { before: [], after: [] }
    : { before: placedOf(before, spellings), after: placedOf(after, spellings) }
}

/** @param spellings `undefined`: all that there are */
function placedOf(entries: Entries, spellings?: ReadonlySet<string>): readonly Placed[] {
  const read = readerFor(spellings?.size ?? entries.length)
  const placed: Placed[] = []
  // By numbers, and a few spellings without a look at every character: of 60,000 entries each pair and each hash counts.
  const isWanted = spellings === undefined ? undefined : memberOf(spellings)
  for (let index = 0; index < entries.length; index += 1) {
    const entry = entries[index]
    if (entry !== undefined && isWanted?.(entry.version) !== false)
      placed.push(placedAt(index, entry, read(entry.version)))
  }
  return placed
}

/** Texts that differ nearly always differ in length or soon; up to here that is found sooner than their hash. */
const FEW = 8

function memberOf(texts: ReadonlySet<string>): (text: string) => boolean {
  if (texts.size > FEW) return (text) => texts.has(text)
  // oxlint-disable-next-line unicorn/prefer-set-has -- a set is what this is not to ask
  const few = [...texts]
  return (text) => few.includes(text)
}

function placedAt(index: number, entry: VersionEntry, read: Reading<VersionIdentity>): Placed {
  return read.ok
    ? { index, entry, plain: read.value.plain, identity: read.value, problem: '' }
    : { index, entry, plain: entry.version, identity: undefined, problem: read.denial }
}

function isSameEntry(left: VersionEntry, right: VersionEntry): boolean {
  if (left === right) return true
  const [fields, others] = [left.otherFields, right.otherFields]
  if (left.version !== right.version || fields?.length !== others?.length) return false
  return fields === undefined || fields.every((field, index) => field === others?.[index])
}

/**
 * Versions as they were read: the lists of a cluster hold the same texts again and again, and reading them is half of the time
 * of a verdict. A pure function of the text; emptied when it is full.
 */
const known = new Map<string, Reading<VersionIdentity>>()
const MAX_KNOWN = 4096
const MAX_KNOWN_LENGTH = 64

/** Thousands would only push the others out. */
function readerFor(count: number): typeof readKnown {
  return count > MAX_KNOWN / 4 ? readVersionIdentity : readKnown
}

function readKnown(text: string): Reading<VersionIdentity> {
  const found = known.get(text)
  if (found !== undefined) return found
  const read = readVersionIdentity(text)
  if (text.length > MAX_KNOWN_LENGTH) return read
  if (known.size >= MAX_KNOWN) known.clear()
  known.set(ownText(text), read)
  return read
}
