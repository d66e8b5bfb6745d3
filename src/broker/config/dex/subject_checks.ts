// Ids of a Dex configuration that become subjects. In Dex's own encoding of `sub` any two ids stay apart; as soon as the
// overlay gives an audience another profile, or a client a plain subject, they stand there as they are.
import { mayName } from '#core/audience.ts'
import type { Client } from '#core/client.ts'
import type { Connector } from '#core/connector.ts'
import { CLIENT_CREDENTIALS } from '#core/oauth/names.ts'
import type { YamlPath } from '#platform/config/yaml_document.ts'
import type { BrokerConfig } from '../broker_config.ts'
import { clientIdProblem, reservedConnector, shadowedConnector } from '../subject_ids.ts'
import type { Reporter } from './report.ts'

/** Where the ids stand in the Dex file. */
export type IdPaths = {
  readonly connectors: ReadonlyMap<string, YamlPath>
  readonly clients: ReadonlyMap<string, YamlPath>
}

export function checkSubjects(config: BrokerConfig, paths: IdPaths, report: Reporter): void {
  const served = config.connectors.filter(({ kind }) => kind !== 'unserved')
  for (const connector of served) {
    const path = paths.connectors.get(connector.id) ?? ['connectors']
    checkReserved(connector, path, config, report)
    const other = shadowedConnector(connector.id, served)
    if (other === undefined) continue
    const message = `a job of it and one of connector ${JSON.stringify(other.id)} can have one subject`
    report.refuse(path, 'connector_id_ambiguous', message, 'take the ":" out of the id')
  }
  for (const client of config.clients)
    checkClient(client, paths.clients.get(client.id) ?? ['staticClients'], config, report)
}

function checkReserved({ id }: Connector, path: YamlPath, config: BrokerConfig, report: Reporter): void {
  const prefix = reservedConnector(id)
  if (prefix === undefined) return
  const message = `subjects of its jobs begin with the reserved ${JSON.stringify(prefix)} in audiences of another profile than dex`
  const isPlain = config.audiences.some(({ profile }) => profile !== 'dex')
  const say = isPlain ? 'refuse' : 'warn'
  report[say](path, 'connector_id_reserved', message, 'give the connector another id')
}

function checkClient(client: Client, path: YamlPath, config: BrokerConfig, report: Reporter): void {
  if (!asksForItself(client, config)) return
  const isPlain = bearsPlainSubject(client, config)
  // Dex's encoding keeps clients and jobs apart; it does not keep a reserved name from being one.
  const connectors = isPlain ? config.connectors.filter(({ kind }) => kind !== 'unserved') : []
  const problem = clientIdProblem(client.id, connectors)
  if (problem === undefined) return
  const say = isPlain ? 'refuse' : 'warn'
  report[say](path, problem.code, problem.message, problem.wayOut)
}

function asksForItself({ auth, isPublic, grants }: Client, config: BrokerConfig): boolean {
  if (auth.method === 'none' || isPublic === true) return false
  return config.grants.includes(CLIENT_CREDENTIALS) && (grants ?? config.grants).includes(CLIENT_CREDENTIALS)
}

/** Whether a token for the client itself can bear its id as it is. */
function bearsPlainSubject(client: Client, config: BrokerConfig): boolean {
  if (client.subject === 'plain') return true
  const table = new Map(config.audiences.map((audience) => [audience.id, audience]))
  return config.audiences.some(({ id, profile }) => profile !== 'dex' && mayName(client, id, table))
}
