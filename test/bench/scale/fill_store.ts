// Fills a store with claims that live, as a process of its own, and prints what it costs: one line of JSON.
// usage: fill_store.ts memory | sqlite:FILE | ADDRESS (of a PostgreSQL, as JSON)   COUNT
import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { createMemoryStore } from '../../../src/platform/store/memory_store.ts'
import { openPostgresStore } from '../../../src/platform/store/postgres_store.ts'
import { openSqliteStore } from '../../../src/platform/store/sqlite_store.ts'
import type { Store } from '../../../src/platform/store/store.ts'
import { boundYoungGeneration } from '../../../src/platform/young_generation.ts'

const [place = '', count = '0'] = process.argv.slice(2)
const total = Number(count)
const clock = Date.now
// As the server does, whose memory this is about: else 128 MB of it are garbage, on a machine with much memory.
boundYoungGeneration()
const store = await open()
const startedAt = performance.now()
const expiresAt = clock() + 3_600_000
const AT_ONCE = 2000
for (let done = 0; done < total; done += AT_ONCE) {
  const taken = await Promise.all(
    Array.from({ length: Math.min(AT_ONCE, total - done) }, (_, index) =>
      store.claimAllOnce([{ key: `replay/${hashOf(done + index)}`, parts: [], expiresAt }]),
    ),
  )
  if (taken.includes(false)) throw new Error('a fresh claim was refused')
  // Requests come in turns of the event loop.
  await setImmediate()
}
const seconds = (performance.now() - startedAt) / 1000
globalThis.gc?.()
// Each of them lives: what was claimed is refused.
const isHeld = !(await store.claimAllOnce([{ key: `replay/${hashOf(total - 1)}`, parts: [], expiresAt }]))
console.log(JSON.stringify({ seconds, isHeld, residentMiB: residentMiB() }))
await store.close()

function open(): Promise<Store> {
  if (place === 'memory') return Promise.resolve(createMemoryStore({ clock }))
  if (place.startsWith('sqlite:')) return openSqliteStore({ file: place.slice('sqlite:'.length), clock })
  const log = { warn: (fields: object, message: string) => console.error(message, fields) }
  return openPostgresStore({ address: JSON.parse(place), schema: 'sallyport', clock, log })
}

/** As the hash of a token: 43 characters. In one call: a million Hash objects would leave gaps in the heap of libc behind. */
function hashOf(index: number): string {
  return hash('sha256', String(index), 'base64url')
}

function residentMiB(): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) / 1024
}
