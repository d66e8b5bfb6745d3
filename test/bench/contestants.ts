// The servers of the bench, each started once with its own folder and kept until the end.
import { mkdirSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { freePorts, startChildServer } from '../support/child_server.ts'
import type { ChildServer } from '../support/child_server.ts'
import { startDex } from '../support/peers.ts'
import { onCore } from './cores.ts'
import { benchIssuer, dexBenchConfig, sallyportBenchConfig, sallyportBenchEnv } from './world.ts'
import type { Algorithm, BenchWorld } from './world.ts'

export type ContestantName =
  | 'dex ES256'
  | 'dex RS256'
  | 'dex RS256 SQLite'
  | 'sallyport ES256'
  | 'sallyport RS256'
  | 'sallyport ES256 small heap'

export type Contestant = ChildServer & {
  readonly name: ContestantName
  /** With the issuer's path. */
  readonly url: string
}

/** Node flags of the documented small-heap profile. */
const SMALL_HEAP_FLAGS = ['--max-semi-space-size=4', '--max-old-space-size=48'] as const

const root = join(import.meta.dirname, '..', '..')
const issuerPath = new URL(benchIssuer).pathname

/** How ours runs: as it is installed (`dist`, bundled), or from source with types stripped at each start. */
export type Form = 'packed' | 'source'

export function entryOf(form: Form): string {
  return form === 'packed' ? join(root, 'dist', 'sallyport.js') : join(root, 'src', 'main.ts')
}

export type StartOptions = {
  readonly form?: Form
  /** Of ours: it has this core alone. */
  readonly core?: number
}

export async function startContestant(
  name: ContestantName,
  world: BenchWorld,
  { form = 'packed', core }: StartOptions = {},
): Promise<Contestant> {
  const folder = join(world.folder, name.replaceAll(' ', '-'))
  mkdirSync(folder, { recursive: true })
  switch (name) {
    case 'dex ES256':
      return startDexContestant(name, dexBenchConfig(world, 'ES256', undefined))
    case 'dex RS256':
      return startDexContestant(name, dexBenchConfig(world, 'RS256', undefined))
    case 'dex RS256 SQLite':
      return startDexContestant(name, dexBenchConfig(world, 'RS256', join(folder, 'dex.db')))
    case 'sallyport ES256':
      return startSallyport({ name, world, form, algorithm: 'ES256', folder, core, flags: [] })
    case 'sallyport RS256':
      return startSallyport({ name, world, form, algorithm: 'RS256', folder, core, flags: [] })
    case 'sallyport ES256 small heap':
      return startSallyport({ name, world, form, algorithm: 'ES256', folder, core, flags: SMALL_HEAP_FLAGS })
  }
}

async function startDexContestant(
  name: ContestantName,
  config: Readonly<Record<string, unknown>>,
): Promise<Contestant> {
  const dex = await startDex({ config })
  return { ...dex, name, url: `${dex.url}${issuerPath}` }
}

type SallyportStart = {
  readonly name: ContestantName
  readonly world: BenchWorld
  readonly form: Form
  readonly algorithm: Algorithm
  readonly folder: string
  readonly flags: readonly string[]
  readonly core: number | undefined
}

async function startSallyport(start: SallyportStart): Promise<Contestant> {
  const { name, world, form, algorithm, folder, flags, core } = start
  const [port = 0, opsPort = 0] = await freePorts(2)
  const config = sallyportBenchConfig(world, algorithm, `127.0.0.1:${port}`, `127.0.0.1:${opsPort}`, folder)
  const file = join(folder, 'sallyport.yaml')
  writeFileSync(file, stringify(config))
  const url = `http://127.0.0.1:${port}${issuerPath}`
  const serve = [...flags, entryOf(form), 'serve', 'broker', '--config', file]
  const [command, args] =
    core === undefined ? [process.execPath, serve] : onCore(core, process.execPath, serve)
  const server = await startChildServer({
    name,
    command,
    args,
    cwd: folder,
    env: { ...process.env, ...sallyportBenchEnv },
    pollMs: 2,
    ready: () => answers(`${url}/keys`),
  })
  return { ...server, name, url }
}

/** Whether a GET is answered with 200, over a connection of its own. */
export function answers(url: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = request(url, { agent: false, timeout: 5000 }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    })
    probe.once('error', reject)
    probe.end()
  })
}
