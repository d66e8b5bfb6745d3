// Where audit events go: one JSON line each, on disk or in the pipe before the answer leaves. An idle broker writes at
// once; a busy one waits a millisecond for more, so that many events share one system call.
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import type { AuditEvent } from '#core/audit_event.ts'

export interface AuditSink {
  /** Resolves when the event is handed to the operating system; rejects with AuditFailure when it cannot be. */
  write(event: AuditEvent): Promise<void>
  /** Opens the file anew (log rotation, SIGHUP). */
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

/** For how long a busy broker gathers events; the answers that wait for them wait as long. */
const GATHER_MS = 1

export function openAuditSink({ destination, isIdle }: AuditSinkOptions): AuditSink {
  let fd = openDestination(destination)
  let lines: string[] = []
  let batch: PromiseWithResolvers<void> | undefined

  const flush = (): void => {
    const [text, done] = [lines.join(''), batch]
    lines = []
    batch = undefined
    try {
      writeFully(fd, Buffer.from(text, 'utf8'))
      done?.resolve()
    } catch (error) {
      done?.reject(new AuditFailure(`audit destination ${destination} cannot be written`, { cause: error }))
    }
  }

  return {
    write(event) {
      lines.push(`${JSON.stringify(event)}\n`)
      if (batch === undefined) {
        batch = Promise.withResolvers<void>()
        const { promise } = batch
        if (isIdle()) flush()
        else setTimeout(flush, GATHER_MS)
        return promise
      }
      return batch.promise
    },
    reopen() {
      if (fd <= 2) return
      closeSync(fd)
      fd = openDestination(destination)
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
  mkdirSync(dirname(destination), { recursive: true, mode: 0o700 })
  return openSync(destination, 'a', 0o600)
}

/** How long a full pipe is waited for before the write counts as failed. */
const PIPE_PATIENCE_MS = 1000

function writeFully(fd: number, bytes: Buffer): void {
  let offset = 0
  let waitedMs = 0
  while (offset < bytes.length) {
    try {
      offset += writeSync(fd, bytes, offset)
    } catch (error) {
      // A pipe whose reader is slow answers EAGAIN; the event must not be lost, so wait a little, and not for ever.
      if (!isAgain(error) || waitedMs >= PIPE_PATIENCE_MS) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
      waitedMs += 5
    }
  }
}

function isAgain(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EAGAIN'
}
