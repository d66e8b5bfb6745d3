// Reading and changing one entry of a cluster. An entry can carry an intent: what it becomes if a claim of several keys is
// taken. Whoever meets one learns from its ClaimSet what became of that claim. One that is open for too long, because its
// owner died, is dropped by whoever waits for it, so that nobody waits for ever.
import type { JsonObject } from '#core/claims.ts'
import type { RandomBytes } from '#core/clock.ts'
import { entryName, entryObject, readEntry, readSet, setObject } from './kube_entries.ts'
import type { ClaimSet, EntryContent, HeldValue, KubeEntry } from './kube_entries.ts'
import type { KubeObjects, Written } from './kube_objects.ts'
import { StoreFailure } from './store.ts'

/** What stands under a key once its intent is decided. */
export type SettledEntry = Pick<KubeEntry, 'version' | 'key' | 'held' | 'writer'>

export type Pause = (milliseconds: number) => Promise<void>

const FIRST_PAUSE_MS = 20
const LAST_PAUSE_MS = 200
/** Replicas that change one entry in the same moment; each round one of them wins. */
export const MAX_ROUNDS = 30

export class SettledEntries {
  readonly #objects: KubeObjects
  readonly #pause: Pause
  /** How long the owner of a set has to decide. */
  readonly #patienceMs: number

  constructor(objects: KubeObjects, pause: Pause, patienceMs: number) {
    this.#objects = objects
    this.#pause = pause
    this.#patienceMs = patienceMs
  }

  /** Expired ones too: whoever replaces one must know which. */
  async get(key: string): Promise<SettledEntry | undefined> {
    let waitedMs = 0
    let pauseMs = FIRST_PAUSE_MS
    for (let round = 0; round < MAX_ROUNDS * 10; round += 1) {
      const entry = await this.peek(key)
      if (entry === undefined) return undefined
      if (entry.intent === undefined) return entry
      const set = await this.#set(entry.intent.set)
      switch (set?.decision) {
        case 'taken':
          return { ...entry, held: entry.intent }
        case 'dropped':
          return entry
        case 'open':
          if (waitedMs >= this.#patienceMs) {
            await this.#drop(set)
            continue
          }
          await this.#pause(pauseMs)
          waitedMs += pauseMs
          pauseMs = Math.min(LAST_PAUSE_MS, pauseMs * 2)
          continue
        case undefined:
          // A set goes last: either it never was taken, or the entry was changed before it went.
          if (await this.#isUnchanged(entry)) return entry
      }
    }
    throw this.contended()
  }

  /** As it stands there, with an intent that may not be decided. */
  async peek(key: string): Promise<KubeEntry | undefined> {
    const object = await this.#objects.get('storeentries', entryName(key))
    return object === undefined ? undefined : this.#read(object)
  }

  /** Over what was read; `undefined`: nothing was there. */
  async write(key: string, content: EntryContent, over: SettledEntry | undefined): Promise<Written> {
    if (over === undefined) return this.#objects.create('storeentries', entryObject(key, content))
    return this.#objects.replace('storeentries', entryName(key), entryObject(key, content, over.version))
  }

  async remove({ version }: SettledEntry): Promise<Written> {
    return this.#objects.remove('storeentries', version)
  }

  contended(): StoreFailure {
    return new StoreFailure(
      `${this.#objects.place}: others change the same at the same time, again and again`,
    )
  }

  #read(object: JsonObject): KubeEntry {
    const entry = readEntry(object)
    // Under the name of our key: taken for absent it would be written over, and a claim in it forgotten.
    if (entry === undefined)
      throw new StoreFailure(`${this.#objects.place}: an entry cannot be read: somebody else wrote it`)
    return entry
  }

  async #set(name: string): Promise<ClaimSet | undefined> {
    const object = await this.#objects.get('claimsets', name)
    if (object === undefined) return undefined
    const set = readSet(object)
    if (set === undefined)
      throw new StoreFailure(`${this.#objects.place}: a claim set cannot be read: somebody else wrote it`)
    return set
  }

  /** Gone as soon as the owner has decided after all. */
  async #drop({ version }: ClaimSet): Promise<void> {
    const object = setObject(version.name, 'dropped', 0, version)
    await this.#objects.replace('claimsets', version.name, object)
  }

  async #isUnchanged({ key, version }: KubeEntry): Promise<boolean> {
    return (await this.peek(key))?.version.resourceVersion === version.resourceVersion
  }
}

/** What a value is without an intent beside it. */
export function plainContent(held: HeldValue, writer: string): EntryContent {
  return { held, intent: undefined, writer }
}

/** The `writer` of one change. */
export function drawWriter(randomBytes: RandomBytes): string {
  return Buffer.from(randomBytes(12)).toString('base64url')
}
