// What a running server takes from a changed configuration. What is bound to an open socket, file or key stays until the
// next start, and is named; what would let more people in than anybody wrote down is refused as a whole.
import { isDeepStrictEqual } from 'node:util'
import type { Connector } from '#core/connector.ts'
import type { BrokerConfig } from '../broker/config/broker_config.ts'

const BOUND = [
  'publicListeners',
  'opsListener',
  'drainSeconds',
  'web',
  'store',
  'keys',
  'log',
  'audit',
] as const

type Reload =
  | {
      readonly ok: true
      readonly config: BrokerConfig
      /** Changed settings that do not take effect yet. */
      readonly kept: readonly string[]
    }
  | {
      readonly ok: false
      /** The setting, or the connector, that only a start can change. */
      readonly setting: string
      readonly why: string
    }

export function planReload(running: BrokerConfig, next: BrokerConfig): Reload {
  // Accepted audiences of the connectors are made from the issuer: one cannot wait while the others change.
  for (const setting of ['mode', 'issuer'] as const) {
    if (running[setting] === next[setting]) continue
    const why = `${setting} changed from ${running[setting]} to ${next[setting]}: only a restart changes it`
    return { ok: false, setting, why }
  }
  const opened = next.connectors.find((connector) => opens(running.connectors, connector))
  if (opened !== undefined) {
    const why = `connector ${opened.id} would accept every token of its issuer, which policies guard so far: only a restart does that`
    return { ok: false, setting: `connectors.${opened.id}`, why }
  }
  const kept = BOUND.filter((name) => !isDeepStrictEqual(running[name], next[name]))
  const { publicListeners, opsListener, drainSeconds, web, store, keys, log, audit } = running
  return {
    ok: true,
    kept,
    config: { ...next, publicListeners, opsListener, drainSeconds, web, store, keys, log, audit },
  }
}

/** An overlay that was cut short, or policies that were lost, must not turn Dex's "who is verified may ask" on. */
function opens(running: readonly Connector[], next: Connector): boolean {
  if (next.needsPolicy || next.kind === 'unserved') return false
  const before = running.filter(({ id, issuer }) => id === next.id || issuer === next.issuer)
  const wasOpen = before.some(
    ({ id, issuer, needsPolicy }) => !needsPolicy && id === next.id && issuer === next.issuer,
  )
  return !wasOpen && before.some(({ needsPolicy }) => needsPolicy)
}
