// The store in PostgreSQL, for brokers on several machines. One table, one namespace, as in every other store; what each
// statement may do to the others stands in docs/decisions/0002-store.md.
import type { Clock } from '#core/clock.ts'
import { createClaimQueue } from './postgres_claims.ts'
import { openPostgresPool } from './postgres_pool.ts'
import type { ConnectionLog, PostgresAddress, PostgresPool, Row, Statement } from './postgres_pool.ts'
import { migrate, newerFailure, readableStatement } from './postgres_schema.ts'
import { StoreFailure } from './store.ts'
import type { Store, StoreEntry } from './store.ts'

export type PostgresStoreOptions = {
  readonly address: PostgresAddress
  /** A plain name in lower case, which needs no quotes. */
  readonly schema: string
  readonly clock: Clock
  readonly log: ConnectionLog
  /** Makes the tables where there are none; true by default. */
  readonly create?: boolean
  /** Milliseconds since the epoch by the clock that all replicas share; the database's by default. */
  readonly sharedClock?: () => Promise<number>
}

/** What the clocks of replicas may be apart, as for the key ring. */
const CLOCK_MARGIN_MS = 60_000
/** Rows deleted in one statement, so that cleaning up never holds a request for long. */
const EXPIRE_BATCH = 1000

/** Takes the steps that the tables lack. Rejects with StoreFailure. */
export async function openPostgresStore(options: PostgresStoreOptions): Promise<Store> {
  const { address, schema, clock, log } = options
  await migrate(address, schema, { create: options.create ?? true })
  const pool = await openPostgresPool(address, log)
  const sql = statements(schema)
  const claims = createClaimQueue(pool, schema, clock)
  const sharedClock = options.sharedClock ?? (async () => databaseClock(pool, sql.clock))
  let hasFailed = false

  async function write(statement: Statement, values: readonly unknown[]): Promise<number> {
    try {
      const { count } = await pool.run(statement, values)
      hasFailed = false
      return count
    } catch (error) {
      hasFailed = true
      throw error
    }
  }

  async function claim(...given: Parameters<typeof claims.claim>): Promise<boolean> {
    for (const { key } of given[0]) checkText(pool, key)
    try {
      const taken = await claims.claim(...given)
      hasFailed = false
      return taken
    } catch (error) {
      hasFailed = true
      throw error
    }
  }

  return {
    async get(key) {
      checkText(pool, key)
      const { rows } = await pool.run(sql.get, [key, clock()])
      return rows[0] === undefined ? undefined : textOf(rows[0], 'value')
    },
    async put(key, value, expiresAt) {
      checkText(pool, key, value)
      await write(sql.put, [key, value, expiresAt ?? null])
    },
    async compareAndSet(key, expected, next, expiresAt) {
      checkText(pool, key, expected, next)
      const now = clock()
      if (expected === undefined) {
        if (next === undefined) return (await pool.run(sql.get, [key, now])).count === 0
        return (await write(sql.add, [key, next, expiresAt ?? null, now])) === 1
      }
      if (next === undefined) return (await write(sql.remove, [key, expected, now])) === 1
      return (await write(sql.replace, [key, expected, now, next, expiresAt ?? null])) === 1
    },
    claimOnce: async (key, expiresAt) => claim([{ key, parts: [], expiresAt }]),
    claimAllOnce: claim,
    async list(prefix) {
      checkText(pool, prefix)
      const end = firstAfter(prefix)
      const { rows } =
        end === undefined
          ? await pool.run(sql.listFrom, [prefix, clock()])
          : await pool.run(sql.list, [prefix, end, clock()])
      return rows.map((row): StoreEntry => ({ key: textOf(row, 'key'), value: textOf(row, 'value') }))
    },
    async expire() {
      const [own, shared] = [clock(), await sharedClock()]
      const apart = own - shared
      if (Math.abs(apart) > CLOCK_MARGIN_MS) {
        const seconds = Math.round(apart / 1000)
        log.warn(
          { seconds },
          'the clock here is ahead of the database by so many seconds: replicas must agree',
        )
      }
      // A replica judges a token by its own clock, so the claim on it must outlive the token by every replica's clock: what
      // one deletes is gone for all. Neither a clock that runs ahead here nor one there may delete what lives elsewhere.
      const until = Math.min(own, shared) - CLOCK_MARGIN_MS
      let total = 0
      for (;;) {
        const removed = await write(sql.expire, [until])
        total += removed
        if (removed < EXPIRE_BATCH) return total
      }
    },
    sharedClock,
    async ping() {
      const [state] = (await pool.run(sql.readable)).rows
      if (state?.['newer'] !== false) throw newerFailure(pool.place)
      if (state['readonly'] !== false) throw new StoreFailure(`${pool.place}: it takes no writes`)
      // Ready again only after a write that worked: an entry that has expired already.
      if (hasFailed) await write(sql.put, ['store/probe', '', 0])
    },
    async close() {
      claims.close()
      await pool.close()
    },
  }
}

async function databaseClock(pool: PostgresPool, statement: Statement): Promise<number> {
  const [row] = (await pool.run(statement)).rows
  return Number(row?.['now'])
}

/** PostgreSQL's text holds every character but this one, and one such key would fail the whole batch that it is in. */
function checkText(pool: PostgresPool, ...texts: readonly (string | undefined)[]): void {
  if (texts.some((text) => text?.includes('\0') === true))
    throw new StoreFailure(`${pool.place}: the character U+0000 cannot be stored`)
}

function textOf(row: Row, column: string): string {
  const value = row[column]
  if (typeof value !== 'string') throw new StoreFailure(`column ${column} holds no text`)
  return value
}

const LAST_CHARACTER = 0x10ffff
/** Between these two lie the halves of surrogate pairs, which no UTF-8 holds. */
const BEFORE_SURROGATES = 0xd7ff
const AFTER_SURROGATES = 0xe000

/** The least text after all that begin with the prefix, in the order of bytes; `undefined`: there is none. */
export function firstAfter(prefix: string): string | undefined {
  const characters = Array.from(prefix)
  for (;;) {
    const last = characters.pop()?.codePointAt(0)
    if (last === undefined) return undefined
    if (last === LAST_CHARACTER) continue
    const next = last === BEFORE_SURROGATES ? AFTER_SURROGATES : last + 1
    return `${characters.join('')}${String.fromCodePoint(next)}`
  }
}

type Statements = Readonly<
  Record<
    'get' | 'put' | 'add' | 'replace' | 'remove' | 'list' | 'listFrom' | 'expire' | 'clock' | 'readable',
    Statement
  >
>

function statements(schema: string): Statements {
  const entries = `"${schema}".entries`
  const list = (name: string, range: string, now: string): Statement => ({
    name,
    text: `SELECT key, value FROM ${entries} WHERE ${range} AND (expires_at IS NULL OR expires_at > ${now}) ORDER BY key`,
  })
  return {
    get: {
      name: 'get',
      text: `SELECT value FROM ${entries} WHERE key = $1 AND (expires_at IS NULL OR expires_at > $2)`,
    },
    put: {
      name: 'put',
      text: `INSERT INTO ${entries} (key, value, expires_at) VALUES ($1, $2, $3)
        ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at`,
    },
    add: {
      name: 'add',
      text: `INSERT INTO ${entries} AS held (key, value, expires_at) VALUES ($1, $2, $3)
        ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at
        WHERE held.expires_at <= $4`,
    },
    replace: {
      name: 'replace',
      text: `UPDATE ${entries} SET value = $4, expires_at = $5
        WHERE key = $1 AND value = $2 AND (expires_at IS NULL OR expires_at > $3)`,
    },
    remove: {
      name: 'remove',
      text: `DELETE FROM ${entries} WHERE key = $1 AND value = $2 AND (expires_at IS NULL OR expires_at > $3)`,
    },
    list: list('list', 'key >= $1 AND key < $2', '$3'),
    listFrom: list('list_from', 'key >= $1', '$2'),
    // Replicas that clean up at the same time share the work: none waits for another's rows.
    expire: {
      name: 'expire',
      text: `DELETE FROM ${entries} WHERE key = ANY(ARRAY(
        SELECT key FROM ${entries} WHERE expires_at <= $1 ORDER BY expires_at LIMIT ${EXPIRE_BATCH}
        FOR UPDATE SKIP LOCKED))`,
    },
    clock: {
      name: 'clock',
      text: 'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now',
    },
    readable: readableStatement(schema),
  }
}
