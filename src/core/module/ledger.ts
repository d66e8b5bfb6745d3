// What is remembered of a published version, and how a commit that was observed changes it. Where it is kept is not
// known here.
import { createHash } from 'node:crypto'
import type { ModuleObject, ProviderObject, VersionEntry } from './module_object.ts'
import type { IdentityList } from './module_policy.ts'
import { mergedMoves } from './moved.ts'
import type { Move } from './moved.ts'
import { isSameValue } from './reading.ts'
import { compareVersions, readVersionIdentity } from './version_identity.ts'
import type { VersionIdentity } from './version_identity.ts'

/** `pruned`: versionHistoryLimit dropped it; `unpublished`: somebody removed it, or its Module. */
export type PublishedState = 'present' | 'pruned' | 'unpublished'

export type PublishedFacts = {
  readonly state: PublishedState
  /** It was published as something that never changes, and stays that. */
  readonly immutable: boolean
  /** Where it came from, folded as `sourceOf` folds. */
  readonly source?: string
  /** The repository whose pipeline published it, where that is another one. */
  readonly publisher?: string
  /** Immutable id of that pipeline's repository at its forge. */
  readonly sourceId?: string
  /** 40 or 64 hex digits. */
  readonly commit?: string
  /** `sha256:<64 hex digits>` of the archive that is served. */
  readonly digest?: string
  /** Username, and when the commit was observed, seconds since the epoch. */
  readonly by?: string
  readonly atSeconds?: number
  /** Of what is no longer there: who took it away and when, and the reason that they gave. */
  readonly removedBy?: string
  readonly removedAtSeconds?: number
  readonly reason?: string
  /** Of the Module, oldest first, never empty: one of its entries has it for all of them (moved.ts). */
  readonly moved?: readonly Move[]
}

/** Whose versions: a Module and a Provider of one name are two. `name` is metadata.name. */
export type ModuleKey = {
  readonly kind: 'Module' | 'Provider'
  readonly namespace: string
  readonly name: string
}

export type LedgerEntry = {
  readonly module: ModuleKey
  /** Plain. */
  readonly version: string
  readonly facts: PublishedFacts
}

export type LedgerFacts = {
  /** Of the Module that the change is about, by plain version. */
  readonly published: ReadonlyMap<string, PublishedFacts>
  /** First publisher of the Module: its id is the one that counts when a path is registered again. */
  readonly firstPublisher: { readonly source: string; readonly sourceId: string } | undefined
  /** Of other Modules that use this one's name, here or in another namespace: `namespace/name`. */
  readonly namesakes: readonly string[]
  /** Which other one has, or will have, a Version object of this name in this namespace: `namespace/name`. */
  readonly versionNameOwner: (objectName: string) => string | undefined
  /** Of a change to a Version: its Module as it is stored. Of a Module that is created: the one that has its name already. */
  readonly module: ModuleObject | undefined
  /** The same of a Provider, and of a provider's Version. */
  readonly provider: ProviderObject | undefined
  /** Its deletion was admitted and goes on. */
  readonly isNamespaceTerminating: boolean
  /** Of a change to a Namespace: present versions in it that were published as immutable. */
  readonly publishedInNamespace: number
  /** Of a change to a CustomResourceDefinition: the same everywhere. */
  readonly publishedInCluster: number
  /** Of a change to a GroupBinding: the names of all that are in its namespace. */
  readonly groupBindings: readonly string[]
  /** Whom the ledger is written by: the webhook's own accounts. */
  readonly ownIdentities: IdentityList
}

/** Where nothing is remembered: a review of files without a ledger. */
export const NO_FACTS: LedgerFacts = {
  published: new Map(),
  firstPublisher: undefined,
  namesakes: [],
  versionNameOwner: () => undefined,
  module: undefined,
  provider: undefined,
  isNamespaceTerminating: false,
  publishedInNamespace: 0,
  publishedInCluster: 0,
  groupBindings: [],
  ownIdentities: { users: [], groups: [] },
}

/** Whoever published the earliest version of which both repository and id are known. */
export function firstPublisherOf(
  published: ReadonlyMap<string, PublishedFacts>,
): LedgerFacts['firstPublisher'] {
  let first: { readonly source: string; readonly sourceId: string } | undefined
  let firstAt = Infinity
  for (const { publisher, source, sourceId, atSeconds = Infinity } of published.values()) {
    const repository = publisher ?? source
    if (repository === undefined || sourceId === undefined) continue
    if (first !== undefined && atSeconds >= firstAt) continue
    first = { source: repository, sourceId }
    firstAt = atSeconds
  }
  return first
}

/** What is known of who published: the source of what it listed, the rest of the request that was judged. */
export type Attribution = Pick<PublishedFacts, 'source' | 'publisher' | 'sourceId' | 'commit' | 'by'>

/** What is looked at of a Module or a Provider. */
export type Listing = {
  readonly versions: readonly VersionEntry[]
  readonly config: { readonly versionHistoryLimit: number | undefined }
}

export type Observation = {
  /** `undefined` when it was not there. */
  readonly before: Listing | undefined
  /** `undefined` when it was deleted. */
  readonly after: Listing | undefined
  readonly immutable: boolean
  /** `undefined` when nobody saw the commit: the first look at a cluster, or at what happened while nobody looked. */
  readonly atSeconds: number | undefined
  readonly attribution: Attribution
  /** What the Module itself says of commits, by plain version. */
  readonly commits?: ReadonlyMap<string, string>
  /** Of archives that are served already, by plain version. */
  readonly digests?: ReadonlyMap<string, string>
  /** Why a version was taken away, as far as it was said. */
  readonly reasonOf?: (plain: string) => string | undefined
}

/**
 * What to write for one observed commit: create what is not known, move the state of what is. Who, when, commit and
 * digest of the first time are never overwritten. Seeing the same commit twice changes nothing.
 */
export function ledgerWrites(
  known: ReadonlyMap<string, PublishedFacts>,
  observed: Observation,
): ReadonlyMap<string, PublishedFacts> {
  const writes = new Map<string, PublishedFacts>()
  const before = identitiesOf(observed.before)
  const after = identitiesOf(observed.after)
  for (const plain of [...before.keys(), ...after.keys()]) {
    // What was listed before is not this author's work.
    if (!known.has(plain)) writes.set(plain, firstFacts(plain, observed, !before.has(plain)))
  }
  for (const [plain, facts] of [...known, ...writes]) {
    const state = after.has(plain) ? 'present' : goneState(plain, facts, observed.after, after)
    const immutable = facts.immutable || (observed.immutable && state === 'present')
    const moved = state === facts.state ? facts : movedFacts(plain, facts, state, observed)
    if (moved !== facts || immutable !== facts.immutable) writes.set(plain, { ...moved, immutable })
  }
  return writes
}

function firstFacts(plain: string, observed: Observation, isFresh: boolean): PublishedFacts {
  const { attribution, commits, digests, immutable, atSeconds } = observed
  const { source, commit: told, ...author } = attribution
  const commit = commits?.get(plain) ?? (isFresh ? told : undefined)
  const digest = digests?.get(plain)
  return {
    ...(isFresh ? author : {}),
    ...(source === undefined ? {} : { source }),
    ...(commit === undefined ? {} : { commit }),
    ...(digest === undefined ? {} : { digest }),
    ...(isFresh && atSeconds !== undefined ? { atSeconds } : {}),
    state: 'present',
    immutable,
  }
}

function movedFacts(
  plain: string,
  facts: PublishedFacts,
  state: PublishedState,
  { attribution, atSeconds, reasonOf }: Observation,
): PublishedFacts {
  const kept = withoutRemoval(facts)
  if (state === 'present') return { ...kept, state }
  const reason = reasonOf?.(plain)
  return {
    ...kept,
    state,
    ...(attribution.by === undefined ? {} : { removedBy: attribution.by }),
    ...(atSeconds === undefined ? {} : { removedAtSeconds: atSeconds }),
    ...(reason === undefined ? {} : { reason }),
  }
}

function withoutRemoval({
  removedBy: _by,
  removedAtSeconds: _at,
  reason: _reason,
  ...kept
}: PublishedFacts): PublishedFacts {
  return kept
}

/**
 * What an entry says when `stored` stands and somebody else wants to write `wanted`: what is there stays, what is absent is
 * filled in, and the state is the wanted one. Of two that both saw it go, the first named how.
 */
export function mergedFacts(stored: PublishedFacts, wanted: PublishedFacts): PublishedFacts {
  const immutable = stored.immutable || wanted.immutable
  const moves = mergedMoves(stored.moved, wanted.moved)
  const merged = { ...mergedStates(stored, wanted), immutable }
  return moves.length === 0 ? merged : { ...merged, moved: moves }
}

function mergedStates(stored: PublishedFacts, wanted: PublishedFacts): PublishedFacts {
  if (wanted.state === 'present') {
    return { ...withoutRemoval(wanted), ...withoutRemoval(stored), state: 'present' }
  }
  if (stored.state !== 'present') return { ...wanted, ...stored }
  return { ...wanted, ...stored, state: wanted.state }
}

/** Whether `left` says no less and nothing else than `right`. */
export function isSameFacts(left: PublishedFacts, right: PublishedFacts): boolean {
  return FACT_NAMES.every((name) => isSameValue(left[name], right[name]))
}

const FACT_NAMES = [
  'state',
  'immutable',
  'source',
  'publisher',
  'sourceId',
  'commit',
  'digest',
  'by',
  'atSeconds',
  'removedBy',
  'removedAtSeconds',
  'reason',
  'moved',
] as const satisfies readonly (keyof PublishedFacts)[]

/** A version that is gone stays what it was called first; a fresh gap is the limit's work only where it explains it. */
function goneState(
  plain: string,
  facts: PublishedFacts,
  listing: Listing | undefined,
  kept: ReadonlyMap<string, VersionIdentity>,
): PublishedState {
  if (facts.state !== 'present') return facts.state
  const limit = listing?.config.versionHistoryLimit ?? 0
  const gone = readVersionIdentity(plain)
  const isTrimmed = limit > 0 && kept.size === limit && gone.ok
  if (!isTrimmed || facts.immutable) return 'unpublished'
  return [...kept.values()].every((identity) => compareVersions(gone.value, identity) < 0)
    ? 'pruned'
    : 'unpublished'
}

/** By plain version; entries that are no version were never published. */
export function identitiesOf(
  listing: Pick<Listing, 'versions'> | undefined,
): ReadonlyMap<string, VersionIdentity> {
  const identities = new Map<string, VersionIdentity>()
  for (const entry of listing?.versions ?? []) {
    const identity = readVersionIdentity(entry.version)
    if (identity.ok) identities.set(identity.value.plain, identity.value)
  }
  return identities
}

/** Name of the PublishedVersion object: cluster-scoped, so the key is hashed into one DNS label. */
export function publishedVersionName({ kind, namespace, name }: ModuleKey, plain: string): string {
  // Neither a namespace, nor a name, nor a version has a slash: no two keys make one text. A Module's has no kind, so that
  // entries keep their names.
  const path = [namespace, name, plain]
  const text = (kind === 'Module' ? path : [kind, ...path]).join('/')
  return `pv-${createHash('sha256').update(text).digest('hex').slice(0, 48)}`
}
