// Large reviews, and heavy ones, away from the event loop: a thread opens one and says what it is about, the event loop answers with
// what the cluster knows, the thread decides. A thread that dies or takes too long is replaced; what it held is not judged.
import { Worker } from 'node:worker_threads'
import type { Result } from '#core/result.ts'
import { confinedTo } from '#platform/confined_thread.ts'
import type { Log } from '#platform/log.ts'
import type { ReviewProblem } from '../review/review.ts'
import { MAX_BODY_BYTES } from '../review/body.ts'
import { printable } from '#core/module/printable.ts'
import { userAtBeginning } from '../review/beginning.ts'
import { FairPlaces } from './fair_places.ts'
import type { LargeReviews, PendingReview } from './judge_review.ts'
import type { Published, ThreadAnswer, ThreadAsked, ThreadStep } from './large_review_thread.ts'
import { plainGiven } from './slim_subject.ts'
import type { PlainGiven } from './slim_subject.ts'
import type { Decision, Given } from './open_review.ts'
import { inTurns } from './turns.ts'

/**
 * Eight bodies of the largest size are 64 MiB; kube-apiserver has given up on those that would wait behind them. One user has all eight
 * while nobody else comes: half of them wait, and make room.
 */
const PLACES = { most: 8, mostAtWork: 4 }
/** Below the five seconds that kube-apiserver waits; opening or deciding what is largest takes a few tenths of one. */
const STEP_TIMEOUT_MS = 4000
/** Of reviews that are opened and wait for what the cluster says: objects of one of the largest, or of a few. */
const MAX_OPEN_BYTES = MAX_BODY_BYTES
/** Entries of the ledger in one message: half a millisecond to write. */
const PART = 500

export type LargeReviewThread = LargeReviews & {
  close(): Promise<void>
}

export type LargeReviewOptions = {
  readonly log: Pick<Log, 'error' | 'warn'>
  /** One review that found no place, or made room for another. */
  readonly onCrowded?: (why: Crowded) => void
  readonly stepTimeoutMs?: number
  /** Another program for the thread. */
  readonly file?: URL
}

/** `share`: its user had the most places of all; `full`: all users together had too many. */
export type Crowded = 'share' | 'full'

type OpenStep = Extract<ThreadStep, { do: 'open' }>
type DecideStep = Extract<ThreadStep, { do: 'decide' }>

/** One review in the thread, and whose place it has. */
type Place = { readonly id: number; readonly user: string }

type WaitingStep<Step, Answer> = {
  readonly step: Step
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: Error) => void
}

/** `undefined`: it made room. */
type WaitingOpen = WaitingStep<OpenStep, ThreadAnswer | undefined> & { readonly user: string }
type Waiting = WaitingOpen | WaitingStep<DecideStep, ThreadAnswer>

export function startLargeReviews(options: LargeReviewOptions): LargeReviewThread {
  return new ReviewThread(options)
}

class ReviewThread implements LargeReviewThread {
  readonly #options: LargeReviewOptions
  readonly #places = new FairPlaces<WaitingOpen>(PLACES)
  /** One line each time that it fills up: who sends as many as he can would write as many. */
  #isCrowdTold = false
  readonly #deciding: WaitingStep<DecideStep, ThreadAnswer>[] = []
  /** Bytes of each that was opened, or is being opened, by id. */
  readonly #open = new Map<number, number>()
  #worker: Worker | undefined
  #current: { readonly waiting: Waiting; readonly timer: NodeJS.Timeout } | undefined
  #nextId = 0
  #isClosed = false

  constructor(options: LargeReviewOptions) {
    this.#options = options
    // Now, so that the first large review does not wait for it.
    this.#worker = this.#start()
  }

  open(body: Uint8Array<ArrayBuffer>): Promise<Result<PendingReview, ReviewProblem> | undefined> | undefined {
    if (this.#isClosed) return undefined
    const user = userAtBeginning(body)
    if (!this.#places.hasRoomFor(user)) {
      this.#crowded(user, body.byteLength, this.#places.isBusiest(user) ? 'share' : 'full')
      return undefined
    }
    this.#nextId += 1
    // A part of a buffer that others share stays where it is.
    const own = body.byteLength === body.buffer.byteLength ? body : new Uint8Array(body)
    return this.#openOnThread(user, { do: 'open', id: this.#nextId, body: own })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#worker?.terminate()
  }

  async #openOnThread(
    user: string,
    step: OpenStep,
  ): Promise<Result<PendingReview, ReviewProblem> | undefined> {
    const { id } = step
    const { promise, resolve, reject } = Promise.withResolvers<ThreadAnswer | undefined>()
    const pushedOut = this.#places.take(user, { step, user, resolve, reject })
    if (pushedOut !== undefined) {
      this.#crowded(pushedOut.user, pushedOut.step.body.byteLength, 'share')
      pushedOut.resolve(undefined)
    }
    this.#next()
    let hasPlace = true
    let isPending = false
    try {
      const answer = await promise
      hasPlace = answer !== undefined
      if (answer === undefined) return undefined
      if (answer.did !== 'open') throw failureOf(answer)
      if (!answer.opened.ok) return answer.opened
      isPending = true
      return { ok: true, value: this.#pending({ id, user }, answer.opened.value) }
    } finally {
      if (hasPlace && !isPending) this.#release({ id, user })
    }
  }

  #pending(place: Place, opened: ThreadAsked): PendingReview {
    return {
      asked: opened.asked,
      decide: (given) => this.#decide(place, given, opened),
      drop: () => {
        this.#post({ do: 'drop', id: place.id })
        this.#release(place)
      },
    }
  }

  async #decide(place: Place, given: Given | undefined, opened: ThreadAsked): Promise<Decision> {
    const { id } = place
    try {
      const plain = given === undefined ? undefined : await this.#tell(id, given, opened)
      const answer = await this.#run({ do: 'decide', id, given: plain })
      if (answer.did !== 'decide') throw failureOf(answer)
      return answer.decision
    } finally {
      this.#release(place)
    }
  }

  /** What the ledger has goes ahead, in parts; the rest is returned. */
  async #tell(id: number, given: Given, { asked, added }: ThreadAsked): Promise<PlainGiven | undefined> {
    if (asked.subject === undefined) return undefined
    let part: Published[] = []
    await inTurns(given.facts.published, (entry) => {
      part.push(entry)
      if (part.length < PART) return
      this.#post({ do: 'know', id, published: part })
      part = []
    })
    this.#post({ do: 'know', id, published: part })
    return plainGiven(given, { subject: asked.subject, added }, inTurns)
  }

  /** To a thread that was lost since, it says nothing: whoever asks it for the verdict is told. */
  #post(step: Exclude<ThreadStep, OpenStep | DecideStep>): void {
    this.#worker?.postMessage(step)
  }

  #release({ id, user }: Place): void {
    this.#places.free(user)
    this.#open.delete(id)
    if (this.#places.held === 0) this.#isCrowdTold = false
    this.#next()
  }

  /** Answered with 503, in favour of somebody else, or for want of anybody to make room. */
  #crowded(user: string, bytes: number, why: Crowded): void {
    const { log, onCrowded } = this.#options
    onCrowded?.(why)
    if (this.#isCrowdTold) return
    this.#isCrowdTold = true
    log.warn(
      { why, user: printable(user), bytes },
      'more large reviews than wait: refused with 503 until there is room',
    )
  }

  /** One step at a time, so that whoever is too slow is the one that goes. */
  #run(step: DecideStep): Promise<ThreadAnswer> {
    const { promise, resolve, reject } = Promise.withResolvers<ThreadAnswer>()
    this.#deciding.push({ step, resolve, reject })
    this.#next()
    return promise
  }

  /** What is opened is decided first: its objects are in memory. */
  #nextWaiting(): Waiting | undefined {
    const decided = this.#deciding.shift()
    if (decided !== undefined) return decided
    const step = this.#places.next()?.step
    if (step === undefined) return undefined
    let opened = 0
    for (const bytes of this.#open.values()) opened += bytes
    if (opened > 0 && opened + step.body.byteLength > MAX_OPEN_BYTES) return undefined
    this.#open.set(step.id, step.body.byteLength)
    return this.#places.begin()
  }

  #next(): void {
    if (this.#current !== undefined) return
    const waiting = this.#nextWaiting()
    if (waiting === undefined) return
    const worker = (this.#worker ??= this.#start())
    const { stepTimeoutMs = STEP_TIMEOUT_MS } = this.#options
    const timer = setTimeout(() => {
      this.#lose(worker, new Error(`the thread took more than ${stepTimeoutMs} ms`))
      void worker.terminate()
    }, stepTimeoutMs)
    this.#current = { waiting, timer }
    const { step } = waiting
    try {
      worker.postMessage(step, step.do === 'open' ? [step.body.buffer] : [])
    } catch (error) {
      // What cannot be copied is nothing that waiting would mend.
      clearTimeout(timer)
      this.#current = undefined
      waiting.reject(new Error('the thread was not reached', { cause: error }))
      this.#next()
    }
  }

  #start(): Worker {
    const worker = new Worker(this.#options.file ?? threadFile(), {
      // A review of 8 MiB is 100 MB of objects while it is judged; with the rest of the process it stays below 512 MiB.
      resourceLimits: { maxOldGenerationSizeMb: 160, maxYoungGenerationSizeMb: 24 },
      execArgv: [...confinedTo(threadFolder())],
      env: {},
      name: 'large reviews',
    })
    worker.unref()
    worker.on('message', (answer: ThreadAnswer) => this.#take(answer))
    worker.once('error', (error) => this.#lose(worker, error))
    worker.once('exit', () => this.#lose(worker, new Error('the thread ended')))
    return worker
  }

  #take(answer: ThreadAnswer): void {
    const { waiting, timer } = this.#current ?? {}
    if (waiting?.step.id !== answer.id) return
    clearTimeout(timer)
    this.#current = undefined
    waiting.resolve(answer)
    this.#next()
  }

  /** Reviews that it had opened are not known to the next one, which says so of each. */
  #lose(worker: Worker, error: Error): void {
    if (this.#worker !== worker) return
    this.#worker = undefined
    const { waiting, timer } = this.#current ?? {}
    clearTimeout(timer)
    this.#current = undefined
    if (!this.#isClosed)
      this.#options.log.error({ err: error }, 'thread for large reviews lost, a new one starts')
    waiting?.reject(error)
    this.#next()
  }
}

function failureOf(answer: ThreadAnswer): Error {
  const cause = answer.did === 'failed' ? answer.error : undefined
  return new Error('the thread could not judge the review', { cause })
}

function threadFile(): URL {
  return new URL(isSource ? './large_review_thread.ts' : './large_review_thread.js', import.meta.url)
}

/** What it imports lies below: of a bundle beside it, of the sources in all of the checkout. */
function threadFolder(): URL {
  return new URL(isSource ? '../../' : './', import.meta.url)
}

const isSource = import.meta.url.endsWith('.ts')
