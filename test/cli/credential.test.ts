// `sallyport credential` towards a fake token endpoint: what kubectl reads, what is kept, and what a person reads.
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { fakeServer, folder, NOW, runCli, unsignedJwt } from '../support/cli.ts'
import type { CliRun, CliWorld, FakeAnswer, FakeServer } from '../support/cli.ts'

const JOB_TOKEN = unsignedJwt({ iss: 'https://gitlab.example.test' })
const gitlab = { GITLAB_CI: 'true', SALLYPORT_ID_TOKEN: JOB_TOKEN, SALLYPORT_CLIENT_ID: 'ci' }
const DENIED: FakeAnswer = {
  status: 401,
  headers: { 'x-request-id': 'req-42' },
  body: { error: 'access_denied', error_description: 'The subject token was not accepted.' },
}

/** A token that says which answer it came with, and lives ten minutes. */
function granted(name: string, members: Readonly<Record<string, unknown>> = {}): FakeAnswer {
  return { body: { access_token: `token.${name}`, token_type: 'bearer', expires_in: 600, ...members } }
}

/** Only root can make what belongs to somebody else. */
const isRoot = process.getuid?.() === 0

type World = {
  readonly broker: FakeServer
  readonly home: string
  /** Where tokens are kept. */
  readonly cache: string
  readonly run: (argv?: readonly string[], world?: CliWorld) => Promise<CliRun>
}

async function startWorld(
  t: Test,
  answers: readonly FakeAnswer[] = [granted('1'), granted('2')],
): Promise<World> {
  const broker = await fakeServer(t, answers)
  const home = folder(t)
  return {
    broker,
    home,
    cache: join(home, '.cache', 'sallyport'),
    run: (argv = [], world = {}) =>
      runCli(['credential', '--broker', broker.url, '--audience', 'kubernetes', ...argv], {
        ...world,
        env: { HOME: home, ...gitlab, ...world.env },
      }),
  }
}

function tokenOf(run: CliRun): unknown {
  return JSON.parse(run.stdout).status.token
}

function info(spec: unknown, more: object = {}): string {
  return JSON.stringify({
    kind: 'ExecCredential',
    apiVersion: 'client.authentication.k8s.io/v1',
    spec,
    ...more,
  })
}

/** The name of a kept entry. */
function hex(number: number): string {
  return number.toString(16).padStart(32, '0')
}

t.test(
  'kubectl reads one ExecCredential of exactly v1, whose time is over before the token is',
  async (t) => {
    const { run, broker } = await startWorld(t)
    const { code, stdout, stderr } = await run()
    t.equal(stderr, '')
    t.equal(code, 0)
    t.strictSame(JSON.parse(stdout), {
      apiVersion: 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      status: { expirationTimestamp: '2026-11-21T00:09:30Z', token: 'token.1' },
    })
    t.equal(broker.asked[0]?.form.get('audience'), 'kubernetes')
    t.equal(broker.asked[0]?.form.get('subject_token'), JOB_TOKEN)
  },
)

t.test('the time that kubectl gets is never past, however short the token lives', async (t) => {
  const lives: readonly (readonly [unknown, string | undefined])[] = [
    [40, '2026-11-21T00:00:20Z'],
    [4, '2026-11-21T00:00:02Z'],
    [0, undefined],
    [-5, undefined],
    [undefined, undefined],
    [1e300, '2026-11-21T23:59:30Z'],
  ]
  for (const [seconds, expected] of lives) {
    const { run } = await startWorld(t, [granted('1', { expires_in: seconds })])
    const { status } = JSON.parse((await run()).stdout)
    t.strictSame(status, {
      ...(expected === undefined ? {} : { expirationTimestamp: expected }),
      token: 'token.1',
    })
  }
})

t.test('a broker that does not say how long is believed by the lifetime in its token', async (t) => {
  // By the clock of this machine the token ended an hour ago: its clock or the broker's is wrong, its life is not.
  const iat = NOW / 1000 - 4200
  const access_token = unsignedJwt({ iat, exp: iat + 600 })
  const { run } = await startWorld(t, [granted('1', { access_token, expires_in: undefined })])
  t.match(JSON.parse((await run()).stdout).status, { expirationTimestamp: '2026-11-21T00:09:30Z' })
})

t.test('many kubectl calls make one exchange', async (t) => {
  const { run, broker, cache } = await startWorld(t)
  for (let call = 0; call < 4; call += 1) t.equal(tokenOf(await run()), 'token.1')
  t.equal(broker.asked.length, 1)
  t.equal(statSync(cache).mode & 0o777, 0o700)
  const [name = '', ...others] = readdirSync(cache)
  t.strictSame(others, [], 'no lock and no draft is left')
  t.equal(statSync(join(cache, name)).mode & 0o777, 0o600)
  t.notMatch(readFileSync(join(cache, name), 'latin1'), 'token.1', 'it is sealed')
})

t.test('a token is kept until half a minute before its end', async (t) => {
  const { run } = await startWorld(t)
  t.equal(tokenOf(await run()), 'token.1')
  t.equal(tokenOf(await run([], { now: NOW + 568_000 })), 'token.1')
  t.equal(tokenOf(await run([], { now: NOW + 569_000 })), 'token.2', 'kubectl would find its time past')
})

t.test('a clock that was set back makes kept tokens worthless', async (t) => {
  const { run } = await startWorld(t)
  await run()
  t.equal(tokenOf(await run([], { now: NOW - 30_000 })), 'token.1', 'a little is no matter')
  t.equal(tokenOf(await run([], { now: NOW - 3_600_000 })), 'token.2')
})

t.test('--no-cache neither uses nor keeps', async (t) => {
  const { run, cache } = await startWorld(t)
  t.equal(tokenOf(await run(['--no-cache'])), 'token.1')
  t.notOk(existsSync(cache))
  await run()
  t.equal(tokenOf(await run([], { env: { SALLYPORT_NO_CACHE: 'true' } })), 'token.2')
})

t.test('each broker, client, connector and audience has its own token', async (t) => {
  const { run, broker } = await startWorld(
    t,
    ['1', '2', '3', '4', '5', '6'].map((name) => granted(name)),
  )
  const tokens = []
  for (const more of [
    [],
    ['--audience', 'other'],
    ['--client-id', 'other'],
    ['--connector', 'gitlab'],
    ['--policy', 'deploy'],
    ['--token-endpoint', `${broker.url}/dex/token`],
  ]) {
    tokens.push(tokenOf(await run(more)))
  }
  t.strictSame(tokens, ['token.1', 'token.2', 'token.3', 'token.4', 'token.5', 'token.6'])
})

for (const [platform, mine, theirs] of [
  ['GitLab', {}, { SALLYPORT_ID_TOKEN: unsignedJwt({ iss: 'https://gitlab.example.test', job_id: '2' }) }],
  ['a named file', { SALLYPORT_SUBJECT_TOKEN_FILE: 'one' }, { SALLYPORT_SUBJECT_TOKEN_FILE: 'two' }],
] as const) {
  t.test(`two jobs of ${platform} on one home never get each other's token`, async (t) => {
    const { run, cache } = await startWorld(t)
    const cwd = folder(t)
    writeFileSync(join(cwd, 'one'), JOB_TOKEN)
    writeFileSync(join(cwd, 'two'), `${JOB_TOKEN}2`)
    t.equal(tokenOf(await run([], { cwd, env: mine })), 'token.1')
    t.equal(tokenOf(await run([], { cwd, env: theirs })), 'token.2')
    t.equal(tokenOf(await run([], { cwd, env: mine })), 'token.1')

    // Even the file of the other, under the own name, opens with nothing that this job has.
    const [first = '', second = ''] = readdirSync(cache)
    const [one, two] = [readFileSync(join(cache, first)), readFileSync(join(cache, second))]
    writeFileSync(join(cache, first), two)
    writeFileSync(join(cache, second), one)
    t.equal(
      tokenOf(await run([], { cwd, env: mine })),
      'token.2',
      'asked anew: the broker is at its last answer',
    )
  })
}

t.test(
  'on GitHub what is kept belongs to the job that may ask for tokens, and is had without asking',
  async (t) => {
    const platform = await fakeServer(t, [{ body: { value: JOB_TOKEN } }])
    const job = (secret: string) => ({
      GITLAB_CI: 'false',
      GITHUB_ACTIONS: 'true',
      ACTIONS_ID_TOKEN_REQUEST_URL: `${platform.url}/idtoken?api-version=2.0`,
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: secret,
    })
    const { run } = await startWorld(t)
    t.equal(tokenOf(await run([], { env: job('first') })), 'token.1')
    t.equal(tokenOf(await run([], { env: job('first') })), 'token.1')
    t.equal(platform.asked.length, 1)
    t.equal(tokenOf(await run([], { env: job('second') })), 'token.2')
  },
)

t.test('a platform that gives the job nothing of its own keeps nothing', async (t) => {
  const { run, cache } = await startWorld(t)
  const env = { GITLAB_CI: 'false', CIRCLECI: 'true', PATH: '/nonexistent' }
  t.match(await run([], { env }), { code: 1, stdout: '', stderr: /no job token: CircleCI: .*\n$/ })
  t.strictSame(existsSync(cache) ? readdirSync(cache) : [], [])
})

t.test('a refused job asks once, however often kubectl tries', async (t) => {
  const { run, broker } = await startWorld(t, [DENIED])
  const first = await run()
  t.match(first, { code: 1, stdout: '' })
  t.match(
    first.stderr,
    /^sallyport: denied: .*access_denied: The subject token was not accepted\., request id req-42.*\n$/,
  )
  t.match(first.stderr, 'sallyport explain --token FILE')
  t.notMatch(first.stderr, JOB_TOKEN)
  t.equal(first.stderr.split('\n').length, 2, 'one line')
  const second = await run([], { now: NOW + 4000 })
  t.match(second, { code: 1, stdout: '', stderr: /not asked again/ })
  t.equal(broker.asked.length, 1)
  await run([], { now: NOW + 5000 })
  t.equal(broker.asked.length, 2, 'a mended policy helps after five seconds')
})

t.test('a broker that is broken, busy or away is asked again', async (t) => {
  const { run, broker } = await startWorld(t, [{ status: 503, body: {} }])
  t.match(await run(), { code: 1, stdout: '', stderr: /^sallyport: .*HTTP status 503.*\n$/ })
  t.equal(broker.asked.length, 3)
  t.equal((await run()).code, 1)
  t.equal(broker.asked.length, 6)
  const away = await run(['--token-endpoint', 'http://127.0.0.1:9/token'])
  t.match(away, { code: 1, stdout: '', stderr: /^sallyport: failed: 127.0.0.1:9 could not be reached.*\n$/ })
})

t.test('the kubeconfig names audience, broker and client of each cluster', async (t) => {
  const { run, broker } = await startWorld(t)
  const config = {
    audience: 'kube:local',
    clientId: 'deployer',
    connector: 'gl',
    policy: 'p',
    jobAudience: 'x',
  }
  const env = {
    HOME: folder(t),
    ...gitlab,
    SALLYPORT_AUDIENCE: 'of-the-job registry',
    SALLYPORT_BROKER: 'https://elsewhere.example.test',
    KUBERNETES_EXEC_INFO: info({
      cluster: { server: 'https://k', config: { ...config, broker: broker.url } },
    }),
  }
  t.match(await runCli(['credential'], { env }), { code: 0, stderr: '' })
  const { form } = broker.asked[0] ?? {}
  t.strictSame(form?.getAll('audience'), ['kube:local'])
  t.equal(form?.get('client_id'), 'deployer')
  t.equal(form?.get('connector_id'), 'gl')
  t.equal(form?.get('policy'), 'p')
  await runCli(['credential', '--audience', 'flag'], { env })
  t.strictSame(broker.asked[1]?.form.getAll('audience'), ['flag'], 'a flag wins')

  const wrong: readonly (readonly [string, RegExp])[] = [
    ['{oops', /KUBERNETES_EXEC_INFO is not a JSON object/],
    [info({}, { kind: 'Pod' }), /kind: is not ExecCredential/],
    [info({}, { apiVersion: 'client.authentication.k8s.io/v1beta1' }), /set "apiVersion: .*\/v1" in users/],
    [info({ cluster: { config: { audience: 7 } } }), /spec\.cluster\.config\.audience: is not a text/],
    [info({ cluster: { config: ['audience'] } }), /spec\.cluster\.config: is not an object/],
    [`"${'a'.repeat(1024 * 1024)}"`, /longer than/],
  ]
  for (const [text, said] of wrong) {
    const { code, stdout, stderr } = await run([], { env: { KUBERNETES_EXEC_INFO: text } })
    t.match({ code, stdout, stderr }, { code: 2, stdout: '', stderr: said })
    t.equal(stderr.split('\n').length, 2)
  }
  t.match(await run([], { env: { KUBERNETES_EXEC_INFO: info({ interactive: false }) } }), { code: 0 })
})

t.test('what is missing or makes no sense is one line and exit code 2', async (t) => {
  const env = { HOME: folder(t), ...gitlab }
  const cases: readonly (readonly [readonly string[], Readonly<Record<string, string>>, RegExp])[] = [
    [[], {}, /--broker .* is missing; --audience \(or SALLYPORT_AUDIENCE, or audience in the extension/],
    [['--broker', 'https://b.example.test'], { SALLYPORT_AUDIENCE: 'a b' }, /2 audiences are named/],
    [['--broker', 'http://b.example.test', '--audience', 'a'], {}, /plain HTTP/],
    [
      ['--broker', 'https://b.example.test', '--audience', 'a', '--subject-token-file', '-'],
      {},
      /standard input belongs to kubectl/,
    ],
    [
      ['--broker', 'https://b.example.test', '--audience', 'a'],
      { SALLYPORT_NO_CACHE: 'yes' },
      /SALLYPORT_NO_CACHE is "yes": write true or false/,
    ],
  ]
  for (const [argv, more, said] of cases) {
    const run = await runCli(['credential', ...argv], { env: { ...env, ...more } })
    t.match(run, { code: 2, stdout: '', stderr: said })
    t.equal(run.stderr.split('\n').length, 2)
  }
})

t.test(
  'a folder that others could read or have made is not used, and kubectl still gets its token',
  async (t) => {
    const spoil: readonly (readonly [string, (cache: string, home: string) => void, RegExp])[] = [
      ['open', (cache) => chmodSync(cache, 0o755), /is open to others: chmod 700/],
      ['a link', (cache, home) => symlinkSync(join(home, 'real'), cache), /is not a folder of its own/],
      ['a file', (cache) => writeFileSync(cache, ''), /is not a folder of its own/],
      ...(isRoot
        ? ([
            ['foreign', (cache: string) => chownSync(cache, 65_534, 65_534), /belongs to another user/],
          ] as const)
        : []),
    ]
    for (const [name, change, said] of spoil) {
      const { run, broker, cache, home } = await startWorld(t)
      mkdirSync(join(home, '.cache'))
      mkdirSync(join(home, 'real'))
      if (name === 'open' || name === 'foreign') mkdirSync(cache, { mode: 0o700 })
      change(cache, home)
      for (const expected of ['token.1', 'token.2']) {
        const ran = await run()
        t.equal(tokenOf(ran), expected, name)
        t.match(ran.stderr, said)
        t.equal(ran.stderr.split('\n').length, 2)
      }
      t.equal(broker.asked.length, 2)
      t.strictSame(readdirSync(join(home, 'real')), [], 'nothing is written through a link')
    }
    const { run } = await startWorld(t)
    t.match(await run([], { env: { HOME: '' } }), {
      code: 0,
      stderr: /HOME is not set: name a folder with --cache-dir/,
    })
    t.match(await run([], { env: { HOME: '/proc/nonexistent' } }), { code: 0, stderr: /cannot be made/ })
  },
)

t.test('the folder may be named, and a relative XDG_CACHE_HOME does not count', async (t) => {
  const { run, cache } = await startWorld(t)
  const cwd = folder(t)
  await run([], { cwd, env: { XDG_CACHE_HOME: cwd } })
  t.equal(readdirSync(join(cwd, 'sallyport')).length, 1)
  await run(['--cache-dir', 'mine'], { cwd })
  t.equal(readdirSync(join(cwd, 'mine')).length, 1)
  t.notOk(existsSync(cache))
  await run([], { cwd, env: { XDG_CACHE_HOME: 'sallyport' } })
  t.equal(readdirSync(cache).length, 1)
})

t.test('an entry that is damaged, open to others or a link is asked for anew', async (t) => {
  const damage: readonly ((file: string, home: string) => void)[] = [
    (file) => writeFileSync(file, ''),
    (file) => writeFileSync(file, readFileSync(file).subarray(0, 40)),
    (file) => writeFileSync(file, Buffer.concat([readFileSync(file), Buffer.from('x')])),
    (file) =>
      writeFileSync(
        file,
        readFileSync(file).map((byte, index) => (index === 30 ? byte ^ 1 : byte)),
      ),
    (file) => writeFileSync(file, Buffer.alloc(200_000)),
    (file) => chmodSync(file, 0o644),
    (file, home) => {
      renameSync(file, join(home, 'elsewhere'))
      symlinkSync(join(home, 'elsewhere'), file)
    },
    (file) => {
      rmSync(file)
      mkdirSync(file, { mode: 0o600 })
    },
    ...(isRoot ? [(file: string) => chownSync(file, 65_534, 65_534)] : []),
  ]
  for (const change of damage) {
    const { run, cache, home } = await startWorld(t)
    await run()
    const [name = ''] = readdirSync(cache)
    change(join(cache, name), home)
    t.equal(tokenOf(await run()), 'token.2')
    t.equal(tokenOf(await run()), 'token.2', 'and is kept again')
    t.equal(statSync(join(cache, name)).mode & 0o777, 0o600)
  }
})

t.test('what has ended is removed, and the folder stays small', async (t) => {
  const { run, cache } = await startWorld(t)
  mkdirSync(cache, { recursive: true, mode: 0o700 })
  const put = (name: string, seconds: number) => {
    writeFileSync(join(cache, name), 'x', { mode: 0o600 })
    utimesSync(join(cache, name), NOW / 1000 + seconds, NOW / 1000 + seconds)
  }
  put(hex(0), -1)
  put(`${hex(1)}.070707070707.draft`, -61)
  put(`${hex(2)}.lock`, -61)
  put(`${hex(3)}.lock`, -30)
  put('notes.txt', -1000)
  for (let number = 100; number < 200; number += 1) put(hex(number), number)
  await run()
  const left = readdirSync(cache)
  for (const gone of [hex(0), `${hex(1)}.070707070707.draft`, `${hex(2)}.lock`])
    t.notOk(left.includes(gone), gone)
  for (const kept of [`${hex(3)}.lock`, 'notes.txt']) t.ok(left.includes(kept), kept)
  t.equal(left.filter((name) => /^[0-9a-f]{32}$/.test(name)).length, 64)
  t.ok(left.includes(hex(199)) && !left.includes(hex(100)), 'what ends first goes first')
  t.equal(tokenOf(await run()), 'token.1', 'the own one stays')
})

t.test('its help says where each value comes from', async (t) => {
  const run = await runCli(['credential', '--help'])
  t.match(run.stdout, /--no-cache .*SALLYPORT_NO_CACHE/)
  t.match(run.stdout, /default: what the\s+kubeconfig says of it \(env:\s+SALLYPORT_AUDIENCE\)/)
})
