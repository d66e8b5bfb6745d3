// The store in one SQLite file (node:sqlite, WAL): the embedded default. Commands may open it beside its one server
// (store_lock.ts). All writes that the same step of several requests asks for go in one transaction, behind the last of them;
// docs/decisions/0002-store.md has the figures.
import { chmod, open, stat } from 'node:fs/promises'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from '#core/clock.ts'
import { claimedToo, claimedValue } from './claim.ts'
import type { Claim } from './claim.ts'
import {
  LIST_ENTRIES,
  isOurHeader,
  listEntries,
  makeFolderOf,
  openDatabase,
  sqliteHeaderBytes,
  storeFailure,
  textOf,
} from './sqlite_file.ts'
import { StoreFailure } from './store.ts'
import type { Store } from './store.ts'

export type SqliteStoreOptions = {
  readonly file: string
  readonly clock: Clock
  /** How long to wait for another process's write. It blocks the event loop, so it is short: 1000 by default. */
  readonly busyTimeoutMs?: number
}

/**
 * Opens or makes the file (mode 0600; a missing folder with 0700). Rejects with StoreFailure when that fails, when the
 * file is damaged, is no SQLite file, belongs to another program or to a newer release.
 */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  const { file, clock } = options
  const inode = await prepareFile(file)
  const database = await openDatabase(file, options.busyTimeoutMs ?? 1000)
  // Again: what a crash left may have had its header in the log.
  await closeToOthers(file)
  const sql = prepare(database, file)
  const writes = createWriteQueue(database, sql, file)

  return {
    async get(key) {
      return reading(file, () => textOf(sql.get.get(key, clock())?.['value']))
    },
    put: async (key, value, expiresAt) =>
      writes.run('state', () => void sql.put.run(key, value, expiresAt ?? null)),
    compareAndSet: async (key, expected, next, expiresAt) =>
      writes.run('state', () => {
        if (textOf(sql.get.get(key, clock())?.['value']) !== expected) return false
        if (next === undefined) sql.remove.run(key)
        else sql.put.run(key, next, expiresAt ?? null)
        return true
      }),
    claimOnce: async (key, expiresAt) =>
      writes.run('claim', () => sql.claim.run(key, '', expiresAt, clock()).changes === 1),
    claimAllOnce: async (claims) => writes.run('claim', () => claimAll(sql, claims, clock())),
    async list(prefix) {
      return reading(file, () => listEntries(sql.list, prefix, clock()))
    },
    async expire() {
      let total = 0
      let after: string | undefined = ''
      while (after !== undefined) {
        const from: string = after
        const { end, isDue } = reading(file, () => lookForExpired(sql, from, clock()))
        if (isDue) total += await writes.run('claim', () => expireStep(sql, from, end, clock()))
        // Who waits for the file's lock, in this process or another, has it in between.
        await sleep(isDue ? 1 : 0)
        after = end
      }
      return total
    },
    async ping() {
      if ((await inodeOf(file)) !== inode) throw new StoreFailure(`${file} was removed or replaced`)
      // Ready again only after a write that worked: an entry that has expired already.
      if (writes.lastFailed()) await writes.run('state', () => sql.put.run('store/probe', '', clock()))
      reading(file, () => sql.version.get())
    },
    async close() {
      await writes.close()
    },
  }
}

/**
 * Rows that are looked at at once: a fifth of a millisecond without a lock, and some milliseconds in a transaction where all of them go,
 * so that cleaning up never holds a request for long. An index of what expires next would cost every claim a third more, for one walk a
 * minute.
 */
const stepRows = 1000

type Statements = Readonly<
  Record<
    | 'get'
    | 'put'
    | 'remove'
    | 'claim'
    | 'widen'
    | 'list'
    | 'stepEnd'
    | 'due'
    | 'expire'
    | 'version'
    | 'begin'
    | 'commit'
    | 'rollback',
    StatementSync
  >
>

function prepare(database: DatabaseSync, file: string): Statements {
  return reading(file, () => ({
    get: database.prepare(
      'SELECT value FROM entries WHERE key = ? AND (expires_at IS NULL OR expires_at > ?)',
    ),
    put: database.prepare('INSERT OR REPLACE INTO entries (key, value, expires_at) VALUES (?, ?, ?)'),
    remove: database.prepare('DELETE FROM entries WHERE key = ?'),
    claim: database.prepare(
      `INSERT INTO entries (key, value, expires_at) VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE
       SET value = excluded.value, expires_at = excluded.expires_at WHERE entries.expires_at <= ?`,
    ),
    widen: database.prepare('UPDATE entries SET value = ?, expires_at = max(expires_at, ?) WHERE key = ?'),
    list: database.prepare(LIST_ENTRIES),
    stepEnd: database.prepare(
      `SELECT key FROM entries WHERE key > ? ORDER BY key LIMIT 1 OFFSET ${stepRows - 1}`,
    ),
    due: database.prepare('SELECT 1 FROM entries WHERE key > ? AND key <= ? AND expires_at <= ? LIMIT 1'),
    expire: database.prepare('DELETE FROM entries WHERE key > ? AND key <= ? AND expires_at <= ?'),
    version: database.prepare('SELECT version FROM schema_version'),
    begin: database.prepare('BEGIN IMMEDIATE'),
    commit: database.prepare('COMMIT'),
    rollback: database.prepare('ROLLBACK'),
  }))
}

/** A blob: SQLite sorts every text before it, whatever affinity a column has (datatype3 §4.1). */
const BEHIND_ALL_KEYS = new Uint8Array(0)

/** One step of a walk through all keys, from behind `after`. `end`: where it goes on; `undefined` when it is done. */
function lookForExpired(
  sql: Statements,
  after: string,
  now: number,
): { readonly end: string | undefined; readonly isDue: boolean } {
  const end = textOf(sql.stepEnd.get(after)?.['key'])
  return { end, isDue: sql.due.get(after, end ?? BEHIND_ALL_KEYS, now) !== undefined }
}

/** How many went. */
function expireStep(sql: Statements, after: string, end: string | undefined, now: number): number {
  return Number(sql.expire.run(after, end ?? BEHIND_ALL_KEYS, now).changes)
}

/** Within one transaction, whose other writes stay whatever comes out here: so looks at all before it writes any. */
function claimAll(sql: Statements, claims: readonly Claim[], now: number): boolean {
  const [only, second] = claims
  // Nearly always one token, and new: one statement.
  if (only !== undefined && second === undefined)
    return claimNew(sql, only, now) || claimMore(sql, [only], now)
  return claimMore(sql, claims, now)
}

function claimNew(sql: Statements, { key, parts, expiresAt }: Claim, now: number): boolean {
  return sql.claim.run(key, claimedValue(parts), expiresAt, now).changes === 1
}

function claimMore(sql: Statements, claims: readonly Claim[], now: number): boolean {
  const left = claims.map(({ key, parts }) => {
    const held = textOf(sql.get.get(key, now)?.['value'])
    return held === undefined ? claimedValue(parts) : claimedToo(held, parts)
  })
  if (left.includes(undefined)) return false
  for (const [index, claim] of claims.entries()) {
    if (claimNew(sql, claim, now)) continue
    sql.widen.run(left[index] ?? '', claim.expiresAt, claim.key)
  }
  return true
}

/**
 * `state`: on the disk itself before it resolves, since a lost signing key cannot be made again. `claim`: in the
 * operating system's hands, which survives the end of the process however it comes, but not a loss of power.
 */
type Durability = 'state' | 'claim'

type WriteQueue = {
  run<T>(durability: Durability, write: () => T): Promise<T>
  lastFailed(): boolean
  close(): Promise<void>
}

type PendingWrite = {
  readonly durability: Durability
  readonly apply: () => void
  readonly resolve: () => void
  readonly reject: (failure: StoreFailure) => void
}

function createWriteQueue(database: DatabaseSync, sql: Statements, file: string): WriteQueue {
  let queue: PendingWrite[] = []
  let synchronous: Durability | undefined
  let failed = false
  let closed = false

  function flush(): void {
    const batch = queue
    queue = []
    if (batch.length === 0) return
    try {
      commit(batch)
      failed = false
      for (const write of batch) write.resolve()
    } catch (cause) {
      failed = true
      const failure = storeFailure(file, cause)
      for (const write of batch) write.reject(failure)
    }
  }

  function commit(batch: readonly PendingWrite[]): void {
    const durability = batch.some((write) => write.durability === 'state') ? 'state' : 'claim'
    if (durability !== synchronous) {
      database.exec(`PRAGMA synchronous = ${durability === 'state' ? 'FULL' : 'NORMAL'}`)
      synchronous = durability
    }
    sql.begin.run()
    try {
      for (const write of batch) write.apply()
      sql.commit.run()
    } catch (error) {
      // Some failures (a full disk among them) have already rolled back.
      if (database.isTransaction) sql.rollback.run()
      throw error
    }
  }

  return {
    run<T>(durability: Durability, write: () => T): Promise<T> {
      if (closed) return Promise.reject(new StoreFailure(`${file} is closed`))
      return new Promise<T>((resolve, reject) => {
        const result: { value?: T } = {}
        if (queue.length === 0) queueMicrotask(flush)
        queue.push({
          durability,
          apply: () => {
            result.value = write()
          },
          resolve: () => {
            if ('value' in result) resolve(result.value)
          },
          reject,
        })
      })
    },
    lastFailed: () => failed,
    async close() {
      if (closed) return
      closed = true
      flush()
      database.close()
    },
  }
}

function reading<T>(file: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw storeFailure(file, cause)
  }
}

/**
 * The file's inode. Made here, before SQLite would with the default mode. Its log takes the mode of the file, so an old
 * file is closed to others before that; another program's is left as it is, and refused when it is opened.
 */
async function prepareFile(file: string): Promise<bigint> {
  try {
    await makeFolderOf(file)
    const head = await makeOrReadHead(file)
    if (head.length === 0 || isOurHeader(head)) await closeToOthers(file)
  } catch (cause) {
    throw storeFailure(file, cause)
  }
  const inode = await inodeOf(file)
  if (inode === undefined) throw new StoreFailure(`${file} was removed while it was being opened`)
  return inode
}

async function makeOrReadHead(file: string): Promise<Buffer> {
  const handle = await open(file, 'a+', 0o600)
  try {
    const { buffer, bytesRead } = await handle.read({ buffer: Buffer.alloc(sqliteHeaderBytes), position: 0 })
    return buffer.subarray(0, bytesRead)
  } finally {
    await handle.close()
  }
}

/**
 * It holds signing keys: a store of this user that others may read is closed to them, with its log and index. By path,
 * since closing a descriptor of an open database would drop SQLite's locks on it (fcntl).
 */
async function closeToOthers(file: string): Promise<void> {
  for (const each of [file, `${file}-wal`, `${file}-shm`]) {
    try {
      const { uid, mode } = await stat(each)
      if (uid === process.getuid?.() && (mode & 0o077) !== 0) await chmod(each, 0o600)
    } catch (cause) {
      if (!isAbsent(cause)) throw storeFailure(file, cause)
    }
  }
}

async function inodeOf(file: string): Promise<bigint | undefined> {
  try {
    return (await stat(file, { bigint: true })).ino
  } catch (cause) {
    if (isAbsent(cause)) return undefined
    throw storeFailure(file, cause)
  }
}

function isAbsent(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === 'ENOENT'
}
