// The store of a server: a file is held by one server at a time, a database or a cluster by as many as share an issuer; each
// is known by the issuer that last served from it.
import { existsSync } from 'node:fs'
import { readLastServer, writeLastServer } from '#platform/store/last_server.ts'
import { shownPlace } from '#platform/store/postgres_url.ts'
import { lockStore } from '#platform/store/store_lock.ts'
import type { StoreLock } from '#platform/store/store_lock.ts'
import { StoreFailure } from '#platform/store/store.ts'
import type { Store } from '#platform/store/store.ts'
import type { BrokerConfig, StoreConfig } from '../broker/config/broker_config.ts'
import { openRuntime, openStore } from './broker_runtime.ts'
import type { Runtime, World } from './broker_runtime.ts'
import type { CommandIo } from './command.ts'

/** As `openRuntime`, for a server: rejects with StoreFailure when another one serves from the same file. */
export async function openServing(
  config: BrokerConfig,
  world: World,
  { stderr }: Pick<CommandIo, 'stderr'>,
): Promise<Runtime> {
  const lock = await holdStore(config.store, world)
  try {
    const runtime = await openRuntime(config, world)
    try {
      const warning = await signIn(config, runtime.parts.store)
      if (warning !== undefined) stderr.write(warning)
    } catch (error) {
      await runtime.close()
      throw error
    }
    const close = async (): Promise<void> => {
      await runtime.close()
      lock?.release()
    }
    return { ...runtime, close }
  } catch (error) {
    lock?.release()
    throw error
  }
}

/** For workers, each of which opens the store by itself: held by their supervisor, made ready and signed once. */
export async function holdForWorkers(
  config: BrokerConfig,
  world: World,
  { stderr }: Pick<CommandIo, 'stderr'>,
): Promise<{ readonly release: () => void }> {
  const lock = await holdStore(config.store, world)
  try {
    const store = await openStore(config.store, world)
    try {
      const warning = await signIn(config, store)
      if (warning !== undefined) stderr.write(warning)
    } finally {
      await store.close()
    }
    return { release: () => lock?.release() }
  } catch (error) {
    lock?.release()
    throw error
  }
}

async function holdStore(config: StoreConfig, world: World): Promise<StoreLock | undefined> {
  // What a database shares out among many it keeps apart by itself.
  if (config.type !== 'sqlite') return undefined
  const lock = await lockStore(config.file)
  if (lock !== undefined) return lock
  const holder = existsSync(config.file) ? await holderOf(config, world) : ''
  throw new StoreFailure(
    `${config.file}: another server${holder} serves from this store\n` +
      `    -> stop that one, or give this one a store of its own: ${ownStore(config)}`,
  )
}

async function holderOf(config: StoreConfig, world: World): Promise<string> {
  const store = await openStore(config, world)
  try {
    const server = await readLastServer(store)
    return server === undefined ? '' : ` (process ${server.pid}, issuer ${server.issuer})`
  } finally {
    await store.close()
  }
}

/** Leaves a note of this server. The warning when the last one was of another issuer. */
async function signIn({ issuer, store: kept }: BrokerConfig, store: Store): Promise<string | undefined> {
  if (kept.type === 'memory') return undefined
  const last = await readLastServer(store)
  await writeLastServer(store, { issuer, pid: process.pid })
  if (last === undefined || last.issuer === issuer) return undefined
  return (
    `sallyport: WARNING: the store ${storeName(kept)} belongs to issuer ${last.issuer}, and this server is ${issuer}\n` +
    '    Both sign with the keys in it, and each replaces keys that do not fit its own configuration.\n' +
    `    -> give this server a store of its own: ${ownStore(kept)}; if the issuer has moved, go on: it is said once\n`
  )
}

/** For people: the file, or where the database or the objects are. */
function storeName(config: Exclude<StoreConfig, { type: 'memory' }>): string {
  switch (config.type) {
    case 'sqlite':
      return config.file
    case 'postgres':
      return `${shownPlace(config.address)}, schema ${config.schema}`
    case 'kubernetes':
      return `kubernetes, namespace ${config.place.namespace ?? 'of the Pod or the context'}`
  }
}

function ownStore(config: Exclude<StoreConfig, { type: 'memory' }>): string {
  switch (config.type) {
    case 'sqlite':
      return 'store.file, or --store sqlite:FILE with --dex-config'
    case 'postgres':
      return 'store.schema, or a database of its own'
    case 'kubernetes':
      return 'store.namespace'
  }
}
