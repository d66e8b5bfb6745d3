// A store is backed up while its broker serves, lost, and restored, by what docs/operations.md tells people to type: the broker
// signs with the same key as before, and a token that was spent stays spent. And what the page says about rotating and about
// more brokers.
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { createLocalJWKSet, jwtVerify } from 'jose'
import t from 'tap'
import type { Test } from 'tap'
import { hashGeneratedSecret } from '../../src/core/secret_hash.ts'
import { CLIENT_CREDENTIALS } from '../../src/core/oauth/names.ts'
import { SECRETS } from '../support/broker_config.ts'
import { postgresOrSkip, startPostgres } from '../support/postgres.ts'
import { commandFolder } from '../support/sallyport_command.ts'
import { FOR_APP, MAIN, SERVE_ENV, exchangeForm, makeFolder, setSingleUse } from '../support/served.ts'
import type { Folder } from '../support/served.ts'
import { decodeToken, encodeForm } from '../support/test_broker.ts'
import type { Config, Form } from '../support/test_broker.ts'
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

type Shell = (words: string, env?: Readonly<Record<string, string>>) => Promise<string>

/** Types the block with these words in that folder; `sallyport` is this checkout's. */
function shellIn(t: Test, { path }: Folder): Shell {
  const bin = `${commandFolder(t, 'false')}:${dirname(process.execPath)}:${process.env['PATH']}`
  return async (words, env = {}) => {
    const world = { cwd: path, env: { ...SERVE_ENV, ...env, PATH: bin } }
    return (await run('sh', ['-eu', '-c', commands(words)], world)).stdout
  }
}

/** What a shell must not take for more than text. */
const WHY = "it's $(gone); INC-42"
const OF_PIPELINE: Form = {
  grant_type: CLIENT_CREDENTIALS,
  client_id: 'ci-pipeline',
  client_secret: SECRETS.pipeline,
  scope: 'openid',
}

function ofCi(form: Form): Form {
  return { client_id: 'ci', client_secret: SECRETS.ci, ...form }
}

async function statusOf(url: string, form: Form): Promise<number> {
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  const answer = await fetch(url, { method: 'POST', headers, body: encodeForm(form) })
  await answer.text()
  return answer.status
}

/** Asks until it holds. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 30_000
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error('it never came to be')
    await sleep(50)
  }
}

async function kidsAt({ text, url }: Folder): Promise<readonly string[]> {
  return Array.from(Object(JSON.parse(await text(`${url}/dex/keys`))).keys, (key) => String(Object(key).kid))
}

/** The status of an exchange of a fresh token by the client with this secret. */
async function asks(folder: Folder, secret: string): Promise<number> {
  const form = { ...exchangeForm(folder.mint(), FOR_APP), client_secret: secret }
  return (await folder.post(form)).status
}

function setHashes({ clients }: Config, secretHashes: readonly string[]): void {
  if (!Array.isArray(clients)) throw new Error('no clients')
  const ci: unknown = clients.find((client: unknown) => Object(client).id === 'ci')
  Object.assign(Object(ci), { auth: { method: 'client_secret', secretHashes } })
}

t.test('a signing key and the secret of a client are rotated as the page says', async (t) => {
  const folder = await makeBroker(t, { type: 'sqlite', file: 'sallyport.db' })
  const server = await folder.start()
  const type = shellIn(t, folder)
  const [signing] = await kidsAt(folder)
  const listed = await type('sallyport keys rotate')
  const next = /^next +(\S+) +ES256 +from /m.exec(listed)?.[1] ?? ''
  t.match(listed, new RegExp(`^signing +${signing} `, 'm'))
  await until(async () => (await kidsAt(folder)).includes(next))
  t.equal(await exchange(folder, folder.mint()), 200)

  const hash = (await type('hash-secret')).trim()
  const fresh = readFileSync(join(folder.path, 'ci.new.secret'), 'utf8').trim()
  const old = hashGeneratedSecret(SECRETS.ci, randomBytes(16))
  const take = async (hashes: readonly string[], secret: string, status: number): Promise<void> => {
    folder.write((config) => {
      setSingleUse(config)
      Object.assign(config, { store: { type: 'sqlite', file: 'sallyport.db' } })
      setHashes(config, hashes)
    })
    server.signal('SIGHUP')
    await until(async () => (await asks(folder, secret)) === status)
  }
  await take([old, hash], fresh, 200)
  t.equal(await asks(folder, SECRETS.ci), 200, 'the old one is good, too')
  await take([hash], SECRETS.ci, 401)
  t.equal(await asks(folder, fresh), 200)
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

t.test('from one broker on SQLite to two on PostgreSQL, as the page says', { skip: peer.skip }, async (t) => {
  const server = await startPostgres(t, peer.skip === false ? peer.value : '')
  const [, sql = ''] = /^```sql\n(CREATE ROLE [\s\S]*?)^```$/m.exec(page) ?? []
  for (const line of sql.trim().split('\n')) await server.sql('postgres', line)
  const address = { ...(await server.database('other')), database: 'sallyport' }
  const folders = [
    await makeBroker(t, { type: 'sqlite', file: 'sallyport.db' }),
    await makeFolder(t, upstream),
  ] as const
  const [first, second] = folders
  const { issuer } = first
  const alone = await first.start()
  const before = await first.post(exchangeForm(first.mint(), FOR_APP))
  t.equal(before.status, 200)
  const type = shellIn(t, first)
  await type('old-keys.json', { ISSUER: issuer })
  const oldKeys = readFileSync(join(first.path, 'old-keys.json'))
  const disable = ['emergency', 'disable', 'client', 'ci-pipeline', '--by', 'jane', '--why', WHY]
  await run(process.execPath, [MAIN, ...disable], { cwd: first.path, env: SERVE_ENV })
  const revoked = String((await first.post(exchangeForm(first.mint(), FOR_APP))).json['access_token'])
  t.equal(await statusOf(`${issuer}/token/revoke`, ofCi({ token: revoked })), 200)
  await until(async () => (await statusOf(`${issuer}/token`, OF_PIPELINE)) === 401)
  await type('emergency list --json')
  await alone.stop()

  for (const folder of folders) {
    writeFileSync(join(folder.path, 'old-keys.json'), oldKeys)
    for (const [file, user] of [
      ['store.url', 'sallyport'],
      ['owner.url', 'postgres'],
    ] as const) {
      const url = `postgres://${user}@${encodeURIComponent(address.host)}:${address.port}/${address.database}\n`
      writeFileSync(join(folder.path, file), url, { mode: 0o600 })
    }
    folder.write((config) => {
      setSingleUse(config)
      const store = { type: 'postgres', urlFile: 'store.url' }
      Object.assign(config, { issuer, store, keys: { extraPublicKeysFile: 'old-keys.json' } })
    })
  }
  await shellIn(t, first)('store migrate --url-file owner.url')
  await second.start()
  t.equal(await statusOf(`${second.url}/dex/token`, OF_PIPELINE), 200, 'the new store does not know')
  const pulled = await type('pull-again.sh')
  t.match(pulled, `until lifted  by jane  ${WHY}`)
  t.match(pulled, `deny token ${String(decodeToken(revoked).claims['jti'])}  since `)
  await first.start()
  const token = String(before.json['access_token'])
  for (const folder of folders) {
    const keys = await folder.text(`${folder.url}/dex/keys`)
    t.equal(keys, await first.text(`${first.url}/dex/keys`))
    await t.resolves(
      jwtVerify(token, createLocalJWKSet(JSON.parse(keys)), { issuer }),
      'good where it is shown',
    )
    const answer = await fetch(`${folder.url}/dex/userinfo`, {
      headers: { authorization: `Bearer ${token}` },
    })
    t.equal(answer.status, 200, await answer.text())
    await until(async () => (await statusOf(`${folder.url}/dex/token`, OF_PIPELINE)) === 401)
    await until(async () => {
      const headers = { authorization: `Bearer ${revoked}` }
      const shown = await fetch(`${folder.url}/dex/userinfo`, { headers })
      await shown.text()
      return shown.status === 403
    })
  }
  const spent = first.mint()
  t.equal(await exchange(first, spent), 200)
  const again = await fetch(`${second.url}/dex/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: encodeForm(exchangeForm(spent, FOR_APP)),
  })
  t.equal(again.status, 401, 'what one takes is spent for the other')
})
