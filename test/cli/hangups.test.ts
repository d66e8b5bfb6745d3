// SIGHUP to a server that has not come so far that it can do something about it.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { stringify } from 'yaml'
import { openHangups } from '../../src/cli/hangups.ts'
import { MAIN, SERVE_ENV, makeFolder } from '../support/served.ts'
import { portOf, startTestIssuer } from '../support/test_issuer.ts'

const upstream = await startTestIssuer()
t.teardown(() => upstream.close())

/** Takes connections and says nothing, so that whoever needs its answer stays in the middle of its start. */
async function startSilence(t: Test): Promise<{ readonly port: number; readonly met: Promise<Socket> }> {
  const { promise, resolve } = Promise.withResolvers<Socket>()
  const server = createServer((socket) => {
    socket.on('error', () => {})
    resolve(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return { port: portOf(server), met: promise }
}

/** Starts a server, hangs up while it waits for `silence`, and tells how it ends when that goes away. */
async function hungUp(t: Test, cwd: string, args: readonly string[], met: Promise<Socket>): Promise<string> {
  const child = spawn(process.execPath, [MAIN, 'serve', ...args], {
    cwd,
    env: { ...SERVE_ENV, HOME: cwd },
    stdio: 'ignore',
  })
  t.teardown(() => child.kill('SIGKILL'))
  const ended = once(child, 'exit')
  await Promise.race([met, ended])
  child.kill('SIGHUP')
  // Seconds before it would give up by itself; a signal that ends it would have done so by then.
  // Were it not listened for, it would have ended it before this one.
  child.kill('SIGTERM')
  const [code, signal] = await ended
  return String(signal ?? code)
}

for (const [says, flags] of [
  ['a broker', []],
  ['a supervisor of workers', ['--workers', '2']],
] as const) {
  t.test(`${says} that waits for its database lives through a SIGHUP`, async (t) => {
    const silence = await startSilence(t)
    const folder = await makeFolder(t, upstream)
    const url = join(folder.path, 'store.url')
    writeFileSync(url, `postgres://sallyport:x@127.0.0.1:${silence.port}/sallyport\n`, { mode: 0o600 })
    folder.write(
      (config) => void Object.assign(config, { store: { type: 'postgres', urlFile: url, tls: 'off' } }),
    )
    t.equal(await hungUp(t, folder.path, flags, silence.met), 'SIGTERM')
  })
}

t.test('a webhook that waits for its cluster lives through a SIGHUP', async (t) => {
  const silence = await startSilence(t)
  const kubeconfig = stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'c', cluster: { server: `https://127.0.0.1:${silence.port}` } }],
    users: [{ name: 'u', user: {} }],
    contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'c',
  })
  const config = {
    kubeconfig: 'kubeconfig',
    listen: { port: 1, tls: { selfManaged: { namespace: 'x' } } },
    ops: { port: 2 },
  }
  const cwd = t.testdir({ kubeconfig, 'sallyport-webhook.yaml': stringify(config) })
  t.equal(await hungUp(t, cwd, ['webhook'], silence.met), 'SIGTERM')
})

function hangUp(): void {
  process.emit('SIGHUP')
}

t.test('what came early is done once, as soon as there is something to do', async (t) => {
  const hangups = openHangups()
  t.teardown(() => hangups.close())
  let done = 0
  hangUp()
  hangUp()
  const stop = hangups.obey(() => (done += 1))
  t.equal(done, 1)
  hangUp()
  t.equal(done, 2)
  stop()
  hangUp()
  t.equal(done, 2, 'a server that ends has nothing to open anew')
})

t.test('without one before there is nothing to do, and afterwards a SIGHUP means what it did', async (t) => {
  const before = process.listenerCount('SIGHUP')
  const hangups = openHangups()
  let done = 0
  hangups.obey(() => (done += 1))
  t.equal(done, 0)
  hangups.close()
  t.equal(process.listenerCount('SIGHUP'), before)
})
