// When a signing key is published, signs, falls silent and leaves: publish, wait, sign, retire. Pure arithmetic over
// the stored ring; platform/keys/key_ring.ts carries it out. All replicas compute the switch from the same stored
// times, so nobody has to announce it. Times are milliseconds since the epoch, durations seconds.

export type SigningAlgorithm = 'ES256' | 'RS256'

export type RingKey = {
  readonly kid: string
  readonly algorithm: SigningAlgorithm
  /** Since when verifiers can fetch it. */
  readonly publishedAt: number
  readonly signsFrom: number
  /** Longest lifetime of a token that it may have signed; never lowered. */
  readonly maxTtlSeconds: number
  /** As stored, sealed or not, or which key of a signer elsewhere; `undefined` once it has signed its last token. */
  readonly privateKey: string | undefined
}

/** How `RingKey.privateKey` begins when the private key lies with a signer elsewhere: behind it, which one. */
export const elsewherePrefix = 'elsewhere:'

export function isElsewhere(key: Pick<RingKey, 'privateKey'>): boolean {
  return key.privateKey?.startsWith(elsewherePrefix) === true
}

export type RotationRules = {
  readonly algorithm: SigningAlgorithm
  /** For how long one key signs. */
  readonly rotationSeconds: number
  /** Longest lifetime of any token that this configuration can issue. */
  readonly maxTtlSeconds: number
  /** `undefined`: no signer elsewhere is configured. A key of one that signs all the same goes on: others have one. */
  readonly elsewhere?: ElsewhereRule | undefined
}

type ElsewhereRule =
  /** This key signs, and it is followed when the configuration names another one; none is made here. */
  | {
      readonly kind: 'named'
      readonly kid: string
      /** False for a key that was in the ring and left: it never comes back, whatever an old configuration says. */
      readonly mayJoin: boolean
    }
  /** Keys are made here again, and follow the one that signs elsewhere. */
  | { readonly kind: 'leave' }

/** The ring as it should be: `kept`, and one new key when `create` is there. */
export type RotationPlan<K extends RingKey> = {
  readonly kept: readonly K[]
  readonly create: KeyOrder | undefined
  /** Whether it differs from what is stored. */
  readonly changed: boolean
}

export type KeyOrder = Pick<RingKey, 'algorithm' | 'publishedAt' | 'signsFrom' | 'maxTtlSeconds'>

/** `Cache-Control: max-age` of our JWKS: long enough to be a cache, and above the 30 s below which it protects nothing. */
export const jwksMaxAgeSeconds = 90
/** How often a replica looks at the stored ring. */
export const ringRefreshSeconds = 10
/** Allowance for clocks, proxies in between and slow refreshes. */
const marginSeconds = 60
/** kube-apiserver keeps an accepted token for 10 s. */
const tokenCacheSeconds = 10

/** From publication to the first signature: by then every cache has been refilled and every replica serves the key. */
export const leadSeconds = jwksMaxAgeSeconds + ringRefreshSeconds + marginSeconds

const leadMs = leadSeconds * 1000

/** What to do with the ring now. Running it again at once changes nothing. */
export function planRotation<K extends RingKey>(
  keys: readonly K[],
  rules: RotationRules,
  now: number,
): RotationPlan<K> {
  const kept = tidy(keys, rules, now)
  const changed = kept.length !== keys.length || kept.some((key) => !keys.includes(key))
  const current = signingKeyAt(kept, now)
  const { elsewhere } = rules
  if (elsewhere?.kind === 'named' && (!elsewhere.mayJoin || kept.some(({ kid }) => kid === elsewhere.kid)))
    return { kept, create: undefined, changed }
  if (current === undefined) return { kept, create: orderAt(now, rules, now), changed: true }
  if (elsewhere?.kind === 'named') return { kept, create: lastInLine(kept, rules, now), changed: true }
  const next = nextKey(kept, current)
  if (next !== undefined || !isRotationDue(current, rules, now)) return { kept, create: undefined, changed }
  return { kept, create: orderAt(now + leadMs, rules, now), changed: true }
}

/** Publishes the next key now. When one is published already, that one is the answer and nothing changes. */
export function planNext<K extends RingKey>(
  keys: readonly K[],
  rules: RotationRules,
  now: number,
): RotationPlan<K> {
  const plan = planRotation(keys, rules, now)
  if (plan.create !== undefined || rules.elsewhere?.kind === 'named') return plan
  const current = signingKeyAt(plan.kept, now)
  if (current !== undefined && nextKey(plan.kept, current) !== undefined) return plan
  return { ...plan, create: orderAt(now + leadMs, rules, now), changed: true }
}

/**
 * Takes a key out at once: unpublished, never signs again. If it was signing, the published next key takes over now,
 * or a new one does, without the wait: tokens that some verifier refuses for a minute are the price of an emergency.
 */
export function planRevocation<K extends RingKey>(
  keys: readonly K[],
  kid: string,
  rules: RotationRules,
  now: number,
): RotationPlan<K> {
  const kept = keys.filter((key) => key.kid !== kid)
  if (kept.length === keys.length) return { kept, create: undefined, changed: false }
  const current = signingKeyAt(keys, now)
  if (current?.kid !== kid) return { kept, create: undefined, changed: true }
  const next = nextKey(keys, current)
  if (next === undefined) return { kept, create: orderAt(now, rules, now), changed: true }
  const promoted = kept.map((key) => (key.kid === next.kid ? startingAt(key, now) : key))
  return { kept: promoted, create: undefined, changed: true }
}

/**
 * One key more than `plan` leaves, one that no verifier can have met: whoever accepts it fetched the key set after `now`.
 * A promoted next key proves nothing, for it was served before. It takes its turn behind those that wait already.
 */
export function planFresh<K extends RingKey>(
  plan: RotationPlan<K>,
  rules: RotationRules,
  now: number,
): RotationPlan<K> {
  if (plan.create !== undefined) return plan
  return { ...plan, create: lastInLine(plan.kept, rules, now), changed: true }
}

function lastInLine(keys: readonly RingKey[], rules: RotationRules, now: number): KeyOrder {
  const last = Math.max(0, ...keys.map((key) => key.signsFrom))
  return orderAt(Math.max(now + leadMs, last + 1), rules, now)
}

/**
 * The key that signs at `now`: the latest whose time has come. If the clock jumped back before every start, the
 * earliest, since it is published and there is no better one.
 */
export function signingKeyAt<K extends RingKey>(keys: readonly K[], now: number): K | undefined {
  const able = inOrder(keys).filter((key) => key.privateKey !== undefined)
  return able.findLast((key) => key.signsFrom <= now) ?? able[0]
}

/** The key published to follow `current`. */
function nextKey<K extends RingKey>(keys: readonly K[], current: K): K | undefined {
  return followersOf(keys, current).find((key) => key.privateKey !== undefined)
}

/** Until when the public key is served; `undefined` while nothing follows it. */
export function publicUntil<K extends RingKey>(keys: readonly K[], key: K): number | undefined {
  const [follower] = followersOf(keys, key)
  if (follower === undefined) return undefined
  return follower.signsFrom + (key.maxTtlSeconds + tokenCacheSeconds + marginSeconds) * 1000
}

/** In order of signing; the tie-break makes all replicas agree. */
export function inOrder<K extends RingKey>(keys: readonly K[]): readonly K[] {
  return [...keys].sort((a, b) => a.signsFrom - b.signsFrom || (a.kid < b.kid ? -1 : 1))
}

function followersOf<K extends RingKey>(keys: readonly K[], key: RingKey): readonly K[] {
  const ordered = inOrder(keys)
  return ordered.slice(ordered.findIndex((other) => other.kid === key.kid) + 1)
}

function isRotationDue(current: RingKey, rules: RotationRules, now: number): boolean {
  if (isElsewhere(current)) return rules.elsewhere?.kind === 'leave' && now >= current.signsFrom + leadMs
  // A key signs for at least as long as its follower waits, or the ring would only ever grow.
  const signsForMs = Math.max(rules.rotationSeconds * 1000, 2 * leadMs)
  if (now >= current.signsFrom + signsForMs - leadMs) return true
  // Another algorithm is wanted: the same publish and wait, without waiting for the turn. A replica that is still on
  // the old configuration would want it back, hence at most one change for each lead.
  return current.algorithm !== rules.algorithm && now >= current.signsFrom + leadMs
}

function orderAt(signsFrom: number, rules: RotationRules, now: number): KeyOrder {
  return { algorithm: rules.algorithm, publishedAt: now, signsFrom, maxTtlSeconds: rules.maxTtlSeconds }
}

function tidy<K extends RingKey>(keys: readonly K[], rules: RotationRules, now: number): readonly K[] {
  const present = withoutFuture(keys, now)
  const current = signingKeyAt(present, now)
  return present
    .filter((key) => (publicUntil(present, key) ?? Infinity) > now)
    .map((key) => {
      if (isSilent(present, key, now)) return forgetPrivate(key)
      const mayStillSign = current !== undefined && key.signsFrom >= current.signsFrom
      return mayStillSign ? withTtl(key, rules.maxTtlSeconds) : key
    })
}

// A clock that jumped back leaves times that no key could have been given. Left alone, the newest key would sign until
// that future comes; so the whole ring moves back with the clock, its order and distances kept.
function withoutFuture<K extends RingKey>(keys: readonly K[], now: number): readonly K[] {
  const ahead = Math.max(0, ...keys.map((key) => key.signsFrom)) - (now + leadMs)
  if (ahead <= marginSeconds * 1000) return keys
  return keys.map((key) => movedBack(key, ahead))
}

function movedBack<K extends RingKey>(key: K, byMs: number): K {
  const publishedAt = Math.max(0, key.publishedAt - byMs)
  return { ...key, publishedAt, signsFrom: Math.max(0, key.signsFrom - byMs) }
}

function startingAt<K extends RingKey>(key: K, signsFrom: number): K {
  return { ...key, signsFrom }
}

// Its follower has signed for a minute, so no replica, however late its clock, needs this one.
function isSilent<K extends RingKey>(keys: readonly K[], key: K, now: number): boolean {
  const [follower] = followersOf(keys, key)
  if (follower === undefined || follower.privateKey === undefined) return false
  return now >= follower.signsFrom + marginSeconds * 1000
}

function forgetPrivate<K extends RingKey>(key: K): K {
  return key.privateKey === undefined ? key : { ...key, privateKey: undefined }
}

function withTtl<K extends RingKey>(key: K, maxTtlSeconds: number): K {
  return key.maxTtlSeconds >= maxTtlSeconds ? key : { ...key, maxTtlSeconds }
}
