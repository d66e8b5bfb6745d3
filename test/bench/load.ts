// The load generator: wrk with keep-alive connections and requests made beforehand (requests.lua).
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

export type Load = {
  /** Absolute URL. */
  readonly url: string
  /** File with one form body a line; undefined: GET. */
  readonly bodies: string | undefined
  /** `id:secret` in base64. */
  readonly basic: string
}

export type LoadResult = {
  readonly requests: number
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Answers that were not 2xx or 3xx, and socket errors; a cell with any is void. */
  readonly failed: number
}

export async function wrkVersion(): Promise<string> {
  try {
    const { stdout } = await run('wrk', ['--version'])
    return stdout.split('\n', 1)[0] ?? ''
  } catch (error) {
    // `wrk --version` prints its version and exits 1; a missing program has no output.
    const stdout = error instanceof Error && 'stdout' in error ? String(error.stdout) : ''
    if (stdout === '') throw new Error('wrk is not installed (Debian: apt-get install wrk)', { cause: error })
    return (stdout.split('\n', 1)[0] ?? '').replace(/ Copyright.*/, '')
  }
}

export async function generate(load: Load, connections: number, seconds: number): Promise<LoadResult> {
  const script = join(import.meta.dirname, load.bodies === undefined ? 'report.lua' : 'requests.lua')
  const settings = ['-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '10s', '-s', script]
  const given = load.bodies === undefined ? [] : ['--', load.bodies, load.basic]
  const { stdout } = await run('wrk', [...settings, load.url, ...given])
  const line = stdout.trim().split('\n').at(-1) ?? ''
  const report: unknown = JSON.parse(line)
  const of = (name: string) => {
    const value = Object(report)[name]
    if (typeof value !== 'number') throw new Error(`no ${name} in ${line}`)
    return value
  }
  return {
    requests: of('requests'),
    perSecond: of('requests') / (of('microseconds') / 1e6),
    p50Ms: of('p50') / 1000,
    p99Ms: of('p99') / 1000,
    failed: of('failedStatus') + of('failedSocket'),
  }
}
