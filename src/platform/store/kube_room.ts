// How many entries the store may have in a cluster, whose etcd everybody else needs as well. Counted now and then, and what
// this process has made since is added; replicas learn of each other's with the next count.
import type { KubeObjects } from './kube_objects.ts'
import { StoreFailure } from './store.ts'

export type EntryRoomDeps = {
  readonly objects: KubeObjects
  readonly maxEntries: number
  /** Deletes a batch of what has expired: whoever waits for room waits for no more. */
  readonly makeRoom: () => Promise<unknown>
  /** Monotonic milliseconds. */
  readonly now: () => number
}

const COUNT_EVERY_MS = 10_000
/** A store that is full is not asked again at once. */
const FULL_FOR_MS = 2000
/** Where the server does not say how many there are beside the first. */
const COUNT_PAGE = 500

export class EntryRoom {
  readonly #deps: EntryRoomDeps
  #count = 0
  #countedAtMs = -Infinity
  #counting: Promise<void> | undefined

  constructor(deps: EntryRoomDeps) {
    this.#deps = deps
  }

  /** Before so many entries are made. Rejects with StoreFailure when there is no room, or nobody knows. */
  async take(entries: number): Promise<void> {
    const { maxEntries, now } = this.#deps
    const isFull = this.#count + entries > maxEntries
    if (now() - this.#countedAtMs >= (isFull ? FULL_FOR_MS : COUNT_EVERY_MS)) await this.#recount()
    if (this.#count + entries > maxEntries) throw this.#full()
    this.#count += entries
  }

  /** They were not made. */
  giveBack(entries: number): void {
    this.#count -= entries
  }

  #recount(): Promise<void> {
    this.#counting ??= this.#look().finally(() => {
      this.#counting = undefined
    })
    return this.#counting
  }

  async #look(): Promise<void> {
    const { objects, maxEntries, makeRoom, now } = this.#deps
    this.#count = await countEntries(objects)
    if (this.#count >= maxEntries) {
      await makeRoom()
      this.#count = await countEntries(objects)
    }
    this.#countedAtMs = now()
  }

  #full(): StoreFailure {
    const { objects, maxEntries } = this.#deps
    return new StoreFailure(
      `${objects.place}: it has ${maxEntries} entries, and may have no more: tokens that are good once are refused\n` +
        '    -> raise store.maxEntries if etcd has room, let jobs have shorter tokens, or take PostgreSQL',
    )
  }
}

async function countEntries(objects: KubeObjects): Promise<number> {
  let count = 0
  let next = ''
  do {
    const limit = next === '' ? 1 : COUNT_PAGE
    const page = await objects.page('storeentries', { limit, metadataOnly: true, next })
    if (page === undefined) throw new StoreFailure(`${objects.place}: its entries cannot be counted`)
    count += page.items.length
    if (page.remaining !== undefined) return count + page.remaining
    next = page.next
  } while (next !== '')
  return count
}
