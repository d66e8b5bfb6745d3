// The writing half of the cache: makes the folder, seals an entry, and keeps the folder small. Only loaded when the
// broker was asked. Nothing here may cost the caller its token: every failure is a sentence.
import { createCipheriv } from 'node:crypto'
import {
  closeSync,
  fchmodSync,
  futimesSync,
  lstatSync,
  mkdirSync,
  opendirSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import type { RandomBytes } from '#core/clock.ts'
import { folderProblem, reasonOf, SEAL } from './cache.ts'
import type { CacheSlot, Kept } from './cache.ts'

/** One entry for each cluster of each job that runs now; a runner has few of both. */
const MAX_ENTRIES = 64
/** Others' files in our folder are none of ours to judge; so many are looked at. */
const MAX_LISTED = 1000
/** Drafts and locks of killed processes are left that long; longer than any exchange takes. */
export const ABANDONED_MS = 60_000

/** ~/.cache and the folder in it; where ~ is missing, a variable is wrong. */
const MISSING_LEVELS = 2

/** Makes the folder with mode 0700. The answer says why there is none. */
export function makeCacheFolder(folder: string): string | undefined {
  try {
    makeFolder(folder, MISSING_LEVELS)
    return folderProblem(folder)
  } catch (error) {
    return `${folder} cannot be made (${reasonOf(error)})`
  }
}

/** Not `recursive`: Node's never ends in a folder that lets nobody make folders and says so with ENOENT (/proc). */
function makeFolder(folder: string, levels: number): void {
  if (tryMakeFolder(folder)) return
  if (levels > 1) makeFolder(dirname(folder), levels - 1)
  mkdirSync(folder, { mode: 0o700 })
}

/** Whether it is there now; not, when its parent is missing. */
function tryMakeFolder(folder: string): boolean {
  try {
    mkdirSync(folder, { mode: 0o700 })
    return true
  } catch (error) {
    const code = reasonOf(error)
    if (code === 'EEXIST') return true
    if (code === 'ENOENT') return false
    throw error
  }
}

/** Replaces the entry: readers see the old one or the whole new one. The answer says why it was not kept. */
export function writeSlot(slot: CacheSlot, kept: Kept, randomBytes: RandomBytes): string | undefined {
  const path = join(slot.folder, slot.name)
  const draft = `${path}.${Buffer.from(randomBytes(6)).toString('hex')}.draft`
  try {
    const file = openSync(draft, 'wx', 0o600)
    try {
      fchmodSync(file, 0o600)
      writeFileSync(file, seal(kept, slot.key, randomBytes))
      // The time of the file is its end, so that whoever tidies up need not open it.
      futimesSync(file, kept.endsAt / 1000, kept.endsAt / 1000)
    } finally {
      closeSync(file)
    }
    renameSync(draft, path)
    return undefined
  } catch (error) {
    removeQuietly(draft)
    return `${slot.folder} cannot be written (${reasonOf(error)})`
  }
}

function seal(kept: Kept, key: Buffer, randomBytes: RandomBytes): Buffer {
  const iv = randomBytes(SEAL.ivBytes)
  const sealing = createCipheriv(SEAL.cipher, key, iv, { authTagLength: SEAL.tagBytes })
  sealing.setAAD(Buffer.from(SEAL.format))
  const text = Buffer.concat([sealing.update(JSON.stringify(kept), 'utf8'), sealing.final()])
  return Buffer.concat([iv, sealing.getAuthTag(), text])
}

type Entry = { readonly path: string; readonly isWhole: boolean; readonly endsAt: number }

/** Removes what has ended, what dead processes left, and of the rest what ends first when there is too much. */
export function tidyCache(folder: string, now: number): void {
  try {
    const living = listEntries(folder).filter(({ path, isWhole, endsAt }) => {
      const isOver = endsAt + (isWhole ? 0 : ABANDONED_MS) < now
      if (isOver) removeQuietly(path)
      return !isOver
    })
    // Locks and drafts are not many, and are somebody's at this moment.
    const whole = living.filter(({ isWhole }) => isWhole)
    const excess = whole.toSorted((one, other) => one.endsAt - other.endsAt).slice(0, -MAX_ENTRIES)
    for (const { path } of excess) removeQuietly(path)
  } catch {
    // The folder went away, or cannot be listed: what is in it ends by itself.
  }
}

/** Our own files only: 32 hexadecimal digits, with an extension while they are drafts or locks. */
const OUR_NAME = /^[0-9a-f]{32}(?:\.[\w.]+)?$/

function listEntries(folder: string): readonly Entry[] {
  const entries: Entry[] = []
  const listing = opendirSync(folder)
  try {
    for (let seen = 0; seen < MAX_LISTED; seen += 1) {
      const found = listing.readSync()
      if (found === null) break
      const path = join(folder, found.name)
      const stat = OUR_NAME.test(found.name) ? lstatSync(path, { throwIfNoEntry: false }) : undefined
      if (stat !== undefined) entries.push({ path, isWhole: !found.name.includes('.'), endsAt: stat.mtimeMs })
    }
  } finally {
    listing.closeSync()
  }
  return entries
}

/** What cannot be removed now is removed, or overwritten, the next time. */
function removeQuietly(path: string): void {
  try {
    rmSync(path, { force: true })
  } catch {
    // A folder of that name, or a file system that became read-only.
  }
}
