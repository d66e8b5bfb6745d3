// Which cores a measured server has to itself, and that whoever asks it stays off them: else a generator's own work counts as the
// server's waiting.
import { execFileSync } from 'node:child_process'
import { availableParallelism } from 'node:os'

/** The server that is measured; everything else has the others. */
export const SERVER_CORE = 0

/** This process and whatever it starts from now on. Returns what lets them have it again. */
export function leaveCore(core: number): () => void {
  const cores = Array.from({ length: availableParallelism() }, (_, index) => index)
  // Where there is no other, they share it.
  if (cores.length > 1) keepTo(cores.filter((one) => one !== core))
  return () => keepTo(cores)
}

function keepTo(cores: readonly number[]): void {
  const settings = ['--all-tasks', '--cpu-list', '--pid', cores.join(','), String(process.pid)]
  execFileSync('taskset', settings, { stdio: 'ignore' })
}

/** The command that runs this one on that core alone. */
export function onCore(core: number, command: string, args: readonly string[]): [string, string[]] {
  return ['taskset', ['--cpu-list', String(core), command, ...args]]
}
