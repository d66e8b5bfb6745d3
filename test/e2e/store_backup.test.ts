// A store is backed up while its broker serves, lost, and restored, by what docs/operations.md tells people to type: the broker
// signs with the same key as before, and a token that was spent stays spent.
import { execFile } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import type { Test } from 'tap'
import { postgresOrSkip, startPostgres } from '../support/postgres.ts'
import { FOR_APP, exchangeForm, makeFolder, setSingleUse } from '../support/served.ts'
import type { Folder } from '../support/served.ts'
import { startTestIssuer } from '../support/test_issuer.ts'

const run = promisify(execFile)
const page = readFileSync('docs/operations.md', 'utf8')
const upstream = await startTestIssuer()
t.teardown(() => upstream.close())

/** The only block of commands on the page with these words. */
function commands(words: string): string {
  const blocks = [...page.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, body = '']) => body)
  const [block, second] = blocks.filter((each) => each.includes(words))
  if (block === undefined || second !== undefined) throw new Error(`not one block with ${words}`)
  return block
}

async function makeBroker(t: Test, store: object): Promise<Folder> {
  const folder = await makeFolder(t, upstream)
  folder.write((config) => {
    setSingleUse(config)
    Object.assign(config, { store })
  })
  return folder
}

async function exchange(folder: Folder, token: string): Promise<number> {
  const { status } = await folder.post(exchangeForm(token, FOR_APP))
  return status
}

type Steps = {
  readonly backUp: () => Promise<unknown>
  /** The broker does not run. */
  readonly lose: () => Promise<unknown>
  readonly restore: () => Promise<unknown>
}

async function survives(t: Test, folder: Folder, { backUp, lose, restore }: Steps): Promise<void> {
  const first = await folder.start()
  const [spent, later] = [folder.mint(), folder.mint()]
  t.equal(await exchange(folder, spent), 200)
  const keys = await folder.text(`${folder.issuer}/keys`)
  await backUp()
  t.equal(await exchange(folder, later), 200, 'it serves on')
  await first.stop()
  await lose()
  const empty = await folder.start()
  t.not(await folder.text(`${folder.issuer}/keys`), keys, 'it is gone')
  await empty.stop()
  await lose()
  await restore()
  await folder.start()
  t.equal(await folder.text(`${folder.issuer}/keys`), keys)
  t.equal(await exchange(folder, spent), 401, 'what was spent before the backup stays spent')
  t.equal(await exchange(folder, later), 200, 'what was spent after it does not, as the page says')
  t.match(page, 'a token that was spent since can be spent again')
}

t.test('SQLite', async (t) => {
  const folder = await makeBroker(t, { type: 'sqlite', file: 'sallyport.db' })
  const shell = async (line: string) =>
    run('sh', ['-e', '-c', line], {
      cwd: folder.path,
      env: { PATH: `${dirname(process.execPath)}:${process.env['PATH']}` },
    })
  await survives(t, folder, {
    backUp: async () => shell(commands('DatabaseSync')),
    lose: async () => {
      for (const end of ['', '-wal', '-shm']) rmSync(join(folder.path, `sallyport.db${end}`), { force: true })
    },
    restore: async () => shell(commands('cp sallyport.backup.db')),
  })
})

const peer = await postgresOrSkip()
t.test('PostgreSQL', { skip: peer.skip }, async (t) => {
  const bin = peer.skip === false ? peer.value : ''
  const server = await startPostgres(t, bin)
  const address = await server.database('sallyport')
  const folder = await makeBroker(t, { type: 'postgres', urlFile: 'store.url' })
  const name = (database: string): void =>
    writeFileSync(
      join(folder.path, 'store.url'),
      `postgres://postgres@${encodeURIComponent(address.host)}:${server.port}/${database}\n`,
      { mode: 0o600 },
    )
  name('sallyport')
  const shell = async (line: string) =>
    run('sh', ['-e', '-c', line], {
      cwd: folder.path,
      env: {
        PATH: `${bin}:${process.env['PATH']}`,
        PGHOST: address.host,
        PGPORT: String(server.port),
        PGUSER: 'postgres',
      },
    })
  await survives(t, folder, {
    backUp: async () => shell(commands('pg_dump')),
    lose: async () => server.sql('sallyport', 'DROP SCHEMA sallyport CASCADE'),
    restore: async () => {
      await shell(commands('pg_restore'))
      name('sallyport_restored')
    },
  })
})
