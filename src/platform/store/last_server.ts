// Who served from a store last: as which issuer, and in which process. Keys of one issuer that another publishes as its
// own are a mistake that nothing else would show.
import type { Store } from './store.ts'

export type LastServer = { readonly issuer: string; readonly pid: number }

const KEY = 'store/server'

/** `undefined`: nobody yet, or nobody who left a note. Rejects with StoreFailure. */
export async function readLastServer(store: Store): Promise<LastServer | undefined> {
  const text = await store.get(KEY)
  return text === undefined ? undefined : parse(text)
}

/** Rejects with StoreFailure. */
export async function writeLastServer(store: Store, server: LastServer): Promise<void> {
  await store.put(KEY, JSON.stringify(server))
}

function parse(text: string): LastServer | undefined {
  const value: unknown = JSON.parse(text)
  if (typeof value !== 'object' || value === null || !('issuer' in value) || !('pid' in value))
    return undefined
  const { issuer, pid } = value
  return typeof issuer === 'string' && typeof pid === 'number' ? { issuer, pid } : undefined
}
