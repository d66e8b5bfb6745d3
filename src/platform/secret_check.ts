// Checks client secrets against their hashes: SHA-256 in place, scrypt on the thread pool, few at a time and with a
// bounded queue in which clients take turns, so that guessing starves neither signing nor the other clients.
import { createHmac, scrypt as deriveKey } from 'node:crypto'
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
import type { PhcHash } from '#core/secret_hash.ts'
import { createFairQueue } from './fair_queue.ts'

export interface SecretCheck {
  /**
   * Whether `secret` is behind one of `hashes` (one, or two while it is rotated). Every SHA-256 is compared, also after
   * a match. A wrong secret costs the same at each client: of each kind and cost as many checks as the client with the most
   * of them has. Rejects with SecretCheckBusy when too many scrypt checks wait.
   */
  verify(secret: string, hashes: readonly string[]): Promise<boolean>

  /** Costs what a wrong secret costs; for clients that do not exist, or that have no secret. Rejects as `verify`. */
  dummy(secret: string): Promise<unknown>

  /** The same for other clients, after a reload: with the same queue, and what was checked is not checked again. */
  withClients(clients: SecretCheckDeps['clients']): SecretCheck
}

export type SecretCheckDeps = {
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  /** The hashes of each client there is. */
  readonly clients: readonly (readonly string[])[]
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
  return checkFor(deps.clients, deps.randomBytes, createScryptRuns(deps))
}

type ScryptRuns = {
  readonly matches: (secret: string, hash: Known<ScryptHash>, lane: string) => Promise<boolean>
  readonly waste: (secret: string, decoy: ScryptHash, lane: string) => Promise<void>
}

/** What outlives the configured clients: one queue, and the memory of what was right. */
function createScryptRuns(deps: SecretCheckDeps): ScryptRuns {
  const run = createFairQueue({
    maxConcurrent: deps.maxConcurrent ?? 1,
    maxQueued: deps.maxQueued ?? 32,
    refusal: () => new SecretCheckBusy(),
  })
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
  return {
    async matches(secret, { text, phc }, lane) {
      const key = createHmac('sha256', processKey).update(`${text}\0${secret}`).digest('base64')
      if (succeeded.get(key) === true) return true
      const derived = await run(lane, async () => deriveScrypt(secret, phc))
      if (!constantTimeEqual(derived, phc.hash)) return false
      succeeded.set(key, true)
      return true
    },
    async waste(secret, decoy, lane) {
      await run(lane, async () => deriveScrypt(secret, decoy))
    },
  }
}

function checkFor(
  clients: SecretCheckDeps['clients'],
  randomBytes: RandomBytes,
  scrypt: ScryptRuns,
): SecretCheck {
  const decoys = makeDecoys(clients, randomBytes)
  // The texts come from the configuration and the decoys, so there are as many as those have.
  const parsed = new Map<string, PhcHash | undefined>()
  const parse = (text: string): PhcHash | undefined => {
    if (!parsed.has(text)) parsed.set(text, parsePhc(text))
    return parsed.get(text)
  }

  /** What a wrong secret has not cost yet, after these hashes. */
  async function payRest(secret: string, lane: string, { fast, slow }: KnownHashes): Promise<void> {
    for (const decoy of decoys.fast.slice(fast.length)) matchesSha256(secret, decoy)
    for (const { decoy, count } of decoys.slow) {
      const paid = slow.filter(({ phc }) => isSameCost(phc, decoy)).length
      for (let due = paid; due < count; due += 1) await scrypt.waste(secret, decoy, lane)
    }
  }

  /** One way for secrets of clients that exist and for those of ones that do not: what it costs tells nothing. */
  async function matches(secret: string, hashes: readonly string[], lane: string): Promise<boolean> {
    if (Buffer.byteLength(secret) > maxSecretBytes) return false
    const known = byKind(hashes, parse)
    let matched = false
    for (const { phc } of known.fast) matched = matchesSha256(secret, phc) || matched
    if (matched) return true
    for (const hash of known.slow) if (await scrypt.matches(secret, hash, lane)) return true
    await payRest(secret, lane, known)
    return false
  }

  return {
    // A client's hashes are its own, so they name its lane as well as its id does.
    verify: (secret, hashes) => matches(secret, hashes, hashes[0] ?? decoyLane),
    dummy: (secret) => matches(secret, decoys.texts, decoyLane),
    withClients: (others) => checkFor(others, randomBytes, scrypt),
  }
}

/**
 * One lane for all clients that do not exist: guesses at them hold up one another and nobody else. Whoever crowds it
 * can tell from his waiting which ids are in it; ids are no secrets, and the clients' service is worth more.
 */
const decoyLane = 'decoys'

type Sha256Hash = Extract<PhcHash, { kind: 'sha256' }>
type ScryptHash = Extract<PhcHash, { kind: 'scrypt' }>
type Known<Hash> = { readonly text: string; readonly phc: Hash }
type KnownHashes = {
  readonly fast: readonly Known<Sha256Hash>[]
  readonly slow: readonly Known<ScryptHash>[]
}

function byKind(texts: readonly string[], parse: (text: string) => PhcHash | undefined): KnownHashes {
  const fast: Known<Sha256Hash>[] = []
  const slow: Known<ScryptHash>[] = []
  for (const text of texts) {
    const phc = parse(text)
    if (phc?.kind === 'sha256') fast.push({ text, phc })
    if (phc?.kind === 'scrypt') slow.push({ text, phc })
  }
  return { fast, slow }
}

type Decoys = {
  /** `fast` as the configuration would say them. */
  readonly texts: readonly string[]
  readonly fast: readonly Sha256Hash[]
  /** One for each cost that some client's hash has. */
  readonly slow: readonly { readonly decoy: ScryptHash; readonly count: number }[]
}

/** Hashes of nobody's secret: as many SHA-256, and as many scrypt of each cost, as the client with the most of them has. */
function makeDecoys(clients: SecretCheckDeps['clients'], randomBytes: RandomBytes): Decoys {
  const salt = Buffer.from(randomBytes(saltBytes))
  const hash = Buffer.from(randomBytes(scryptHashBytes))
  const known = clients.map((hashes) => byKind(hashes, parsePhc))
  const mostFast = known.reduce((most, { fast }) => Math.max(most, fast.length), 0)
  const texts = Array.from({ length: mostFast }, () =>
    hashGeneratedSecret(Buffer.from(randomBytes(32)).toString('base64'), salt),
  )
  const slow: { decoy: ScryptHash; count: number }[] = []
  for (const { slow: own } of known) {
    for (const { phc } of own) {
      const count = own.filter((other) => isSameCost(other.phc, phc)).length
      const most = slow.find(({ decoy }) => isSameCost(decoy, phc))
      if (most === undefined) slow.push({ decoy: { kind: 'scrypt', cost: phc.cost, salt, hash }, count })
      else most.count = Math.max(most.count, count)
    }
  }
  return { texts, fast: byKind(texts, parsePhc).fast.map(({ phc }) => phc), slow }
}

function isSameCost({ cost: left }: ScryptHash, { cost: right }: ScryptHash): boolean {
  return left.ln === right.ln && left.r === right.r && left.p === right.p
}

function deriveScrypt(secret: string, phc: ScryptHash): Promise<Buffer> {
  const options = { N: 2 ** phc.cost.ln, r: phc.cost.r, p: phc.cost.p, maxmem: 160 * 2 ** 20 }
  return new Promise((resolve, reject) => {
    deriveKey(secret, phc.salt, phc.hash.length, options, (error, key) =>
      error === null ? resolve(key) : reject(error),
    )
  })
}
