// One process at a time: a file that only one can create. Node has no flock, so a lock outlives a killed holder; who
// waits finds that out by the process id, or by its age where the holder runs out of sight (another container, another
// machine on the same home). The lock saves requests and keeps nothing safe: who waited in vain goes on without it.
import { linkSync, readFileSync, readlinkSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import type { Clock, RandomBytes } from '#core/clock.ts'
import { parseObject } from '../job_token/source.ts'
import { ABANDONED_MS } from './cache_write.ts'

const WAIT_MS = 15_000
const POLL_MS = 20
/** A lock is empty for a moment after it was made; one that stays so is of a killed process, or of a full disk. */
const EMPTY_MS = 1000

export type LockDeps = {
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  readonly sleep: (milliseconds: number) => Promise<void>
}

export type Lock = { readonly release: () => void }

/**
 * Takes the lock, waiting at most 15 seconds. `isOver` is asked before each pause and ends the wait: what one waits for
 * may be there already. `undefined`: not taken (in vain, over, or the file system refuses).
 */
export async function takeLock(
  path: string,
  isOver: () => boolean,
  deps: LockDeps,
): Promise<Lock | undefined> {
  const mine = JSON.stringify({
    pid: process.pid,
    place: placeOfProcess(),
    since: deps.clock(),
    nonce: hex(deps),
  })
  for (let waited = 0; waited <= WAIT_MS; waited += POLL_MS) {
    const taken = create(path, mine)
    if (taken === 'taken') return { release: () => release(path, mine) }
    if (taken === 'impossible') return undefined
    const held = read(path)
    if (held !== undefined && isStale(held, waited, deps.clock())) {
      putAside(path, held, deps)
      continue
    }
    if (isOver()) return undefined
    await deps.sleep(POLL_MS)
  }
  return undefined
}

function create(path: string, text: string): 'taken' | 'held' | 'impossible' {
  try {
    writeFileSync(path, text, { flag: 'wx', mode: 0o600 })
    return 'taken'
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return 'held'
    // Made, but not written (a full disk): nobody shall wait for it.
    release(path, '')
    return 'impossible'
  }
}

function release(path: string, mine: string): void {
  try {
    // Who was taken for dead and is not (a machine that slept) must not remove the lock of whoever came next.
    if (read(path) === mine) rmSync(path, { force: true })
  } catch {
    // It ages.
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // Released this moment.
    return undefined
  }
}

function isStale(text: string, waitedMs: number, now: number): boolean {
  const { pid, place, since } = parseObject(text) ?? {}
  if (typeof pid !== 'number' || typeof since !== 'number') return waitedMs >= EMPTY_MS
  if (Math.abs(now - since) > ABANDONED_MS) return true
  return place === placeOfProcess() && !isAlive(pid)
}

/**
 * Removes a dead process's lock by renaming it, which only one of several can do. If somebody else did and took the
 * lock in between, what was renamed is theirs and is put back; the worst that can come of it is a second exchange.
 */
function putAside(path: string, held: string, deps: LockDeps): void {
  const aside = `${path}.${hex(deps)}`
  try {
    renameSync(path, aside)
    if (read(aside) !== held) linkSync(aside, path)
  } catch {
    // Somebody else was quicker.
  } finally {
    rmSync(aside, { force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM: it lives, and is another user's.
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH')
  }
}

/** Where a process id means the same process: this machine and, under Linux, this PID namespace. */
function placeOfProcess(): string {
  try {
    return `${hostname()} ${readlinkSync('/proc/self/ns/pid')}`
  } catch {
    // Not Linux: there is one namespace.
    return hostname()
  }
}

function hex({ randomBytes }: LockDeps): string {
  return Buffer.from(randomBytes(6)).toString('hex')
}
