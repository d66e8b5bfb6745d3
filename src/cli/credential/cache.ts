// Where a token is kept between two starts of kubectl, and how it is read. A home may be shared by jobs of different
// repositories, one after the other or at once, all as the same user, so file modes alone protect nothing: an entry is
// sealed with a key made of what only this job holds. Another job neither finds it nor can open it.
import { createDecipheriv, createHmac } from 'node:crypto'
import { closeSync, constants, fstatSync, lstatSync, openSync, readSync } from 'node:fs'
import { isAbsolute, join, resolve } from 'node:path'
import type { ExchangePlan } from '../exchange_plan.ts'
import { parseObject } from '../job_token/source.ts'
import type { Environment } from '../job_token/source.ts'

/** What is kept; `endsAt` and `keptAt` in milliseconds by this machine's clock. */
export type Kept =
  | { readonly kind: 'token'; readonly token: string; readonly endsAt: number; readonly keptAt: number }
  | { readonly kind: 'refused'; readonly message: string; readonly endsAt: number; readonly keptAt: number }

/** The place of one entry: which file, and the key that opens it. */
export type CacheSlot = { readonly folder: string; readonly name: string; readonly key: Buffer }

export const SEAL = {
  cipher: 'aes-256-gcm',
  ivBytes: 12,
  tagBytes: 16,
  format: 'sallyport-credential-1',
} as const
/** A token is at most 64 KB; twice that with everything around it. */
const MAX_BYTES = 128 * 1024
/** An entry from further in the future than this was written before the clock was set back: its times mean nothing. */
const CLOCK_STEP_MS = 60_000
/** kubectl must not find the time passed when it reads it: it would start the plugin anew for each of its requests. */
const LEAST_MS = 2000

/** The cache folder of this user; `undefined` without a home. A relative XDG_CACHE_HOME is to be ignored (XDG 0.8). */
export function cacheFolderOf(named: string | undefined, env: Environment, cwd: string): string | undefined {
  if (named !== undefined) return resolve(cwd, named)
  const caches = env['XDG_CACHE_HOME'] ?? ''
  if (isAbsolute(caches)) return join(caches, 'sallyport')
  const home = env['HOME'] ?? ''
  return isAbsolute(home) ? join(home, '.cache', 'sallyport') : undefined
}

/**
 * One slot for each broker, client and audience (and whatever else changes the answer) of each job. Name and key are
 * two halves of one HMAC over the request, keyed with what the job holds: neither tells the other.
 */
export function slotOf(plan: Omit<ExchangePlan, 'outputs'>, held: string, folder: string): CacheSlot {
  const { endpoint, ...asked } = plan.request
  const { clientId, clientAuth, jobAudience } = plan
  const request = JSON.stringify([SEAL.format, endpoint.href, asked, clientId, clientAuth, jobAudience])
  const derived = createHmac('sha512', held).update(request).digest()
  return { folder, name: derived.subarray(0, 16).toString('hex'), key: derived.subarray(32) }
}

/** Why this folder may not hold tokens; `undefined` when it may, or is not there yet. */
export function folderProblem(folder: string): string | undefined {
  try {
    const stat = lstatSync(folder, { throwIfNoEntry: false })
    if (stat === undefined) return undefined
    if (!stat.isDirectory()) return `${folder} is not a folder of its own (a link, a file)`
    if (isForeign(stat.uid)) return `${folder} belongs to another user`
    return isOpen(stat.mode) ? `${folder} is open to others: chmod 700 it` : undefined
  } catch (error) {
    return `${folder}: ${reasonOf(error)}`
  }
}

/** A file system's own word for what went wrong (ENOSPC, EACCES), or the message. */
export function reasonOf(error: unknown): string {
  if (error instanceof Error && 'code' in error) return String(error.code)
  return error instanceof Error ? error.message : String(error)
}

/**
 * What is kept there and still good at `now`; the folder has been checked. Everything else (absent, sealed by others, cut
 * off, too old) is nothing.
 */
export function readSlot(slot: CacheSlot, now: number): Kept | undefined {
  const sealed = readPrivateFile(join(slot.folder, slot.name))
  const kept = sealed === undefined ? undefined : unseal(sealed, slot.key)
  if (kept === undefined || kept.keptAt > now + CLOCK_STEP_MS) return undefined
  const leastMs = kept.kind === 'token' ? LEAST_MS : 1
  return kept.endsAt - now >= leastMs ? kept : undefined
}

function readPrivateFile(path: string): Buffer | undefined {
  try {
    const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    try {
      const stat = fstatSync(file)
      if (!stat.isFile() || isForeign(stat.uid) || isOpen(stat.mode)) return undefined
      if (stat.size < SEAL.ivBytes + SEAL.tagBytes || stat.size > MAX_BYTES) return undefined
      const bytes = Buffer.alloc(stat.size)
      return readSync(file, bytes) === stat.size ? bytes : undefined
    } finally {
      closeSync(file)
    }
  } catch {
    // Whatever is wrong with it, a new token is had by asking.
    return undefined
  }
}

function unseal(sealed: Buffer, key: Buffer): Kept | undefined {
  const { cipher, ivBytes, tagBytes, format } = SEAL
  const opening = createDecipheriv(cipher, key, sealed.subarray(0, ivBytes), { authTagLength: tagBytes })
  opening.setAAD(Buffer.from(format)).setAuthTag(sealed.subarray(ivBytes, ivBytes + tagBytes))
  try {
    const text = `${opening.update(sealed.subarray(ivBytes + tagBytes), undefined, 'utf8')}${opening.final('utf8')}`
    return toKept(parseObject(text))
  } catch {
    // Not written with this key, or not as it was written.
    return undefined
  }
}

function toKept(members: Readonly<Record<string, unknown>> | undefined): Kept | undefined {
  const { kind, endsAt, keptAt, token, message } = members ?? {}
  if (typeof endsAt !== 'number' || typeof keptAt !== 'number') return undefined
  if (kind === 'token' && typeof token === 'string') return { kind, token, endsAt, keptAt }
  if (kind === 'refused' && typeof message === 'string') return { kind, message, endsAt, keptAt }
  return undefined
}

function isForeign(uid: number): boolean {
  return process.getuid !== undefined && process.getuid() !== uid
}

/** Windows has no such bits. */
function isOpen(mode: number): boolean {
  return process.platform !== 'win32' && (mode & 0o077) !== 0
}
