// Reads a SQLite store as it lies there and changes nothing: no byte, no mode, no file beside it. For a command that only
// explains; everything else opens it (sqlite_store.ts).
import { realpath, stat } from 'node:fs/promises'
import type { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import type { Clock } from '#core/clock.ts'
import { LIST_ENTRIES, checkOwner, listEntries, storeFailure } from './sqlite_file.ts'
import type { Store, StoreEntry } from './store.ts'

type SqliteReaderOptions = { readonly file: string; readonly clock: Clock }

/** For a server that writes at this moment. */
const BUSY_TIMEOUT_MS = 1000

/**
 * `undefined` when there is no store: no file, or one with nothing in it. Rejects with StoreFailure, as `openSqliteStore`,
 * and where a log was left without its index, which only a server makes anew.
 */
export async function readSqliteStore<Done>(
  { file, clock }: SqliteReaderOptions,
  work: (store: Pick<Store, 'list'>) => Promise<Done>,
): Promise<Done | undefined> {
  const database = await openAsItLies(file)
  if (database === undefined) return undefined
  try {
    return await work({ list: async (prefix) => entriesOf(database, file, prefix, clock()) })
  } finally {
    database.close()
  }
}

async function openAsItLies(file: string): Promise<DatabaseSync | undefined> {
  let database: DatabaseSync | undefined
  try {
    const path = await pathOf(file)
    if (path === undefined) return undefined
    const { DatabaseSync: Database } = await import('node:sqlite')
    const url = pathToFileURL(path)
    // https://sqlite.org/uri.html, https://sqlite.org/wal.html#readonly: without a log nobody has it open, and to look for
    // one SQLite would make it; with one, the index is read and gets no mark of this reader.
    url.searchParams.set((await hasLog(path)) ? 'readonly_shm' : 'immutable', '1')
    database = new Database(url, { readOnly: true, timeout: BUSY_TIMEOUT_MS, allowExtension: false })
    if (checkOwner(database, file) === 'ours') return database
    database.close()
    return undefined
  } catch (cause) {
    database?.close()
    throw storeFailure(file, cause)
  }
}

function entriesOf(database: DatabaseSync, file: string, prefix: string, now: number): StoreEntry[] {
  try {
    return listEntries(database.prepare(LIST_ENTRIES), prefix, now)
  } catch (cause) {
    throw storeFailure(file, cause)
  }
}

/** Its log lies beside the file itself, whatever link leads there. */
async function pathOf(file: string): Promise<string | undefined> {
  try {
    return await realpath(file)
  } catch (cause) {
    if (isAbsent(cause)) return undefined
    throw cause
  }
}

/** An empty log without an index is what a reader leaves that found none. */
async function hasLog(path: string): Promise<boolean> {
  const [log, index] = [await sizeOf(`${path}-wal`), await sizeOf(`${path}-shm`)]
  return log !== undefined && (log > 0 || index !== undefined)
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size
  } catch (cause) {
    if (isAbsent(cause)) return undefined
    throw cause
  }
}

function isAbsent(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === 'ENOENT'
}
