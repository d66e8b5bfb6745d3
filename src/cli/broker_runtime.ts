// Puts the broker's parts together for the commands that need them: serve, explain, keys. The order of opening is the
// order of closing, backwards.
import type { Clock, RandomBytes } from '#core/clock.ts'
import { emergencyEvent } from '#core/audit_event.ts'
import { openAuditSink } from '#platform/audit_sink.ts'
import type { AuditSink } from '#platform/audit_sink.ts'
import { openClockWatch } from '#platform/clock_watch.ts'
import type { ClockWatch } from '#platform/clock_watch.ts'
import { createCryptoPool, inPlacePool } from '#platform/crypto_pool.ts'
import type { CryptoPool } from '#platform/crypto_pool.ts'
import { startSignatureThread } from '#platform/signature_thread/signature_thread.ts'
import { createLoadGauge } from '#platform/load_gauge.ts'
import type { LoadGauge } from '#platform/load_gauge.ts'
import { createIssuerKeysRegistry } from '#platform/issuer_keys/registry.ts'
import type { IssuerKeysEvent } from '#platform/issuer_keys/issuer_keys.ts'
import type { IssuerKeysRegistry } from '#platform/issuer_keys/registry.ts'
import { KeyFailure } from '#platform/keys/key_failure.ts'
import { openKeyRing } from '#platform/keys/key_ring.ts'
import type { KeyRing } from '#platform/keys/key_ring.ts'
import { openLeverBook } from '#platform/levers/lever_book.ts'
import type { LeverBook } from '#platform/levers/lever_book.ts'
import type { Log } from '#platform/log.ts'
import { createMetrics } from '#platform/metrics.ts'
import type { Metrics } from '#platform/metrics.ts'
import type { GuardedSigner } from '#platform/remote_signer/guarded_signer.ts'
import { createRandomBytes } from '#platform/random.ts'
import { openKubeStore } from '#platform/store/kube_store.ts'
import { createMemoryStore } from '#platform/store/memory_store.ts'
import { openPostgresStore } from '#platform/store/postgres_store.ts'
import { openSqliteStore } from '#platform/store/sqlite_store.ts'
import type { Store } from '#platform/store/store.ts'
import { createSubjectVerifier } from '#platform/subject_verifier.ts'
import { openTraces } from '#platform/tracing/open_traces.ts'
import { createUpstreamLookups } from '#platform/upstream_lookups.ts'
import type { BrokerConfig, StoreConfig } from '../broker/config/broker_config.ts'
import type { BrokerParts } from '../broker/live_broker.ts'
import { openSigner } from './open_signer.ts'

export type Runtime = {
  readonly parts: BrokerParts
  readonly issuers: IssuerKeysRegistry
  /** Listeners tell it of their connections. */
  readonly gauge: LoadGauge
  readonly close: () => Promise<void>
}

export type World = {
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  readonly log: Log
  readonly version: string
  /** Whether other processes write into the same audit destination; false by default. */
  readonly sharesAudit?: boolean
  /** False on one core, and where other processes keep every core busy: then threads only add their hand-over. True by default. */
  readonly hasSpareCore?: boolean
}

/** Rejects with StoreFailure, KeyFailure or AuditFailure; what was opened before is closed again. */
export async function openRuntime(config: BrokerConfig, world: World): Promise<Runtime> {
  const { clock, randomBytes, log } = world
  const gauge = createLoadGauge()
  // First: it opens nothing that would have to be closed again.
  const traces = await openTraces({ env: process.env, version: world.version, log })
  const audit = openAuditSink({
    destination: config.audit.destination,
    isIdle: gauge.isIdle,
    isShared: world.sharesAudit === true,
  })
  const store = await openStore(config.store, world).catch((error: unknown) => {
    audit.close()
    throw error
  })
  const pool =
    world.hasSpareCore === false
      ? inPlacePool
      : createCryptoPool({
          isIdle: gauge.isIdle,
          startThread: () =>
            startSignatureThread((error) =>
              log.error({ err: error }, 'the signature thread is lost, slower threads do its work'),
            ),
        })
  const clockWatch = await openWatch(store, world).catch(async (error: unknown) => {
    pool.close()
    await store.close()
    audit.close()
    throw error
  })
  const metrics = createMetrics(world.version)
  const isClockOff = (): boolean => clockWatch.offBySeconds() !== undefined
  const keyRing = await openSigningKeys(config, store, world, { pool, metrics, isClockOff }).catch(
    async (error: unknown) => {
      pool.close()
      await store.close()
      audit.close()
      throw error
    },
  )
  const levers = await openLevers(store, { keyRing, audit, isClockOff }, world).catch(
    async (error: unknown) => {
      keyRing.close()
      await store.close()
      audit.close()
      throw error
    },
  )
  metrics.levers(levers)
  const issuers = createIssuerKeysRegistry({ clock, onEvent: (event) => tellIssuerKeys(event, log) })
  return {
    issuers,
    gauge,
    parts: {
      store,
      keyRing,
      levers,
      clockWatch,
      verifier: createSubjectVerifier({ clock, issuerKeys: issuers, pool }),
      ...createUpstreamLookups(issuers),
      audit,
      metrics,
      log,
      clock,
      randomBytes,
      pool,
      traces,
    },
    async close() {
      gauge.close()
      pool.close()
      issuers.close()
      levers.close()
      clockWatch.close()
      keyRing.close()
      await store.close()
      audit.close()
      await traces.close()
    },
  }
}

/** `create: false`: a database or a cluster without a store of ours stays without. Rejects with StoreFailure. */
export async function openStore(
  config: StoreConfig,
  { clock, log }: Pick<World, 'clock' | 'log'>,
  options: { readonly create?: boolean } = {},
): Promise<Store> {
  switch (config.type) {
    case 'memory':
      return createMemoryStore({ clock })
    case 'sqlite':
      return openSqliteStore({ file: config.file, clock })
    case 'postgres': {
      const { address, schema } = config
      return openPostgresStore({ address, schema, clock, log, ...options })
    }
    case 'kubernetes': {
      const { place } = config
      const world = { clock, log, randomBytes: createRandomBytes(), env: process.env }
      return openKubeStore({ place, ...world, ...options })
    }
  }
}

/** For one command: closed when its work is done, and not made where there is none. Rejects with StoreFailure. */
export async function inStore<Done>(
  config: StoreConfig,
  world: Pick<World, 'clock' | 'log'>,
  work: (store: Store) => Promise<Done>,
): Promise<Done> {
  const store = await openStore(config, world, { create: false })
  try {
    return await work(store)
  } finally {
    await store.close()
  }
}

/** The ring for a server. Rejects with KeyFailure, also when the key that signs lies with a signer that is not configured. */
async function openSigningKeys(
  config: BrokerConfig,
  store: Store,
  world: World,
  { metrics, ...given }: RingParts & { readonly pool: CryptoPool; readonly metrics: Metrics },
): Promise<KeyRing> {
  const signer = openSigner(config.keys.signer, { pool: given.pool, metrics, log: world.log })
  const ring = await openKeys(config, store, world, { ...given, signer }).catch((error: unknown) => {
    signer?.close()
    throw error
  })
  const refusal = ring.refusal()
  if (refusal === undefined) return ring
  ring.close()
  throw new KeyFailure(refusal.message, { cause: refusal })
}

type RingParts = {
  readonly pool?: CryptoPool
  readonly signer?: GuardedSigner | undefined
  readonly isClockOff?: () => boolean
}

/** Without `signer` the ring is read and changed, and keys that lie elsewhere sign nothing. */
export async function openKeys(
  config: BrokerConfig,
  store: Store,
  world: World,
  { pool, signer, isClockOff }: RingParts = {},
): Promise<KeyRing> {
  const { signer: elsewhere } = config.keys
  return openKeyRing({
    store,
    clock: world.clock,
    randomBytes: world.randomBytes,
    config: config.keys,
    maxTokenTtlSeconds: longestLifetime(config),
    log: world.log,
    ...(pool === undefined ? {} : { pool }),
    ...(isClockOff === undefined ? {} : { isClockOff }),
    remote: elsewhere && { kind: elsewhere.type, key: elsewhere.key, signer },
  })
}

function openWatch(store: Store, { clock, log }: World): Promise<ClockWatch> {
  return openClockWatch({ clock, monotonic: () => performance.now(), shared: store.sharedClock, log })
}

function openLevers(
  store: Store,
  { keyRing, audit, isClockOff }: { keyRing: KeyRing; audit: AuditSink; isClockOff: () => boolean },
  { clock, randomBytes, log }: World,
): Promise<LeverBook> {
  return openLeverBook({
    store,
    clock,
    randomBytes,
    log,
    isClockOff,
    onStamp: () => keyRing.refresh(),
    tell: (event) => audit.write(emergencyEvent(event, new Date(event.at).toISOString())),
  })
}

/** The longest lifetime of any token that this configuration can issue: for so long an old key stays public. */
export function longestLifetime(config: BrokerConfig): number {
  const own = [
    ...config.clients.map((client) => client.ttlSeconds),
    ...config.policies.map(({ grant }) => grant.ttlSeconds),
  ]
  return Math.max(config.tokens.ttlSeconds, ...own.filter((ttl) => ttl !== undefined))
}

function tellIssuerKeys(event: IssuerKeysEvent, log: Log): void {
  switch (event.event) {
    case 'issuer_keys_loaded':
      log.info(
        { connector: event.connector, keys: event.keys, ignored: event.ignored.length },
        'issuer keys loaded',
      )
      for (const key of event.ignored) {
        if (key.alarm)
          log.warn(
            { connector: event.connector, kid: key.kid, detail: key.detail },
            'issuer publishes a key it must not',
          )
      }
      return
    case 'issuer_keys_failed':
      log.warn(
        { connector: event.connector, detail: event.detail, keysHeld: event.keysHeld },
        'issuer keys cannot be loaded',
      )
  }
}
