// What stands between requests and a signer elsewhere: a time-out, so many calls at once, a bounded queue, the breaker,
// and a look at each signature. Whoever waits is told when there is no use in waiting any more.
import { createPublicKey } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { CLOSED, admit, settle } from '#core/circuit_breaker.ts'
import type { BreakerRules, BreakerState } from '#core/circuit_breaker.ts'
import { algorithmOf } from '#core/jwt/algorithms.ts'
import type { PublicJwk } from '#core/public_jwk.ts'
import type { CryptoPool } from '../crypto_pool.ts'
import { verifySignature } from '../jws_signature.ts'
import { SignerFailure } from './remote_signer.ts'
import type { RemoteSigner, SignerCause, SignOrder } from './remote_signer.ts'

type SignerLimits = {
  /** From the request to the signature, the wait for a turn included. */
  readonly timeoutMs: number
  readonly maxConcurrent: number
  readonly maxWaiting: number
}

const BREAKER_RULES: BreakerRules = { failures: 5, openMs: 5000, longestOpenMs: 30_000 }

export interface GuardedSigner {
  /** Rejects with SignerFailure. */
  publicKey(key: string): Promise<PublicJwk>
  /** The JWS signature, base64url, verified with the key that is published. Rejects with SignerFailure. */
  sign(order: SignOrder, published: PublishedKey): Promise<string>
  /** Why a signature that is asked for now would be refused at once; `undefined`: it would be tried. */
  refusal(): SignerFailure | undefined
  status(): SignerStatus
  close(): void
}

type PublishedKey = { readonly kid: string; readonly publicKey: KeyObject }

export type SignerStatus = {
  readonly breaker: BreakerState['kind']
  /** It is open, and the next call will be the trial. */
  readonly isTrialDue: boolean
  readonly running: number
  readonly waiting: number
  /** The last failure, until a call succeeds. */
  readonly lastFailure: string | undefined
}

/** One call, or one refusal without a call, for metrics; seconds from its request. */
export type SignerCall = { readonly result: 'ok' | SignerCause; readonly seconds: number }

export type GuardDeps = {
  readonly limits: SignerLimits
  readonly rules?: BreakerRules
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
  /** Calls back after so many milliseconds unless it is cancelled by what it returns; `setTimeout` by default. */
  readonly after?: (ms: number, callback: () => void) => () => void
  readonly pool: CryptoPool
  readonly onCall?: (call: SignerCall) => void
  readonly onBreaker?: (state: BreakerState['kind'], why: string) => void
}

export function guardSigner(signer: RemoteSigner, deps: GuardDeps): GuardedSigner {
  const guard = new Guard(deps)
  return {
    publicKey: (key) => guard.run(async () => fitting(key, await signer.publicKey(key))),
    sign: (order, published) =>
      guard.run(async () => {
        const signature = await signer.sign(order)
        if (await holds(order, published, signature, deps.pool)) return signature.toString('base64url')
        throw new SignerFailure(
          'signature_invalid',
          `the signature of ${order.key} does not hold under the key that is published: is it another key by now?`,
        )
      }),
    refusal: () => guard.refusal(),
    status: () => guard.status(),
    close() {
      guard.close()
      signer.close()
    },
  }
}

/** One that waits for its turn. */
type Waiter = { readonly start: () => void; readonly refuse: (failure: SignerFailure) => void }

class Guard {
  readonly #limits: SignerLimits
  readonly #rules: BreakerRules
  readonly #deps: GuardDeps
  readonly #after: NonNullable<GuardDeps['after']>
  #state: BreakerState = CLOSED
  #running = 0
  /** In the order of their coming. */
  readonly #waiting = new Set<Waiter>()
  #lastFailure: string | undefined
  #isClosed = false

  constructor(deps: GuardDeps) {
    this.#deps = deps
    this.#limits = deps.limits
    this.#rules = deps.rules ?? BREAKER_RULES
    this.#after = deps.after ?? afterTimeout
  }

  status(): SignerStatus {
    const state = this.#state
    return {
      breaker: state.kind,
      isTrialDue: state.kind === 'open' && this.#deps.now() >= state.untilMs,
      running: this.#running,
      waiting: this.#waiting.size,
      lastFailure: this.#lastFailure,
    }
  }

  refusal(): SignerFailure | undefined {
    if (this.#isClosed) return new SignerFailure('unreachable', 'the signer is closed')
    const admission = admit(this.#state, this.#deps.now())
    if (!admission.admitted) {
      const last = this.#lastFailure === undefined ? '' : `: ${this.#lastFailure}`
      return new SignerFailure('breaker_open', `the signer is left alone after failures${last}`)
    }
    if (this.#running < this.#limits.maxConcurrent || this.#waiting.size < this.#limits.maxWaiting)
      return undefined
    const waiting = this.#waiting.size
    return new SignerFailure('busy', `${waiting} signatures wait for the signer already`, { waiting })
  }

  run<T>(work: () => Promise<T>): Promise<T> {
    const { now, onCall } = this.#deps
    const begun = now()
    const result = new Promise<T>((resolve, reject) => {
      const refusal = this.refusal()
      if (refusal !== undefined) return reject(refusal)
      const waiter: Waiter = {
        start: () => {
          patience()
          this.#start(work, begun, resolve, reject)
        },
        refuse: (failure) => {
          patience()
          reject(failure)
        },
      }
      const patience = this.#after(this.#limits.timeoutMs, () => {
        this.#waiting.delete(waiter)
        const waiting = this.#waiting.size
        reject(
          new SignerFailure('busy', `no turn at the signer within ${this.#limits.timeoutMs} ms`, { waiting }),
        )
      })
      if (this.#running < this.#limits.maxConcurrent) waiter.start()
      else this.#waiting.add(waiter)
    })
    const tell = (end: SignerCall['result']): void =>
      onCall?.({ result: end, seconds: (now() - begun) / 1000 })
    result.then(
      () => tell('ok'),
      (error: unknown) => tell(error instanceof SignerFailure ? error.why : 'answer_invalid'),
    )
    return result
  }

  close(): void {
    this.#isClosed = true
    this.#refuseWaiters(new SignerFailure('unreachable', 'the signer is closed'))
  }

  #start<T>(
    work: () => Promise<T>,
    begun: number,
    resolve: (value: T) => void,
    reject: (error: unknown) => void,
  ): void {
    const admission = admit(this.#state, this.#deps.now())
    if (!admission.admitted)
      return reject(new SignerFailure('breaker_open', 'the signer is left alone after failures'))
    this.#become(admission.state, 'its time is over')
    const { isTrial } = admission
    let isOver = false
    const end = (failure: unknown): boolean => {
      if (isOver) return false
      isOver = true
      stopTimer()
      this.#settle(isTrial, failure)
      return true
    }
    const { timeoutMs } = this.#limits
    const stopTimer = this.#after(Math.max(0, timeoutMs - (this.#deps.now() - begun)), () => {
      const late = new SignerFailure('timeout', `no answer of the signer within ${timeoutMs} ms`)
      if (end(late)) reject(late)
    })
    this.#running += 1
    // A call that nobody waits for any more keeps its place until it ends: what hangs must not pile up.
    const ended = work().then(
      (value) => (end(undefined) ? resolve(value) : undefined),
      (error: unknown) => (end(error) ? reject(error) : undefined),
    )
    void ended.finally(() => {
      this.#running -= 1
      this.#next()
    })
  }

  #next(): void {
    for (const first of this.#waiting) {
      if (this.#running >= this.#limits.maxConcurrent) return
      this.#waiting.delete(first)
      first.start()
    }
  }

  #settle(isTrial: boolean, failure: unknown): void {
    const succeeded = failure === undefined
    this.#lastFailure = succeeded ? undefined : failure instanceof Error ? failure.message : 'no error'
    this.#become(
      settle(this.#state, { isTrial, succeeded }, this.#rules, this.#deps.now()),
      this.#lastFailure ?? 'it answers',
    )
  }

  #become(state: BreakerState, why: string): void {
    const before = this.#state.kind
    this.#state = state
    if (state.kind === before) return
    this.#deps.onBreaker?.(state.kind, why)
    if (state.kind === 'open')
      this.#refuseWaiters(
        new SignerFailure('breaker_open', `the signer is left alone after failures: ${why}`),
      )
  }

  #refuseWaiters(failure: SignerFailure): void {
    const all = [...this.#waiting]
    this.#waiting.clear()
    for (const waiter of all) waiter.refuse(failure)
  }
}

function afterTimeout(ms: number, callback: () => void): () => void {
  const timer = setTimeout(callback, ms)
  return () => clearTimeout(timer)
}

/** The key when we can publish it and sign with it: P-256, or RSA of 2048 bits and more. */
function fitting(key: string, jwk: PublicJwk): PublicJwk {
  const details = importPublic(key, jwk).asymmetricKeyDetails
  const isFit =
    jwk.kty === 'EC' ? details?.namedCurve === 'prime256v1' : (details?.modulusLength ?? 0) >= 2048
  if (isFit) return jwk
  throw new SignerFailure(
    'key_unfit',
    `the signer's key ${key} is neither P-256 nor RSA of 2048 bits or more`,
  )
}

function importPublic(key: string, jwk: PublicJwk): KeyObject {
  try {
    return createPublicKey({ key: { ...jwk }, format: 'jwk' })
  } catch (cause) {
    throw new SignerFailure('key_unfit', `the signer's public key ${key} is not valid`, { cause })
  }
}

async function holds(
  { algorithm, input }: SignOrder,
  { kid, publicKey }: PublishedKey,
  signature: Buffer,
  pool: CryptoPool,
): Promise<boolean> {
  const known = algorithmOf(algorithm)
  if (known === undefined) throw new Error(`${algorithm} is not in the table of algorithms`)
  const key =
    algorithm === 'RS256'
      ? ({ kid, kty: 'RSA', crv: undefined, alg: undefined, key: publicKey } as const)
      : ({ kid, kty: 'EC', crv: 'P-256', alg: undefined, key: publicKey } as const)
  return (await verifySignature(known, key, { signingInput: input, signature }, pool)) !== undefined
}
