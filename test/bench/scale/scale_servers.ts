// Brokers on the stores that are compared, packed as they are installed.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import type { PostgresAddress } from '../../../src/platform/store/postgres_pool.ts'
import { freePorts, startChildServer } from '../../support/child_server.ts'
import type { ChildServer } from '../../support/child_server.ts'
import { answers, entryOf } from '../contestants.ts'
import { benchIssuer, sallyportBenchConfig, sallyportBenchEnv } from '../world.ts'
import type { BenchWorld } from '../world.ts'
import type { FreshTokens } from './fresh_tokens.ts'

export type ScaleServer = ChildServer & {
  readonly name: string
  /** With the issuer's path. */
  readonly url: string
  /** Where its configuration lies. */
  readonly folder: string
  readonly config: string
}

export type ScaleServerOptions = {
  readonly name: string
  readonly world: BenchWorld
  readonly tokens: FreshTokens
  readonly singleUse: 'once' | 'off'
  /** Left out: SQLite in its folder. */
  readonly postgres?: PostgresAddress
  readonly workers?: number
}

export async function startScaleServer(options: ScaleServerOptions): Promise<ScaleServer> {
  const { name, world, tokens, singleUse, postgres, workers = 1 } = options
  const folder = join(world.folder, name.replaceAll(/\W+/g, '-'))
  mkdirSync(folder, { recursive: true })
  const [port = 0, opsPort = 0] = await freePorts(2)
  const usual = sallyportBenchConfig(world, 'ES256', `127.0.0.1:${port}`, `127.0.0.1:${opsPort}`, folder)
  const urlFile = join(folder, 'store.url')
  if (postgres !== undefined) writeFileSync(urlFile, urlOf(postgres), { mode: 0o600 })
  const config = {
    ...usual,
    connectors: [
      {
        id: 'gitlab',
        type: 'gitlab-ci',
        issuer: tokens.issuer,
        jwksFile: tokens.jwksFile,
        singleUse,
        claimMapping: { username: 'user_login', email: 'user_email' },
      },
    ],
    ...(postgres === undefined ? {} : { store: { type: 'postgres', urlFile } }),
  }
  const file = join(folder, 'sallyport.yaml')
  writeFileSync(file, stringify(config))
  const url = `http://127.0.0.1:${port}${new URL(benchIssuer).pathname}`
  const server = await startChildServer({
    name,
    command: process.execPath,
    args: [entryOf('packed'), 'serve', 'broker', '--config', file, '--workers', String(workers)],
    cwd: folder,
    env: { ...process.env, ...sallyportBenchEnv },
    graceMs: 15_000,
    ready: async () => (await fetch(`http://127.0.0.1:${opsPort}/readyz`)).ok && answers(`${url}/keys`),
  })
  return { ...server, name, url, folder, config: file }
}

function urlOf({ host, port, database, user }: PostgresAddress): string {
  return `postgres://${user}@${encodeURIComponent(host)}:${port}/${database}\n`
}
