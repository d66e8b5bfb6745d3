// Which connector a token exchange means, in Dex's order of checks. A caller may leave `connector_id` out when the
// token's `iss` is, letter by letter, the issuer of exactly one connector that this client may use (never a fetch).
import type { Client } from '#core/client.ts'
import type { Connector } from '#core/connector.ts'
import type { ParsedToken } from '#core/jwt/compact.ts'
import { TOKEN_EXCHANGE } from '#core/oauth/names.ts'
import { deny, ok } from '#core/result.ts'
import type { Result } from '#core/result.ts'

export type ConnectorTable = ReadonlyMap<string, Connector>

/** The connector that `id` names, or a denial. `undefined` when the request names none. */
export function namedConnector(
  id: string,
  client: Client,
  table: ConnectorTable,
): Result<Connector | undefined> {
  if (id === '') return ok(undefined)
  if (!mayUse(client, id)) return deny({ reason: 'connector_not_allowed', connector: id, client: client.id })
  const connector = table.get(id)
  if (connector === undefined) return deny({ reason: 'connector_unknown', connector: id })
  if (!servesExchange(connector)) {
    return deny({ reason: 'connector_grant_not_allowed', connector: id, grant: TOKEN_EXCHANGE })
  }
  return ok(connector)
}

/** The one connector whose issuer the unverified token claims. */
export function connectorByIssuer(
  token: Result<ParsedToken>,
  client: Client,
  table: ConnectorTable,
): Result<Connector> {
  const issuer = token.ok ? token.value.claims['iss'] : undefined
  const candidates = [...table.values()].filter(
    (connector) =>
      connector.kind === 'issuer' &&
      // asks GitLab's user API, which knows nothing of a JWT's issuer
      connector.gitlabApi === undefined &&
      connector.issuer === issuer &&
      mayUse(client, connector.id) &&
      servesExchange(connector),
  )
  const [only, second] = candidates
  if (only === undefined || second !== undefined) {
    return deny({ reason: 'connector_missing', candidates: candidates.length })
  }
  return ok(only)
}

function mayUse(client: Client, id: string): boolean {
  return client.connectors.length === 0 || client.connectors.includes(id)
}

function servesExchange(connector: Connector): boolean {
  return connector.grants.length === 0 || connector.grants.includes(TOKEN_EXCHANGE)
}
