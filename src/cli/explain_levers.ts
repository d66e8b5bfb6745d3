// What is pulled at the moment, for `sallyport explain`: read once from the configured store, which is not made where there
// is none, and not written. A store that cannot be seen is no reason not to explain, but it is said.
import { Levers, NO_LEVERS } from '#core/levers.ts'
import type { Clock } from '#core/clock.ts'
import { readLevers } from '#platform/levers/lever_store.ts'
import type { StoredLevers } from '#platform/levers/lever_store.ts'
import { createLog } from '#platform/log.ts'
import { StoreFailure } from '#platform/store/store.ts'
import type { StoreConfig } from '../broker/config/broker_config.ts'

/** `unseen`: why the store was not looked at; then it is explained as if nothing were pulled. */
export type SeenLevers = { readonly levers: Levers; readonly unseen: string | undefined }

export async function seeLevers(config: StoreConfig, clock: Clock): Promise<SeenLevers> {
  if (config.type === 'memory')
    return unseen(
      'the store is memory, which only the running broker sees (with --dex-config, --store names it)',
    )
  try {
    if (config.type !== 'sqlite') return seen(await readOther(config, clock))
    // Only here, as below: not every run needs SQLite, or all the other stores.
    const { readSqliteStore } = await import('#platform/store/sqlite_reader.ts')
    const stored = await readSqliteStore({ file: config.file, clock }, readLevers)
    return stored === undefined ? unseen(`there is no store at ${config.file}`) : seen(stored)
  } catch (error) {
    if (!(error instanceof StoreFailure)) throw error
    return unseen(error.message)
  }
}

async function readOther(config: StoreConfig, clock: Clock): Promise<StoredLevers> {
  const { inStore } = await import('./broker_runtime.ts')
  const log = createLog({ level: 'error', format: 'text' })
  return inStore(config, { clock, log }, readLevers)
}

function seen({ pulled, revoked }: StoredLevers): SeenLevers {
  return { levers: new Levers([...pulled, ...revoked]), unseen: undefined }
}

function unseen(why: string): SeenLevers {
  return { levers: NO_LEVERS, unseen: why }
}
