// Claims in a cluster. One key: the entry is created under the name that follows from the key, and kube-apiserver lets one
// of all who try create it. Several keys, of which a cluster changes one at a time: each entry gets an intent that counts
// once the ClaimSet says `taken`, which one write decides for all of them.
import type { Clock, RandomBytes } from '#core/clock.ts'
import { claimedToo, claimedValue } from './claim.ts'
import type { Claim } from './claim.ts'
import { isLiving, laterEnd, readSet, setObject } from './kube_entries.ts'
import type { ClaimSet, HeldValue, KubeEntry } from './kube_entries.ts'
import type { KubeObjects } from './kube_objects.ts'
import { MAX_ROUNDS, drawWriter, plainContent } from './kube_settled.ts'
import type { SettledEntries, SettledEntry } from './kube_settled.ts'
import { StoreFailure } from './store.ts'

export type KubeClaimsDeps = {
  readonly objects: KubeObjects
  readonly entries: SettledEntries
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  readonly log: { warn(fields: object, message: string): void }
}

type Want = { readonly claim: Claim; readonly found: SettledEntry | undefined; readonly next: HeldValue }

type Waiting = {
  readonly claims: readonly Claim[]
  readonly resolve: (taken: boolean) => void
  readonly reject: (error: unknown) => void
}

/** Sets go one after the other in one process, since those of the same keys would only drop each other. */
const MAX_SETS = 128
/** A set that others dropped, since its owner was slow, is tried anew. */
const MAX_SET_ROUNDS = 3

export class KubeClaims {
  readonly #deps: KubeClaimsDeps
  #waiting: Waiting[] = []
  #isWorking = false

  constructor(deps: KubeClaimsDeps) {
    this.#deps = deps
  }

  /** As `Store.claimAllOnce`. */
  async claim(claims: readonly Claim[]): Promise<boolean> {
    const [only, second] = claims
    if (only === undefined) return true
    if (second === undefined) return this.#claimOne(only)
    if (this.#waiting.length >= MAX_SETS)
      throw new StoreFailure(`${this.#deps.objects.place}: too many claims wait already`)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ claims, resolve, reject })
      if (!this.#isWorking) void this.#work()
    })
  }

  async #work(): Promise<void> {
    this.#isWorking = true
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      try {
        next.resolve(await this.#claimSet(next.claims))
      } catch (error) {
        // Whoever waits behind would only wait for the same as long again.
        for (const { reject } of [next, ...this.#waiting.splice(0)]) reject(error)
      }
    }
    this.#isWorking = false
  }

  async #claimOne(claim: Claim): Promise<boolean> {
    const { entries, clock, randomBytes } = this.#deps
    const writer = drawWriter(randomBytes)
    const fresh = { value: claimedValue(claim.parts), expiresAt: claim.expiresAt }
    // 1. Nearly always it is new.
    if ((await entries.write(claim.key, plainContent(fresh, writer), undefined)).is === 'done') return true
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      // 2. What is there, and whether it is this very claim, made by a request whose answer was lost.
      const found = await entries.get(claim.key)
      if (found?.writer === writer) return true
      // 3. Over what has expired, or beside what others took of it.
      const next = afterClaim(found, claim, clock())
      if (next === undefined) return false
      if ((await entries.write(claim.key, plainContent(next, writer), found)).is === 'done') return true
    }
    throw entries.contended()
  }

  async #claimSet(claims: readonly Claim[]): Promise<boolean> {
    // In one order everywhere, so that two sets never wait for each other.
    const ordered = [...claims].sort((a, b) => (a.key < b.key ? -1 : 1))
    for (let round = 0; round < MAX_SET_ROUNDS; round += 1) {
      const taken = await this.#trySet(ordered)
      if (taken !== undefined) return taken
    }
    throw this.#deps.entries.contended()
  }

  /** `undefined`: others dropped the set before it was decided. */
  async #trySet(claims: readonly Claim[]): Promise<boolean | undefined> {
    // 1. What is held already is refused without a trace.
    const wants: Want[] = []
    for (const claim of claims) {
      const want = await this.#want(claim)
      if (want === undefined) return false
      wants.push(want)
    }
    // 2. Nothing is decided yet.
    const ends = wants.map(({ next }) => next.expiresAt)
    const expiresAt = ends.reduce(laterEnd, 0)
    const set = await this.#openSet(expiresAt)
    // 3. What each entry becomes, if.
    const name = set.version.name
    const writer = drawWriter(this.#deps.randomBytes)
    for (const want of wants) {
      if (await this.#intend(want, name, writer)) continue
      await this.#finish(wants, set, writer)
      return false
    }
    // 4. One write decides.
    const decided = await this.#deps.objects.replace(
      'claimsets',
      name,
      setObject(name, 'taken', expiresAt, set.version),
    )
    const isTaken = decided.is === 'done' || (await this.#decision(name)) === 'taken'
    const version = decided.is === 'done' ? (readSet(decided.object)?.version ?? set.version) : set.version
    // 5. What the entries are without the set, which is worth nothing then.
    await this.#finish(wants, { version, decision: isTaken ? 'taken' : 'dropped' }, writer)
    return isTaken ? true : undefined
  }

  async #want(claim: Claim): Promise<Want | undefined> {
    const found = await this.#deps.entries.get(claim.key)
    const next = afterClaim(found, claim, this.#deps.clock())
    return next === undefined ? undefined : { claim, found, next }
  }

  async #openSet(expiresAt: number | undefined): Promise<ClaimSet> {
    const { objects } = this.#deps
    const name = `s-${Buffer.from(this.#deps.randomBytes(16)).toString('hex')}`
    const made = await objects.create('claimsets', setObject(name, 'open', expiresAt))
    // Of that name there is only this one, made by a request whose answer was lost.
    const object = made.is === 'done' ? made.object : await objects.get('claimsets', name)
    const set = object === undefined ? undefined : readSet(object)
    if (set === undefined) throw new StoreFailure(`${objects.place}: a claim set was lost`)
    return set
  }

  async #decision(name: string): Promise<ClaimSet['decision'] | undefined> {
    const object = await this.#deps.objects.get('claimsets', name)
    return object === undefined ? undefined : readSet(object)?.decision
  }

  /** False when somebody has it meanwhile. */
  async #intend({ claim, found: first }: Want, set: string, writer: string): Promise<boolean> {
    const { entries, clock } = this.#deps
    let found = first
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const next = afterClaim(found, claim, clock())
      if (next === undefined) return false
      const content = { held: found?.held, intent: { ...next, set }, writer }
      if ((await entries.write(claim.key, content, found)).is === 'done') return true
      if ((await this.#ours(claim.key, writer)) !== undefined) return true
      found = await entries.get(claim.key)
    }
    throw entries.contended()
  }

  /** The entry, if it is as this set's write left it. */
  async #ours(key: string, writer: string): Promise<KubeEntry | undefined> {
    const entry = await this.#deps.entries.peek(key)
    return entry?.writer === writer ? entry : undefined
  }

  /**
   * Writes into each entry what was decided, and takes the set away. The claim is decided whatever becomes of this: an
   * entry that keeps its intent is read through the set, which stays for as long.
   */
  async #finish(wants: readonly Want[], set: ClaimSet, writer: string): Promise<void> {
    const { entries, objects, log } = this.#deps
    try {
      for (const { claim } of wants) {
        const entry = await this.#ours(claim.key, writer)
        if (entry === undefined) continue
        const { held, intent } = entry
        const next = set.decision === 'taken' ? intent : held
        if (next === undefined) await entries.remove(entry)
        else await entries.write(claim.key, plainContent(next, writer), entry)
      }
      await objects.remove('claimsets', set.version)
    } catch (error) {
      if (!(error instanceof StoreFailure)) throw error
      log.warn({ err: error }, 'a decided claim of several keys was not tidied up, and is read as it is')
    }
  }
}

/** What the claim would leave; `undefined` when it cannot be made. */
function afterClaim(found: SettledEntry | undefined, claim: Claim, now: number): HeldValue | undefined {
  const { parts, expiresAt } = claim
  const held = found?.held
  if (!isLiving(held, now)) return { value: claimedValue(parts), expiresAt }
  const value = claimedToo(held.value, parts)
  return value === undefined ? undefined : { value, expiresAt: laterEnd(held.expiresAt, expiresAt) }
}
