// `npm pack` of a copy of the checkout, the tarball installed into an empty folder without any network, and used there.
import { execFile } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join, resolve } from 'node:path'
import t from 'tap'
import { freePort, startChildServer } from '../support/child_server.ts'
import { fakeServer, GRANTED, unsignedJwt } from '../support/cli.ts'

const root = resolve(import.meta.dirname, '../..')
const scratch = mkdtempSync(join(tmpdir(), 'sallyport-package-'))
t.teardown(() => rmSync(scratch, { recursive: true, force: true }))
const checkout = join(scratch, 'checkout')
const user = join(scratch, 'user')

type Ran = { readonly code: number; readonly stdout: string; readonly stderr: string }

/** Runs with the Node of this test in front and without what npm told the test about this checkout. */
async function run(cwd: string, command: string, args: readonly string[], stdin = ''): Promise<Ran> {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(npm_|TAP|NODE_OPTIONS)/i.test(name))
  const path = [dirname(process.execPath), ...(process.env['PATH'] ?? '').split(delimiter)]
    .filter((dir) => !dir.includes('.bin'))
    .join(delimiter)
  const env = { ...Object.fromEntries(inherited), PATH: path }
  const { promise, resolve: done } = Promise.withResolvers<Ran>()
  const child = execFile(
    command,
    [...args],
    { cwd, env, maxBuffer: 16 * 1024 * 1024 },
    (error, stdout, stderr) => {
      done({ code: error === null ? 0 : Number(error.code), stdout, stderr })
    },
  )
  child.stdin?.end(stdin)
  return promise
}

t.before(async () => {
  mkdirSync(checkout)
  mkdirSync(user)
  for (const name of [
    'package.json',
    'package-lock.json',
    '.npmrc',
    'LICENSE',
    'README.md',
    'CHANGELOG.md',
    'src',
    'webhook',
    'deploy',
    'docs',
    'test/support',
  ]) {
    // README and CHANGELOG may not be written yet; npm packs without them.
    if (readdirSync(join(root, dirname(name))).includes(name.split('/').at(-1) ?? '')) {
      cpSync(join(root, name), join(checkout, name), { recursive: true })
    }
  }
  symlinkSync(join(root, 'node_modules'), join(checkout, 'node_modules'))
})

t.test('npm pack leaves the checkout as it was and the package without dependencies', async (t) => {
  const before = readFileSync(join(checkout, 'package.json'), 'utf8')
  const packed = await run(checkout, 'npm', ['pack', '--pack-destination', user])
  t.equal(packed.code, 0, packed.stderr)
  t.equal(readFileSync(join(checkout, 'package.json'), 'utf8'), before)

  const tarball = readdirSync(user).find((name) => name.endsWith('.tgz')) ?? ''
  writeFileSync(join(user, 'package.json'), '{"private":true}')
  const installed = await run(user, 'npm', [
    'install',
    '--offline',
    '--no-audit',
    '--no-fund',
    `./${tarball}`,
  ])
  t.equal(installed.code, 0, installed.stderr)
  t.strictSame(
    readdirSync(join(user, 'node_modules')).filter((name) => !name.startsWith('.')),
    ['sallyport'],
  )
  const manifest: unknown = JSON.parse(
    readFileSync(join(user, 'node_modules/sallyport/package.json'), 'utf8'),
  )
  t.strictSame(
    ['dependencies', 'optionalDependencies', 'devDependencies'].filter((name) => name in Object(manifest)),
    [],
  )
  const files = readdirSync(join(user, 'node_modules/sallyport'), { recursive: true }).map(String)
  t.strictSame(
    files.filter((name) => name.endsWith('.ts')),
    [],
    'types are not stripped under node_modules',
  )
  for (const name of ['THIRD_PARTY_LICENSES.txt', 'sbom.cdx.json']) t.ok(files.includes(`dist/${name}`), name)
  for (const name of ['exchange', 'credential']) t.ok(files.includes(`deploy/ci/sallyport-${name}.sh`))
})

t.test('npx sallyport helps', async (t) => {
  const help = await run(user, 'npx', ['--no-install', 'sallyport', '--help'])
  t.equal(help.code, 0, help.stderr)
  t.match(help.stdout, 'exchange')
  const manifest: { version: string } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  t.equal(
    (await run(user, 'npx', ['--no-install', 'sallyport', '--version'])).stdout,
    `${manifest.version}\n`,
  )
})

const bin = join(user, 'node_modules/.bin/sallyport')

t.test('the installed commands work', async (t) => {
  const jwt = unsignedJwt({ iss: 'https://ci.example.test', aud: 'kubernetes' })
  const shown = await run(user, bin, ['token', '-'], jwt)
  t.equal(shown.code, 0, shown.stderr)
  t.match(shown.stdout, 'kubernetes alone')

  const broker = await fakeServer(t, [GRANTED])
  const argv = ['exchange', '--broker', broker.url, '--client-id', 'ci', '--subject-token-file', '-']
  t.match(await run(user, bin, argv, jwt), { code: 0, stdout: 'issued.token.value\n' })
  t.equal(broker.asked[0]?.form.get('subject_token'), jwt)

  t.match(await run(user, bin, ['hash-secret', '-'], 'chosen'), { code: 0, stdout: /^\$scrypt\$/ })
  t.match(await run(user, bin, ['completion', 'bash']), { code: 0, stdout: /complete -o filenames/ })
  t.match(await run(user, bin, ['exchnage']), { code: 2 })
})

t.test("the installed command is kubectl's plugin, in one file of its own", async (t) => {
  const broker = await fakeServer(t, [GRANTED])
  const job = join(user, 'job.jwt')
  writeFileSync(job, unsignedJwt({ iss: 'https://ci.example.test' }))
  const where = ['--broker', broker.url, '--client-id', 'ci', '--audience', 'kubernetes']
  const argv = ['credential', ...where, '--subject-token-file', job, '--cache-dir', join(user, 'cache')]
  for (const times of [1, 2]) {
    const ran = await run(user, bin, argv)
    t.match(ran, { code: 0, stderr: '', stdout: /"token":"issued\.token\.value"\}\}\n$/ }, `time ${times}`)
  }
  t.equal(broker.asked.length, 1)
  const quick = readFileSync(join(user, 'node_modules/sallyport/dist/credential_quick.js'), 'utf8')
  t.notMatch(quick, /^import[ {*"]/m, 'nothing is loaded beside it')
  t.match(await run(user, bin, ['credential', '--help']), { code: 0, stdout: /Usage: sallyport credential/ })
})

t.test(
  'the installed broker serves, and the installed exchange and the script get tokens from it',
  async (t) => {
    const port = await freePort()
    const issuer = `http://127.0.0.1:${port}/dex`
    writeFileSync(
      join(user, 'dex.yaml'),
      `issuer: ${issuer}
storage: { type: sqlite3, config: { file: ${join(user, 'dex.db')} } }
web: { http: 127.0.0.1:${port} }
connectors: [{ type: mockCallback, id: mock, name: Mock }]
staticClients: [{ id: ci, name: CI, secret: not-a-secret-of-anybody }]
`,
    )
    const server = await startChildServer({
      name: 'installed sallyport',
      command: process.execPath,
      args: [
        join(user, 'node_modules/sallyport/dist/sallyport.js'),
        'serve',
        '--dex-config',
        'dex.yaml',
        '--development',
      ],
      cwd: user,
      ready: async () => (await fetch(`${issuer}/healthz`)).ok,
    })
    t.teardown(() => server.stop())

    writeFileSync(join(user, 'secret'), 'not-a-secret-of-anybody\n')
    const jwt = unsignedJwt({ iss: 'https://mock.example.test' })
    const flags = [
      '--broker',
      issuer,
      '--client-id',
      'ci',
      '--client-secret-file',
      'secret',
      '--connector',
      'mock',
    ]
    const script = join(user, 'node_modules/sallyport/deploy/ci/sallyport-exchange.sh')
    for (const [command, args] of [
      [bin, ['exchange', ...flags]],
      ['sh', [script, ...flags]],
    ] as const) {
      const issued = await run(user, command, [...args, '--subject-token-file', '-'], jwt)
      t.equal(issued.code, 0, issued.stderr + server.logs())
      const shown = await run(user, bin, ['token', '--json', '-'], issued.stdout)
      t.match(JSON.parse(shown.stdout), { claims: { iss: issuer, aud: 'ci' } })
      const denied = await run(
        user,
        command,
        [...args, '--subject-token-file', '-', '--audience', 'nobody'],
        jwt,
      )
      t.equal(denied.code, 1)
      t.match(denied.stderr, 'invalid_target')
      t.match(denied.stderr, 'request id: ')
    }
  },
)
