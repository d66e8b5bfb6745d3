// A thread that calls a PKCS#11 library, one call after the other. A call can hang for as long as the token likes; then
// this thread hangs, and nobody else does.
import { createRequire } from 'node:module'
import { parentPort, workerData } from 'node:worker_threads'
import type { Job, ThreadAnswer, ThreadData } from './messages.ts'
import { TokenRefusal, TokenSession } from './token_session.ts'

const data: ThreadData = workerData
// By its path: the folders between here and there may not be read.
const session = new TokenSession(createRequire(data.binding)(data.binding), data)

function answer(job: Job): ThreadAnswer {
  const { id } = job
  try {
    switch (job.job) {
      case 'public_key':
        return { id, outcome: 'public_key', publicKey: session.publicKey(job.key, job.pin) }
      case 'sign': {
        const signature = session.sign(job.key, job.pin, job.algorithm, job.digest)
        return { id, outcome: 'signature', signature }
      }
    }
  } catch (error) {
    if (error instanceof TokenRefusal) {
      const { why, message, isPinRefused } = error
      return { id, outcome: 'failed', why, detail: message, isPinRefused }
    }
    const detail = error instanceof Error ? error.message : String(error)
    return { id, outcome: 'failed', why: 'refused', detail, isPinRefused: false }
  }
}

parentPort?.on('message', (job: Job) => parentPort?.postMessage(answer(job), []))
