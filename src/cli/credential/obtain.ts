// The way to the broker, for a token that is not kept: one process asks, those that wait beside it take what it got, and
// a refusal is kept for some seconds, since kubectl runs its plugin two or three times when it fails.
import { join } from 'node:path'
import type { CommandIo } from '../command.ts'
import { callExchange } from '../exchange_call.ts'
import type { ExchangeOutcome } from '../exchange_call.ts'
import type { ExchangePlan } from '../exchange_plan.ts'
import { parseObject } from '../job_token/source.ts'
import { isBrokersFault } from '../token_request.ts'
import type { IssuedToken, TokenRefusal } from '../token_request.ts'
import { readSlot } from './cache.ts'
import type { CacheSlot, Kept } from './cache.ts'
import { makeCacheFolder, tidyCache, writeSlot } from './cache_write.ts'
import { takeLock } from './file_lock.ts'

/** A token is not used in the last seconds of its life: the request must arrive, and clocks differ. */
const SKEW_MS = 30_000
/** No token of ours lives longer; what says so is not believed. */
const MAX_LIFETIME_MS = 24 * 60 * 60 * 1000
const REFUSAL_MS = 5000

export type Obtained =
  | { readonly kind: 'token'; readonly token: string; readonly endsAt: number | undefined }
  | { readonly kind: 'refused'; readonly message: string; readonly keptAt?: number }
  | { readonly kind: 'no_job_token'; readonly message: string }

/** Asks the broker, or takes what another process has got meanwhile. Throws as `callExchange`. */
export async function obtain(
  plan: ExchangePlan,
  slot: CacheSlot | undefined,
  io: CommandIo,
  warn: (text: string) => void,
): Promise<Obtained> {
  if (slot === undefined) return toObtained(await timed(plan, io), plan)
  const problem = makeCacheFolder(slot.folder)
  if (problem !== undefined) {
    warn(problem)
    return toObtained(await timed(plan, io), plan)
  }
  const isThere = (): boolean => readSlot(slot, io.clock()) !== undefined
  const lock = await takeLock(join(slot.folder, `${slot.name}.lock`), isThere, io)
  try {
    const other = readSlot(slot, io.clock())
    if (other !== undefined) return other
    const answer = await timed(plan, io)
    const kept = toKept(answer, plan)
    const unkept = kept === undefined ? undefined : writeSlot(slot, kept, io.randomBytes)
    if (unkept !== undefined) warn(unkept)
    tidyCache(slot.folder, io.clock())
    return toObtained(answer, plan)
  } finally {
    lock?.release()
  }
}

type Answer = { readonly outcome: ExchangeOutcome; readonly askedAt: number }

/** The lifetime counts from the question on: then it is too short rather than too long. */
async function timed(plan: ExchangePlan, io: CommandIo): Promise<Answer> {
  const askedAt = io.clock()
  return { outcome: await callExchange(plan, io), askedAt }
}

function toObtained({ outcome, askedAt }: Answer, plan: ExchangePlan): Obtained {
  switch (outcome.kind) {
    case 'issued':
      return { kind: 'token', token: outcome.issued.accessToken, endsAt: endOf(outcome.issued, askedAt) }
    case 'refused':
      return { kind: 'refused', message: sayRefused(outcome.refusal, plan) }
    case 'no_job_token': {
      const { message, wayOut } = outcome.problem
      return { kind: 'no_job_token', message: `no job token: ${message} -> ${wayOut}` }
    }
  }
}

function toKept(answer: Answer, plan: ExchangePlan): Kept | undefined {
  const { outcome, askedAt } = answer
  switch (outcome.kind) {
    case 'issued': {
      const endsAt = endOf(outcome.issued, askedAt)
      if (endsAt === undefined) return undefined
      return { kind: 'token', token: outcome.issued.accessToken, endsAt, keptAt: askedAt }
    }
    case 'refused': {
      // Only what the broker decided about this request; a broken one (5xx) may be well again.
      const { status } = outcome.refusal
      if (status < 400 || isBrokersFault({ status })) return undefined
      const message = sayRefused(outcome.refusal, plan)
      return { kind: 'refused', message, endsAt: askedAt + REFUSAL_MS, keptAt: askedAt }
    }
    case 'no_job_token':
      return undefined
  }
}

/**
 * When kubectl must ask again, by this machine's clock, which need not be the broker's: its answer says how many seconds
 * are left. Half of a life that is shorter than twice the skew. `undefined`: nobody knows, so it is not kept.
 */
function endOf(issued: IssuedToken, askedAt: number): number | undefined {
  const seconds = issued.expiresIn ?? lifetimeOf(issued.accessToken)
  if (seconds === undefined || seconds <= 0) return undefined
  const lifetime = Math.min(seconds * 1000, MAX_LIFETIME_MS)
  return askedAt + lifetime - Math.min(SKEW_MS, lifetime / 2)
}

function lifetimeOf(token: string): number | undefined {
  const claims = parseObject(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'))
  const { exp, iat } = claims ?? {}
  return typeof exp === 'number' && typeof iat === 'number' ? exp - iat : undefined
}

/** One line: kubectl prints it between its own. */
function sayRefused(refusal: TokenRefusal, plan: ExchangePlan): string {
  const { endpoint, audiences } = plan.request
  const place = audiences.length === 0 ? 'a token' : `a token for ${JSON.stringify(audiences.join(' '))}`
  const description = refusal.description === undefined ? '' : `: ${refusal.description}`
  const id = refusal.requestId === undefined ? '' : `, request id ${refusal.requestId}`
  if (isBrokersFault(refusal))
    return `failed: ${endpoint.host} could not answer (${refusal.error}${description}${id}); it has denied nothing: try again later`
  return (
    `denied: ${endpoint.host} gave no ${place.slice(2)} (${refusal.error}${description}${id}); ` +
    "the broker's audit log holds the reason under that id, and `sallyport explain --token FILE` shows it step by step"
  )
}
