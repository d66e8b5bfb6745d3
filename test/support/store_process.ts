// Runs store_worker.ts in a process of its own, and reads what it prints.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import type { Test } from 'tap'

export const STORE_WORKER = join(import.meta.dirname, 'store_worker.ts')

export type StoreProcess = {
  readonly lines: string[]
  readonly sees: (line: string) => Promise<void>
  readonly kill: () => void
  readonly ended: Promise<number | null>
}

export function startStoreProcess(t: Test, ...args: string[]): StoreProcess {
  const child = spawn(process.execPath, [STORE_WORKER, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  const lines: string[] = []
  const waiting: (() => void)[] = []
  child.stdout.setEncoding('utf8')
  child.stdout.on('data', (chunk: string) => {
    lines.push(...chunk.split('\n').filter((line) => line !== ''))
    for (const wake of waiting.splice(0)) wake()
  })
  t.teardown(() => child.kill('SIGKILL'))
  return {
    lines,
    async sees(line) {
      while (!lines.includes(line)) await new Promise<void>((resolve) => waiting.push(resolve))
    },
    kill: () => void child.kill('SIGKILL'),
    ended: new Promise((resolve) => child.on('close', resolve)),
  }
}
