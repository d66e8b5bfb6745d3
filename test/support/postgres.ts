// A real PostgreSQL, of Debian's binaries: a cluster of its own in a temporary folder, on a free port of 127.0.0.1 and a
// Unix socket, as a user that is not root. Nothing is installed here; test/peers/install_debian.sh does that in CI.
import { execFile } from 'node:child_process'
import { chown, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Client } from 'pg'
import type { Test } from 'tap'
import type { PostgresAddress } from '../../src/platform/store/postgres_pool.ts'
import { freePort, startChildServer } from './child_server.ts'
import type { ChildServer } from './child_server.ts'
import { peerOrSkip } from './peers.ts'
import type { Peer } from './peers.ts'

const run = promisify(execFile)

/** Made for a test cluster that lives for a minute. */
export const POSTGRES_PASSWORD = 'nG7wq2LzX4hKp9Td'

/** Folder of `initdb` and `postgres`, the newest of several. Rejects when there is none. */
export async function postgresFolder(): Promise<string> {
  const root = '/usr/lib/postgresql'
  const versions = await readdir(root).catch(() => [])
  const [newest] = versions
    .map(Number)
    .filter(Number.isInteger)
    .sort((a, b) => b - a)
  if (newest === undefined)
    throw new Error(`no PostgreSQL in ${root}: apt-get install postgresql-15 (test/peers/install_debian.sh)`)
  return join(root, String(newest), 'bin')
}

/** The folder, or why tests without it are skipped; thrown where peers are required. */
export function postgresOrSkip(): Promise<Peer<string>> {
  return peerOrSkip(postgresFolder)
}

export type PostgresServer = {
  readonly folder: string
  readonly port: number
  /** Path of its Unix socket. */
  readonly socket: string
  /** A new, empty database, and the way to it over the Unix socket, where nobody asks for a password. */
  database(name?: string): Promise<PostgresAddress>
  /** A connection of the superuser, closed by the caller. */
  connect(database: string): Promise<Client>
  /** Runs statements as the superuser. */
  sql(database: string, text: string): Promise<readonly Record<string, unknown>[]>
  /** pg_dump and psql beside it, with what they need to find it. */
  tool(name: string, args: readonly string[]): Promise<string>
  /** `before`: a shell's words before the server: `ulimit -f 1000`. */
  start(before?: string): Promise<void>
  /** Cuts every connection and ends in order. */
  stop(): Promise<void>
  readonly process: () => ChildServer
}

export type PostgresServerOptions = {
  /** Lines of postgresql.conf. */
  readonly settings?: readonly string[]
  /** Lines of pg_hba.conf before the usual ones. */
  readonly hba?: readonly string[]
  /** Put into its data folder, readable by it alone, before it starts. */
  readonly files?: Readonly<Record<string, string>>
  /** For the first start. */
  readonly before?: string
}

/** Started, and gone with everything it wrote when the test, or whatever else undoes things at its end, ends. */
export async function startPostgres(
  t: Pick<Test, 'teardown'>,
  bin: string,
  options: PostgresServerOptions = {},
): Promise<PostgresServer> {
  const owner = await unprivileged()
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-pg-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  if (owner !== undefined) await chown(folder, owner.uid, owner.gid)
  const data = join(folder, 'data')
  const port = await freePort()
  const passwordFile = join(folder, 'password')
  await writeFile(passwordFile, POSTGRES_PASSWORD)
  const env = { PATH: process.env['PATH'], LC_ALL: 'C.UTF-8' }
  // A locale whose order is not that of bytes where there is one: what relies on the order of the database shows.
  const args = ['-D', data, '-U', 'postgres', '--encoding=UTF8', '--locale=C.UTF-8', '--no-sync']
  args.push('--locale-provider=icu', '--icu-locale=en-US', `--pwfile=${passwordFile}`)
  args.push('--auth-local=trust', '--auth-host=scram-sha-256')
  await run(join(bin, 'initdb'), args, { cwd: folder, env, ...owner })
  const own = async (name: string, text: string): Promise<void> => {
    await writeFile(join(data, name), text, { mode: 0o600 })
    if (owner !== undefined) await chown(join(data, name), owner.uid, owner.gid)
  }
  const sockets = join(folder, 'run')
  await mkdir(sockets)
  if (owner !== undefined) await chown(sockets, owner.uid, owner.gid)
  for (const [name, text] of Object.entries(options.files ?? {})) await own(name, text)
  await own(
    'pg_hba.conf',
    [...(options.hba ?? []), 'local all all trust', 'host all all 127.0.0.1/32 scram-sha-256', ''].join('\n'),
  )
  await own(
    'test.conf',
    [
      'fsync = off',
      'shared_buffers = 16MB',
      'max_connections = 40',
      "timezone = 'UTC'",
      ...(options.settings ?? []),
      '',
    ].join('\n'),
  )
  await own('postgresql.conf', `include 'test.conf'\n`)

  const connect = async (database: string): Promise<Client> => {
    const { Client: PgClient } = await import('pg')
    const client = new PgClient({ host: sockets, port, user: 'postgres', password: '-', database })
    await client.connect()
    return client
  }
  let server: ChildServer | undefined
  const start = async (before = ':'): Promise<void> => {
    const line = [join(bin, 'postgres'), '-D', data, '-p', String(port), '-k', sockets, '-h', '127.0.0.1']
    server = await startChildServer({
      name: 'postgres',
      command: '/bin/sh',
      args: ['-c', `${before}; exec "$@"`, 'sh', ...line],
      cwd: folder,
      env,
      owner,
      stopSignal: 'SIGINT',
      ready: async () => {
        await (await connect('postgres')).end()
        return true
      },
    })
  }
  const running = (): ChildServer => {
    if (server === undefined) throw new Error('PostgreSQL is not started')
    return server
  }
  await start(options.before)
  t.teardown(async () => running().stop())
  const sql = async (database: string, text: string): Promise<readonly Record<string, unknown>[]> => {
    const client = await connect(database)
    try {
      return (await client.query<Record<string, unknown>>(text)).rows
    } finally {
      await client.end()
    }
  }
  let made = 0
  return {
    folder,
    port,
    socket: join(sockets, `.s.PGSQL.${port}`),
    connect,
    sql,
    async database(given) {
      made += 1
      const name = given ?? `store_${made}`
      await sql('postgres', `CREATE DATABASE ${name}`)
      return { ...NEAR, host: sockets, port, database: name }
    },
    async tool(name, toolArgs) {
      const { stdout } = await run(
        join(bin, name),
        ['-h', sockets, '-p', String(port), '-U', 'postgres', ...toolArgs],
        {
          env,
          maxBuffer: 64 * 1024 * 1024,
        },
      )
      return stdout
    },
    start,
    stop: async () => running().stop(),
    process: running,
  }
}

const NEAR = {
  user: 'postgres',
  secret: undefined,
  tls: 'off',
  maxConnections: 4,
  connectTimeoutSeconds: 2,
  statementTimeoutSeconds: 2,
} as const

/** PostgreSQL refuses to be root. */
async function unprivileged(): Promise<{ readonly uid: number; readonly gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const [uid, gid] = await Promise.all(
    ['-u', '-g'].map(async (flag) => Number((await run('id', [flag, 'nobody'])).stdout)),
  )
  if (uid === undefined || gid === undefined) throw new Error('there is no user nobody')
  return { uid, gid }
}
