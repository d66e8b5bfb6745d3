// Request ids: unguessable across processes, cheap within one. They stand in the answer, the audit event and the log.
import type { RandomBytes } from '#core/clock.ts'

export function createRequestIds(randomBytes: RandomBytes): () => string {
  const process = Buffer.from(randomBytes(6)).toString('hex')
  let count = 0
  return () => {
    count += 1
    return `${process}-${count.toString(36)}`
  }
}
