// The broker as one object: the live configuration, and its swap on reload or when the key set changes.
import type { BrokerConfig } from './config/broker_config.ts'
import { buildLiveBroker } from './live_broker.ts'
import type { BrokerParts, LiveBroker } from './live_broker.ts'

export type Broker = {
  readonly live: () => LiveBroker
  readonly parts: BrokerParts
  /** Replaces the configuration; requests that are under way finish on the old one. */
  readonly reload: (config: BrokerConfig) => void
}

export function createBroker(config: BrokerConfig, parts: BrokerParts): Broker {
  let live = buildLiveBroker(config, parts)
  const loaded = (): void => parts.metrics.configLoadedAt(parts.clock() / 1000)
  // Discovery names the algorithms in use: a rotation to another one must show at once.
  parts.keyRing.onChange(() => {
    live = buildLiveBroker(live.config, parts, live)
    parts.metrics.keySet(parts.keyRing.jwks().body)
  })
  parts.metrics.keySet(parts.keyRing.jwks().body)
  loaded()
  return {
    live: () => live,
    parts,
    reload(next) {
      live = buildLiveBroker(next, parts, live)
      loaded()
    },
  }
}
