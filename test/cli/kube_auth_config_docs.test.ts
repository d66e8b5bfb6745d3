// docs/kube-auth-config.md is what people copy from: its example gives what the page shows, and its tables have every code.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { AUTH_CONFIG_CODES } from '../../src/core/kube/auth_config_plan.ts'
import { RBAC_CODES } from '../../src/core/kube/rbac_codes.ts'
import { folder, runCli, words } from '../support/cli.ts'

const page = readFileSync(new URL('../../docs/kube-auth-config.md', import.meta.url), 'utf8')
const [config = '', authentication = '', bindings = ''] = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(
  ([, block]) => block ?? '',
)
const commands = [...page.matchAll(/^sallyport (kube .*?)(?: [>|] .*)?$/gm)].map(([, line]) => line ?? '')

t.test('the example of the page gives the file and the bindings that the page shows', async (t) => {
  const cwd = folder(t)
  writeFileSync(join(cwd, 'sallyport.yaml'), config)
  t.match(await runCli(['kube', 'auth-config'], { cwd }), { code: 0, stdout: authentication, stderr: '' })
  const rbac = commands.find((line) => line.startsWith('kube rbac')) ?? ''
  t.match(await runCli(words(rbac), { cwd }), { code: 0, stdout: bindings, stderr: '' })
})

t.test('every code stands on the page, and no other', async (t) => {
  const told = [...page.matchAll(/^\| ((?:`[a-z_]+`(?:, )?)+) \|/gm)].flatMap(([, cell]) =>
    [...(cell ?? '').matchAll(/`([a-z_]+)`/g)].map(([, code]) => code ?? ''),
  )
  t.strictSame(told.toSorted(), [...AUTH_CONFIG_CODES, ...RBAC_CODES].toSorted())
})
