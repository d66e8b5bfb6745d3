// The tables, and how they came to be: numbered steps forward, each in one transaction under a lock, each written down.
// Two releases work on one database while one replaces the other, so a step only ever adds (expand); what the older of two
// releases still uses goes in a later release (contract). A step says which releases can work with what it leaves, and a
// release refuses what says that it cannot.
import { withPostgresClient } from './postgres_pool.ts'
import type { PostgresAddress, Row, Run, Statement } from './postgres_pool.ts'
import { sqlState } from './postgres_failure.ts'
import { shownPlace } from './postgres_url.ts'
import { StoreFailure } from './store.ts'

type Migration = {
  readonly number: number
  readonly says: string
  /** The lowest newest step that a release must know to work with the tables as this step leaves them. */
  readonly oldestReader: number
  readonly sql: (schema: string) => readonly string[]
}

/**
 * Keys and values are text: legible at night. COLLATE "C" orders by bytes whatever the database's locale, so that a prefix
 * is a range of the primary key and no upgrade of a C library breaks the index. Claims make most of the rows and die
 * young: vacuum looks after 2 % of them, not 20 %.
 */
const MIGRATIONS: readonly Migration[] = [
  {
    number: 1,
    says: 'entries with their expiry',
    oldestReader: 1,
    sql: (schema) => [
      `CREATE TABLE ${schema}.entries (
         key text COLLATE "C" PRIMARY KEY,
         value text NOT NULL,
         expires_at bigint
       ) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05)`,
      `CREATE INDEX entries_expiry ON ${schema}.entries (expires_at) WHERE expires_at IS NOT NULL`,
      `COMMENT ON COLUMN ${schema}.entries.expires_at IS 'milliseconds since the epoch; null: it stays'`,
    ],
  },
]

const NEWEST = MIGRATIONS.at(-1)?.number ?? 0

/** A step may take its time: an index is built, another replica holds the lock. */
const MIGRATION_SECONDS = 300

/**
 * Takes every step that is missing, and tells which; none where all were taken, which needs no more than reading. `create:
 * false`: a database without the first step is refused, and nothing is changed. Rejects with StoreFailure.
 */
export async function migrate(
  address: PostgresAddress,
  schema: string,
  options: { readonly create: boolean },
): Promise<readonly number[]> {
  const place = shownPlace(address)
  return withPostgresClient(address, MIGRATION_SECONDS, async (run) => {
    const missing = missingSteps(await readApplied(run, schema, place), place)
    if (missing.length === 0) return []
    if (missing.length === MIGRATIONS.length && !options.create)
      throw new StoreFailure(`${place}: there is no store in schema ${schema} yet: start the broker once`)
    const taken: number[] = []
    for (const step of missing) if (await take(run, step, schema, place)) taken.push(step.number)
    return taken
  })
}

/** What a role needs that uses the tables and makes none. */
export function grants(schema: string, role: string): readonly string[] {
  return [
    `GRANT USAGE ON SCHEMA "${schema}" TO "${role}"`,
    `GRANT SELECT ON "${schema}".store_migrations TO "${role}"`,
    `GRANT SELECT, INSERT, UPDATE, DELETE ON "${schema}".entries TO "${role}"`,
  ]
}

/** Grants them, by whoever made the tables. Rejects with StoreFailure. */
export async function grantUse(address: PostgresAddress, schema: string, role: string): Promise<void> {
  await withPostgresClient(address, MIGRATION_SECONDS, async (run) => {
    for (const text of grants(schema, role)) await run({ name: '', text })
  })
}

/** Whether a release that knows the steps up to ours may work with what stands there. */
export function readableStatement(schema: string): Statement {
  return {
    name: 'readable',
    text: `SELECT coalesce(max(oldest_reader), 0) > ${NEWEST} AS newer,
      current_setting('transaction_read_only') = 'on' AS readonly FROM "${schema}".store_migrations`,
  }
}

export function newerFailure(place: string): StoreFailure {
  return new StoreFailure(
    `${place}: its tables are of a newer release, which this one (step ${NEWEST}) cannot work with\n` +
      '    -> run the newer release, or restore the backup that was made before it',
  )
}

const MIGRATIONS_TABLE = `SELECT 1 FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
  WHERE nspname = $1 AND relname = 'store_migrations'`

type Applied = { readonly number: number; readonly oldestReader: number }

async function readApplied(run: Run, schema: string, place: string): Promise<readonly Applied[]> {
  // From the tables of the catalog, not by to_regclass: that one answers out of a cache, in which a schema that another
  // replica has made meanwhile is still missing.
  const found = await run({ name: 'migrations_table', text: MIGRATIONS_TABLE }, [schema])
  if (found.count === 0) return []
  const text = `SELECT number, oldest_reader FROM "${schema}".store_migrations ORDER BY number`
  const { rows } = await run({ name: 'migrations', text }).catch((error: unknown) => {
    if (sqlState(error) !== '42703') throw error
    throw foreign(place, schema)
  })
  return rows.map((row) => appliedOf(row, place, schema))
}

function appliedOf(row: Row, place: string, schema: string): Applied {
  const { number, oldest_reader: oldestReader } = row
  if (typeof number !== 'number' || typeof oldestReader !== 'number') throw foreign(place, schema)
  return { number, oldestReader }
}

function foreign(place: string, schema: string): StoreFailure {
  return new StoreFailure(
    `${place}: schema ${schema} belongs to another program, and is left alone\n` +
      '    -> name a schema of our own: store.schema',
  )
}

function missingSteps(applied: readonly Applied[], place: string): readonly Migration[] {
  if (applied.some(({ oldestReader }) => oldestReader > NEWEST)) throw newerFailure(place)
  const taken = new Set(applied.map(({ number }) => number))
  return MIGRATIONS.filter(({ number }) => !taken.has(number))
}

/** One step in one transaction. Of several replicas the first takes it; the others find it taken, and say false. */
async function take(run: Run, step: Migration, schema: string, place: string): Promise<boolean> {
  const plain = async (text: string, values: readonly unknown[] = []): Promise<readonly Row[]> =>
    (await run({ name: '', text }, values)).rows
  const own = `"${schema}"`
  await plain('BEGIN')
  try {
    await plain('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`sallyport store ${schema}`])
    const applied = await readApplied(run, schema, place)
    const isMissing = missingSteps(applied, place).some(({ number }) => number === step.number)
    if (isMissing) {
      if (applied.length === 0) {
        // Only where it is missing: to ask for it needs a privilege even where it is not.
        const there = await plain('SELECT 1 FROM pg_namespace WHERE nspname = $1', [schema])
        if (there.length === 0) await plain(`CREATE SCHEMA ${own}`)
        await plain(`CREATE TABLE ${own}.store_migrations (
          number integer PRIMARY KEY, says text NOT NULL, oldest_reader integer NOT NULL,
          applied_at timestamptz NOT NULL DEFAULT now())`)
      }
      for (const text of step.sql(own)) await plain(text)
      await plain(`INSERT INTO ${own}.store_migrations (number, says, oldest_reader) VALUES ($1, $2, $3)`, [
        step.number,
        step.says,
        step.oldestReader,
      ])
    }
    await plain('COMMIT')
    return isMissing
  } catch (error) {
    // The connection ends with this failure, and the transaction with it.
    if (sqlState(error) === '42P07') throw foreign(place, schema)
    if (sqlState(error) !== '42501') throw error
    throw new StoreFailure(
      `${place}: this role may not make the tables (step ${step.number}) in schema ${schema}\n` +
        '    -> sallyport store migrate, as a role that may (docs/operations.md)',
    )
  }
}
