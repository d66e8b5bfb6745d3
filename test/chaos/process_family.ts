// A process and its children, out of /proc: PostgreSQL's backends, a broker's workers.
import { readFileSync, readdirSync } from 'node:fs'

/** The process first. */
export function familyOf(pid: number): readonly number[] {
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && parentOf(name) === pid)
    .map(Number)
  return [pid, ...children]
}

function parentOf(pid: string): number | undefined {
  try {
    // `pid (name) state ppid ...`, and the name may hold anything.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
  } catch {
    // Ended since it was listed.
    return undefined
  }
}

/** Whoever has ended in the meantime needs no signal. */
export function signalIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}
