// Large reviews, away from the event loop: a thread opens one and says what it is about, the event loop answers with what the
// cluster knows, the thread decides. A thread that dies or takes too long is replaced; what it held is not judged.
import { Worker } from 'node:worker_threads'
import type { Result } from '#core/result.ts'
import type { Log } from '#platform/log.ts'
import type { ReviewProblem } from '../review/review.ts'
import type { LargeReviews, PendingReview } from './judge_review.ts'
import type { ThreadAnswer, ThreadStep } from './large_review_thread.ts'
import { plainGiven } from './slim_subject.ts'
import type { Asked, Decision, Given } from './open_review.ts'

/** Eight bodies of the largest size are 64 MiB; kube-apiserver has given up on those that would wait behind them. */
const MAX_REVIEWS = 8
/** Below the five seconds that kube-apiserver waits. The largest review takes 150 ms. */
const STEP_TIMEOUT_MS = 4000

export type LargeReviewThread = LargeReviews & {
  close(): Promise<void>
}

export type LargeReviewOptions = {
  readonly log: Pick<Log, 'error'>
  readonly stepTimeoutMs?: number
  /** Another program for the thread. */
  readonly file?: URL
}

type Waiting = {
  readonly step: Exclude<ThreadStep, { do: 'drop' }>
  readonly resolve: (answer: ThreadAnswer) => void
  readonly reject: (error: Error) => void
}

export function startLargeReviews(options: LargeReviewOptions): LargeReviewThread {
  return new ReviewThread(options)
}

class ReviewThread implements LargeReviewThread {
  readonly #options: LargeReviewOptions
  readonly #queue: Waiting[] = []
  #worker: Worker | undefined
  #current: { readonly waiting: Waiting; readonly timer: NodeJS.Timeout } | undefined
  #reviews = 0
  #nextId = 0
  #isClosed = false

  constructor(options: LargeReviewOptions) {
    this.#options = options
    // Now, so that the first large review does not wait for it.
    this.#worker = this.#start()
  }

  open(body: Uint8Array<ArrayBuffer>): Promise<Result<PendingReview, ReviewProblem>> | undefined {
    if (this.#reviews >= MAX_REVIEWS || this.#isClosed) return undefined
    this.#reviews += 1
    this.#nextId += 1
    // A part of a buffer that others share stays where it is.
    const own = body.byteLength === body.buffer.byteLength ? body : new Uint8Array(body)
    return this.#open(this.#nextId, own)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#worker?.terminate()
  }

  async #open(id: number, body: Uint8Array<ArrayBuffer>): Promise<Result<PendingReview, ReviewProblem>> {
    let isPending = false
    try {
      const answer = await this.#run({ do: 'open', id, body })
      if (answer.did !== 'open') throw failureOf(answer)
      if (!answer.opened.ok) return answer.opened
      isPending = true
      const { asked, names } = answer.opened.value
      return { ok: true, value: this.#pending(id, asked, names) }
    } finally {
      if (!isPending) this.#reviews -= 1
    }
  }

  #pending(id: number, asked: Asked, names: readonly string[]): PendingReview {
    return {
      asked,
      decide: (given) => this.#decide(id, given, names),
      drop: () => {
        this.#reviews -= 1
        this.#worker?.postMessage({ do: 'drop', id } satisfies ThreadStep)
      },
    }
  }

  async #decide(id: number, given: Given | undefined, names: readonly string[]): Promise<Decision> {
    try {
      const plain = given === undefined ? undefined : plainGiven(given, names)
      const answer = await this.#run({ do: 'decide', id, given: plain })
      if (answer.did !== 'decide') throw failureOf(answer)
      return answer.decision
    } finally {
      this.#reviews -= 1
    }
  }

  /** One step at a time, so that whoever is too slow is the one that goes. */
  #run(step: Waiting['step']): Promise<ThreadAnswer> {
    const { promise, resolve, reject } = Promise.withResolvers<ThreadAnswer>()
    this.#queue.push({ step, resolve, reject })
    this.#next()
    return promise
  }

  #next(): void {
    if (this.#current !== undefined) return
    const waiting = this.#queue.shift()
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
      // A review of 8 MiB is 100 MB of objects while it is judged.
      resourceLimits: { maxOldGenerationSizeMb: 384 },
      execArgv: [],
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
  const here = import.meta.url
  return new URL(here.endsWith('.ts') ? './large_review_thread.ts' : './large_review_thread.js', here)
}
