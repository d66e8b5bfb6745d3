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

type Entry = { connector: Connector; readonly source: string; readonly keys: IssuerKeys }

export function createIssuerKeysRegistry(deps: IssuerKeysRegistryDeps): IssuerKeysRegistry {
  const entries = new Map<string, Entry>()
  const registry: IssuerKeysRegistry = {
    of(connector) {
      const entry = entries.get(connector.id)
      if (entry?.connector === connector) return entry.keys
      const source = sourceOf(connector)
      if (entry?.source === source) {
        entry.connector = connector
        return entry.keys
      }
      entry?.keys.close()
      const { resolve } = deps
      const egress = { rules: egressRulesOf(connector), tls: connector.tls }
      const fetch = createBoundedFetch(resolve === undefined ? egress : { ...egress, resolve })
      const keys = createIssuerKeys(connector, { ...deps, fetch })
      entries.set(connector.id, { connector, source, keys })
      return keys
    },
    warmUp(connectors) {
      for (const connector of connectors) {
        if (connector.kind === 'issuer') registry.of(connector).warmUp()
      }
    },
    retain(connectors) {
      const ids = new Set(connectors.map(({ id }) => id))
      for (const [id, entry] of entries) {
        if (ids.has(id)) continue
        entry.keys.close()
        entries.delete(id)
      }
    },
    statuses: () => [...entries.values()].map(({ keys }) => keys.status()),
    close() {
      for (const { keys } of entries.values()) keys.close()
      entries.clear()
    },
  }
  return registry
}

/** Everything that decides whose keys they are and how they are fetched. */
function sourceOf({ id, issuer, keys, tls, trustedHosts }: Connector): string {
  return JSON.stringify([id, issuer, keys, tls, trustedHosts])
}
