// One store, one server: a second one ends with a message, a killed one leaves nothing locked, commands work beside it,
// and a server of another issuer than the last one says so.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import t from 'tap'
import { stringify } from 'yaml'
import { freePorts } from '../support/child_server.ts'
import { MAIN, SERVE_ENV, makeFolder } from '../support/served.ts'
import type { Folder } from '../support/served.ts'
import { startTestIssuer } from '../support/test_issuer.ts'

const run = promisify(execFile)
const upstream = await startTestIssuer()
t.teardown(() => upstream.close())

/** Another broker's configuration in the same folder, without jobs. */
async function writeOther(folder: Folder, store: object): Promise<readonly string[]> {
  const [port = 0] = await freePorts(1)
  const config = {
    issuer: 'https://other.example.test',
    listen: { public: `127.0.0.1:${port}`, ops: 'off' },
    store,
    keys: { algorithm: 'RS256' },
    connectors: [],
    clients: [{ id: 'demo', auth: { method: 'client_secret', secretEnv: 'CI_SECRET' } }],
    audiences: [],
    policies: [],
  }
  writeFileSync(join(folder.path, 'other.yaml'), stringify(config))
  return ['--config', 'other.yaml']
}

type Ran = { readonly code: unknown; readonly stderr: string }

/** Ends a server that says that it listens. */
async function serveShortly(cwd: string, args: readonly string[]): Promise<Ran> {
  const child = spawn(process.execPath, [MAIN, 'serve', ...args], {
    cwd,
    env: SERVE_ENV,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const late = setTimeout(() => child.kill('SIGKILL'), 15_000)
  const closed = once(child, 'close')
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    if (chunk.includes('listening on')) child.kill('SIGTERM')
  })
  const [stderr, [code]] = await Promise.all([text(child.stderr), closed])
  clearTimeout(late)
  return { code, stderr }
}

t.test(
  'a second server on the store of a running one ends, and names file, process and way out',
  async (t) => {
    const folder = await makeFolder(t, upstream)
    const server = await folder.start()
    const kid = await signingKid(folder)
    const flags = await writeOther(folder, { type: 'sqlite', file: 'sallyport.db' })
    const second = await serveShortly(folder.path, flags)
    t.equal(second.code, 1)
    t.match(
      second.stderr,
      `sallyport.db: another server (process ${server.pid}, issuer ${folder.issuer}) serves`,
    )
    t.match(second.stderr, /-> stop that one, or give this one a store of its own: store\.file/)
    t.notMatch(second.stderr, /listening on| {4}at /)
    t.equal(await signingKid(folder), kid, 'the running one keeps its key')
    t.equal(statSync(join(folder.path, 'sallyport.db.lock')).mode & 0o777, 0o600)

    const apart = await serveShortly(
      folder.path,
      await writeOther(folder, { type: 'sqlite', file: 'other.db' }),
    )
    t.match(apart, { code: 0, stderr: /listening on/ }, 'a store of its own is all it takes')
    t.notMatch(apart.stderr, /WARNING/)
  },
)

t.test('an administrator rotates the keys beside a running server', async (t) => {
  const folder = await makeFolder(t, upstream)
  await folder.start()
  const { stdout } = await run(process.execPath, [MAIN, 'keys', 'rotate'], {
    cwd: folder.path,
    env: SERVE_ENV,
  })
  t.match(stdout, /^next /)
})

t.test('a killed server leaves nothing locked', async (t) => {
  const folder = await makeFolder(t, upstream)
  const server = await folder.start()
  server.signal('SIGKILL')
  await server.exited
  const again = await folder.start()
  t.match(again.logs(), /listening on/)
  t.notMatch(again.logs(), /WARNING/, 'and the same issuer is not warned of')
})

t.test(
  'a server of another issuer than the last one warns, once, with both names and the way out',
  async (t) => {
    const folder = await makeFolder(t, upstream)
    await (await folder.start()).stop()
    const flags = await writeOther(folder, { type: 'sqlite', file: 'sallyport.db' })
    const other = await serveShortly(folder.path, flags)
    t.equal(other.code, 0)
    t.match(
      other.stderr,
      `sallyport.db belongs to issuer ${folder.issuer}, and this server is https://other.example.test\n`,
    )
    t.match(other.stderr, /-> give this server a store of its own: store\.file/)
    t.notMatch((await serveShortly(folder.path, flags)).stderr, /WARNING/)

    const memory = await serveShortly(folder.path, await writeOther(folder, { type: 'memory' }))
    t.match(memory, { code: 0 })
    t.notMatch(memory.stderr, /WARNING/, 'a store in memory belongs to nobody')
  },
)

async function signingKid(folder: Folder): Promise<string> {
  return JSON.parse(await folder.text(`${folder.issuer}/keys`)).keys[0].kid
}
