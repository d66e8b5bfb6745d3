// Metrics of what the webhook knows of its cluster.
import { Counter, Gauge } from 'prom-client'
import type { Registry } from 'prom-client'
import type { AnyWatch } from '#platform/kube/watch_cache.ts'
import type { LedgerWriteResult } from '#platform/ledger/ledger.ts'

type Watched = {
  readonly caches: readonly AnyWatch[]
  readonly ledger: { readonly size: number; readonly backlog: number; readonly full: number }
}

export type ClusterMetrics = {
  readonly written: (result: LedgerWriteResult) => void
  readonly twoAuthors: (versions: number) => void
  readonly unremembered: (versions: number) => void
  readonly watch: (watched: Watched) => void
}

export function clusterMetrics(registry: Registry | undefined): ClusterMetrics {
  const registers = registry === undefined ? [] : [registry]
  const writes = new Counter({
    name: 'sallyport_webhook_ledger_writes_total',
    help: 'Attempts to write an entry of the ledger.',
    labelNames: ['result'],
    registers,
  })
  const forgone = new Counter({
    name: 'sallyport_webhook_ledger_unremembered_total',
    help: 'Versions that are not immutable and found no room in the ledger, at each commit that lists them.',
    registers,
  })
  const contradicted = new Counter({
    name: 'sallyport_webhook_ledger_two_authors_total',
    help: 'Versions of which the ledger keeps another author than the one whose request was judged here.',
    registers,
  })
  return {
    twoAuthors: (versions) => contradicted.inc(versions),
    written: (result) => writes.inc({ result }),
    unremembered: (versions) => forgone.inc(versions),
    watch({ caches, ledger }) {
      const synced: Gauge<'resource'> = new Gauge({
        name: 'sallyport_webhook_watch_synced',
        help: 'Whether the objects of a resource are in memory as the cluster has them.',
        labelNames: ['resource'],
        registers,
        collect() {
          for (const cache of caches)
            synced.set({ resource: cache.resource }, cache.missing() === undefined ? 1 : 0)
        },
      })
      gauge(
        registers,
        'sallyport_webhook_ledger_entries',
        'Versions that the ledger remembers.',
        () => ledger.size,
      )
      gauge(
        registers,
        'sallyport_webhook_ledger_backlog',
        'Entries that are not written yet.',
        () => ledger.backlog,
      )
      gauge(
        registers,
        'sallyport_webhook_ledger_full',
        'Modules and Providers of which the ledger remembers nothing more that is not immutable.',
        () => ledger.full,
      )
    },
  }
}

function gauge(registers: Registry[], name: string, help: string, value: () => number): void {
  const made: Gauge = new Gauge({ name, help, registers, collect: () => made.set(value()) })
}
