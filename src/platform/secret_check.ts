// Checks client secrets against their hashes: SHA-256 in place, scrypt on the thread pool, few at a time and with a
// bounded queue, so that guessing cannot starve signing.
import { createHmac, scrypt } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Clock, RandomBytes } from '#core/clock.ts'
import {
  constantTimeEqual,
  formatScrypt,
  hashGeneratedSecret,
  matchesSha256,
  parsePhc,
  saltBytes,
  scryptCost,
  scryptHashBytes,
} from '#core/secret_hash.ts'
import type { PhcHash, SecretHashKind } from '#core/secret_hash.ts'

export interface SecretCheck {
  /**
   * Whether `secret` is behind one of `hashes` (one, or two while it is rotated). Every SHA-256 is compared, also after
   * a match. Rejects with SecretCheckBusy when too many scrypt checks wait.
   */
  verify(secret: string, hashes: readonly string[]): Promise<boolean>

  /** Costs what a wrong secret of a known client costs; for clients that do not exist. */
  dummy(secret: string): Promise<void>
}

export type SecretCheckDeps = {
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  /** Which kind an unknown client pretends to have: `dummyKindOf` of all configured hashes. */
  readonly dummyKind: SecretHashKind
  /** Scrypt checks at once. 1 by default: each takes 32 MiB and one thread of a pool that also signs. */
  readonly maxConcurrent?: number
  /** Scrypt checks that may wait. 32 by default: some 3 s of waiting, then a refusal is kinder. */
  readonly maxQueued?: number
}

/** Too many scrypt checks wait: nothing was decided about the secret. Answered 503 with Retry-After. */
export class SecretCheckBusy extends Error {
  readonly code = 'SALLYPORT_BUSY'
  constructor() {
    super('too many client secrets wait to be checked')
    this.name = 'SecretCheckBusy'
  }
}

/** Longer secrets cannot match: the limit keeps hashing cheap. */
const maxSecretBytes = 4096

/**
 * `scrypt` as soon as one client has it. Where both kinds are configured an unknown client is then as slow as the slow
 * ones; only a client with a generated secret can be told from it, and that its id exists is all one learns.
 */
export function dummyKindOf(hashes: Iterable<string>): SecretHashKind {
  for (const text of hashes) if (parsePhc(text)?.kind === 'scrypt') return 'scrypt'
  return 'sha256'
}

/** The scrypt PHC string of a secret that a person chose. */
export async function hashChosenSecret(secret: string, randomBytes: RandomBytes): Promise<string> {
  const salt = randomBytes(saltBytes)
  const blank = {
    kind: 'scrypt',
    cost: scryptCost,
    salt: Buffer.from(salt),
    hash: Buffer.alloc(scryptHashBytes),
  } as const
  return formatScrypt(scryptCost, salt, await deriveScrypt(secret, blank))
}

export function createSecretCheck(deps: SecretCheckDeps): SecretCheck {
  const run = createQueue(deps.maxConcurrent ?? 1, deps.maxQueued ?? 32)
  // Successes only, by a keyed hash of hash and secret: a job that asks again within five minutes does not pay 80 ms
  // again, a guess always pays, and memory holds nothing from which a secret could be computed. The hash is part of
  // the key, so a secret taken out of the configuration stops working at once.
  const processKey = deps.randomBytes(32)
  const succeeded = new LRUCache<string, true>({
    max: 1000,
    ttl: 300_000,
    perf: { now: deps.clock },
    ttlResolution: 0,
  })
  const dummyHash = parsePhc(dummyPhc(deps))
  // The texts come from the configuration and from nowhere else, so there are as many as it has.
  const parsed = new Map<string, PhcHash | undefined>()
  const parse = (text: string): PhcHash | undefined => {
    if (!parsed.has(text)) parsed.set(text, parsePhc(text))
    return parsed.get(text)
  }

  async function matchesScrypt(secret: string, phc: ScryptHash, text: string): Promise<boolean> {
    const key = createHmac('sha256', processKey).update(`${text}\0${secret}`).digest('base64')
    if (succeeded.get(key) === true) return true
    const derived = await run(async () => deriveScrypt(secret, phc))
    if (!constantTimeEqual(derived, phc.hash)) return false
    succeeded.set(key, true)
    return true
  }

  return {
    async verify(secret, hashes) {
      if (Buffer.byteLength(secret) > maxSecretBytes) return false
      let matched = false
      for (const text of hashes) {
        const phc = parse(text)
        if (phc?.kind === 'sha256') matched = matchesSha256(secret, phc) || matched
        if (phc?.kind === 'scrypt' && !matched) matched = await matchesScrypt(secret, phc, text)
      }
      return matched
    },
    async dummy(secret) {
      if (Buffer.byteLength(secret) > maxSecretBytes) return
      if (dummyHash?.kind === 'sha256') matchesSha256(secret, dummyHash)
      if (dummyHash?.kind === 'scrypt') await matchesScrypt(secret, dummyHash, 'dummy')
    },
  }
}

type ScryptHash = Extract<PhcHash, { kind: 'scrypt' }>

function dummyPhc(deps: SecretCheckDeps): string {
  const salt = deps.randomBytes(saltBytes)
  if (deps.dummyKind === 'scrypt') return formatScrypt(scryptCost, salt, deps.randomBytes(scryptHashBytes))
  return hashGeneratedSecret(Buffer.from(deps.randomBytes(32)).toString('base64'), salt)
}

function deriveScrypt(secret: string, phc: ScryptHash): Promise<Buffer> {
  const options = { N: 2 ** phc.cost.ln, r: phc.cost.r, p: phc.cost.p, maxmem: 160 * 2 ** 20 }
  return new Promise((resolve, reject) => {
    scrypt(secret, phc.salt, phc.hash.length, options, (error, key) =>
      error === null ? resolve(key) : reject(error),
    )
  })
}

/** Runs at most `maxConcurrent` jobs at once, first come first served; the one after `maxQueued` is refused. */
function createQueue(maxConcurrent: number, maxQueued: number): <T>(job: () => Promise<T>) => Promise<T> {
  let running = 0
  const waiting: (() => void)[] = []
  return async (job) => {
    if (running >= maxConcurrent) {
      if (waiting.length >= maxQueued) throw new SecretCheckBusy()
      // Whoever finishes hands its place over, so `running` does not change here.
      await new Promise<void>((resolve) => waiting.push(resolve))
    } else running += 1
    try {
      return await job()
    } finally {
      const next = waiting.shift()
      if (next === undefined) running -= 1
      else next()
    }
  }
}
