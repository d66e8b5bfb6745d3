// The thread of large_reviews.ts: opens reviews and keeps them until they are decided or dropped, one step after the other.
import { parentPort } from 'node:worker_threads'
import type { Result } from '#core/result.ts'
import type { ReviewProblem } from '../review/review.ts'
import { openReview } from './open_review.ts'
import type { Asked, Decision, OpenedReview } from './open_review.ts'
import { askedNames, givenAgain, slimSubject } from './slim_subject.ts'
import type { PlainGiven } from './slim_subject.ts'

export type ThreadStep =
  | { readonly do: 'open'; readonly id: number; readonly body: Uint8Array<ArrayBuffer> }
  | { readonly do: 'decide'; readonly id: number; readonly given: PlainGiven | undefined }
  | { readonly do: 'drop'; readonly id: number }

/** `names`: of Version objects, whose owners the verdict may depend on. */
type ThreadAsked = { readonly asked: Asked; readonly names: readonly string[] }

/** `failed`: a rule threw; the thread lives on. */
export type ThreadAnswer =
  | { readonly did: 'open'; readonly id: number; readonly opened: Result<ThreadAsked, ReviewProblem> }
  | { readonly did: 'decide'; readonly id: number; readonly decision: Decision }
  | { readonly did: 'failed'; readonly id: number; readonly error: unknown }

const held = new Map<number, OpenedReview>()

parentPort?.on('message', (step: ThreadStep) => {
  if (step.do === 'drop') {
    held.delete(step.id)
    return
  }
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port has no origin
  parentPort?.postMessage(answerTo(step) satisfies ThreadAnswer)
})

function answerTo(step: Exclude<ThreadStep, { do: 'drop' }>): ThreadAnswer {
  const { id } = step
  try {
    if (step.do === 'open') return { did: 'open', id, opened: open(id, step.body) }
    const review = held.get(id)
    if (review === undefined) throw new Error('the review was not opened here')
    held.delete(id)
    const given = step.given === undefined ? undefined : givenAgain(step.given)
    return { did: 'decide', id, decision: review.decide(given) }
  } catch (error) {
    held.delete(id)
    return { did: 'failed', id, error }
  }
}

function open(id: number, body: Uint8Array): Result<ThreadAsked, ReviewProblem> {
  const opened = openReview(body)
  if (!opened.ok) return opened
  held.set(id, opened.value)
  const { asked } = opened.value
  const subject = asked.subject === undefined ? undefined : slimSubject(asked.subject)
  const names = subject === undefined ? [] : askedNames(subject)
  return { ok: true, value: { asked: { ...asked, subject }, names } }
}
