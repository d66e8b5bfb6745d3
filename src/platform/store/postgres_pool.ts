// Connections to PostgreSQL: few, bounded, each made as we want it, and dropped when nobody knows what they are worth.
// Whatever fails is a StoreFailure. What stands in the tables is postgres_schema.ts and postgres_store.ts.
import { readFile } from 'node:fs/promises'
import { checkServerIdentity } from 'node:tls'
import type { ConnectionOptions } from 'node:tls'
import type { ClientBase, ClientConfig, Pool, PoolClient } from 'pg'
import { isConnectionSound, postgresFailure } from './postgres_failure.ts'
import { parsePostgresUrl, shownPlace } from './postgres_url.ts'
import { StoreFailure } from './store.ts'

/** How to get there. Durations in seconds. */
export type PostgresAddress = {
  /** A name, an address, or the absolute folder of a Unix socket. */
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
  /** Read anew for each connection, so that a new password needs no restart. `undefined`: nobody asks for one. */
  readonly secret: { readonly file: string; readonly holds: 'password' | 'url' } | undefined
  /** `serverName`: the name in its certificate, where it is not `host`. `caFile`: PEM; `undefined`: the system's roots. */
  readonly tls: 'off' | { readonly caFile: string | undefined; readonly serverName: string | undefined }
  readonly maxConnections: number
  readonly connectTimeoutSeconds: number
  readonly statementTimeoutSeconds: number
}

/** Prepared once on each connection, under its name. */
export type Statement = { readonly name: string; readonly text: string }
export type Row = Readonly<Record<string, unknown>>
type Answer = { readonly rows: readonly Row[]; readonly count: number }
export type Run = (statement: Statement, values?: readonly unknown[]) => Promise<Answer>

type Outcome<T> = { readonly keep: boolean; readonly result: T }

export interface PostgresPool {
  /** For messages: host, port and database. */
  readonly place: string
  /** One statement, which is a transaction of its own. */
  readonly run: Run
  /** Commits what is to be kept, else rolls back. Errors come through as they are, so that a collision can be told. */
  transaction<T>(work: (run: Run) => Promise<Outcome<T>>): Promise<T>
  close(): Promise<void>
}

export type ConnectionLog = { warn(fields: object, message: string): void }

/** Waiting for a connection beyond this many is refused at once: whoever comes later would only wait longer. */
const MAX_WAITING = 256
/** The server ends a statement itself; so much later its silence is taken for a dead connection. */
const SILENCE_MS = 1000
/** A name that leads elsewhere now (a failover) is looked up again after so long, without a failure in between. */
const MAX_LIFETIME_SECONDS = 30 * 60
const IDLE_MS = 60_000
const KEEP_ALIVE_MS = 10_000

/** Connects to nothing yet. Rejects with StoreFailure when the CA file cannot be read. */
export async function openPostgresPool(address: PostgresAddress, log: ConnectionLog): Promise<PostgresPool> {
  const place = shownPlace(address)
  const { Pool: PgPool } = await import('pg')
  const pool: Pool = new PgPool({
    ...(await clientConfig(address)),
    query_timeout: address.statementTimeoutSeconds * 1000 + SILENCE_MS,
    max: address.maxConnections,
    idleTimeoutMillis: IDLE_MS,
    maxLifetimeSeconds: MAX_LIFETIME_SECONDS,
  })
  const prepared = new WeakSet<PoolClient>()
  // A connection that dies while nobody uses it leaves the pool by itself; unheard it would end the process.
  pool.on('error', (error) =>
    log.warn({ why: postgresFailure(place, error).message }, 'a connection to the store was lost'),
  )

  async function withClient<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
    if (pool.waitingCount >= MAX_WAITING) throw new StoreFailure(`${place}: too many wait for it already`)
    const client = await pool.connect().catch((error: unknown) => {
      throw postgresFailure(place, error)
    })
    client.on('error', heardElsewhere)
    let isSound = true
    try {
      if (!prepared.has(client)) await prepareSession(client, address)
      prepared.add(client)
      return await work(client)
    } catch (error) {
      isSound = isConnectionSound(error)
      throw error
    } finally {
      client.off('error', heardElsewhere)
      client.release(!isSound)
    }
  }

  return {
    place,
    run: async (statement, values = []) =>
      withClient(async (client) => ask(client, statement, values)).catch((error: unknown) => {
        throw postgresFailure(place, error)
      }),
    transaction: async (work) =>
      withClient(async (client) => {
        await client.query('BEGIN')
        try {
          const { keep, result } = await work(async (statement, values = []) =>
            ask(client, statement, values),
          )
          await client.query(keep ? 'COMMIT' : 'ROLLBACK')
          return result
        } catch (error) {
          // When even this fails, the connection goes with the error that came first.
          if (isConnectionSound(error)) await client.query('ROLLBACK')
          throw error
        }
      }),
    close: async () => {
      if (!pool.ending) await pool.end()
    },
  }
}

/** While a connection is in use its queries tell what became of it; the event, unheard, would end the process. */
function heardElsewhere(): void {}

/** A connection of its own, for what may take longer than a statement of the pool: at most `statementSeconds`. */
export async function withPostgresClient<T>(
  address: PostgresAddress,
  statementSeconds: number,
  work: (run: Run) => Promise<T>,
): Promise<T> {
  const { Client } = await import('pg')
  const client = new Client({
    ...(await clientConfig(address)),
    query_timeout: statementSeconds * 1000 + SILENCE_MS,
  })
  const place = shownPlace(address)
  client.on('error', heardElsewhere)
  try {
    await client.connect()
    await prepareSession(client, { ...address, statementTimeoutSeconds: statementSeconds })
    return await work(async (statement, values = []) => ask(client, statement, values))
  } catch (error) {
    throw postgresFailure(place, error)
  } finally {
    await client.end()
  }
}

async function ask(client: ClientBase, statement: Statement, values: readonly unknown[]): Promise<Answer> {
  const { rows, rowCount } = await client.query<Row>({ ...statement, values: [...values] })
  return { rows, count: rowCount ?? 0 }
}

/** Everything is said, so that no PG* variable and no ~/.pgpass has a say. */
async function clientConfig(address: PostgresAddress): Promise<ClientConfig> {
  const { host, port, database, user, connectTimeoutSeconds } = address
  return {
    host,
    port,
    database,
    user,
    password: async () => readPassword(address),
    ssl: await tlsOptions(address),
    sslnegotiation: 'postgres',
    client_encoding: 'UTF8',
    application_name: 'sallyport',
    // Not nothing, for which PGOPTIONS would stand in.
    options: ' ',
    connectionTimeoutMillis: connectTimeoutSeconds * 1000,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
  }
}

async function readPassword({ secret }: PostgresAddress): Promise<string> {
  if (secret === undefined) return ''
  const text = await readSecret(secret.file)
  if (secret.holds === 'password') return text
  const url = parsePostgresUrl(text)
  if ('problem' in url) throw new StoreFailure(`${secret.file}: ${url.problem}`)
  return url.password ?? ''
}

async function readSecret(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).replace(/\r?\n$/, '')
  } catch (cause) {
    const why = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unreadable'
    throw new StoreFailure(`${file} cannot be read (${why})`, { cause })
  }
}

async function tlsOptions({ tls }: PostgresAddress): Promise<false | ConnectionOptions> {
  if (tls === 'off') return false
  const { caFile, serverName } = tls
  return {
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
    ...(caFile === undefined ? {} : { ca: await readSecret(caFile) }),
    // By the check itself: pg sets `servername` to the host, whatever is given here.
    ...(serverName === undefined
      ? {}
      : { checkServerIdentity: (_host, certificate) => checkServerIdentity(serverName, certificate) }),
  }
}

/**
 * The session as every statement of ours expects it, whatever the role, the database or PGOPTIONS set. Commits that are
 * told before they are on the disk are turned into such that are; anything stronger stays. No operator and no function
 * is looked for outside of pg_catalog.
 */
const SESSION: Statement = {
  name: 'session',
  text: `SELECT
    set_config('statement_timeout', $1, false), set_config('lock_timeout', $1, false),
    set_config('idle_in_transaction_session_timeout', $2, false),
    set_config('search_path', 'pg_catalog', false),
    set_config('default_transaction_isolation', 'read committed', false),
    set_config('synchronous_commit',
      CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END,
      false),
    pg_is_in_recovery() AS standby, current_setting('server_encoding') AS encoding`,
}

async function prepareSession(client: ClientBase, address: PostgresAddress): Promise<void> {
  const milliseconds = String(address.statementTimeoutSeconds * 1000)
  const [session] = (await ask(client, SESSION, [milliseconds, milliseconds])).rows
  const place = shownPlace(address)
  // Dropped again, so that the next attempt looks up who is the primary now.
  if (session?.['standby'] === true) throw new StoreFailure(`${place}: it takes no writes: a standby`)
  if (session?.['encoding'] !== 'UTF8') {
    throw new StoreFailure(
      `${place}: the database has encoding ${String(session?.['encoding'])}, which loses characters\n` +
        "    -> CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0",
    )
  }
}
