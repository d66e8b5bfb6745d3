// Workers that serve from one listening socket, and what they are together: ready when all are, counting as one server.
import type { Registry } from 'prom-client'
import type { Check } from '../http/ops_app.ts'
import { checksOfAll } from './fleet_checks.ts'
import { createFleetMetrics } from './fleet_metrics.ts'
import { createWorkerSlot } from './worker_slot.ts'
import type { SlotOptions } from './worker_slot.ts'
import type { ToWorker } from './messages.ts'

export type FleetOptions<Config> = Omit<SlotOptions<Config>, 'number' | 'onGone'> & {
  /** The supervisor's own metrics, which stand beside those of the workers. */
  readonly registry: Registry
}

export type Fleet<Config> = {
  /** Resolves with the addresses once all listen; with `undefined`, and none left, when one could not start. */
  readonly start: () => Promise<readonly string[] | undefined>
  readonly tell: (message: ToWorker<Config>) => void
  readonly checks: () => Promise<readonly Check[]>
  /** Everything added up, as Prometheus reads it. */
  readonly metrics: () => Promise<string>
  /** All end in order. */
  readonly stop: () => Promise<void>
}

/** How often each worker is asked for its counts: what one counted since the last time is lost when it is killed. */
const LOOK_MS = 10_000

export function createFleet<Config>({ registry, ...options }: FleetOptions<Config>): Fleet<Config> {
  const together = createFleetMetrics(registry)
  const slots = Array.from({ length: options.count }, (_, index) =>
    createWorkerSlot({ ...options, number: index + 1, onGone: together.keep }),
  )
  let looks: NodeJS.Timeout | undefined

  async function stop(): Promise<void> {
    clearInterval(looks)
    await Promise.all(slots.map((slot) => slot.stop()))
  }

  return {
    async start() {
      // The first one alone: what it cannot do, none of them can, and it makes the keys where there are none.
      const [first, ...others] = slots
      const urls = await first?.start()
      const rest = urls === undefined ? [] : await Promise.all(others.map((slot) => slot.start()))
      if (urls === undefined || rest.includes(undefined)) {
        await stop()
        return undefined
      }
      looks = setInterval(() => {
        for (const slot of slots) void slot.lookAfter()
      }, LOOK_MS)
      return urls
    },
    tell(message) {
      for (const slot of slots) slot.tell(message)
    },
    async checks() {
      return checksOfAll(
        await Promise.all(
          slots.map(async (slot) => ({
            number: slot.number,
            trouble: slot.trouble(),
            checks: await slot.checks(),
          })),
        ),
      )
    },
    async metrics() {
      const snapshots = await Promise.all(slots.map((slot) => slot.metrics()))
      const serving = slots.filter((slot) => slot.trouble() === undefined).length
      const restarts = slots.reduce((sum, slot) => sum + slot.restarts(), 0)
      return together.text(
        snapshots.filter((each) => each !== undefined),
        { configured: slots.length, serving, restarts },
      )
    },
    stop,
  }
}
