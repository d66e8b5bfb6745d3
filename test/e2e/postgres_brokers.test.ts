// Two brokers, as processes of their own, on one PostgreSQL and behind one address: what is good once is good once over
// both, both publish the same keys whoever rotates, one after the other restarts without a failed request, and what is
// stored comes back from a backup.
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { createLocalJWKSet, jwtVerify } from 'jose'
import t from 'tap'
import type { Test } from 'tap'
import type { PostgresAddress } from '../../src/platform/store/postgres_pool.ts'
import { postgresOrSkip, startPostgres } from '../support/postgres.ts'
import type { PostgresServer } from '../support/postgres.ts'
import { FOR_APP, MAIN, SERVE_ENV, exchangeForm, makeFolder, setSingleUse } from '../support/served.ts'
import type { Folder } from '../support/served.ts'
import { startTcpBalancer } from '../support/tcp_balancer.ts'
import { encodeForm } from '../support/test_broker.ts'
import { startTestIssuer } from '../support/test_issuer.ts'

const run = promisify(execFile)

const peer = await postgresOrSkip()
if (peer.skip !== false) {
  t.pass('skipped', { skip: peer.skip })
} else {
  withServer(await startPostgres(t, peer.value))
}

type Pair = {
  readonly address: PostgresAddress
  readonly issuer: string
  readonly folders: readonly [Folder, Folder]
  /** At one of the two; behind the address of both when none is named. */
  readonly exchange: (token: string, folder?: Folder) => Promise<Answer>
  readonly mint: () => string
  /** Whether the common address leads to it. */
  readonly isBehind: (folder: Folder) => boolean
}

type Answer = { readonly status: number; readonly body: string }

const upstream = await startTestIssuer()
t.teardown(() => upstream.close())

function portOf({ url }: Folder): number {
  return Number(new URL(url).port)
}

/** Two folders with the configuration of one broker, and a balancer that asks each whether it is ready. */
async function makePair(t: Test, server: PostgresServer): Promise<Pair> {
  const address = await server.database()
  const folders = [await makeFolder(t, upstream), await makeFolder(t, upstream)] as const
  const up = new Set<number>()
  const over = new AbortController()
  t.teardown(() => over.abort())
  for (const folder of folders) void keepLooking(folder, up, over.signal)
  const balancer = await startTcpBalancer(folders.map(portOf), (port) => up.has(port))
  t.teardown(async () => balancer.close())
  const issuer = `http://127.0.0.1:${balancer.port}/dex`
  for (const folder of folders) {
    writeFileSync(join(folder.path, 'store.url'), urlOf(address), { mode: 0o600 })
    folder.write((config) => {
      setSingleUse(config)
      Object.assign(config, {
        issuer,
        listen: { ...Object(config['listen']), drain: '1s' },
        store: { type: 'postgres', urlFile: 'store.url' },
      })
    })
  }
  return {
    address,
    issuer,
    folders,
    mint: () => folders[0].mint({ aud: issuer }),
    isBehind: (folder) => up.has(portOf(folder)),
    exchange: async (token, folder) =>
      post(`${folder?.issuer ?? issuer}/token`, encodeForm(exchangeForm(token, FOR_APP))),
  }
}

/** One look after the other, so that an old answer never overtakes a new one. */
async function keepLooking(folder: Folder, up: Set<number>, over: AbortSignal): Promise<void> {
  while (!over.aborted) {
    const isReady = await fetch(`${folder.opsUrl}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    )
    if (isReady) up.add(portOf(folder))
    else up.delete(portOf(folder))
    await sleep(50)
  }
}

function urlOf({ host, port, database, user }: PostgresAddress): string {
  return `postgres://${user}@${encodeURIComponent(host)}:${port}/${database}\n`
}

/** On a connection of its own: a client that keeps one would ask one of the two for ever. */
function post(url: string, body: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const ask = request(url, { method: 'POST', headers, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }))
      response.on('error', reject)
    })
    ask.on('error', reject)
    ask.end(body)
  })
}

async function keysOf({ issuer, text }: Folder): Promise<string> {
  return text(`${issuer}/keys`)
}

function kidsOf(keys: string): readonly string[] {
  return Array.from(Object(JSON.parse(keys)).keys, (key) => String(Object(key).kid))
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 20_000
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error('it never came to be')
    await sleep(50)
  }
}

function keysCommand(folder: Folder, ...args: readonly string[]) {
  return run(process.execPath, [MAIN, 'keys', ...args], { cwd: folder.path, env: SERVE_ENV })
}

function withServer(server: PostgresServer): void {
  t.test(
    'TH-G07: a token that is good once is bought once, whichever of two brokers, one of two workers, 100 ask at once',
    async (t) => {
      const { folders, exchange, mint } = await makePair(t, server)
      const [first, second] = folders
      await Promise.all([first.start(), second.start(['--workers', '2'])])
      for (const folder of folders)
        t.match(await folder.text(`${folder.opsUrl}/readyz`), "[+]clock ok: agrees with the store's")
      for (const round of [1, 2, 3]) {
        const token = mint()
        const answers = await Promise.all(
          Array.from({ length: 100 }, async (_, index) => exchange(token, folders[index % 2])),
        )
        const bought = answers.filter(({ status }) => status === 200)
        t.equal(bought.length, 1, `round ${round}`)
        t.equal(
          answers.filter(({ status }) => status === 401).length,
          99,
          'all others are told that it is spent',
        )
      }
    },
  )

  t.test('both start at once with one key, and both follow whoever rotates or revokes', async (t) => {
    const { folders, exchange, mint, issuer } = await makePair(t, server)
    const [first, second] = folders
    await Promise.all(folders.map(async (folder) => folder.start()))
    const before = await keysOf(first)
    t.equal(kidsOf(before).length, 1)
    t.equal(await keysOf(second), before)

    const { stdout: listed } = await keysCommand(second, 'list')
    t.match(listed, new RegExp(`^signing  ${kidsOf(before)[0]}  ES256`))
    const { stdout: rotated } = await keysCommand(first, 'rotate')
    const next = /^next +(\S+)/.exec(rotated)?.[1] ?? ''
    await until(async () =>
      (await Promise.all(folders.map(keysOf))).every((keys) => kidsOf(keys).includes(next)),
    )
    t.equal(await keysOf(second), await keysOf(first), 'byte for byte')
    t.equal(kidsOf(await keysOf(first)).length, 2)

    const answer = await exchange(mint(), second)
    const token = String(Object(JSON.parse(answer.body)).access_token)
    const keySet = createLocalJWKSet(Object(JSON.parse(await keysOf(first))))
    t.equal(
      (await jwtVerify(token, keySet, { issuer })).protectedHeader.kid,
      kidsOf(before)[0],
      'the next one waits',
    )

    await keysCommand(second, 'revoke', kidsOf(before)[0] ?? '')
    await until(async () =>
      (await Promise.all(folders.map(keysOf))).every((keys) => kidsOf(keys).length === 1),
    )
    for (const folder of folders) {
      const { body } = await exchange(mint(), folder)
      const only = createLocalJWKSet(Object(JSON.parse(await keysOf(first))))
      const issued = String(Object(JSON.parse(body)).access_token)
      t.equal((await jwtVerify(issued, only, { issuer })).protectedHeader.kid, next)
    }
  })

  t.test('both are restarted, one after the other, and no request fails', async (t) => {
    const { folders, exchange, mint, isBehind } = await makePair(t, server)
    const running = await Promise.all(folders.map(async (folder) => folder.start()))
    const areBehind = (): Promise<boolean> => Promise.resolve(folders.every(isBehind))
    await until(areBehind)
    const failed: unknown[] = []
    let count = 0
    const over = new AbortController()
    const load = Array.from({ length: 4 }, async () => {
      while (!over.signal.aborted) {
        const answer = await exchange(mint()).catch(String)
        count += 1
        if (typeof answer === 'string' || answer.status !== 200) failed.push(answer)
        await sleep(5)
      }
    })
    await sleep(300)
    for (const [index, folder] of folders.entries()) {
      running[index]?.signal('SIGTERM')
      t.equal(await running[index]?.exited, '0')
      await folder.start()
      // What a rolling update waits for before it goes on to the next.
      await until(areBehind)
      await sleep(300)
    }
    over.abort()
    await Promise.all(load)
    t.same(failed, [])
    t.ok(count > 100, `${count} requests`)
  })

  t.test('a server that is told to end says so before it does', async (t) => {
    const { folders, exchange, mint } = await makePair(t, server)
    const [first] = folders
    const broker = await first.start()
    t.equal((await fetch(`${first.opsUrl}/readyz`)).status, 200)
    broker.signal('SIGTERM')
    await until(async () => (await fetch(`${first.opsUrl}/readyz`)).status === 503)
    t.match(await first.text(`${first.opsUrl}/readyz`), '[-]server failed: is ending')
    t.equal((await exchange(mint(), first)).status, 200, 'and still answers')
    const answer = await fetch(`${first.issuer}/keys`)
    t.equal(answer.headers.get('connection'), 'close')
    t.equal(await broker.exited, '0')
  })

  t.test(
    'without the database no token is bought, and with it again they are, without a restart',
    async (t) => {
      const own = await startPostgres(t, peer.skip === false ? peer.value : '')
      const { folders, exchange, mint } = await makePair(t, own)
      const [first] = folders
      const broker = await first.start()
      const token = mint()
      await own.stop()
      const refused = await exchange(token, first)
      t.equal(refused.status, 503)
      t.notMatch(refused.body, 'access_token')
      t.match(await first.text(`${first.opsUrl}/readyz`), /\[-\]store failed: postgres /)
      t.equal((await fetch(`${first.issuer}/keys`)).status, 200, 'what others verify with is served')
      await own.start()
      t.equal((await exchange(token, first)).status, 200, 'what was refused was not spent')
      t.equal((await exchange(token, first)).status, 401)
      t.equal((await fetch(`${first.opsUrl}/readyz`)).status, 200)
      t.notMatch(broker.logs(), /eyJ/)
    },
  )

  t.test('a broker of another issuer on the same schema is warned of, with the way out', async (t) => {
    const { folders, issuer } = await makePair(t, server)
    const [first, second] = folders
    await (await first.start()).stop()
    second.write((config) => Object.assign(config, { store: { type: 'postgres', urlFile: 'store.url' } }))
    const other = await second.start()
    t.match(
      other.logs(),
      new RegExp(`WARNING: the store postgres .*, schema sallyport belongs to issuer ${issuer}`),
    )
    t.match(other.logs(), /-> give this server a store of its own: store\.schema/)
  })

  t.test('where no broker ever ran, `keys` makes neither tables nor keys', async (t) => {
    const { folders, address } = await makePair(t, server)
    const [first] = folders
    await t.rejects(keysCommand(first, 'list'), {
      code: 1,
      stderr: /no store in schema sallyport yet: start the broker/,
    })
    t.same(await server.sql(address.database, "SELECT 1 FROM pg_namespace WHERE nspname = 'sallyport'"), [])
    await run(process.execPath, [MAIN, 'store', 'migrate'], { cwd: first.path, env: SERVE_ENV })
    await t.rejects(keysCommand(first, 'rotate'), {
      code: 1,
      stderr: /no keys in the store yet: start the broker/,
    })
    t.same(await server.sql(address.database, 'SELECT key FROM sallyport.entries'), [])
  })
}
