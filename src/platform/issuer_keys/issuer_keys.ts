// The keys of one issuer as this broker knows them: loaded on first use, shared, refreshed behind the requests' back,
// never replaced by something worse. An issuer that hangs delays nobody for whom a usable key is at hand.
// docs/architecture.md lists the caches with their bounds.
import { LRUCache } from 'lru-cache'
import type { Clock } from '#core/clock.ts'
import type { Connector } from '#core/connector.ts'
import { algorithmOf } from '#core/jwt/algorithms.ts'
import type { Algorithm } from '#core/jwt/algorithms.ts'
import { selectKey } from '#core/jwt/public_key.ts'
import type { IgnoredKey, KeySet, VerificationKey } from '#core/jwt/public_key.ts'
import { deny, ok } from '#core/result.ts'
import type { Denied, Result } from '#core/result.ts'
import type { BoundedFetch } from '#platform/egress/bounded_fetch.ts'
import type { LoadedKeys } from './key_document.ts'
import { KEY_FILE_CHECK_SECONDS } from './key_file.ts'
import { createKeyLoader } from './key_loader.ts'
import type { KeyLoader } from './key_loader.ts'

export interface IssuerKeys {
  /**
   * The key that `kid` means for `alg`. Denials: `subject_key_unknown`, `subject_key_unfit`, and
   * `issuer_keys_unavailable` when the issuer could not be asked. Waits at most 5 s, and only when no key is at hand.
   */
  find(alg: string, kid: string | undefined): Promise<Result<VerificationKey>>
  /** Where an opaque token can be proven. Denials: `subject_userinfo_failed`, `issuer_keys_unavailable`. */
  userinfoEndpoint(): Promise<Result<string>>
  /** Loads now, whatever was loaded before (an operator's command; keys that must go at once). True when it worked. */
  refresh(): Promise<boolean>
  /** Loads in the background when there is no usable set and the last failure is not of just now. */
  warmUp(): void
  status(): IssuerKeysStatus
  /** The guarded way out to this issuer. */
  readonly fetch: BoundedFetch
  close(): void
}

export type IssuerKeysStatus = {
  readonly connector: string
  readonly issuer: string
  /** `stale`: past its age, still in use. `empty`: never loaded. `failed`: never loaded, or too old, and not for want of trying. */
  readonly state: 'empty' | 'fresh' | 'stale' | 'failed'
  readonly keys: number
  readonly ignored: readonly IgnoredKey[]
  /** Milliseconds since the epoch. */
  readonly loadedAt: number | undefined
  readonly lastFailure: { readonly at: number; readonly detail: string } | undefined
  readonly attempts: number
  readonly failures: number
}

export type IssuerKeysEvent =
  | {
      readonly event: 'issuer_keys_loaded'
      readonly connector: string
      readonly keys: number
      readonly ignored: readonly IgnoredKey[]
    }
  | {
      readonly event: 'issuer_keys_failed'
      readonly connector: string
      readonly detail: string
      readonly keysHeld: number
    }

export type IssuerKeysDeps = {
  readonly clock: Clock
  readonly fetch: BoundedFetch
  readonly onEvent?: (event: IssuerKeysEvent) => void
  readonly times?: KeyTimes
}

/** Seconds, except where the name says otherwise. */
export type KeyTimes = {
  /** A key that the issuer took back is refused after this long at the latest. */
  readonly maxAge: number
  /** The least that is honoured of a shorter Cache-Control. */
  readonly minAge: number
  /** How long a set is used when the issuer cannot be asked. */
  readonly staleMax: number
  /** Unknown kids cause at most one load in this time. */
  readonly cooldown: number
  /** A kid that a load did not bring is not asked for again in this time. */
  readonly unknownKid: number
  /** After a failure with nothing at hand, callers are answered at once for this long. */
  readonly retryEmpty: number
  /** After a failure with a set at hand, the next attempt. */
  readonly retryStale: number
  /** What the first callers after `maxAge` give a refresh, so that a healthy issuer's removed key is not used once more. */
  readonly graceMs: number
}

export const KEY_TIMES: KeyTimes = {
  maxAge: 600,
  minAge: 60,
  staleMax: 86_400,
  cooldown: 30,
  unknownKid: 60,
  retryEmpty: 3,
  retryStale: 30,
  graceMs: 250,
}

const MAX_UNKNOWN_KIDS = 1000
/** The share of its age after which a set is refreshed by the next caller, who does not wait. */
const REFRESH_AHEAD = 0.8

export function createIssuerKeys(connector: Connector, deps: IssuerKeysDeps): IssuerKeys {
  return new CachedIssuerKeys(connector, deps)
}

type Held = { readonly set: KeySet; readonly at: number; readonly maxAgeMs: number }
type Flight = { readonly sequence: number; readonly startedAt: number; readonly done: Promise<boolean> }

class CachedIssuerKeys implements IssuerKeys {
  readonly fetch: BoundedFetch
  readonly #connector: Connector
  readonly #clock: Clock
  readonly #loader: KeyLoader
  readonly #onEvent: ((event: IssuerKeysEvent) => void) | undefined
  readonly #times: KeyTimes
  /** kid -> milliseconds since the epoch until which it is not asked for again. */
  readonly #unknownKids = new LRUCache<string, number>({ max: MAX_UNKNOWN_KIDS })
  #held: Held | undefined
  #flight: Flight | undefined
  /** Attempts are numbered; the answer to an older one never undoes a newer one's. */
  #started = 0
  #settled = 0
  #failures = 0
  #lastFailure: IssuerKeysStatus['lastFailure']
  #lastSeekAt = -Infinity

  constructor(connector: Connector, deps: IssuerKeysDeps) {
    this.#connector = connector
    this.#clock = deps.clock
    this.fetch = deps.fetch
    this.#onEvent = deps.onEvent
    this.#times = deps.times ?? KEY_TIMES
    this.#loader = createKeyLoader(connector, deps)
  }

  async find(alg: string, kid: string | undefined): Promise<Result<VerificationKey>> {
    const algorithm = algorithmOf(alg)
    if (algorithm === undefined)
      return deny({
        reason: 'subject_algorithm_not_allowed',
        got: alg,
        allowed: this.#connector.algorithms,
      })
    // Every issuer that is served sends one; "the only key there is" would mean another key after a rotation.
    if (kid === undefined) return deny({ reason: 'subject_key_unknown', kid })
    const set = this.#freshSet() ?? (await this.#anySet())
    if (set === undefined) return this.#unavailable()
    return this.#select(set, algorithm, kid) ?? (await this.#seek(algorithm, kid))
  }

  async userinfoEndpoint(): Promise<Result<string>> {
    const endpoint = await this.#loader.userinfoEndpoint()
    if (!endpoint.ok)
      return deny({
        reason: 'issuer_keys_unavailable',
        connector: this.#connector.id,
        detail: endpoint.denial,
      })
    if (endpoint.value === undefined)
      return deny({ reason: 'subject_userinfo_failed', detail: 'the issuer has no userinfo endpoint' })
    return ok(endpoint.value)
  }

  async refresh(): Promise<boolean> {
    return this.#start().done
  }

  warmUp(): void {
    const isUsable = this.#held !== undefined && this.#isUsable(this.#held)
    if (!isUsable && this.#mayRetry(this.#times.retryEmpty)) this.#flying()
  }

  status(): IssuerKeysStatus {
    const held = this.#held
    return {
      connector: this.#connector.id,
      issuer: this.#connector.issuer,
      state: this.#state(),
      keys: held?.set.size ?? 0,
      ignored: held?.set.ignored ?? [],
      loadedAt: held?.at,
      lastFailure: this.#lastFailure,
      attempts: this.#started,
      failures: this.#failures,
    }
  }

  close(): void {
    this.fetch.close()
  }

  #state(): IssuerKeysStatus['state'] {
    const held = this.#held
    if (held !== undefined && this.#isUsable(held)) return this.#isFresh(held) ? 'fresh' : 'stale'
    return this.#lastFailure === undefined ? 'empty' : 'failed'
  }

  /** The usual case, and it awaits nothing. */
  #freshSet(): KeySet | undefined {
    const held = this.#held
    if (held === undefined || !this.#isFresh(held)) return undefined
    const age = this.#clock() - held.at
    if (age > held.maxAgeMs * REFRESH_AHEAD && this.#mayRetry(this.#times.retryStale)) this.#flying()
    return held.set
  }

  /** A set past its age, when it is not too old, or whatever a load brings. */
  async #anySet(): Promise<KeySet | undefined> {
    const held = this.#held
    if (held === undefined || !this.#isUsable(held)) {
      if (this.#flight === undefined && !this.#mayRetry(this.#times.retryEmpty)) return undefined
      return (await this.#flying().done) ? this.#held?.set : undefined
    }
    // An issuer that failed last time is not waited for again, and one that hangs only by those who came first.
    const wasWell = this.#lastFailure === undefined
    if (this.#mayRetry(this.#times.retryStale)) this.#flying()
    if (wasWell && this.#flight !== undefined) await this.#briefly(this.#flight)
    return this.#held?.set
  }

  /** A kid that the set does not have: the issuer may have rotated. */
  async #seek(algorithm: Algorithm, kid: string): Promise<Result<VerificationKey>> {
    const now = this.#clock()
    if ((this.#unknownKids.get(kid) ?? 0) > now) return deny({ reason: 'subject_key_unknown', kid })
    const mayLoad = Math.abs(now - this.#lastSeekAt) >= this.#times.cooldown * 1000
    const flight = this.#flight ?? (mayLoad ? this.#flying() : undefined)
    if (flight === undefined) return this.#notFound(kid)
    if (mayLoad) this.#lastSeekAt = now
    const loaded = await flight.done
    const found = this.#held === undefined ? undefined : this.#select(this.#held.set, algorithm, kid)
    if (found !== undefined) return found
    if (loaded) this.#unknownKids.set(kid, now + this.#times.unknownKid * 1000)
    return this.#notFound(kid)
  }

  /** "Unknown" can be said only when the issuer answered the last time it was asked. */
  #notFound(kid: string): Result<never> {
    return this.#lastFailure === undefined
      ? deny({ reason: 'subject_key_unknown', kid })
      : this.#unavailable()
  }

  #select(set: KeySet, algorithm: Algorithm, kid: string): Result<VerificationKey> | undefined {
    const selection = selectKey(set, algorithm, kid)
    switch (selection.found) {
      case 'key':
        return ok(selection.key)
      case 'unfit':
        return deny({ reason: 'subject_key_unfit', kid, detail: selection.detail })
      case 'none':
        return undefined
    }
  }

  #unavailable(): Denied<{ reason: 'issuer_keys_unavailable'; connector: string; detail: string }> {
    return deny({
      reason: 'issuer_keys_unavailable',
      connector: this.#connector.id,
      detail: this.#lastFailure?.detail ?? 'not loaded',
    })
  }

  /** The load that is under way, or a new one. */
  #flying(): Flight {
    return this.#flight ?? this.#start()
  }

  #start(): Flight {
    this.#started += 1
    const sequence = this.#started
    const done = this.#loader
      .load()
      // A loader answers in values; if it throws after all, that is a failed load with a name, not the end of the process.
      .catch((error: unknown): Result<LoadedKeys, string> => ({
        ok: false,
        denial: `loader broke: ${String(error)}`,
      }))
      .then((outcome) => this.#settle(sequence, outcome))
    const flight = { sequence, startedAt: performance.now(), done }
    this.#flight = flight
    return flight
  }

  #settle(sequence: number, outcome: Result<LoadedKeys, string>): boolean {
    if (this.#flight?.sequence === sequence) this.#flight = undefined
    if (!outcome.ok) this.#failures += 1
    if (sequence < this.#settled) return outcome.ok
    this.#settled = sequence
    if (outcome.ok) this.#accept(outcome.value)
    else this.#regret(outcome.denial)
    return outcome.ok
  }

  #accept({ set, maxAgeSeconds }: LoadedKeys): void {
    this.#held = { set, at: this.#clock(), maxAgeMs: this.#ageOf(maxAgeSeconds) * 1000 }
    this.#lastFailure = undefined
    const connector = this.#connector.id
    this.#onEvent?.({ event: 'issuer_keys_loaded', connector, keys: set.size, ignored: set.ignored })
  }

  #regret(detail: string): void {
    this.#lastFailure = { at: this.#clock(), detail }
    const connector = this.#connector.id
    this.#onEvent?.({ event: 'issuer_keys_failed', connector, detail, keysHeld: this.#held?.set.size ?? 0 })
  }

  #ageOf(maxAgeSeconds: number | undefined): number {
    if (this.#connector.keys.kind === 'file') return KEY_FILE_CHECK_SECONDS
    const { minAge, maxAge } = this.#times
    return Math.max(minAge, Math.min(maxAgeSeconds ?? maxAge, maxAge))
  }

  /** A clock that jumped back makes a set look newer than now: then it is not fresh. */
  #isFresh(held: Held): boolean {
    const age = this.#clock() - held.at
    return age >= 0 && age < held.maxAgeMs
  }

  #isUsable(held: Held): boolean {
    return this.#clock() - held.at < this.#times.staleMax * 1000
  }

  #mayRetry(afterSeconds: number): boolean {
    if (this.#lastFailure === undefined) return true
    return Math.abs(this.#clock() - this.#lastFailure.at) >= afterSeconds * 1000
  }

  async #briefly(flight: Flight): Promise<void> {
    const left = this.#times.graceMs - (performance.now() - flight.startedAt)
    if (left <= 0) return
    let timer: NodeJS.Timeout | undefined
    const tooLong = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, left)
    })
    await Promise.race([flight.done, tooLong])
    clearTimeout(timer)
  }
}
