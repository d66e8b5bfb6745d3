// The store in PostgreSQL against a real one: what every store does.
import t from 'tap'
import { openPostgresStore } from '../../src/platform/store/postgres_store.ts'
import { postgresOrSkip, startPostgres } from '../support/postgres.ts'
import { describeStore } from './store.ts'

const bin = await postgresOrSkip()
if (bin.skip !== false) {
  t.pass('skipped', { skip: bin.skip })
} else {
  const server = await startPostgres(t, bin.value)
  const log = { warn: (): void => {} }

  t.test('the store in PostgreSQL', async (t) => {
    describeStore(t, {
      open: async (_tt, clock) =>
        openPostgresStore({
          address: await server.database(),
          schema: 'sallyport',
          clock,
          log,
          sharedClock: async () => clock(),
        }),
    })
  })
}
