// A process of its own that works on a store, for the tests that need two of them, or a dead one.
// usage: store_worker.ts claim|pairs|count|write|fill PLACE [N or ROUND]
// PLACE: a SQLite file, or the address of a PostgreSQL or the place in a cluster as JSON
import { randomBytes } from 'node:crypto'
import type { Claim } from '../../src/platform/store/claim.ts'
import { openKubeStore } from '../../src/platform/store/kube_store.ts'
import { openPostgresStore } from '../../src/platform/store/postgres_store.ts'
import { openSqliteStore } from '../../src/platform/store/sqlite_store.ts'
import { StoreFailure } from '../../src/platform/store/store.ts'
import type { Store } from '../../src/platform/store/store.ts'

const [job, place = '', argument = ''] = process.argv.slice(2)
const now = Date.UTC(2026, 10, 21)
const later = now + 3_600_000
const clock = (): number => now
const log = { warn: (fields: object, message: string): void => console.error(message, fields) }
const store = await openStore()

async function openStore(): Promise<Store> {
  if (!place.startsWith('{')) return openSqliteStore({ file: place, clock, busyTimeoutMs: 10_000 })
  const parsed = JSON.parse(place)
  return Object.hasOwn(parsed, 'from')
    ? openKubeStore({ place: parsed, clock, log, randomBytes, env: process.env })
    : openPostgresStore({ address: parsed, schema: 'sallyport', clock, log })
}

/** Claims keys 0..N-1, ten at a time, and prints those it got. */
async function claim(keyCount: number): Promise<void> {
  for (let index = 0; index < keyCount; index += 10) {
    const keys = Array.from({ length: 10 }, (_, offset) => index + offset)
    const got = await Promise.all(keys.map(async (key) => store.claimOnce(`replay/${key}`, later)))
    for (const [offset, key] of keys.entries()) if (got[offset] === true) console.log(`claimed ${key}`)
  }
}

function pairOf(index: number): readonly Claim[] {
  return [index, index + 1].map((key) => ({ key: `pair/${key}`, parts: [], expiresAt: later }))
}

/** Claims the keys I and I + 1 together for each I below N, five pairs at a time, and prints those it got. */
async function pairs(pairCount: number): Promise<void> {
  for (let first = 0; first < pairCount; first += 5) {
    const indexes = Array.from({ length: 5 }, (_, offset) => first + offset)
    const got = await Promise.all(indexes.map(async (index) => store.claimAllOnce(pairOf(index))))
    for (const [offset, index] of indexes.entries()) if (got[offset] === true) console.log(`pair ${index}`)
  }
}

/** Adds N to one number, one by one. */
async function count(times: number): Promise<void> {
  for (let done = 0; done < times;) {
    const value = await store.get('count')
    if (await store.compareAndSet('count', value, String(Number(value ?? '0') + 1))) done += 1
  }
}

/** Writes until the store fails: claims that it prints once they are answered, and state in between. */
async function write(round: string): Promise<void> {
  for (let index = 1; ; index += 1) {
    const [claimed] = await Promise.all([
      store.claimOnce(`replay/${round}/${index}`, later),
      store.put('state', `${round}/${index}`.repeat(50)),
    ])
    if (claimed) console.log(`claimed ${round}/${index}`)
  }
}

/** Puts until the disk is full; prints how many it kept, the failure and a read after it. */
async function fill(into: Store): Promise<void> {
  process.on('SIGXFSZ', () => {})
  await into.put('readable', 'x')
  for (let index = 0; index < 10_000; index += 1) {
    try {
      await into.put(`fill/${String(index).padStart(6, '0')}`, 'x'.repeat(1000))
    } catch (error) {
      console.log(index)
      console.log(error instanceof StoreFailure ? `${error.code} ${error.message}` : String(error))
      console.log(`read ${String(await into.get('readable'))}`)
      return
    }
  }
}

function endQuietly(error: unknown): void {
  if (!(error instanceof StoreFailure)) throw error
}

if (job === 'claim') await claim(Number(argument))
else if (job === 'pairs') await pairs(Number(argument))
else if (job === 'count') await count(Number(argument))
else if (job === 'write') await write(argument).catch(endQuietly)
else if (job === 'fill') await fill(store)
else throw new Error(`no such job: ${String(job)}`)
// Not before everything that was printed has left.
process.stdout.write('', () => process.exit(0))
