// From objects to entries of the ledger: what one commit, or one look at everything that is stored, adds to what is known.
import { statedMigration, statedReason } from './break_glass.ts'
import { ledgerWrites } from './ledger.ts'
import type { Attribution, LedgerEntry, ModuleKey, PublishedFacts } from './ledger.ts'
import { withinBound } from './ledger_bound.ts'
import type { ModuleObject, ProviderObject } from './module_object.ts'
import { entryOfMoves, mergedMoves } from './moved.ts'
import type { Move } from './moved.ts'
import { readPins } from './pins.ts'
import { cutToBytes, printable } from './printable.ts'
import { differences } from './rules/m2_other_upstream.ts'
import { repointings } from './rules/m2_repointed.ts'
import { storageText } from './rules/m6_storage_moved.ts'
import { sourceOf } from './source_of.ts'

/** What publishes versions. */
export type PublishingObject = ModuleObject | ProviderObject

/** What is looked up while the entries of a commit are made. */
export type CommitLookups = {
  readonly published: (module: ModuleKey) => ReadonlyMap<string, PublishedFacts>
  /** Of the archive of one version, as far as it is stored. */
  readonly digestOf: (object: PublishingObject, plain: string) => string | undefined
  /** Whether a policy requires that what it publishes never changes. */
  readonly isRequiredImmutable: (object: PublishingObject) => boolean
}

/** A Version that is stored, and that no Module or Provider lists: what it was made for was published once. */
export type UnlistedVersion = {
  readonly module: ModuleKey
  /** Plain. A Provider's may come once for each platform. */
  readonly version: string
  readonly immutable: boolean
  readonly digest: string | undefined
}

export type FeedLookups = CommitLookups & {
  readonly unlisted: () => Iterable<UnlistedVersion>
  /** For new entries that are not immutable (ledger_bound.ts). */
  readonly room: (module: ModuleKey) => number
}

type CommitAuthor = { readonly attribution: Attribution }

export type ObservedCommit = {
  readonly before: PublishingObject | undefined
  readonly after: PublishingObject | undefined
  /** `undefined`: nobody saw it happen. */
  readonly seen:
    | {
        readonly author: CommitAuthor | undefined
        readonly atSeconds: number
        /** metadata.resourceVersion before it; '' of what was created. */
        readonly revision: string
      }
    | undefined
}

export function moduleKeyOf({ kind, meta }: PublishingObject): ModuleKey {
  return { kind, namespace: meta.namespace, name: meta.name }
}

/** What to record of one commit to one object. */
export function writesOfCommit(
  commit: ObservedCommit,
  lookups: CommitLookups,
): ReadonlyMap<string, PublishedFacts> {
  const { before, after, seen } = commit
  const object = after ?? before
  if (object === undefined) return NOTHING
  const move = moveOf(commit)
  const isSeenUpdate = before !== undefined && after !== undefined && seen !== undefined
  if (isSeenUpdate && move === undefined && isUntouched(before, after)) return NOTHING
  const known = lookups.published(moduleKeyOf(object))
  const writes = ledgerWrites(known, {
    before,
    after,
    immutable: after !== undefined && isImmutable(after),
    atSeconds: seen?.atSeconds,
    attribution: attributionOf(object, seen?.author?.attribution ?? {}),
    commits: commitsOf(after),
    ...(seen === undefined ? {} : { reasonOf: reasonsOf(commit) }),
  })
  if (after === undefined) return writes
  const completed = new Map<string, PublishedFacts>()
  for (const [plain, facts] of writes) {
    // What a policy requires counts for what is published under it; it holds for the rest as long as it is there.
    const isFresh = !known.has(plain) && facts.state === 'present'
    const immutable = facts.immutable || (isFresh && lookups.isRequiredImmutable(after))
    completed.set(plain, { ...withDigest(facts, after, { plain, lookups }), immutable })
  }
  // An archive that was stored while nobody looked.
  for (const [plain, facts] of seen === undefined ? known : NOTHING) {
    const whole = completed.has(plain) ? facts : withDigest(facts, after, { plain, lookups })
    if (whole !== facts) completed.set(plain, whole)
  }
  if (move !== undefined) addMove(completed, known, move)
  return completed
}

/** What nobody saw happen is not known to be one move, and by when. */
function moveOf(commit: ObservedCommit): Move | undefined {
  const { before, after, seen } = commit
  if (before === undefined || after === undefined || seen === undefined) return undefined
  const moved = movedSettings(before, after)
  if (moved.length === 0) return undefined
  const storage = moved.find(({ field }) => field === STORAGE)?.becomes
  const by = seen.author?.attribution.by
  const stated = statedMigration({ operation: 'UPDATE', old: before, new: after })
  const source = after.kind === 'Module' ? sourceOf(after) : undefined
  const isElsewhere = before.kind === 'Module' && source !== sourceOf(before)
  return {
    revision: seen.revision,
    atSeconds: seen.atSeconds,
    ...(by === undefined ? {} : { by }),
    ...(stated === undefined ? {} : { reason: cutToBytes(printable(stated), MAX_REASON) }),
    settings: moved.map(({ field }) => field),
    ...(isElsewhere && source !== undefined && source.length <= MAX_SOURCE ? { source } : {}),
    ...(storage === undefined ? {} : { storage: cutToBytes(printable(storage), MAX_SOURCE) }),
  }
}

const STORAGE = 'storageConfig'

export type MovedSetting = { readonly field: string; readonly becomes: string }

/** Of a published Module or Provider each takes a broken glass, where it has to stay what it is (WH-M2, WH-M6). */
export function movedSettings(before: PublishingObject, after: PublishingObject): readonly MovedSetting[] {
  const becomes = storageText(after.config.storage)
  const isStoredElsewhere = storageText(before.config.storage) !== becomes
  return [...repointedSettings(before, after), ...(isStoredElsewhere ? [{ field: STORAGE, becomes }] : [])]
}

function repointedSettings(before: PublishingObject, after: PublishingObject): readonly MovedSetting[] {
  if (before.kind === 'Module' && after.kind === 'Module')
    return repointings(before, after).map(({ field, becomes }) => ({ field, becomes }))
  if (before.kind === 'Provider' && after.kind === 'Provider')
    return differences(before, after).map(([field, becomes]) => ({ field, becomes }))
  return []
}

/** One entry has it for all: of 500 versions each would be a write. */
function addMove(
  writes: Map<string, PublishedFacts>,
  known: ReadonlyMap<string, PublishedFacts>,
  move: Move,
): void {
  const published = new Map([...known, ...writes])
  const plain = entryOfMoves(published)
  const facts = plain === undefined ? undefined : published.get(plain)
  if (plain === undefined || facts === undefined) return
  const moved = mergedMoves(facts.moved, [move])
  if (moved !== facts.moved) writes.set(plain, { ...facts, moved })
}

const NOTHING: ReadonlyMap<string, PublishedFacts> = new Map()

/** What one look found of one Module or Provider. */
export type LookStep = {
  readonly module: ModuleKey
  /** To record; empty: the ledger has it all. */
  readonly facts: ReadonlyMap<string, PublishedFacts>
  /** Versions that were not known, and known ones that are gone and nobody saw why. */
  readonly fresh: number
  readonly gone: number
}

export type LookSources = {
  readonly entries: () => Iterable<LedgerEntry>
  readonly stored: () => Iterable<PublishingObject>
  readonly isStored: (module: ModuleKey) => boolean
}

/**
 * What the ledger lacks of what is stored now, and what it has of objects that are not there any more; a step each, so that whoever
 * has other things to do may do them in between, and record each before the next.
 */
export function* lookForLost(sources: LookSources, lookups: FeedLookups): Generator<LookStep> {
  for (const object of sources.stored()) {
    // Before as after: nobody saw what came between.
    const facts = writesOfCommit({ before: object, after: object, seen: undefined }, lookups)
    yield stepOf(moduleKeyOf(object), facts, lookups)
  }
  for (const { module, facts } of unlistedByModule(lookups)) yield stepOf(module, facts, lookups)
  const left = new Map<string, ModuleKey>()
  for (const { module, facts } of sources.entries()) {
    if (facts.state === 'present' && !sources.isStored(module)) left.set(keyText(module), module)
  }
  for (const module of left.values()) {
    const nobody = {
      before: undefined,
      after: undefined,
      immutable: false,
      atSeconds: undefined,
      attribution: {},
    }
    yield stepOf(module, ledgerWrites(lookups.published(module), nobody), lookups)
  }
}

type Unlisted = { readonly module: ModuleKey; readonly facts: Map<string, PublishedFacts> }

/** Who took them off the list nobody saw, and what the ledger knows of one it knows better. */
function unlistedByModule({ unlisted, published }: FeedLookups): Iterable<Unlisted> {
  const found = new Map<string, Unlisted>()
  for (const { module, version, immutable, digest } of unlisted()) {
    if (published(module).has(version)) continue
    const key = keyText(module)
    const { facts } = found.get(key) ?? { facts: new Map<string, PublishedFacts>() }
    const told = digest === undefined ? {} : { digest }
    const stays = immutable || (facts.get(version)?.immutable ?? false)
    facts.set(version, { state: 'unpublished', immutable: stays, ...told })
    found.set(key, { module, facts })
  }
  return found.values()
}

function stepOf(module: ModuleKey, writes: LookStep['facts'], { published, room }: FeedLookups): LookStep {
  const known = published(module)
  const { kept: facts } = withinBound(writes, known, room(module))
  let [fresh, gone] = [0, 0]
  for (const [plain, { state }] of facts) {
    if (!known.has(plain)) fresh += 1
    else if (state !== 'present' && known.get(plain)?.state === 'present') gone += 1
  }
  return { module, facts, fresh, gone }
}

/** What no look at a cluster brings back; said wherever a ledger is made anew. */
export const LOST_FOR_GOOD =
  'who published them and when, by which pipeline, who moved their Module or Provider, when and why, and what was unpublished or pruned before and has no Version any more: none of it stands in the objects, and nobody looks into the storage'

type Completing = { readonly plain: string; readonly lookups: CommitLookups }

function withDigest(
  facts: PublishedFacts,
  object: PublishingObject,
  { plain, lookups }: Completing,
): PublishedFacts {
  if (facts.state !== 'present' || facts.digest !== undefined) return facts
  const digest = lookups.digestOf(object, plain)
  return digest === undefined ? facts : { ...facts, digest }
}

/** Status, labels and the like: nothing that the ledger says. */
function isUntouched(before: PublishingObject, after: PublishingObject): boolean {
  return (
    isImmutable(before) === isImmutable(after) &&
    before.versions.length === after.versions.length &&
    before.versions.every(({ version }, index) => version === after.versions[index]?.version)
  )
}

/** A Provider has no such field; a policy says it of one. */
function isImmutable(object: PublishingObject): boolean {
  return object.kind === 'Module' && object.config.immutable
}

/** Neither a namespace nor a name has a slash. */
function keyText({ kind, namespace, name }: ModuleKey): string {
  return `${kind}/${namespace}/${name}`
}

/** What the schema has room for. */
const MAX_SOURCE = 512

/** As the PublishedVersion's schema has them. */
const MAX_REASON = 1024

/** Of what was committed, so that nobody can make one up for somebody else's change. */
function reasonsOf({ before, after }: ObservedCommit): (plain: string) => string | undefined {
  const change = { operation: after === undefined ? 'DELETE' : 'UPDATE', old: before, new: after } as const
  return (plain) => {
    const stated = statedReason(change, plain)
    return stated === undefined ? undefined : cutToBytes(printable(stated), MAX_REASON)
  }
}

/** A pipeline of the Module's own repository is no other publisher. */
export function attributionOf(object: PublishingObject, author: Attribution): Attribution {
  const own = object.kind === 'Module' ? sourceOf(object) : undefined
  const source = own === undefined || own.length > MAX_SOURCE ? undefined : own
  const { publisher, ...rest } = author
  return {
    ...rest,
    ...(source === undefined ? {} : { source }),
    ...(publisher === undefined || publisher === source ? {} : { publisher }),
  }
}

const NO_COMMITS: ReadonlyMap<string, string> = new Map()

/** The Module itself says which commit each version is of; an archive's digest it only claims. */
export function commitsOf(object: PublishingObject | undefined): ReadonlyMap<string, string> {
  const pins = readPins(object)
  if (!pins.ok) return NO_COMMITS
  return new Map([...pins.value].filter(([, pin]) => !pin.startsWith('sha256:')))
}
