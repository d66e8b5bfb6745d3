// Opens a SQLite file as ours: settings, schema, versions; and says in words what SQLite says in numbers.
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { StoreFailure } from './store.ts'
import type { StoreEntry } from './store.ts'

/** `SALY` in SQLite's application_id: whose file this is. */
const applicationId = 0x53414c59
const schemaVersion = 1

/** As much of a file as `isOurHeader` wants. */
export const sqliteHeaderBytes = 72

/** Whether a file's first bytes say that it is ours, as far as SQLite has copied its log back (file format §1.3). */
export function isOurHeader(head: Buffer): boolean {
  return head.length >= sqliteHeaderBytes && head.readUInt32BE(68) === applicationId
}

/** Makes the folder of a store when it is missing: for nobody else, since keys will lie in it. */
export async function makeFolderOf(file: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
}

/** Whether another connection holds the lock that was asked for. */
export function isBusy(error: unknown): boolean {
  return [busy, locked].includes(primaryCode(resultCode(error)) ?? -1)
}

/** Rejects with StoreFailure. */
export async function openDatabase(file: string, busyTimeoutMs: number): Promise<DatabaseSync> {
  // Loaded here, so that a start without SQLite does not pay for it.
  const { DatabaseSync: Database } = await import('node:sqlite')
  let database: DatabaseSync | undefined
  try {
    database = new Database(file, { timeout: busyTimeoutMs, allowExtension: false })
    // Before anything is changed: the file may be Dex's own.
    checkOwner(database, file)
    await useWal(database)
    database.exec(settings)
    migrate(database, file)
    dropOldIndex(database)
    return database
  } catch (cause) {
    database?.close()
    throw storeFailure(file, cause)
  }
}

/** For `listEntries`. */
export const LIST_ENTRIES = `SELECT key, value FROM entries WHERE key >= ? AND key < CAST(? AS TEXT)
  AND (expires_at IS NULL OR expires_at > ?) ORDER BY key`

/** Whose keys begin with `prefix` and that have not expired at `now`, in milliseconds since the epoch. Throws as SQLite does. */
export function listEntries(statement: StatementSync, prefix: string, now: number): StoreEntry[] {
  // 0xff never occurs in UTF-8, so this is the first key after all that begin with the prefix.
  const end = Buffer.concat([Buffer.from(prefix), Buffer.from([0xff])])
  return statement.all(prefix, end, now).map((row) => ({
    key: textOf(row['key']) ?? '',
    value: textOf(row['value']) ?? '',
  }))
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

/** The StoreFailure for whatever was thrown: the file and the reason, never a value. */
export function storeFailure(file: string, cause: unknown): StoreFailure {
  if (cause instanceof StoreFailure) return cause
  const code = resultCode(cause)
  const known = reasons.get(code ?? -1) ?? reasons.get(primaryCode(code) ?? -1)
  const detail = known ?? (cause instanceof Error ? cause.message : String(cause))
  return new StoreFailure(`${file}: ${detail}`, { cause })
}

// wal_autocheckpoint: copying the log back blocks for as long as the disk needs. Four times SQLite's default makes it
// four times rarer, for 16 MB of log. cache_size: 8 MB. temp_store: no temporary files beside the file.
const settings = `
  PRAGMA wal_autocheckpoint = 4000;
  PRAGMA cache_size = -8000;
  PRAGMA temp_store = MEMORY;
  PRAGMA trusted_schema = OFF;
  PRAGMA foreign_keys = ON;
`

const schema = `
  CREATE TABLE schema_version (version INTEGER NOT NULL) STRICT;
  INSERT INTO schema_version VALUES (${schemaVersion});
  CREATE TABLE entries (key TEXT PRIMARY KEY, value TEXT NOT NULL, expires_at INTEGER) STRICT, WITHOUT ROWID;
  PRAGMA application_id = ${applicationId};
`

/** Two processes that open a new file at once: SQLite does not wait for this lock by itself. */
async function useWal(database: DatabaseSync): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      database.exec('PRAGMA journal_mode = WAL')
      return
    } catch (error) {
      if (attempt >= 20 || !isBusy(error)) throw error
      await sleep(25)
    }
  }
}

function migrate(database: DatabaseSync, file: string): void {
  database.exec('BEGIN IMMEDIATE')
  try {
    // Again, under the lock: another process may have been first.
    if (checkOwner(database, file) === 'empty') database.exec(schema)
    database.exec('COMMIT')
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}

/**
 * A third of what a claim cost; what has expired is found by a walk (sqlite_store.ts), and an older release does without as well. Where
 * there is no room or no turn to write that, it stays, which costs time and nothing else.
 */
function dropOldIndex(database: DatabaseSync): void {
  try {
    database.exec('DROP INDEX IF EXISTS entries_by_expiry')
  } catch (error) {
    if (!isBusy(error) && primaryCode(resultCode(error)) !== full) throw error
  }
}

/** Whether there is a store of ours in it, or nothing at all. Throws StoreFailure where there is anything else. */
export function checkOwner(database: DatabaseSync, file: string): 'empty' | 'ours' {
  const tables = database.prepare("SELECT count(*) AS n FROM sqlite_schema WHERE type = 'table'").get()?.['n']
  if (tables === 0) return 'empty'
  const id = database.prepare('PRAGMA application_id').get()?.['application_id']
  if (id !== applicationId)
    throw new StoreFailure(`${file}: it belongs to another program, and is left alone`)
  const version = database.prepare('SELECT version FROM schema_version').get()?.['version']
  if (version === schemaVersion) return 'ours'
  throw new StoreFailure(
    `${file}: it has version ${String(version)}, this release reads version ${schemaVersion}`,
  )
}

const busy = 5
const locked = 6
const full = 13

/** SQLite's primary result codes, and extended ones that say more, as an operator would say them. */
const reasons: ReadonlyMap<number, string> = new Map([
  [busy, 'locked by another process'],
  [locked, 'locked'],
  [8, 'read-only'],
  [10, 'the disk failed to read or write'],
  [11, 'damaged: keep a copy, and put a backup in its place'],
  [full, 'the disk is full'],
  [14, 'cannot be opened: is its folder there, and may this user write in it?'],
  [26, 'not a SQLite file: name another one, or put a backup in its place'],
  // SQLITE_IOERR_SHMSIZE: no room for the index of the log, which comes before anything is written.
  [4874, 'the disk is full'],
])

/** Extended, as node:sqlite gives it. */
function resultCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number')
    return undefined
  return error.errcode
}

/** Extended codes carry the primary one in their lowest byte. */
function primaryCode(code: number | undefined): number | undefined {
  return code === undefined ? undefined : code & 0xff
}
