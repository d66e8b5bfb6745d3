// The store in a cluster, for brokers that have no database: one object for each key, changed by compare-and-set on its
// resourceVersion. docs/decisions/0011-kubernetes-store.md says why so, and docs/operations.md what it costs.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock, RandomBytes } from '#core/clock.ts'
import { openInNamespace } from '#platform/kube/kube_connection.ts'
import type { KubeClientOptions } from '#platform/kube/kube_target.ts'
import { KubeClaims } from './kube_claims.ts'
import { checkMarker, migrateKube, probe } from './kube_definitions.ts'
import { isLiving, ownerSelector, readEntry } from './kube_entries.ts'
import { KubeObjects } from './kube_objects.ts'
import { EntryRoom } from './kube_room.ts'
import { MAX_ROUNDS, SettledEntries, drawWriter, plainContent } from './kube_settled.ts'
import type { SettledEntry } from './kube_settled.ts'
import { sweep } from './kube_sweep.ts'
import { StoreFailure } from './store.ts'
import type { Store, StoreEntry } from './store.ts'

/** Where the cluster is, and how the store is kept in it. */
export type KubeStorePlace = {
  /** `cluster`: as the ServiceAccount of this Pod. `context`: the current one when `undefined`. */
  readonly from: 'cluster' | { readonly kubeconfig: string; readonly context: string | undefined }
  /** `undefined`: that of the Pod, or of the context. */
  readonly namespace: string | undefined
  /** Whether definitions that are missing are made at the start. */
  readonly definitions: 'ensure' | 'check'
  readonly requestTimeoutSeconds: number
  /** Claims are refused beyond so many objects. */
  readonly maxEntries: number
}

export type KubeStoreOptions = {
  readonly place: KubeStorePlace
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  readonly log: { warn(fields: object, message: string): void }
  /** What an exec plugin of the kubeconfig inherits. */
  readonly env: KubeClientOptions['env']
  /** Makes the store where there is none; true by default. */
  readonly create?: boolean
  /** Milliseconds since the epoch by the clock that all replicas share; the apiserver's by default. */
  readonly sharedClock?: () => Promise<number>
}

/** What the clocks of replicas may be apart, as for the key ring. */
const CLOCK_MARGIN_MS = 60_000
const LIST_PAGE = 250
/** RFC 1123 labels, as Kubernetes has them. */
const NAMESPACE = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/
/** Lists that grew too old between two pages. */
const MAX_LISTS = 3

/** Takes the steps that the namespace lacks. Rejects with StoreFailure. */
export async function openKubeStore(options: KubeStoreOptions): Promise<Store> {
  const { place, clock, randomBytes, log } = options
  const objects = await openKubeObjects(place, options.env)
  try {
    const create = options.create ?? true
    await migrateKube(objects, { create, define: create && place.definitions === 'ensure' })
    await probe(objects)
  } catch (error) {
    objects.close()
    throw error
  }
  const entries = new SettledEntries(objects, sleep, place.requestTimeoutSeconds * 1000)
  const claims = new KubeClaims({ objects, entries, clock, randomBytes, log })
  const sharedClock = options.sharedClock ?? (async () => probe(objects))
  const { maxEntries } = place
  const room = new EntryRoom({ objects, maxEntries, makeRoom: () => expire(1), now: monotonic })
  let hasFailed = false

  async function writing<T>(work: () => Promise<T>): Promise<T> {
    try {
      const result = await work()
      hasFailed = false
      return result
    } catch (error) {
      hasFailed = true
      throw error
    }
  }

  async function change(
    key: string,
    next: string | undefined,
    expiresAt: number | undefined,
    isExpected: (found: SettledEntry | undefined) => boolean,
  ): Promise<boolean> {
    checkText(objects, key, next)
    const writer = drawWriter(randomBytes)
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const found = await entries.get(key)
      // Written already, by a request whose answer was lost.
      if (found?.writer === writer) return true
      if (!isExpected(found)) return false
      if (next === undefined && found === undefined) return true
      const written =
        next === undefined && found !== undefined
          ? await entries.remove(found)
          : await entries.write(key, plainContent({ value: next ?? '', expiresAt }, writer), found)
      if (written.is === 'done') return true
    }
    throw entries.contended()
  }

  async function expire(batches?: number): Promise<number> {
    const [own, shared] = [clock(), await sharedClock()]
    const apart = own - shared
    if (Math.abs(apart) > CLOCK_MARGIN_MS) {
      const seconds = Math.round(apart / 1000)
      log.warn({ seconds }, 'the clock here is ahead of the cluster by so many seconds: replicas must agree')
    }
    // As in PostgreSQL: what one replica deletes is gone for all, so it goes when both clocks say so, and a minute later.
    return sweep(objects, Math.min(own, shared) - CLOCK_MARGIN_MS, batches)
  }

  async function valueOf(key: string): Promise<string | undefined> {
    const held = (await entries.get(key))?.held
    return isLiving(held, clock()) ? held.value : undefined
  }

  /** `undefined`: the list grew too old between two pages. */
  async function listOnce(prefix: string): Promise<readonly StoreEntry[] | undefined> {
    const found: StoreEntry[] = []
    const selector = ownerSelector(prefix)
    let next = ''
    do {
      const page = await objects.page('storeentries', {
        limit: LIST_PAGE,
        next,
        ...(selector === undefined ? {} : { selector }),
      })
      if (page === undefined) return undefined
      for (const item of page.items) {
        const entry = readEntry(item)
        if (entry === undefined || !entry.key.startsWith(prefix)) continue
        const { key, held, intent } = entry
        const value =
          intent !== undefined ? await valueOf(key) : isLiving(held, clock()) ? held.value : undefined
        if (value !== undefined) found.push({ key, value })
      }
      next = page.next
    } while (next !== '')
    return found.sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)))
  }

  return {
    async get(key) {
      checkText(objects, key)
      return valueOf(key)
    },
    async put(key, value, expiresAt) {
      await writing(() => change(key, value, expiresAt, () => true))
    },
    compareAndSet: (key, expected, next, expiresAt) =>
      writing(() =>
        change(key, next, expiresAt, (found) => {
          const held = found?.held
          return (isLiving(held, clock()) ? held.value : undefined) === expected
        }),
      ),
    claimOnce: async (key, expiresAt) => claim([{ key, parts: [], expiresAt }]),
    claimAllOnce: claim,
    async list(prefix) {
      for (let tries = 0; tries < MAX_LISTS; tries += 1) {
        const found = await listOnce(prefix)
        if (found !== undefined) return found
      }
      throw new StoreFailure(`${objects.place}: a list grew too old before its end, again and again`)
    },
    expire: () => writing(() => expire()),
    sharedClock,
    async ping() {
      await checkMarker(objects)
      // Ready again only after a write that worked: an entry that has expired already.
      if (hasFailed) await writing(() => change('store/probe', '', 0, () => true))
    },
    async close() {
      objects.close()
    },
  }

  async function claim(given: Parameters<Store['claimAllOnce']>[0]): Promise<boolean> {
    for (const { key } of given) checkText(objects, key)
    await room.take(given.length)
    const isTaken = await writing(() => claims.claim(given))
    if (!isTaken) room.giveBack(given.length)
    return isTaken
  }
}

/** Milliseconds. */
function monotonic(): number {
  return performance.now()
}

/** Reads kubeconfig or ServiceAccount and asks nobody. Rejects with StoreFailure. */
export async function openKubeObjects(
  { from, namespace, requestTimeoutSeconds }: KubeStorePlace,
  env: KubeClientOptions['env'],
): Promise<KubeObjects> {
  const target =
    from === 'cluster' ? { kubeconfig: undefined, context: undefined, inCluster: true } : { ...from }
  const opened = await openInNamespace({ ...target, env })
  if (!opened.ok)
    throw new StoreFailure(
      `kubernetes: ${opened.denial.message}\n` +
        '    -> run it in a Pod with a ServiceAccount, or name a kubeconfig (store.kubeconfig; Dex: kubeConfigFile)',
    )
  const { connection } = opened.value
  const named = namespace ?? opened.value.namespace
  const inside = named === '' ? 'default' : named
  // It becomes a part of paths.
  if (!NAMESPACE.test(inside)) {
    connection.close()
    throw new StoreFailure(
      `kubernetes: ${JSON.stringify(inside)} is not the name of a namespace\n    -> store.namespace`,
    )
  }
  return new KubeObjects({
    connection,
    namespace: inside,
    requestTimeoutMs: requestTimeoutSeconds * 1000,
  })
}

/** JSON has no halves of surrogate pairs: what would be read back is another text. */
function checkText({ place }: KubeObjects, ...texts: readonly (string | undefined)[]): void {
  if (texts.some((text) => text?.isWellFormed() === false))
    throw new StoreFailure(`${place}: half a surrogate pair cannot be stored`)
}
