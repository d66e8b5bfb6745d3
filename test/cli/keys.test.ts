// `sallyport keys` on the store that a configuration names.
import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import type { Test } from 'tap'
import { hashGeneratedSecret } from '../../src/core/secret_hash.ts'
import { leadSeconds } from '../../src/core/key_rotation.ts'
import { openKeyRing } from '../../src/platform/keys/key_ring.ts'
import { readLevers, readStamp } from '../../src/platform/levers/lever_store.ts'
import { openSqliteStore } from '../../src/platform/store/sqlite_store.ts'
import { NOW, folder, runCli } from '../support/cli.ts'
import type { CliRun } from '../support/cli.ts'

const configText = (store: string, keys = ''): string => `issuer: https://sallyport.example.com
listen:
  public: { address: '127.0.0.1:8443' }
store: ${store}
${keys}
connectors: []
clients:
  - id: ci
    auth: { method: client_secret, secretHashes: ['${hashGeneratedSecret('k', Buffer.alloc(16))}'] }
audiences: []
policies: []
`

type World = {
  readonly cwd: string
  readonly run: (...argv: string[]) => Promise<CliRun>
  readonly kid: string
}

/** A folder with a configuration and the store of a broker that ran once. */
async function build(t: Test): Promise<World> {
  const cwd = folder(t)
  writeFileSync(join(cwd, 'sallyport.yaml'), configText('{ type: sqlite, file: sallyport.db }'))
  const store = await openSqliteStore({ file: join(cwd, 'sallyport.db'), clock: () => NOW })
  const ring = await openKeyRing({
    store,
    clock: () => NOW,
    randomBytes,
    config: {
      algorithm: 'ES256',
      rotationSeconds: 86_400,
      sealingKeyFile: undefined,
      extraPublicKeysFile: undefined,
    },
    maxTokenTtlSeconds: 600,
    log: { info: () => {}, warn: () => {} },
    refreshSeconds: 0,
  })
  const { kid } = ring.current()
  await store.close()
  return { cwd, kid, run: async (...argv) => runCli(['keys', ...argv], { cwd }) }
}

t.test('what the configuration is warned of is not said before the keys; what refuses it is', async (t) => {
  const { cwd, run } = await build(t)
  const text = configText('{ type: sqlite, file: sallyport.db }').replace('127.0.0.1:8443', '0.0.0.0:8443')
  writeFileSync(join(cwd, 'sallyport.yaml'), text)
  t.match(await runCli(['config', 'check'], { cwd }), { code: 0, stdout: /warning/ }, 'there is a warning')
  t.match(await run('list'), { code: 0, stderr: /^$/, stdout: /^signing/ })
  writeFileSync(join(cwd, 'sallyport.yaml'), `${text}policiez: []\n`)
  t.match(await run('list'), { code: 78, stderr: /policiez/, stdout: '' })
})

t.test('list shows the key that signs', async (t) => {
  const { run, kid } = await build(t)
  const listed = await run('list')
  t.equal(listed.stderr, '')
  t.equal(listed.stdout, `signing  ${kid}  ES256  since 2026-11-21T00:00:00.000Z\n`)
  t.equal(listed.code, 0)
})

t.test('list --json is for machines, with times as ISO 8601', async (t) => {
  const { run, kid } = await build(t)
  const listed: unknown = JSON.parse((await run('list', '--json')).stdout)
  t.same(listed, {
    keys: [
      {
        kid,
        algorithm: 'ES256',
        state: 'signing',
        publishedAt: '2026-11-21T00:00:00.000Z',
        signsFrom: '2026-11-21T00:00:00.000Z',
      },
    ],
  })
})

t.test('rotate publishes the next key and says from when it signs; the present one signs on', async (t) => {
  const { run, kid } = await build(t)
  const rotated = await run('rotate')
  const from = new Date(NOW + leadSeconds * 1000).toISOString()
  t.match(rotated.stdout, new RegExp(`^next {5}[\\w-]{43}  ES256  from ${from}\n$`))
  t.equal(rotated.code, 0)
  t.match((await run('list')).stdout, new RegExp(`^signing  ${kid} .*\nnext .*\n$`))
  t.match(JSON.parse((await run('rotate', '--json')).stdout), { next: { state: 'next' } })
})

t.test('revoke takes the key out, names the one that signs now, and says what verifiers need', async (t) => {
  const { run, kid } = await build(t)
  const revoked = await run('revoke', kid)
  t.equal(revoked.code, 0)
  t.match(revoked.stdout, new RegExp(`^revoked  ${kid}\nsigning  (?!${kid})`))
  t.match(revoked.stderr, /every kube-apiserver/)
  t.notMatch((await run('list')).stdout, kid)
  const signing: unknown = JSON.parse((await run('list', '--json')).stdout)
  t.match(signing, { keys: [{ state: 'signing' }] })
})

t.test('a revocation leaves an event for the audit log, and makes the brokers look', async (t) => {
  const { cwd, kid } = await build(t)
  const argv = ['keys', 'revoke', kid, '--why', 'INC-46']
  t.equal((await runCli(argv, { cwd, env: { USER: 'jane' } })).code, 0)
  const store = await openSqliteStore({ file: join(cwd, 'sallyport.db'), clock: () => NOW })
  t.teardown(() => store.close())
  const { events } = await readLevers(store)
  t.match(events, [
    { event: { at: NOW, lever: { did: 'revoked', kind: 'key', id: kid, by: 'jane', why: 'INC-46' } } },
  ])
  t.equal(await readStamp(store), events[0]?.event.id)
})

t.test('a key that is revoked is said to be, also when the brokers cannot be told', async (t) => {
  const { cwd, run, kid } = await build(t)
  const database = new DatabaseSync(join(cwd, 'sallyport.db'))
  database.exec(
    "CREATE TRIGGER no BEFORE INSERT ON entries WHEN NEW.key LIKE 'emergency/%' BEGIN SELECT RAISE(ABORT, 'no'); END",
  )
  database.close()
  const revoked = await run('revoke', kid)
  t.match(revoked, { code: 0, stdout: new RegExp(`^revoked  ${kid}\nsigning  `) })
  t.match(revoked.stderr, /is revoked; the brokers could not be told \(.*\): they follow within 10 s/)
})

t.test('revoking a key that is not there is a failure that says so', async (t) => {
  const { run, kid } = await build(t)
  const revoked = await run('revoke', 'nothing')
  t.match(revoked, { code: 1, stdout: '', stderr: /no key has the kid nothing/ })
  t.match((await run('list')).stdout, kid)
})

t.test('a store in memory, a store that is not there and a bad configuration make no key', async (t) => {
  const cwd = folder(t)
  const run = async (text: string): Promise<CliRun> => {
    writeFileSync(join(cwd, 'sallyport.yaml'), text)
    return runCli(['keys', 'list'], { cwd })
  }
  t.match(await run(configText('{ type: memory }')), { code: 78, stderr: /the store is memory/ })
  t.match(await run(configText('{ type: sqlite, file: none.db }')), {
    code: 78,
    stderr: /start the broker once/,
  })
  t.equal(existsSync(join(cwd, 'none.db')), false)
  t.match(await run('issuer: 7\n'), { code: 78, stderr: /sallyport\.yaml:1:/ })
})

t.test('a damaged store and a wrong sealing key are failures with a reason', async (t) => {
  const { cwd, run } = await build(t)
  const sealed = configText('{ type: sqlite, file: sallyport.db }', 'keys: { sealingKeyFile: seal }')
  writeFileSync(join(cwd, 'seal'), randomBytes(32), { mode: 0o644 })
  writeFileSync(join(cwd, 'sallyport.yaml'), sealed)
  const modes = process.platform !== 'win32'
  if (modes) t.match(await run('list'), { code: 78, stderr: /file_readable_by_others .*\(mode 0644\)/ })
  chmodSync(join(cwd, 'seal'), 0o600)
  t.equal((await run('list')).code, 0)
  writeFileSync(join(cwd, 'seal'), randomBytes(32))
  t.match(await run('list'), { code: 1, stderr: /cannot be opened with this sealing key/ })
  writeFileSync(join(cwd, 'sallyport.db'), 'no database'.repeat(500))
  t.match(await run('list'), { code: 1, stderr: /not a SQLite file/ })
})

t.test('keys without a job is a usage error', async (t) => {
  t.equal((await runCli(['keys'])).code, 2)
  t.equal((await runCli(['keys', 'revoke'])).code, 2)
})
