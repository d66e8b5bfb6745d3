// Feeds the ledger with what was committed: each state of a Module or Provider as the watch tells it, with who did it as far as this
// replica judged the request. Every replica does the same; the ledger makes one entry of it.
//
// What nobody saw (a first look, a gap that was listed) gets entries without who and when.
import { epochSeconds } from '#core/clock.ts'
import type { Clock } from '#core/clock.ts'
import { ledgerWrites } from '#core/module/ledger.ts'
import type { Attribution, ModuleKey, Observation, PublishedFacts } from '#core/module/ledger.ts'
import type { ModuleObject, ProviderObject } from '#core/module/module_object.ts'
import { readPins } from '#core/module/pins.ts'
import { sourceOf } from '#core/module/source_of.ts'
import type { WatchChange } from '#platform/kube/watch_cache.ts'
import type { Ledger } from '#platform/ledger/ledger.ts'
import type { Log } from '#platform/log.ts'
import type { Stored } from '../cluster/stored.ts'
import type { Author, JudgedRequests } from './judged_requests.ts'

export type Publishing = Stored<ModuleObject> | Stored<ProviderObject>

export type FeederOptions = {
  readonly ledger: Ledger
  readonly judged: JudgedRequests
  readonly clock: Clock
  readonly log: Log
  /** Whether a policy requires that what it publishes never changes. */
  readonly isRequiredImmutable: (body: Publishing['body']) => boolean
  /** Of the archive of one version, as far as it is stored. */
  readonly digestOf: (body: Publishing['body'], plain: string) => string | undefined
  /** Everything that is stored now. */
  readonly stored: () => Iterable<Publishing>
}

/** What one look at the whole cluster added to the ledger. */
type FirstLook = { readonly versions: number; readonly objects: number; readonly gone: number }

export class Feeder {
  readonly #options: FeederOptions
  /** What came before the ledger was read: its order matters. `undefined` once it is followed. */
  #early: WatchChange<Publishing>[] | undefined = []
  #isFed = false

  constructor(options: FeederOptions) {
    this.#options = options
  }

  /** Everything that was there at the start is kept in the ledger. */
  get isFed(): boolean {
    return this.#isFed
  }

  /** The ledger and all that is watched are in memory. Resolves when what they say is kept. */
  async start(): Promise<void> {
    const early = this.#early
    if (early === undefined) return
    this.#early = undefined
    const writes = early.map((change) => this.#observe(change))
    const look = this.#look()
    this.#tell(look)
    await Promise.all([...writes, look.written])
    this.#isFed = true
  }

  changed(change: WatchChange<Publishing>): void {
    const { before, isListed } = change
    if (this.#early === undefined) void this.#observe(change)
    // What a list shows first is what the first look finds.
    else if (before !== undefined || !isListed) this.#early.push(change)
  }

  /** The archive of a version was stored. */
  archived(module: ModuleKey, plain: string, digest: string): void {
    if (this.#early !== undefined) return
    const { ledger, log } = this.#options
    const facts = ledger.published(module).get(plain)
    // What is not listed any more is not what is stored now.
    if (facts?.state !== 'present' || facts.digest === digest) return
    if (facts.digest === undefined) {
      void ledger.record(module, new Map([[plain, { ...facts, digest }]]))
      return
    }
    log.error(
      { ...module, version: plain, published: facts.digest, stored: digest },
      'a published version is stored as something else',
    )
  }

  /** Compares the ledger with what is stored: what another writer or a lost write left behind. */
  async reconcile(): Promise<void> {
    if (this.#early === undefined) await this.#look().written
  }

  #tell({ versions, objects, gone }: FirstLook): void {
    const { log } = this.#options
    if (versions > 0) {
      log.warn(
        { versions, objects },
        'these were published and not in the ledger, which is new or was lost: they are recorded as they are now. Not known: who published them and when, and what was unpublished before',
      )
    }
    if (gone > 0)
      log.warn({ versions: gone }, 'these were present and are gone: nobody saw who took them away')
  }

  /** What is stored, and what the ledger has of Modules that are not there any more. */
  #look(): FirstLook & { readonly written: Promise<unknown> } {
    const { ledger, stored } = this.#options
    const there = new Set<string>()
    const written: Promise<void>[] = []
    let [versions, objects, gone] = [0, 0, 0]
    const record = (module: ModuleKey, writes: ReadonlyMap<string, PublishedFacts>): void => {
      if (writes.size === 0) return
      const known = ledger.published(module)
      const fresh = [...writes.keys()].filter((plain) => !known.has(plain)).length
      versions += fresh
      objects += fresh > 0 ? 1 : 0
      gone += [...writes].filter(
        ([plain, { state }]) => state !== 'present' && known.get(plain)?.state === 'present',
      ).length
      written.push(ledger.record(module, writes))
    }
    for (const one of stored()) {
      const module = moduleKeyOf(one.body)
      there.add(textOf(module))
      // Before as after: nobody saw what came between.
      record(module, this.#writesOf(module, { before: one.body, after: one.body }, undefined))
    }
    const left = new Map<string, ModuleKey>()
    for (const { module, facts } of ledger.entries()) {
      if (facts.state === 'present' && !there.has(textOf(module))) left.set(textOf(module), module)
    }
    for (const module of left.values()) {
      const nothing = {
        before: undefined,
        after: undefined,
        immutable: false,
        atSeconds: undefined,
        attribution: {},
      }
      record(module, ledgerWrites(ledger.published(module), nothing))
    }
    return { versions, objects, gone, written: Promise.all(written) }
  }

  async #observe({ before, after, isListed }: WatchChange<Publishing>): Promise<void> {
    const body = after?.body ?? before?.body
    if (body === undefined) return
    const module = moduleKeyOf(body)
    // Between two lists it was deleted and made again.
    if (before !== undefined && after !== undefined && before.body.meta.uid !== after.body.meta.uid) {
      const gone = this.#observe({ key: '', before, after: undefined, isListed: true })
      const made = this.#observe({ key: '', before: undefined, after, isListed: true })
      await Promise.all([gone, made])
      return
    }
    const author = this.#authorOf(before, after)
    const isSeen = !isListed || author !== undefined
    const commit = { before: before?.body, after: after?.body }
    // What a list shows for the first time was not published just now.
    const listing = before === undefined && !isSeen ? { before: after?.body, after: after?.body } : commit
    const atSeconds = author?.atSeconds ?? epochSeconds(this.#options.clock)
    const writes = this.#writesOf(module, listing, isSeen ? { author, atSeconds } : undefined)
    if (writes.size > 0) await this.#options.ledger.record(module, writes)
  }

  #authorOf(before: Publishing | undefined, after: Publishing | undefined): Author | undefined {
    const { judged } = this.#options
    const meta = (after ?? before)?.body.meta
    if (meta === undefined) return undefined
    if (after === undefined) return judged.removerOf(meta.uid)
    if (meta.isTerminating && before?.body.meta.isTerminating === false) judged.isLeaving(meta.uid)
    const oldResourceVersion = before?.resourceVersion ?? ''
    return judged.authorOf({ uid: meta.uid, oldResourceVersion, before: before?.body, after: after.body })
  }

  #writesOf(
    module: ModuleKey,
    { before, after }: Pick<WatchChange<Publishing['body']>, 'before' | 'after'>,
    seen: { readonly author: Author | undefined; readonly atSeconds: number } | undefined,
  ): ReadonlyMap<string, PublishedFacts> {
    const { ledger, digestOf, isRequiredImmutable } = this.#options
    const body = after ?? before
    const known = ledger.published(module)
    if (before !== undefined && after !== undefined && isUntouched(before, after) && seen !== undefined)
      return NOTHING
    const observed: Observation = {
      before,
      after,
      immutable: after !== undefined && isImmutable(after),
      atSeconds: seen?.atSeconds,
      attribution: attributionOf(body, seen?.author?.attribution ?? {}),
      commits: commitsOf(after),
      ...(seen?.author === undefined ? {} : { reasonOf: seen.author.reasonOf }),
    }
    const writes = ledgerWrites(known, observed)
    if (after === undefined) return writes
    const complete = ([plain, facts]: readonly [string, PublishedFacts]): readonly [
      string,
      PublishedFacts,
    ] => {
      const withArchive = withDigest(facts, () => digestOf(after, plain))
      // What a policy requires counts for what is published under it; it holds for the rest as long as it is there.
      const isFresh = !known.has(plain) && facts.state === 'present'
      const immutable = facts.immutable || (isFresh && isRequiredImmutable(after))
      return [plain, immutable === facts.immutable ? withArchive : { ...withArchive, immutable }]
    }
    const completed = new Map([...writes].map(complete))
    // An archive that was stored while nobody looked.
    for (const [plain, facts] of seen === undefined ? known : []) {
      const whole = completed.has(plain) ? facts : withDigest(facts, () => digestOf(after, plain))
      if (whole !== facts) completed.set(plain, whole)
    }
    return completed
  }
}

const NOTHING: ReadonlyMap<string, PublishedFacts> = new Map()

function withDigest(facts: PublishedFacts, digestOf: () => string | undefined): PublishedFacts {
  if (facts.state !== 'present' || facts.digest !== undefined) return facts
  const digest = digestOf()
  return digest === undefined ? facts : { ...facts, digest }
}

/** Status, labels and the like: nothing that the ledger says. */
function isUntouched(before: Publishing['body'], after: Publishing['body']): boolean {
  return (
    isImmutable(before) === isImmutable(after) &&
    before.versions.length === after.versions.length &&
    before.versions.every(({ version }, index) => version === after.versions[index]?.version)
  )
}

/** A Provider has no such field; a policy says it of one. */
function isImmutable(body: Publishing['body']): boolean {
  return body.kind === 'Module' && body.config.immutable
}

export function moduleKeyOf({ kind, meta }: Publishing['body']): ModuleKey {
  return { kind, namespace: meta.namespace, name: meta.name }
}

function textOf({ kind, namespace, name }: ModuleKey): string {
  return `${kind}/${namespace}/${name}`
}

/** What the schema has room for. */
const MAX_SOURCE = 512

/** A pipeline of the Module's own repository is no other publisher. */
function attributionOf(body: Publishing['body'] | undefined, author: Attribution): Attribution {
  const own = body?.kind === 'Module' ? sourceOf(body) : undefined
  const source = own === undefined || own.length > MAX_SOURCE ? undefined : own
  const { publisher, ...rest } = author
  return {
    ...rest,
    ...(source === undefined ? {} : { source }),
    ...(publisher === undefined || publisher === source ? {} : { publisher }),
  }
}

/** The Module itself says which commit each version is of; an archive's digest it only claims. */
function commitsOf(body: Publishing['body'] | undefined): ReadonlyMap<string, string> {
  const pins = readPins(body)
  if (!pins.ok) return NO_COMMITS
  return new Map([...pins.value].filter(([, pin]) => !pin.startsWith('sha256:')))
}

const NO_COMMITS: ReadonlyMap<string, string> = new Map()
