// What the store in PostgreSQL does when things go wrong: processes end, the database ends, the way to it ends, or any of
// them is slow. A claim is told as taken only where it is, and nothing has to be restarted afterwards.
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import type { PostgresAddress } from '../../src/platform/store/postgres_pool.ts'
import { firstAfter, openPostgresStore } from '../../src/platform/store/postgres_store.ts'
import { StoreFailure } from '../../src/platform/store/store.ts'
import type { Store } from '../../src/platform/store/store.ts'
import { postgresOrSkip, startPostgres } from '../support/postgres.ts'
import type { PostgresServer } from '../support/postgres.ts'
import { startStoreProcess } from '../support/store_process.ts'
import { startTcpGate } from '../support/tcp_gate.ts'
import type { TcpGate } from '../support/tcp_gate.ts'

const now = Date.UTC(2026, 10, 21)
const minute = 60_000
const later = now + 60 * minute
const clock = (): number => now

type Logged = { readonly message: string; readonly fields: object }
type Opened = { readonly store: Store; readonly address: PostgresAddress; readonly logged: readonly Logged[] }

async function open(
  t: Test,
  address: PostgresAddress,
  change: { readonly clock?: () => number; readonly sharedClock?: () => number } = {},
): Promise<Opened> {
  const logged: Logged[] = []
  const own = change.clock ?? clock
  const store = await openPostgresStore({
    address,
    schema: 'sallyport',
    clock: own,
    log: { warn: (fields, message) => void logged.push({ message, fields }) },
    sharedClock: async () => (change.sharedClock ?? own)(),
  })
  t.teardown(async () => store.close())
  return { store, address, logged }
}

/** Through a gate that fails as told. */
async function openGated(t: Test, server: PostgresServer): Promise<Opened & { readonly gate: TcpGate }> {
  const gate = await startTcpGate(server.socket)
  t.teardown(async () => gate.close())
  const direct = await server.database()
  const address = {
    ...direct,
    host: '127.0.0.1',
    port: gate.port,
    connectTimeoutSeconds: 1,
    statementTimeoutSeconds: 1,
  }
  return { ...(await open(t, address)), address: direct, gate }
}

/** The failure and how long it took, in milliseconds. */
async function failure(work: Promise<unknown>): Promise<{ readonly message: string; readonly ms: number }> {
  const began = performance.now()
  try {
    await work
  } catch (error) {
    if (!(error instanceof StoreFailure)) throw error
    return { message: error.message, ms: performance.now() - began }
  }
  throw new Error('it did not fail')
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000
  while (!(await holds().catch(() => false))) {
    if (performance.now() > deadline) throw new Error('it never came to be')
    await sleep(20)
  }
}

function wholes(keys: readonly string[]) {
  return keys.map((key) => ({ key, parts: [], expiresAt: later }))
}

function place(address: PostgresAddress): string {
  return JSON.stringify({ ...address, statementTimeoutSeconds: 10 })
}

const peer = await postgresOrSkip()
if (peer.skip !== false) {
  t.pass('skipped', { skip: peer.skip })
} else {
  withServer(await startPostgres(t, peer.value), peer.value)
}

function withServer(server: PostgresServer, bin: string): void {
  t.test('two processes that claim the same keys at the same time share them out exactly', async (t) => {
    const address = await server.database()
    await open(t, address)
    const workers = [0, 1].map(() => startStoreProcess(t, 'claim', place(address), '400'))
    t.same(await Promise.all(workers.map(async (each) => each.ended)), [0, 0])
    const claimed = workers.flatMap((each) => each.lines.filter((line) => line.startsWith('claimed ')))
    t.equal(claimed.length, 400)
    t.equal(new Set(claimed).size, 400)
  })

  t.test('two processes that count with compare-and-set lose nothing', async (t) => {
    const address = await server.database()
    const workers = [0, 1].map(() => startStoreProcess(t, 'count', place(address), '100'))
    t.same(await Promise.all(workers.map(async (each) => each.ended)), [0, 0])
    t.equal(await (await open(t, address)).store.get('count'), '200')
  })

  t.test(
    'sets of claims that overlap in every order are taken whole by one of two replicas, and none hangs',
    async (t) => {
      const address = await server.database()
      const [first, second] = [await open(t, address), await open(t, address)]
      const pairs = Array.from({ length: 60 }, (_, index) => [`a/${index % 12}`, `b/${(index * 7) % 12}`])
      const sets = pairs.map((keys, index) => (index % 2 === 0 ? keys : keys.toReversed()))
      const taken = await Promise.all(
        sets.flatMap((keys) => [first, second].map(async ({ store }) => store.claimAllOnce(wholes(keys)))),
      )
      const won = taken.flatMap((isTaken, index) => (isTaken ? (sets[index >> 1] ?? []) : []))
      t.ok(won.length > 0)
      t.equal(new Set(won).size, won.length, 'no key was given twice')
      for (const keys of sets) {
        if (keys.some((key) => won.includes(key))) continue
        t.equal(await first.store.claimAllOnce(wholes(keys)), true, 'whoever lost took nothing')
        won.push(...keys)
      }
    },
  )

  t.test('kill -9 of the server and of the database lose no claim that was answered', async (t) => {
    const address = await server.database()
    await open(t, address)
    // What an operator set for other programs must not hold for claims: `off` would lose what was told last.
    await server.sql('postgres', `ALTER DATABASE ${address.database} SET synchronous_commit = off`)
    const writer = startStoreProcess(t, 'write', place(address), 'r')
    await writer.sees('claimed r/200')
    for (const { pid } of await server.sql(
      'postgres',
      'SELECT pid FROM pg_stat_activity WHERE application_name = $$sallyport$$ LIMIT 1',
    ))
      process.kill(Number(pid), 'SIGKILL')
    await sleep(50)
    writer.kill()
    await writer.ended
    await until(async () => (await server.sql('postgres', 'SELECT 1')).length === 1)
    const { store } = await open(t, address)
    const answered = writer.lines.map((line) => line.replace('claimed ', 'replay/'))
    t.ok(answered.length >= 200)
    const again = await Promise.all(answered.map(async (key) => store.claimOnce(key, later)))
    t.notOk(again.includes(true), 'no claim was lost')
  })

  t.test('a claim whose answer was cut off is no claim, and nobody has it afterwards', async (t) => {
    const { store, address, gate } = await openGated(t, server)
    t.equal(await store.claimOnce('replay/before', later), true)
    gate.set('deaf')
    const claim = failure(store.claimOnce('replay/cut', later))
    await until(async () => {
      const found = await server.sql(
        address.database,
        "SELECT 1 FROM sallyport.entries WHERE key = 'replay/cut'",
      )
      return found.length === 1
    })
    gate.cut()
    t.match((await claim).message, /the connection was cut/)
    gate.set('open')
    t.equal(await store.claimOnce('replay/cut', later), false, 'the retry does not buy a second time')
    await t.resolves(store.ping())
  })

  t.test('a claim that was cut off on its way there can be made again', async (t) => {
    const { store, gate } = await openGated(t, server)
    t.equal(await store.claimOnce('replay/before', later), true)
    gate.set('silent')
    const claim = failure(store.claimOnce('replay/cut', later))
    await sleep(100)
    gate.cut()
    t.match((await claim).message, /the connection was cut/)
    gate.set('open')
    t.equal(await store.claimOnce('replay/cut', later), true)
  })

  t.test('a way that swallows everything fails in bounded time, and works again when it does', async (t) => {
    const { store, gate } = await openGated(t, server)
    await store.put('k', 'v')
    gate.set('silent')
    const [claim, read, ping] = await Promise.all([
      failure(store.claimOnce('replay/x', later)),
      failure(store.get('k')),
      failure(store.ping()),
    ])
    for (const { message, ms } of [claim, read, ping]) {
      t.match(message, /in time/)
      t.ok(ms < 4500, `${Math.round(ms)} ms`)
    }
    gate.cut()
    gate.set('open')
    t.equal(await store.get('k'), 'v')
    t.equal(await store.claimOnce('replay/x', later), true)
    await t.resolves(store.ping())
  })

  t.test('a database that is away is named, and found again without a restart', async (t) => {
    const { store, gate } = await openGated(t, server)
    await store.put('k', 'v')
    gate.set('closed')
    gate.cut()
    t.match((await failure(store.get('k'))).message, /^postgres 127\.0\.0\.1:\d+\/store_\d+: .*cut/)
    t.match((await failure(store.claimOnce('replay/x', later))).message, /cut/)
    t.match((await failure(store.ping())).message, /cut/)
    gate.set('open')
    t.equal(await store.get('k'), 'v')
    t.equal(await store.claimOnce('replay/x', later), true)
  })

  t.test('a database that restarts is back for everybody who held a connection', async (t) => {
    const address = await server.database()
    const { store } = await open(t, address)
    await Promise.all(Array.from({ length: 8 }, async (_, index) => store.put(`k/${index}`, 'v')))
    await server.stop()
    t.match(
      (await failure(store.claimOnce('replay/x', later))).message,
      /no such socket|nobody listens|shut|cut/,
    )
    await server.start()
    t.equal(await store.claimOnce('replay/x', later), true)
    t.equal((await store.list('k/')).length, 8)
  })

  t.test(
    'a database that is slow fails what waits in time, keeps none of it, and is not overrun',
    async (t) => {
      const address = { ...(await server.database()), statementTimeoutSeconds: 1 }
      const { store } = await open(t, address)
      await store.put('k', 'v')
      const holder = await server.connect(address.database)
      await holder.query('BEGIN')
      await holder.query('LOCK TABLE sallyport.entries IN ACCESS EXCLUSIVE MODE')
      const waiting = Array.from({ length: 40 }, async (_, index) =>
        failure(store.claimOnce(`replay/${index}`, later)),
      )
      const reads = Array.from({ length: 300 }, async () => failure(store.get('k')))
      const flood = Array.from({ length: 6000 }, async (_, index) =>
        failure(store.claimOnce(`flood/${index}`, later)),
      )
      const told = await Promise.all([...waiting, ...reads])
      t.ok(told.every(({ message }) => /in time|too many/.test(message)))
      t.ok(Math.max(...told.map(({ ms }) => ms)) < 4500, 'in time')
      const atOnce = (await Promise.all(flood)).filter(({ message }) => message.includes('too many claims'))
      t.ok(atOnce.length >= 500, `${atOnce.length} were told at once`)
      t.ok(reads.length > 256 && told.some(({ message }) => message.includes('too many wait')))
      await holder.query('ROLLBACK')
      await holder.end()
      await t.resolves(store.ping(), 'and works again by itself')
      t.equal(await store.claimOnce('replay/0', later), true, 'what failed took nothing')
    },
  )

  t.test('a store that cannot be written says so in a ping, until it can', async (t) => {
    const address = await server.database()
    const { store } = await open(t, address)
    await server.sql(
      address.database,
      'CREATE FUNCTION public.no() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION USING ERRCODE = $e$53100$e$; END$$',
    )
    await server.sql(
      address.database,
      'CREATE TRIGGER brim BEFORE INSERT ON sallyport.entries FOR EACH ROW EXECUTE FUNCTION public.no()',
    )
    t.match((await failure(store.claimOnce('replay/x', later))).message, /the disk is full$/)
    t.match((await failure(store.ping())).message, /the disk is full$/)
    t.equal(await store.get('replay/x'), undefined)
    await server.sql(address.database, 'DROP TRIGGER brim ON sallyport.entries')
    await t.resolves(store.ping())
    t.equal(await store.claimOnce('replay/x', later), true)
  })

  t.test('a database that takes no writes is not ready', async (t) => {
    const address = await server.database()
    await (await open(t, address)).store.put('k', 'v')
    await server.sql('postgres', `ALTER DATABASE ${address.database} SET default_transaction_read_only = on`)
    const { store } = await open(t, address)
    t.equal(await store.get('k'), 'v')
    t.match((await failure(store.put('k', 'w'))).message, /takes no writes/)
    t.match((await failure(store.ping())).message, /takes no writes/)
  })

  t.test('what a replica with a wrong clock deletes lived for nobody', async (t) => {
    const address = await server.database()
    const right = await open(t, address)
    const ahead = await open(t, address, { clock: () => now + 60 * minute, sharedClock: clock })
    const behind = await open(t, address, { clock: () => now - 60 * minute, sharedClock: clock })
    const short = await open(t, address, { clock: () => now + 59_000, sharedClock: () => now + 59_000 })
    t.equal(await right.store.claimOnce('replay/jti', now + minute), true)
    t.equal(await ahead.store.expire(), 0)
    t.equal(await behind.store.expire(), 0)
    t.equal(await short.store.expire(), 0)
    t.equal(await right.store.claimOnce('replay/jti', now + minute), false)
    t.equal(await behind.store.claimOnce('replay/jti', now + minute), false, 'nor for the one that is behind')
    t.match(ahead.logged, [{ fields: { seconds: 3600 }, message: /clock/ }])
    t.match(behind.logged, [{ fields: { seconds: -3600 } }])
    t.same(short.logged, [])
  })

  t.test('replicas that clean up at the same time share the work', async (t) => {
    const address = await server.database()
    const [first, second] = [await open(t, address), await open(t, address)]
    await server.sql(
      address.database,
      `INSERT INTO sallyport.entries SELECT 'old/' || n, '', ${now - 2 * minute} FROM generate_series(1, 5000) n`,
    )
    const removed = await Promise.all([first.store.expire(), second.store.expire()])
    t.equal(removed[0] + removed[1], 5000)
    t.same(await first.store.list(''), [])
  })

  t.test('a list reads its own entries and no others, whatever the locale of the database', async (t) => {
    const address = await server.database()
    const { store } = await open(t, address)
    await server.sql(
      address.database,
      `INSERT INTO sallyport.entries SELECT 'replay/' || n, '', NULL FROM generate_series(1, 20000) n`,
    )
    await server.sql(address.database, 'ANALYZE sallyport.entries')
    for (const key of ['deny/a', 'deny/Z', 'deny/é']) await store.put(key, 'v')
    const scans = async (): Promise<readonly unknown[]> => {
      const [row] = await server.sql(
        address.database,
        "SELECT seq_scan, seq_tup_read FROM pg_stat_user_tables WHERE relname = 'entries'",
      )
      return [row?.['seq_scan'], row?.['seq_tup_read']]
    }
    await sleep(1100)
    const before = await scans()
    // Ten times, so that PostgreSQL has settled on one plan for every prefix.
    for (let times = 0; times < 10; times += 1)
      t.same(
        (await store.list('deny/')).map(({ key }) => key),
        ['deny/Z', 'deny/a', 'deny/é'],
      )
    await sleep(1100)
    await store.get('k')
    t.same(await scans(), before, 'the whole table was never read')
  })

  t.test('no variable of the environment has a say', async (t) => {
    const address = await server.database()
    const names = [
      'PGHOST',
      'PGPORT',
      'PGUSER',
      'PGPASSWORD',
      'PGDATABASE',
      'PGOPTIONS',
      'PGSSLMODE',
      'PGAPPNAME',
      'PGCLIENTENCODING',
    ]
    for (const name of names) process.env[name] = name === 'PGPORT' ? '1' : 'nonsense'
    t.teardown(() => {
      for (const name of names) Reflect.deleteProperty(process.env, name)
    })
    const { store } = await open(t, address)
    await store.put('k', 'é')
    t.equal(await store.get('k'), 'é')
  })

  t.test('a character that PostgreSQL cannot hold fails its own claim and nobody else’s', async (t) => {
    const { store } = await open(t, await server.database())
    const [bad, good] = await Promise.allSettled([
      store.claimOnce('replay/\0', later),
      store.claimOnce('replay/x', later),
    ])
    t.match(bad, { status: 'rejected', reason: { code: 'SALLYPORT_STORE' } })
    t.match(good, { status: 'fulfilled', value: true })
  })

  t.test('a closed store refuses everything', async (t) => {
    const { store } = await open(t, await server.database())
    await store.close()
    await store.close()
    await t.rejects(store.claimOnce('a', later), { code: 'SALLYPORT_STORE', message: /is closed/ })
    await t.rejects(store.get('a'), StoreFailure)
  })

  t.test('a database that loses characters is refused', async (t) => {
    const address = await server.database()
    await server.sql(
      'postgres',
      "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C' LOCALE_PROVIDER libc",
    )
    await t.rejects(open(t, { ...address, database: 'latin' }), { message: /encoding LATIN1.*\n.*UTF8/ })
  })

  t.test('a disk that is full loses nothing, and passes when there is room again', async (t) => {
    // The limit on the size of a file stands in for the disk: a table that would pass it cannot grow.
    const small = await startPostgres(t, bin, { before: 'ulimit -f 40960' })
    const { store } = await open(t, await small.database())
    let kept = 0
    const full = await failure(
      (async () => {
        for (; kept < 1000; kept += 1) await store.put(`fill/${kept}`, incompressible())
      })(),
    )
    t.match(full.message, /could not extend|disk is full/)
    t.match(
      (await failure(store.put('fill/again', incompressible()))).message,
      /could not extend|disk is full/,
    )
    t.equal((await store.list('fill/')).length, kept)
    await small.stop()
    await small.start()
    t.equal((await store.list('fill/')).length, kept)
    await t.resolves(store.put('fill/again', incompressible()))
    await t.resolves(store.ping())
  })
}

/** Half a megabyte that PostgreSQL cannot make smaller. */
function incompressible(): string {
  return Array.from({ length: 16 }, () => crypto.getRandomValues(new Uint8Array(16_384)))
    .map((bytes) => Buffer.from(bytes).toString('hex'))
    .join('')
}

t.test('the end of a prefix is the least text behind all that begin with it', async (t) => {
  t.equal(firstAfter('a/'), 'a0')
  t.equal(firstAfter('a\u{10ffff}'), 'b')
  t.equal(firstAfter('\ud7ff'), '\ue000')
  t.equal(firstAfter(''), undefined)
  t.equal(firstAfter('\u{10ffff}\u{10ffff}'), undefined)
})
