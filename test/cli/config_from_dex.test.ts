// `sallyport config from-dex`: sallyport.yaml to stdout, the truth about each key to stderr, the move of the keys.
import { copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { folder, runCli } from '../support/cli.ts'
import { changed, DEX_VARIABLES, dexFixture } from '../support/dex_config.ts'

const BASE = dexFixture('seed_002.yaml')
const STORE = ['--store', 'sqlite:broker.db']

function folderWith(t: Test, dex: string): string {
  const cwd = folder(t)
  writeFileSync(join(cwd, 'dex.yaml'), dex)
  return cwd
}

t.test('what it prints is a configuration that config check accepts', async (t) => {
  const cwd = folderWith(t, BASE)
  const run = await runCli(['config', 'from-dex', 'dex.yaml', ...STORE], { cwd, env: DEX_VARIABLES })
  t.equal(run.code, 0, run.stderr)
  writeFileSync(join(cwd, 'sallyport.yaml'), run.stdout)
  const check = await runCli(['config', 'check', 'sallyport.yaml'], { cwd, env: DEX_VARIABLES })
  t.equal(check.code, 0, check.stdout)
  t.match(check.stdout, 'OK: https://dex.example.test/ with 2 connectors, 2 clients')
})

t.test('the truth about each key goes to stderr, with places', async (t) => {
  const cwd = folderWith(t, BASE)
  const run = await runCli(['config', 'from-dex', 'dex.yaml', ...STORE], { cwd, env: DEX_VARIABLES })
  t.match(run.stderr, /taken +issuer:2 -> issuer/)
  t.match(run.stderr, /ignored +oauth2\.skipApprovalScreen:14 /)
  t.match(run.stderr, /\d+ keys: \d+ taken, \d+ ignored, 0 refused; 0 errors/)
  for (const secret of Object.values(DEX_VARIABLES)) {
    if (secret !== 'ci') t.notMatch(run.stdout + run.stderr, secret)
  }
})

t.test('a file that would not be served gives no native form and exit code 78', async (t) => {
  const cwd = folderWith(t, changed(BASE, 'id: keycloak', 'id: gitlab'))
  const run = await runCli(['config', 'from-dex', 'dex.yaml', ...STORE], { cwd, env: DEX_VARIABLES })
  t.equal(run.code, 78)
  t.equal(run.stdout, '')
  t.match(run.stderr, /dex\.yaml:\d+:\d+: error connector_id_repeated/)
  t.match(run.stderr, /refused +connectors\[1\]\.id/)
})

t.test('an overlay goes along', async (t) => {
  const cwd = folderWith(t, BASE)
  writeFileSync(join(cwd, 'overlay.yaml'), 'clients: { kubernetes: { ttl: 3m } }\n')
  const argv = ['config', 'from-dex', 'dex.yaml', '--config', 'overlay.yaml', ...STORE]
  const run = await runCli(argv, { cwd, env: DEX_VARIABLES })
  t.equal(run.code, 0, run.stderr)
  t.match(run.stdout, 'ttl: 3m')
})

t.test('files that an overlay names lie beside it', async (t) => {
  const cwd = folderWith(t, BASE)
  const other = folder(t)
  copyFileSync(new URL('../fixtures/dex/old.jwks.json', import.meta.url), join(other, 'old.jwks.json'))
  writeFileSync(join(other, 'overlay.yaml'), 'keys: { extraPublicKeysFile: old.jwks.json }\n')
  const argv = ['config', 'from-dex', 'dex.yaml', '--config', join(other, 'overlay.yaml'), ...STORE]
  const run = await runCli(argv, { cwd, env: DEX_VARIABLES })
  t.equal(run.code, 0, run.stderr)
  t.match(run.stdout, `extraPublicKeysFile: ${join(other, 'old.jwks.json')}`)
})

t.test(
  'a secret that can be guessed is written down with the slow hash, a random one with the fast',
  async (t) => {
    for (const [secret, hash] of [
      ['minikube', /\$scrypt\$ln=/],
      ['Jq3vXo1sQ7mZr8uB2kTnYw5e', /\$sallyport-sha256\$/],
    ] as const) {
      const cwd = folderWith(t, changed(BASE, 'secretEnv: CI_CLIENT_SECRET', `secret: ${secret}`))
      const run = await runCli(['config', 'from-dex', 'dex.yaml', ...STORE], { cwd, env: DEX_VARIABLES })
      t.match(run.stdout, hash)
      t.notMatch(run.stdout, secret)
    }
  },
)

t.test('--json gives all of it to a machine', async (t) => {
  const cwd = folderWith(t, BASE)
  const run = await runCli(['config', 'from-dex', 'dex.yaml', '--json', ...STORE], {
    cwd,
    env: DEX_VARIABLES,
  })
  const document: { ok: boolean; native: string; keys: readonly unknown[] } = JSON.parse(run.stdout)
  t.equal(document.ok, true)
  t.match(document.native, 'issuer: https://dex.example.test/')
  t.ok(document.keys.length > 20)
})

t.test('--keys explains the move on the same issuer, with its URL and its times', async (t) => {
  const cwd = folderWith(t, BASE)
  const run = await runCli(['config', 'from-dex', 'dex.yaml', '--keys', ...STORE], {
    cwd,
    env: DEX_VARIABLES,
  })
  t.equal(run.code, 0)
  t.match(run.stdout, 'curl -sf https://dex.example.test/keys > dex-keys.jwks.json')
  t.match(run.stdout, 'extraPublicKeysFile: dex-keys.jwks.json')
  t.match(run.stdout, 'After 10m remove extraPublicKeysFile.')
  t.notMatch(run.stdout, 'issuer:')
})

t.test('a file that is not there is exit code 78, none named is 2', async (t) => {
  t.match(await runCli(['config', 'from-dex', 'absent.yaml']), { code: 78, stderr: /does not exist/ })
  t.match(await runCli(['config', 'from-dex']), { code: 2, stderr: /name the Dex configuration/ })
})
