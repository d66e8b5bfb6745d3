// Key rings of two replicas on one PostgreSQL: nobody leads, both look at about the same time, their clocks differ.
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { openKeyRing } from '../../src/platform/keys/key_ring.ts'
import { openPostgresStore } from '../../src/platform/store/postgres_store.ts'
import { postgresOrSkip, startPostgres } from '../support/postgres.ts'

const start = Date.UTC(2026, 10, 21)
const SECOND = 1000

const peer = await postgresOrSkip()
t.test(
  'replicas whose clocks are half a minute apart rotate without a leader, and no one meets a key that it does not serve',
  { skip: peer.skip },
  async (t) => {
    const server = await startPostgres(t, peer.skip === false ? peer.value : '')
    const address = await server.database()
    let now = start
    const log = { info: (): void => {}, warn: (): void => {} }
    const replicas = await Promise.all(
      [-15 * SECOND, 0, 15 * SECOND].map(async (apart) => {
        const clock = (): number => now + apart
        const store = await openPostgresStore({
          address,
          schema: 'sallyport',
          clock,
          log,
          sharedClock: async () => now,
        })
        t.teardown(async () => store.close())
        return openKeyRing({
          store,
          clock,
          randomBytes,
          config: {
            algorithm: 'ES256',
            rotationSeconds: 600,
            sealingKeyFile: undefined,
            extraPublicKeysFile: undefined,
          },
          maxTokenTtlSeconds: 60,
          log,
          refreshSeconds: 0,
        })
      }),
    )
    const signers = new Set<string>()
    // Eight hours in steps of 10 s, as often as a replica looks.
    for (let step = 0; step < 2880; step += 1) {
      now += 10 * SECOND
      // Before anybody has looked: what signs now must be served by all already.
      for (const ring of replicas) {
        const { kid } = ring.current()
        signers.add(kid)
        if (replicas.some((other) => other.publicKey(kid) === undefined)) t.fail(`step ${step}: ${kid}`)
      }
      // Most of the time nothing is due and a look is a read: all three look in every tenth step only.
      if (step % 10 === 0) await Promise.all(replicas.map(async (ring) => ring.refresh()))
      else await replicas[step % 3]?.refresh()
      const sets = new Set(replicas.map((ring) => ring.list().filter(({ state }) => state === 'next').length))
      if (Math.max(...sets) > 1) t.fail(`step ${step}: two next keys`)
    }
    await Promise.all(replicas.map(async (ring) => ring.refresh()))
    t.equal(new Set(replicas.map((ring) => ring.jwks().body)).size, 1, 'the same bytes')
    t.ok(signers.size > 40, `${signers.size} keys signed`)
    t.ok((replicas[0]?.list().length ?? 0) <= 3, 'old ones are gone')
  },
)
