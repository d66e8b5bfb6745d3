// A Dex configuration often has GitLab twice: type gitlab for people, type oidc for jobs. A job that names no connector
// means the second, since its token says nothing to GitLab's user API.
import t from 'tap'
import type { ParsedToken } from '../../src/core/jwt/compact.ts'
import { ok } from '../../src/core/result.ts'
import { connectorByIssuer } from '../../src/broker/connectors/resolve_connector.ts'
import { changed, dexFixture, loadDex } from '../support/dex_config.ts'

const PEOPLE = `connectors:
  - { type: gitlab, id: people, name: People, config: { baseURL: "https://gitlab.example.test" } }
`

t.test(
  "a token of GitLab's issuer chooses the oidc connector, never the one that asks the user API",
  async (t) => {
    const { config } = loadDex(changed(dexFixture('seed_002.yaml'), 'connectors:\n', PEOPLE))
    const [client] = config?.clients.toReversed() ?? []
    if (config === undefined || client === undefined) throw new Error('the fixture does not load')
    const table = new Map(config.connectors.map((connector) => [connector.id, connector]))
    const token: ParsedToken = {
      header: { alg: 'RS256', kid: undefined, typ: undefined },
      claims: { iss: 'https://gitlab.example.test' },
      signingInput: '',
      signature: Buffer.alloc(0),
    }
    const found = connectorByIssuer(ok(token), { ...client, connectors: [] }, table)
    t.equal(found.ok && found.value.id, 'gitlab')
  },
)
