// The real process: first start, second start, signals, faults at start, a kill in the middle of traffic.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { createLocalJWKSet, jwtVerify } from 'jose'
import t from 'tap'
import type { Test } from 'tap'
import { CLIENT_CREDENTIALS } from '../../src/core/oauth/names.ts'
import { SECRETS } from '../support/broker_config.ts'
import { freePorts } from '../support/child_server.ts'
import { openSocket } from '../support/raw_http.ts'
import { MAIN, SERVE_ENV, exchangeForm, makeFolder } from '../support/served.ts'
import type { Folder } from '../support/served.ts'
import { startTestIssuer } from '../support/test_issuer.ts'

const run = promisify(execFile)
const upstream = await startTestIssuer()
t.teardown(() => upstream.close())

const CREDENTIALS = {
  grant_type: CLIENT_CREDENTIALS,
  client_id: 'ci-pipeline',
  client_secret: SECRETS.pipeline,
  scope: 'openid',
}

type Ended = { readonly code: number | null; readonly stderr: string; readonly ms: number }

/** A start that is expected to end by itself. */
async function startAndEnd(cwd: string, args: readonly string[] = []): Promise<Ended> {
  const began = performance.now()
  const child = spawn(process.execPath, [MAIN, 'serve', ...args], {
    cwd,
    env: SERVE_ENV,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const late = setTimeout(() => child.kill('SIGKILL'), 15_000)
  const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, 'close')])
  clearTimeout(late)
  return { code: typeof code === 'number' ? code : null, stderr, ms: performance.now() - began }
}

function emptyFolder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'sallyport-first-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

t.test('the first start in an empty folder makes what it needs; the second one keeps the keys', async (t) => {
  const cwd = emptyFolder(t)
  // The starter's ports may be in use here; what it makes and says does not depend on them.
  const first = spawn(process.execPath, [MAIN, 'serve'], {
    cwd,
    env: SERVE_ENV,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  t.teardown(() => first.kill('SIGKILL'))
  let said = ''
  first.stderr.setEncoding('utf8').on('data', (chunk: string) => (said += chunk))
  const gone = once(first, 'close')
  while (!/scope=openid|cannot listen/.test(said)) await sleep(20)
  first.kill('SIGTERM')
  await gone
  t.ok(existsSync(join(cwd, 'sallyport.yaml')))
  t.equal(statSync(join(cwd, '.sallyport')).mode & 0o777, 0o700)
  t.equal(statSync(join(cwd, '.sallyport', 'demo-client-secret')).mode & 0o777, 0o600)

  const [port = 0, opsPort = 0] = await freePorts(2)
  const file = join(cwd, 'sallyport.yaml')
  writeFileSync(
    file,
    readFileSync(file, 'utf8').replaceAll('8443', String(port)).replaceAll('9090', String(opsPort)),
  )
  const kids: unknown[] = []
  for (let start = 0; start < 2; start += 1) {
    const server = spawn(process.execPath, [MAIN, 'serve'], {
      cwd,
      env: SERVE_ENV,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    t.teardown(() => server.kill('SIGKILL'))
    const ended = once(server, 'close')
    server.stdout.resume()
    let told = ''
    server.stderr.setEncoding('utf8').on('data', (chunk: string) => (told += chunk))
    while (!told.includes('listening on https')) await sleep(20)
    const curl = (line: string) =>
      run('sh', ['-c', `curl -sS --retry 5 --retry-connrefused --cacert .sallyport/tls/ca.crt ${line}`], {
        cwd,
      })
    const token = await curl(
      `-u "demo:$(cat .sallyport/demo-client-secret)" -d grant_type=client_credentials -d scope=openid https://localhost:${port}/token`,
    )
    t.match(JSON.parse(token.stdout), { token_type: 'bearer', expires_in: /^(600|59\d)$/ })
    kids.push(JSON.parse((await curl(`https://127.0.0.1:${port}/keys`)).stdout).keys[0].kid)
    server.kill('SIGTERM')
    await ended
    t.notMatch(told, /eyJ|Written:/)
    t.match(told, /Try in another terminal:\n {2}curl --cacert/, 'for as long as there is a demo client')
    t.match(told, /note keys_unsealed/, 'a note is said at each start')
  }
  t.equal(kids[0], kids[1])
})

t.test('SIGTERM ends it within two seconds, whatever is connected, with exit code 0', async (t) => {
  const folder = await makeFolder(t, upstream)
  const server = await folder.start()
  t.equal((await folder.post(CREDENTIALS)).status, 200)
  const port = Number(new URL(folder.url).port)
  const silent = await openSocket(port)
  const half = await openSocket(port)
  half.write('POST /dex/token HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc')
  for (const socket of [silent, half]) socket.on('error', () => {})
  await sleep(50)
  const began = performance.now()
  server.signal('SIGTERM')
  t.equal(await server.exited, '0')
  t.notMatch(server.logs(), /Try in another terminal/, 'no demo client, nothing to try')
  t.ok(performance.now() - began < 2000, `${Math.round(performance.now() - began)} ms`)
})

t.test('a port in use is said, with the way out, exit code 1, and at once', async (t) => {
  const folder = await makeFolder(t, upstream)
  const blocker = createServer().listen(Number(new URL(folder.url).port), '127.0.0.1')
  await once(blocker, 'listening')
  t.teardown(() => blocker.close())
  const ended = await startAndEnd(folder.path)
  t.equal(ended.code, 1)
  t.match(ended.stderr, /cannot listen: .*EADDRINUSE.*127\.0\.0\.1/)
  t.match(
    ended.stderr,
    /\n {4}-> stop what listens there \(another sallyport serve\?\), or change listen\.public or listen\.ops\n/,
  )
  t.notMatch(ended.stderr, / {4}at /, 'no stack trace')
  t.ok(ended.ms < 5000)
})

t.test('a folder that cannot be written is said, with exit code 1', async (t) => {
  const cwd = emptyFolder(t)
  writeFileSync(join(cwd, '.sallyport'), 'a file where the folder should be')
  const ended = await startAndEnd(cwd)
  t.equal(ended.code, 1)
  t.match(ended.stderr, /sallyport: .*\.sallyport/)
  t.notMatch(ended.stderr, / {4}at /)
})

t.test(
  'an audit file or a store that cannot be opened is said, with exit code 1, and nothing keeps running',
  async (t) => {
    const folder = await makeFolder(t, upstream)
    writeFileSync(join(folder.path, 'blocked'), '')
    folder.write((config) => void Object.assign(config, { audit: { destination: 'blocked/audit.log' } }))
    const audit = await startAndEnd(folder.path)
    t.equal(audit.code, 1)
    t.match(audit.stderr, /cannot start: audit destination .*blocked\/audit\.log cannot be opened/)
    folder.write(
      (config) => void Object.assign(config, { store: { type: 'sqlite', file: 'blocked/sallyport.db' } }),
    )
    const store = await startAndEnd(folder.path)
    t.equal(store.code, 1)
    t.match(store.stderr, /cannot start: .*sallyport\.db/)
    t.ok(Math.max(audit.ms, store.ms) < 5000)
  },
)

t.test('a configuration with problems is 78, each with its place; an unknown part is 2', async (t) => {
  const folder = await makeFolder(t, upstream)
  writeFileSync(
    join(folder.path, 'sallyport.yaml'),
    'issuer: not a url\nlisten: { public: 127.0.0.1:0 }\nclints: []\n',
  )
  const ended = await startAndEnd(folder.path)
  t.equal(ended.code, 78)
  t.match(ended.stderr, /sallyport\.yaml:1:\d+: error/)
  t.match(ended.stderr, /sallyport\.yaml:3:\d+: error/)
  t.equal((await startAndEnd(folder.path, ['gateway'])).code, 2)
})

t.test(
  'SIGHUP takes a changed policy; a bad file leaves the old one running, with metric and place (TH-C26)',
  async (t) => {
    const folder = await makeFolder(t, upstream)
    const server = await folder.start()
    const metric = async (): Promise<string | undefined> =>
      /^sallyport_config_last_reload_successful (\d)$/m.exec(
        await folder.text(`${folder.opsUrl}/metrics`),
      )?.[1]
    const until = async (what: string): Promise<void> => {
      for (let wait = 0; wait < 100 && !server.logs().includes(what); wait += 1) await sleep(30)
      t.match(server.logs(), what)
    }
    t.equal((await folder.post(exchangeForm(folder.mint()))).status, 200)
    t.equal(await metric(), '1')

    writeFileSync(join(folder.path, 'sallyport.yaml'), 'issuer: https://x.example.test\nlisten: {}\n')
    server.signal('SIGHUP')
    await until('configuration not reloaded, the old one stays')
    t.match(server.logs(), /sallyport\.yaml:\d+:\d+: error/)
    t.match(server.logs(), /"place":\{"file":"[^"]*sallyport\.yaml","line":\d+/)
    t.equal(await metric(), '0')
    t.equal((await folder.post(exchangeForm(folder.mint()))).status, 200, 'the old one stays')

    folder.write(
      (config) => void Object.assign(config, { issuer: `${folder.url}/moved`, tokens: { ttl: '1m' } }),
    )
    server.signal('SIGHUP')
    await until('"setting":"issuer"')
    t.match(server.logs(), /"problem":"issuer changed from .*only a restart changes it"/)
    t.equal(await metric(), '0')
    t.equal((await folder.post(exchangeForm(folder.mint()))).status, 200, 'nothing of it is taken')

    folder.write((config) => {
      Object.assign(config, { audit: { destination: 'other.log' } })
      const { policies } = config
      if (Array.isArray(policies))
        Object.assign(policies[0], { claims: { project_id: '48291', ref: 'release' } })
    })
    server.signal('SIGHUP')
    await until('configuration reloaded')
    t.match(server.logs(), /"setting":"audit"/, 'what waits for the next start is named')
    t.equal(await metric(), '1')
    t.equal((await folder.post(exchangeForm(folder.mint()))).status, 401)
    t.equal((await folder.post(exchangeForm(folder.mint({ ref: 'release' })))).status, 200)
    t.notMatch(server.logs(), /eyJ/)
  },
)

t.test(
  'a full disk under the audit file is 503 and no token, and readiness tells',
  { skip: !existsSync('/dev/full') && 'no /dev/full here' },
  async (t) => {
    const folder = await makeFolder(t, upstream)
    folder.write((config) => void Object.assign(config, { audit: { destination: '/dev/full' } }))
    await folder.start()
    const answer = await folder.post(CREDENTIALS)
    t.equal(answer.status, 503)
    t.same(answer.json, { error: 'temporarily_unavailable' })
    const ready = await fetch(`${folder.opsUrl}/readyz`)
    t.equal(ready.status, 503)
    t.match(await ready.text(), /\[-\]audit failed: .*ENOSPC/)
  },
)

t.test(
  'a kill in the middle of traffic loses nothing: keys verify, used tokens stay used, the audit can be read',
  async (t) => {
    const folder = await makeFolder(t, upstream)
    const server = await folder.start()
    const issued: string[] = []
    const used: string[] = []
    const worker = async (): Promise<void> => {
      for (;;) {
        const subject = folder.mint()
        const answer = await folder.post(exchangeForm(subject)).catch(() => undefined)
        if (answer === undefined) return
        if (answer.status !== 200) throw new Error(`status ${answer.status}`)
        used.push(subject)
        issued.push(String(answer.json['access_token']))
      }
    }
    const workers = Array.from({ length: 4 }, () => worker())
    while (issued.length < 100) await sleep(5)
    server.signal('SIGKILL')
    await Promise.all(workers)
    t.equal(await server.exited, 'SIGKILL')

    await folder.start()
    const keys = createLocalJWKSet(JSON.parse(await folder.text(`${folder.issuer}/keys`)))
    for (const token of issued) await jwtVerify(token, keys, { issuer: folder.issuer })
    for (const subject of used.slice(-8)) t.equal((await folder.post(exchangeForm(subject))).status, 401)
    t.equal((await folder.post(exchangeForm(folder.mint()))).status, 200)
    const events = auditOf(folder)
    const allowed = new Set(
      events.filter(({ decision }) => decision === 'allow').map(({ issued: { jti } = { jti: '' } }) => jti),
    )
    for (const token of issued) t.ok(allowed.has(jtiOf(token)), 'every token that left has its event')
  },
)

type Line = { readonly decision: string; readonly issued?: { readonly jti: string } }

function auditOf(folder: Folder): readonly Line[] {
  const lines = readFileSync(join(folder.path, 'audit.log'), 'utf8').trimEnd().split('\n')
  return lines.map((line): Line => JSON.parse(line))
}

function jtiOf(token: string): string {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).jti
}
