// A token or a secret that was given where a file is wanted stands in no message.
import { execFile } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { folder, runCli, unsignedJwt } from '../support/cli.ts'
import type { CliRun } from '../support/cli.ts'
import { GOOD_FILE } from '../support/kube_lint_examples.ts'

const JWT = unsignedJwt({ iss: 'https://gitlab.example.test', groups: 'x'.repeat(600) })
const SHORT_JWT = unsignedJwt({ iss: 'a' })
const BROKER = ['--broker', 'https://broker.example.test', '--client-id', 'ci', '--audience', 'k']

/** The CLI as its users start it: what no command catches is told by the entry. */
async function sallyport(
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CliRun> {
  const { promise, resolve } = Promise.withResolvers<CliRun>()
  const options = { env: { ...process.env, ...env } }
  execFile(process.execPath, ['src/main.ts', ...argv], options, (error, stdout, stderr) => {
    resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
  })
  return promise
}

const mistakes: readonly (readonly [string, (token: string) => readonly string[]])[] = [
  ['token', (token) => ['token', token]],
  ['explain --token', (token) => ['explain', '--token', token, '--config', 'test/fixtures/none.yaml']],
  ['exchange', (token) => ['exchange', ...BROKER, token]],
  ['exchange --subject-token-file', (token) => ['exchange', ...BROKER, '--subject-token-file', token]],
  ['exchange --subject-token-env', (token) => ['exchange', ...BROKER, '--subject-token-env', token]],
  ['credential --subject-token-file', (token) => ['credential', ...BROKER, '--subject-token-file', token]],
  ['credential --subject-token-env', (token) => ['credential', ...BROKER, '--subject-token-env', token]],
  ['kube lint', (token) => ['kube', 'lint', token]],
  ['kube explain', (token) => ['kube', 'explain', '--config', token, '--token', '-']],
  ['config check', (token) => ['config', 'check', token]],
  ['config from-dex', (token) => ['config', 'from-dex', token]],
  ['keys revoke', (token) => ['keys', 'revoke', token]],
  ['emergency deny', (token) => ['emergency', 'deny', 'token', token]],
  ['emergency disable', (token) => ['emergency', 'disable', 'client', token]],
  ['hash-secret', (token) => ['hash-secret', token]],
  ['no command', (token) => [token]],
  ['no option', (token) => ['exchange', `--${token}`]],
]
for (const [where, argvOf] of mistakes) {
  t.test(`${where}: a token in the place of a word is not repeated`, async (t) => {
    for (const token of [JWT, SHORT_JWT]) {
      const run = await sallyport(argvOf(token))
      t.not(run.code, 0)
      t.not(run.stderr + run.stdout, '')
      t.notOk((run.stderr + run.stdout).includes(token.slice(0, 20)), run.stderr + run.stdout)
    }
  })
}

t.test('a token in the variable that should name its variable is not repeated', async (t) => {
  const run = await sallyport(['exchange', ...BROKER], { SALLYPORT_SUBJECT_TOKEN_ENV: JWT })
  t.match(run, { code: 2, stderr: /SALLYPORT_SUBJECT_TOKEN_ENV\) is not the name of a variable/ })
  t.notOk(run.stderr.includes('eyJ'))
})

t.test('a secret in the place of a file is not repeated, a file that is not there is', async (t) => {
  const cwd = folder(t)
  mkdirSync(join(cwd, 'secrets'))
  const exchange = ['exchange', ...BROKER, '--subject-token-file', '-', '--client-secret-file']
  for (const argv of [['hash-secret'], exchange]) {
    const hidden = await runCli([...argv, 'my-very-secret'], { cwd })
    t.match(hidden, { code: 1, stderr: /the named file cannot be read \(ENOENT\): give a file/ })
    t.notOk(hidden.stderr.includes('my-very-secret'))
    for (const name of ['ci.secret', 'secrets/ci']) {
      t.match(await runCli([...argv, name], { cwd }), {
        code: 1,
        stderr: `${cwd}/${name} cannot be read (ENOENT)`,
      })
    }
  }
})

t.test('a word that is too many is counted, not repeated', async (t) => {
  for (const argv of [['exchange', ...BROKER], ['credential'], ['hash-secret', '-'], ['token', '-']]) {
    const run = await runCli([...argv, 'my-very-secret'])
    t.match(run, {
      code: 2,
      stderr: /too many arguments.* but got \d; a token or a secret is given in a file/,
    })
    t.notMatch(run.stderr, 'my-very-secret')
  }
})

t.test('a token in the place of a kubeconfig is not repeated', async (t) => {
  const cwd = folder(t)
  writeFileSync(join(cwd, 'authentication.yaml'), GOOD_FILE)
  writeFileSync(join(cwd, 'claims.json'), '{}')
  const explain = ['kube', 'explain', '--config', 'authentication.yaml', '--claims', 'claims.json']
  const lint = ['kube', 'lint', 'authentication.yaml', '--cluster']
  for (const argv of [explain, lint]) {
    const run = await runCli([...argv, '--kubeconfig', SHORT_JWT], { cwd })
    t.match(run, { code: 1, stdout: /\[a token, not shown\] cannot be read/ })
    t.notOk((run.stdout + run.stderr).includes(SHORT_JWT.slice(0, 20)))
  }
})

t.test('a folder in the place of a file is called one', async (t) => {
  const cwd = folder(t)
  mkdirSync(join(cwd, 'here'))
  t.match(await runCli(['token', 'here'], { cwd }), {
    code: 1,
    stderr: /here is a folder: name a file in it/,
  })
  t.match(await runCli(['config', 'check', 'here'], { cwd }), {
    code: 78,
    stdout: /config_file_unreadable[^]*it is a folder[^]*name the file in it/,
  })
})
