// `sallyport emergency` on the store that a configuration names. Brokers that obey are in test/e2e/emergency.test.ts.
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { hashGeneratedSecret } from '../../src/core/secret_hash.ts'
import { readLevers } from '../../src/platform/levers/lever_store.ts'
import type { StoredLevers } from '../../src/platform/levers/lever_store.ts'
import { openSqliteStore } from '../../src/platform/store/sqlite_store.ts'
import { NOW, folder, runCli } from '../support/cli.ts'
import type { CliRun } from '../support/cli.ts'

const configText = (store: string): string => `issuer: https://sallyport.example.com
listen:
  public: { address: '127.0.0.1:8443' }
store: ${store}
tokens: { ttl: 15m }
connectors: [{ id: gitlab, type: gitlab-ci, issuer: 'https://gitlab.example.com' }]
clients:
  - id: ci
    auth: { method: client_secret, secretHashes: ['${hashGeneratedSecret('k', Buffer.alloc(16))}'] }
audiences: [{ id: app, clients: [ci] }]
policies:
  - { name: acme-main, connector: gitlab, claims: { project_id: '1', ref: main }, grant: { audiences: [app] } }
`

type World = {
  readonly run: (...argv: string[]) => Promise<CliRun>
  readonly stored: () => Promise<StoredLevers>
}

/** A folder with a configuration and the store of a broker that ran once. */
async function build(t: Test): Promise<World> {
  const cwd = folder(t)
  writeFileSync(join(cwd, 'sallyport.yaml'), configText('{ type: sqlite, file: sallyport.db }'))
  const store = await openSqliteStore({ file: join(cwd, 'sallyport.db'), clock: () => NOW })
  t.teardown(() => store.close())
  return {
    run: async (...argv) => runCli(['emergency', ...argv], { cwd, env: { USER: 'jane' } }),
    stored: async () => readLevers(store),
  }
}

const since = '2026-11-21T00:00:00.000Z'
/** A minute for clocks, the quarter of an hour that a token lives, and a minute more. */
const ends = '2026-11-21T00:17:00.000Z'

t.test('a lever is pulled, listed and lifted, each with an event of who and why', async (t) => {
  const { run, stored } = await build(t)
  for (const [kind, id] of [
    ['client', 'ci'],
    ['connector', 'gitlab'],
    ['policy', 'acme-main'],
  ] as const) {
    const pulled = await run('disable', kind, id, '--why', 'INC-42')
    t.match(pulled, { code: 0, stderr: /follows within 2 s/ })
    t.equal(pulled.stdout, `disable ${kind} ${id}  since ${since}  until lifted  by jane  INC-42\n`)
    t.match((await stored()).events.at(-1)?.event, {
      at: NOW,
      lever: { did: 'disabled', kind, id, by: 'jane', why: 'INC-42' },
    })
    t.equal((await run('list')).stdout, pulled.stdout)
    t.match(await run('lift', 'disable', kind, id, '--by', 'joe'), {
      code: 0,
      stdout: `lifted  disable ${kind} ${id}\n`,
    })
    t.match((await stored()).events.at(-1)?.event, { lever: { did: 'lifted', kind, id, by: 'joe' } })
    t.match(await run('list'), { code: 0, stdout: 'nothing is switched off or denied\n' })
  }
})

t.test(
  'a denial ends when the last token that it concerns has expired, and says whom it does not reach',
  async (t) => {
    const { run } = await build(t)
    for (const [kind, id] of [
      ['client', 'ci'],
      ['policy', 'acme-main'],
      ['token', '1f6a3c2e-8f0d-4a53-9f53-0d8f1d6f7c11'],
    ] as const) {
      const denied = await run('deny', kind, id)
      t.match(denied, {
        code: 0,
        stderr:
          /token review refuse .*\n.*a registry that verifies by itself, do not ask: .*\n\(`sallyport keys revoke KID --flush`\)/,
      })
      t.equal(denied.stdout, `deny ${kind} ${id}  since ${since}  until ${ends}  by jane\n`)
    }
  },
)

t.test('--json is for machines', async (t) => {
  const { run } = await build(t)
  const lever = { action: 'disable', kind: 'client', id: 'ci', since, until: null, by: 'jane', why: '' }
  t.same(JSON.parse((await run('disable', 'client', 'ci', '--json')).stdout), { disabled: lever })
  t.same(JSON.parse((await run('list', '--json')).stdout), { pulled: [lever], revokedByClients: [] })
  t.same(JSON.parse((await run('lift', 'disable', 'client', 'ci', '--json')).stdout), {
    lifted: { action: 'disable', kind: 'client', id: 'ci' },
  })
})

t.test('a slip of the pen is no lever, unless somebody means it', async (t) => {
  const { run, stored } = await build(t)
  t.match(await run('disable', 'policy', 'acme-mian'), {
    code: 1,
    stdout: '',
    stderr:
      /nothing was done: the configuration has no policy acme-mian; did you mean acme-main\?\n {4}-> --unknown/,
  })
  t.match(await run('lift', 'disable', 'client', 'ci'), {
    code: 1,
    stderr: /nothing to lift: disable client ci/,
  })
  t.same((await stored()).pulled, [])
  t.match(await run('deny', 'client', 'gone', '--unknown'), { code: 0, stdout: /^deny client gone/ })
})

t.test('what is no lever, no id or no reason is refused before anything is opened', async (t) => {
  const { run, stored } = await build(t)
  for (const [argv, stderr] of [
    [['disable', 'token', 'x'], /there is no token to disable/],
    [['deny', 'connector', 'gitlab'], /there is no connector to deny/],
    [['disable', 'client', ''], /the id is empty/],
    [['disable', 'client', 'c'.repeat(257)], /the id is longer than 256/],
    [['disable', 'client', 'ci', '--why', 'w'.repeat(257)], /--why is longer than 256/],
    [['disable', 'client', 'ci', '--by', 'me\nyou'], /--by holds control characters/],
    [['deny', 'token', 'eyJhbGciOiJFUzI1NiJ9.e30.c2ln'], /give the jti of the token, not the token/],
    [['lift', 'remove', 'client', 'ci'], /write disable or deny/],
  ] as const)
    t.match(await run(...argv), { code: 2, stdout: '', stderr })
  const { pulled, events } = await stored()
  t.same([...pulled, ...events], [])
})

t.test('without a store that others see there is no lever', async (t) => {
  const cwd = folder(t)
  const run = async (...argv: string[]): Promise<CliRun> => runCli(['emergency', ...argv], { cwd })
  writeFileSync(join(cwd, 'sallyport.yaml'), configText('{ type: memory }'))
  t.match(await run('list'), { code: 78, stderr: /the store is memory/ })
  writeFileSync(join(cwd, 'sallyport.yaml'), configText('{ type: sqlite, file: sallyport.db }'))
  t.match(await run('disable', 'client', 'ci'), {
    code: 78,
    stderr: /there is no store at .*start the broker once/,
  })
  t.notOk(existsSync(join(cwd, 'sallyport.db')))
})
