// Worker processes by node:cluster: the supervisor holds the listening socket and hands connections out in turn, so that a
// worker that ends takes none along but its own. Started with no more rights than the supervisor has, less the one to start
// programs, which a worker has no use for.
import cluster from 'node:cluster'
import type { Worker } from 'node:cluster'
import type { WorkerLink } from './worker_slot.ts'

const START_PROGRAMS = '--allow-child-process'

/** Call once, before the first launch. `args`: those of this process, which a worker gets again. */
export function prepareWorkers(args: readonly string[]): void {
  cluster.schedulingPolicy = cluster.SCHED_RR
  cluster.setupPrimary({
    args: [...args],
    execArgv: process.execArgv.filter((flag) => flag !== START_PROGRAMS),
    // Configurations hold more than JSON does.
    serialization: 'advanced',
  })
}

/**
 * `nodeOptions`: those of this process (NODE_OPTIONS). Throws what Node's permission model says when this process may not
 * start another.
 */
export function launchWorker(nodeOptions: string | undefined): WorkerLink {
  const options = nodeOptions?.split(/\s+/).filter((flag) => flag !== START_PROGRAMS)
  return linkOf(cluster.fork(options === undefined ? {} : { NODE_OPTIONS: options.join(' ') }))
}

/** Whether this process is such a worker. */
export function isWorkerProcess(): boolean {
  return cluster.isWorker
}

function linkOf(worker: Worker): WorkerLink {
  return {
    pid: worker.process.pid ?? 0,
    send(message) {
      // The channel of one that has just ended: its end is told by `onExit`.
      if (worker.isConnected()) worker.send(message, heardByExit)
    },
    onMessage: (hear) => void worker.on('message', hear),
    onExit(gone) {
      // What could not be started has no exit, only an error.
      worker.once('error', (error) => gone(error.message))
      worker.once('exit', (code: number | null, signal: string | null) => gone(signal ?? `exit code ${code}`))
    },
    kill: () => void worker.process.kill('SIGKILL'),
  }
}

/** A message that did not get through went to a worker that is ending, which `onExit` tells. */
function heardByExit(): void {}
