// A real Prometheus that scrapes what a test runs, and answers its queries; and promtool.
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { stringify } from 'yaml'
import { freePort, startChildServer } from './child_server.ts'
import type { ChildServer } from './child_server.ts'

const run = promisify(execFile)

type PrometheusOptions = {
  /** `prometheusFolder()`. */
  readonly programs: string
  /** Job -> `host:port` with /metrics over plain HTTP. */
  readonly targets: Readonly<Record<string, string>>
}

export type Prometheus = ChildServer & {
  /** How many series come of it now. Rejects with the engine's message when it cannot be run. */
  query(expression: string): Promise<number>
}

/** Scrapes each second. */
export async function startPrometheus({ programs, targets }: PrometheusOptions): Promise<Prometheus> {
  const port = await freePort()
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-prometheus-'))
  const jobs = Object.entries(targets).map(([job, target]) => ({
    job_name: job,
    static_configs: [{ targets: [target] }],
  }))
  await writeFile(
    join(folder, 'prometheus.yml'),
    stringify({ global: { scrape_interval: '1s' }, scrape_configs: jobs }),
  )
  const url = `http://127.0.0.1:${port}`
  const flags = {
    'config.file': join(folder, 'prometheus.yml'),
    'storage.tsdb.path': join(folder, 'data'),
    'web.listen-address': `127.0.0.1:${port}`,
  }
  const server = await startChildServer({
    name: 'prometheus',
    command: join(programs, 'prometheus'),
    args: Object.entries(flags).map(([name, value]) => `--${name}=${value}`),
    cwd: folder,
    ready: async () => (await fetch(`${url}/-/ready`)).ok,
  })
  return {
    ...server,
    stop: async () => {
      await server.stop()
      await rm(folder, { recursive: true, force: true })
    },
    async query(expression) {
      const body = new URLSearchParams({ query: expression })
      const answer: unknown = await (await fetch(`${url}/api/v1/query`, { method: 'POST', body })).json()
      const { status, error, data } = Object(answer)
      if (status !== 'success') throw new Error(`${expression}: ${error}`)
      return data.result.length
    },
  }
}

/** What promtool says; rejects with it when something is wrong. */
export async function promtool(programs: string, args: readonly string[], folder: string): Promise<string> {
  const { stdout } = await run(join(programs, 'promtool'), [...args], { cwd: folder })
  return stdout
}
