// What is pulled at this moment, held in memory and followed in the store: every replica obeys within a second, whoever
// pulled it. A store that is away changes nothing about what is held, so what was denied stays denied.
import { uuidV4 } from '#core/token/uuid.ts'
import type { Clock, RandomBytes } from '#core/clock.ts'
import { Levers, MAX_REVOKED, MAX_REVOKED_BY_CLIENT, tokenDenialEnds } from '#core/levers.ts'
import type { Lever } from '#core/levers.ts'
import type { Store } from '../store/store.ts'
import { readLevers, readStamp, returnEvent, takeEvent, writeRevoked } from './lever_store.ts'
import type { LeverEvent, StoredEvent } from './lever_store.ts'

export interface LeverBook {
  current(): Levers
  /**
   * False from a look under a clock that is too far off until one under a right clock: which tokens are denied is not known, since a
   * store leaves out what has expired by the clock here. What is switched off has no end, and is known.
   */
  isWhole(): boolean
  /** What people have pulled, and how many tokens clients have revoked. */
  inForce(): { readonly pulled: readonly Lever[]; readonly revoked: number }
  /**
   * Denies one token of ours for as long as it lives, here at once and elsewhere as soon as they look. `full`, and nothing
   * done, when too many are remembered. Rejects with StoreFailure: then it may be denied or not.
   */
  revoke(token: RevokedToken): Promise<'revoked' | 'full'>
  /** Why levers are not followed at the moment; `undefined` while they are. */
  failure(): string | undefined
  /** Looks at the store, whether or not it is time. Rejects with StoreFailure; what is held stays. */
  refresh(): Promise<void>
  close(): void
}

/** `exp` in seconds since the epoch. */
type RevokedToken = { readonly jti: string; readonly client: string; readonly exp: number }

export type LeverBookDeps = {
  readonly store: Store
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  readonly log: LeverLog
  /** The stamp is another one: a signing key may have been revoked. */
  readonly onStamp: () => Promise<void>
  /** Writes what a person did into the audit log; rejects when it cannot. Each is told by one replica. */
  readonly tell: (event: LeverEvent) => Promise<void>
  /** Whether the clock here is too far off to say what has expired; never by default. */
  readonly isClockOff?: () => boolean
  /** 500 by default; 0: nobody looks but the caller. */
  readonly lookEveryMs?: number
}

type LeverLog = {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** Twice within the time that a lever may take, less than half of which the database has to answer. */
const LOOK_EVERY_MS = 500
/** After so many looks at an old stamp all is read anew: entries that have expired go, and a stamp that was never written is made good. */
const LOOKS_UNTIL_READ = 20

/** Reads what is pulled. Rejects with StoreFailure: a broker that cannot know what is denied does not start. */
export async function openLeverBook(deps: LeverBookDeps): Promise<LeverBook> {
  const { store, clock, randomBytes, log, isClockOff = () => false } = deps
  let pulled: readonly Lever[] = []
  let revoked: ReadonlyMap<string, Lever> = new Map()
  let current = new Levers([])
  /** Revoked here while the store was being read: the answer may not have them yet. */
  let meanwhile = new Map<string, Lever>()
  let stamp: string | undefined
  let looksSinceRead = 0
  let tail: Promise<unknown> = Promise.resolve()
  let isLooking = false
  let failure: string | undefined
  let known: readonly string[] = []
  let isWhole = true

  function show(): void {
    current = new Levers([...pulled, ...revoked.values()])
  }

  async function read(found: string | undefined): Promise<void> {
    meanwhile = new Map()
    const wasOff = isClockOff()
    const stored = await readLevers(store)
    isWhole = !wasOff && !isClockOff()
    // What has expired by a wrong clock may live: what is held stays, and what was pulled since is added. Of revoked tokens nobody
    // asks until this is whole.
    pulled = isWhole ? stored.pulled : withNewer(pulled, stored.pulled)
    if (isWhole) {
      revoked = new Map([...stored.revoked.map((lever): [string, Lever] => [lever.id, lever]), ...meanwhile])
    }
    stamp = found
    looksSinceRead = 0
    show()
    const news = stored.unknown.filter((key) => !known.includes(key))
    known = stored.unknown
    if (news.length > 0) log.error({ keys: news.slice(0, 10) }, 'levers of a newer release, not obeyed here')
    for (const event of stored.events) await tell(event)
  }

  async function tell(stored: StoredEvent): Promise<void> {
    if (!(await takeEvent(store, stored))) return
    const { lever } = stored.event
    log.warn({ ...lever }, 'emergency')
    try {
      await deps.tell(stored.event)
    } catch (error) {
      log.error({ ...lever, err: error }, 'emergency event not written, it is tried again')
      await returnEvent(store, stored)
    }
  }

  async function look(): Promise<void> {
    const found = await readStamp(store)
    const isNew = found !== stamp
    looksSinceRead += 1
    const isDue = !isClockOff() && (!isWhole || looksSinceRead >= LOOKS_UNTIL_READ)
    if (!isNew && !isDue) return
    // Each is of use without the other.
    const [keys, levers] = await Promise.allSettled([isNew ? deps.onStamp() : undefined, read(found)])
    if (levers.status === 'rejected') throw levers.reason
    if (keys.status === 'rejected') {
      // Looked at again, as if the stamp were new.
      stamp = undefined
      throw keys.reason
    }
  }

  /** One look at a time; each begins after it was asked for. */
  function refresh(): Promise<void> {
    const result = tail.then(look)
    // Whoever asked is told through `result`; a look that failed must not hold up the next one.
    tail = result.catch(() => {})
    return result
  }

  async function lookNow(): Promise<void> {
    if (isLooking) return
    isLooking = true
    try {
      await refresh()
      if (failure !== undefined) log.info({}, 'levers are followed again')
      failure = undefined
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error)
      if (failure === undefined)
        log.error({ detail }, 'levers not read: those that are held stay, new ones are not seen')
      failure = detail
    } finally {
      isLooking = false
    }
  }

  await read(await readStamp(store))
  const everyMs = deps.lookEveryMs ?? LOOK_EVERY_MS
  const timer = everyMs === 0 ? undefined : setInterval(() => void lookNow(), everyMs).unref()

  return {
    current: () => current,
    isWhole: () => isWhole,
    inForce: () => ({ pulled, revoked: revoked.size }),
    async revoke({ jti, client, exp }) {
      if (revoked.has(jti)) return 'revoked'
      if (revoked.size >= MAX_REVOKED || revokedBy(revoked, client) >= MAX_REVOKED_BY_CLIENT) return 'full'
      const lever: Lever = {
        action: 'deny',
        kind: 'token',
        id: jti,
        at: clock(),
        until: tokenDenialEnds(exp),
        by: client,
        why: 'revoked by its client',
      }
      await writeRevoked(store, lever, uuidV4(randomBytes))
      meanwhile.set(jti, lever)
      revoked = new Map([...revoked, [jti, lever]])
      show()
      return 'revoked'
    },
    failure: () => failure,
    refresh,
    close: () => clearInterval(timer),
  }
}

function withNewer(held: readonly Lever[], found: readonly Lever[]): readonly Lever[] {
  const names = new Set(found.map(nameOf))
  return [...held.filter((lever) => !names.has(nameOf(lever))), ...found]
}

function nameOf({ action, kind, id }: Lever): string {
  return `${action} ${kind} ${id}`
}

function revokedBy(revoked: ReadonlyMap<string, Lever>, client: string): number {
  let count = 0
  for (const { by } of revoked.values()) if (by === client) count += 1
  return count
}
