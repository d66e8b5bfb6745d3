// What two configurations must agree in to mean the same, however they say it: who may do what, for whom, for how long.
import { mayName } from '../../src/core/audience.ts'
import type { Client } from '../../src/core/client.ts'
import type { Connector } from '../../src/core/connector.ts'
import { CLIENT_CREDENTIALS, TOKEN_EXCHANGE } from '../../src/core/oauth/names.ts'
import type { BrokerConfig } from '../../src/broker/config/broker_config.ts'

/** Left out: `mode`, what verifies no tokens (sallyport.yaml has no words for it), and how Dex's rule is said. */
export function meaningOf(config: BrokerConfig): Record<string, unknown> {
  const connectors = config.connectors.filter(isServed)
  const clients = config.clients.filter((client) => grantsOf(client, config).length > 0)
  const table = new Map(config.audiences.map((audience) => [audience.id, audience]))
  const names = clients.map(({ id }) => id)
  return {
    ...config,
    mode: undefined,
    grants: undefined,
    policies: config.policies.filter(({ name }) => !name.startsWith('dex-')),
    connectors: connectors.map(connectorMeaning),
    clients: clients.map((client) => clientMeaning(client, config, names)),
    audiences: names.map((id) => ({
      profile: table.get(id)?.profile ?? 'dex',
      resources: table.get(id)?.resources ?? [],
      maxTtlSeconds: table.get(id)?.maxTtlSeconds,
    })),
  }
}

function clientMeaning(client: Client, config: BrokerConfig, names: readonly string[]): unknown {
  const table = new Map(config.audiences.map((audience) => [audience.id, audience]))
  const connectors = config.connectors.filter(
    (connector) => isServed(connector) && mayUse(client, connector.id),
  )
  return {
    ...client,
    isPublic: undefined,
    grants: grantsOf(client, config),
    connectors: connectors.map(({ id }) => id),
    audiences: names.filter((id) => mayName(client, id, table)),
  }
}

function isServed({ kind, gitlabApi, grants }: Connector): boolean {
  return (
    kind === 'issuer' && gitlabApi === undefined && (grants.length === 0 || grants.includes(TOKEN_EXCHANGE))
  )
}

function connectorMeaning(connector: Connector): unknown {
  const { mapping } = connector
  return {
    ...connector,
    type: connector.preset,
    grants: undefined,
    needsPolicy: undefined,
    audiences: connector.audiences.toSorted(),
    mapping: {
      ...mapping,
      emailNamesVerified: mapping.emailNamesVerified ?? false,
      groupsKey: mapping.groupsEnabled ? (mapping.groupsKey ?? 'groups') : undefined,
      groupPrefix: mapping.groupsEnabled ? mapping.groupPrefix : '',
      groupsFilter: mapping.groupsEnabled ? mapping.groupsFilter : undefined,
      userNameKey: mapping.userNameRequired ? mapping.userNameKey : 'name',
    },
  }
}

function grantsOf(client: Client, config: BrokerConfig): readonly string[] {
  return [CLIENT_CREDENTIALS, TOKEN_EXCHANGE].filter((grant) => {
    const allowed =
      config.grants.some((name) => name === grant) && (client.grants?.some((name) => name === grant) ?? true)
    if (grant === CLIENT_CREDENTIALS)
      return allowed && client.auth.method !== 'none' && client.isPublic !== true
    return allowed && config.connectors.filter(isServed).some(({ id }) => mayUse(client, id))
  })
}

function mayUse(client: Client, connector: string): boolean {
  return client.connectors.length === 0 || client.connectors.includes(connector)
}
