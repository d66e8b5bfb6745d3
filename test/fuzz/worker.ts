// The thread that asks. An input that never comes back holds up this thread alone; who started it reads it from the
// shared memory.
import { parentPort, workerData } from 'node:worker_threads'
import { COMMITTED_CORPUS, readCorpus, writeInput } from './corpus.ts'
import { randomOf } from './mutation.ts'
import { runSession } from './session.ts'
import type { SessionResult } from './session.ts'
import { writeCurrent } from './current_input.ts'
import { selectedTargets } from './selected_targets.ts'

export type WorkerPlan = {
  readonly seed: number
  readonly seconds: number
  readonly corpus: string
  readonly targetsFile: string | undefined
  readonly names: readonly string[]
  readonly current: SharedArrayBuffer
}
export type WorkerAnswer = SessionResult & { readonly kept: number }

const port = parentPort
if (port === null) throw new Error('this file runs in a thread of the fuzz command')
const plan: WorkerPlan = workerData
const targets = await selectedTargets(plan.targetsFile, plan.names)
let kept = 0
const result = runSession({
  targets,
  corpus: (target) => [...readCorpus(COMMITTED_CORPUS, target), ...readCorpus(plan.corpus, target)],
  below: randomOf(plan.seed),
  now: () => performance.now(),
  until: performance.now() + plan.seconds * 1000,
  onAsk: (target, input) =>
    writeCurrent(
      plan.current,
      targets.findIndex(({ name }) => name === target),
      input,
    ),
  onKept: ({ target, input }) => {
    kept += 1
    writeInput(plan.corpus, target, input)
  },
})
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port has no origin
port.postMessage({ ...result, kept } satisfies WorkerAnswer)
