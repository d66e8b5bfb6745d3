// `sallyport exchange` towards a fake token endpoint on this machine: what it sends, what it does with the answer.
import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ensureDevCertificate } from '../../src/platform/dev_certificate.ts'
import { fakeServer, folder, GRANTED, runCli, unsignedJwt, words } from '../support/cli.ts'

const JOB_TOKEN = unsignedJwt({ iss: 'https://gitlab.example.test', aud: 'https://other.example.test' })
const gitlab = { GITLAB_CI: 'true', SALLYPORT_ID_TOKEN: JOB_TOKEN, SALLYPORT_CLIENT_ID: 'ci' }
const DENIED = {
  status: 401,
  headers: { 'x-request-id': 'req-42' },
  body: { error: 'access_denied', error_description: 'The subject token was not accepted.' },
}

t.test('the request is an RFC 8693 exchange with what the flags say', async (t) => {
  const broker = await fakeServer(t, [GRANTED])
  const run = await runCli(
    words(
      `exchange --broker ${broker.url}/dex/ --connector gitlab --audience kubernetes`,
      '--audience registry --policy deploy --requested-token-type id_token',
    ),
    { env: gitlab },
  )
  t.equal(run.code, 0)
  t.equal(run.stdout, 'issued.token.value\n')
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

t.test('every flag has an environment twin, and the flag wins', async (t) => {
  const broker = await fakeServer(t, [GRANTED])
  const env = {
    ...gitlab,
    SALLYPORT_BROKER: broker.url,
    SALLYPORT_AUDIENCE: 'kubernetes registry',
    SALLYPORT_SCOPE: 'openid',
    SALLYPORT_CONNECTOR: 'from-env',
  }
  t.equal((await runCli(['exchange', '--connector', 'from-flag', '--client-id', 'other'], { env })).code, 0)
  const form = broker.asked[0]?.form
  t.strictSame(form?.getAll('audience'), ['kubernetes', 'registry'])
  t.equal(form?.get('scope'), 'openid')
  t.equal(form?.get('connector_id'), 'from-flag')
  t.equal(form?.get('client_id'), 'other')
})

t.test('a client secret goes into the Authorization header, form-encoded as RFC 6749 wants', async (t) => {
  const broker = await fakeServer(t, [GRANTED])
  const cwd = folder(t)
  writeFileSync(join(cwd, 'secret'), 'p:ss wörd\n')
  const argv = ['exchange', '--broker', broker.url]
  t.equal((await runCli([...argv, '--client-secret-file', 'secret'], { env: gitlab, cwd })).code, 0)
  t.equal((await runCli(argv, { env: { ...gitlab, SALLYPORT_CLIENT_SECRET: 'p:ss wörd' } })).code, 0)
  t.equal(
    (await runCli([...argv, '--client-secret-file', '-'], { env: gitlab, stdin: 'p:ss wörd\n' })).code,
    0,
  )
  const expected = `Basic ${Buffer.from('ci:p%3Ass+w%C3%B6rd').toString('base64')}`
  t.strictSame(
    broker.asked.map(({ headers }) => headers.authorization),
    [expected, expected, expected],
  )
  t.notOk(broker.asked[0]?.form.has('client_id'), 'and nowhere else')
})

t.test("the script's word for a client with a secret means the same here", async (t) => {
  const broker = await fakeServer(t, [GRANTED])
  const env = { ...gitlab, SALLYPORT_CLIENT_SECRET: 's3cret' }
  for (const method of ['basic', 'secret']) {
    t.equal((await runCli(['exchange', '--broker', broker.url, '--client-auth', method], { env })).code, 0)
  }
  const [basic, secret] = broker.asked.map(({ headers }) => headers.authorization)
  t.match(basic, /^Basic /)
  t.equal(secret, basic)
})

t.test('a federated client presents the job token as its own credential', async (t) => {
  const broker = await fakeServer(t, [GRANTED])
  await runCli(['exchange', '--broker', broker.url, '--client-auth', 'federated'], { env: gitlab })
  const form = broker.asked[0]?.form
  t.equal(form?.get('client_assertion'), JOB_TOKEN)
  t.equal(form?.get('client_assertion_type'), 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
  t.equal(form?.get('client_id'), 'ci')
})

t.test('the token goes into a private file in place of the old one', async (t) => {
  const broker = await fakeServer(t, [GRANTED])
  const cwd = folder(t)
  writeFileSync(join(cwd, 'token'), 'old', { mode: 0o644 })
  const run = await runCli(['exchange', '--broker', broker.url, '--output-file', 'token'], {
    env: gitlab,
    cwd,
  })
  t.strictSame(run, { code: 0, stdout: '', stderr: '' })
  t.equal(readFileSync(join(cwd, 'token'), 'utf8'), 'issued.token.value')
  t.equal(statSync(join(cwd, 'token')).mode & 0o777, 0o600)
})

t.test('--github-output masks the token before it hands it on (TH-J08)', async (t) => {
  const broker = await fakeServer(t, [GRANTED])
  const cwd = folder(t)
  const output = join(cwd, 'github_output')
  writeFileSync(output, 'before=1\n')
  const env = { ...gitlab, GITHUB_OUTPUT: output }
  const run = await runCli(['exchange', '--broker', broker.url, '--github-output', 'kube-token'], {
    env,
    cwd,
  })
  t.strictSame(run, { code: 0, stdout: '::add-mask::issued.token.value\n', stderr: '' })
  t.equal(readFileSync(output, 'utf8'), 'before=1\nkube-token=issued.token.value\n')
})

t.test('--dotenv appends to a private file and says how to keep it private', async (t) => {
  const broker = await fakeServer(t, [GRANTED])
  const cwd = folder(t)
  const argv = ['exchange', '--broker', broker.url, '--dotenv', 'job.env', '--dotenv-name', 'TF_TOKEN']
  const run = await runCli(argv, { env: gitlab, cwd })
  t.equal(run.code, 0)
  t.equal(readFileSync(join(cwd, 'job.env'), 'utf8'), 'TF_TOKEN=issued.token.value\n')
  t.equal(statSync(join(cwd, 'job.env')).mode & 0o777, 0o600)
  t.match(run.stderr, /Keep it out of artifacts/)
  t.notMatch(run.stderr, /issued\.token/)
})

t.test('--dotenv leaves alone what a symbolic link points to', async (t) => {
  const broker = await fakeServer(t, [GRANTED])
  const cwd = folder(t)
  writeFileSync(join(cwd, 'target'), 'old\n', { mode: 0o644 })
  symlinkSync('target', join(cwd, 'job.env'))
  const argv = ['exchange', '--broker', broker.url, '--dotenv']
  const run = await runCli([...argv, 'job.env'], { env: gitlab, cwd })
  t.equal(run.code, 1)
  t.match(run.stderr, /job\.env is a symbolic link/)
  t.notMatch(run.stderr, /issued\.token/)
  t.equal(readFileSync(join(cwd, 'target'), 'utf8'), 'old\n')
  t.equal(statSync(join(cwd, 'target')).mode & 0o777, 0o644)
  t.equal((await runCli([...argv, 'target'], { env: gitlab, cwd })).code, 0)
  t.equal(statSync(join(cwd, 'target')).mode & 0o777, 0o600, 'the file itself is closed to others')
})

t.test('a place that cannot be written is told before the token is spent', async (t) => {
  const broker = await fakeServer(t, [GRANTED])
  const cwd = folder(t)
  mkdirSync(join(cwd, 'here'))
  const argv = ['exchange', '--broker', broker.url]
  const lost = { ...gitlab, GITHUB_OUTPUT: join(cwd, 'nope/output') }
  for (const [place, said] of [
    [
      ['--output-file', 'nope/token'],
      /nope\/token cannot be written: .*nope \(ENOENT\); nothing was exchanged/,
    ],
    [['--output-file', 'here'], /here is a folder: name a file in it/],
    [['--dotenv', 'nope/env'], /nothing was exchanged/],
    [['--github-output', 'token'], /nothing was exchanged/],
  ] as const) {
    t.match(await runCli([...argv, ...place], { cwd, env: lost }), { code: 1, stdout: '', stderr: said })
  }
  t.equal(broker.asked.length, 0)
  t.equal((await runCli([...argv, '--output-file', 'here/token'], { cwd, env: lost })).code, 0)
  t.equal(broker.asked.length, 1)
})

t.test('--json prints the whole answer with the time at which the token ends', async (t) => {
  const broker = await fakeServer(t, [GRANTED])
  const run = await runCli(['exchange', '--broker', broker.url, '--json'], { env: gitlab })
  t.strictSame(JSON.parse(run.stdout), {
    access_token: 'issued.token.value',
    issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    token_type: 'bearer',
    expires_in: 599,
    expires_at: '2026-11-21T00:09:59.000Z',
  })
})

t.test('a denial is exit code 1 and says what to ask the operator, without the token', async (t) => {
  const broker = await fakeServer(t, [DENIED])
  const run = await runCli(['exchange', '--broker', broker.url], { env: gitlab })
  t.equal(run.code, 1)
  t.equal(run.stdout, '')
  t.match(run.stderr, 'access_denied: The subject token was not accepted.')
  t.match(run.stderr, 'request id: req-42')
  t.match(run.stderr, 'iss "https://gitlab.example.test", aud "https://other.example.test"')
  t.match(run.stderr, 'sallyport explain')
  t.notMatch(run.stderr, JOB_TOKEN)
  t.equal(broker.asked.length, 1, 'a 401 is not asked again')
})

t.test('an answer that steers a terminal or smuggles a line is not passed on', async (t) => {
  const steering = {
    status: 400,
    body: { error: 'bad\u001b[2J', error_description: `two\nlines\u202e${'x'.repeat(5000)}` },
  }
  const smuggling = { body: { access_token: 'a.b.c\nADMIN=1' } }
  for (const answer of [steering, smuggling, { body: 'no json' }, { body: [] }]) {
    const broker = await fakeServer(t, [answer])
    const run = await runCli(['exchange', '--broker', broker.url], { env: gitlab })
    t.equal(run.code, 1)
    t.equal(run.stdout, '')
    for (const text of ['\u001b', 'two\nlines', '\u202e', 'ADMIN', 'x'.repeat(500)])
      t.notOk(run.stderr.includes(text))
  }
})

t.test('a busy or broken broker is asked three times, with pauses that it may name', async (t) => {
  const busy = { status: 503, headers: { 'retry-after': '2' }, body: { error: 'temporarily_unavailable' } }
  const recovering = await fakeServer(t, [busy, { body: '', cut: true }, GRANTED])
  const slept: number[] = []
  t.equal((await runCli(['exchange', '--broker', recovering.url], { env: gitlab, slept })).code, 0)
  t.equal(slept[0], 2000)
  t.ok((slept[1] ?? 0) >= 500 && (slept[1] ?? 0) <= 1500)

  const down = await fakeServer(t, [busy])
  const run = await runCli(['exchange', '--broker', down.url], { env: gitlab })
  t.equal(run.code, 1)
  t.equal(down.asked.length, 3)
  t.match(run.stderr, 'failed: temporarily_unavailable')
  t.match(run.stderr, 'it has denied nothing')
  t.notMatch(run.stderr, 'denied: ')
})

t.test('a redirect is not followed, so the token goes nowhere else', async (t) => {
  const elsewhere = await fakeServer(t, [GRANTED])
  const broker = await fakeServer(t, [{ status: 307, headers: { location: elsewhere.url }, body: '' }])
  const run = await runCli(['exchange', '--broker', broker.url], { env: gitlab })
  t.equal(run.code, 1)
  t.match(run.stderr, 'a redirect, which is not followed')
  t.equal(elsewhere.asked.length, 0)
})

t.test('a proxy of the environment is used', async (t) => {
  const proxy = await fakeServer(t, [GRANTED])
  const env = { ...gitlab, HTTP_PROXY: proxy.url }
  const run = await runCli(['exchange', '--broker', 'http://127.0.0.1:9/dex'], { env })
  t.equal(run.code, 0, run.stderr)
  t.equal(proxy.asked[0]?.url, 'http://127.0.0.1:9/dex/token')
})

t.test('an answer without end is cut off', async (t) => {
  const broker = await fakeServer(t, [{ body: 'x'.repeat(300 * 1024) }])
  const run = await runCli(['exchange', '--broker', broker.url], { env: gitlab })
  t.equal(run.code, 1)
  t.match(run.stderr, 'more than 262144 bytes')
})

t.test('a private CA is trusted when --ca-file names it, and not before', async (t) => {
  const dir = join(folder(t), 'ca')
  mkdirSync(dir)
  const files = await ensureDevCertificate(dir, ['localhost', '127.0.0.1'], Date.now)
  const tls = { cert: readFileSync(files.certFile, 'utf8'), key: readFileSync(files.keyFile, 'utf8') }
  const broker = await fakeServer(t, [GRANTED], tls)
  const argv = ['exchange', '--broker', broker.url]
  const refused = await runCli(argv, { env: gitlab })
  t.equal(refused.code, 1)
  t.match(refused.stderr, 'name the CA with --ca-file')
  t.equal((await runCli([...argv, '--ca-file', files.caFile], { env: gitlab, cwd: '/' })).code, 0)
})

t.test('with --ca-file the other CAs of this machine are trusted as before', async (t) => {
  const [theirs, another] = [folder(t), folder(t)]
  const served = await ensureDevCertificate(theirs, ['localhost', '127.0.0.1'], Date.now)
  const named = await ensureDevCertificate(another, ['localhost', '127.0.0.1'], Date.now)
  const tls = { cert: readFileSync(served.certFile, 'utf8'), key: readFileSync(served.keyFile, 'utf8') }
  const broker = await fakeServer(t, [GRANTED], tls)
  const argv = ['src/main.ts', 'exchange', '--broker', broker.url, '--ca-file', named.caFile]
  const ran = async (env: NodeJS.ProcessEnv) => {
    const { promise, resolve } = Promise.withResolvers<string>()
    const world = { env: { PATH: process.env['PATH'], ...gitlab, ...env } }
    execFile(process.execPath, argv, world, (_error, stdout, stderr) => resolve(stdout || stderr))
    return promise
  }
  t.match(await ran({}), 'name the CA with --ca-file')
  t.equal(broker.asked.length, 0)
  t.equal(await ran({ NODE_EXTRA_CA_CERTS: served.caFile }), 'issued.token.value\n')
  t.equal(broker.asked.length, 1)
})

t.test('a CA of the system is trusted: SSL_CERT_FILE, a folder as /etc/ssl/certs is one', async (t) => {
  const [theirs, hashed] = [folder(t), folder(t)]
  const served = await ensureDevCertificate(theirs, ['localhost', '127.0.0.1'], Date.now)
  const tls = { cert: readFileSync(served.certFile, 'utf8'), key: readFileSync(served.keyFile, 'utf8') }
  writeFileSync(join(hashed, 'company.pem'), readFileSync(served.caFile, 'utf8'))
  const broker = await fakeServer(t, [GRANTED], tls)
  const ran = async (env: NodeJS.ProcessEnv, ...further: readonly string[]) => {
    const { promise, resolve } = Promise.withResolvers<string>()
    const world = { env: { PATH: process.env['PATH'], ...gitlab, ...env } }
    const argv = ['src/main.ts', 'exchange', '--broker', broker.url, ...further]
    execFile(process.execPath, argv, world, (_error, stdout, stderr) => resolve(stdout || stderr))
    return promise
  }
  const refused = await ran({})
  t.match(refused, /comes from no CA that is known here \([A-Z_]+\); name the CA with --ca-file/)
  t.notMatch(refused, 'use-system-ca')
  t.equal(broker.asked.length, 0)
  t.equal(await ran({ SSL_CERT_FILE: served.caFile, SSL_CERT_DIR: '/nonexistent' }), 'issued.token.value\n')
  t.equal(await ran({ SSL_CERT_FILE: '/nonexistent', SSL_CERT_DIR: hashed }), 'issued.token.value\n')
  const other = await ensureDevCertificate(folder(t), ['localhost'], Date.now)
  const env = { SSL_CERT_FILE: served.caFile }
  t.equal(await ran(env, '--ca-file', other.caFile), 'issued.token.value\n', 'besides the CA that is named')
})

t.test('wrong flags are told all at once and are exit code 2', async (t) => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [[], /--broker .* is missing\nerror: --client-id .* is missing/],
    [['--broker', 'nonsense'], /--broker is not a URL/],
    [['--broker', 'http://broker.example.test'], /plain HTTP/],
    [['--broker', 'http://127.0.0.1.example.test'], /plain HTTP/],
    [['--broker', 'https://u:p@broker.example.test'], /must not hold a user or password/],
    [['--broker', 'https://b.example.test', '--client-auth', 'basic'], /needs --client-secret-file/],
    [
      ['--broker', 'https://b.example.test', '--client-auth', 'magic'],
      /basic \(or secret\), none or federated/,
    ],
    [['--broker', 'https://b.example.test', '--subject-token-type', 'saml2'], /id_token or access_token/],
    [['--broker', 'https://b.example.test', '--job-source', 'jenkins'], /one of gitlab, forgejo/],
    [['--broker', 'https://b.example.test', '--github-output', 'x'], /GITHUB_OUTPUT is not set/],
    [
      ['--broker', 'https://b.example.test', '--dotenv', 'f', '--dotenv-name', 'A=B'],
      /not a name of a variable/,
    ],
    [
      ['--broker', 'https://b.example.test', '--subject-token-file', '-', '--client-secret-file', '-'],
      /standard input holds one thing/,
    ],
    [['--brokr', 'x'], /Did you mean --broker/],
  ]
  for (const [argv, said] of cases) {
    const run = await runCli(['exchange', ...argv])
    t.equal(run.code, 2, argv.join(' '))
    t.match(run.stderr, said)
    t.equal(run.stdout, '')
  }
})
