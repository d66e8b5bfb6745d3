// One broker as its service manager runs it: wanted up, it is started until it is; killed, stopped or halted as told. What
// it does without being told is a mishap.
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startChildServer } from '../support/child_server.ts'
import type { ChildServer } from '../support/child_server.ts'
import { MAIN, SERVE_ENV } from '../support/served.ts'
import type { BrokerName, ClockChange, Mishap } from './history.ts'
import { familyOf, signalIfThere } from './process_family.ts'

const PRELOAD = join(import.meta.dirname, 'shift_clock.ts')
const RETRY_MS = 250
const CLOCK_POLL_MS = 20

export type SupervisedBroker = {
  readonly name: BrokerName
  /** Resolves when it answers; tries again and again until `giveUp`. */
  start(giveUp: AbortSignal): Promise<void>
  /** SIGKILL, or SIGTERM and its time to end. Resolves when it is gone. */
  end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void>
  signal(signal: 'SIGSTOP' | 'SIGCONT' | 'SIGHUP'): void
  /** Resolves when it runs by that clock; one that is down first has to come back. */
  setClock(offsetMs: number, giveUp: AbortSignal): Promise<void>
  /** Process ids of its workers; none when it serves by itself, or is down. */
  workers(): readonly number[]
}

/** Where a broker writes down what happened to it. */
export type BrokerDiary = {
  readonly clock: (change: ClockChange) => void
  readonly mishap: (mishap: Mishap) => void
}

export type SupervisedBrokerOptions = {
  readonly name: BrokerName
  readonly folder: string
  readonly opsUrl: string
  readonly diary: BrokerDiary
  /** `undefined`: it serves with one process. */
  readonly workers: number | undefined
}

/** What no log may hold: the beginning of every JWT. */
const TOKEN = /eyJ[A-Za-z0-9_-]{10,}/

export function superviseBroker({
  name,
  folder,
  opsUrl,
  diary,
  workers,
}: SupervisedBrokerOptions): SupervisedBroker {
  const clockFile = join(folder, 'clock')
  writeFileSync(clockFile, '0')
  let server: ChildServer | undefined

  function takenBy(pid: number): string | undefined {
    const file = `${clockFile}.taken.${pid}`
    return existsSync(file) ? readFileSync(file, 'utf8') : undefined
  }

  async function startOnce(): Promise<void> {
    const started = await startChildServer({
      name: `broker ${name}`,
      command: process.execPath,
      args: [
        '--import',
        PRELOAD,
        MAIN,
        'serve',
        ...(workers === undefined ? [] : ['--workers', String(workers)]),
      ],
      cwd: folder,
      env: { ...SERVE_ENV, CHAOS_CLOCK: clockFile },
      ready: async () => (await fetch(`${opsUrl}/livez`)).ok,
      pollMs: 50,
      // The machine may have more to do than this run.
      readyMs: 60_000,
    })
    server = started
    void watch(started)
  }

  /** What it leaves behind, and whether anybody told it to end. */
  async function watch(started: ChildServer): Promise<void> {
    const code = await started.exited
    const log = started.logs()
    const at = Date.now()
    if (TOKEN.test(log))
      diary.mishap({ broker: name, at, kind: 'token_in_log', detail: 'its log holds a token' })
    if (server !== started) return
    const detail = `ended by itself (${code}): ${log.slice(-600).replace(TOKEN, '(a token)')}`
    diary.mishap({ broker: name, at, kind: 'died', detail })
  }

  return {
    name,
    workers: () => (server === undefined ? [] : familyOf(server.pid).slice(1)),
    async start(giveUp) {
      for (;;) {
        try {
          await startOnce()
          return
        } catch (error) {
          // Without store or disk it refuses to start, as it should; the service manager tries again.
          if (giveUp.aborted) throw error
          await sleep(RETRY_MS)
        }
      }
    },
    async end(signal) {
      const ending = server
      if (ending === undefined) return
      server = undefined
      ending.signal(signal)
      if (signal === 'SIGKILL') await ending.exited
      await ending.stop()
    },
    signal: (signal) => server?.signal(signal),
    async setClock(offsetMs, giveUp) {
      const from = Date.now()
      const wanted = String(offsetMs)
      // Whole or not at all: a broker that starts may be reading it.
      writeFileSync(`${clockFile}.next`, wanted)
      renameSync(`${clockFile}.next`, clockFile)
      for (;;) {
        const late = (server === undefined ? [] : familyOf(server.pid)).filter(
          (pid) => takenBy(pid) !== wanted,
        )
        if (server !== undefined && late.length === 0) break
        // One that has taken no clock yet reads the file by itself, and cannot hear of it before.
        for (const pid of late) if (takenBy(pid) !== undefined) signalIfThere(pid, 'SIGUSR2')
        await sleep(CLOCK_POLL_MS)
        if (giveUp.aborted) throw new Error(`broker ${name} does not take its clock`)
      }
      diary.clock({ broker: name, from, until: Date.now(), offsetMs })
    },
  }
}
