// What docs/install-kubernetes.md has people type for their first token, typed: the secret arrives whole, and stands among the
// arguments of no program.
import { execFile } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { fakeServer, folder, GRANTED } from '../support/cli.ts'
import { curl } from '../support/posix_script.ts'

const page = readFileSync(new URL('../../docs/install-kubernetes.md', import.meta.url), 'utf8')
const typed = /### The first token\n\n```sh\n([\s\S]*?)```/.exec(page)?.[1] ?? ''
const SECRET = 'a+b/c= &"%41\\'

const skip = curl === undefined || !existsSync('/bin/sh') ? 'no curl or no shell here' : false

t.test(
  'the first token of the guide is asked for without the secret in a process list',
  { skip },
  async (t) => {
    const broker = await fakeServer(t, [GRANTED])
    const bin = folder(t)
    const log = join(bin, 'arguments')
    const stub = (name: string, then: string): void =>
      writeFileSync(join(bin, name), `#!/bin/sh\nprintf '%s\\n' "${name} $*" >>${log}\n${then}\n`, {
        mode: 0o755,
      })
    stub(
      'kubectl',
      `case "$*" in *'get secret'*) printf '%s' '${Buffer.from(SECRET).toString('base64')}' ;; esac`,
    )
    stub('curl', `exec ${curl} -q -sS "$@"`)
    const line = typed.replace('https://broker.example.com/token', `${broker.url}/token`)
    const { promise, resolve } = Promise.withResolvers<string>()
    const env = { PATH: `${bin}:${process.env['PATH'] ?? ''}` }
    execFile('/bin/sh', ['-e', '-c', line], { env, timeout: 20_000 }, (error, stdout, stderr) =>
      resolve(error === null ? stdout : `${error.message}${stderr}`),
    )
    t.match(await promise, 'issued.token.value')
    t.strictSame(Object.fromEntries(broker.asked[0]?.form ?? []), {
      client_id: 'nightly',
      client_secret: SECRET,
      grant_type: 'client_credentials',
      scope: 'openid',
    })
    const told = readFileSync(log, 'utf8')
    t.match(told, /^curl .*client_secret@-/m)
    t.notMatch(told, SECRET)
  },
)

t.test('no page of the guide puts a secret that it reads into an argument of curl', async (t) => {
  t.notMatch(page, /-u +"[^"]*\$\(/)
})
