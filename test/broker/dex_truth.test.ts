// What the report on a Dex file says became of each key, where a key is taken over in part or only seems to be.
import t from 'tap'
import { TOKEN_EXCHANGE } from '../../src/core/oauth/names.ts'
import { changed, dexFixture, errorsOf, loadDex } from '../support/dex_config.ts'
import type { World } from '../support/dex_config.ts'

const BASE = dexFixture('seed_002.yaml')
const SKIP = '  skipApprovalScreen: true\n'

/** `verdict path: why` of the keys that are at `path` or below it. */
function truth(text: string, path: string, world?: World): readonly string[] {
  const load = loadDex(text, world)
  t.same(errorsOf(load), [])
  const keys = load.report?.keys.filter((key) => key.path.startsWith(path)) ?? []
  return keys.map((key) => `${key.verdict} ${key.path}: ${key.why}`)
}

t.test('a list of grants tells which of them have no effect', async (t) => {
  const list = (grants: string): string => changed(BASE, SKIP, `${SKIP}  grantTypes: [${grants}]\n`)
  t.same(truth(list(`authorization_code, ${TOKEN_EXCHANGE}, refresh_token`), 'oauth2.grantTypes'), [
    'taken oauth2.grantTypes: clients[].grants',
    'ignored oauth2.grantTypes[0]: the grant authorization_code is not served yet',
    'ignored oauth2.grantTypes[2]: the grant refresh_token is not served yet',
  ])
  t.same(truth(list(TOKEN_EXCHANGE), 'oauth2.grantTypes'), ['taken oauth2.grantTypes: clients[].grants'])
  const grants = `[${TOKEN_EXCHANGE}, implicit]`
  const connector = changed(BASE, '    id: keycloak\n', `    id: keycloak\n    grantTypes: ${grants}\n`)
  t.same(truth(connector, 'connectors[1].grantTypes'), [
    'taken connectors[1].grantTypes: connectors[].grants',
    'ignored connectors[1].grantTypes[1]: the grant implicit is not served yet',
  ])
  const client = changed(BASE, '    name: Kubernetes\n', `    name: Kubernetes\n    grantTypes: ${grants}\n`)
  t.match(truth(client, 'staticClients[0].grantTypes'), [
    /^taken staticClients\[0\]\.grantTypes: /,
    /^ignored staticClients\[0\]\.grantTypes\[1\]: /,
  ])
})

t.test('of a connector that is not served nothing is said to be taken', async (t) => {
  const ldap = '  - { type: ldap, id: people, name: People, config: { host: ldap.example.test } }\n'
  const mock = '  - { type: mockCallback, id: mock, name: Mock }\n'
  const text = changed(BASE, 'connectors:\n', `connectors:\n${ldap}${mock}`)
  const said = truth(text, 'connectors')
  const verdicts = (index: number): readonly string[] =>
    said.flatMap((line) => (line.includes(` connectors[${index}].`) ? [line.split(':')[0] ?? ''] : []))
  t.same(verdicts(0), [
    'ignored connectors[0].type',
    'ignored connectors[0].id',
    'ignored connectors[0].name',
    'ignored connectors[0].config.host',
  ])
  t.same(verdicts(1), [
    'ignored connectors[1].type',
    'ignored connectors[1].id',
    'ignored connectors[1].name',
  ])
  t.ok(verdicts(2).includes('taken connectors[2].id'), 'a served one is taken')
  const development = { flags: { development: true } }
  t.ok(truth(text, 'connectors[1].id', development)[0]?.startsWith('taken'), 'so is the mock when it is on')
})
