// Feeds the ledger with what was committed: each state of a Module or Provider as the watch tells it, with who did it as far as this
// replica judged the request. Every replica does the same; the ledger makes one entry of it.
//
// What nobody saw (a first look, a gap that was listed) gets entries without who and when.
import { setImmediate as others } from 'node:timers/promises'
import { epochSeconds } from '#core/clock.ts'
import type { Clock } from '#core/clock.ts'
import type { ModuleKey } from '#core/module/ledger.ts'
import { lookForLost, LOST_FOR_GOOD, moduleKeyOf, writesOfCommit } from '#core/module/ledger_feed.ts'
import type { FeedLookups, LookSources, PublishingObject } from '#core/module/ledger_feed.ts'
import { twoAuthors } from '#core/module/two_authors.ts'
import type { JudgedCommit } from '#core/module/two_authors.ts'
import type { WatchChange } from '#platform/kube/watch_cache.ts'
import type { Ledger } from '#platform/ledger/ledger.ts'
import type { Log } from '#platform/log.ts'
import type { Stored } from '../cluster/stored.ts'
import type { Author, JudgedRequests } from './judged_requests.ts'

export type Publishing = Stored<PublishingObject>

export type FeederOptions = Omit<FeedLookups, 'published'> &
  Omit<LookSources, 'entries'> & {
    readonly ledger: Ledger
    readonly judged: JudgedRequests
    readonly clock: Clock
    readonly log: Log
    /** So many versions have an author in the ledger that is not who asked here. */
    readonly onTwoAuthors: (versions: number) => void
  }

type Found = { versions: number; objects: number; gone: number }

/** Objects that are looked at before reviews get their turn: a Module of 500 versions takes a millisecond. */
const STEPS_AT_ONCE = 10

export class Feeder {
  readonly #options: FeederOptions
  readonly #lookups: FeedLookups
  /** What came before the ledger was read: its order matters. `undefined` once it is followed. */
  #early: WatchChange<Publishing>[] | undefined = []
  #isFed = false
  #trouble: string | undefined

  constructor(options: FeederOptions) {
    this.#options = options
    this.#lookups = { ...options, published: (module) => options.ledger.published(module) }
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
    await Promise.all([...writes, this.#reconcile()])
    this.#isFed = true
  }

  /** What could not be worked out the last time; it is tried again with each look at everything. */
  get trouble(): string | undefined {
    return this.#trouble
  }

  changed(change: WatchChange<Publishing>): void {
    const { before, isListed } = change
    if (this.#early === undefined) this.#observe(change).catch((error: unknown) => this.#failed(error))
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

  /** Compares the ledger with what is stored: the first look, and later what another writer or a lost write left behind. */
  async reconcile(): Promise<void> {
    try {
      await this.#reconcile()
      this.#trouble = undefined
    } catch (error) {
      this.#failed(error)
    }
  }

  /** Ours, over one object: whoever publishes others goes on, and every replica would fail over the same event. */
  #failed(error: unknown): void {
    this.#trouble = 'the ledger could not be fed: what was published may be missing in it (see the log)'
    this.#options.log.error({ err: error }, 'ledger not fed')
  }

  async #reconcile(): Promise<void> {
    if (this.#early !== undefined) return
    const { ledger, stored, isStored } = this.#options
    const written: Promise<void>[] = []
    const found = { versions: 0, objects: 0, gone: 0 }
    let steps = 0
    for (const step of lookForLost({ entries: () => ledger.entries(), stored, isStored }, this.#lookups)) {
      found.versions += step.fresh
      found.objects += step.fresh > 0 ? 1 : 0
      found.gone += step.gone
      if (step.facts.size > 0) written.push(ledger.record(step.module, step.facts))
      steps += 1
      if (steps % STEPS_AT_ONCE === 0) await others()
    }
    this.#tell(found)
    await Promise.all(written)
  }

  #tell({ versions, objects, gone }: Found): void {
    const { log } = this.#options
    if (versions > 0) {
      log.warn(
        { versions, objects, lost: LOST_FOR_GOOD },
        'published versions that the ledger did not know, new or lost as it is, are recorded as they are now',
      )
    }
    if (gone > 0) {
      log.warn(
        { versions: gone },
        'versions that the ledger calls present are gone, and nobody saw who took them away',
      )
    }
  }

  async #observe({ before, after, isListed }: WatchChange<Publishing>): Promise<void> {
    const object = after?.body ?? before?.body
    if (object === undefined) return
    // Between two lists it was deleted and made again.
    if (before !== undefined && after !== undefined && before.body.meta.uid !== after.body.meta.uid) {
      const gone = this.#observe({ key: '', before, after: undefined, isListed: true })
      const made = this.#observe({ key: '', before: undefined, after, isListed: true })
      await Promise.all([gone, made])
      return
    }
    const { ledger, clock } = this.#options
    const author = this.#authorOf(before, after)
    const isSeen = !isListed || author !== undefined
    // What a list shows for the first time was not published just now.
    const was = before === undefined && !isSeen ? after : before
    const atSeconds = author?.atSeconds ?? epochSeconds(clock)
    const seen = isSeen ? { author, atSeconds, revision: before?.resourceVersion ?? '' } : undefined
    const writes = writesOfCommit({ before: was?.body, after: after?.body, seen }, this.#lookups)
    const module = moduleKeyOf(object)
    if (writes.size > 0) await ledger.record(module, writes)
    if (author !== undefined && after !== undefined)
      this.#compare(module, { ...author, before: before?.body, after: after.body })
  }

  /** The entries are written once, by whoever was first; what this replica saw otherwise is said, since nothing else ever shows it. */
  #compare(module: ModuleKey, judged: JudgedCommit): void {
    const { ledger, log, onTwoAuthors } = this.#options
    const found = twoAuthors(judged, ledger.published(module))
    const [first] = found
    if (first === undefined) return
    onTwoAuthors(found.length)
    log.error({ ...module, ...first, versions: found.length }, 'two authors')
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
}
