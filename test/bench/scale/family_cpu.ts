// What servers with child processes cost: the CPU seconds of a process and of all below it, those that are gone included.
import { readFileSync, readdirSync } from 'node:fs'

/** USER_HZ is 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100

type Stat = { readonly pid: number; readonly parent: number; readonly seconds: number }

/** `roots`: none of them below another one. */
export function familyCpuSeconds(roots: readonly number[]): number {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => statOf(Number(name)))
  const seconds = (pid: number): number =>
    all
      .filter(({ parent }) => parent === pid)
      .reduce((sum, child) => sum + child.seconds + seconds(child.pid), 0)
  const own = all.filter(({ pid }) => roots.includes(pid)).reduce((sum, stat) => sum + stat.seconds, 0)
  return roots.reduce((sum, root) => sum + seconds(root), own)
}

/** Nothing for a process that has just gone. */
function statOf(pid: number): readonly Stat[] {
  let text: string
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  } catch {
    return []
  }
  // The command name in parentheses may hold anything; the numbers start behind the last parenthesis.
  const fields = text
    .replace(/^.*\) /s, '')
    .split(' ')
    .map(Number)
  const [user = 0, system = 0, childrenUser = 0, childrenSystem = 0] = fields.slice(11, 15)
  const ticks = user + system + childrenUser + childrenSystem
  return [{ pid, parent: fields[1] ?? 0, seconds: ticks / TICKS_PER_SECOND }]
}
