// Metrics of a signer elsewhere. Without one there are no series but zero.
import { Counter, Gauge, Histogram } from 'prom-client'
import type { Registry } from 'prom-client'
import type { SignerCall, SignerStatus } from './guarded_signer.ts'

const BREAKER_STATES = ['closed', 'half_open', 'open'] as const

export function signerMetrics(registry: Registry) {
  const registers = [registry]
  const seconds = new Histogram({
    name: 'sallyport_signer_seconds',
    help: 'Time from the request for a signature of a signer elsewhere to its end, the wait for a turn included.',
    labelNames: ['result'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers,
  })
  const failures = new Counter({
    name: 'sallyport_signer_failures_total',
    help: 'Signatures that a signer elsewhere did not make, by cause; busy and breaker_open: it was not asked.',
    labelNames: ['cause'],
    registers,
  })
  return {
    signerCall: ({ result, seconds: took }: SignerCall): void => {
      seconds.observe({ result: result === 'ok' ? 'ok' : 'failed' }, took)
      if (result !== 'ok') failures.inc({ cause: result })
    },
    signer: (status: () => SignerStatus): void => {
      const breaker = new Gauge({
        name: 'sallyport_signer_breaker_state',
        help: '1 for the state that the breaker before the signer elsewhere is in.',
        labelNames: ['state'],
        registers: [],
        collect() {
          const now = status().breaker
          for (const state of BREAKER_STATES) this.set({ state }, state === now ? 1 : 0)
        },
      })
      const waiting = new Gauge({
        name: 'sallyport_signer_waiting',
        help: 'Signatures that wait for a turn at the signer elsewhere.',
        registers: [],
        collect() {
          this.set(status().waiting)
        },
      })
      registry.registerMetric(breaker)
      registry.registerMetric(waiting)
    },
  }
}
