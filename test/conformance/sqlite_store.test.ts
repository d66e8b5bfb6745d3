import { spawn } from 'node:child_process'
import { chmodSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { text } from 'node:stream/consumers'
import t from 'tap'
import type { Test } from 'tap'
import { openSqliteStore } from '../../src/platform/store/sqlite_store.ts'
import { StoreFailure } from '../../src/platform/store/store.ts'
import type { Store } from '../../src/platform/store/store.ts'
import { STORE_WORKER, startStoreProcess } from '../support/store_process.ts'
import { describeStore } from './store.ts'

const now = Date.UTC(2026, 10, 21)
const later = now + 3_600_000
const clock = (): number => now

function fileOf(t: Test): string {
  return join(t.testdir(), 'own', 'sallyport.db')
}

async function open(t: Test, file: string): Promise<Store> {
  const store = await openSqliteStore({ file, clock, busyTimeoutMs: 5000 })
  t.teardown(async () => store.close())
  return store
}

t.test('the store in a SQLite file', async (t) => {
  describeStore(t, {
    open: async (tt, given) => openSqliteStore({ file: fileOf(tt), clock: given }),
  })
})

t.test('what one process wrote the next one reads', async (t) => {
  const file = fileOf(t)
  const first = await openSqliteStore({ file, clock })
  await first.put('a', 'x')
  t.equal(await first.claimOnce('replay/a', later), true)
  await first.close()
  const second = await open(t, file)
  t.equal(await second.get('a'), 'x')
  t.equal(await second.claimOnce('replay/a', later), false)
})

t.test('a file of before, with an index of what expires, serves on without it', async (t) => {
  const file = fileOf(t)
  const first = await openSqliteStore({ file, clock })
  await first.put('state', 'x')
  t.equal(await first.claimOnce('replay/a', now - 1), true)
  t.equal(await first.claimOnce('replay/b', later), true)
  await first.close()
  const before = new DatabaseSync(file)
  before.exec('CREATE INDEX entries_by_expiry ON entries (expires_at) WHERE expires_at IS NOT NULL')
  before.close()
  const second = await open(t, file)
  t.equal(await second.expire(), 1)
  t.equal(await second.claimOnce('replay/b', later), false)
  t.equal(await second.get('state'), 'x')
  const after = new DatabaseSync(file, { readOnly: true })
  t.same(after.prepare("SELECT name FROM sqlite_schema WHERE name = 'entries_by_expiry'").all(), [])
  after.close()
})

t.test('file and folder are closed to others, also when the file was not', async (t) => {
  const file = fileOf(t)
  const first = await openSqliteStore({ file, clock })
  await first.put('a', 'x')
  t.equal(statSync(file).mode & 0o777, 0o600)
  t.equal(statSync(`${file}-wal`).mode & 0o777, 0o600)
  t.equal(statSync(join(file, '..')).mode & 0o777, 0o700)
  await first.close()
  chmodSync(file, 0o644)
  await open(t, file)
  for (const each of [file, `${file}-wal`, `${file}-shm`]) t.equal(statSync(each).mode & 0o777, 0o600, each)
})

t.test('a log that a crash left open to others is closed too', async (t) => {
  const file = fileOf(t)
  const writer = startStoreProcess(t, 'write', file, 'r')
  await writer.sees('claimed r/1')
  writer.kill()
  await writer.ended
  for (const each of [file, `${file}-wal`, `${file}-shm`]) chmodSync(each, 0o644)
  await open(t, file)
  for (const each of [file, `${file}-wal`, `${file}-shm`]) t.equal(statSync(each).mode & 0o777, 0o600, each)
})

t.test('two processes that claim the same keys at the same time share them out exactly', async (t) => {
  const file = fileOf(t)
  const workers = [startStoreProcess(t, 'claim', file, '400'), startStoreProcess(t, 'claim', file, '400')]
  await Promise.all(workers.map(async (each) => each.ended))
  const claimed = workers.flatMap((each) => each.lines.filter((line) => line.startsWith('claimed ')))
  t.equal(claimed.length, 400)
  t.equal(new Set(claimed).size, 400)
})

t.test('two processes that count with compare-and-set lose nothing', async (t) => {
  const file = fileOf(t)
  const workers = [startStoreProcess(t, 'count', file, '100'), startStoreProcess(t, 'count', file, '100')]
  t.same(await Promise.all(workers.map(async (each) => each.ended)), [0, 0])
  t.equal(await (await open(t, file)).get('count'), '200')
})

t.test(
  'kill -9 in the middle of writes leaves a store that opens and every claim that was answered',
  async (t) => {
    const file = fileOf(t)
    for (const round of ['1', '2', '3']) {
      const writer = startStoreProcess(t, 'write', file, round)
      await writer.sees(`claimed ${round}/300`)
      writer.kill()
      await writer.ended
      const store = await openSqliteStore({ file, clock })
      const answered = writer.lines.map((line) => line.replace('claimed ', 'replay/'))
      t.ok(answered.length >= 300)
      const again = await Promise.all(answered.map(async (key) => store.claimOnce(key, later)))
      t.notOk(again.includes(true), 'no claim was lost')
      await store.close()
    }
  },
)

t.test('a disk that is full at the first start is called full', async (t) => {
  const file = fileOf(t)
  const first = spawn(
    'sh',
    ['-c', `ulimit -f 10; exec "${process.execPath}" "${STORE_WORKER}" count "${file}" 1`],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  )
  t.teardown(() => first.kill('SIGKILL'))
  const said = await text(first.stderr)
  t.match(said, /StoreFailure: .*sallyport\.db: the disk is full/)
})

t.test('a full disk is a StoreFailure, loses nothing, and passes when there is room again', async (t) => {
  const file = fileOf(t)
  await (await openSqliteStore({ file, clock })).close()
  // `ulimit -f` bounds the size of every file that the worker writes: the disk is full for it.
  const full = spawn(
    'sh',
    ['-c', `ulimit -f 200; exec "${process.execPath}" "${STORE_WORKER}" fill "${file}"`],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  t.teardown(() => full.kill('SIGKILL'))
  let output = ''
  full.stdout.setEncoding('utf8')
  full.stdout.on('data', (chunk: string) => {
    output += chunk
  })
  await new Promise((resolve) => full.on('close', resolve))
  const [kept, failure, read] = output.trim().split('\n')
  t.match(failure, /^SALLYPORT_STORE .*(the disk is full|the disk failed to read or write)$/)
  t.equal(read, 'read x')
  const store = await open(t, file)
  t.equal((await store.list('fill/')).length, Number(kept))
  await t.resolves(store.put('room', 'again'))
})

t.test('a store that cannot be written says so in a ping, until it can', async (t) => {
  const file = fileOf(t)
  const store = await openSqliteStore({ file, clock, busyTimeoutMs: 10 })
  t.teardown(async () => store.close())
  const other = new DatabaseSync(file)
  other.exec('BEGIN IMMEDIATE')
  await t.rejects(store.claimOnce('a', later), {
    code: 'SALLYPORT_STORE',
    message: /locked by another process/,
  })
  await t.rejects(store.ping(), StoreFailure)
  t.equal(await store.get('a'), undefined)
  other.exec('ROLLBACK')
  other.close()
  await t.resolves(store.ping())
  t.equal(await store.claimOnce('a', later), true)
})

t.test('who looks for what has expired keeps nobody from the file while nothing has', async (t) => {
  const file = fileOf(t)
  const store = await openSqliteStore({ file, clock, busyTimeoutMs: 10 })
  t.teardown(async () => store.close())
  await Promise.all(
    Array.from({ length: 2500 }, async (_, index) => store.claimOnce(`replay/${index}`, later)),
  )
  const other = new DatabaseSync(file)
  other.exec('BEGIN IMMEDIATE')
  t.equal(await store.expire(), 0, 'without the lock that another process has')
  other.exec('ROLLBACK')
  other.close()
})

t.test('a file that was removed under the broker fails its ping', async (t) => {
  const file = fileOf(t)
  const store = await open(t, file)
  rmSync(file)
  await t.rejects(store.ping(), { message: /removed or replaced/ })
})

t.test('a damaged file, a foreign file and a newer file are refused as what they are', async (t) => {
  const folder = t.testdir()
  const refused = async (name: string, message: RegExp): Promise<void> => {
    await t.rejects(openSqliteStore({ file: join(folder, name), clock }), {
      code: 'SALLYPORT_STORE',
      message,
    })
  }
  writeFileSync(join(folder, 'text.db'), 'this is not a database, whatever its name says'.repeat(50))
  await refused('text.db', /not a SQLite file/)

  const dex = new DatabaseSync(join(folder, 'dex.db'))
  dex.exec('CREATE TABLE migrations (num integer)')
  dex.close()
  chmodSync(join(folder, 'dex.db'), 0o640)
  await refused('dex.db', /belongs to another program/)
  t.equal(statSync(join(folder, 'dex.db')).mode & 0o777, 0o640)
  t.equal(
    new DatabaseSync(join(folder, 'dex.db')).prepare('PRAGMA journal_mode').get()?.['journal_mode'],
    'delete',
  )

  await (await openSqliteStore({ file: join(folder, 'newer.db'), clock })).close()
  const newer = new DatabaseSync(join(folder, 'newer.db'))
  newer.exec('UPDATE schema_version SET version = 99')
  newer.close()
  await refused('newer.db', /has version 99/)

  await (await openSqliteStore({ file: join(folder, 'damaged.db'), clock })).close()
  writeFileSync(join(folder, 'damaged.db'), Buffer.alloc(8192, 0xa5), { flag: 'r+' })
  await refused('damaged.db', /not a SQLite file|damaged/)

  writeFileSync(join(folder, 'blocker'), '')
  await refused('blocker/x.db', /EEXIST|ENOTDIR/)
})

t.test('a closed store refuses to write', async (t) => {
  const store = await openSqliteStore({ file: fileOf(t), clock })
  await store.close()
  await store.close()
  await t.rejects(store.claimOnce('a', later), { code: 'SALLYPORT_STORE', message: /is closed/ })
  await t.rejects(store.get('a'), StoreFailure)
})
