// Our broker as a process of its own, started as its users start it: `node src/main.ts serve broker ...`, with the files
// it is given in a temporary folder that goes away with it.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { freePort, startChildServer } from './child_server.ts'
import type { ChildServer } from './child_server.ts'

export type Sallyport = ChildServer & {
  /** Where it listens, without the issuer's path. */
  readonly url: string
  readonly port: number
  /** The audit events so far, as written, oldest first. */
  audit(): readonly Readonly<Record<string, unknown>>[]
}

export type StartSallyportOptions = {
  /** A Dex configuration, as YAML or as an object. */
  readonly dexConfig: string | Readonly<Record<string, unknown>>
  /** What stands beside it, as an object. */
  readonly overlay?: Readonly<Record<string, unknown>>
  /** Where the configuration is wrapped (Helm values) and does not begin with it. */
  readonly issuer?: string
  readonly port?: number
  /** Listens with TLS: the flag is then --web-https-addr and the Dex file names the certificate. */
  readonly tls?: { readonly caPem: string }
  readonly args?: readonly string[]
  readonly env?: NodeJS.ProcessEnv
}

const main = join(import.meta.dirname, '..', '..', 'src', 'main.ts')

export async function startSallyport(options: StartSallyportOptions): Promise<Sallyport> {
  const port = options.port ?? (await freePort())
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-broker-'))
  const file = join(folder, 'dex.yaml')
  const yaml = typeof options.dexConfig === 'string' ? options.dexConfig : stringify(options.dexConfig)
  await writeFile(file, yaml)
  const scheme = options.tls === undefined ? 'http' : 'https'
  const args = [main, 'serve', 'broker', '--dex-config', file, '--store', 'memory', '--development']
  args.push(`--web-${scheme}-addr`, `127.0.0.1:${port}`, ...(options.args ?? []))
  if (options.overlay !== undefined) {
    const overlay = join(folder, 'overlay.yaml')
    await writeFile(overlay, stringify(options.overlay))
    args.push('--config', overlay)
  }
  const path = new URL(options.issuer ?? issuerIn(yaml)).pathname.replace(/\/+$/, '')
  const url = `${scheme}://${options.tls === undefined ? '127.0.0.1' : 'localhost'}:${port}`
  try {
    const server = await startChildServer({
      name: 'sallyport',
      command: process.execPath,
      args,
      cwd: folder,
      env: options.env ?? process.env,
      ready: async () => (await statusOf(`${url}${path}/healthz`, options.tls?.caPem)) === 200,
    })
    return {
      ...server,
      url,
      port,
      audit: () => auditEvents(server.logs()),
      stop: async () => {
        await server.stop()
        await rm(folder, { recursive: true, force: true })
      },
    }
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
}

/** Audit events are JSON lines on stdout with a `decision`; log lines beside them have none. */
function auditEvents(output: string): Readonly<Record<string, unknown>>[] {
  return output
    .split('\n')
    .filter((line) => line.startsWith('{') && line.includes('"decision"'))
    .map((line) => Object(JSON.parse(line)))
}

function issuerIn(yaml: string): string {
  const issuer = /^issuer:\s*["']?([^"'\s]+)/m.exec(yaml)?.[1]
  if (issuer === undefined) throw new Error('a Dex config for tests needs issuer')
  return issuer
}

function statusOf(url: string, ca: string | undefined): Promise<number> {
  return new Promise((resolve, reject) => {
    const ask =
      ca === undefined
        ? httpRequest(url, { agent: false, timeout: 5000 })
        : httpsRequest(url, { agent: false, timeout: 5000, ca })
    ask.once('response', (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
    ask.once('error', reject)
    ask.end()
  })
}
