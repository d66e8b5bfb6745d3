// One resource of a cluster in memory: listed once, then watched (Kubernetes API concepts, "Efficient detection of changes").
// Objects are projected as they come, so what nobody reads is not kept.
//
// Staleness: a watch is asked for a third less time than silence is borne, and the server sends a bookmark before it ends one,
// so a healthy cache hears something in every such time, however quiet the cluster is. Silent for longer, it is not in sync
// until a watch has told what happened meanwhile.
//
// A resource that was served and that the server does not know any more (its definition was deleted, or is not served yet by a
// server that starts) says nothing of its objects: they stay as they were last seen, and it is not in sync. One that was never
// served is empty where that means that its product is not installed.
import { isJsonObject } from '#core/claims.ts'
import type { JsonObject, JsonValue } from '#core/claims.ts'
import type { Result } from '#core/result.ts'
import type { Log } from '#platform/log.ts'
import type { KubeConnection } from './kube_connection.ts'
import type { KubeFailure } from './kube_target.ts'

export type ObjectRef = {
  readonly namespace: string
  readonly name: string
  readonly uid: string
  readonly resourceVersion: string
}

export type WatchChange<T> = {
  /** `namespace/name`, or the name of what no namespace holds. */
  readonly key: string
  readonly before: T | undefined
  readonly after: T | undefined
  /** It stands in a list, so that when it changed is not known. */
  readonly isListed: boolean
}

export type Watched<T> = {
  /** For people: `modules`. */
  readonly resource: string
  /** `/apis/opendepot.defdev.io/v1alpha1/modules` */
  readonly path: string
  /** Objects of one answer; an answer that is too large is asked for in smaller ones. */
  readonly pageSize: number
  /** Only metadata is sent. */
  readonly metadataOnly?: boolean
  /** What it means that the server never knew such a resource: there is nothing, or the cache cannot do its work. */
  readonly whenUnknown: 'empty' | 'missing'
  /** What is kept of an object; `undefined`: nothing. */
  readonly project: (object: JsonObject, ref: ObjectRef) => T | undefined
  /** Before and after differ, or are what `project` made of two states of the object. */
  readonly onChange: (change: WatchChange<T>) => void
  /** A list has been handed over, the first or another. */
  readonly onListed?: () => void
}

export type WatchDeps = {
  readonly connection: KubeConnection
  readonly log: Log
  /** Monotonic milliseconds. */
  readonly now: () => number
  /** From 0 up to 1. */
  readonly random: () => number
  /** Silence that is borne. */
  readonly staleAfterMs: number
}

/** Between two tries: the first pause, doubled up to the last, each between half of it and the whole. */
const FIRST_PAUSE_MS = 200
const LAST_PAUSE_MS = 5000
/** A resource that the server does not know is asked for again. */
const UNKNOWN_PAUSE_MS = 5000
/**
 * Of one page: parsed it is ten times as much where somebody wrote labels without end, and others wait for that. Of one that is larger
 * fewer objects are asked for.
 */
const MAX_PAGE_BYTES = 4 * 1024 * 1024
/** Of a page of one, as of one event. */
const MAX_OBJECT_BYTES = 8 * 1024 * 1024
/**
 * Lists of pages that were not too large, until twice as many objects are asked for again. Whoever asked for too many begins anew: a
 * server need not go on with another limit than the list began with.
 */
const LISTS_UNTIL_LARGER = 4
/** Until the answer to a watch begins. */
const OPEN_TIMEOUT_MS = 10_000
/** After a long silence: the bookmark comes two seconds before the end. */
const CATCH_UP_SECONDS = 3

/** A cache, whatever it holds. */
export type AnyWatch = Pick<
  WatchCache<never>,
  'resource' | 'size' | 'isListed' | 'missing' | 'start' | 'close'
>

type Entry<T> = { readonly resourceVersion: string; readonly value: T }
type Outcome = 'ended' | 'expired' | 'failed'

export class WatchCache<T> {
  readonly #watched: Watched<T>
  readonly #deps: WatchDeps
  readonly #entries = new Map<string, Entry<T>>()
  readonly #closing = new AbortController()
  #running: Promise<void> | undefined
  /** Where the next watch begins; `undefined`: with a list. */
  #resourceVersion: string | undefined
  #isListed = false
  #isServed = false
  #isBehind = false
  #heardAt = 0
  #failure = ''
  #pageSize: number
  /** What the next list begins with: no page of one was too large with it. */
  #firstPageSize: number
  /** Lists since that changed. */
  #listsOfSize = 0

  constructor(watched: Watched<T>, deps: WatchDeps) {
    this.#watched = watched
    this.#deps = deps
    this.#pageSize = watched.pageSize
    this.#firstPageSize = watched.pageSize
  }

  get size(): number {
    return this.#entries.size
  }

  /** A list was handed over, though it may be old by now. */
  get isListed(): boolean {
    return this.#isListed
  }

  /** The server knew the resource once; of one that it never knew, nobody can say what is not there. */
  get isServed(): boolean {
    return this.#isServed
  }

  get resource(): string {
    return this.#watched.resource
  }

  get(key: string): T | undefined {
    return this.#entries.get(key)?.value
  }

  *values(): IterableIterator<T> {
    for (const { value } of this.#entries.values()) yield value
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** Why it is not in sync, or `undefined`. */
  missing(): string | undefined {
    const { resource } = this.#watched
    const why = this.#failure === '' ? '' : `: ${this.#failure}`
    if (!this.#isListed) return `${resource}: not listed yet${why}`
    const silentMs = this.#deps.now() - this.#heardAt
    if (silentMs > this.#deps.staleAfterMs) {
      return `${resource}: nothing heard for ${Math.round(silentMs / 1000)} s${why}`
    }
    return this.#isBehind ? `${resource}: catching up${why}` : undefined
  }

  /** An object as an answer to a write showed it: events from before it do not undo it. */
  take(object: JsonObject): void {
    this.#put(object, false)
  }

  /** An object that an answer to a request said is gone. */
  drop(key: string): void {
    this.#entries.delete(key)
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    let failures = 0
    while (!this.#closing.signal.aborted) {
      const isWatch = this.#resourceVersion !== undefined
      const began = this.#deps.now()
      const outcome = isWatch ? await this.#watch() : await this.#list()
      if (this.#closing.signal.aborted) return
      // Whoever ends every watch at once would else be asked without a pause.
      const isFine = outcome === 'ended' && (!isWatch || this.#deps.now() - began >= FIRST_PAUSE_MS)
      if (isFine && isWatch) failures = 0
      if (isFine) continue
      failures += 1
      if (outcome === 'expired') this.#expired()
      if (outcome === 'failed' && failures === 1) this.#tellFailure()
      await this.#pause(failures)
    }
  }

  #expired(): void {
    const { resource } = this.#watched
    this.#deps.log.info({ resource }, 'the watch is too old for the server, and begins anew with a list')
    this.#resourceVersion = undefined
    this.#isBehind = true
  }

  #tellFailure(): void {
    const { resource } = this.#watched
    this.#deps.log.warn({ resource, why: this.#failure }, 'the cluster cannot be watched, and is asked again')
  }

  async #pause(failures: number): Promise<void> {
    const most = Math.min(LAST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.max(0, failures - 1))
    await pause(most * (0.5 + this.#deps.random() / 2), this.#closing.signal)
  }

  async #list(): Promise<Outcome> {
    const seen = new Set<string>()
    let next = ''
    let resourceVersion = ''
    do {
      const page = await this.#page(next)
      if (!page.ok) return this.#listFailed(page.denial)
      this.#isServed = true
      const { metadata, items } = page.value
      const meta = isJsonObject(metadata) ? metadata : {}
      resourceVersion = textAt(meta, 'resourceVersion')
      next = textAt(meta, 'continue')
      for (const item of Array.isArray(items) ? items : []) {
        if (isJsonObject(item)) seen.add(this.#put(item, true))
      }
      // Half of a list says nothing of what is not in it.
      if (this.#closing.signal.aborted) return 'ended'
    } while (next !== '')
    if (resourceVersion === '') return this.#failed('its list has no resourceVersion')
    this.#dropUnseen(seen, resourceVersion)
    this.#listed(resourceVersion)
    return 'ended'
  }

  #page(next: string): Promise<Result<JsonObject, KubeFailure>> {
    const from = next === '' ? '' : `&continue=${encodeURIComponent(next)}`
    const { connection } = this.#deps
    const { path } = this.#watched
    const accept = this.#accept('PartialObjectMetadataList')
    return connection.request({
      method: 'GET',
      path: `${path}?limit=${this.#pageSize}${from}`,
      accept,
      maxBytes: this.#pageSize === 1 ? MAX_OBJECT_BYTES : MAX_PAGE_BYTES,
    })
  }

  async #listFailed(failure: KubeFailure): Promise<Outcome> {
    if (failure.status === 404 && this.#isServed) return this.#unknown(failure)
    if (failure.status === 404 && this.#watched.whenUnknown === 'empty') {
      this.#listed(undefined)
      await pause(UNKNOWN_PAUSE_MS, this.#closing.signal)
      return 'ended'
    }
    if (failure.kind === 'network') this.#pageSize = Math.ceil(this.#pageSize / 2)
    // A server that does not answer says nothing of how large its objects are.
    if (failure.isTooLarge === true) this.#beginWith(this.#pageSize)
    return this.#failed(failure.message)
  }

  /** Not in sync from now on, without waiting for the silence that is borne. */
  #unknown({ message }: KubeFailure): Outcome {
    this.#isBehind = true
    return this.#failed(`the server does not know it any more: ${message}`)
  }

  #listed(resourceVersion: string | undefined): void {
    this.#resourceVersion = resourceVersion
    this.#listsOfSize += 1
    const { pageSize } = this.#watched
    if (this.#listsOfSize >= LISTS_UNTIL_LARGER) this.#beginWith(Math.min(pageSize, this.#firstPageSize * 2))
    this.#pageSize = this.#firstPageSize
    this.#isBehind = false
    this.#failure = ''
    this.#heard()
    if (!this.#isListed && resourceVersion !== undefined) {
      this.#deps.log.info({ resource: this.#watched.resource, objects: this.#entries.size }, 'listed')
    }
    this.#isListed = true
    this.#watched.onListed?.()
  }

  #beginWith(pageSize: number): void {
    this.#firstPageSize = pageSize
    this.#listsOfSize = 0
  }

  #dropUnseen(seen: ReadonlySet<string>, listVersion: string): void {
    for (const [key, entry] of this.#entries) {
      if (seen.has(key)) continue
      // Written after the list was made.
      if (isNewer(entry.resourceVersion, listVersion)) continue
      this.#entries.delete(key)
      this.#watched.onChange({ key, before: entry.value, after: undefined, isListed: true })
    }
  }

  async #watch(): Promise<Outcome> {
    const { connection, now, staleAfterMs, random } = this.#deps
    const from = this.#resourceVersion ?? ''
    const wasSilent = now() - this.#heardAt >= staleAfterMs
    if (wasSilent) this.#isBehind = true
    const longest = Math.max(1, Math.floor(staleAfterMs / 1500))
    const seconds = this.#isBehind ? CATCH_UP_SECONDS : Math.ceil(longest * (0.75 + random() / 4))
    const query = `watch=1&allowWatchBookmarks=true&resourceVersion=${from}&timeoutSeconds=${seconds}`
    const silence = new AbortController()
    const signal = AbortSignal.any([silence.signal, this.#closing.signal])
    let timer = setTimeout(() => silence.abort(), Math.min(staleAfterMs, OPEN_TIMEOUT_MS))
    const heard = (): void => {
      clearTimeout(timer)
      timer = setTimeout(() => silence.abort(), staleAfterMs)
      this.#heard()
    }
    let outcome: Outcome | undefined
    try {
      const ended = await connection.stream({
        path: `${this.#watched.path}?${query}`,
        accept: this.#accept('PartialObjectMetadata'),
        signal,
        onOpen: heard,
        onBytes: heard,
        onLine: (line) => (outcome = this.#event(line) ?? outcome),
      })
      if (!ended.ok && silence.signal.aborted)
        return this.#failed('the server does not answer, or fell silent')
      if (!ended.ok) return this.#watchFailed(ended.denial)
    } finally {
      clearTimeout(timer)
    }
    if (outcome !== undefined) return outcome
    this.#caughtUp()
    return 'ended'
  }

  #watchFailed(failure: KubeFailure): Outcome {
    if (failure.status === 410) return 'expired'
    return failure.status === 404 ? this.#unknown(failure) : this.#failed(failure.message)
  }

  /** An outcome when the event ends the watch. */
  #event(line: JsonObject): Outcome | undefined {
    const { object } = line
    if (!isJsonObject(object)) return this.#failed('an event has no object')
    switch (textAt(line, 'type')) {
      case 'ADDED':
      case 'MODIFIED':
        this.#put(object, false)
        break
      case 'DELETED':
        this.#delete(object)
        break
      case 'BOOKMARK':
        this.#caughtUp()
        break
      case 'ERROR':
        if (object['code'] === 410) return 'expired'
        return this.#failed(`the watch ended with an error: ${textAt(object, 'message').slice(0, 200)}`)
      default:
        return undefined
    }
    const { resourceVersion } = refOf(object)
    if (resourceVersion !== '') this.#resourceVersion = resourceVersion
    return undefined
  }

  #put(object: JsonObject, isListed: boolean): string {
    const ref = refOf(object)
    const key = keyOf(ref)
    const known = this.#entries.get(key)
    const isOld = known !== undefined && !isNewer(ref.resourceVersion, known.resourceVersion)
    if (isOld) return key
    const value = this.#watched.project(object, ref)
    if (value === undefined) this.#entries.delete(key)
    else this.#entries.set(key, { resourceVersion: ref.resourceVersion, value })
    if (value !== undefined || known !== undefined) {
      this.#watched.onChange({ key, before: known?.value, after: value, isListed })
    }
    return key
  }

  #delete(object: JsonObject): void {
    const ref = refOf(object)
    const key = keyOf(ref)
    const known = this.#entries.get(key)
    if (known === undefined || isNewer(known.resourceVersion, ref.resourceVersion)) return
    this.#entries.delete(key)
    this.#watched.onChange({ key, before: known.value, after: undefined, isListed: false })
  }

  #heard(): void {
    this.#heardAt = this.#deps.now()
  }

  #caughtUp(): void {
    this.#isBehind = false
    this.#failure = ''
  }

  #failed(why: string): Outcome {
    this.#failure = why
    return 'failed'
  }

  #accept(kind: string): string {
    return this.#watched.metadataOnly === true
      ? `application/json;as=${kind};g=meta.k8s.io;v=v1`
      : 'application/json'
  }
}

function refOf(object: JsonObject): ObjectRef {
  const { metadata } = object
  const meta = isJsonObject(metadata) ? metadata : {}
  return {
    namespace: textAt(meta, 'namespace'),
    name: textAt(meta, 'name'),
    uid: textAt(meta, 'uid'),
    resourceVersion: textAt(meta, 'resourceVersion'),
  }
}

function keyOf({ namespace, name }: ObjectRef): string {
  return namespace === '' ? name : `${namespace}/${name}`
}

function textAt(object: JsonObject, name: string): string {
  const value: JsonValue | undefined = object[name]
  return typeof value === 'string' ? value : ''
}

/** As numbers of any length, which Kubernetes 1.35 says they are; what is no number is taken for newer when it differs. */
function isNewer(version: string, than: string): boolean {
  if (!/^[0-9]+$/.test(version) || !/^[0-9]+$/.test(than)) return version !== than
  return version.length === than.length ? version > than : version.length > than.length
}

/** Ends early with the signal. */
function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, milliseconds)
    signal.addEventListener('abort', end)
  })
}
