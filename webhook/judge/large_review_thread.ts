// The thread of large_reviews.ts: opens reviews and keeps them until they are decided or dropped, one step after the other.
import { setPriority } from 'node:os'
import { parentPort } from 'node:worker_threads'
import type { PublishedFacts } from '#core/module/ledger.ts'
import type { Result } from '#core/result.ts'
import type { ReviewProblem } from '../review/review.ts'
import { openReview } from './open_review.ts'
import type { Asked, Decision, OpenedReview } from './open_review.ts'
import { givenAgain, slimSubject } from './slim_subject.ts'
import type { PlainGiven } from './slim_subject.ts'

export type ThreadStep =
  | { readonly do: 'open'; readonly id: number; readonly body: Uint8Array<ArrayBuffer> }
  /** A part of what the ledger has: it may be thousands. */
  | { readonly do: 'know'; readonly id: number; readonly published: readonly Published[] }
  | { readonly do: 'decide'; readonly id: number; readonly given: PlainGiven | undefined }
  | { readonly do: 'drop'; readonly id: number }

/** Of one plain version. */
export type Published = readonly [plain: string, facts: PublishedFacts]

/** `added`: plain versions, of which the verdict may depend on who has the names of their objects. */
export type ThreadAsked = { readonly asked: Asked; readonly added: readonly string[] }

/** `failed`: a rule threw; the thread lives on. */
export type ThreadAnswer =
  | { readonly did: 'open'; readonly id: number; readonly opened: Result<ThreadAsked, ReviewProblem> }
  | { readonly did: 'decide'; readonly id: number; readonly decision: Decision }
  | { readonly did: 'failed'; readonly id: number; readonly error: unknown }

type Held = { readonly review: OpenedReview; readonly published: Map<string, PublishedFacts> }

const held = new Map<number, Held>()

/** A nice value: a third of what an event loop gets that is never idle, and all of the core while it is. */
const LOW_PRIORITY = 5

// Where a container has one core, the event loop goes first. Only Linux has a priority for each thread; elsewhere it would be the
// whole process's.
if (process.platform === 'linux') setPriority(LOW_PRIORITY)

parentPort?.on('message', (step: ThreadStep) => {
  switch (step.do) {
    case 'drop':
      held.delete(step.id)
      return
    case 'know':
      for (const [plain, facts] of step.published) held.get(step.id)?.published.set(plain, facts)
      return
    case 'open':
    case 'decide':
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port has no origin
      parentPort?.postMessage(answerTo(step) satisfies ThreadAnswer)
  }
})

function answerTo(step: Extract<ThreadStep, { do: 'open' | 'decide' }>): ThreadAnswer {
  const { id } = step
  try {
    if (step.do === 'open') return { did: 'open', id, opened: open(id, step.body) }
    const opened = held.get(id)
    if (opened === undefined) throw new Error('the review was not opened here')
    held.delete(id)
    const given = step.given === undefined ? undefined : givenAgain(step.given, opened.published)
    return { did: 'decide', id, decision: opened.review.decide(given) }
  } catch (error) {
    held.delete(id)
    return { did: 'failed', id, error }
  }
}

function open(id: number, body: Uint8Array): Result<ThreadAsked, ReviewProblem> {
  const opened = openReview(body)
  if (!opened.ok) return opened
  held.set(id, { review: opened.value, published: new Map() })
  const { asked } = opened.value
  const slim = asked.subject === undefined ? undefined : slimSubject(asked.subject)
  return { ok: true, value: { asked: { ...asked, subject: slim?.subject }, added: slim?.added ?? [] } }
}
