import t from 'tap'
import { createMemoryStore } from '../../src/platform/store/memory_store.ts'
import { describeStore } from './store.ts'

t.test('the store in memory', async (t) => {
  describeStore(t, { open: async (_t, clock) => createMemoryStore({ clock }) })
})

t.test('expired claims do not pile up in memory when nobody calls expire', async (t) => {
  let now = 0
  const store = createMemoryStore({ clock: () => now })
  for (let index = 0; index < 9_999; index += 1) await store.claimOnce(`c/${index}`, 1000)
  now = 1000
  await store.claimOnce('the one that sweeps', 2000)
  t.equal(await store.expire(), 0)
})
