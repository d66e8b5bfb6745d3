// deploy/ci/sallyport-exchange.sh under dash and under busybox alone, towards the same local servers as the command:
// same requests, same exit codes, and nothing secret among the arguments of any program it starts.
import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { fakeServer, folder, GRANTED, unsignedJwt } from '../support/cli.ts'
import { curl, runPosixScript, shells } from '../support/posix_script.ts'
import type { ScriptRun, ScriptWorld, Shell } from '../support/posix_script.ts'

const SCRIPT = {
  file: resolve('deploy/ci/sallyport-exchange.sh'),
  tools: ['cat', 'chmod', 'cut', 'grep', 'head', 'mktemp', 'mv', 'rm', 'sed', 'sleep', 'tr', 'wc'],
}
const JOB_TOKEN = unsignedJwt({ iss: 'https://gitlab.example.test' })
const SECRET = `p:s s&w"ö\\rd`
const gitlab = { GITLAB_CI: 'true', SALLYPORT_ID_TOKEN: JOB_TOKEN, SALLYPORT_CLIENT_ID: 'ci' }

function runScript(
  t: Test,
  shell: Shell,
  argv: readonly string[],
  world: ScriptWorld = {},
): Promise<ScriptRun> {
  return runPosixScript(t, SCRIPT, shell, argv, world)
}

for (const [name, shell] of shells) {
  const skip = curl === undefined ? 'no curl here' : shell === undefined ? `no ${name} here` : false
  t.test(`the exchange script under ${name}`, { skip }, async (t) => {
    if (shell !== undefined) await describeScript(t, shell)
  })
}

async function describeScript(t: Test, shell: Shell): Promise<void> {
  t.test('sends the same exchange as the command', async (t) => {
    const broker = await fakeServer(t, [GRANTED])
    const argv = [
      '--broker',
      `${broker.url}/dex/`,
      '--connector=gitlab',
      '--audience',
      'kubernetes',
      '--audience=registry',
    ]
    const run = await runScript(
      t,
      shell,
      [...argv, '--policy', 'deploy', '--requested-token-type', 'id_token'],
      {
        env: gitlab,
      },
    )
    t.match(run, { code: 0, stdout: 'issued.token.value\n', stderr: '', left: [] })
    t.equal(broker.asked[0]?.url, '/dex/token')
    t.strictSame(
      [...(broker.asked[0]?.form ?? [])],
      [
        ['grant_type', 'urn:ietf:params:oauth:grant-type:token-exchange'],
        ['subject_token', JOB_TOKEN],
        ['subject_token_type', 'urn:ietf:params:oauth:token-type:id_token'],
        ['scope', 'openid profile email groups'],
        ['audience', 'kubernetes'],
        ['audience', 'registry'],
        ['connector_id', 'gitlab'],
        ['policy', 'deploy'],
        ['requested_token_type', 'urn:ietf:params:oauth:token-type:id_token'],
        ['client_id', 'ci'],
      ],
    )
  })

  t.test('keeps tokens and secrets out of every argument', async (t) => {
    const broker = await fakeServer(t, [GRANTED])
    const cwd = folder(t)
    writeFileSync(join(cwd, 'secret'), `${SECRET}\n`)
    const env = { ...gitlab, SALLYPORT_BROKER: broker.url }
    const fromFile = await runScript(t, shell, ['--client-secret-file', 'secret'], { env, cwd })
    const fromStdin = await runScript(t, shell, ['--client-secret-file', '-'], { env, stdin: `${SECRET}\n` })
    const fromEnv = await runScript(t, shell, [], { env: { ...env, SALLYPORT_CLIENT_SECRET: SECRET } })
    for (const run of [fromFile, fromStdin, fromEnv]) {
      t.equal(run.code, 0, run.stderr)
      t.ok(run.args.includes('-K'))
      t.notOk(run.args.includes(JOB_TOKEN) || run.args.includes(SECRET) || run.args.includes('issued'))
    }
    t.strictSame(
      broker.asked.map(({ form }) => form.get('client_secret')),
      [SECRET, SECRET, SECRET],
    )
  })

  t.test('presents the job token as the credential of a federated client', async (t) => {
    const broker = await fakeServer(t, [GRANTED])
    await runScript(t, shell, ['--broker', broker.url, '--client-auth', 'federated'], { env: gitlab })
    t.equal(broker.asked[0]?.form.get('client_assertion'), JOB_TOKEN)
  })

  for (const [platform, markers, lacks] of [
    ['GitHub', { GITHUB_ACTIONS: 'true' }, 'id-token: write'],
    ['Gitea', { GITHUB_ACTIONS: 'true', GITEA_ACTIONS: 'true' }, 'id-token: write'],
    ['Forgejo', { GITEA_ACTIONS: 'true', FORGEJO_ACTIONS: 'true' }, 'enable-openid-connect: true'],
  ] as const) {
    t.test(`asks ${platform} for a token, keeping the query`, async (t) => {
      const server = await fakeServer(t, [{ body: { value: JOB_TOKEN } }])
      const broker = await fakeServer(t, [GRANTED])
      const env = {
        ...markers,
        ACTIONS_ID_TOKEN_REQUEST_URL: `${server.url}/idtoken?placeholder=true`,
        ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'runtime-token',
      }
      const argv = ['--broker', broker.url, '--client-id', 'ci']
      const run = await runScript(t, shell, argv, { env })
      t.equal(run.code, 0, run.stderr)
      t.equal(server.asked[0]?.method, 'GET')
      t.equal(
        decodeURIComponent(server.asked[0]?.url ?? ''),
        `/idtoken?placeholder=true&audience=${broker.url}`,
      )
      t.equal(server.asked[0]?.headers.authorization, 'Bearer runtime-token')
      t.notMatch(run.args, 'runtime-token')
      t.equal(broker.asked[0]?.form.get('subject_token'), JOB_TOKEN)

      const without = await runScript(t, shell, argv, { env: markers })
      t.match(without, { code: 1, stdout: '' })
      t.match(without.stderr, lacks)
    })
  }

  t.test('takes a token from a file, a pod, a variable or standard input, and only a token', async (t) => {
    const broker = await fakeServer(t, [GRANTED])
    const cwd = folder(t)
    writeFileSync(join(cwd, 'good'), `${JOB_TOKEN}\n`)
    writeFileSync(join(cwd, 'page'), '<html> Sign in')
    writeFileSync(join(cwd, 'huge'), 'a'.repeat(70_000))
    writeFileSync(join(cwd, 'empty'), '')
    const argv = ['--broker', broker.url, '--client-id', 'ci']
    const good: readonly (readonly [readonly string[], ScriptWorld])[] = [
      [['--subject-token-file', 'good'], { cwd }],
      [['--subject-token-file', '-'], { stdin: `${JOB_TOKEN}\n` }],
      [['--subject-token-env', 'MINE'], { env: { MINE: JOB_TOKEN } }],
      [
        [],
        { env: { KUBERNETES_SERVICE_HOST: '10.0.0.1', SALLYPORT_PROJECTED_TOKEN_FILE: join(cwd, 'good') } },
      ],
    ]
    for (const [more, world] of good)
      t.match(await runScript(t, shell, [...argv, ...more], world), { code: 0 })
    t.strictSame(
      broker.asked.map(({ form }) => form.get('subject_token')),
      good.map(() => JOB_TOKEN),
    )
    for (const [file, said] of [
      ['page', 'not a token'],
      ['huge', 'longer than 65536'],
      ['empty', 'is empty'],
      ['absent', 'cannot be read'],
    ] as const) {
      const run = await runScript(t, shell, [...argv, '--subject-token-file', file], { cwd })
      t.match(run, { code: 1, stdout: '', left: [] })
      t.match(run.stderr, said)
    }
    t.equal(broker.asked.length, good.length)
  })

  t.test('writes to a private file, $GITHUB_OUTPUT and a dotenv file', async (t) => {
    const broker = await fakeServer(t, [GRANTED])
    const cwd = folder(t)
    const output = join(cwd, 'output')
    const env = { ...gitlab, SALLYPORT_BROKER: broker.url, GITHUB_OUTPUT: output }
    const argv = [
      '--output-file',
      'token',
      '--github-output',
      'kube',
      '--dotenv',
      'job.env',
      '--dotenv-name',
      'TF',
    ]
    const run = await runScript(t, shell, argv, { env, cwd })
    t.match(run, { code: 0, stdout: '::add-mask::issued.token.value\n' })
    t.notMatch(run.stderr, 'issued.token')
    t.equal(readFileSync(join(cwd, 'token'), 'utf8'), 'issued.token.value')
    t.equal(readFileSync(output, 'utf8'), 'kube=issued.token.value\n')
    t.equal(readFileSync(join(cwd, 'job.env'), 'utf8'), 'TF=issued.token.value\n')
    t.equal(statSync(join(cwd, 'token')).mode & 0o777, 0o600)
    t.equal(statSync(join(cwd, 'job.env')).mode & 0o777, 0o600)
    const json = await runScript(t, shell, ['--json'], { env })
    t.match(JSON.parse(json.stdout), { expires_in: 599 })
  })

  t.test('writes the token through no link, and leaves no draft', async (t) => {
    const broker = await fakeServer(t, [GRANTED])
    const cwd = folder(t)
    const env = { ...gitlab, SALLYPORT_BROKER: broker.url }
    writeFileSync(join(cwd, 'target'), 'old\n', { mode: 0o644 })
    symlinkSync('target', join(cwd, 'job.env'))
    symlinkSync('target', join(cwd, 'token'))
    const refused = await runScript(t, shell, ['--dotenv', 'job.env'], { env, cwd })
    t.match(refused, { code: 1, stdout: '' })
    t.match(refused.stderr, 'job.env is a symbolic link')
    t.match(await runScript(t, shell, ['--output-file', 'token'], { env, cwd }), { code: 0 })
    t.equal(readFileSync(join(cwd, 'token'), 'utf8'), 'issued.token.value', 'the link is replaced')
    t.equal(readFileSync(join(cwd, 'target'), 'utf8'), 'old\n')
    t.equal(statSync(join(cwd, 'target')).mode & 0o777, 0o644)
    t.match(await runScript(t, shell, ['--dotenv', 'target'], { env, cwd }), { code: 0 })
    t.equal(statSync(join(cwd, 'target')).mode & 0o777, 0o600)
    t.same(readdirSync(cwd).toSorted(), ['job.env', 'target', 'token'])
  })

  t.test('says no as the command does: exit code 1, the error, the request id', async (t) => {
    const headers = { 'X-Request-Id': 'req-42' }
    const body = { error: 'access_denied', error_description: 'The subject token was not accepted.' }
    const broker = await fakeServer(t, [{ status: 401, headers, body }])
    const run = await runScript(t, shell, ['--broker', broker.url], { env: gitlab })
    t.match(run, { code: 1, stdout: '', left: [] })
    t.match(run.stderr, 'access_denied: The subject token was not accepted.')
    t.match(run.stderr, 'request id: req-42')
    t.equal(broker.asked.length, 1)
    for (const odd of [
      'no json',
      { access_token: '' },
      { access_token: 'two words' },
      { access_token: 'a"b' },
    ]) {
      const server = await fakeServer(t, [{ body: odd }])
      t.match(await runScript(t, shell, ['--broker', server.url], { env: gitlab }), { code: 1, stdout: '' })
    }
  })

  t.test('tells a broker that is down from one that denies', async (t) => {
    const body = { error: 'temporarily_unavailable' }
    const broker = await fakeServer(t, [{ status: 503, body }])
    const run = await runScript(t, shell, ['--broker', broker.url], { env: gitlab })
    t.match(run, { code: 1, stdout: '', stderr: /^sallyport: failed: temporarily_unavailable\n/ })
    t.match(run.stderr, 'it has denied nothing')
  })

  t.test('looks at where the token goes before it is spent', async (t) => {
    const broker = await fakeServer(t, [GRANTED])
    const cwd = folder(t)
    mkdirSync(join(cwd, 'here'))
    const env = { ...gitlab, GITHUB_OUTPUT: join(cwd, 'nope/output') }
    for (const [place, said] of [
      [
        ['--output-file', 'nope/token'],
        /nope\/token cannot be written: look at nope\/; nothing was exchanged/,
      ],
      [['--output-file', 'here'], /here is a folder/],
      [['--dotenv', 'nope/env'], /nothing was exchanged/],
      [['--github-output', 'token'], /nothing was exchanged/],
    ] as const) {
      const run = await runScript(t, shell, ['--broker', broker.url, ...place], { env, cwd })
      t.match(run, { code: 1, stdout: '', stderr: said })
    }
    t.equal(broker.asked.length, 0)
    const argv = ['--broker', broker.url, '--output-file', 'here/token']
    t.match(await runScript(t, shell, argv, { env, cwd }), { code: 0 })
  })

  t.test("takes the command's word for a client with a secret, too", async (t) => {
    const broker = await fakeServer(t, [GRANTED])
    const env = { ...gitlab, SALLYPORT_CLIENT_SECRET: SECRET }
    for (const method of ['secret', 'basic']) {
      const argv = ['--broker', broker.url, '--client-auth', method]
      t.match(await runScript(t, shell, argv, { env }), { code: 0 })
    }
    t.strictSame(
      broker.asked.map(({ form }) => form.get('client_secret')),
      [SECRET, SECRET],
    )
  })

  t.test('repeats no token and no secret that stands in the place of a file', async (t) => {
    const broker = await fakeServer(t, [GRANTED])
    const argv = ['--broker', broker.url]
    const mistakes: readonly (readonly string[])[] = [
      ['--subject-token-file', JOB_TOKEN],
      ['--subject-token-env', JOB_TOKEN],
      ['--client-secret-file', 'my-very-secret'],
      [JOB_TOKEN],
    ]
    for (const mistake of mistakes) {
      const run = await runScript(t, shell, [...argv, ...mistake], { env: gitlab })
      t.not(run.code, 0)
      t.not(run.stderr, '')
      t.notMatch(run.stdout + run.stderr, JOB_TOKEN.slice(0, 20))
      t.notMatch(run.stdout + run.stderr, 'my-very-secret')
    }
    t.equal(broker.asked.length, 0)
  })

  t.test('asks again when the broker is busy or the connection breaks', async (t) => {
    const broker = await fakeServer(t, [{ status: 503, body: {} }, GRANTED])
    t.match(await runScript(t, shell, ['--broker', broker.url], { env: gitlab }), { code: 0 })
    t.equal(broker.asked.length, 2)
  })

  t.test('is used wrongly with exit code 2', async (t) => {
    for (const argv of [
      [],
      ['--broker', 'http://broker.example.test', '--client-id', 'ci'],
      ['--broker', 'http://127.0.0.1.example.test', '--client-id', 'ci'],
      ['--broker', 'https://u:p@broker.example.test', '--client-id', 'ci'],
      ['--brokr', 'x'],
      ['--broker'],
      ['token-as-argument'],
      ['--broker', 'https://b.example.test', '--client-id', 'ci', '--client-auth', 'magic'],
      ['--broker', 'https://b.example.test', '--client-id', 'ci', '--subject-token-env', 'a;reboot'],
    ]) {
      const run = await runScript(t, shell, argv)
      t.match(run, { code: 2, stdout: '' }, argv.join(' '))
    }
    t.match(await runScript(t, shell, ['--help']), { code: 0, stdout: /Examples:/ })
  })
}
