// A thread for large reviews that dies over what says so, and over every verdict.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { parentPort } from 'node:worker_threads'
import { openReview } from '../../webhook/judge/open_review.ts'
import type { ThreadAnswer, ThreadStep } from '../../webhook/judge/large_review_thread.ts'

parentPort?.on('message', (step: ThreadStep) => {
  if (step.do === 'know') return
  if (step.do !== 'open') process.exit(1)
  const { id, body } = step
  const text = Buffer.from(body).toString('latin1')
  if (text.includes('"exit"')) process.exit(1)
  // What a smuggled path would read, and what a smuggled program would start.
  if (text.includes('"read"')) readFileSync('/etc/hosts')
  if (text.includes('"start"')) execFileSync('true')
  if (text.includes('"throw"')) throw new Error('beside itself')
  if (text.includes('"hang"')) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10_000)
  const opened = openReview(body)
  const answer: ThreadAnswer = {
    did: 'open',
    id,
    opened: opened.ok ? { ok: true, value: { asked: opened.value.asked, added: [] } } : opened,
  }
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port has no origin
  parentPort?.postMessage(answer)
})
