// deploy/ci/sallyport-credential.sh under dash and under busybox alone: what kubectl reads, what is kept in the folder of
// the job, and nothing secret among the arguments of any program.
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { fakeServer, folder, unsignedJwt, words } from '../support/cli.ts'
import type { FakeAnswer } from '../support/cli.ts'
import { curl, runPosixScript, shells } from '../support/posix_script.ts'
import type { ScriptRun, ScriptWorld, Shell } from '../support/posix_script.ts'

const SCRIPT = {
  file: resolve('deploy/ci/sallyport-credential.sh'),
  tools: words('cat chmod cut date dirname grep head id ls mkdir mktemp mv rm sed sha256sum sleep tr wc'),
}
const JOB_TOKEN = unsignedJwt({ iss: 'https://gitlab.example.test' })
const gitlab = { GITLAB_CI: 'true', SALLYPORT_ID_TOKEN: JOB_TOKEN, SALLYPORT_CLIENT_ID: 'ci' }
const REFUSED = {
  status: 401,
  headers: { 'X-Request-Id': 'req-42' },
  body: { error: 'access_denied', error_description: 'The subject token was not accepted.' },
}

function granted(name: string, members: Readonly<Record<string, unknown>> = {}): FakeAnswer {
  return { body: { access_token: `token.${name}`, token_type: 'bearer', expires_in: 600, ...members } }
}

for (const [name, shell] of shells) {
  const skip = curl === undefined ? 'no curl here' : shell === undefined ? `no ${name} here` : false
  t.test(`the credential script under ${name}`, { skip }, async (t) => {
    if (shell !== undefined) await describeScript(t, shell)
  })
}

async function describeScript(t: Test, shell: Shell): Promise<void> {
  const runScript = (t: Test, argv: readonly string[], world: ScriptWorld = {}): Promise<ScriptRun> =>
    runPosixScript(t, SCRIPT, shell, ['--audience', 'kubernetes', ...argv], world)

  t.test('prints one ExecCredential of exactly v1', async (t) => {
    const broker = await fakeServer(t, [granted('1')])
    const argv = ['--broker', broker.url, '--client-auth=federated', '--connector', 'gitlab']
    const run = await runScript(t, argv, { env: gitlab })
    t.match(run, { code: 0, stderr: '', left: [] })
    const printed = JSON.parse(run.stdout)
    const { expirationTimestamp } = printed.status
    t.strictSame(printed, {
      apiVersion: 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      status: { expirationTimestamp, token: 'token.1' },
    })
    t.match(expirationTimestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
    const seconds = (Date.parse(expirationTimestamp) - Date.now()) / 1000
    t.ok(seconds > 550 && seconds <= 570, `${seconds} s`)
    const form = broker.asked[0]?.form
    t.equal(form?.get('audience'), 'kubernetes')
    t.equal(form?.get('connector_id'), 'gitlab')
    t.equal(form?.get('client_assertion'), JOB_TOKEN)
    t.notMatch(run.args, JOB_TOKEN)
    t.notMatch(run.args, 'token.1')
  })

  t.test('names no time that is past', async (t) => {
    for (const [life, from, to] of [
      [40, 10, 20],
      [0, undefined, undefined],
      [undefined, undefined, undefined],
      [999_999_999, 86_300, 86_370],
    ] as const) {
      const broker = await fakeServer(t, [granted('1', { expires_in: life })])
      const run = await runScript(t, ['--broker', broker.url], { env: gitlab })
      const { status } = JSON.parse(run.stdout)
      t.equal(status.token, 'token.1')
      if (from === undefined) t.notOk('expirationTimestamp' in status)
      else {
        const seconds = (Date.parse(status.expirationTimestamp) - Date.now()) / 1000
        t.ok(seconds > from && seconds <= to, `${life}: ${seconds}`)
      }
    }
  })

  t.test('knows the calendar', (t) => {
    const text = readFileSync(SCRIPT.file, 'utf8')
    const [code = ''] = /^rfc3339\(\) \{\n[\s\S]*?^\}$/m.exec(text) ?? []
    const times = [
      '2000-02-29',
      '2024-02-28',
      '2024-02-29',
      '2024-03-01',
      '2026-12-31',
      '2027-01-01',
      '2100-03-01',
    ]
    const seconds = times.flatMap((day) => [Date.parse(day) / 1000, Date.parse(day) / 1000 + 86_399])
    const lines = seconds.map((second) => `rfc3339 ${second}; echo`).join('\n')
    const [program = '', ...first] = shell.command
    const printed = execFileSync(program, [...first, '-euc', `${code}\n${lines}`], { encoding: 'utf8' })
    t.strictSame(
      printed.trim().split('\n'),
      seconds.map((second) => new Date(second * 1000).toISOString().replace('.000', '')),
    )
    t.end()
  })

  t.test('keeps the token in the folder of the job, and nowhere else', async (t) => {
    const broker = await fakeServer(t, [granted('1'), granted('2'), granted('3')])
    const cwd = folder(t)
    const argv = ['--broker', broker.url]
    const kept = { env: { ...gitlab, SALLYPORT_CACHE_DIR: 'mine' }, cwd }
    t.match(await runScript(t, argv, kept), { code: 0, stderr: '', stdout: /token\.1/ })
    t.match(await runScript(t, argv, kept), { code: 0, stderr: '', stdout: /"token":"token\.1"\}\}\n$/ })
    t.equal(broker.asked.length, 1)
    t.equal(statSync(join(cwd, 'mine')).mode & 0o777, 0o700)
    const [name = '', ...others] = readdirSync(join(cwd, 'mine'))
    t.strictSame(others, [])
    t.equal(statSync(join(cwd, 'mine', name)).mode & 0o777, 0o600)
    t.match(await runScript(t, [...argv, '--client-id', 'other'], kept), { code: 0, stdout: /token\.2/ })
    const ended = readFileSync(join(cwd, 'mine', name), 'utf8').replace(/^\d+/, '1700000000')
    for (const text of [ended, '', 'x\n+\n{}', ended.slice(0, 12)]) {
      writeFileSync(join(cwd, 'mine', name), text)
      t.match(await runScript(t, argv, kept), { code: 0, stdout: /token\.3/ })
    }
    const without = await runScript(t, argv, { env: gitlab, cwd })
    t.match(without, { code: 0, stdout: /token\.3/ })
  })

  t.test('keeps nothing in a folder that is not of this job alone', async (t) => {
    const broker = await fakeServer(t, [granted('1'), granted('2')])
    const cwd = folder(t)
    mkdirSync(join(cwd, 'open'))
    chmodSync(join(cwd, 'open'), 0o755)
    mkdirSync(join(cwd, 'mine'), { mode: 0o700 })
    symlinkSync('mine', join(cwd, 'link'))
    writeFileSync(join(cwd, 'file'), '')
    for (const cache of ['open', 'link', 'file', 'absent/deep']) {
      const run = await runScript(t, ['--broker', broker.url, `--cache-dir=${cache}`], { env: gitlab, cwd })
      t.match(run, { code: 0, stdout: /token/ }, cache)
      if (cache !== 'absent/deep') t.match(run.stderr, /^sallyport: the token is not kept: .*0700.*\n$/)
    }
    t.strictSame(readdirSync(join(cwd, 'mine')), [])
    t.strictSame(readdirSync(join(cwd, 'open')), [])
  })

  t.test('says no in one line, and does not ask again for some seconds', async (t) => {
    const broker = await fakeServer(t, [REFUSED])
    const cwd = folder(t)
    const world = { env: gitlab, cwd }
    const run = await runScript(t, ['--broker', broker.url], world)
    t.match(run, { code: 1, stdout: '', left: [] })
    t.match(
      run.stderr,
      /^sallyport: denied: access_denied: .*request id: req-42.*sallyport explain --token FILE\n$/,
    )
    const kept = ['--broker', broker.url, '--cache-dir', 'mine']
    const first = await runScript(t, kept, world)
    t.strictSame(await runScript(t, kept, world), { ...first, args: '' })
    t.equal(broker.asked.length, 2)

    const broken = await fakeServer(t, [{ status: 400, body: { error: 'temporarily_unavailable' } }])
    for (const asked of [1, 2]) {
      t.match(await runScript(t, ['--broker', broken.url, '--cache-dir', 'mine'], world), { code: 1 })
      t.equal(broken.asked.length, asked)
    }
  })

  t.test('is used wrongly with exit code 2 and one line', async (t) => {
    const env = { ...gitlab, SALLYPORT_BROKER: 'https://broker.example.test' }
    for (const argv of [
      ['--output-file', 'x'],
      ['--json'],
      ['--dotenv=x'],
      ['--subject-token-file', '-'],
      ['--client-secret-file=-'],
      ['--cache-dir'],
      ['--brokr', 'x'],
      ['token-as-argument'],
    ]) {
      const run = await runScript(t, argv, { env })
      t.match(run, { code: 2, stdout: '', left: [] }, argv.join(' '))
      t.equal(run.stderr.split('\n').length, 2, run.stderr)
    }
    t.match(await runScript(t, ['--help'], { env }), { code: 0, stdout: /Example of a job:/ })
    const alone = join(folder(t), 'sallyport-credential.sh')
    copyFileSync(SCRIPT.file, alone)
    const run = await runPosixScript(t, { ...SCRIPT, file: alone }, shell, [], { env })
    t.match(run, { code: 2, stdout: '', stderr: /both scripts must stand in one folder/ })
  })
}
