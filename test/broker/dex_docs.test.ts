// The overlay that docs/dex-config.md shows loads over a Dex configuration that has what it names.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { changed, dexFixture, errorsOf, loadDex } from '../support/dex_config.ts'

const guide = readFileSync(new URL('../../docs/dex-config.md', import.meta.url), 'utf8')
const CLIENTS = `staticClients:
  - { id: ci-pipeline, name: CI, secretEnv: CI_CLIENT_SECRET }
  - { id: opendepot, name: OpenDepot, secretEnv: OPENDEPOT_DEX_CLIENT_SECRET, trustedPeers: [ci-pipeline] }
`

t.test('the overlay of the guide loads', async (t) => {
  const [, overlay] = /```yaml\n([\s\S]*?)```/.exec(guide) ?? []
  const dex = changed(dexFixture('seed_002.yaml'), 'staticClients:\n', CLIENTS)
  const load = loadDex(dex, { overlay: overlay ?? 'no block of YAML stands in the guide' })
  t.same(errorsOf(load), [])
  t.match(
    load.config?.clients.find(({ id }) => id === 'ci-pipeline'),
    {
      subject: 'plain',
      defaultAudiences: ['opendepot'],
    },
  )
  t.match(load.config?.policies, [{ name: 'infra-deploys', connector: 'gitlab' }])
})

t.test('the commands of the guide are commands of the CLI', async (t) => {
  const { config } = await import('../../src/cli/config.ts')
  const lines = config.examples.map(({ line }) => line).join('\n')
  for (const command of ['config check --dex-config', 'config from-dex']) {
    t.match(guide, command)
    t.match(lines, command)
  }
})
