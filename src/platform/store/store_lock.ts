// One server for one SQLite file: a lock beside the file, which the kernel lets go of however the process ends. Commands
// that open the store beside a running server do not ask for it.
import { open, realpath } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { isBusy, makeFolderOf, storeFailure } from './sqlite_file.ts'

export type StoreLock = { readonly release: () => void }

/** A server that ends cuts its last connections after a second; its successor may be there already. */
const WAIT_MS = 2000
const RETRY_MS = 100

/**
 * Takes `<file>.lock`, which stays behind, empty. `undefined` when another server still holds it after `waitMs`. Rejects
 * with StoreFailure.
 */
export async function lockStore(file: string, waitMs = WAIT_MS): Promise<StoreLock | undefined> {
  let lockFile = `${file}.lock`
  let database: DatabaseSync | undefined
  try {
    await makeFolderOf(file)
    lockFile = `${await ownPath(file)}.lock`
    await (await open(lockFile, 'a', 0o600)).close()
    const { DatabaseSync: Database } = await import('node:sqlite')
    const held = (database = new Database(lockFile, { timeout: 0, allowExtension: false }))
    const isHeld = await begin(held, Math.ceil(waitMs / RETRY_MS))
    if (isHeld) return { release: () => held.close() }
    held.close()
    return undefined
  } catch (cause) {
    database?.close()
    throw storeFailure(lockFile, cause)
  }
}

/** The transaction writes nothing: it is there for SQLite's lock on the file alone. */
async function begin(database: DatabaseSync, retries: number): Promise<boolean> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      database.exec('BEGIN EXCLUSIVE')
      return true
    } catch (error) {
      if (!isBusy(error)) throw error
      if (attempt >= retries) return false
      await sleep(RETRY_MS)
    }
  }
}

/** One name for one file, whatever links lead to it: SQLite follows them, too. */
async function ownPath(file: string): Promise<string> {
  try {
    return await realpath(file)
  } catch {
    // Not there yet: its folder is, or the next step says what is wrong.
    return join(await realpath(dirname(file)), basename(file))
  }
}
