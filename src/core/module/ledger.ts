// What is remembered of a published version, and how a commit that was observed changes it. Where it is kept is not
// known here.
import { createHash } from 'node:crypto'
import type { ModuleObject, ProviderObject } from './module_object.ts'
import type { IdentityList } from './module_policy.ts'
import { compareVersions, readVersionIdentity } from './version_identity.ts'
import type { VersionIdentity } from './version_identity.ts'

/** `pruned`: versionHistoryLimit dropped it; `unpublished`: somebody removed it, or its Module. */
type PublishedState = 'present' | 'pruned' | 'unpublished'

export type PublishedFacts = {
  readonly state: PublishedState
  /** It was published as something that never changes, and stays that. */
  readonly immutable: boolean
  /** Where it came from, folded as `sourceOf` folds. */
  readonly source?: string
  /** Immutable id of the repository at its forge, of the pipeline that published. */
  readonly sourceId?: string
  /** 40 or 64 hex digits. */
  readonly commit?: string
  /** `sha256:<64 hex digits>` of the archive that is served. */
  readonly digest?: string
  /** Username, and when the commit was observed, seconds since the epoch. */
  readonly by?: string
  readonly atSeconds?: number
}

export type LedgerFacts = {
  /** Of the Module that the change is about, by plain version. */
  readonly published: ReadonlyMap<string, PublishedFacts>
  /** First publisher of the Module: its id is the one that counts when a path is registered again. */
  readonly firstPublisher: { readonly source: string; readonly sourceId: string } | undefined
  /** Of other Modules that use this one's name, here or in another namespace: `namespace/name`. */
  readonly namesakes: readonly string[]
  /** Names of Version objects of this namespace that belong to others -> whose: `namespace/name`. */
  readonly takenVersionNames: ReadonlyMap<string, string>
  /** Of a change to a Version: its Module as it is stored. */
  readonly module: ModuleObject | undefined
  /** Of a change to a provider's Version: its Provider as it is stored. */
  readonly provider: ProviderObject | undefined
  /** Its deletion was admitted and goes on. */
  readonly isNamespaceTerminating: boolean
  /** Of a change to a Namespace: present versions in it that were published as immutable. */
  readonly publishedInNamespace: number
  /** Of a change to a CustomResourceDefinition: the same everywhere. */
  readonly publishedInCluster: number
  /** Whom the ledger is written by: the webhook's own accounts. */
  readonly ownIdentities: IdentityList
}

/** Where nothing is remembered: a review of files without a ledger. */
export const NO_FACTS: LedgerFacts = {
  published: new Map(),
  firstPublisher: undefined,
  namesakes: [],
  takenVersionNames: new Map(),
  module: undefined,
  provider: undefined,
  isNamespaceTerminating: false,
  publishedInNamespace: 0,
  publishedInCluster: 0,
  ownIdentities: { users: [], groups: [] },
}

/** What the replica that judged the request knows of its author. */
type Attribution = Pick<PublishedFacts, 'source' | 'sourceId' | 'commit' | 'by'>

export type Observation = {
  /** `undefined` when the Module was not there. */
  readonly before: ModuleObject | undefined
  /** `undefined` when it was deleted. */
  readonly after: ModuleObject | undefined
  readonly immutable: boolean
  readonly atSeconds: number
  readonly attribution: Attribution
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
  const after = identitiesOf(observed.after)
  for (const plain of [...identitiesOf(observed.before).keys(), ...after.keys()]) {
    if (known.has(plain)) continue
    const { atSeconds, immutable, attribution } = observed
    writes.set(plain, { ...attribution, state: 'present', immutable, atSeconds })
  }
  for (const [plain, facts] of [...known, ...writes]) {
    const state = after.has(plain) ? 'present' : goneState(plain, facts, observed.after, after)
    const immutable = facts.immutable || (observed.immutable && state === 'present')
    if (state !== facts.state || immutable !== facts.immutable)
      writes.set(plain, { ...facts, state, immutable })
  }
  return writes
}

/** A version that is gone stays what it was called first; a fresh gap is the limit's work only where it explains it. */
function goneState(
  plain: string,
  facts: PublishedFacts,
  module: ModuleObject | undefined,
  kept: ReadonlyMap<string, VersionIdentity>,
): PublishedState {
  if (facts.state !== 'present') return facts.state
  const limit = module?.config.versionHistoryLimit ?? 0
  const gone = readVersionIdentity(plain)
  const isTrimmed = limit > 0 && kept.size === limit && gone.ok
  if (!isTrimmed || facts.immutable) return 'unpublished'
  return [...kept.values()].every((identity) => compareVersions(gone.value, identity) < 0)
    ? 'pruned'
    : 'unpublished'
}

/** By plain version; entries that are no version were never published. */
export function identitiesOf(module: ModuleObject | undefined): ReadonlyMap<string, VersionIdentity> {
  const identities = new Map<string, VersionIdentity>()
  for (const entry of module?.versions ?? []) {
    const identity = readVersionIdentity(entry.version)
    if (identity.ok) identities.set(identity.value.plain, identity.value)
  }
  return identities
}

/** Name of the PublishedVersion object: cluster-scoped, so the key is hashed into one DNS label. */
export function publishedVersionName(namespace: string, module: string, plain: string): string {
  // Neither a namespace, nor a name, nor a version has a slash: no two keys make one text.
  const digest = createHash('sha256').update(`${namespace}/${module}/${plain}`).digest('hex')
  return `pv-${digest.slice(0, 48)}`
}
