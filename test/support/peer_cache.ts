// Where built peers are kept: one folder for each content, made once, moved into place whole. Two processes may ask
// for the same one at the same time; the second waits. Nothing is fetched when the folder is there.
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, open, readFile, readdir, rename, rm, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** Longest time one build may take before a waiting process stops waiting for it. */
const BUILD_LIMIT_MS = 20 * 60_000

/** `${SALLYPORT_CACHE:-$HOME/.cache/sallyport}/peers`. */
export function peerCacheRoot(env: NodeJS.ProcessEnv = process.env): string {
  return join(env['SALLYPORT_CACHE'] ?? join(homedir(), '.cache', 'sallyport'), 'peers')
}

/** SHA-256 over names and bytes of the files (all of `folder` if none is named), and of `more`, such as a tool's version. */
export async function contentKey(
  folder: string,
  more: readonly string[],
  names?: readonly string[],
): Promise<string> {
  const hash = createHash('sha256')
  for (const name of names ?? (await readdir(folder)).sort()) {
    hash
      .update(`${name}\0`)
      .update(await readFile(join(folder, name)))
      .update('\0')
  }
  for (const part of more) hash.update(`${part}\0`)
  return hash.digest('hex').slice(0, 24)
}

/**
 * The folder of `name` and `key`, made by `make` in an empty folder if it is not there yet. Atomic: a build that dies
 * leaves nothing that a later process would take for a finished one.
 */
export async function cachedFolder(
  name: string,
  key: string,
  make: (folder: string) => Promise<void>,
): Promise<string> {
  const root = peerCacheRoot()
  const folder = join(root, `${name}-${key}`)
  if (await exists(folder)) return folder
  await mkdir(root, { recursive: true })
  const unlock = await lock(`${folder}.lock`)
  try {
    if (await exists(folder)) return folder
    const scratch = await mkdtemp(join(root, `.${name}-`))
    try {
      await make(scratch)
      await rename(scratch, folder)
    } finally {
      await rm(scratch, { recursive: true, force: true })
    }
    return folder
  } finally {
    await unlock()
  }
}

/** A lock file with the holder's process id in it, so that the lock of a killed process is not waited for. */
async function lock(file: string): Promise<() => Promise<void>> {
  const deadline = Date.now() + BUILD_LIMIT_MS
  for (;;) {
    try {
      const handle = await open(file, 'wx')
      await handle.write(String(process.pid))
      await handle.close()
      return () => rm(file, { force: true })
    } catch (error) {
      if (!isCode(error, 'EEXIST')) throw error
    }
    if (await isAbandoned(file)) await rm(file, { force: true })
    else if (Date.now() > deadline) throw new Error(`waited too long for ${basename(file)}`)
    else await sleep(200)
  }
}

async function isAbandoned(file: string): Promise<boolean> {
  try {
    const pid = Number(await readFile(file, 'utf8'))
    // An empty file is a lock that is being written; it is old only if its writer died in between.
    if (pid === 0) return Date.now() - (await stat(file)).mtimeMs > 10_000
    process.kill(pid, 0)
    return false
  } catch (error) {
    return isCode(error, 'ESRCH')
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if (isCode(error, 'ENOENT')) return false
    throw error
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
