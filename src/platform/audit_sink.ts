// Where audit events go: one JSON line each, on disk or in the pipe before the answer leaves. An idle broker writes at
// once; a busy one at the end of the event loop's turn, so that what came in it shares one system call.
import { closeSync, fstatSync, mkdirSync, openSync, readSync, writeSync } from 'node:fs'
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
  /** Other processes write there as well, so that lines must not mix; false by default. */
  readonly isShared?: boolean
}

/**
 * A loaded broker gathers so many events, or those of one turn; the answers that belong to them wait as long. A timer of a millisecond
 * gathers no more of them, since a turn under load is longer, and costs a tenth of the rate.
 */
const GATHER_EVENTS = 16

/** Throws AuditFailure when the destination cannot be opened. */
export function openAuditSink<Event extends object = AuditEvent>({
  destination,
  isIdle,
  isShared = false,
}: AuditSinkOptions): AuditSink<Event> {
  let fd = openDestination(destination)
  let lines: string[] = []
  let batch: PromiseWithResolvers<void> | undefined
  let failure: string | undefined
  /** The last write ended inside a line: the next one begins a new line, so that it can be read. */
  let isTorn = endsTorn(fd, destination)

  const flush = (): void => {
    // The turn of a batch that was full before its end.
    if (batch === undefined) return
    const begin = isTorn || (isShared && endsInsideLine(fd)) ? '\n' : ''
    const [text, done] = [`${begin}${lines.join('')}`, batch]
    lines = []
    batch = undefined
    const bytes = Buffer.from(text, 'utf8')
    // A reader that did not come back is not waited for a second time: that would hold up everybody, again and again.
    const patienceMs = failure === undefined ? PIPE_PATIENCE_MS : 0
    const { written, error } = isShared
      ? writeWholeLines(fd, bytes, patienceMs)
      : writeFully(fd, bytes, patienceMs)
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
        else setImmediate(flush)
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
      isTorn = endsTorn(fd, destination)
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
    // Readable, so that it can be seen whether another process was stopped inside a line.
    return openSync(destination, 'a+', 0o600)
  } catch (error) {
    throw new AuditFailure(`audit destination ${destination} cannot be opened (${codeOf(error)})`, {
      cause: error,
    })
  }
}

/**
 * Whether the file ends inside a line, which a process left there that ended on a full disk: what is appended to it could
 * not be read. Where the end cannot be looked at, it counts as torn: an empty line is skipped, a joined one is lost.
 */
function endsTorn(fd: number, destination: string): boolean {
  const stat = fstatSync(fd)
  if (!stat.isFile() || stat.size === 0 || fd <= 2) return false
  let reading: number | undefined
  try {
    reading = openSync(destination, 'r')
    const last = Buffer.alloc(1)
    return readSync(reading, last, 0, 1, stat.size - 1) !== 1 || last[0] !== NEW_LINE
  } catch {
    return true
  } finally {
    if (reading !== undefined) closeSync(reading)
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
      pause(5)
      waitedMs += 5
    }
  }
  return { written }
}

/**
 * What the kernel writes into a pipe in one piece, at least (POSIX `PIPE_BUF`, 4096 on Linux). Appending to a file is one
 * piece whatever its length.
 */
const PIPE_PIECE_BYTES = 4096

/** As `writeFully`, in pieces between which lines of other processes do no harm. */
function writeWholeLines(
  fd: number,
  bytes: Buffer,
  patienceMs: number,
): { written: number; error?: unknown } {
  let written = 0
  while (written < bytes.length) {
    const end = pieceEnd(bytes, written)
    const piece = writeFully(fd, bytes.subarray(written, end), patienceMs)
    written += piece.written
    if ('error' in piece) return { written, error: piece.error }
  }
  return { written }
}

/** As many whole lines as one piece holds; a line that is longer goes alone. */
function pieceEnd(bytes: Buffer, start: number): number {
  if (bytes.length - start <= PIPE_PIECE_BYTES) return bytes.length
  const within = bytes.subarray(start, start + PIPE_PIECE_BYTES).lastIndexOf(NEW_LINE)
  if (within !== -1) return start + within + 1
  const first = bytes.indexOf(NEW_LINE, start)
  return first === -1 ? bytes.length : first + 1
}

const TORN_LOOKS = 3

/**
 * Whether a process that shares the file was stopped inside a line, by a full disk as a rule. A line that is being written
 * looks the same for some microseconds, so only one that stays as it is counts.
 */
function endsInsideLine(fd: number): boolean {
  try {
    // Of stdout and stderr nobody says that they can be read.
    if (fd <= 2 || !fstatSync(fd).isFile()) return false
    for (let look = 1; look <= TORN_LOOKS; look += 1) {
      const last = Buffer.alloc(1, '\n')
      readSync(fd, last, 0, 1, Math.max(0, fstatSync(fd).size - 1))
      if (last[0] === NEW_LINE) return false
      pause(1)
    }
    return true
  } catch {
    // What is wrong with the file the write that follows says.
    return false
  }
}

function pause(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
}
