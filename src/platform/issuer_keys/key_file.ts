// A JWKS that an operator put on disk, for an issuer that cannot be reached. Whoever may write that file says who may
// log in: it must not be everybody.
import { open } from 'node:fs/promises'
import type { Result } from '#core/result.ts'
import { FETCH_LIMITS } from '#platform/egress/bounded_fetch.ts'
import { readUsableKeys } from './key_document.ts'
import type { LoadedKeys } from './key_document.ts'

/** How soon a changed file is noticed. */
export const KEY_FILE_CHECK_SECONDS = 5
const WORLD_WRITABLE = 0o002

/** Reads and judges one opened file, so that what was checked is what is read. */
export async function loadKeyFile(path: string): Promise<Result<LoadedKeys, string>> {
  try {
    await using file = await open(path, 'r')
    const { mode, size } = await file.stat()
    if ((mode & WORLD_WRITABLE) !== 0) return { ok: false, denial: 'key file is world-writable' }
    if (size > FETCH_LIMITS.maxBodyBytes) return { ok: false, denial: 'key file too large' }
    const set = readUsableKeys(await file.readFile())
    return set.ok ? { ok: true, value: { set: set.value, maxAgeSeconds: KEY_FILE_CHECK_SECONDS } } : set
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
    return { ok: false, denial: `key file: ${code}` }
  }
}
