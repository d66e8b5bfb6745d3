// What a running server takes from a changed configuration. What is bound to an open socket, file or key stays until the
// next start, and is named.
import { isDeepStrictEqual } from 'node:util'
import type { BrokerConfig } from '../broker/config/broker_config.ts'

const BOUND = [
  'mode',
  'issuer',
  'publicListeners',
  'opsListener',
  'web',
  'store',
  'keys',
  'log',
  'audit',
] as const

export type Reloadable = {
  readonly config: BrokerConfig
  /** Changed settings that do not take effect yet. */
  readonly kept: readonly string[]
}

export function reloadable(running: BrokerConfig, next: BrokerConfig): Reloadable {
  const kept = BOUND.filter((name) => !isDeepStrictEqual(running[name], next[name]))
  const { mode, issuer, publicListeners, opsListener, web, store, keys, log, audit } = running
  return {
    kept,
    config: { ...next, mode, issuer, publicListeners, opsListener, web, store, keys, log, audit },
  }
}
