// The signing keys of the broker: kept in the store under one key, so that all replicas sign and publish alike. When
// which key does what is core/key_rotation.ts; this file reads, makes, opens and serves them.
import { createHash, createPublicKey } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import type { Clock, RandomBytes } from '#core/clock.ts'
import {
  inOrder,
  isElsewhere,
  planFresh,
  planNext,
  planRevocation,
  planRotation,
  publicUntil,
  ringRefreshSeconds,
  signingKeyAt,
} from '#core/key_rotation.ts'
import type { KeyOrder, RotationPlan, RotationRules, SigningAlgorithm } from '#core/key_rotation.ts'
import { jwksDocument } from '#core/public_jwk.ts'
import { inPlacePool } from '../crypto_pool.ts'
import type { CryptoPool } from '../crypto_pool.ts'
import type { SignerStatus } from '../remote_signer/guarded_signer.ts'
import type { SignerFailure } from '../remote_signer/remote_signer.ts'
import {
  elsewhereRule,
  goneKeyOf,
  joinRing,
  leftBehind,
  openElsewhere,
  readNamedKey,
} from '../remote_signer/ring_keys.ts'
import type { RemoteKeys } from '../remote_signer/ring_keys.ts'
import type { Store } from '../store/store.ts'
import { readExtraKeys } from './extra_keys.ts'
import type { ExtraKey } from './extra_keys.ts'
import { KeyFailure } from './key_failure.ts'
import { isSealed, makeKeyPair, packPrivateKey, readSealingKey, unpackPrivateKey } from './key_material.ts'
import type { Sealing } from './key_material.ts'
import { readRing, ringStoreKey, writeRing } from './ring_state.ts'
import type { StoredKey } from './ring_state.ts'
import { createSigner } from './signer.ts'
import type { SigningKey } from './signer.ts'

export type { SigningKey } from './signer.ts'

export interface KeyRing {
  /** The key that signs now. */
  current(): SigningKey
  /**
   * Every key that a verifier may meet, the newest first: the same bytes for the same keys, whichever of them signs. So
   * the hash by which a kube-apiserver names the set that it holds stays ours until a key comes or goes.
   */
  jwks(): JwksDocument
  /** Of any published key, extra ones included. */
  publicKey(kid: string): KeyObject | undefined
  /** Algorithms of published keys, the signing one's first. */
  algorithms(): readonly string[]
  /** In order: signing, next, retired, extra. */
  list(): readonly KeyDescription[]
  /** Publishes the next key now and says when it will sign. */
  rotate(): Promise<KeyDescription>
  /** Unpublishes a key of ours at once and switches if it signed. False when there is no such key. */
  revoke(kid: string): Promise<boolean>
  /**
   * Publishes a key that no verifier can have met, and takes `revoked` out in the same step. `undefined`, and nothing
   * done, when `revoked` is no key of ours.
   */
  publishFresh(revoked: string | undefined): Promise<SigningKey | undefined>
  /** A key of ours that can still sign, whether or not it is its turn. */
  signer(kid: string): SigningKey | undefined
  /** A new configuration issues longer tokens: from now on old keys stay public for as long. Rejects as `refresh`. */
  lengthenTokens(maxTokenTtlSeconds: number): Promise<void>
  /** Reads the store and does what is due. Rejects with StoreFailure or KeyFailure; the held keys stay in use. */
  refresh(): Promise<void>
  /** Why the signer elsewhere would refuse a signature at once; `undefined` where it would not, or the key lies here. */
  refusal(): SignerFailure | undefined
  /** `undefined`: no signer elsewhere is configured. */
  signerStatus(): SignerStatus | undefined
  /** Calls back after the set of keys or the signing key changed. */
  onChange(callback: () => void): void
  close(): void
}

type JwksDocument = { readonly body: string; readonly etag: string }

export type KeyDescription = {
  readonly kid: string
  readonly algorithm: string
  readonly state: 'signing' | 'next' | 'retired' | 'extra'
  /** Milliseconds since the epoch; `undefined` for extra keys, and where nothing follows. */
  readonly publishedAt: number | undefined
  readonly signsFrom: number | undefined
  readonly publicUntil: number | undefined
}

export type KeyRingDeps = {
  readonly store: Store
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  readonly config: {
    readonly algorithm: SigningAlgorithm
    readonly rotationSeconds: number
    readonly sealingKeyFile: string | undefined
    readonly extraPublicKeysFile: string | undefined
  }
  /** Longest lifetime of any token that the configuration can issue. */
  readonly maxTokenTtlSeconds: number
  readonly log: KeyRingLog
  /** 10 s by default; 0: nobody refreshes but the caller. */
  readonly refreshSeconds?: number
  /** Whether the time here is not that of the other replicas: then nothing is planned by it. */
  readonly isClockOff?: () => boolean
  /** Where signatures are made; in place by default. */
  readonly pool?: CryptoPool
  /** A signer elsewhere. Closed with the ring. */
  readonly remote?: RemoteKeys | undefined
}

/** The part of a pino logger that is used. */
type KeyRingLog = {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

/** By a clock that is off, keys would come too early for the others, or be taken from them. Where there is none, one is made. */
const planNothing: Plan = (stored, rules, now) =>
  stored.length === 0 ? planRotation(stored, rules, now) : { kept: stored, create: undefined, changed: false }

/** Replicas that change the ring at the same moment; each round one of them wins. */
const maxAttempts = 10

/** Opens the ring; makes the first key, which signs at once. Rejects with KeyFailure or StoreFailure. */
export async function openKeyRing(deps: KeyRingDeps): Promise<KeyRing> {
  const { store, clock, config, log, remote } = deps
  let maxTtlSeconds = deps.maxTokenTtlSeconds
  const sealing: Sealing =
    config.sealingKeyFile === undefined
      ? undefined
      : { key: await readSealingKey(config.sealingKeyFile), randomBytes: deps.randomBytes }
  const extra =
    config.extraPublicKeysFile === undefined ? [] : await readExtraKeys(config.extraPublicKeysFile)
  const pool = deps.pool ?? inPlacePool
  const named = await readNamedKey(remote, config.algorithm)
  const listeners: (() => void)[] = []
  let opened: ReadonlyMap<string, OpenedKey> = new Map()
  let text: string | undefined
  let keys: readonly StoredKey[] = []
  let view: RingView | undefined
  let tail: Promise<unknown> = Promise.resolve()

  /** One change after the other in this process; between processes compare-and-set decides. */
  function update(plan: Plan): Promise<Updated> {
    const result = tail.then(async () => tryUpdate(plan))
    // The caller is told through `result`; a change that failed must not hold up the next one.
    tail = result.catch(() => {})
    return result
  }

  async function tryUpdate(plan: Plan): Promise<Updated> {
    for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
      const found = await store.get(ringStoreKey)
      // A store that lost the ring gets it back: the tokens out there are signed with these keys.
      const stored = readRing(found ?? text ?? writeRing([]))
      const rules = await rulesFor(stored)
      const planned = plan(stored, rules, clock())
      const resealed = planned.kept.map((key) => reseal(key, sealing))
      const changed =
        planned.changed || found === undefined || resealed.some((key) => !planned.kept.includes(key))
      const made =
        planned.create === undefined
          ? undefined
          : rules.elsewhere?.kind === 'named'
            ? joinRing(planned.create, named, rules.elsewhere, stored)
            : await make(planned.create, sealing)
      const next = made === undefined ? resealed : [...resealed, made]
      // Opened before it is written: what this process cannot open it must not spread.
      const openedNext = open(next)
      const nextText = changed ? writeRing(next) : found
      // Before it is gone: nobody who finds it missing may find it welcome.
      for (const kid of leftBehind(stored, next)) await store.put(goneKeyOf(kid), '')
      if (changed && !(await store.compareAndSet(ringStoreKey, found, nextText))) continue
      text = nextText
      keys = next
      opened = openedNext
      show(clock())
      return { changed: planned.changed, made: made?.kid }
    }
    throw new KeyFailure('the key ring is being changed by others all the time')
  }

  const wasThere = async (kid: string): Promise<boolean> => (await store.get(goneKeyOf(kid))) !== undefined

  async function rulesFor(stored: readonly StoredKey[]): Promise<RotationRules> {
    const elsewhere = await elsewhereRule(remote, named, stored, wasThere)
    return { ...config, maxTtlSeconds, elsewhere }
  }

  function open(next: readonly StoredKey[]): ReadonlyMap<string, OpenedKey> {
    const clash = extra.find((other) => next.some((key) => key.kid === other.kid))
    if (clash !== undefined) throw new KeyFailure(`extra public keys: ${clash.kid} is a key of this broker`)
    return new Map(next.map((key) => [key.kid, reopen(opened.get(key.kid), key, sealing, pool, remote)]))
  }

  /** Makes what is served and signed with from the keys and the time. */
  function show(now: number): RingView {
    const next = viewOf(keys, opened, extra, now)
    const before = view
    view = before?.jwks.etag === next.jwks.etag ? { ...next, jwks: before.jwks } : next
    if (before !== undefined && (before.signer !== next.signer || before.jwks.etag !== next.jwks.etag)) {
      log.info(
        { kid: next.signer.kid, algorithm: next.signer.algorithm, keys: keys.length },
        'signing keys changed',
      )
      for (const callback of listeners) callback()
    }
    return view
  }

  function present(): RingView {
    const now = clock()
    if (view === undefined || now < view.from || now >= view.until) return show(now)
    return view
  }

  const refresh = async (): Promise<void> => {
    // Asked when the plan is made and not before: the store may have taken its time, and the clock may have been set.
    await update((...given) => (deps.isClockOff?.() === true ? planNothing : planRotation)(...given))
  }
  await refresh()

  const seconds = deps.refreshSeconds ?? ringRefreshSeconds
  const timer =
    seconds === 0 ? undefined : setInterval(() => void refresh().catch(warn), seconds * 1000).unref()
  const warn = (error: unknown): void =>
    log.warn({ error: error instanceof Error ? error.message : String(error) }, 'signing keys not refreshed')

  return {
    current: () => present().signer,
    jwks: () => present().jwks,
    publicKey: (kid) => opened.get(kid)?.publicKey ?? extra.find((key) => key.kid === kid)?.publicKey,
    algorithms: () => present().algorithms,
    list: () => describe(keys, extra, clock()),
    async rotate() {
      await update(planNext)
      const next = describe(keys, extra, clock()).find((key) => key.state === 'next')
      if (next !== undefined) return next
      throw new KeyFailure(
        'no next key: keys of a signer elsewhere are rotated by naming another one under keys.signer.key',
      )
    },
    revoke: async (kid) =>
      (await update((stored, rules, now) => planRevocation(stored, kid, rules, now))).changed,
    async publishFresh(revoked) {
      if (remote?.key !== undefined)
        throw new KeyFailure('keys of a signer elsewhere are not made here, so none of them can be fresh')
      const { made } = await update((stored, rules, now) => {
        const plan =
          revoked === undefined
            ? planRotation(stored, rules, now)
            : planRevocation(stored, revoked, rules, now)
        return revoked !== undefined && !plan.changed ? plan : planFresh(plan, rules, now)
      })
      return made === undefined ? undefined : opened.get(made)?.signer
    },
    signer: (kid) => opened.get(kid)?.signer,
    async lengthenTokens(maxTokenTtlSeconds) {
      if (maxTokenTtlSeconds <= maxTtlSeconds) return
      maxTtlSeconds = maxTokenTtlSeconds
      await refresh()
    },
    refusal: () => opened.get(present().signer.kid)?.refusal(),
    signerStatus: () => remote?.signer?.status(),
    refresh,
    onChange: (callback) => void listeners.push(callback),
    close() {
      clearInterval(timer)
      remote?.signer?.close()
    },
  }
}

type Plan = (stored: readonly StoredKey[], rules: RotationRules, now: number) => RotationPlan<StoredKey>

type Updated = {
  readonly changed: boolean
  /** Kid of the key that was made for it. */
  readonly made: string | undefined
}

type OpenedKey = {
  readonly stored: StoredKey
  readonly publicKey: KeyObject
  readonly signer: SigningKey | undefined
  readonly refusal: () => SignerFailure | undefined
}

type RingView = {
  readonly signer: SigningKey
  readonly jwks: JwksDocument
  readonly algorithms: readonly string[]
  /** It holds while from <= now < until. */
  readonly from: number
  readonly until: number
}

function viewOf(
  keys: readonly StoredKey[],
  opened: ReadonlyMap<string, OpenedKey>,
  extra: readonly ExtraKey[],
  now: number,
): RingView {
  const current = signingKeyAt(keys, now)
  const signer = current === undefined ? undefined : opened.get(current.kid)?.signer
  if (current === undefined || signer === undefined) throw new KeyFailure('no key to sign with')
  const newestFirst = inOrder(keys).toReversed()
  const own = newestFirst.map((key) => ({ kid: key.kid, alg: key.algorithm, jwk: key.jwk }))
  const published = [...own, ...extra]
  const body = jwksDocument(published)
  const etag = `"${createHash('sha256').update(body).digest('base64url')}"`
  const starts = keys.map((key) => key.signsFrom)
  return {
    signer,
    jwks: { body, etag },
    algorithms: [...new Set([current.algorithm, ...published.map((key) => key.alg)])],
    from: Math.max(0, ...starts.filter((start) => start <= now)),
    until: Math.min(Infinity, ...starts.filter((start) => start > now)),
  }
}

async function make(order: KeyOrder, sealing: Sealing): Promise<StoredKey> {
  const { kid, jwk, privateKey } = await makeKeyPair(order.algorithm)
  return { kid, ...order, privateKey: packPrivateKey(kid, privateKey, sealing), jwk }
}

/** The key as it was opened before, when what is stored of it is still the same. */
function reopen(
  known: OpenedKey | undefined,
  key: StoredKey,
  sealing: Sealing,
  pool: CryptoPool,
  remote: RemoteKeys | undefined,
): OpenedKey {
  const { kid, algorithm, jwk } = key
  if (known?.stored.privateKey === key.privateKey && known?.stored.algorithm === algorithm) return known
  const publicKey = createPublicKey({ key: { ...jwk }, format: 'jwk' })
  if (key.privateKey === undefined) return { stored: key, publicKey, signer: undefined, refusal }
  const elsewhere = openElsewhere(key, publicKey, remote)
  if (elsewhere !== undefined) return { stored: key, publicKey, ...elsewhere }
  const privateKey = unpackPrivateKey(kid, algorithm, key.privateKey, sealing)
  return { stored: key, publicKey, signer: createSigner({ kid, algorithm, privateKey }, pool), refusal }
}

/** A key of our own signs whenever it is asked. */
const refusal = (): undefined => undefined

/** Seals a key that was stored before a sealing key was configured. */
function reseal(key: StoredKey, sealing: Sealing): StoredKey {
  if (sealing === undefined || key.privateKey === undefined || isSealed(key.privateKey)) return key
  if (isElsewhere(key)) return key
  const privateKey = unpackPrivateKey(key.kid, key.algorithm, key.privateKey, undefined)
  return { ...key, privateKey: packPrivateKey(key.kid, privateKey, sealing) }
}

function describe(
  keys: readonly StoredKey[],
  extra: readonly ExtraKey[],
  now: number,
): readonly KeyDescription[] {
  const current = signingKeyAt(keys, now)
  const others = inOrder(keys).filter((key) => key !== current)
  // One as a rule; more after a flush.
  const waiting = others.filter((key) => key.signsFrom > now && key.privateKey !== undefined)
  const retired = others.filter((key) => !waiting.includes(key))
  const described = [...(current === undefined ? [] : [current]), ...waiting, ...retired].map((key) => ({
    kid: key.kid,
    algorithm: key.algorithm,
    state:
      key === current
        ? ('signing' as const)
        : waiting.includes(key)
          ? ('next' as const)
          : ('retired' as const),
    publishedAt: key.publishedAt,
    signsFrom: key.signsFrom,
    publicUntil: publicUntil(keys, key),
  }))
  const unknown = { publishedAt: undefined, signsFrom: undefined, publicUntil: undefined }
  return [
    ...described,
    ...extra.map((key) => ({ kid: key.kid, algorithm: key.alg, state: 'extra' as const, ...unknown })),
  ]
}
