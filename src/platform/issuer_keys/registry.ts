// The issuer keys of all connectors. Outlives a reload of the configuration: a connector that still means the same
// issuer keeps the keys it has.
import type { Clock } from '#core/clock.ts'
import type { Connector } from '#core/connector.ts'
import { createBoundedFetch } from '#platform/egress/bounded_fetch.ts'
import { egressRulesOf } from '#platform/egress/egress_guard.ts'
import type { ResolveHost } from '#platform/egress/egress_guard.ts'
import { createIssuerKeys } from './issuer_keys.ts'
import type { IssuerKeys, IssuerKeysEvent, IssuerKeysStatus, KeyTimes } from './issuer_keys.ts'

export interface IssuerKeysRegistry {
  /** The keys of a connector's issuer; nothing is fetched yet. */
  of(connector: Connector): IssuerKeys
  /** Loads what is not at hand, in the background: at start, and now and then, so that readiness heals unasked. */
  warmUp(connectors: readonly Connector[]): void
  /** Forgets every connector that is not among these (after a reload). */
  retain(connectors: readonly Connector[]): void
  statuses(): readonly IssuerKeysStatus[]
  close(): void
}

export type IssuerKeysRegistryDeps = {
  readonly clock: Clock
  readonly onEvent?: (event: IssuerKeysEvent) => void
  readonly times?: KeyTimes
  /** Name resolution; tests answer it themselves. */
  readonly resolve?: ResolveHost
}

export function createIssuerKeysRegistry(deps: IssuerKeysRegistryDeps): IssuerKeysRegistry {
  // By what decides whose keys they are, so that requests of the old and the new configuration, which overlap during a
  // reload, do not take each other's keys away.
  const bySource = new Map<string, IssuerKeys>()
  const byConnector = new WeakMap<Connector, IssuerKeys>()

  const of = (connector: Connector): IssuerKeys => {
    const known = byConnector.get(connector)
    if (known !== undefined) return known
    const source = sourceOf(connector)
    const keys = bySource.get(source) ?? create(connector, deps)
    bySource.set(source, keys)
    byConnector.set(connector, keys)
    return keys
  }
  return {
    of,
    warmUp(connectors) {
      for (const connector of connectors) if (connector.kind === 'issuer') of(connector).warmUp()
    },
    retain(connectors) {
      const sources = new Set(connectors.map(sourceOf))
      for (const [source, keys] of bySource) {
        if (sources.has(source)) continue
        keys.close()
        bySource.delete(source)
      }
    },
    statuses: () => [...bySource.values()].map((keys) => keys.status()),
    close() {
      for (const keys of bySource.values()) keys.close()
      bySource.clear()
    },
  }
}

function create(connector: Connector, deps: IssuerKeysRegistryDeps): IssuerKeys {
  const egress = { rules: egressRulesOf(connector), tls: connector.tls }
  const fetch = createBoundedFetch(deps.resolve === undefined ? egress : { ...egress, resolve: deps.resolve })
  return createIssuerKeys(connector, { ...deps, fetch })
}

/** Everything that decides whose keys they are and how they are fetched. */
function sourceOf({ id, issuer, keys, tls, trustedHosts }: Connector): string {
  return JSON.stringify([id, issuer, keys, tls, trustedHosts])
}
