// What is pulled at the moment, for `sallyport explain`: read once from the configured store, which is not made where there
// is none. A store that cannot be seen is no reason not to explain, but it is said.
import { existsSync } from 'node:fs'
import { Levers, NO_LEVERS } from '#core/levers.ts'
import type { Clock } from '#core/clock.ts'
import { readLevers } from '#platform/levers/lever_store.ts'
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
  if (config.type === 'sqlite' && !existsSync(config.file))
    return unseen(`there is no store at ${config.file}`)
  // Only here: it brings every kind of store with it.
  const { inStore } = await import('./broker_runtime.ts')
  try {
    const log = createLog({ level: 'error', format: 'text' })
    const { pulled, revoked } = await inStore(config, { clock, log }, readLevers)
    return { levers: new Levers([...pulled, ...revoked]), unseen: undefined }
  } catch (error) {
    if (!(error instanceof StoreFailure)) throw error
    return unseen(error.message)
  }
}

function unseen(why: string): SeenLevers {
  return { levers: NO_LEVERS, unseen: why }
}
