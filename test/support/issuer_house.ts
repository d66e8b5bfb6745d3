// An issuer, and its keys as a broker sees them.
import type { Test } from 'tap'
import type { Connector } from '../../src/core/connector.ts'
import { createBoundedFetch } from '../../src/platform/egress/bounded_fetch.ts'
import { egressRulesOf } from '../../src/platform/egress/egress_guard.ts'
import { createIssuerKeys, KEY_TIMES } from '../../src/platform/issuer_keys/issuer_keys.ts'
import type { IssuerKeysEvent } from '../../src/platform/issuer_keys/issuer_keys.ts'
import { connectorFor, NOW } from './subject_fixture.ts'
import { startTestIssuer } from './test_issuer.ts'
import type { TestIssuer, TestIssuerOptions } from './test_issuer.ts'

type House = {
  readonly issuer: TestIssuer
  readonly keys: ReturnType<typeof createIssuerKeys>
  readonly events: IssuerKeysEvent[]
  /** Seconds to let pass on the injected clock. */
  readonly pass: (seconds: number) => void
  readonly kid: () => string
}

/** An issuer, its keys as the broker sees them, and a clock in the test's hand. Requests give up after 300 ms. */
export async function house(
  t: Test,
  options: TestIssuerOptions = {},
  over: (issuer: TestIssuer) => Partial<Connector> = () => ({}),
): Promise<House> {
  const issuer = await startTestIssuer({
    path: '/api/actions',
    algorithms: ['ES256'],
    scheme: 'http',
    ...options,
  })
  const connector = connectorFor(issuer, over(issuer))
  let now = NOW
  const events: IssuerKeysEvent[] = []
  const fetch = createBoundedFetch({
    rules: egressRulesOf(connector),
    tls: connector.tls,
    limits: { totalMs: 300, maxBodyBytes: 256 * 1024 },
  })
  const keys = createIssuerKeys(connector, {
    clock: () => now,
    fetch,
    onEvent: (event) => events.push(event),
    times: { ...KEY_TIMES, graceMs: 60 },
  })
  t.teardown(async () => {
    keys.close()
    await issuer.close()
  })
  return {
    issuer,
    keys,
    events,
    pass: (seconds) => {
      now += seconds * 1000
    },
    kid: () => issuer.key('ES256').kid,
  }
}

export const unavailable = { ok: false, denial: { reason: 'issuer_keys_unavailable', connector: 'ci' } }
