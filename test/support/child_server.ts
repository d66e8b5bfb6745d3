// A server as a child process of a test: started on a free port, waited for, its output kept for the failure, always
// stopped. Knows nothing of what the server is.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { Server } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export type ChildServer = {
  readonly pid: number
  /** Everything it has written so far, stdout and stderr in order of arrival. */
  logs(): string
  /** `stopSignal`, and SIGKILL after `graceMs`; resolves when the process is gone. */
  stop(): Promise<void>
  /** Sends a signal without waiting. */
  signal(name: NodeJS.Signals): void
  /** Resolves with the exit code (or signal) once it is gone. */
  readonly exited: Promise<string>
  /** Milliseconds from spawn until `ready` held. */
  readonly startMs: number
}

export type ChildServerOptions = {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
  /** Another user to run it as, where this process is root. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined
  /** What ends it in order; SIGTERM by default. */
  readonly stopSignal?: NodeJS.Signals
  /** Resolves true when the server answers. Called again and again until then. */
  readonly ready: () => Promise<boolean>
  readonly readyMs?: number
  readonly pollMs?: number
  readonly graceMs?: number
}

const MAX_LOG_CHARACTERS = 4_000_000

export async function startChildServer(options: ChildServerOptions): Promise<ChildServer> {
  const began = performance.now()
  const child = spawn(options.command, options.args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...options.owner,
    env: options.env ?? process.env,
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8')
    stream.on('data', (chunk: string) => {
      if (output.length < MAX_LOG_CHARACTERS) output += chunk
    })
  }
  let gone: string | undefined
  const exited = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve((gone = String(error))))
    child.once('close', (code, signal) => resolve((gone = String(signal ?? code))))
  })
  const kill = () => child.kill('SIGKILL')
  const release = onEndOfThisProcess(kill)
  async function stop(): Promise<void> {
    release()
    if (gone !== undefined) return
    child.kill(options.stopSignal ?? 'SIGTERM')
    const late = setTimeout(kill, options.graceMs ?? 5000)
    await exited
    clearTimeout(late)
  }
  const deadline = began + (options.readyMs ?? 15_000)
  while (!(await isReady(options.ready))) {
    if (gone === undefined && performance.now() < deadline) {
      await sleep(options.pollMs ?? 20)
      continue
    }
    const why = gone === undefined ? 'is not ready in time' : `ended (${gone}) before it was ready`
    await stop()
    throw new Error(`${options.name} ${why}; its output:\n${output.slice(-8000)}`)
  }
  const startMs = performance.now() - began
  if (child.pid === undefined) throw new Error(`${options.name} has no process id`)
  return {
    pid: child.pid,
    logs: () => output,
    stop,
    signal: (name) => void child.kill(name),
    exited,
    startMs,
  }
}

/** tap ends a test that takes too long with SIGALRM; no server may outlive it. Returns how to forget `act`. */
function onEndOfThisProcess(act: () => void): () => void {
  const signals = ['SIGALRM', 'SIGTERM', 'SIGINT'] as const
  const onSignal = (signal: NodeJS.Signals): void => {
    release()
    act()
    process.kill(process.pid, signal)
  }
  const release = (): void => {
    process.off('exit', act)
    for (const signal of signals) process.off(signal, onSignal)
  }
  process.once('exit', act)
  for (const signal of signals) process.on(signal, onSignal)
  return release
}

async function isReady(ready: () => Promise<boolean>): Promise<boolean> {
  try {
    return await ready()
  } catch {
    // Refused connections are what waiting for a server looks like; the deadline judges.
    return false
  }
}

/** The port a listening server was given. */
export function portOf(server: Server): number {
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('the server does not listen on a port')
  return address.port
}

/** `count` different TCP ports that were free on 127.0.0.1 a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, () => listenAnywhere()))
  const ports = servers.map(portOf)
  for (const server of servers) server.close()
  await Promise.all(servers.map((server) => once(server, 'close')))
  return ports
}

async function listenAnywhere(): Promise<Server> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

export async function freePort(): Promise<number> {
  const [port] = await freePorts(1)
  if (port === undefined) throw new Error('no free port')
  return port
}
