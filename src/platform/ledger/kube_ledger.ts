// The ledger in a cluster: one PublishedVersion for each version, read by a watch. Nobody is elected: names are hashes of what
// they are about, so of several replicas that saw the same commit one creates the entry and the others fill in what it left out.
//
// What somebody deletes while this runs is written again from memory: an entry is never taken back, so it was no one's intention.
import type { JsonObject } from '#core/claims.ts'
import { isSameFacts, mergedFacts, publishedVersionName } from '#core/module/ledger.ts'
import type { LedgerEntry, ModuleKey, PublishedFacts } from '#core/module/ledger.ts'
import { withinBound } from '#core/module/ledger_bound.ts'
import { factFields, publishedVersionOf, readPublishedEntry } from '#core/module/published_version.ts'
import { isSameValue } from '#core/module/reading.ts'
import type { KubeFailure } from '#platform/kube/kube_target.ts'
import { WatchCache } from '#platform/kube/watch_cache.ts'
import type { WatchChange, WatchDeps } from '#platform/kube/watch_cache.ts'
import { UNREMEMBERED } from './ledger.ts'
import type { Ledger, LedgerWriteResult } from './ledger.ts'
import { LedgerBook } from './ledger_book.ts'

export type KubeLedgerOptions = WatchDeps & {
  readonly onWrite?: (result: LedgerWriteResult) => void
  /** So many versions found no room. */
  readonly onUnremembered?: (versions: number) => void
  /** The entries are in memory: the first time, and each time the whole list was read again. */
  readonly onListed?: () => void
}

export const PUBLISHED_VERSIONS = '/apis/sallyport.dev/v1alpha1/publishedversions'

/** Requests at a time: little of what the apiserver's own flow control lets all ServiceAccounts have together. */
const CONCURRENCY = 16
const PAGE_SIZE = 500
const FIRST_PAUSE_MS = 250
const LAST_PAUSE_MS = 10_000
/**
 * Whoever knows who did it writes first, and the others find it done. A replica that hears of several commits at once, because it
 * was cut off, has heard all of them by then, and does not bring back for a moment what somebody took away.
 */
const ANONYMOUS_DELAY_MS = 500

type Pending = {
  readonly module: ModuleKey
  readonly version: string
  /** It was not known here, so what the cluster says became of it stands. */
  isNew: boolean
  readonly written: PromiseWithResolvers<void>
  failures: number
}

type Kept = LedgerEntry & { readonly resourceVersion: string }

export class KubeLedger implements Ledger {
  readonly #options: KubeLedgerOptions
  readonly #book = new LedgerBook()
  readonly #cache: WatchCache<Kept>
  /** By name of the object, oldest first. */
  readonly #pending = new Map<string, Pending>()
  /** Names of entries that could not be written -> since when, and why; oldest first. */
  readonly #failing = new Map<string, { readonly sinceMs: number; readonly why: string }>()
  /** Names whose turn it is. */
  #ready: string[] = []
  /** Names of entries that the book has, too, and that the definition refused the last time. */
  readonly #refused = new Map<string, Pick<LedgerEntry, 'module' | 'version'>>()
  readonly #working = new Set<Promise<void>>()
  readonly #timers = new Set<NodeJS.Timeout>()
  #isClosed = false

  constructor(options: KubeLedgerOptions) {
    this.#options = options
    const { onListed } = options
    this.#cache = new WatchCache<Kept>(
      {
        resource: 'publishedversions',
        path: PUBLISHED_VERSIONS,
        pageSize: PAGE_SIZE,
        whenUnknown: 'missing',
        project: (object, { resourceVersion }) => this.#read(object, resourceVersion),
        onChange: (change) => this.#changed(change),
        ...(onListed === undefined ? {} : { onListed }),
      },
      options,
    )
  }

  start(): void {
    this.#cache.start()
  }

  get isListed(): boolean {
    return this.#cache.isListed
  }

  get watch(): WatchCache<Kept> {
    return this.#cache
  }

  /** Entries that are not written yet. */
  get backlog(): number {
    return this.#pending.size
  }

  get size(): number {
    return this.#book.size
  }

  /** Present entries that were published as immutable, of one namespace or of all. */
  held(namespace?: string): number {
    return namespace === undefined ? this.#book.held() : this.#book.heldIn(namespace)
  }

  published(module: ModuleKey): ReadonlyMap<string, PublishedFacts> {
    return this.#book.published(module)
  }

  room(module: ModuleKey): number {
    return this.#book.room(module)
  }

  /** Modules and Providers of which nothing more is remembered that is not immutable. */
  get full(): number {
    return this.#book.full()
  }

  entries(): Iterable<LedgerEntry> {
    return this.#book.entries()
  }

  missing(): string | undefined {
    const unwritten = this.unwritten()
    return this.#cache.missing() ?? (unwritten?.isOld === true ? `ledger: ${unwritten.why}` : undefined)
  }

  /** What could not be written and is tried again; old: for longer than may be borne. */
  unwritten(): { readonly why: string; readonly isOld: boolean } | undefined {
    const [oldest] = this.#failing.values()
    if (oldest === undefined) return undefined
    const ageMs = this.#options.now() - oldest.sinceMs
    const why = `${this.#failing.size} entries could not be written for ${Math.round(ageMs / 1000)} s: ${oldest.why}`
    return { why, isOld: ageMs > this.#options.staleAfterMs }
  }

  /** Entries that the definition refuses: in memory alone until it is another and they are tried again. */
  get refused(): number {
    return this.#refused.size
  }

  async record(module: ModuleKey, writes: ReadonlyMap<string, PublishedFacts>): Promise<void> {
    const known = this.#book.published(module)
    const { kept, unremembered } = withinBound(writes, known, this.room(module))
    if (unremembered > 0) this.#tellUnremembered(module, unremembered)
    const written: Promise<void>[] = []
    for (const [version, facts] of kept) {
      const before = known.get(version)
      this.#book.set({ module, version, facts })
      const how = { isNew: before === undefined, waits: isAnonymous(before, facts) }
      written.push(this.#enqueue(module, version, how))
    }
    await Promise.all(written)
  }

  /** Somebody may have applied the definition of this release. Resolves when each is kept, or refused again. */
  async tryRefusedAgain(): Promise<void> {
    const again = [...this.#refused.values()].map(({ module, version }) => {
      const by = this.#book.published(module).get(version)?.by
      return this.#enqueue(module, version, { isNew: false, waits: by === undefined })
    })
    await Promise.all(again)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const timer of this.#timers) clearTimeout(timer)
    await this.#cache.close()
    await Promise.all(this.#working)
    for (const { written } of this.#pending.values()) written.resolve()
    this.#pending.clear()
  }

  #tellUnremembered(module: ModuleKey, versions: number): void {
    this.#options.log.warn({ ...module, versions }, UNREMEMBERED)
    this.#options.onUnremembered?.(versions)
  }

  #read(object: JsonObject, resourceVersion: string): Kept | undefined {
    const entry = readPublishedEntry(object)
    if (entry.ok) return { ...entry.value, resourceVersion }
    this.#options.log.warn({ why: entry.denial }, 'a PublishedVersion cannot be read, and counts for nothing')
    return undefined
  }

  #changed({ key, before, after }: WatchChange<Kept>): void {
    if (after === undefined) {
      if (before !== undefined) this.#deleted(key, before)
      return
    }
    const waiting = this.#pending.get(key)
    this.#book.set(waiting === undefined ? after : { ...after, facts: this.#wanted(waiting, after.facts) })
  }

  /** What the entry should say, given what it says. */
  #wanted({ module, version, isNew }: Pending, stored: PublishedFacts | undefined): PublishedFacts {
    const facts = this.#book.published(module).get(version)
    if (facts === undefined) throw new Error('what is written was recorded')
    if (stored === undefined) return facts
    return mergedFacts(stored, isNew ? { ...facts, state: stored.state } : facts)
  }

  #deleted(name: string, { module, version }: LedgerEntry): void {
    if (this.#isClosed) return
    // Of many that go at once the first is told.
    if (this.#pending.size === 0) {
      this.#options.log.warn(
        { entry: name, ...module, version },
        'an entry of the ledger was deleted, and is written again, as all are',
      )
    }
    void this.#enqueue(module, version, { isNew: false, waits: true })
  }

  #enqueue(
    module: ModuleKey,
    version: string,
    { isNew, waits }: { readonly isNew: boolean; readonly waits: boolean },
  ): Promise<void> {
    const name = publishedVersionName(module, version)
    const known = this.#pending.get(name)
    if (known !== undefined) {
      known.isNew &&= isNew
      return known.written.promise
    }
    const written = Promise.withResolvers<void>()
    this.#pending.set(name, { module, version, isNew, written, failures: 0 })
    this.#later(name, waits ? ANONYMOUS_DELAY_MS * (0.5 + this.#options.random()) : 0)
    return written.promise
  }

  #later(name: string, milliseconds: number): void {
    if (this.#isClosed) return
    if (milliseconds === 0) {
      this.#ready.push(name)
      this.#work()
      return
    }
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      this.#later(name, 0)
    }, milliseconds)
    this.#timers.add(timer)
  }

  #work(): void {
    while (this.#working.size < CONCURRENCY && !this.#isClosed) {
      const name = this.#ready.shift()
      if (name === undefined) return
      const pending = this.#pending.get(name)
      if (pending === undefined) continue
      const working = this.#writeOne(name, pending).finally(() => {
        this.#working.delete(working)
        this.#work()
      })
      this.#working.add(working)
    }
  }

  async #writeOne(name: string, pending: Pending): Promise<void> {
    const result = await this.#write(name, pending)
    if (this.#isClosed) return
    this.#options.onWrite?.(result)
    if (result === 'conflict') return this.#later(name, 0)
    if (result === 'failed') return this.#retryLater(name, pending)
    this.#failing.delete(name)
    if (result === 'refused') this.#refused.set(name, { module: pending.module, version: pending.version })
    else this.#refused.delete(name)
    pending.failures = 0
    pending.isNew = false
    const stored = this.#cache.get(name)?.facts
    const isDone = stored !== undefined && isSameFacts(stored, this.#wanted(pending, stored))
    // What was recorded meanwhile is written next.
    if (!isDone && result !== 'refused') return this.#later(name, 0)
    const { module, version } = pending
    // What somebody else said first holds here, too.
    if (isDone) this.#book.set({ module, version, facts: stored })
    this.#pending.delete(name)
    pending.written.resolve()
  }

  #retryLater(name: string, pending: Pending): void {
    pending.failures += 1
    const most = Math.min(LAST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (pending.failures - 1))
    this.#later(name, most * (0.5 + this.#options.random() / 2))
  }

  async #write(name: string, pending: Pending): Promise<LedgerWriteResult> {
    const { connection } = this.#options
    const stored = this.#cache.get(name)
    const facts = this.#wanted(pending, stored?.facts)
    const { module, version } = pending
    if (stored === undefined) {
      const body = publishedVersionOf({ module, version, facts })
      const created = await connection.request({ method: 'POST', path: PUBLISHED_VERSIONS, body })
      if (created.ok) return this.#taken(created.value, 'created')
      return created.denial.status === 409 ? this.#reread(name) : this.#failed(name, created.denial)
    }
    if (isSameFacts(stored.facts, facts)) return 'unchanged'
    const patched = await connection.request({
      method: 'PATCH',
      path: `${PUBLISHED_VERSIONS}/${name}`,
      contentType: 'application/merge-patch+json',
      body: patchOf(stored, facts),
    })
    if (patched.ok) return this.#taken(patched.value, 'updated')
    const { status } = patched.denial
    return status === 409 || status === 404 ? this.#reread(name) : this.#failed(name, patched.denial)
  }

  #taken(object: JsonObject, result: LedgerWriteResult): LedgerWriteResult {
    this.#cache.take(object)
    return result
  }

  /** Somebody else wrote it first: what it says now. */
  async #reread(name: string): Promise<LedgerWriteResult> {
    const path = `${PUBLISHED_VERSIONS}/${name}`
    const read = await this.#options.connection.request({ method: 'GET', path })
    if (read.ok) {
      this.#cache.take(read.value)
      if (this.#cache.get(name) !== undefined) return 'conflict'
      return this.#failed(name, { status: undefined, message: `${name} is there and cannot be read` })
    }
    if (read.denial.status !== 404) return this.#failed(name, read.denial)
    this.#cache.drop(name)
    return 'conflict'
  }

  #failed(
    name: string,
    { status, message: why }: Pick<KubeFailure, 'status' | 'message'>,
  ): LedgerWriteResult {
    // What the schema refuses it will refuse again until it is another; everything else may be mended.
    if (status === 400 || status === 422) {
      const told = { name, why }
      if (!this.#refused.has(name))
        this.#options.log.error(told, 'an entry of the ledger is refused, and stays in memory alone')
      return 'refused'
    }
    if (this.#failing.size === 0) this.#options.log.warn({ why }, 'the ledger cannot be written')
    const sinceMs = this.#failing.get(name)?.sinceMs ?? this.#options.now()
    this.#failing.set(name, { sinceMs, why })
    return 'failed'
  }
}

/** Nobody is named by it who was not named before. */
function isAnonymous(before: PublishedFacts | undefined, facts: PublishedFacts): boolean {
  const { by, removedBy } = facts
  return removedBy === undefined && by === before?.by && moversOf(facts) === moversOf(before)
}

function moversOf(facts: PublishedFacts | undefined): string {
  return (facts?.moved ?? []).map((move) => (move.by === undefined ? '' : move.revision)).join(' ')
}

/** RFC 7396, and only on the state that was read. */
function patchOf({ facts: stored, resourceVersion }: Kept, facts: PublishedFacts): JsonObject {
  const [before, after] = [factFields(stored), factFields(facts)]
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])]
  const changed = names.filter((name) => !isSameValue(before[name], after[name]))
  const spec = Object.fromEntries(changed.map((name) => [name, after[name] ?? null]))
  return { metadata: { resourceVersion }, spec }
}
