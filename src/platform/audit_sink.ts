// Where audit events go: one JSON line each, on disk or in the pipe before the answer leaves. An idle broker writes at
// once; a busy one waits a millisecond for more, so that many events share one system call.
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import type { AuditEvent } from '#core/audit_event.ts'

export interface AuditSink<Event extends object = AuditEvent> {
  /** Resolves when the event is handed to the operating system; rejects with AuditFailure when it cannot be. */
  write(event: Event): Promise<void>
  /** What went wrong the last time; `undefined` while events are written (readiness). */
  failure(): string | undefined
  /** Opens the file anew (log rotation, SIGHUP). Throws AuditFailure and keeps the old one when it cannot. */
  reopen(): void
  close(): void
}

/** The audit destination cannot be written: no answer may leave, so the request fails with 503. */
export class AuditFailure extends Error {
  readonly code = 'SALLYPORT_AUDIT'
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'AuditFailure'
  }
}

export type AuditSinkOptions = {
  /** `stdout`, `stderr` or a file path that is appended to (mode 0600, directory made). */
  readonly destination: string
  /** Whether to write at once rather than gather. */
  readonly isIdle: () => boolean
}

/** A loaded broker gathers so many events, or for so long; the answers that belong to them wait as long. */
const GATHER_EVENTS = 16
const GATHER_MS = 1

/** Throws AuditFailure when the destination cannot be opened. */
export function openAuditSink<Event extends object = AuditEvent>({
  destination,
  isIdle,
}: AuditSinkOptions): AuditSink<Event> {
  let fd = openDestination(destination)
  let lines: string[] = []
  let batch: PromiseWithResolvers<void> | undefined
  let failure: string | undefined
  /** The last write ended inside a line: the next one begins a new line, so that it can be read. */
  let isTorn = false

  const flush = (): void => {
    // The timer of a batch that was full before it.
    if (batch === undefined) return
    const [text, done] = [`${isTorn ? '\n' : ''}${lines.join('')}`, batch]
    lines = []
    batch = undefined
    const bytes = Buffer.from(text, 'utf8')
    // A reader that did not come back is not waited for a second time: that would hold up everybody, again and again.
    const { written, error } = writeFully(fd, bytes, failure === undefined ? PIPE_PATIENCE_MS : 0)
    if (written > 0) isTorn = bytes[written - 1] !== NEW_LINE
    if (error === undefined) {
      failure = undefined
      done?.resolve()
      return
    }
    failure = `audit destination ${destination} cannot be written (${codeOf(error)})`
    done?.reject(new AuditFailure(failure, { cause: error }))
  }

  return {
    write(event) {
      lines.push(`${JSON.stringify(event)}\n`)
      if (batch !== undefined && lines.length >= GATHER_EVENTS) {
        const { promise } = batch
        flush()
        return promise
      }
      if (batch === undefined) {
        batch = Promise.withResolvers<void>()
        const { promise } = batch
        if (isIdle()) flush()
        else setTimeout(flush, GATHER_MS)
        return promise
      }
      return batch.promise
    },
    failure: () => failure,
    reopen() {
      if (fd <= 2) return
      const next = openDestination(destination)
      closeSync(fd)
      fd = next
      isTorn = false
    },
    close() {
      if (lines.length > 0) flush()
      if (fd > 2) closeSync(fd)
    },
  }
}

function openDestination(destination: string): number {
  if (destination === 'stdout') return 1
  if (destination === 'stderr') return 2
  try {
    mkdirSync(dirname(destination), { recursive: true, mode: 0o700 })
    return openSync(destination, 'a', 0o600)
  } catch (error) {
    throw new AuditFailure(`audit destination ${destination} cannot be opened (${codeOf(error)})`, {
      cause: error,
    })
  }
}

/** How long a full pipe is waited for before the write counts as failed. */
const PIPE_PATIENCE_MS = 1000
const NEW_LINE = 0x0a

/** Writes until nothing is left, an error comes, or a full pipe was waited for long enough. */
function writeFully(fd: number, bytes: Buffer, patienceMs: number): { written: number; error?: unknown } {
  let written = 0
  let waitedMs = 0
  while (written < bytes.length) {
    try {
      written += writeSync(fd, bytes, written)
    } catch (error) {
      // A pipe whose reader is slow answers EAGAIN; the event must not be lost, so wait a little, and not for ever.
      if (codeOf(error) !== 'EAGAIN' || waitedMs >= patienceMs) return { written, error }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
      waitedMs += 5
    }
  }
  return { written }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
}
