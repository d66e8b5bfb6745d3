// `sallyport config check`: the loader of serve, every problem at once, nothing started.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { folder, runCli } from '../support/cli.ts'

const DEX = `issuer: http://127.0.0.1:5556/dex
storage: { type: memory }
web: { http: 127.0.0.1:5556 }
connectors:
  - type: oidc
    id: gitlab
    name: GitLab
    config:
      issuer: https://gitlab.example.test
      clientID: x
      clientSecret: y
      redirectURI: http://127.0.0.1:5556/dex/callback
staticClients:
  - id: ci
    name: CI
    secret: s3cret-s3cret-s3cret
`

t.test('a Dex configuration is answered with the verdict on each key', async (t) => {
  const cwd = folder(t)
  writeFileSync(join(cwd, 'dex.yaml'), DEX)
  const run = await runCli(['config', 'check', '--dex-config', 'dex.yaml'], { cwd })
  t.equal(run.code, 0, run.stdout)
  t.match(run.stdout, /taken +issuer/)
  t.match(run.stdout, 'OK: http://127.0.0.1:5556/dex with 1 connector, 1 client')
  t.notMatch(run.stdout, 's3cret')
})

t.test('a file that would not be served is exit code 78, with places and ways out', async (t) => {
  const cwd = folder(t)
  writeFileSync(join(cwd, 'dex.yaml'), DEX.replace('secret: s3cret-s3cret-s3cret', "secret: ''"))
  const run = await runCli(['config', 'check', '--dex-config', 'dex.yaml'], { cwd })
  t.equal(run.code, 78)
  t.match(run.stdout, /dex\.yaml:\d+:\d+: error/)
  t.match(run.stdout, 'would not be served')

  writeFileSync(join(cwd, 'native.yaml'), 'issuer: 5\nnonsense: true\n')
  const native = await runCli(['config', 'check', 'native.yaml', '--json'], { cwd })
  t.equal(native.code, 78)
  const document: { ok: boolean; findings: readonly { severity: string }[] } = JSON.parse(native.stdout)
  t.equal(document.ok, false)
  t.ok(document.findings.filter(({ severity }) => severity === 'error').length >= 2, 'all at once')
})

t.test('a file that is not there is exit code 78, and one named twice is 2', async (t) => {
  t.match(await runCli(['config', 'check', 'absent.yaml']), { code: 78, stdout: /does not exist/ })
  t.match(await runCli(['config', 'check', 'a.yaml', '--config', 'b.yaml']), { code: 2 })
  t.match(await runCli(['config', 'chekc']), { code: 2, stderr: /Did you mean check/ })
})

t.test('standard input is checked as if it lay where --config says', async (t) => {
  const cwd = folder(t)
  const secret = 'dGhpcyBpcyBub3QgYSBzZWNyZXQ4NzY1NDMy'
  writeFileSync(join(cwd, 'ci.secret'), secret, { mode: 0o600 })
  const stdin = `issuer: https://broker.example.test
listen: { public: 127.0.0.1:8443 }
store: { type: memory }
clients: [{ id: ci, auth: { method: client_secret, secretFile: ci.secret }, grants: [client_credentials] }]
`
  const argv = ['config', 'check', '-', '--config', join(cwd, 'sallyport.yaml')]
  t.match(await runCli(argv, { stdin }), { code: 0, stdout: /^OK: https:\/\/broker\.example\.test/m })
  t.match(await runCli(argv.slice(0, 3), { stdin, cwd }), { code: 0 }, 'or from the working folder')
  const broken = await runCli(argv, { stdin: stdin.replace('ci.secret', 'absent') })
  t.match(broken, { code: 78, stdout: /^stdin:4:\d+: error file_unreadable/m })
  t.match(await runCli([...argv, '--dex-config', 'dex.yaml'], { stdin }), { code: 2 })
  t.match(await runCli(argv, { stdin: '#'.repeat(1024 * 1024 + 1) }), { code: 1, stderr: /longer than/ })
})

t.test('the variable of a switch says true or false, and nothing else', async (t) => {
  const cwd = folder(t)
  const mock = '  - { type: mockCallback, id: mock, name: Mock }\n'
  writeFileSync(join(cwd, 'dex.yaml'), DEX.replace('connectors:\n', `connectors:\n${mock}`))
  const check = (...[value, ...flags]: readonly string[]) =>
    runCli(['config', 'check', '--dex-config', 'dex.yaml', ...flags], {
      cwd,
      env: { SALLYPORT_DEVELOPMENT: value ?? '' },
    })
  for (const on of ['true', '1']) t.match(await check(on), { code: 0, stdout: / connector_mock / }, on)
  for (const off of ['false', '0', ''])
    t.match(await check(off), { code: 0, stdout: /connector_mock_off/ }, off)
  for (const other of ['no', 'off', 'TRUE', 'yes', ' 1']) {
    const wanted = { code: 2, stdout: '', stderr: /SALLYPORT_DEVELOPMENT is ".*": write true or false/ }
    t.match(await check(other), wanted, other)
  }
  t.match(await check('no', '--development'), { code: 0 }, 'the flag wins')
})

t.test("the webhook's file is known by its keys, and checked as the webhook reads it", async (t) => {
  const cwd = folder(t)
  for (const [name, text, says] of [
    [
      'a.yaml',
      'kubeconfig: /x\n',
      /^OK: the webhook on port 8443 .* in a Pod \(elsewhere it needs listen\.tls\)/,
    ],
    ['b.yaml', 'listen: {port: 9443}\n', /^OK: the webhook on port 9443/],
    ['sallyport-webhook.yaml', 'log: {level: debug}\n', /^OK: the webhook on port 8443/],
    [
      'c.yaml',
      'listen: {tls: {selfManaged: {namespace: guards}}}\n',
      /own keeping in the Secret sallyport-webhook-tls\.\n$/,
    ],
  ] as const) {
    writeFileSync(join(cwd, name), text)
    t.match(await runCli(['config', 'check', name], { cwd }), { code: 0, stdout: says }, name)
  }
  writeFileSync(join(cwd, 'wrong.yaml'), 'scan: {interval: soon}\nlisten: {port: -1}\n')
  const wrong = await runCli(['config', 'check', 'wrong.yaml'], { cwd })
  t.equal(wrong.code, 78)
  t.match(
    wrong.stdout,
    /wrong\.yaml:1:\d+: error .*\(scan\.interval\)[^]*wrong\.yaml:2:\d+: error .*\(listen\.port\)/,
  )
  t.match(wrong.stdout, 'would not be served')
  const piped = await runCli(['config', 'check', '-', '--json'], { cwd, stdin: 'kubeconfig: ""\n' })
  t.equal(piped.code, 78)
  t.match(JSON.parse(piped.stdout), {
    ok: false,
    findings: [{ code: 'value_empty', place: { file: 'stdin' } }],
  })
})

t.test('the file that the deployment brings is one', async (t) => {
  const file = join(import.meta.dirname, '..', '..', 'deploy', 'webhook', 'base', 'sallyport-webhook.yaml')
  t.match(await runCli(['config', 'check', file]), { code: 0, stdout: /^OK: the webhook on port 8443/m })
})

t.test("a file with an issuer is the broker's, whatever else it has", async (t) => {
  const cwd = folder(t)
  writeFileSync(join(cwd, 'a.yaml'), 'issuer: https://broker.example.com\nkubeconfig: x\n')
  const { code, stdout } = await runCli(['config', 'check', 'a.yaml'], { cwd })
  t.equal(code, 78)
  t.match(stdout, /key_unknown \(kubeconfig\)/)
})
