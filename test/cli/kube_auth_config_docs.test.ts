// docs/kube-auth-config.md is what people copy from: its example gives what the page shows, and its tables have every code.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { AUTH_CONFIG_CODES } from '../../src/core/kube/auth_config_plan.ts'
import { RBAC_CODES } from '../../src/core/kube/rbac_codes.ts'
import { folder, runCli, words } from '../support/cli.ts'

const page = readFileSync(new URL('../../docs/kube-auth-config.md', import.meta.url), 'utf8')
const [config = '', authentication = '', rules = '', bindings = ''] = [
  ...page.matchAll(/```yaml\n([\s\S]*?)```/g),
].map(([, block]) => block ?? '')
const commands = [...page.matchAll(/^sallyport (kube .*?)(?: [>|] .*)?$/gm)].map(([, line]) => line ?? '')

t.test('the example of the page gives the file and the bindings that the page shows', async (t) => {
  const cwd = folder(t)
  writeFileSync(join(cwd, 'sallyport.yaml'), config)
  t.match(await runCli(['kube', 'auth-config'], { cwd }), { code: 0, stdout: authentication, stderr: '' })
  const rbac = commands.find((line) => line.startsWith('kube rbac')) ?? ''
  t.match(await runCli(words(rbac), { cwd }), { code: 0, stdout: bindings, stderr: '' })
})

t.test('people with bare names are merged with the rules of the page, and not without', async (t) => {
  const cwd = folder(t)
  writeFileSync(join(cwd, 'sallyport.yaml'), config)
  const entry = `
  - issuer: { url: https://sso.example.com, audiences: [kubernetes] }
    claimValidationRules: [{ expression: "claims.sub != ''" }]
    claimMappings:
      username: { claim: sub, prefix: '' }
      groups: { claim: groups, prefix: '' }
      uid: { claim: sub }
`
  const head = 'apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\njwt:'
  const reserved = `
      - expression: "!user.username.startsWith('system:')"
      - expression: "user.groups.all(group, !group.startsWith('system:'))"
`
  const merge = async (ruleList: string) => {
    writeFileSync(join(cwd, 'people.yaml'), `${head}${entry}${ruleList}`)
    return runCli(['kube', 'auth-config', '--merge', 'people.yaml'], { cwd })
  }
  t.match(await merge(`    userValidationRules:${reserved}`), { code: 78, stderr: /prefix_of_merged/ })
  const run = await merge(`${rules.trimEnd().replaceAll(/^ {2}/gm, '    ')}${reserved}`)
  t.equal(run.code, 0, run.stderr)
})

t.test('every code stands on the page, and no other', async (t) => {
  const told = [...page.matchAll(/^\| ((?:`[a-z_]+`(?:, )?)+) \|/gm)].flatMap(([, cell]) =>
    [...(cell ?? '').matchAll(/`([a-z_]+)`/g)].map(([, code]) => code ?? ''),
  )
  t.strictSame(told.toSorted(), [...AUTH_CONFIG_CODES, ...RBAC_CODES].toSorted())
})
