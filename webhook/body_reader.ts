// Bodies as they come in: how many bytes, for how long, and how many of all of them together.
import type { IncomingMessage } from 'node:http'
import type { Http2ServerRequest } from 'node:http2'
import { MAX_BODY_BYTES } from './review/body.ts'

export type AnyRequest = IncomingMessage | Http2ServerRequest

export type BodyProblem = 'too_large' | 'too_slow' | 'too_many' | 'aborted'

/** Either is called once. */
type BodyDone = {
  readonly read: (body: Uint8Array<ArrayBuffer>) => void
  readonly refused: (problem: BodyProblem) => void
}

export type BodyReader = {
  read(request: AnyRequest, done: BodyDone): void
  close(): void
}

export type BodyLimits = {
  /** From the head of the request to the end of its body. */
  readonly timeoutMs: number
  /** Of all bodies that are being read. */
  readonly maxBytesInAll?: number
}

/** Twelve of the largest reviews, or ten thousand of the usual ones. */
const MAX_BYTES_IN_ALL = 96 * 1024 * 1024
/** How often it is looked who takes too long. */
const CHECK_MS = 500

type Reading = { readonly dueMs: number; readonly end: (problem: BodyProblem) => void }

export function createBodyReader({ timeoutMs, maxBytesInAll = MAX_BYTES_IN_ALL }: BodyLimits): BodyReader {
  // In the order of their beginning, which is that of their end.
  const slow = new Set<Reading>()
  let held = 0
  const sweep = setInterval(() => {
    const now = performance.now()
    for (const reading of slow) {
      if (reading.dueMs > now) return
      reading.end('too_slow')
    }
  }, CHECK_MS)
  sweep.unref()

  function read(request: AnyRequest, done: BodyDone): void {
    const chunks: Buffer<ArrayBuffer>[] = []
    let bytes = 0
    const reading: Reading = { dueMs: performance.now() + timeoutMs, end: refuse }
    slow.add(reading)

    function finish(): boolean {
      held -= bytes
      return slow.delete(reading)
    }
    function refuse(problem: BodyProblem): void {
      if (!slow.has(reading)) return
      finish()
      done.refused(problem)
    }
    request.on('data', (chunk: Buffer<ArrayBuffer>) => {
      if (!slow.has(reading)) return
      bytes += chunk.byteLength
      held += chunk.byteLength
      if (bytes > MAX_BODY_BYTES) refuse('too_large')
      else if (held > maxBytesInAll) refuse('too_many')
      else chunks.push(chunk)
    })
    request.once('end', () => {
      if (slow.has(reading) && finish()) done.read(joined(chunks, bytes))
    })
    request.once('error', () => refuse('aborted'))
    request.once('close', () => refuse('aborted'))
  }
  return { read, close: () => clearInterval(sweep) }
}

/** In memory of its own where there are several chunks, as every large body has: a thread takes it along. */
function joined(chunks: readonly Buffer<ArrayBuffer>[], bytes: number): Uint8Array<ArrayBuffer> {
  const [only] = chunks
  if (chunks.length === 1 && only !== undefined) return only
  const whole = new Uint8Array(new ArrayBuffer(bytes))
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.byteLength
  }
  return whole
}

/** Whether the head already says that the body is too large. */
export function isAnnouncedTooLarge(request: AnyRequest): boolean {
  return Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES
}
