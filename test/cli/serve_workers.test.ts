// `sallyport serve --workers`: several processes on one socket and one store are one server, whichever of them is asked, and
// whatever becomes of one of them. On SQLite; test/e2e/postgres_brokers.test.ts has two on one PostgreSQL.
import { execFile } from 'node:child_process'
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { createLocalJWKSet, jwtVerify } from 'jose'
import t from 'tap'
import type { Test } from 'tap'
import type { ChildServer } from '../support/child_server.ts'
import { MAIN, SERVE_ENV, exchangeForm, makeFolder, setSingleUse } from '../support/served.ts'
import type { Folder } from '../support/served.ts'
import { encodeForm } from '../support/test_broker.ts'
import type { Form } from '../support/test_broker.ts'
import { startTestIssuer } from '../support/test_issuer.ts'

const run = promisify(execFile)
const upstream = await startTestIssuer()
t.teardown(() => upstream.close())

type Answer = { readonly status: number; readonly body: string }

/** On a connection of its own: those are what workers take turns at. */
function ask(url: string, form?: Form): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const method = form === undefined ? 'GET' : 'POST'
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const sent = request(url, { method, headers, agent: false }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
      response.on('error', reject)
    })
    sent.on('error', reject)
    sent.end(form === undefined ? undefined : encodeForm(form))
  })
}

function exchange({ issuer }: Folder, token: string): Promise<Answer> {
  return ask(`${issuer}/token`, exchangeForm(token))
}

/** A folder whose job tokens are good once. */
async function makeWorkers(t: Test, listen: Readonly<Record<string, unknown>> = {}): Promise<Folder> {
  const folder = await makeFolder(t, upstream)
  folder.write((config) => {
    setSingleUse(config)
    Object.assign(Object(config['listen']), listen)
  })
  return folder
}

/** Process ids of the workers that serve, by number. */
function workersOf(server: ChildServer): ReadonlyMap<number, number> {
  const said = server.logs().matchAll(/"worker":(\d+),"pid":(\d+),"msg":"worker serves"/g)
  return new Map([...said].map(([, number, pid]) => [Number(number), Number(pid)]))
}

function pidOf(server: ChildServer, number: number): number {
  const pid = workersOf(server).get(number)
  if (pid === undefined) throw new Error(`worker ${number} does not serve`)
  return pid
}

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

async function until(holds: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = performance.now() + 20_000
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error('it never came to be')
    await sleep(20)
  }
}

async function counted({ opsUrl, text }: Folder, name: string): Promise<number> {
  const lines = (await text(`${opsUrl}/metrics`)).split('\n')
  const values = lines.filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
  return values.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
}

function auditOf({ path }: Folder, file = 'audit.log'): readonly Record<string, unknown>[] {
  const lines = readFileSync(join(path, file), 'utf8').trimEnd().split('\n')
  return lines.map((line) => Object(JSON.parse(line)))
}

t.test('two workers are one server', async (t) => {
  const folder = await makeWorkers(t)
  const server = await folder.start(['--workers', '2'])
  t.match(await folder.text(`${folder.opsUrl}/readyz`), /^\[\+\]workers ok: 2 of 2 serve\n\[\+\]store ok/)

  await t.test('TH-G05: a hundred exchanges of one token over two processes buy one', async (t) => {
    for (const round of [1, 2, 3]) {
      const token = folder.mint()
      const answers = await Promise.all(Array.from({ length: 100 }, () => exchange(folder, token)))
      t.equal(answers.filter(({ status }) => status === 200).length, 1, `round ${round}`)
      t.equal(answers.filter(({ status }) => status === 401).length, 99, 'the others are told it is spent')
    }
    t.equal(auditOf(folder).filter(({ decision }) => decision === 'allow').length, 3)
    t.equal(auditOf(folder).length, 300, 'each decision is in the one audit file, on a line of its own')
    t.equal(await counted(folder, 'sallyport_token_decisions_total'), 300, 'and counted at the one /metrics')
    t.equal(await counted(folder, 'sallyport_token_decision_seconds_count'), 300)
    t.equal(await counted(folder, 'sallyport_workers_serving'), 2)
    t.equal(await counted(folder, 'sallyport_jwks_info'), 1, 'one key set')
  })

  await t.test('connections go to both, and one that stands still holds up one of them', async (t) => {
    process.kill(pidOf(server, 1), 'SIGSTOP')
    let answered = 0
    const asked = Array.from({ length: 10 }, async () => {
      const { status } = await ask(`${folder.issuer}/keys`)
      answered += 1
      return status
    })
    await until(() => answered === 9)
    const readiness = await ask(`${folder.opsUrl}/readyz`)
    t.equal(readiness.status, 503)
    t.match(readiness.body, '[-]workers failed: 1 of 2 serve, worker 1 does not answer')
    t.equal(answered, 9, 'it gets no other before it has taken this one')
    process.kill(pidOf(server, 1), 'SIGCONT')
    t.strictSame(new Set(await Promise.all(asked)), new Set([200]))
    t.equal((await ask(`${folder.opsUrl}/readyz`)).status, 200)
  })

  await t.test('whoever rotates, both publish the next key, and nobody leads', async (t) => {
    const keysFrom = async (): Promise<readonly string[]> =>
      Promise.all(Array.from({ length: 6 }, async () => (await ask(`${folder.issuer}/keys`)).body))
    t.equal(new Set(await keysFrom()).size, 1)
    const keys = ['keys', 'rotate']
    const { stdout } = await run(process.execPath, [MAIN, ...keys], { cwd: folder.path, env: SERVE_ENV })
    const next = /^next +(\S+)/.exec(stdout)?.[1] ?? 'none'
    await until(async () => (await keysFrom()).every((body) => body.includes(next)))
    const [document = ''] = await keysFrom()
    const keySet = createLocalJWKSet(Object(JSON.parse(document)))
    for (let count = 0; count < 4; count += 1) {
      const { body } = await exchange(folder, folder.mint())
      const token = String(Object(JSON.parse(body)).access_token)
      const { protectedHeader } = await jwtVerify(token, keySet, { issuer: folder.issuer })
      t.not(protectedHeader.kid, next, 'it waits until every verifier can know it')
    }
  })

  await t.test('a worker that is killed is replaced, and what it counted stays counted', async (t) => {
    const [killed, before] = [pidOf(server, 2), await counted(folder, 'sallyport_token_decisions_total')]
    process.kill(killed, 'SIGKILL')
    await until(async () => (await ask(`${folder.opsUrl}/readyz`)).status === 503)
    const meanwhile = await exchange(folder, folder.mint())
    t.equal(meanwhile.status, 200, 'the other one serves on')
    t.ok((await counted(folder, 'sallyport_token_decisions_total')) >= before + 1)
    await until(async () => (await ask(`${folder.opsUrl}/readyz`)).status === 200)
    t.not(pidOf(server, 2), killed)
    t.equal(await counted(folder, 'sallyport_worker_restarts_total'), 1)
    t.match(
      server.logs(),
      /"worker":2,"pid":\d+,"ended":"SIGKILL","startsAgainInMs":100,"msg":"a worker ended"/,
    )
  })

  await t.test(
    'a changed configuration is taken over by both, a bad one by none, also not after an end',
    async (t) => {
      const good = readFileSync(join(folder.path, 'sallyport.yaml'), 'utf8')
      const statuses = async (): Promise<ReadonlySet<number>> =>
        new Set(
          (await Promise.all(Array.from({ length: 6 }, () => exchange(folder, folder.mint())))).map(
            ({ status }) => status,
          ),
        )
      writeFileSync(join(folder.path, 'sallyport.yaml'), good.replaceAll('48291', '1'))
      server.signal('SIGHUP')
      await until(async () => (await statuses()).size === 1 && (await statuses()).has(401))
      writeFileSync(join(folder.path, 'sallyport.yaml'), 'connectors: {')
      server.signal('SIGHUP')
      await until(() => server.logs().includes('configuration not reloaded'))
      process.kill(pidOf(server, 1), 'SIGKILL')
      await until(async () => (await counted(folder, 'sallyport_worker_restarts_total')) === 2)
      await until(async () => (await counted(folder, 'sallyport_workers_serving')) === 2)
      t.strictSame(await statuses(), new Set([401]), 'the configuration that runs, not the file')
      t.equal(await counted(folder, 'sallyport_config_last_reload_successful'), 0)
      writeFileSync(join(folder.path, 'sallyport.yaml'), good)
      server.signal('SIGHUP')
      await until(async () => (await statuses()).size === 1 && (await statuses()).has(200))
      t.equal(await counted(folder, 'sallyport_config_last_reload_successful'), 1)
    },
  )

  await t.test('after SIGHUP all of them write into the new audit file', async (t) => {
    renameSync(join(folder.path, 'audit.log'), join(folder.path, 'audit.log.1'))
    server.signal('SIGHUP')
    await until(() => existsSync(join(folder.path, 'audit.log')))
    const old = auditOf(folder, 'audit.log.1').length
    await until(async () => {
      await Promise.all(Array.from({ length: 6 }, () => exchange(folder, folder.mint())))
      return auditOf(folder, 'audit.log').length % 6 === 0
    })
    const settled = auditOf(folder, 'audit.log.1').length
    await Promise.all(Array.from({ length: 6 }, () => exchange(folder, folder.mint())))
    t.equal(auditOf(folder, 'audit.log.1').length, settled)
    t.ok(settled - old <= 6)
  })

  await t.test('no log line holds a token', async (t) => void t.notMatch(server.logs(), /eyJ/))
})

t.test('a server that is told to end says so, answers on, and leaves no worker behind', async (t) => {
  const folder = await makeWorkers(t, { drain: '1s' })
  const server = await folder.start(['--workers', '2'])
  const pids = [...workersOf(server).values()]
  t.equal(pids.length, 2)
  const failed: unknown[] = []
  const over = new AbortController()
  const load = Array.from({ length: 4 }, async () => {
    while (!over.signal.aborted) {
      const answer = await exchange(folder, folder.mint()).catch(String)
      if (typeof answer === 'string' || answer.status !== 200) failed.push(answer)
      await sleep(5)
    }
  })
  server.signal('SIGTERM')
  await until(async () => (await ask(`${folder.opsUrl}/readyz`)).status === 503)
  t.match((await ask(`${folder.opsUrl}/readyz`)).body, '[-]server failed: is ending')
  t.equal((await exchange(folder, folder.mint())).status, 200, 'and still answers')
  over.abort()
  await Promise.all(load)
  t.strictSame(failed, [])
  t.equal(await server.exited, '0')
  t.notOk(pids.some(isThere), 'no worker is left')
})

t.test(
  'workers do not outlive a supervisor that is killed, and the next one can start at once',
  async (t) => {
    const folder = await makeWorkers(t)
    const server = await folder.start(['--workers', '2'])
    const pids = [...workersOf(server).values()]
    const token = folder.mint()
    t.equal((await exchange(folder, token)).status, 200)
    server.signal('SIGKILL')
    await until(() => !pids.some(isThere))
    await folder.start(['--workers', '2'])
    t.equal((await exchange(folder, token)).status, 401, 'what was spent is spent')
    t.equal((await exchange(folder, folder.mint())).status, 200)
  },
)

t.test("under Node's permission model the supervisor alone may start processes", async (t) => {
  const folder = await makeWorkers(t)
  const root = dirname(dirname(MAIN))
  const granted = [
    '--permission --allow-worker --disable-warning=PERM0006 --disable-warning=PERM0002',
    `--allow-fs-read=${root} --allow-fs-read=${folder.path} --allow-fs-write=${folder.path}`,
  ].join(' ')
  await t.rejects(
    run(process.execPath, [MAIN, 'serve', '--workers', '2'], {
      cwd: folder.path,
      env: { ...SERVE_ENV, NODE_OPTIONS: granted },
    }),
    {
      code: 1,
      stderr:
        /Node's permissions.* do not allow .*\n {2}-> if it should be allowed, add --allow-child-process/,
    },
  )
  const server = await folder.start(['--workers', '2'], { NODE_OPTIONS: `${granted} --allow-child-process` })
  t.equal((await exchange(folder, folder.mint())).status, 200)
  for (const pid of workersOf(server).values()) {
    const environment = readFileSync(`/proc/${pid}/environ`, 'utf8')
    t.match(environment, 'NODE_OPTIONS=--permission')
    t.notMatch(environment, '--allow-child-process')
  }
})

t.test('what workers cannot do is refused with a way out', async (t) => {
  const folder = await makeWorkers(t)
  const serve = async (...args: readonly string[]) =>
    run(process.execPath, [MAIN, 'serve', ...args], { cwd: folder.path, env: SERVE_ENV })
  await t.rejects(serve('--workers', 'many'), {
    code: 2,
    stderr: /--workers is "many": write auto, or a number/,
  })
  await t.rejects(serve('--workers', '0'), { code: 2, stderr: /from 1 to 64/ })
  await t.rejects(serve('webhook', '--workers', '2'), { code: 2, stderr: /the webhook scales by replicas/ })
  folder.write((config) => Object.assign(config, { store: { type: 'memory' } }))
  await t.rejects(serve('--workers', '2'), {
    code: 78,
    stderr:
      /a token that is good once would be good once in each\n {4}-> store\.type sqlite, postgres or kubernetes/,
  })
  folder.write()
  const running = await folder.start(['--workers', '2'])
  await t.rejects(serve('--workers', '2'), { code: 1, stderr: /another server \(process \d+, issuer / })
  t.notMatch(running.logs(), 'a worker ended')
})
