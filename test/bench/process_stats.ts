// What processes cost, out of /proc: CPU seconds, resident memory, and how busy the machine is with others.
import { readFileSync } from 'node:fs'

/** USER_HZ is 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100

export type CpuMark = {
  readonly atMs: number
  readonly server: number
  /** Busy seconds of all cores, and those that a host gave to somebody else while there was work here. */
  readonly machine: number
  /** This process and its finished children: the generator. */
  readonly own: number
}

export function markCpu(pid: number): CpuMark {
  return {
    atMs: performance.now(),
    server: cpuSeconds(pid, false),
    machine: busySeconds(),
    own: cpuSeconds(process.pid, true),
  }
}

export type CpuUse = {
  readonly serverSeconds: number
  readonly foreignCores: number
  readonly serverCores: number
}

/** Between two marks: what the server used, and how many cores somebody else kept busy, on this machine or its host. */
export function cpuBetween(before: CpuMark, after: CpuMark): CpuUse {
  const wall = (after.atMs - before.atMs) / 1000
  const server = after.server - before.server
  const foreign = after.machine - before.machine - server - (after.own - before.own)
  return { serverSeconds: server, serverCores: server / wall, foreignCores: foreign / wall }
}

/** MiB. */
export function residentMiB(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kib) / 1024
}

function cpuSeconds(pid: number, children: boolean): number {
  // The command name in parentheses may hold anything; the numbers start behind the last parenthesis.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ')
  const [utime = 0, stime = 0, cutime = 0, cstime = 0] = fields.slice(11, 15).map(Number)
  return (utime + stime + (children ? cutime + cstime : 0)) / TICKS_PER_SECOND
}

function busySeconds(): number {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = (
    readFileSync('/proc/stat', 'utf8').split('\n', 1)[0] ?? ''
  )
    .replace(/^cpu\s+/, '')
    .split(' ')
    .map(Number)
  return (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND
}
