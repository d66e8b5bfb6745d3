// One worker of a fleet: started, asked, started again when it ends unasked, ended when told. Where the process comes from
// is the caller's (`Launch`).
import { endsInRow, restartDelayMs } from '#core/worker_restart.ts'
import type { Check } from '../http/ops_app.ts'
import type { Log } from '../log.ts'
import { isFromWorker } from './messages.ts'
import type { FromWorker, MetricSnapshot, Question, ToWorker } from './messages.ts'

/** A worker process as its supervisor holds it. */
export type WorkerLink = {
  readonly pid: number
  readonly send: (message: object) => void
  readonly onMessage: (hear: (message: unknown) => void) => void
  /** `how`: the exit code or the signal, for people. Once. */
  readonly onExit: (gone: (how: string) => void) => void
  /** SIGKILL. */
  readonly kill: () => void
}

type Launch = () => WorkerLink

export type SlotOptions<Config> = {
  readonly number: number
  readonly count: number
  readonly launch: Launch
  /** The configuration that holds now. */
  readonly config: () => Config
  readonly log: Log
  /** Monotonic milliseconds. */
  readonly now: () => number
  /** Told what a worker that is gone had counted. */
  readonly onGone: (metrics: MetricSnapshot) => void
  /** How long one that was told to end may take. */
  readonly graceMs: number
  /** What an answer may take: a worker that is loaded answers between two requests. 2,000 by default. */
  readonly answerMs?: number
}

export type WorkerSlot<Config> = {
  readonly number: number
  /** For /readyz; `undefined`: it serves. */
  readonly trouble: () => string | undefined
  /** How often it was started again. */
  readonly restarts: () => number
  /** Resolves with the addresses once it listens, with `undefined` when it ended before it ever did. */
  readonly start: () => Promise<readonly string[] | undefined>
  /** `undefined`: no answer in time. */
  readonly checks: () => Promise<readonly Check[] | undefined>
  readonly metrics: () => Promise<MetricSnapshot | undefined>
  readonly tell: (message: ToWorker<Config>) => void
  /** A worker that does not answer any more is ended, and another one takes its place. */
  readonly lookAfter: () => Promise<void>
  readonly stop: () => Promise<void>
}

const ANSWER_MS = 2000
/** Looks in a row without an answer. Counted, not timed: a machine that was suspended ends nobody. */
const SILENT_LOOKS = 4

type Running = {
  readonly link: WorkerLink
  readonly questions: Map<number, (answer: FromWorker | undefined) => void>
  servesSince: number | undefined
  lastMetrics: MetricSnapshot
  silentLooks: number
}

export function createWorkerSlot<Config>(options: SlotOptions<Config>): WorkerSlot<Config> {
  const { number, count, log, now } = options
  let running: Running | undefined
  let nextQuestion = 1
  let ends = 0
  let restarts = 0
  let isEnding = false
  let hasServed = false
  let again: NodeJS.Timeout | undefined
  let onFirst: ((urls: readonly string[] | undefined) => void) | undefined
  let onEnded: (() => void) | undefined

  function launch(): void {
    const link = options.launch()
    const one: Running = {
      link,
      questions: new Map(),
      servesSince: undefined,
      lastMetrics: [],
      silentLooks: 0,
    }
    running = one
    link.onMessage((message) => {
      if (isFromWorker(message)) hear(one, message)
    })
    link.onExit((how) => gone(one, how))
    link.send({ kind: 'start', config: options.config(), number, count } satisfies ToWorker<Config>)
  }

  function hear(one: Running, message: FromWorker): void {
    switch (message.kind) {
      case 'listening':
        one.servesSince = now()
        hasServed = true
        log.info({ worker: number, pid: one.link.pid }, 'worker serves')
        onFirst?.(message.urls)
        return
      case 'metrics':
        one.lastMetrics = message.metrics
        one.questions.get(message.id)?.(message)
        return
      case 'checks':
        one.questions.get(message.id)?.(message)
        return
      case 'ending':
        one.lastMetrics = message.metrics
    }
  }

  function gone(one: Running, how: string): void {
    running = undefined
    for (const answer of one.questions.values()) answer(undefined)
    options.onGone(one.lastMetrics)
    if (isEnding || !hasServed) {
      isEnding = true
      onFirst?.(undefined)
      onEnded?.()
      return
    }
    ends = endsInRow(ends, one.servesSince === undefined ? 0 : now() - one.servesSince)
    const delay = restartDelayMs(ends)
    log.error({ worker: number, pid: one.link.pid, ended: how, startsAgainInMs: delay }, 'a worker ended')
    again = setTimeout(() => {
      restarts += 1
      launch()
    }, delay)
  }

  async function ask(question: Question): Promise<FromWorker | undefined> {
    const one = running
    if (one === undefined) return undefined
    const id = nextQuestion
    nextQuestion += 1
    const { promise, resolve } = Promise.withResolvers<FromWorker | undefined>()
    one.questions.set(id, resolve)
    const late = setTimeout(() => resolve(undefined), options.answerMs ?? ANSWER_MS)
    one.link.send({ kind: 'ask', question, id } satisfies ToWorker<Config>)
    const answer = await promise
    clearTimeout(late)
    one.questions.delete(id)
    return answer
  }

  async function metrics(): Promise<MetricSnapshot | undefined> {
    const answer = await ask('metrics')
    return answer?.kind === 'metrics' ? answer.metrics : running?.lastMetrics
  }

  return {
    number,
    trouble: () => {
      if (running === undefined) return 'has ended and starts again'
      return running.servesSince === undefined ? 'starts' : undefined
    },
    restarts: () => restarts,
    start: () =>
      new Promise((resolve) => {
        onFirst = resolve
        launch()
      }),
    async checks() {
      const answer = await ask('checks')
      return answer?.kind === 'checks' ? answer.checks : undefined
    },
    metrics,
    tell: (message) => running?.link.send(message),
    async lookAfter() {
      const one = running
      if (one?.servesSince === undefined) return
      one.silentLooks = (await ask('metrics')) === undefined ? one.silentLooks + 1 : 0
      if (one.silentLooks < SILENT_LOOKS) return
      log.error({ worker: number, pid: one.link.pid }, 'a worker does not answer, it is ended')
      one.link.kill()
    },
    async stop() {
      isEnding = true
      clearTimeout(again)
      const one = running
      if (one === undefined) return
      const ended = new Promise<void>((resolve) => {
        onEnded = resolve
      })
      one.link.send({ kind: 'stop' } satisfies ToWorker<Config>)
      const late = setTimeout(() => one.link.kill(), options.graceMs)
      await ended
      clearTimeout(late)
    },
  }
}
