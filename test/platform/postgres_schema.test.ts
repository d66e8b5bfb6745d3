// The tables: made once however many start at once, by a role that may or by one that was granted only their use, and left
// alone where they belong to somebody else or to a release that this one does not know.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import type { PostgresAddress } from '../../src/platform/store/postgres_pool.ts'
import { grants, grantUse, migrate } from '../../src/platform/store/postgres_schema.ts'
import { openPostgresStore } from '../../src/platform/store/postgres_store.ts'
import type { Store } from '../../src/platform/store/store.ts'
import { folder, runCli } from '../support/cli.ts'
import { postgresOrSkip, startPostgres } from '../support/postgres.ts'
import type { PostgresServer } from '../support/postgres.ts'

const SCHEMA = 'sallyport'

async function open(t: Test, address: PostgresAddress): Promise<Store> {
  const store = await openPostgresStore({
    address,
    schema: SCHEMA,
    clock: Date.now,
    log: { warn: () => {} },
  })
  t.teardown(async () => store.close())
  return store
}

/** A role that may log in, and nothing else. */
async function addRole(server: PostgresServer, name: string): Promise<void> {
  await server.sql('postgres', `CREATE ROLE ${name} LOGIN`)
}

/** A step that says which release is the oldest that can work with it. */
function step(oldest: number): string {
  return `INSERT INTO sallyport.store_migrations (number, says, oldest_reader) VALUES (${90 + oldest}, 'new', ${oldest})`
}

t.test('the grants on the page are the grants that are needed', async (t) => {
  const page = readFileSync('docs/operations.md', 'utf8')
  t.match(page, `${grants('sallyport', 'sallyport').join(';\n')};\n`)
})

const peer = await postgresOrSkip()
if (peer.skip !== false) {
  t.pass('skipped', { skip: peer.skip })
} else {
  withServer(await startPostgres(t, peer.value))
}

function withServer(server: PostgresServer): void {
  t.test('eight that start at once make the tables once', async (t) => {
    const address = await server.database()
    const taken = await Promise.all(
      Array.from({ length: 8 }, async () => migrate(address, SCHEMA, { create: true })),
    )
    t.same(taken.flat(), [1])
    t.same(await migrate(address, SCHEMA, { create: true }), [])
    t.match(await server.sql(address.database, 'SELECT * FROM sallyport.store_migrations'), [
      { number: 1, says: 'entries with their expiry', oldest_reader: 1 },
    ])
  })

  t.test('two brokers with schemas of their own know nothing of each other', async (t) => {
    const address = await server.database()
    const log = { warn: (): void => {} }
    const stores = await Promise.all(
      ['one', 'two'].map(async (schema) => openPostgresStore({ address, schema, clock: Date.now, log })),
    )
    t.teardown(async () => Promise.all(stores.map(async (store) => store.close())))
    t.same(await Promise.all(stores.map(async (store) => store.claimOnce('k', Date.now() + 60_000))), [
      true,
      true,
    ])
  })

  t.test(
    'tables of a newer release are refused, unless they say that this one can work with them',
    async (t) => {
      const address = await server.database()
      const running = await open(t, address)
      await server.sql(address.database, step(1))
      await t.resolves(open(t, address), 'it only added something')
      await t.resolves(running.ping())

      await server.sql(address.database, step(2))
      await t.rejects(open(t, address), {
        code: 'SALLYPORT_STORE',
        message: /newer release.*step 1.*\n.*-> run the newer/,
      })
      await t.rejects(running.ping(), { message: /newer release/ }, 'and one that runs is not ready any more')
    },
  )

  t.test('a schema of another program is left alone', async (t) => {
    const address = await server.database()
    await server.sql(address.database, 'CREATE SCHEMA sallyport; CREATE TABLE sallyport.entries (id int)')
    await t.rejects(open(t, address), {
      message: /schema sallyport belongs to another program.*\n.*store\.schema/,
    })
    await server.sql(
      address.database,
      'DROP TABLE sallyport.entries; CREATE TABLE sallyport.store_migrations (num int)',
    )
    await t.rejects(open(t, address), { message: /belongs to another program/ })
    t.same(
      await server.sql(
        address.database,
        "SELECT relname FROM pg_class WHERE relnamespace = 'sallyport'::regnamespace",
      ),
      [{ relname: 'store_migrations' }],
      'nothing was added',
    )
  })

  t.test('whoever only looks makes no tables', async (t) => {
    const address = await server.database()
    await t.rejects(migrate(address, SCHEMA, { create: false }), {
      message: /no store in schema sallyport yet/,
    })
    t.same(await server.sql(address.database, "SELECT 1 FROM pg_namespace WHERE nspname = 'sallyport'"), [])
  })

  t.test('a role that may make no tables is told who can, and then needs the grants alone', async (t) => {
    const address = await server.database()
    await addRole(server, 'app')
    const app = { ...address, user: 'app' }
    await t.rejects(open(t, app), {
      message: /may not make the tables \(step 1\).*\n.*sallyport store migrate/,
    })
    await migrate(address, SCHEMA, { create: true })
    await t.rejects(open(t, app), { message: /permission denied/ })
    await grantUse(address, SCHEMA, 'app')
    const store = await open(t, app)
    await store.put('k', 'v')
    t.equal(await store.compareAndSet('k', 'v', undefined), true)
    const later = Date.now() + 60_000
    t.equal(await store.claimAllOnce([{ key: 'a', parts: ['x'], expiresAt: later }]), true)
    t.equal(await store.claimAllOnce([{ key: 'a', parts: ['y'], expiresAt: later }]), true)
    t.equal(await store.claimOnce('b', later), true)
    t.equal((await store.list('')).length, 2)
    t.equal(await store.expire(), 0)
    await t.resolves(store.ping())
    for (const text of ['DROP TABLE sallyport.entries', 'DELETE FROM sallyport.store_migrations']) {
      const client = await server.connect(address.database)
      await client.query('SET ROLE app')
      await t.rejects(client.query(text), { message: /permission denied|must be owner/ }, text)
      await client.end()
    }
  })

  t.test('`store migrate` makes the tables as the owner, and lets the server use them', async (t) => {
    const address = await server.database()
    await addRole(server, 'server_role')
    const cwd = folder(t)
    const url = (user: string): string =>
      `postgres://${user}@${encodeURIComponent(address.host)}:${address.port}/${address.database}`
    const write = (store: string): void =>
      writeFileSync(
        join(cwd, 'sallyport.yaml'),
        `issuer: https://sallyport.example.com
listen: { public: '127.0.0.1:8443' }
store: ${store}
connectors: []
clients: []
audiences: []
policies: []
`,
      )
    write(`{ type: postgres, url: '${url('server_role')}' }`)
    writeFileSync(join(cwd, 'owner.url'), `${url('postgres')}\n`, { mode: 0o600 })
    const migrated = await runCli(['store', 'migrate', '--url-file', 'owner.url', '--grant', 'server_role'], {
      cwd,
    })
    t.match(migrated, {
      code: 0,
      stderr: '',
      stdout: /schema sallyport: step 1 taken\nserver_role may use it\n$/,
    })
    t.match(await runCli(['store', 'migrate'], { cwd }), { code: 0, stdout: /: up to date\n$/ })
    await t.resolves(open(t, { ...address, user: 'server_role' }))

    t.match(await runCli(['store', 'migrate', '--grant', 'x"; DROP'], { cwd }), {
      code: 2,
      stderr: /plain name/,
    })
    t.match(await runCli(['store', 'migrate', '--grant', 'nobody_there'], { cwd }), {
      code: 1,
      stderr: /^sallyport store: .*permission denied|does not exist/,
    })
    t.match(await runCli(['store', 'migrate', '--url-file', 'none'], { cwd }), {
      code: 1,
      stderr: /none cannot be read/,
    })
    write('{ type: sqlite, file: x.db }')
    t.match(await runCli(['store', 'migrate'], { cwd }), { code: 78, stderr: /the store is sqlite/ })
  })
}
