// `sallyport credential` as kubectl starts it: processes beside one another, killed ones, full disks, terminals.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { ServerResponse } from 'node:http'
import { join, resolve } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { folder, unsignedJwt } from '../support/cli.ts'
import type { CliRun } from '../support/cli.ts'

const MAIN = resolve('src/main.ts')
const JOB_TOKEN = unsignedJwt({ iss: 'https://gitlab.example.test' })

type Held = { readonly url: string; asked: number; answer: (response: ServerResponse) => void }

/** A token endpoint that answers as the test says at that moment. */
async function startBroker(t: Test): Promise<Held> {
  const server = createServer((request, response) => {
    request.resume()
    request.once('end', () => {
      held.asked += 1
      held.answer(response)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const held: Held = { url: `http://127.0.0.1:${address.port}`, asked: 0, answer: grant }
  return held
}

function grant(response: ServerResponse): void {
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify({ access_token: 'issued.token.value', token_type: 'bearer', expires_in: 600 }))
}

function environment(broker: Held, home: string): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '',
    HOME: home,
    GITLAB_CI: 'true',
    SALLYPORT_ID_TOKEN: JOB_TOKEN,
    SALLYPORT_BROKER: broker.url,
    SALLYPORT_CLIENT_ID: 'ci',
    SALLYPORT_AUDIENCE: 'kubernetes',
  }
}

function run(
  env: Readonly<Record<string, string>>,
  argv: readonly string[] = [],
  shell?: (command: string) => string,
): Promise<CliRun> {
  const { promise, resolve: done } = Promise.withResolvers<CliRun>()
  const words = [MAIN, 'credential', ...argv]
  const [program, args] =
    shell === undefined
      ? [process.execPath, words]
      : ['/bin/sh', ['-c', shell([process.execPath, ...words].map((word) => `'${word}'`).join(' '))]]
  execFile(program, args, { env }, (error, stdout, stderr) => {
    // A process that a signal ended has no code.
    done({ code: error === null ? 0 : Number(error.code ?? Number.NaN), stdout, stderr })
  })
  return promise
}

t.test('several kubectls at once make one exchange', async (t) => {
  const broker = await startBroker(t)
  const home = folder(t)
  const env = environment(broker, home)
  broker.answer = (response) => setTimeout(() => grant(response), 300)
  const runs = await Promise.all([run(env), run(env), run(env), run(env)])
  for (const ran of runs) t.match(ran, { code: 0, stderr: '', stdout: /"token":"issued\.token\.value"/ })
  t.equal(broker.asked, 1)
  t.equal(readdirSync(join(home, '.cache', 'sallyport')).length, 1)
})

t.test('several refused kubectls at once ask once', async (t) => {
  const broker = await startBroker(t)
  const env = environment(broker, folder(t))
  broker.answer = (response) => {
    response.statusCode = 401
    setTimeout(() => response.end('{"error":"access_denied"}'), 300)
  }
  const runs = await Promise.all([run(env), run(env), run(env)])
  for (const ran of runs) t.match(ran, { code: 1, stdout: '', stderr: /access_denied/ })
  t.equal(broker.asked, 1)
})

t.test('a plugin that was killed while it asked holds nobody up', async (t) => {
  const broker = await startBroker(t)
  const home = folder(t)
  const env = environment(broker, home)
  const { promise: reached, resolve: reach } = Promise.withResolvers<void>()
  broker.answer = () => reach()
  const killed = spawn(process.execPath, [MAIN, 'credential'], { env, stdio: 'ignore' })
  await reached
  const names = readdirSync(join(home, '.cache', 'sallyport'))
  t.match(names, [/\.lock$/])
  killed.kill('SIGKILL')
  await once(killed, 'close')
  broker.answer = grant
  const began = performance.now()
  t.match(await run(env), { code: 0, stderr: '' })
  t.ok(performance.now() - began < 10_000, 'its lock was taken for dead, not waited out')
  t.equal(broker.asked, 2)
  t.equal(readdirSync(join(home, '.cache', 'sallyport')).length, 1, 'and is gone')
})

t.test('a lock that says nothing, as a full disk leaves it, is not waited for long', async (t) => {
  const broker = await startBroker(t)
  const home = folder(t)
  const env = environment(broker, home)
  const cache = join(home, '.cache', 'sallyport')
  await run(env)
  const [name = ''] = readdirSync(cache)
  for (const text of ['', '{"pid"', '[]', '{"pid":"1","since":0}']) {
    writeFileSync(join(cache, name), 'damaged')
    writeFileSync(join(cache, `${name}.lock`), text)
    t.match(await run(env), { code: 0, stderr: '' })
    t.strictSame(readdirSync(cache), [name])
  }
})

t.test('on a full disk kubectl gets its token and is told that it is not kept', async (t) => {
  const broker = await startBroker(t)
  const home = folder(t)
  const env = environment(broker, home)
  mkdirSync(join(home, '.cache'), { mode: 0o700 })
  // The test runner has each process of Node write a file about itself, which would be the end of this one.
  const ran = await run(env, [], (command) => `unset NODE_OPTIONS; ulimit -f 0 && exec ${command}`)
  t.match(ran, {
    code: 0,
    stdout: /issued\.token\.value/,
    stderr: /is not kept.*cannot be written \(EFBIG\)\n$/,
  })
  t.equal(ran.stderr.split('\n').length, 2)
  t.strictSame(readdirSync(join(home, '.cache', 'sallyport')), [], 'no half of a file is left')
  t.match(await run(env), { code: 0, stderr: '' })
})

t.test(
  'no token is printed to a terminal',
  { skip: !existsSync('/usr/bin/script') && 'no script here' },
  async (t) => {
    const broker = await startBroker(t)
    const env = environment(broker, folder(t))
    for (const info of [{}, { KUBERNETES_EXEC_INFO: '{}' }]) {
      const ran = await run(
        { ...env, ...info },
        [],
        (command) => `script -qec "${command}" /dev/null </dev/null`,
      )
      t.equal(ran.code, 2)
      t.match(ran.stdout, /standard output is a terminal: let kubectl start it/)
      t.notMatch(ran.stdout, 'issued')
    }
    t.equal(broker.asked, 0)
    t.match(await run(env, [], (command) => `${command} >/dev/null`), { code: 0, stderr: '' })
  },
)

t.test("what the quick reader of flags does not know is commander's to explain", async (t) => {
  const broker = await startBroker(t)
  const env = environment(broker, folder(t))
  t.match(await run(env, ['--help']), { code: 0, stdout: /Usage: sallyport credential/ })
  t.match(await run(env, ['--audienc', 'x']), { code: 2, stderr: /Did you mean --audience/ })
  t.match(await run(env, ['--audience']), { code: 2, stderr: /argument missing/ })
  t.match(await run(env, ['issued.token.value']), { code: 2, stderr: /too many arguments/ })
  t.equal(broker.asked, 0)
  for (const argv of [
    ['--audience=x', '--no-cache'],
    ['--no-cache', '--audience', '-x'],
  ])
    t.match(await run(env, argv), { code: 0, stderr: '' }, argv.join(' '))
  t.equal(broker.asked, 2)
})

t.test('a reader that has gone is no crash', async (t) => {
  const broker = await startBroker(t)
  const ran = await run(environment(broker, folder(t)), [], (command) => `${command} | :`)
  t.match(ran, { code: 0, stdout: '' })
  t.notMatch(ran.stderr, /at .*\.ts/)
})
