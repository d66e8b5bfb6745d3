// Metrics of what is pulled. Each replica and each worker follows the same levers, so that their numbers are one number.
import { Gauge } from 'prom-client'
import type { Registry } from 'prom-client'
import { DENIED_KINDS, DISABLED_KINDS } from '#core/levers.ts'
import type { LeverBook } from './lever_book.ts'

const SERIES = [
  ...DISABLED_KINDS.map((kind) => ({ action: 'disable', kind }) as const),
  ...DENIED_KINDS.map((kind) => ({ action: 'deny', kind }) as const),
]

export function leverMetrics(registry: Registry) {
  return {
    levers: ({ inForce, failure }: Pick<LeverBook, 'inForce' | 'failure'>): void => {
      const pulled = new Gauge({
        name: 'sallyport_levers',
        help: 'What people have switched off or denied in an emergency, and nobody has lifted.',
        labelNames: ['action', 'kind'],
        aggregator: 'max',
        registers: [],
        collect() {
          for (const { action, kind } of SERIES) this.set({ action, kind }, 0)
          for (const { action, kind } of inForce().pulled) this.inc({ action, kind })
        },
      })
      const revoked = new Gauge({
        name: 'sallyport_revoked_tokens',
        help: 'Tokens that their clients revoked and that have not expired; 10000 at most.',
        aggregator: 'max',
        registers: [],
        collect() {
          this.set(inForce().revoked)
        },
      })
      const followed = new Gauge({
        name: 'sallyport_levers_followed',
        help: '1 while new levers are seen; 0: those that are held stay, the store cannot be asked for others.',
        aggregator: 'min',
        registers: [],
        collect() {
          this.set(failure() === undefined ? 1 : 0)
        },
      })
      for (const gauge of [pulled, revoked, followed]) registry.registerMetric(gauge)
    },
  }
}
