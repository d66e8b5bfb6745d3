// `sallyport hash-secret`: the hash goes into the configuration, and the broker's own check accepts it.
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { matchesSha256, parsePhc } from '../../src/core/secret_hash.ts'
import { createSecretCheck } from '../../src/platform/secret_check.ts'
import { folder, runCli } from '../support/cli.ts'

t.test('a generated secret goes into a private file and only its hash is printed', async (t) => {
  const cwd = folder(t)
  const run = await runCli(['hash-secret', '--generate', '--secret-file', 'ci.secret'], { cwd })
  t.equal(run.code, 0)
  const secret = readFileSync(join(cwd, 'ci.secret'), 'utf8')
  t.equal(statSync(join(cwd, 'ci.secret')).mode & 0o777, 0o600)
  t.equal(Buffer.from(secret, 'base64url').length, 32)
  t.notOk(run.stdout.includes(secret))
  const phc = parsePhc(run.stdout.trim())
  t.ok(phc?.kind === 'sha256' && matchesSha256(secret, phc))
})

t.test('a secret that is in use is not replaced', async (t) => {
  const cwd = folder(t)
  const argv = ['hash-secret', '--generate', '--secret-file', 'ci.secret']
  t.equal((await runCli(argv, { cwd })).code, 0)
  const before = readFileSync(join(cwd, 'ci.secret'), 'utf8')
  t.match(await runCli(argv, { cwd }), { code: 1, stdout: '', stderr: /ci\.secret is there already/ })
  t.equal(readFileSync(join(cwd, 'ci.secret'), 'utf8'), before)
  const nowhere = ['hash-secret', '--generate', '--secret-file', 'nope/ci.secret']
  t.match(await runCli(nowhere, { cwd }), { code: 1, stdout: '', stderr: /cannot be written \(ENOENT\)/ })
})

t.test('without a file the new secret is printed once', async (t) => {
  const run = await runCli(['hash-secret', '--generate', '--json'])
  const printed: unknown = JSON.parse(run.stdout)
  t.match(printed, { secret: /^[\w-]{43}$/, hash: /^\$sallyport-sha256\$/ })
})

t.test('a secret that a person chose is hashed slowly, and the check knows it again', async (t) => {
  const run = await runCli(['hash-secret', '-'], { stdin: 'correct horse\n' })
  t.equal(run.code, 0)
  t.match(run.stdout, /^\$scrypt\$/)
  const check = createSecretCheck({
    clock: Date.now,
    randomBytes: (n) => new Uint8Array(n),
    clients: [[run.stdout.trim()]],
  })
  t.ok(await check.verify('correct horse', [run.stdout.trim()]))
  t.notOk(await check.verify('correct horse\n', [run.stdout.trim()]))
})

t.test('a secret that is random already is hashed fast', async (t) => {
  const run = await runCli(['hash-secret', '-'], { stdin: 'Zk3vQ0q8x7Yp2LwN5sTgRb4uHc9dJf1A' })
  t.match(run.stdout, /^\$sallyport-sha256\$/)
})

t.test('a secret is never an argument', async (t) => {
  for (const argv of [[], ['--generate', 'file'], ['--secret-file', 'x', 'file']]) {
    const run = await runCli(['hash-secret', ...argv])
    t.equal(run.code, 2)
  }
  const run = await runCli(['hash-secret', 'hunter2'], { cwd: '/nonexistent' })
  t.equal(run.code, 1, 'it is taken for a file name')
})
